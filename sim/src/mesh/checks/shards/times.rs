//! How long attempts have, and how soon they are followed by others: TASK-6, TASK-7. Read off what clients are told of steps.

use super::super::{TASK_6, TASK_7};
use crate::mesh::settings;
use crate::scenario::{FaultKind, PlannedFault, Scenario};
use alloc::format;
use alloc::string::String;
use relaymesh_core::task::command::Ended;
use relaymesh_core::task::view::{Happened, StepStatus, StepView};
use relaymesh_core::task::workflow::Retry;
use relaymesh_core::time::{Duration, WallTime};

/// Monotonic clocks, by which claims are counted, run faster than wall clocks by no more than one in so many.
const STRAY_PER: u64 = 50;

/// What is known of the clocks, and of claims.
#[derive(Debug)]
pub(in super::super) struct Times {
    /// The time to live of a claim.
    ttl: Duration,
    /// Somebody's clock was wrong, or may have been.
    have_clocks_strayed: bool,
    pub(super) retries: u64,
    pub(super) silences: u64,
}

/// The time from the one to the other, by the clock of whoever wrote it down.
fn between(from: WallTime, to: WallTime) -> Duration {
    Duration::from_nanos(to.as_unix_nanos().saturating_sub(from.as_unix_nanos()))
}

