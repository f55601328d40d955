//! Limits: over several shards, whose words arrive late, twice, and in any order but that of their numbers.

use super::*;
use crate::task::limit::{Bounds, Declared, LimitName, Rate};
use crate::task::word::Word;
use alloc::collections::{BTreeMap, VecDeque};
use proptest::prelude::*;

/// The shards of a namespace.
#[derive(Clone)]
struct Mesh {
    shards: Vec<Shard>,
    /// What was handed over, to come again.
    copies: VecDeque<(u32, Command)>,
}

impl Mesh {
    fn new(shards: usize) -> Self {
        Self { shards: vec![Shard::default(); shards], copies: VecDeque::new() }
    }

    fn at(&mut self, seconds: u64) {
        self.shards.iter_mut().for_each(|shard| assert_eq!(shard.at(seconds).now, wall(seconds)));
    }

    fn declare(&mut self, version: u64, limit: &LimitName, bounds: Option<Bounds>) {
        let command = Command::Limit { limit: limit.clone(), declared: Declared { version, bounds } };
        for shard in &mut self.shards {
            assert_eq!(shard.apply(&command), no_more());
        }
    }

    /// Hands over the words of one shard for another, as many as go together.
    fn carry(&mut self, from: u32, to: u32) {
        let count = self.shards.len() as u32;
        let namespace = Namespace::new("n").unwrap();
        let words: Vec<(u64, Word)> =
            self.shards[from as usize].tasks.words(0).map(|(n, word)| (n, word.clone())).collect();
        let words: Vec<(u64, Word)> =
            words.into_iter().filter(|(_, word)| word.to(namespace, count) == to).take(3).collect();
        if words.is_empty() {
            return;
        }
        let numbers = words.iter().map(|(number, _)| *number).collect();
        let command = Command::Take { from, words };
        assert_eq!(self.shards[to as usize].apply(&command), no_more());
        self.copies.push_back((to, command));
        assert_eq!(self.shards[from as usize].apply(&Command::Taken { numbers }), no_more());
    }

    /// What was taken before comes again.
    fn copy(&mut self) {
        if let Some((to, command)) = self.copies.pop_front() {
            assert_eq!(self.shards[to as usize].apply(&command), no_more());
        }
    }

    /// Hands over everything, until nobody says anything.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            if self.shards.iter().all(|shard| shard.tasks.words(0).next().is_none()) {
                return;
            }
            let count = self.shards.len() as u32;
            (0..count).for_each(|from| (0..count).for_each(|to| self.carry(from, to)));
        }
        panic!("there is always more to say");
    }

    fn drain(&mut self) {
        self.shards.iter_mut().for_each(|shard| assert!(shard.drain() > 0));
    }

    fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| {
            let tables = &shard.tasks.tables;
            tables.permits.live().is_empty() && tables.gates.live().is_empty() && tables.slots.live().is_empty()
        })
    }
}

fn keyed(key: &str, of: &str) -> Submit {
    let Submit { what, .. } = one(key, "x");
    let What::Agent { agent, needs, timeout, retry, .. } = what else { unreachable!() };
    let what = What::Agent { agent, needs, timeout, retry, concurrency_key: Some(name(of)) };
    Submit { what, ..one(key, "x") }
}

fn at_once(count: u32) -> Option<Bounds> {
    Some(Bounds { at_once: Some(count), rate: None })
}

fn agent() -> LimitName {
    LimitName::Agent(name("x"))
}

#[test]
fn of_those_that_share_a_key_one_runs_at_a_time_whichever_shard_they_are_in() {
    let mut mesh = Mesh::new(3);
    mesh.shards[0].add(keyed("1", "disk"));
    mesh.shards[1].add(keyed("2", "disk"));
    assert_eq!((mesh.shards[0].states("1"), mesh.shards[1].states("2")), ("limited".into(), "limited".into()));
    mesh.settle();
    assert_eq!((mesh.shards[0].states("1"), mesh.shards[1].states("2")), ("ready".into(), "limited".into()));
    let job = mesh.shards[0].take();
    mesh.settle();
    assert_eq!(mesh.shards[1].states("2"), "limited");
    let said = StepStatus::Limited { limit: Some(LimitName::Key(name("disk"))) };
    assert_eq!(mesh.shards[1].step("2", 0).state, said);
    mesh.shards[0].succeed(&job);
    mesh.settle();
    assert_eq!(mesh.shards[1].states("2"), "ready");
    let job = mesh.shards[1].take();
    mesh.shards[1].succeed(&job);
    mesh.settle();
    assert!(mesh.is_empty());
}

