//! Rule T12, and tasks of which one is open at a time.

use super::*;
use crate::shards::ShardId;
use crate::task::command::{Fire, Scheduled};
use crate::task::schedule::Schedule;
use crate::task::tasks::{SCHEDULES_MAX, Waiting};
use crate::task::view::ScheduleView;
use crate::task::word::Word;

/// Each minute from then on.
fn each_minute(key: &str) -> Scheduled {
    let schedule = Schedule::every(seconds(60), wall(1_000)).unwrap();
    Scheduled { name: name(key), schedule, submit: Box::new(one(key, "x")) }
}

impl Shard {
    fn schedule(&mut self, scheduled: Scheduled) -> Answer {
        self.apply(&Command::Schedule(Box::new(scheduled)))
    }

    /// What its owner would say of a schedule: that it waits for `due`, of which the latest that has come is `fires`.
    fn fire(&mut self, key: &str, due: Option<u64>, fires: Option<u64>, next: u64) -> Answer {
        let version = self.waiting(key).expect("it waits for its owner").0;
        self.fire_as(key, version, (due, fires, next))
    }

    fn fire_as(&mut self, key: &str, version: u64, (due, fires, next): (Option<u64>, Option<u64>, u64)) -> Answer {
        let [due, fires, next] = [due, fires, Some(next)].map(|it| it.map(wall));
        self.apply(&Command::Fire(Fire { name: name(key), version, due, fires, missed: 2, next }))
    }

    /// What its owner sees: what was said of it last, and what it waits for.
    fn waiting(&self, key: &str) -> Option<(u64, Option<WallTime>)> {
        let far = WallTime::from_unix_nanos(u64::MAX);
        let it: Waiting<'_> = self.tasks.recurring(far).find(|it| it.name.as_str() == key)?;
        Some((it.version, it.due))
    }

    /// The ids of the tasks that were made.
    fn made(&self) -> Vec<SubmissionId> {
        let id = |(_, word): (u64, &Word)| match word {
            Word::Submit(submit) => Some(submit.id),
            _ => None,
        };
        self.tasks.words(0).filter_map(id).collect()
    }

    fn schedules(&self) -> Vec<ScheduleView> {
        match self.read(&Query::Schedules { after: None }) {
            Answer::Schedules { schedules, has_more: false } => schedules,
            other => panic!("schedules are {other:?}"),
        }
    }

    fn shown(&self) -> ScheduleView {
        self.schedules().pop().expect("there is one")
    }
}

fn due(seconds: u64) -> SubmissionId {
    id("s").of_time(wall(seconds))
}

#[test]
fn a_due_time_fires_once_whoever_says_so() {
    let mut shard = Shard::default();
    assert_eq!(shard.at(990).schedule(each_minute("s")), no_more());
    let (version, waits_for) = shard.waiting("s").unwrap();
    assert_eq!((waits_for, shard.tasks.recurring(wall(0)).count()), (None, 1), "its owner is to say when it is due");
    shard.fire("s", None, None, 1_000);
    assert_eq!(
        (shard.tasks.recurring(wall(999)).count(), shard.tasks.next_recurring(wall(999))),
        (0, Some(wall(1_000)))
    );
    assert_eq!((shard.tasks.recurring(wall(1_000)).count(), shard.tasks.next_recurring(wall(1_000))), (1, None));
    // The old owner and the new one, each twice.
    (0..4).for_each(|_| drop(shard.at(1_001).fire_as("s", version, (Some(1_000), Some(1_000), 1_060))));
    assert_eq!(shard.made(), [due(1_000)]);
    assert_eq!(shard.waiting("s"), Some((version, Some(wall(1_060)))));
    let shown = shard.shown();
    assert_eq!((shown.fired, shown.missed, shown.last), (1, 2, Some((wall(1_000), due(1_000)))));
    // The task is made where its id leads, and once, however often it is said.
    let Some((1, word)) = shard.tasks.words(0).next().map(|(number, word)| (number, word.clone())) else { panic!() };
    let namespace = Namespace::new("n").unwrap();
    assert_eq!(word.to(namespace, 7), ShardId::of_submission(namespace, 7, &due(1_000)).number);
    let mut there = Shard::default();
    let take = Command::Take { from: 3, words: vec![(1, word)] };
    assert_eq!([there.apply(&take), there.apply(&take)], [no_more(), no_more()]);
    assert_eq!((there.counts().tasks, there.take().agent), (1, name("x")));
}

