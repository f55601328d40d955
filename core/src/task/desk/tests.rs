//! What an owner does for the claims of a shard, told by itself.

use super::*;
use crate::bytes::Blob as Bytes;
use crate::codec::encode_value;
use crate::control::state::{Name as Namespace, SessionId};
use crate::epoch::{ClusterEpoch, FenceToken};
use crate::identity::{BootIncarnation, StoreIncarnation};
use crate::machine::{CauseId, Seeded};
use crate::replication::blobs::{BlobTable, References};
use crate::replication::once::SubmissionId;
use crate::replication::{LogSequence, Position, Service};
use crate::task::command::{Entry, Fire, Scheduled, Submit, What};
use crate::task::id::{StepKey, TaskNumber};
use crate::task::schedule::Schedule;
use crate::task::wire::{Held, Offer, Offered, Progress};
use crate::task::workflow::Name;
use crate::time::WallTime;
use alloc::boxed::Box;
use alloc::vec;

/// A shard that this node owns, with a worker that has an agent.
struct Owner {
    tasks: Tasks,
    desk: Desk,
    view: Option<Time>,
    /// In which its worker claims.
    session: Option<SessionId>,
    entries: u64,
}

impl Sees for (&Tasks, Option<Time>) {
    fn serving(&self, _: &ShardId) -> Option<(&Tasks, Epoch)> {
        Some((self.0, Epoch { cluster: ClusterEpoch(1), lease: 1 }))
    }

    fn state(&self) -> Option<&State> {
        None
    }

    fn view(&self) -> Option<Time> {
        self.1
    }
}

fn worker() -> Incarnation {
    Incarnation { node: NodeId::from_bytes([7; 16]), store: StoreIncarnation(1), boot: BootIncarnation(1) }
}

fn agent() -> Name {
    Name::new("x").unwrap()
}

fn shard() -> ShardId {
    ShardId { namespace: Namespace::new("n").unwrap(), number: 0 }
}

fn at(millis: u64) -> Time {
    Time::ZERO.saturating_add(Duration::from_millis(millis))
}

fn task(key: u8) -> Submit {
    let what = What::agent(agent());
    Submit::new(SubmissionId::from_bytes([key; 16]), what)
}

impl Owner {
    fn new() -> Self {
        let settings = Settings {
            ttl: Duration::from_millis(1_000),
            kill: Duration::from_millis(50),
            epsilon: Duration::from_millis(100),
            beat: Duration::from_millis(200),
            ..Settings::default()
        };
        Self { tasks: Tasks::default(), desk: Desk::new(settings), view: Some(Time::MAX), session: None, entries: 0 }
    }

    fn applies(&mut self, command: &Command) {
        self.writes(second(0), command);
    }

    /// An entry with that stamp.
    fn writes(&mut self, wall: WallTime, command: &Command) {
        self.entries += 1;
        let position =
            Position { epoch: Epoch { cluster: ClusterEpoch(1), lease: 1 }, sequence: LogSequence(self.entries) };
        let (mut blobs, mut bytes) = (BlobTable::default(), Entry::unstamped(command).unwrap());
        Entry::stamp(&mut bytes, wall);
        self.tasks.apply(position, &bytes, &mut References::new(&mut blobs, position.sequence));
    }

    fn submits(&mut self, key: u8) {
        self.applies(&Command::Submit(Box::new(task(key))));
    }

    fn claims(&mut self, number: u64) {
        let claim = Claim {
            worker: worker(),
            session: self.session,
            number,
            agents: [agent()].into(),
            labels: Vec::new(),
            count: 1,
        };
        self.applies(&Command::Claim(Box::new(claim)));
    }

