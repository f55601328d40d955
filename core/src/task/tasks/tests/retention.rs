//! How long what has ended is kept, and what goes with it.

use super::*;
use crate::task::tasks::RETENTION;

fn done(shard: &mut Shard, submit: Submit, output: Payload) {
    shard.add(submit);
    let job = shard.take();
    let outcome = Outcome::Succeeded { output, counts: vec![] };
    assert_eq!(shard.report(&job, outcome), Answer::Reported);
}

#[test]
fn a_task_goes_when_its_retention_is_over_which_begins_when_it_has_ended() {
    let mut shard = Shard::default();
    shard.at(0).add(Submit { retention: Some(seconds(10)), ..one("1", "x") });
    shard.at(1_000).drain();
    assert_eq!(shard.states("1"), "ready", "what waits is kept, however long");
    let job = shard.at(2_000).take();
    shard.succeed(&job);
    assert_eq!(shard.tasks.next_due(shard.now), Some(wall(2_010)));
    shard.at(2_009).drain();
    assert!(matches!(shard.submit(one("1", "x")), Answer::Submitted { is_known: true, .. }));
    shard.at(2_010).drain();
    assert_eq!(shard.view("1"), None);
    assert_eq!(shard.tasks.tables, Tasks::default().with_head_of(&shard.tasks).tables, "nothing of it is left");
    shard.add(one("1", "x"));
}

impl Tasks {
    /// Nothing but the numbers that only grow, and the workers.
    fn with_head_of(mut self, other: &Tasks) -> Self {
        self.tables.head = other.tables.head;
        self.tables.workers = other.tables.workers.clone();
        self
    }
}

#[test]
fn a_task_that_says_nothing_is_kept_for_a_week() {
    let mut shard = Shard::default();
    done(&mut shard, one("1", "x"), Payload::inline(b"1"));
    assert_eq!(shard.tasks.next_due(shard.now), Some(wall(0).saturating_add(RETENTION)));
    done(&mut shard, Submit { retention: Some(Duration::MAX), ..one("2", "x") }, Payload::inline(b"1"));
    shard.at(8 * 86_400).drain();
    assert!(shard.view("1").is_none() && shard.view("2").is_some());
}

#[test]
fn a_purge_takes_what_ended_before_and_nothing_that_has_not() {
    let mut shard = Shard::default();
    for (second, key) in [(10, "1"), (20, "2"), (30, "3")] {
        done(shard.at(second), one(key, "x"), Payload::inline(b"1"));
    }
    shard.add(one("4", "x"));
    assert_eq!(shard.apply(&Command::Purge { before: wall(30) }), no_more());
    // It is on its way out, and known as long as it is there.
    assert!(matches!(shard.submit(one("1", "x")), Answer::Submitted { is_known: true, .. }));
    assert_eq!(shard.replay("1", 0), Answer::Refused(Refusal::Status { status: Status::Succeeded }));
    shard.drain();
    assert_eq!(["1", "2", "3", "4"].map(|key| shard.view(key).is_some()), [false, false, true, true]);
}

#[test]
fn a_dead_task_on_its_way_out_is_not_replayed() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    let job = shard.take();
    shard.report(&job, failed(false));
    shard.at(1).apply(&Command::Purge { before: wall(1) });
    assert_eq!(shard.replay("1", 0), Answer::Refused(Refusal::Status { status: Status::Dead }));
    shard.drain();
    assert_eq!(shard.replay("1", 0), Answer::Refused(Refusal::NoTask));
}

#[test]
fn blobs_are_released_once_for_each_time_they_were_referred_to() {
    let mut shard = Shard::default();
    (1..=3).for_each(|number| shard.bring(number));
    let steps = [step("a", ""), step("b", ""), step("c", r#""forEach":{"$from":"a"}"#)];
    shard.add(Submit { input: Some(blob(1)), ..flow("1", &steps.join(",")) });
    shard.add(Submit { input: Some(blob(1)), ..one("2", "y") });
    let output = |number, counts| Outcome::Succeeded { output: blob(number), counts };
    shard.does("a", output(2, vec![(StepIndex(2), 2)]));
    shard.does("b", failed(false));
    shard.drain();
    shard.does("c", output(2, vec![]));
    shard.does("c", output(3, vec![]));
    let references = |shard: &Shard| [1, 2, 3].map(|number| shard.references(number));
    assert_eq!(references(&shard), [2, 2, 1]);
    assert_eq!(shard.status("1"), Status::Dead);
    shard.at(1).apply(&Command::Purge { before: wall(1) });
    shard.drain();
    assert_eq!(references(&shard), [1, 0, 0]);
    assert_eq!(shard.cancel("2", CancelMode::Soft), Answer::Cancel(Status::Cancelling));
    shard.drain();
    shard.at(2).apply(&Command::Purge { before: wall(2) });
    shard.drain();
    assert_eq!(references(&shard), [0, 0, 0]);
}
