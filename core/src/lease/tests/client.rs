use super::*;
use crate::control::state::{Answer, Command, Outcome};
use crate::identity::NodeId;
use crate::lease::client::{Action, Ask, CeaseCause, Client, Event, Holding, Ticket};
use crate::lease::{Message, Renew};

fn own() -> Incarnation {
    life(1, 1)
}

fn leader() -> NodeId {
    life(9, 1).node
}

/// What it asks for and tells, without what it observes.
fn acts(client: &mut Client, now: Time, event: Event) -> Vec<Action> {
    let is_act = |action: &Action| !matches!(action, Action::Observe(_));
    handle(client, now, event).into_iter().filter(is_act).collect()
}

fn renew(number: u64) -> Action {
    renew_to(leader(), number)
}

fn renew_to(to: NodeId, number: u64) -> Action {
    Action::Send { to, message: Message::Renew(Renew { session: session(5), number, epoch: ClusterEpoch(1) }) }
}

fn renewed(number: u64) -> Event {
    Event::Message { from: leader(), message: Message::Renewed { session: session(5), number } }
}

fn granted(index: u64) -> Event {
    Event::Changed(Change::Granted { scope: Scope::Global, lease: lease(5, index) })
}

fn freed(index: u64) -> Event {
    Event::Changed(Change::Freed { scope: Scope::Global, lease: lease(5, index) })
}

fn holding(index: u64, not_after: Time) -> Holding {
    Holding { scope: Scope::Global, token: token(1, index), term: 1, not_after }
}

/// The last instant of a view that counts from then.
fn view_from(ms: u64) -> Time {
    Time::from_nanos(at(ms + 1_100).as_nanos() - 1)
}

fn submitted(actions: &[Action]) -> Vec<(Ticket, Command)> {
    let command = |action: &Action| match action {
        Action::Submit { ticket, command } => Some((*ticket, command.clone())),
        _ => None,
    };
    actions.iter().filter_map(command).collect()
}

/// A client with a session that was renewed by what it sent at 0 ms.
fn with_session() -> Client {
    let mut client = Client::new(settings());
    handle(&mut client, at(0), Event::Leader(Some(leader())));
    handle(&mut client, at(0), Event::Changed(epoch(1)));
    let started = acts(&mut client, at(0), Event::Start { life: own() });
    assert!(matches!(submitted(&started)[..], [(_, Command::Open { .. })]), "{started:?}");
    assert_eq!(acts(&mut client, at(0), Event::Changed(opened(5, own()))), [renew(0)]);
    assert_eq!(acts(&mut client, at(5), renewed(0)), [Action::Resumed { not_after: view_from(0) }]);
    client
}

/// The same, holding the scope `global` under the grant of entry 7.
fn with_scope() -> Client {
    let mut client = with_session();
    let asked = acts(&mut client, at(10), Event::Ask(Ask::Hold(Scope::Global)));
    let [(ticket, Command::Campaign { scope: Scope::Global })] = submitted(&asked)[..] else { panic!("{asked:?}") };
    assert_eq!(acts(&mut client, at(15), granted(7)), [Action::Became { holding: holding(7, view_from(0)) }]);
    let outcome = Some(Outcome::Done(Answer::Granted(lease(5, 7))));
    assert_eq!(acts(&mut client, at(16), Event::Answered { ticket, outcome }), []);
    client
}

#[test]
fn the_view_counts_from_sending_the_renewal_that_was_acknowledged() {
    let mut client = with_scope();
    assert_eq!(client.next_deadline(), Some(at(91)), "the command is looked at again");
    handle(&mut client, at(91), Event::Wake);
    assert_eq!(acts(&mut client, at(300), Event::Wake), [renew(1)]);
    assert_eq!(client.next_deadline(), Some(at(375)), "tried again if it is not answered");
    assert_eq!(acts(&mut client, at(1_099), renewed(1)), [renew(2)], "the next one is due");
    assert_eq!(client.holding(&Scope::Global, at(1_099)), Some(holding(7, view_from(300))), "rule T2");
    assert_eq!(client.holding(&Scope::Global, at(1_399)), Some(holding(7, view_from(300))));
    assert_eq!(client.holding(&Scope::Global, at(1_400)), None, "strictly before");
}

#[test]
fn an_answer_counts_for_what_it_names_and_once() {
    let mut client = with_session();
    acts(&mut client, at(300), Event::Wake);
    acts(&mut client, at(375), Event::Wake);
    acts(&mut client, at(380), renewed(2));
    assert_eq!(client.not_after(at(380)), Some(view_from(375)));
    acts(&mut client, at(390), renewed(1));
    acts(&mut client, at(390), renewed(2));
    acts(&mut client, at(390), renewed(77));
    let of_another = Message::Renewed { session: session(6), number: 3 };
    acts(&mut client, at(700), Event::Message { from: leader(), message: of_another });
    assert_eq!(client.not_after(at(390)), Some(view_from(375)), "rule R4");
}