    fn does(
        &mut self,
        now: Time,
        act: impl FnOnce(&mut Desk, &Ctx<'_>, &(&Tasks, Option<Time>), &mut Vec<Action>),
    ) -> Vec<Action> {
        let (mut chooser, mut out) = (Seeded::new(1, 1), Vec::new());
        let ctx = Ctx::new(now, WallTime::from_unix_nanos(0), CauseId(0), &mut chooser);
        act(&mut self.desk, &ctx, &(&self.tasks, self.view), &mut out);
        out
    }

    /// Looks as often as it wants to, until then; the ends that it asks for.
    fn ends_until(&mut self, until: Time) -> Vec<Bytes> {
        let mut ends = Vec::new();
        while let Some(now) = self.desk.next_deadline().filter(|at| *at <= until) {
            for action in self.does(now, |desk, ctx, sees, out| desk.wake(ctx, sees, out)) {
                if let Action::Ask { request: Request::Submit { command, .. }, .. } = action {
                    ends.push(command);
                }
            }
        }
        ends
    }

    fn beats(&mut self, now: Time) -> Vec<Action> {
        self.hears(now, 0, &[])
    }

    /// A beat of a worker that has the answers to claims up to that one, and these steps.
    fn hears(&mut self, now: Time, upto: u64, steps: &[(StepKey, FenceToken)]) -> Vec<Action> {
        let offer = Offer { agents: [agent()].into(), labels: Vec::new() };
        let held = Held { shard: shard(), upto, steps: steps.into(), progress: Vec::new() };
        let beat = Beat { number: 1, holds: [held].into(), offer, free: 0 };
        self.does(now, |desk, ctx, sees, out| desk.beat(ctx, sees, worker(), beat, out))
    }
}

fn end(upto: u64) -> Bytes {
    task_command(&Command::End { worker: worker(), upto, why: Ended::Silent }).unwrap()
}

/// An owner of two tasks, of which one is claimed.
fn with_a_claim() -> Owner {
    let mut owner = Owner::new();
    (1..=2).for_each(|key| owner.submits(key));
    owner.claims(1);
    owner.does(at(0), |desk, ctx, sees, out| desk.look(ctx, sees, shard(), out));
    owner
}

#[test]
fn who_is_silent_for_the_time_of_its_claims_has_them_no_more() {
    let mut owner = with_a_claim();
    assert_eq!(owner.ends_until(at(1_100)), []);
    assert_eq!(owner.ends_until(at(1_300)), [end(1)], "T4b: and ε longer");
}

#[test]
fn a_claim_that_was_taken_late_has_its_time_in_full() {
    let mut owner = with_a_claim();
    assert_eq!(owner.ends_until(at(900)), []);
    owner.claims(2);
    assert_eq!(owner.ends_until(at(2_000)), [], "T4b");
    assert_eq!(owner.ends_until(at(2_400)), [end(2)]);
}

#[test]
fn of_claims_an_owner_speaks_only_while_it_knows_that_its_session_lives() {
    let mut owner = with_a_claim();
    owner.claims(2);
    owner.view = Some(at(700));
    let kept = Message::Beaten { number: 1, kept: [shard()].into(), ended: Vec::new(), stop: Vec::new() };
    assert_eq!(owner.beats(at(500)), [Action::Send { to: worker().node, message: kept, not_after: Some(at(700)) }]);
    owner.view = None;
    assert_eq!(owner.beats(at(800)), [], "another owner may have ended them");
}

/// The first step of the task that the entry of that number submitted.
fn step_of(entry: u64) -> StepKey {
    StepKey { task: TaskNumber(LogSequence(entry)), row: 0 }
}

fn fence(entry: u64) -> FenceToken {
    FenceToken::new(ClusterEpoch(1), entry)
}

/// What is asked of the shard.
fn asked(actions: &[Action]) -> Vec<Bytes> {
    let command = |action: &Action| match action {
        Action::Ask { request: Request::Submit { command, .. }, .. } => Some(command.clone()),
        _ => None,
    };
    actions.iter().filter_map(command).collect()
}

fn give_back(entry: u64, by: u64) -> Bytes {
    let outcome = Outcome::GivenBack;
    task_command(&Command::Report { step: step_of(entry), fence: fence(by), outcome }).unwrap()
}

/// T2b. The worker's claims ended, and it knows; then a copy of the first of them, which was long under way, is taken.
#[test]
fn what_a_late_copy_of_a_claim_was_given_is_given_back() {
    let mut owner = with_a_claim();
    owner.applies(&Command::End { worker: worker(), upto: 1, why: Ended::Silent });
    owner.claims(1);
    assert_eq!(owner.tasks.given_to(worker(), 1).count(), 1, "nobody knows that it is a copy");
    owner.does(at(200), |desk, ctx, sees, out| desk.look(ctx, sees, shard(), out));
    owner.submits(3);
    owner.claims(2);
    let taken: Vec<_> = owner.tasks.given_to(worker(), 2).collect();
    let [(late, by)] = owner.tasks.given_to(worker(), 1).collect::<Vec<_>>()[..] else { panic!("one is nobody's") };
    let own: Vec<_> = taken.into_iter().filter(|it| *it != (late, by)).collect();
    // The answer to the second claim is under way: what it gave is not touched.
    let told = owner.hears(at(300), 1, &[]);
    assert_eq!(asked(&told), [give_back(late.task.0.0, by.log_index())]);
    // Asked once, for as long as it is not answered.
    assert_eq!(asked(&owner.hears(at(400), 2, &own)), []);
    owner.applies(&Command::Report { step: late, fence: by, outcome: Outcome::GivenBack });
    assert_eq!(owner.tasks.given_to(worker(), u64::MAX).collect::<Vec<_>>(), own);
}

#[test]
fn what_a_worker_has_stays_its_own_and_an_old_beat_takes_nothing_of_a_newer_claim() {
    let mut owner = with_a_claim();
    let first: Vec<_> = owner.tasks.given_to(worker(), 1).collect();
    assert_eq!(asked(&owner.hears(at(100), 1, &first)), []);
    owner.claims(2);
    assert_eq!(owner.tasks.given_to(worker(), 2).count(), 2);
    assert_eq!(asked(&owner.hears(at(200), 1, &first)), [], "sent before the second claim was answered");
    // A step that it has under another fence it does not have under this one.
    let other: Vec<_> = first.iter().map(|(step, _)| (*step, fence(99))).collect();
    assert_eq!(asked(&owner.hears(at(300), 1, &other)), [give_back(first[0].0.task.0.0, first[0].1.log_index())]);
}

#[test]
fn progress_is_known_of_what_runs_and_no_longer() {
    let mut owner = with_a_claim();
    let [(step, by)] = owner.tasks.given_to(worker(), 1).collect::<Vec<_>>()[..] else { panic!("one runs") };
    let says = |percent| Progress { percent, text: "resizing".into() };
    let told = [(step, by, says(40)), (step_of(2), by, says(7)), (step, fence(99), says(8)), (step, by, says(101))];
    let held = Held { shard: shard(), upto: 1, steps: [(step, by)].into(), progress: told.into() };
    let offer = Offer { agents: [agent()].into(), labels: Vec::new() };
    let beat = Beat { number: 1, holds: [held].into(), offer, free: 0 };
    owner.does(at(100), |desk, ctx, sees, out| desk.beat(ctx, sees, worker(), beat, out));
    assert_eq!(owner.desk.progress_of(&shard(), step, by), Some(&says(40)));
    assert_eq!(owner.desk.progress_of(&shard(), step_of(2), by), None);
    owner.applies(&Command::Report { step, fence: by, outcome: Outcome::GivenBack });
    owner.ends_until(at(900));
    assert_eq!(owner.desk.progress_of(&shard(), step, by), None, "it is over");
}

/// An owner of a schedule that is due each minute from then on, and what it has written of it.
struct Recurs {
    owner: Owner,
    fired: Vec<u64>,
}

impl Recurs {
    fn new() -> Self {
        let mut owner = Owner::new();
        let schedule = Schedule::every(Duration::from_secs(60), second(1_000)).unwrap();
        let submit = Box::new(task(1));
        owner.applies(&Command::Schedule(Box::new(Scheduled { name: agent(), schedule, submit })));
        Self { owner, fired: Vec::new() }
    }

