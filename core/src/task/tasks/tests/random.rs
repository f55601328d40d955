//! Random commands, to the state and to the reference: both say the same, and show the same.
//!
//! Chores are worked off after each command. What the state looks like while they are under way is checked by `chores`.
//!
//! Mistakes that were made on purpose, and what caught them: `R` the property here, `C` the one of `chores`, `S` a story.
//!
//! | mistake | caught by |
//! | --- | --- |
//! | a report counts with any fence, as long as something runs | R, S |
//! | a report that was committed is not known when it is repeated | R, S |
//! | an end of claims ends those behind its number, too | R, S |
//! | a claim that found nothing is not known when it comes again | R, S |
//! | a step begins when all but one of those it waits for have succeeded | R, S |
//! | what is given back counts as an attempt; a pause doubles once too often | R, S |
//! | a replay does not raise the generation | R, S |
//! | a class that was served keeps its turn | R, S |
//! | what follows from an entry is worked off from the wrong end | R, S |
//! | a delay is forgotten where a task begins not before some time | R, S |
//! | a cancelled task ends as dead; an approval is taken behind a cancel | R, S |
//! | a cancel forgets those who are asked | R, C, S |
//! | counts are taken for steps that are not repeated for that output | R, C, S |
//! | what is due stays in the index of what is delayed; a purge releases no blob | R, C, S |
//! | an expansion that a cancel cuts short changes how many items there are | C, S |
//! | a cancelled step with a delay waits for its time before it is cancelled | S, and R in one run of two |
//! | of sixteen claims none serves low first | S: too seldom that many of one class |
//! | a replay does not take instances from those that are lost | S: too seldom an instance is dead and replayed |
//! | a cancel in the middle of a replay leaves what waits, or the step of the instances, as it is | S: takes more than 256 rows |
//! | a cancelled step takes the turn of its class | S: there is none when chores are worked off |
//! | the head of a snapshot is the one of now | `pieces` |

use super::super::StepKey;
use super::reference::{Reference, State};
use super::*;
use crate::epoch::FenceToken;
use crate::task::command::Policy;
use crate::task::workflow::Retry;
use alloc::string::ToString;
use proptest::collection::vec;
use proptest::prelude::*;

/// Wall clocks go forward and backward from here; chores are done at an instant before, at which nothing is due.
const BASE: u64 = 1_000_000;
const LATER: WallTime = WallTime::from_unix_nanos((BASE - 1) * 1_000_000_000);

/// Tasks there are at once, at most.
pub(super) const KEYS: u8 = 4;

/// A step of a random workflow.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The steps before it that it waits for, by bits.
    on: u8,
    /// An agent, an approval, or once for each item of what an earlier step gave.
    kind: u8,
    more: u8,
}

/// What somebody does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Submit { key: u8, more: u8, steps: Vec<Plan> },
    Claim { worker: u8, agents: u8, count: u8, number: u8 },
    Report { job: u8, outcome: u8, items: u8 },
    End { worker: u8, behind: u8 },
    Due,
    Cancel { key: u8, is_hard: bool },
    Replay { key: u8, is_stale: bool },
    Decide { key: u8, step: u8, is_approved: bool },
    Policy { agent: u8, attempts: u8 },
    Pause { agent: u8, is_paused: bool },
    Purge { ago: u8 },
}

prop_compose! {
    fn plan()(on in any::<u8>(), kind in 0u8..8, more in any::<u8>()) -> Plan {
        Plan { on, kind, more }
    }
}

pub(super) fn act() -> impl Strategy<Value = (i8, Act)> {
    let keys = 0u8..KEYS;
    let act = prop_oneof![
        4 => (keys.clone(), any::<u8>(), vec(plan(), 0..8)).prop_map(|(key, more, steps)| Act::Submit { key, more, steps }),
        6 => (0u8..3, 1u8..8, 1u8..5, 0u8..8)
            .prop_map(|(worker, agents, count, number)| Act::Claim { worker, agents, count, number }),
        8 => (any::<u8>(), 0u8..10, 0u8..4).prop_map(|(job, outcome, items)| Act::Report { job, outcome, items }),
        1 => (0u8..3, 0u8..3).prop_map(|(worker, behind)| Act::End { worker, behind }),
        3 => Just(Act::Due),
        2 => (keys.clone(), any::<bool>()).prop_map(|(key, is_hard)| Act::Cancel { key, is_hard }),
        3 => (keys.clone(), 0u8..4).prop_map(|(key, stale)| Act::Replay { key, is_stale: stale == 0 }),
        3 => (keys, 0u8..8, 0u8..4).prop_map(|(key, step, no)| Act::Decide { key, step, is_approved: no > 0 }),
        1 => (0u8..3, 0u8..4).prop_map(|(agent, attempts)| Act::Policy { agent, attempts }),
        1 => (0u8..4, any::<bool>()).prop_map(|(agent, is_paused)| Act::Pause { agent, is_paused }),
        1 => (0u8..40).prop_map(|ago| Act::Purge { ago }),
    ];
    (-4i8..12, act)
}