#[test]
fn what_does_not_follow_upon_what_is_written_does_nothing() {
    let mut shard = Shard::default();
    shard.at(990).schedule(each_minute("s"));
    let version = shard.waiting("s").unwrap().0;
    shard.fire("s", None, None, 1_000);
    shard.at(1_070).fire("s", Some(1_000), Some(1_060), 1_120);
    assert_eq!(shard.made(), [due(1_060)], "of what was missed the latest is made up for");
    let before = shard.tasks.clone();
    for (what, version, said) in [
        ("it is over", version, (Some(1_000), Some(1_060), 1_120)),
        ("it has not come", version, (Some(1_120), Some(1_120), 1_180)),
        ("it was fired", version, (Some(1_120), Some(1_060), 1_120)),
        ("next is not behind it", version, (Some(1_120), Some(1_070), 1_070)),
        ("nobody waits to hear that", version, (None, None, 1_180)),
        ("a due time, and nothing made of it", version, (Some(1_120), None, 1_180)),
        ("of what was said before", version - 1, (Some(1_120), Some(1_120), 1_180)),
    ] {
        assert_eq!(shard.fire_as("s", version, said), no_more());
        assert_eq!(shard.tasks, before, "{what}");
    }
    shard.apply(&Command::Fire(Fire { name: name("t"), version, due: None, fires: None, missed: 0, next: None }));
    assert_eq!(shard.tasks, before, "there is no such schedule");
}

/// The clock of an owner is put back behind a due time, and the schedule is said anew, or paused for a moment.
#[test]
fn no_due_time_comes_again_whatever_is_said_of_the_schedule() {
    let mut shard = Shard::default();
    shard.at(990).schedule(each_minute("s"));
    shard.fire("s", None, None, 1_000);
    shard.at(1_000).fire("s", Some(1_000), Some(1_000), 1_060);
    let other = Schedule::every(seconds(30), wall(10)).unwrap();
    shard.at(900).schedule(Scheduled { schedule: other, ..each_minute("s") });
    shard.fire("s", None, None, 1_000);
    assert_eq!(shard.waiting("s").unwrap().1, None, "that one was");
    shard.fire("s", None, None, 1_020);
    shard.at(1_020).fire("s", Some(1_020), Some(1_020), 1_050);
    assert_eq!(shard.made(), [due(1_000), due(1_020)]);
}

#[test]
fn said_again_it_changes_nothing_and_paused_it_waits_for_nothing() {
    let mut shard = Shard::default();
    shard.at(990).schedule(each_minute("s"));
    shard.fire("s", None, None, 1_000);
    let before = shard.tasks.clone();
    shard.schedule(each_minute("s"));
    assert_eq!(shard.tasks, before);
    let pause = |is_paused| Command::PauseSchedule { name: name("s"), is_paused };
    let version = shard.waiting("s").unwrap().0;
    shard.apply(&pause(true));
    assert_eq!((shard.waiting("s"), shard.shown().is_paused), (None, true));
    // An owner that had come to it before.
    shard.at(1_001).fire_as("s", version, (Some(1_000), Some(1_000), 1_060));
    assert_eq!(shard.made(), []);
    shard.at(1_200).apply(&pause(false));
    assert_eq!(shard.waiting("s").unwrap().1, None, "what was due meanwhile is not made up for");
    assert_eq!(shard.apply(&Command::Unschedule { name: name("s") }), no_more());
    assert_eq!((shard.waiting("s"), shard.schedules()), (None, vec![]));
    for command in [pause(true), Command::Unschedule { name: name("s") }] {
        assert_eq!(shard.apply(&command), Answer::Refused(Refusal::NoSchedule));
    }
}