    /// Looks when the wall clock shows that; what it asks for, which is written.
    fn looks(&mut self, wall: u64) -> Option<Fire> {
        let fire = self.asks(wall).pop()?;
        self.writes(wall, &fire);
        Some(fire)
    }

    fn asks(&mut self, wall: u64) -> Vec<Fire> {
        let (mut chooser, mut out) = (Seeded::new(1, 1), Vec::new());
        let ctx = Ctx::new(at(wall), second(wall), CauseId(0), &mut chooser);
        let sees = (&self.owner.tasks, self.owner.view);
        self.owner.desk.look(&ctx, &sees, shard(), &mut out);
        let fire = |bytes: Bytes| match Entry::read(&bytes.0[1..]).map(|entry| entry.command) {
            Some(Command::Fire(fire)) => Some(fire),
            _ => None,
        };
        asked(&out).into_iter().filter_map(fire).collect()
    }

    fn writes(&mut self, wall: u64, fire: &Fire) {
        self.owner.writes(second(wall), &Command::Fire(fire.clone()));
        self.fired.extend(fire.fires.map(|due| due.as_unix_nanos() / 1_000_000_000));
        self.owner.desk.duties.clear();
    }
}

fn second(seconds: u64) -> WallTime {
    WallTime::from_unix_nanos(seconds * 1_000_000_000)
}

/// Rule T12.
#[test]
fn a_schedule_is_looked_at_when_it_is_due_and_after_an_outage_once() {
    let mut recurs = Recurs::new();
    assert_eq!(recurs.looks(990).unwrap().next, Some(second(1_000)), "first it is said when it is due");
    assert_eq!(recurs.looks(999), None);
    assert_eq!(recurs.owner.desk.duties[&shard()].due_at, Some(at(1_999)), "a second later, by its other clock");
    assert_eq!(recurs.looks(1_000).unwrap().missed, 0);
    assert_eq!(recurs.looks(1_059), None);
    assert_eq!(recurs.looks(1_070).unwrap().next, Some(second(1_120)));
    let late = recurs.looks(1_400).unwrap();
    assert_eq!((late.fires, late.missed, late.next), (Some(second(1_360)), 4, Some(second(1_420))));
    // The clock is put back: nothing that was due is due again.
    assert_eq!((recurs.looks(900), recurs.looks(1_419)), (None, None));
    assert!(recurs.looks(1_420).is_some());
    assert_eq!(recurs.fired, [1_000, 1_060, 1_360, 1_420]);
}

#[test]
fn a_schedule_is_asked_for_once_until_that_is_answered() {
    let mut recurs = Recurs::new();
    assert_eq!(recurs.asks(990).len(), 1);
    assert_eq!(recurs.asks(991).len(), 0);
    let reply = Reply::Unknown;
    recurs.owner.does(at(991), |desk, ctx, sees, out| desk.told(ctx, sees, 1, &reply, out));
    assert_eq!(recurs.asks(992).len(), 1, "it is not known whether it was written");
}

fn heard() -> Offered {
    let offer = Offer { agents: [agent()].into(), labels: Vec::new() };
    Offered { worker: worker(), offer, free: 0 }
}

/// Or else a shard would wait for as long as another keeps all workers busy.
#[test]
fn a_worker_that_is_full_hears_of_what_it_could_do_next() {
    let (offer, mut owner) = (Message::Offer { shard: shard() }, with_a_claim());
    let offers = |owner: &mut Owner, now| {
        let sent = owner.beats(at(now));
        sent.iter().filter(|action| matches!(action, Action::Send { message, .. } if *message == offer)).count()
    };
    assert_eq!((offers(&mut owner, 100), offers(&mut owner, 200)), (1, 1), "each time it speaks");
    owner.claims(2);
    assert_eq!(offers(&mut owner, 300), 0, "nothing is ready any more");
}

#[test]
fn people_who_ask_for_workers_are_told_what_the_node_that_is_meant_has_heard() {
    let (mut owner, other, id) = (with_a_claim(), NodeId::from_bytes([9; 16]), RequestId(1));
    owner.beats(at(100));
    let question = Question::Offers { of: other, after: None };
    let asked = owner.does(at(200), |desk, ctx, _, out| desk.request(ctx, id, question, out));
    let message = Message::AskOffers { number: 1, after: None };
    assert_eq!(asked, [Action::Send { to: other, message, not_after: None }]);
    // The other one answers the same way.
    let told = owner.does(at(200), |desk, _, _, out| desk.asks(other, 7, None, out));
    let message = Message::Offers { number: 7, offers: [heard()].into(), next: None };
    assert_eq!(told, [Action::Send { to: other, message, not_after: None }]);
    let none = owner.does(at(200), |desk, _, _, out| desk.asks(other, 8, Some(worker()), out));
    let message = Message::Offers { number: 8, offers: Vec::new(), next: None };
    assert_eq!(none, [Action::Send { to: other, message, not_after: None }]);
    // An answer is for whoever waits for it, once.
    let tells = |desk: &mut Desk, out: &mut Vec<Action>| desk.tells(1, [heard()].into(), None, out);
    let replies = owner.does(at(300), |desk, _, _, out| tells(desk, out));
    let reply = Told::Offers { offers: [heard()].into(), next: None };
    assert_eq!(replies, [Action::Reply { id, reply }]);
    assert_eq!(owner.does(at(300), |desk, _, _, out| tells(desk, out)), []);
}

#[test]
fn people_wait_for_a_node_that_does_not_answer_no_longer_than_for_a_claim_and_only_so_many() {
    let (mut owner, other) = (Owner::new(), NodeId::from_bytes([9; 16]));
    let replies = |actions: Vec<Action>| {
        let reply = |action| match action {
            Action::Reply { reply, .. } => Some(reply),
            _ => None,
        };
        actions.into_iter().filter_map(reply).collect::<Vec<_>>()
    };
    for number in 0..65 {
        let question = Question::Offers { of: other, after: None };
        let actions = owner.does(at(0), |desk, ctx, _, out| desk.request(ctx, RequestId(number), question, out));
        assert_eq!(replies(actions), if number < 64 { vec![] } else { vec![Told::Busy] });
    }
    assert_eq!(owner.desk.next_deadline(), Some(at(1_000)));
    let wake = |owner: &mut Owner, now| owner.does(now, |desk, ctx, sees, out| desk.wake(ctx, sees, out));
    assert_eq!(replies(wake(&mut owner, at(999))), []);
    assert_eq!(replies(wake(&mut owner, at(1_000))), vec![Told::Silent; 64]);
    assert_eq!(owner.desk.next_deadline(), None);
}

/// Rule T4. The worker was cut off, is back, and has claimed again; only now this node hears of the end of its session.
#[test]
fn the_end_of_a_session_ends_no_claim_of_a_later_one() {
    let session = |entry| SessionId(FenceToken::new(ClusterEpoch(1), entry));
    let mut owner = Owner::new();
    (1..=2).for_each(|key| owner.submits(key));
    owner.session = Some(session(7));
    owner.claims(1);
    owner.does(at(0), |desk, ctx, sees, out| desk.look(ctx, sees, shard(), out));
    let gone = |owner: &mut Owner, entry| {
        let actions = owner.does(at(1), |desk, _, sees, out| desk.gone(sees, (worker(), session(entry)), out));
        asked(&actions)
    };
    assert_eq!(gone(&mut owner, 3), []);
    let end = Command::End { worker: worker(), upto: 1, why: Ended::Gone };
    assert_eq!(gone(&mut owner, 7), [task_command(&end).unwrap()]);
}

/// An owner that did not look in between took the new claim for the old one, whose time was over.
#[test]
fn what_is_claimed_again_under_the_number_of_what_has_ended_has_its_time_in_full() {
    let mut owner = with_a_claim();
    assert_eq!(owner.ends_until(at(1_300)), [end(1)]);
    owner.applies(&Command::End { worker: worker(), upto: 1, why: Ended::Silent });
    owner.claims(1);
    let mut bytes = Vec::new();
    encode_value(&Answer::Done { has_more: false }, 64, &mut bytes).unwrap();
    let reply = Reply::Done(Bytes(bytes.into()));
    owner.does(at(1_310), |desk, ctx, sees, out| desk.told(ctx, sees, 1, &reply, out));
    assert_eq!(owner.ends_until(at(2_300)), []);
    assert_eq!(owner.ends_until(at(2_700)), [end(1)]);
}