const AGENTS: [&str; 3] = ["x", "y", "z"];

fn steps_of(plans: &[Plan]) -> String {
    let steps: Vec<String> = plans.iter().enumerate().map(|(at, plan)| step_of(at, plan)).collect();
    steps.join(",")
}

fn step_of(at: usize, plan: &Plan) -> String {
    let Plan { on, kind, more } = plan;
    let on: Vec<String> = (0..at).filter(|bit| on >> bit & 1 == 1).map(|bit| format!("\"s{bit}\"")).collect();
    let mut json = format!("{{\"id\":\"s{at}\",\"dependsOn\":[{}]", on.join(","));
    if more & 3 == 3 {
        json += ",\"delayMs\":5000";
    }
    if *kind == 7 {
        let timeout = if more >> 2 & 1 == 1 { ",\"timeoutMs\":6000" } else { "" };
        return json + ",\"approval\":\"may it?\"" + timeout + "}";
    }
    json += &format!(",\"agent\":\"{}\"", AGENTS[usize::from(more >> 2 & 1)]);
    if (4..7).contains(kind) && at > 0 {
        let path = if more >> 3 & 3 == 3 { "/list" } else { "" };
        json += &format!(",\"forEach\":{{\"$from\":\"s{}\",\"path\":\"{path}\"}}", usize::from(more >> 5) % at);
    }
    json += match more >> 3 & 7 {
        0 => ",\"priority\":\"high\"",
        1 => ",\"priority\":\"low\"",
        2 => ",\"labels\":{\"gpu\":\"yes\"}",
        3 => ",\"retry\":{\"maxAttempts\":1}",
        4 => ",\"retry\":{\"maxAttempts\":2,\"baseBackoffMs\":1,\"maxBackoffMs\":1}",
        _ => "",
    };
    json + "}"
}

