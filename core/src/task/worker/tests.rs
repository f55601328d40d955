//! What a worker orders, and what it says it has.

use super::held::{held, say_progress};
use super::jobs::{Doing, Phase};
use super::posts::Asked;
use super::view::{Killed, Order, Reply, Request, RunKey};
use super::{Action, Event, Sees, Worker};
use crate::control::state::Name as Namespace;
use crate::epoch::{ClusterEpoch, FenceToken};
use crate::identity::{NodeId, RequestId};
use crate::machine::{CauseId, Ctx, Seeded};
use crate::replication::LogSequence;
use crate::replication::once::SubmissionId;
use crate::shards::ShardId;
use crate::task::answer::{Job, JobInput};
use crate::task::command::Outcome;
use crate::task::id::{StepKey, TaskNumber};
use crate::task::settings::Settings;
use crate::task::wire::{Message, Offer, PROGRESS_BYTES_MAX, PROGRESS_MAX, Progress};
use crate::task::workflow::Name;
use crate::time::{Duration, Time, WallTime};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

fn shard(number: u32) -> ShardId {
    ShardId { namespace: Namespace::new("n").unwrap(), number }
}

fn job(row: u32) -> Job {
    Job {
        step: StepKey { task: TaskNumber(LogSequence(1)), row },
        task: SubmissionId::from_bytes([1; 16]),
        name: None,
        item: None,
        fence: FenceToken::new(ClusterEpoch(1), 2),
        attempt: 1,
        agent: Name::new("x").unwrap(),
        input: JobInput::Given(None),
        timeout: Duration::from_secs(1),
        traceparent: None,
        lists: Vec::new(),
        is_limited: false,
    }
}

/// A step of that shard whose agent runs.
fn runs(jobs: &mut BTreeMap<RunKey, Doing>, number: u32, row: u32) -> RunKey {
    let doing = Doing { phase: Phase::Running, ..Doing::new(job(row), Time::ZERO, None) };
    let key = doing.key(shard(number));
    jobs.insert(key, doing);
    key
}

fn handle(worker: &mut Worker, event: Event) -> Vec<Action> {
    let (mut chooser, mut out) = (Seeded::new(1, 1), Vec::new());
    let ctx = Ctx::new(Time::ZERO, WallTime::from_unix_nanos(0), CauseId(0), &mut chooser);
    worker.handle(&ctx, Sees { state: None, view: None, session: None }, event, &mut out);
    out
}

/// What the runner is told next.
fn orders(worker: &mut Worker) -> Vec<Order> {
    let told = handle(worker, Event::Request(RequestId(9), Request::Next));
    match &told[..] {
        [Action::Reply { reply: Reply::Orders(orders), .. }] => orders.clone(),
        _ => Vec::new(),
    }
}

/// A worker with a runner.
fn worker() -> Worker {
    let mut worker = Worker::new(Settings::default());
    handle(&mut worker, Event::Request(RequestId(1), Request::Attach { offer: Offer::default(), capacity: 4 }));
    worker
}

/// Rules T4c and T8.
#[test]
fn a_kill_says_why_and_a_claim_that_is_over_ends_the_grace_of_a_cancel() {
    let mut worker = worker();
    let run = runs(&mut worker.jobs, 0, 0);
    let mut out = Vec::new();
    worker.give_up(run, Killed::Cancelled, &mut out);
    worker.give_up(run, Killed::Cancelled, &mut out);
    assert_eq!(orders(&mut worker), [Order::Kill { run, why: Killed::Cancelled }], "once, however often it is said");
    worker.end_claims(shard(0), Time::ZERO, &mut out);
    worker.give_up(run, Killed::Cancelled, &mut out);
    assert_eq!(orders(&mut worker), [Order::Kill { run, why: Killed::ClaimOver }]);
}

/// One that kills whoever runs it has only so many attempts.
#[test]
fn what_a_runner_had_when_it_went_away_counts_as_an_attempt_and_what_it_was_not_told_of_does_not() {
    let mut worker = worker();
    let (told, untold) = (runs(&mut worker.jobs, 0, 0), runs(&mut worker.jobs, 0, 1));
    let order = Order::Run(Box::new(worker.jobs[&untold].run(shard(0), Vec::new())));
    worker.runner.as_mut().unwrap().orders.push_back(order);
    handle(&mut worker, Event::Request(RequestId(2), Request::Attach { offer: Offer::default(), capacity: 4 }));
    let outcome = |key| match &worker.jobs[&key].phase {
        Phase::Reporting(outcome) => outcome.clone(),
        phase => panic!("{phase:?}"),
    };
    assert!(matches!(outcome(told), Outcome::Failed { is_worth_retrying: true, .. }));
    assert_eq!(outcome(untold), Outcome::GivenBack);
}