#[test]
fn a_limit_is_there_once_it_is_declared_and_gone_when_it_is_taken_back() {
    let mut mesh = Mesh::new(2);
    mesh.shards[0].add(one("0", "x"));
    assert_eq!(mesh.shards[0].states("0"), "ready");
    mesh.declare(1, &agent(), at_once(2));
    for (number, key) in ["1", "2", "3", "4"].into_iter().enumerate() {
        mesh.shards[number % 2].add(one(key, "x"));
    }
    mesh.settle();
    let ready = |mesh: &Mesh| mesh.shards.iter().map(|shard| shard.counts().ready).sum::<u64>();
    assert_eq!(ready(&mesh), 1 + 2);
    // What is older does not count, whenever it comes.
    mesh.declare(0, &agent(), None);
    mesh.settle();
    assert_eq!(ready(&mesh), 1 + 2);
    mesh.declare(2, &agent(), None);
    mesh.drain();
    mesh.settle();
    assert_eq!(ready(&mesh), 1 + 4);
}

#[test]
fn who_waits_for_a_limit_can_be_cancelled_also_while_the_permit_is_on_its_way() {
    let mut mesh = Mesh::new(2);
    mesh.shards[0].add(keyed("1", "disk"));
    mesh.shards[1].add(keyed("2", "disk"));
    // The permit is given, and has not come.
    let home = LimitName::Key(name("disk")).shard(2);
    mesh.carry(0, home);
    mesh.shards[0].cancel("1", CancelMode::Soft);
    mesh.shards[0].drain();
    assert_eq!(mesh.shards[0].status("1"), Status::Cancelled);
    mesh.settle();
    assert_eq!(mesh.shards[1].states("2"), "ready");
}

#[test]
fn a_permit_is_kept_until_the_attempt_is_over_and_asked_for_anew_by_the_next_one() {
    let mut mesh = Mesh::new(2);
    mesh.shards[0].add(keyed("1", "disk"));
    mesh.shards[1].add(keyed("2", "disk"));
    mesh.settle();
    let job = mesh.shards[0].take();
    mesh.shards[0].cancel("1", CancelMode::Hard);
    mesh.shards[0].drain();
    mesh.settle();
    assert_eq!(mesh.shards[1].states("2"), "limited", "the agent may still run");
    mesh.shards[0].report(&job, Outcome::Stopped);
    mesh.settle();
    assert_eq!(mesh.shards[1].states("2"), "ready");

    let job = mesh.shards[1].take();
    mesh.shards[1].report(&job, failed(true));
    mesh.shards[0].add(keyed("3", "disk"));
    mesh.settle();
    assert_eq!(mesh.shards[0].states("3"), "ready", "while the other one waits to be tried again");
    mesh.at(100);
    mesh.shards[1].drain();
    mesh.settle();
    assert_eq!(mesh.shards[1].states("2"), "limited");
}

#[test]
fn a_key_is_asked_before_the_agent_so_that_who_waits_for_it_is_in_nobodys_way() {
    let mut mesh = Mesh::new(2);
    mesh.declare(1, &agent(), at_once(2));
    ["1", "2", "3"].into_iter().for_each(|key| mesh.shards[0].add(keyed(key, "disk")));
    mesh.shards[1].add(one("4", "x"));
    mesh.settle();
    assert_eq!(mesh.shards[1].states("4"), "ready");
    assert_eq!(mesh.shards[0].counts().ready, 1);
}