/// The state, the reference, and what workers remember.
#[derive(Default)]
pub(super) struct World {
    pub(super) shard: Shard,
    reference: Reference,
    jobs: Vec<Job>,
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self::default();
        world.shard.at(BASE);
        (0..2).for_each(|number| world.shard.bring(number));
        world
    }

    pub(super) fn command(&mut self, later: i8, act: &Act) -> Command {
        let clock = self.shard.now.as_unix_nanos() / 1_000_000_000;
        self.shard.at(BASE.max(clock.saturating_add_signed(i64::from(later))));
        match act {
            Act::Submit { key, more, steps } => Command::Submit(Box::new(self.submission(*key, *more, steps))),
            Act::Claim { worker, agents, count, number } => {
                let agents: Vec<&str> = (0..3).filter(|bit| agents >> bit & 1 == 1).map(|bit| AGENTS[bit]).collect();
                let mut claim = self.shard.next_claim(*worker, &agents, u16::from(*count));
                claim.labels = if *worker == 0 { labels(&[("gpu", "yes")]) } else { vec![] };
                // Again, or a late one.
                let behind = [0, 0, 0, 0, 0, 0, 1, 2][usize::from(*number)];
                claim.number = claim.number.saturating_sub(behind).max(1);
                if behind > 0 {
                    let (_, last) = self.shard.claims.iter_mut().find(|(known, _)| *known == claim.worker).unwrap();
                    *last -= u64::from(*last > 1);
                }
                Command::Claim(Box::new(claim))
            }
            Act::Report { job, outcome, items } => self.report_of(*job, *outcome, *items),
            Act::End { worker: of, behind } => {
                let last =
                    self.shard.claims.iter().find(|(known, _)| *known == worker(*of)).map_or(0, |(_, last)| *last);
                let upto = last.saturating_sub(u64::from(*behind));
                Command::End { worker: worker(*of), upto, why: Ended::Silent }
            }
            Act::Due => Command::Due,
            Act::Cancel { key, is_hard } => {
                let mode = if *is_hard { CancelMode::Hard } else { CancelMode::Soft };
                Command::Cancel { task: id_of(*key), mode, reason: "why not".into() }
            }
            Act::Replay { key, is_stale } => {
                let now = self.shard.view(&key.to_string()).map_or(0, |view| view.generation);
                Command::Replay { task: id_of(*key), generation: now.saturating_sub(u32::from(*is_stale)) }
            }
            Act::Decide { key, step, is_approved } => {
                let steps = self.shard.view(&key.to_string()).map(|view| view.steps).unwrap_or_default();
                let asking: Vec<&StepView> = steps.iter().filter(|step| step.state == StepStatus::Asking).collect();
                // Mostly one that is asked.
                let asked = asking.get(usize::from(*step) % asking.len().max(1)).filter(|_| *step < 6);
                let step = asked.and_then(|step| step.name.clone()).unwrap_or_else(|| name(&format!("s{step}")));
                let (task, words) = (id_of(*key), "so be it".into());
                Command::Decide { task, step, item: None, is_approved: *is_approved, words }
            }
            Act::Policy { agent, attempts } => {
                let attempts_max = u16::from(*attempts);
                let retry = Some(Retry { attempts_max, base: seconds(2), max: seconds(7) });
                let policy = (*attempts > 0).then_some(Policy { retry, timeout: None });
                Command::Policy { agent: name(AGENTS[usize::from(*agent)]), policy }
            }
            Act::Pause { agent, is_paused } => {
                Command::Pause { agent: AGENTS.get(usize::from(*agent)).map(|it| name(it)), is_paused: *is_paused }
            }
            Act::Purge { ago } => {
                let before = self.shard.now.as_unix_nanos() - u64::from(*ago) * 1_000_000_000;
                Command::Purge { before: WallTime::from_unix_nanos(before) }
            }
        }
    }

    fn submission(&self, key: u8, more: u8, steps: &[Plan]) -> Submit {
        let task = match steps {
            [] => one("", AGENTS[usize::from(more & 1)]),
            _ => flow("", &steps_of(steps)),
        };
        let not_before = (more >> 1 & 7 == 0).then(|| self.shard.now.saturating_add(seconds(6)));
        let priority = [Priority::Normal, Priority::High, Priority::Low, Priority::Normal][usize::from(more >> 4 & 3)];
        let retention = (more >> 6 == 0).then(|| seconds(20));
        let input = more.is_multiple_of(5).then(|| blob(more % 2));
        Submit { id: id_of(key), input, not_before, priority, retention, ..task }
    }

    fn report_of(&self, job: u8, outcome: u8, items: u8) -> Command {
        // Mostly one that runs, else one of the newest that there were.
        let runs = |it: &&Job| (0..3).any(|number| self.shard.tasks.is_running(it.step, worker(number), it.fence));
        let (running, newest): (Vec<&Job>, Vec<&Job>) =
            (self.jobs.iter().filter(runs).collect(), self.jobs.iter().rev().take(8).collect());
        let from = if job < 200 && !running.is_empty() { running } else { newest };
        let Some(job) = from.get(usize::from(job) % from.len().max(1)) else {
            let step = StepKey { task: super::super::TaskNumber::default(), row: 0 };
            return Command::Report { step, fence: FenceToken::new(ClusterEpoch(1), 7), outcome: Outcome::Stopped };
        };
        let counted = match outcome {
            // It does not say, or says of steps that it was not asked of.
            0 => vec![],
            1 => (0..8).map(|step| (StepIndex(step), u32::from(items))).collect(),
            _ => job.lists.iter().map(|(step, _)| (*step, u32::from(items))).collect(),
        };
        let output = if items == 3 { blob(job.step.row as u8 % 2) } else { Payload::inline(&[items]) };
        let outcome = match outcome {
            0..=4 => Outcome::Succeeded { output, counts: counted },
            5 | 6 => failed(true),
            7 => failed(false),
            8 => Outcome::GivenBack,
            _ => Outcome::Stopped,
        };
        Command::Report { step: job.step, fence: job.fence, outcome }
    }

    /// To both; they have to agree.
    fn apply(&mut self, command: &Command) {
        let (at, sequence) = (self.shard.now, self.shard.sequence + 1);
        let answer = self.shard.apply(command);
        self.remember(&answer);
        let expected = self.reference.apply(sequence, at, LATER, command);
        assert_eq!(said(&answer, command), expected, "{command:?}");
        self.work_off();
        self.compare();
    }

    pub(super) fn remember(&mut self, answer: &Answer) {
        if let Answer::Claimed(jobs) = answer {
            self.jobs.extend(jobs.iter().cloned());
        }
    }

    /// Chores, at an instant at which nothing is due: the clock is put back.
    fn work_off(&mut self) {
        let now = core::mem::replace(&mut self.shard.now, LATER);
        for _ in 0..100 {
            if self.shard.counts().chores == 0 {
                self.shard.now = now;
                return;
            }
            self.shard.due();
            self.reference.put_back(LATER);
        }
        panic!("chores do not end");
    }

    fn compare(&mut self) {
        let Answer::Conflicts(conflicts) = self.shard.read(&Query::Conflicts) else { panic!("conflicts are shown") };
        assert_eq!(conflicts.len(), self.reference.conflicts.min(64), "conflicts");
        assert_eq!(self.shard.counts().tasks, self.reference.tasks.len() as u64, "tasks");
        for task in 0..self.reference.tasks.len() {
            let the = &mut self.reference.tasks[task];
            let Answer::Task(mut view) = self.shard.read(&Query::Task { task: the.id, from: 0 }) else {
                panic!("{:?} is there", the.id)
            };
            while view.steps.len() < view.rows as usize {
                let from = view.steps.len() as u32;
                let Answer::Task(more) = self.shard.read(&Query::Task { task: the.id, from }) else { break };
                assert!(!more.steps.is_empty(), "all rows are shown");
                view.steps.extend(more.steps);
            }
            assert_eq!(view.status, the.status(), "what has become of the task");
            assert_eq!((view.generation, view.ended), (the.generation, the.ended.map(|(at, _)| at)));
            assert_eq!(view.rows as usize, the.rows.len(), "rows");
            for (row, step) in the.rows.iter_mut().zip(&view.steps) {
                // The pause before an attempt is drawn: any within the bound.
                if let (State::Delayed(from, until, _), StepStatus::Delayed { due }) = (&mut row.state, &step.state) {
                    assert!(*from <= *due && *due <= *until, "due at {due:?}, and not from {from:?} to {until:?}");
                    (*from, *until) = (*due, *due);
                }
            }
            for (row, step) in view.steps.iter().enumerate() {
                let expected = self.shown(task, row);
                let found = (step.state.clone(), step.attempts, step.item);
                assert_eq!(found, expected, "row {row} of {:?}", self.reference.tasks[task]);
            }
        }
    }

    fn shown(&self, task: usize, at: usize) -> (StepStatus, u16, Option<u32>) {
        let the = &self.reference.tasks[task];
        let row = &the.rows[at];
        let state = match row.state.clone() {
            State::Waiting if the.status() == Status::Cancelled => StepStatus::Cancelled,
            State::Waiting => StepStatus::Waiting { left: the.waits_for(at) as u16 },
            State::Delayed(due, ..) => StepStatus::Delayed { due },
            State::Asking(_) => StepStatus::Asking,
            State::Ready(_) => {
                let (ahead, is_paused) = (self.reference.ahead(task, at), self.reference.is_paused(task, at));
                StepStatus::Ready { ahead, is_paused }
            }
            State::Running { fence, worker, .. } => StepStatus::Running { worker, fence },
            State::Expanded => {
                let is_of = |row: &&super::reference::Row| row.instance.is_some_and(|(step, _)| step == at);
                let has_succeeded = |row: &&super::reference::Row| matches!(row.state, State::Succeeded(_));
                let done = the.rows.iter().filter(is_of).filter(has_succeeded).count() as u32;
                let count = row.items.unwrap();
                StepStatus::Expanded { left: count - done, count }
            }
            State::Succeeded(output) => StepStatus::Succeeded { output },
            State::Dead => StepStatus::Dead,
            State::Cancelled => StepStatus::Cancelled,
        };
        (state, row.attempts, row.instance.map(|(_, item)| item))
    }
}