#[test]
fn a_schedule_is_bounded() {
    let mut shard = Shard::default();
    let submit = Box::new(Submit { input: Some(blob(1)), ..one("s", "x") });
    assert!(matches!(
        shard.schedule(Scheduled { submit, ..each_minute("s") }),
        Answer::Refused(Refusal::TooMuch { .. })
    ));
    (0..SCHEDULES_MAX).for_each(|key| assert_eq!(shard.schedule(each_minute(&format!("{key}"))), no_more()));
    assert!(matches!(shard.schedule(each_minute("s")), Answer::Refused(Refusal::TooMuch { .. })));
    let (mut found, mut after) = (0, None);
    loop {
        let Answer::Schedules { schedules, has_more } = shard.read(&Query::Schedules { after }) else { panic!() };
        found += schedules.len();
        after = schedules.last().map(|it| it.name.clone());
        if !has_more {
            break;
        }
    }
    assert_eq!(found, SCHEDULES_MAX);
}

/// A task of which one is open at a time.
fn alone(key: &str) -> Submit {
    Submit { unique: Some(name("only")), ..one(key, "x") }
}

#[test]
fn while_a_task_with_a_unique_key_is_open_no_other_is_made() {
    let mut shard = Shard::default();
    shard.add(alone("1"));
    shard.add(one("other", "y"));
    let unique = |status| Answer::Unique { task: id("1"), status };
    assert_eq!(shard.submit(alone("2")), unique(Status::Open));
    assert_eq!(shard.submit(alone("1")), Answer::Submitted { is_known: true, status: Status::Open });
    let job = shard.take();
    shard.cancel("1", CancelMode::Hard);
    assert_eq!(shard.submit(alone("2")), unique(Status::Cancelling), "it may still run");
    shard.report(&job, Outcome::Stopped);
    shard.drain();
    shard.add(alone("2"));
    assert_eq!((shard.view("1").is_some(), shard.counts().tasks), (true, 3));
}

#[test]
fn a_replay_of_such_a_task_waits_until_no_other_is_open() {
    let mut shard = Shard::default();
    shard.add(alone("1"));
    let job = shard.take();
    shard.report(&job, failed(false));
    shard.add(alone("2"));
    assert_eq!(shard.replay("1", 0), Answer::Refused(Refusal::NotUnique { task: id("2") }));
    let job = shard.take();
    shard.succeed(&job);
    assert_eq!(shard.replay("1", 0), Answer::Done { has_more: true });
    shard.drain();
    assert_eq!(shard.submit(alone("3")), Answer::Unique { task: id("1"), status: Status::Open });
}

#[test]
fn a_schedule_may_leave_out_what_is_due_while_its_last_task_is_open() {
    let mut shard = Shard::default();
    let submit = Box::new(alone("s"));
    shard.at(990).schedule(Scheduled { submit, ..each_minute("s") });
    shard.fire("s", None, None, 1_000);
    shard.at(1_000).fire("s", Some(1_000), Some(1_000), 1_060);
    shard.at(1_060).fire("s", Some(1_060), Some(1_060), 1_120);
    let words: Vec<_> = shard.tasks.words(0).map(|(number, word)| (number, word.clone())).collect();
    let namespace = Namespace::new("n").unwrap();
    let places = words.iter().map(|(_, word)| word.to(namespace, 997)).collect::<alloc::collections::BTreeSet<_>>();
    assert_eq!((words.len(), places.len()), (2, 1), "all of them are in one shard, which knows what is open");
    let mut there = Shard::default();
    for word in words {
        assert_eq!(there.apply(&Command::Take { from: 0, words: vec![word] }), no_more());
    }
    assert_eq!(there.counts().tasks, 1);
}