#[test]
fn a_view_that_lapses_suspends_and_resumes_with_the_same_grant() {
    let mut client = with_scope();
    let mut all = vec![];
    for ms in [300, 375, 450, 525, 600, 675, 750, 825, 900, 975, 1_050] {
        all.extend(acts(&mut client, at(ms), Event::Wake));
    }
    assert!(all.iter().all(|action| matches!(action, Action::Send { .. })), "{all:?}");
    assert_eq!(client.next_deadline(), Some(at(1_100)));
    assert_eq!(acts(&mut client, at(1_100), Event::Wake), [Action::Suspended], "rule E2");
    assert_eq!(client.holding(&Scope::Global, at(1_100)), None);
    assert_eq!(acts(&mut client, at(1_110), renewed(11)), [Action::Resumed { not_after: view_from(1_050) }]);
    assert_eq!(client.holding(&Scope::Global, at(1_110)), Some(holding(7, view_from(1_050))));
}

#[test]
fn whatever_comes_first_after_a_pause_finds_the_view_lapsed() {
    let mut client = with_scope();
    let woken = acts(&mut client, at(5_000), granted(7));
    assert_eq!(woken.first(), Some(&Action::Suspended));
}

#[test]
fn only_the_log_ends_a_session_and_another_is_opened() {
    let mut client = with_scope();
    handle(&mut client, at(3_000), Event::Wake);
    assert_eq!(client.session(), Some(session(5)), "rule E1: however long it hears nothing");
    let after = acts(&mut client, at(3_010), Event::Changed(ended(5, own())));
    let ceased = Action::Ceased { scope: Scope::Global, token: token(1, 7), cause: CeaseCause::SessionEnded };
    assert_eq!(after[0], ceased);
    assert!(matches!(submitted(&after)[..], [(_, Command::Open { .. })]));
    let again = acts(&mut client, at(3_020), Event::Changed(opened(30, own())));
    assert!(matches!(submitted(&again)[..], [(_, Command::Campaign { .. })]), "it is still wanted");
}

#[test]
fn a_holder_stops_before_it_asks_to_hand_over_and_does_not_begin_again() {
    let mut client = with_scope();
    let to = life(2, 1).node;
    let asked = acts(&mut client, at(20), Event::Ask(Ask::Transfer { scope: Scope::Global, to }));
    let ceased = Action::Ceased { scope: Scope::Global, token: token(1, 7), cause: CeaseCause::HandedOver };
    assert_eq!(asked[0], ceased, "first");
    let transfer = Command::Transfer { scope: Scope::Global, granted: token(1, 7), to };
    let [(ticket, command)] = &submitted(&asked)[..] else { panic!("{asked:?}") };
    assert_eq!(command, &transfer);

    let reissued = Lease { token: token(2, 9), ..lease(5, 7) };
    let bumped = Change::Reissued { scope: Scope::Global, lease: reissued };
    assert_eq!(acts(&mut client, at(21), Event::Changed(bumped)), [], "rule S2: nor when a bump re-issues it");
    let lost = Event::Answered { ticket: *ticket, outcome: None };
    assert_eq!(acts(&mut client, at(22), lost), []);
    let again = acts(&mut client, at(97), Event::Wake);
    assert_eq!(submitted(&again)[0].1, transfer, "nor when the command gets lost");
    assert_eq!(client.holding(&Scope::Global, at(97)), None);
    assert_eq!(acts(&mut client, at(98), freed(7)), []);
}

#[test]
fn after_a_transfer_the_node_waits_in_line_and_may_hold_again_under_a_new_grant() {
    let mut client = with_scope();
    let to = life(2, 1).node;
    let asked = acts(&mut client, at(20), Event::Ask(Ask::Transfer { scope: Scope::Global, to }));
    acts(&mut client, at(22), freed(7));
    let ticket = submitted(&asked)[0].0;
    let outcome = Some(Outcome::Done(Answer::Transferred { to }));
    acts(&mut client, at(23), Event::Answered { ticket, outcome });
    let campaign = acts(&mut client, at(98), Event::Wake);
    assert!(matches!(submitted(&campaign)[..], [(_, Command::Campaign { .. })]), "{campaign:?}");
    assert_eq!(acts(&mut client, at(99), granted(12)), [Action::Became { holding: holding(12, view_from(0)) }]);
}

#[test]
fn what_is_wanted_no_more_goes_back_also_when_it_is_granted_only_then() {
    let mut client = with_session();
    let asked = acts(&mut client, at(10), Event::Ask(Ask::Hold(Scope::Global)));
    assert_eq!(acts(&mut client, at(11), Event::Ask(Ask::Drop(Scope::Global))), []);
    assert_eq!(acts(&mut client, at(12), granted(7)), [], "nobody is told");
    let ticket = submitted(&asked)[0].0;
    acts(&mut client, at(13), Event::Answered { ticket, outcome: None });
    let released = acts(&mut client, at(88), Event::Wake);
    assert_eq!(submitted(&released)[0].1, Command::Release { scope: Scope::Global, granted: token(1, 7) });
}