#[test]
fn no_more_attempts_begin_in_any_span_than_a_rate_says_whenever_workers_come() {
    let mut mesh = Mesh::new(2);
    mesh.declare(1, &agent(), Some(Bounds { at_once: None, rate: Some(Rate { count: 2, per: seconds(10) }) }));
    mesh.at(100);
    (0..6).for_each(|number| mesh.shards[0].add(one(&format!("{number}"), "x")));
    mesh.settle();
    let take = |mesh: &mut Mesh| {
        let jobs = mesh.shards[0].claim(1, &["x"], 10);
        jobs.iter().for_each(|job| mesh.shards[0].succeed(job));
        mesh.settle();
        jobs.len()
    };
    // Nobody comes for an hour: what could have begun in it is not made up for.
    mesh.at(3_700);
    mesh.drain();
    mesh.settle();
    assert_eq!(take(&mut mesh), 2);
    assert_eq!(take(&mut mesh), 0);
    mesh.at(3_709);
    mesh.drain();
    mesh.settle();
    assert_eq!(take(&mut mesh), 0);
    mesh.at(3_710);
    mesh.drain();
    mesh.settle();
    assert_eq!(take(&mut mesh), 2);
}

#[test]
fn what_is_no_limit_is_refused() {
    let none = [
        Bounds { at_once: Some(0), rate: None },
        Bounds { at_once: None, rate: Some(Rate { count: 0, per: seconds(1) }) },
        Bounds { at_once: None, rate: Some(Rate { count: 1, per: Duration::ZERO }) },
    ];
    for bounds in none {
        let declared = Declared { version: 1, bounds: Some(bounds) };
        let answer = Shard::default().apply(&Command::Limit { limit: agent(), declared });
        assert_eq!(answer, Answer::Refused(Refusal::NoLimit));
    }
}

#[test]
fn raising_a_limit_gives_to_all_who_wait_piece_by_piece() {
    let mut mesh = Mesh::new(1);
    mesh.declare(1, &agent(), at_once(1));
    (0..40).for_each(|number| mesh.shards[0].add(one(&format!("{number}"), "x")));
    mesh.settle();
    mesh.declare(2, &agent(), at_once(30));
    mesh.shards[0].drain();
    mesh.settle();
    assert_eq!(mesh.shards[0].counts().ready, 30);
}

/// Something that happens in a mesh of three shards.
#[derive(Clone, Debug)]
enum Act {
    Submit { shard: usize, key: Option<u8>, priority: Priority },
    Claim { shard: usize, count: u16 },
    Report { shard: usize, how: u8 },
    End { shard: usize },
    Cancel { shard: usize, hard: bool },
    Carry { from: u32, to: u32 },
    Copy,
    Wait { seconds: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    let shard = 0_usize..3;
    let priority = prop_oneof![Just(Priority::High), Just(Priority::Normal), Just(Priority::Low)];
    prop_oneof![
        4 => (shard.clone(), proptest::option::of(0_u8..2), priority)
            .prop_map(|(shard, key, priority)| Act::Submit { shard, key, priority }),
        4 => (shard.clone(), 1_u16..4).prop_map(|(shard, count)| Act::Claim { shard, count }),
        4 => (shard.clone(), 0_u8..4).prop_map(|(shard, how)| Act::Report { shard, how }),
        1 => shard.clone().prop_map(|shard| Act::End { shard }),
        1 => (shard, any::<bool>()).prop_map(|(shard, hard)| Act::Cancel { shard, hard }),
        12 => (0_u32..3, 0_u32..3).prop_map(|(from, to)| Act::Carry { from, to }),
        2 => Just(Act::Copy),
        2 => (1_u64..8).prop_map(|seconds| Act::Wait { seconds }),
    ]
}

#[derive(Default)]
struct Seen {
    /// What runs, by shard.
    running: Vec<(usize, Job, Option<u8>)>,
    begun: Vec<u64>,
    keys: BTreeMap<(usize, SubmissionId), Option<u8>>,
}

const AT_ONCE: u32 = 3;
const RATE: Rate = Rate { count: 4, per: Duration::from_secs(10) };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn limits_hold_whatever_happens_and_nobody_waits_for_ever(acts in proptest::collection::vec(act(), 1..160)) {
        let (mut mesh, mut now, mut seen) = (Mesh::new(3), 1_000, Seen::default());
        mesh.at(now);
        mesh.declare(1, &agent(), Some(Bounds { at_once: Some(AT_ONCE), rate: Some(RATE) }));
        for act in acts {
            happens(&mut mesh, &mut now, &mut seen, act);
            holds(&seen, now);
        }
        // Everything that is there goes through.
        let goes_through = (0..2_000).any(|_| goes_on(&mut mesh, &mut now, &mut seen));
        prop_assert!(goes_through, "somebody waits for ever");
    }
}