fn id_of(key: u8) -> SubmissionId {
    id(&key.to_string())
}

/// What was said, in a few words.
fn said(answer: &Answer, command: &Command) -> String {
    match answer {
        Answer::Submitted { is_known: true, status } => format!("known, {status:?}"),
        Answer::Submitted { is_known: false, status } => format!("submitted, {:?}", Some(status)),
        Answer::Claimed(jobs) => {
            let job = |job: &Job| format!("{} {} {}", job.step, job.fence, job.attempt);
            format!("claimed {:?}", jobs.iter().map(job).collect::<Vec<_>>())
        }
        Answer::Reported => "reported".into(),
        Answer::Done { .. } => "done".into(),
        Answer::Cancel(status) => format!("cancel {status:?}"),
        Answer::Refused(Refusal::NoTask) => "no such task".into(),
        Answer::Refused(Refusal::NoStep) => "no such step".into(),
        Answer::Refused(Refusal::Stale { .. }) => "stale".into(),
        Answer::Refused(Refusal::StaleClaim { .. }) => "stale claim".into(),
        Answer::Refused(Refusal::Status { status }) => format!("is {status:?}"),
        Answer::Refused(Refusal::NotAsking) => "is not asked".into(),
        other => panic!("{command:?} was answered {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_state_says_and_shows_what_the_reference_does(acts in vec(act(), 0..80)) {
        let mut world = World::new();
        for (later, act) in &acts {
            let command = world.command(*later, act);
            world.apply(&command);
        }
    }
}
