use super::super::state::tests::{Log, life, named};
use super::super::state::{LeaderCommand, Name};
use super::*;
use crate::codec::BodyVersion;
use crate::machine::{CauseId, Scripted};
use crate::time::WallTime;
use alloc::vec;

const LEADER: u8 = 9;

fn at(ms: u64) -> Time {
    Time::ZERO + Duration::from_millis(ms)
}

fn node(number: u8) -> NodeId {
    life(number, 1).node
}

fn handle(commands: &mut Commands<u8>, now: Time, event: Event<u8>) -> Vec<Action<u8>> {
    let mut chooser = Scripted::default();
    let mut ctx = Ctx::new(now, WallTime::default(), CauseId(0), &mut chooser);
    let mut actions = vec![];
    commands.handle(&mut ctx, event, &mut actions);
    actions
}

/// Commands of a process that knows the leader.
fn started() -> Commands<u8> {
    let mut commands = Commands::new(Duration::from_millis(100));
    handle(&mut commands, at(0), Event::Leader(Some(node(LEADER))));
    handle(&mut commands, at(0), Event::Start { life: life(1, 1) });
    commands
}

fn set(expected: Option<u64>, value: u64) -> Command {
    Command::CompareAndSet { register: Name::new("r").unwrap(), expected, value }
}

fn submit(ticket: u8, command: Command) -> Event<u8> {
    Event::Submit { ticket, command }
}

/// What is proposed, in order.
fn proposed(actions: &[Action<u8>]) -> Vec<(u64, Box<[u8]>)> {
    let propose = |action: &Action<u8>| match action {
        Action::Send { message: Message::Propose { number, entry }, .. } => Some((*number, entry.clone())),
        _ => None,
    };
    actions.iter().filter_map(propose).collect()
}

fn answered(actions: &[Action<u8>]) -> Vec<(u8, Option<Outcome>)> {
    let answer = |action: &Action<u8>| match action {
        Action::Answered { ticket, outcome } => Some((*ticket, outcome.clone())),
        Action::Send { .. } => None,
    };
    actions.iter().filter_map(answer).collect()
}

/// The leader takes everything that is proposed, and all its answers arrive, until nothing more happens.
fn serve(
    commands: &mut Commands<u8>,
    log: &mut Log,
    now: Time,
    actions: Vec<Action<u8>>,
) -> Vec<(u8, Option<Outcome>)> {
    let (mut open, mut answers) = (actions, vec![]);
    while !open.is_empty() {
        answers.extend(answered(&open));
        let mut next = vec![];
        for (number, entry) in proposed(&open) {
            let outcome = log.append_bytes(&entry);
            let message = Message::Done { number, outcome };
            next.extend(handle(commands, now, Event::Message { from: node(LEADER), message }));
        }
        open = next;
    }
    answers
}

#[test]
fn a_client_registers_first_and_then_is_answered() {
    let (mut commands, mut log) = (started(), Log::new());
    let asked = handle(&mut commands, at(0), submit(1, set(None, 7)));
    assert_eq!(proposed(&asked)[0].0, REGISTER);
    let answers = serve(&mut commands, &mut log, at(1), asked);
    assert_eq!(answers, [(1, Some(Outcome::Done(Answer::Set)))]);
    assert_eq!((commands.pending(), commands.next_deadline()), (0, None));
}

#[test]
fn a_command_whose_answer_is_lost_is_asked_for_again_and_executed_once() {
    let (mut commands, mut log) = (started(), Log::new());
    let first = handle(&mut commands, at(0), submit(1, set(None, 7)));
    serve(&mut commands, &mut log, at(0), first);
    let asked = handle(&mut commands, at(5), submit(2, set(Some(7), 8)));
    log.append_bytes(&proposed(&asked)[0].1);
    let again = handle(&mut commands, at(105), Event::Wake);
    assert_eq!(proposed(&again), proposed(&asked), "the same");
    let answers = serve(&mut commands, &mut log, at(106), again);
    assert_eq!(answers, [(2, Some(Outcome::Done(Answer::Set)))], "not: differs");
}

#[test]
fn an_evicted_client_says_that_it_does_not_know_and_registers_anew() {
    let (mut commands, mut log) = (started(), Log::new());
    let first = handle(&mut commands, at(0), submit(1, set(None, 7)));
    serve(&mut commands, &mut log, at(0), first);
    let client = life(1, 1);
    let registered = log.state.registration(client).unwrap();
    log.leader(LeaderCommand::Evict { client, registered });
    let asked = handle(&mut commands, at(5), submit(2, set(Some(7), 8)));
    let answers = serve(&mut commands, &mut log, at(6), asked);
    assert_eq!(answers, [(2, None)], "rule X3");
    let asked = handle(&mut commands, at(7), submit(3, set(Some(7), 9)));
    let answers = serve(&mut commands, &mut log, at(8), asked);
    assert_eq!(answers, [(3, Some(Outcome::Done(Answer::Set)))]);
}