/// Everybody does what there is to do; whether it was the last of it.
fn goes_on(mesh: &mut Mesh, now: &mut u64, seen: &mut Seen) -> bool {
    mesh.settle();
    for shard in 0..3 {
        mesh.shards[shard].drain();
        happens(mesh, now, seen, Act::Claim { shard, count: 8 });
        holds(seen, *now);
        while seen.running.iter().any(|(of, ..)| *of == shard) {
            happens(mesh, now, seen, Act::Report { shard, how: 0 });
        }
    }
    happens(mesh, now, seen, Act::Wait { seconds: 3 });
    mesh.shards.iter().all(|shard| shard.counts().tasks == shard.counts().ended) && mesh.is_empty()
}

fn happens(mesh: &mut Mesh, now: &mut u64, seen: &mut Seen, act: Act) {
    match act {
        Act::Submit { shard, key, priority } => {
            let called = format!("{}", seen.keys.len());
            let submit = match key {
                Some(key) => keyed(&called, &format!("key{key}")),
                None => one(&called, "x"),
            };
            seen.keys.insert((shard, id(&called)), key);
            mesh.shards[shard].add(Submit { priority, ..submit });
        }
        Act::Claim { shard, count } => {
            for job in mesh.shards[shard].claim(shard as u8 + 1, &["x"], count) {
                let key = seen.keys[&(shard, job.task)];
                seen.running.push((shard, job, key));
                seen.begun.push(*now);
            }
        }
        Act::Report { shard, how } => {
            let Some(at) = seen.running.iter().position(|(of, ..)| *of == shard) else { return };
            let (_, job, _) = seen.running.remove(at);
            let outcome = match how {
                0 | 1 => succeeded("1"),
                2 => failed(true),
                _ => Outcome::GivenBack,
            };
            assert_eq!(mesh.shards[shard].report(&job, outcome), Answer::Reported);
        }
        Act::End { shard } => {
            seen.running.retain(|(of, ..)| *of != shard);
            mesh.shards[shard].end(shard as u8 + 1, u64::MAX, Ended::Silent);
        }
        Act::Cancel { shard, hard } => {
            let last = seen.keys.keys().filter(|(of, _)| *of == shard).map(|(_, task)| *task).next_back();
            let Some(task) = last else { return };
            let mode = if hard { CancelMode::Hard } else { CancelMode::Soft };
            mesh.shards[shard].apply(&Command::Cancel { task, mode, reason: "".into() });
        }
        Act::Carry { from, to } => mesh.carry(from, to),
        Act::Copy => mesh.copy(),
        Act::Wait { seconds } => {
            *now += seconds;
            mesh.at(*now);
            mesh.drain();
        }
    }
}

fn holds(seen: &Seen, now: u64) {
    assert!(seen.running.len() as u32 <= AT_ONCE, "as many run at once as may");
    for key in 0..2 {
        assert!(seen.running.iter().filter(|(.., of)| *of == Some(key)).count() <= 1, "one of a key runs");
    }
    let recent = seen.begun.iter().filter(|at| **at + 10 > now).count();
    assert!(recent as u32 <= RATE.count, "as many begin as may");
}

#[test]
fn a_clock_that_is_put_back_makes_the_span_of_a_rate_begin_anew() {
    let mut mesh = Mesh::new(1);
    mesh.declare(1, &agent(), Some(Bounds { at_once: None, rate: Some(Rate { count: 1, per: seconds(10) }) }));
    mesh.at(3_700);
    (0..2).for_each(|number| mesh.shards[0].add(one(&format!("{number}"), "x")));
    mesh.settle();
    let job = mesh.shards[0].take();
    mesh.settle();
    for (now, ready) in [(100, 0), (109, 0), (110, 1)] {
        mesh.at(now);
        mesh.drain();
        mesh.settle();
        assert_eq!(mesh.shards[0].counts().ready, ready, "{now}");
    }
    mesh.shards[0].succeed(&job);
    mesh.settle();
}