#[test]
fn a_newer_token_takes_the_place_of_the_old_one_at_once() {
    let mut client = with_scope();
    let lease = Lease { token: token(2, 9), ..lease(5, 7) };
    let told = acts(&mut client, at(20), Event::Changed(Change::Reissued { scope: Scope::Global, lease }));
    let expected = Holding { token: token(2, 9), ..holding(7, view_from(0)) };
    assert_eq!(told, [Action::Reissued { holding: expected }]);
    assert_eq!(client.holding(&Scope::Global, at(20)), Some(expected));
    acts(&mut client, at(20), Event::Changed(epoch(2)));
    let sent = acts(&mut client, at(300), Event::Wake);
    assert!(matches!(sent[..], [Action::Send { message: Message::Renew(Renew { epoch: ClusterEpoch(2), .. }), .. }]));
}

#[test]
fn another_history_takes_everything_away() {
    let mut client = with_scope();
    let lineage = Lineage { epoch: ClusterEpoch(4), recovery: RecoveryId(2) };
    let restated = acts(&mut client, at(20), Event::Restated([Change::Epoch { lineage }].into()));
    let ceased = Action::Ceased { scope: Scope::Global, token: token(1, 7), cause: CeaseCause::Recovered };
    assert_eq!(restated[0], ceased);
    assert_eq!(client.session(), None);
}

#[test]
fn a_snapshot_that_says_the_same_changes_nothing() {
    let mut client = with_scope();
    let same = [epoch(1), opened(5, own()), Change::Granted { scope: Scope::Global, lease: lease(5, 7) }];
    assert_eq!(acts(&mut client, at(92), Event::Restated(same.into())), []);
    assert_eq!(client.holding(&Scope::Global, at(92)), Some(holding(7, view_from(0))));
    let gone = acts(&mut client, at(93), Event::Restated([epoch(1), opened(5, own())].into()));
    assert!(matches!(gone[0], Action::Ceased { .. }), "what it does not say is not held");
}

#[test]
fn who_does_not_answer_is_left_for_another_and_hints_are_followed_once() {
    let mut client = with_session();
    let voters = [leader(), life(8, 1).node, life(7, 1).node];
    handle(&mut client, at(6), Event::Voters(voters.into()));
    assert_eq!(acts(&mut client, at(300), Event::Wake), [renew_to(voters[0], 1)]);
    assert_eq!(acts(&mut client, at(375), Event::Wake), [renew_to(voters[0], 2)]);
    assert_eq!(acts(&mut client, at(450), Event::Wake), [renew_to(voters[1], 3)]);
    let hint = |from: NodeId, to: NodeId| Event::Message { from, message: Message::NotLeader { hint: Some(to) } };
    assert_eq!(acts(&mut client, at(460), hint(voters[1], voters[2])), [renew_to(voters[2], 4)]);
    assert_eq!(acts(&mut client, at(461), hint(voters[2], voters[1])), [], "not back and forth");
    assert_eq!(acts(&mut client, at(525), Event::Wake), [renew_to(voters[1], 5)]);
    assert_eq!(acts(&mut client, at(526), hint(leader(), voters[2])), [], "from somebody it did not ask");
}

#[test]
fn leaving_stops_everything_and_then_ends_the_session() {
    let mut client = with_scope();
    let left = acts(&mut client, at(20), Event::Ask(Ask::Close));
    assert!(matches!(left[..], [Action::Ceased { .. }, Action::Submit { command: Command::Close, .. }]), "rule E4");
    assert_eq!(client.next_deadline(), None);
    assert_eq!(acts(&mut client, at(21), Event::Ask(Ask::Hold(Scope::Global))), []);
    assert_eq!(acts(&mut client, at(22), Event::Changed(opened(9, own()))), []);
}

#[test]
fn a_thousand_scopes_cost_no_more_messages_than_one() {
    let mut client = with_session();
    let scopes: Vec<Scope> = (0..1_000).map(|n| named(&alloc::format!("{n}"))).collect();
    let mut waiting = vec![];
    for scope in &scopes {
        waiting.extend(submitted(&acts(&mut client, at(10), Event::Ask(Ask::Hold(*scope)))));
    }
    assert_eq!(waiting.len(), 32, "so many under way at once");
    let mut index = 10;
    while let Some((ticket, Command::Campaign { scope })) = waiting.pop() {
        index += 1;
        acts(&mut client, at(11), Event::Changed(Change::Granted { scope, lease: lease(5, index) }));
        waiting.extend(submitted(&acts(&mut client, at(11), Event::Answered { ticket, outcome: None })));
    }
    assert_eq!(client.holdings(at(12)).count(), 1_000);
    handle(&mut client, at(87), Event::Wake);
    assert_eq!(acts(&mut client, at(300), Event::Wake), [renew(1)]);
    assert_eq!(acts(&mut client, at(305), renewed(1)), []);
    assert_eq!(acts(&mut client, at(600), Event::Wake), [renew(2)]);
}