#[test]
fn no_more_than_a_window_is_under_way_and_the_rest_waits() {
    let (mut commands, mut log) = (started(), Log::new());
    let first = handle(&mut commands, at(0), submit(0, set(None, 0)));
    serve(&mut commands, &mut log, at(0), first);
    let sent: Vec<_> = (1..=100).flat_map(|n| handle(&mut commands, at(1), submit(n, set(None, 1)))).collect();
    assert_eq!((proposed(&sent).len(), commands.pending()), (64, 100), "rule X5");
    let answers = serve(&mut commands, &mut log, at(2), sent);
    assert_eq!(answers.len(), 100);
    assert!(answers.iter().all(|(_, outcome)| *outcome == Some(Outcome::Done(Answer::Differs(Some(0))))));
}

#[test]
fn who_does_not_lead_names_the_one_who_does() {
    let mut commands = started();
    handle(&mut commands, at(0), Event::Voters([node(LEADER), node(8)].into()));
    handle(&mut commands, at(0), submit(1, set(None, 7)));
    let hint = |by: u8, to: u8| Event::Message {
        from: node(by),
        message: Message::NotLeader { number: REGISTER, hint: Some(node(to)) },
    };
    let redirected = handle(&mut commands, at(1), hint(LEADER, 8));
    assert!(matches!(redirected[..], [Action::Send { to, .. }] if to == node(8)), "{redirected:?}");
    assert_eq!(handle(&mut commands, at(2), hint(8, LEADER)), [], "not back and forth");
    let timed = handle(&mut commands, at(101), Event::Wake);
    assert!(matches!(timed[..], [Action::Send { to, .. }] if to == node(LEADER)), "{timed:?}");
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let mut commands = started();
    let before = commands.clone();
    let message = Message::Done { number: 5, outcome: Outcome::Done(Answer::Set) };
    assert_eq!(handle(&mut commands, at(1), Event::Message { from: node(LEADER), message }), []);
    assert_eq!(commands, before);
}

#[test]
fn nobody_asks_for_another() {
    let mut log = Log::new();
    let client = log.client(1, 1);
    let entry = log.entry(client, set(None, 1));
    assert!(entry.is_of(client) && !entry.is_of(life(1, 2)) && !entry.is_of(life(2, 1)));
    let end = Entry::Leader { term: 1, command: LeaderCommand::Lift { epoch: crate::epoch::ClusterEpoch(1) } };
    assert!(!end.is_of(client));
}

#[test]
fn a_command_that_a_leader_has_not_logged_is_never_executed_later_behind_the_clients_back() {
    let (mut commands, mut log) = (started(), Log::new());
    let retire = || Command::Retire { scope: named("s") };
    let first = handle(&mut commands, at(0), submit(1, set(None, 7)));
    serve(&mut commands, &mut log, at(0), first);
    // Given that its version is not activated, so that the leader refuses it, while a copy is still on its way,
    let asked = handle(&mut commands, at(5), submit(2, retire()));
    let (number, copy) = proposed(&asked)[0].clone();
    let refusal = Refusal::NotActivated { version: BodyVersion(2), activated: BodyVersion(1) };
    let outcome = Outcome::Refused(refusal.clone());
    let refused = Message::Done { number, outcome };
    let instead = handle(&mut commands, at(6), Event::Message { from: node(LEADER), message: refused });
    assert_eq!(answered(&instead), [], "not yet");
    // then nothing is asked for under the same number,
    let answers = serve(&mut commands, &mut log, at(7), instead);
    assert_eq!(answers, [(2, Some(Outcome::Refused(refusal)))], "rule V7");
    // and the copy, which comes after the activation, finds its number taken.
    log.activate(2);
    assert_eq!(log.append_bytes(&copy), Outcome::Done(Answer::Nothing));
}

#[test]
fn if_a_copy_was_executed_the_client_hears_of_that_and_not_of_the_refusal() {
    let (mut commands, mut log) = (started(), Log::new());
    let first = handle(&mut commands, at(0), submit(1, set(None, 7)));
    serve(&mut commands, &mut log, at(0), first);
    let asked = handle(&mut commands, at(5), submit(2, Command::Retire { scope: named("s") }));
    let (number, copy) = proposed(&asked)[0].clone();
    let refusal = Refusal::NotActivated { version: BodyVersion(2), activated: BodyVersion(1) };
    let message = Message::Done { number, outcome: Outcome::Refused(refusal) };
    let instead = handle(&mut commands, at(6), Event::Message { from: node(LEADER), message });
    log.activate(2);
    log.append_bytes(&copy);
    let answers = serve(&mut commands, &mut log, at(7), instead);
    assert_eq!(answers, [(2, Some(Outcome::Refused(Refusal::UnknownScope)))]);
}