/// Rule T2b: what is not named is given back.
#[test]
fn all_that_a_worker_has_of_a_shard_is_named_until_its_report_is_answered() {
    let mut jobs = BTreeMap::new();
    let (fetched, running, reported) = (runs(&mut jobs, 1, 0), runs(&mut jobs, 1, 1), runs(&mut jobs, 1, 2));
    jobs.insert(fetched, Doing::new(job(0), Time::ZERO, None));
    jobs.get_mut(&reported).unwrap().phase = Phase::Reporting(Outcome::GivenBack);
    runs(&mut jobs, 0, 1);
    runs(&mut jobs, 2, 1);
    let held = held(&jobs, shard(1), 7);
    assert_eq!((held.shard, held.upto), (shard(1), 7));
    assert_eq!(held.steps, [fetched, running, reported].map(|key| (key.step, key.fence)));
}

#[test]
fn progress_that_was_not_told_goes_first_and_there_is_a_bound() {
    let mut jobs = BTreeMap::new();
    let keys: Vec<RunKey> = (0..PROGRESS_MAX as u32 + 3).map(|row| runs(&mut jobs, 0, row)).collect();
    let says = |jobs: &mut BTreeMap<RunKey, Doing>, key: &RunKey, percent| {
        jobs.get_mut(key).unwrap().progress = Some((Progress::new(percent, "on it"), false));
    };
    keys.iter().skip(1).for_each(|key| says(&mut jobs, key, 10));
    let told = |jobs: &mut BTreeMap<RunKey, Doing>| {
        let mut holds = [held(jobs, shard(0), 1)];
        say_progress(jobs, &mut holds);
        holds[0].progress.iter().map(|(step, _, progress)| (step.row, progress.percent)).collect::<Vec<_>>()
    };
    let first: Vec<_> = (1..=PROGRESS_MAX as u32).map(|row| (row, 10)).collect();
    assert_eq!(told(&mut jobs), first);
    says(&mut jobs, &keys[40], 50);
    let second = told(&mut jobs);
    assert_eq!(second[..3], [(40, 50), (65, 10), (66, 10)], "what is new, and what had no room");
    assert_eq!(second[3..], [&first[..39], &first[40..62]].concat(), "and what the owner may have missed");
}

#[test]
fn as_much_of_a_text_is_told_as_may_be() {
    let progress = Progress::new(200, &"ä".repeat(200));
    assert_eq!((progress.percent, progress.text.len()), (100, PROGRESS_BYTES_MAX));
    assert!(progress.is_sound() && !Progress { percent: 101, ..progress }.is_sound());
}

/// Rule T2a: it is asked again, under its number, and meanwhile others have work.
#[test]
fn a_claim_that_nobody_answers_holds_no_room_once_what_it_gives_would_be_over() {
    let mut worker = worker();
    let asked = Asked { number: 1, count: 3, since: Time::ZERO, session: None, again_at: None };
    worker.posts.at(shard(0)).asked = Some(asked);
    let sees = Sees { state: None, view: Some(Time::MAX), session: None };
    let over = Time::ZERO.saturating_add(worker.life());
    assert_eq!(worker.free(over.saturating_sub(Duration::from_nanos(1)), sees), 1);
    assert_eq!(worker.free(over, sees), 4);
}

/// An owner that is slow answers a beat when the next one has been sent; of what it says the time of that beat counts.
#[test]
fn the_answer_to_an_older_beat_counts_and_answers_those_before_it() {
    let mut worker = worker();
    let owner = NodeId::from_bytes([7; 16]);
    let sent = |number: u64| (number, Time::from_nanos(number));
    worker.beats.insert(owner, [sent(1), sent(2), sent(3)].into());
    worker.posts.at(shard(0)).until = Some(Time::ZERO);
    let beaten = |number| Message::Beaten { number, kept: [shard(0)].into(), ended: Vec::new(), stop: Vec::new() };
    handle(&mut worker, Event::Heard(owner, beaten(2)));
    let renewed = Some(Time::from_nanos(2).saturating_add(worker.life()));
    assert_eq!(worker.posts.at(shard(0)).until, renewed);
    assert_eq!(worker.beats[&owner], [sent(3)]);
    handle(&mut worker, Event::Heard(owner, beaten(1)));
    assert_eq!(worker.posts.at(shard(0)).until, renewed, "what came out of order says nothing new");
}