impl Times {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let have_clocks_strayed = scenario.control.clocks_stray || scenario.clocks.offset.0 > Duration::ZERO;
        Self::of(settings(scenario).tasks.ttl, have_clocks_strayed)
    }

    fn of(ttl: Duration, have_clocks_strayed: bool) -> Self {
        Self { ttl, have_clocks_strayed, retries: 0, silences: 0 }
    }

    pub(in super::super) fn fault(&mut self, fault: &PlannedFault) {
        use FaultKind::{ClockRate, ClockStep, WallRate};
        self.have_clocks_strayed |= matches!(fault.kind, ClockRate | ClockStep | WallRate);
    }

    /// All wall clocks have shown true time since the run began.
    pub(super) fn are_clocks_right(&self) -> bool {
        !self.have_clocks_strayed
    }

    /// What is wrong with what is told of a step that may be tried so often.
    /// `ran` says whether somebody was told to run it in that time: a claim that nobody was given may end as soon as one likes.
    pub(super) fn problem(
        &mut self,
        step: &StepView,
        retry: Retry,
        ran: impl Fn(WallTime, WallTime) -> bool,
    ) -> Option<(&'static str, String)> {
        self.retries += u64::from(step.attempts > 1);
        if step.attempts > retry.attempts_max {
            return Some((
                TASK_6,
                format!("was tried {} times, and may be {} times", step.attempts, retry.attempts_max),
            ));
        }
        if self.have_clocks_strayed {
            return None;
        }
        self.problem_of_pause(step, retry).or_else(|| self.problem_of_claims(step, ran))
    }

    fn problem_of_pause(&self, step: &StepView, retry: Retry) -> Option<(&'static str, String)> {
        let StepStatus::Delayed { due } = &step.state else { return None };
        let last = step.history.last().filter(|it| matches!(it.what, Happened::Failed | Happened::ClaimEnded(_)))?;
        let doublings = u32::from(step.attempts.saturating_sub(1)).min(40);
        let bound = retry.base.saturating_mul(1 << doublings).min(retry.max);
        let pause = between(last.at, *due);
        (pause > bound)
            .then(|| (TASK_6, format!("waits for {pause:?} after attempt {}, and may for {bound:?}", step.attempts)))
    }

    fn problem_of_claims(
        &mut self,
        step: &StepView,
        ran: impl Fn(WallTime, WallTime) -> bool,
    ) -> Option<(&'static str, String)> {
        let least = self.ttl.saturating_sub(Duration::from_nanos(self.ttl.as_nanos() / STRAY_PER));
        for pair in step.history.windows(2) {
            let [claimed, ended] = pair else { continue };
            let (Happened::Claimed(_), Happened::ClaimEnded(Ended::Silent)) = (claimed.what, ended.what) else {
                continue;
            };
            if !ran(claimed.at, ended.at) {
                continue;
            }
            self.silences += 1;
            let lived = between(claimed.at, ended.at);
            if lived < least {
                let ttl = self.ttl;
                return Some((
                    TASK_7,
                    format!("had its claim ended for silence after {lived:?}, and it lives for {ttl:?}"),
                ));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::node_id;
    use alloc::vec::Vec;
    use relaymesh_core::identity::{BootIncarnation, Incarnation, StoreIncarnation};
    use relaymesh_core::task::view::Moment;

    const RETRY: Retry = Retry { attempts_max: 4, base: Duration::from_millis(100), max: Duration::from_millis(300) };

    fn at(millis: u64) -> WallTime {
        WallTime::from_unix_nanos(millis * 1_000_000)
    }

    fn step(attempts: u16, state: StepStatus, history: &[(u64, Happened)]) -> StepView {
        let history: Vec<Moment> =
            history.iter().map(|(millis, what)| Moment { at: at(*millis), what: *what }).collect();
        let (name, item, agent, waits_for, words) = (None, None, None, None, None);
        StepView { row: 0, name, item, agent, state, waits_for, attempts, words, history }
    }

    fn finds(step: &StepView) -> Option<&'static str> {
        let problem = Times::of(Duration::from_secs(5), false).problem(step, RETRY, |_, _| true);
        problem.map(|(invariant, _)| invariant)
    }

    fn waits(attempts: u16, until: u64) -> StepView {
        step(attempts, StepStatus::Delayed { due: at(until) }, &[(1_000, Happened::Failed)])
    }

    #[test]
    fn task_6_bounds_attempts_and_the_pauses_between() {
        assert_eq!(finds(&waits(1, 1_100)), None);
        assert_eq!(finds(&waits(1, 1_101)), Some(TASK_6));
        assert_eq!(finds(&waits(2, 1_200)), None);
        assert_eq!(finds(&waits(3, 1_300)), None);
        assert_eq!(finds(&waits(3, 1_301)), Some(TASK_6), "the longest one is 300 ms");
        assert_eq!(finds(&step(4, StepStatus::Dead, &[])), None);
        assert_eq!(finds(&step(5, StepStatus::Dead, &[])), Some(TASK_6));
        let delayed = step(0, StepStatus::Delayed { due: at(9_000) }, &[(1_000, Happened::Ready)]);
        assert_eq!(finds(&delayed), None, "that is no pause before a retry");
    }

    #[test]
    fn task_7_has_a_claim_live_for_its_time() {
        let worker = Incarnation { node: node_id(1), store: StoreIncarnation(1), boot: BootIncarnation(1) };
        let ended = |after: u64, why| {
            let history = [(1_000, Happened::Claimed(worker)), (1_000 + after, Happened::ClaimEnded(why))];
            step(1, StepStatus::Dead, &history)
        };
        assert_eq!(finds(&ended(5_250, Ended::Silent)), None);
        assert_eq!(finds(&ended(4_899, Ended::Silent)), Some(TASK_7));
        assert_eq!(finds(&ended(100, Ended::Gone)), None, "its session has ended");
        let mut strayed = Times::of(Duration::from_secs(5), true);
        assert_eq!(strayed.problem(&ended(1, Ended::Silent), RETRY, |_, _| true), None, "nobody knows by whose clock");
        let mut times = Times::of(Duration::from_secs(5), false);
        assert_eq!(times.problem(&ended(100, Ended::Silent), RETRY, |_, _| false), None, "nobody was given it");
        assert_eq!(
            (times.silences, times.problem(&ended(100, Ended::Silent), RETRY, |_, _| true).is_some()),
            (0, true)
        );
    }
}
