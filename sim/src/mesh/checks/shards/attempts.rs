//! Which attempts there were of every step, and which of them counts: TASK-2.
//!
//! All that the world outside sees of an attempt is its fence. So every attempt marks what it gives with its fence, whoever gets
//! the output of a step gets the mark with it, and here it is held against the attempts that were begun: what is committed is
//! what the newest one gave, none is begun behind it, and all who get it get the same.

use crate::clock::HostClock;
use crate::mesh::clients::shards::MARK;
use crate::time::TrueTime;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::shards::ShardId;
use relaymesh_core::task::id::StepKey;
use relaymesh_core::task::worker::view::Run;
use relaymesh_core::time::{Duration, WallTime};

#[derive(Debug)]
struct Step {
    /// Of the attempts that were begun, the places of their claims in the log, and when they were ordered.
    begun: Vec<(u64, TrueTime)>,
    input: Vec<u8>,
    /// The one whose result was seen to be committed.
    committed: Option<u64>,
}

/// The attempts at all steps of a run.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    steps: BTreeMap<(ShardId, StepKey), Step>,
}

/// Without the marks of those that gave it.
pub(super) fn unmarked(bytes: &[u8]) -> Vec<u8> {
    let mut is_mark = false;
    let is_kept = |byte: &u8| {
        is_mark = *byte == MARK as u8 || (is_mark && byte.is_ascii_digit());
        !is_mark
    };
    bytes.iter().copied().filter(is_kept).collect()
}

/// Whose mark an output has: the last one, where it repeats those of its input.
fn mark(output: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(output).ok()?;
    let (_, behind) = text.rsplit_once(MARK)?;
    let end = behind.find(|it: char| !it.is_ascii_digit()).unwrap_or(behind.len());
    behind[..end].parse().ok()
}

impl Attempts {
    /// An attempt begins; what is wrong with that.
    pub(super) fn began(&mut self, run: &Run, now: TrueTime) -> Option<String> {
        let at = run.key.fence.log_index();
        let step = match self.steps.entry((run.key.shard, run.key.step)) {
            Entry::Vacant(place) => {
                place.insert(Step { begun: [(at, now)].into(), input: run.input.0.to_vec(), committed: None });
                return None;
            }
            Entry::Occupied(place) => place.into_mut(),
        };
        step.begun.push((at, now));
        if step.input != *run.input.0 {
            let (is, was) = (String::from_utf8_lossy(&run.input.0), String::from_utf8_lossy(&step.input));
            return Some(format!("is given {is:?}, and an earlier attempt was given {was:?}"));
        }
        let committed = step.committed.filter(|committed| *committed < at)?;
        Some(format!("begins behind the attempt of entry {committed}, whose result is committed"))
    }

    /// Whether somebody was told to run a step in that time, by clocks that are right.
    pub(super) fn ran_between(&self, shard: ShardId, step: StepKey, from: WallTime, to: WallTime) -> bool {
        let clock = HostClock::new(Duration::ZERO);
        let is_between = |(_, ordered): &(u64, TrueTime)| (from..=to).contains(&clock.wall(*ordered));
        self.steps.get(&(shard, step)).is_some_and(|step| step.begun.iter().any(is_between))
    }

    /// It is said what a step has come to; what is wrong with that.
    pub(super) fn committed(&mut self, shard: ShardId, step: StepKey, output: &[u8]) -> Option<String> {
        // An empty list has no place for a mark.
        let by = mark(output)?;
        let Some(step) = self.steps.get_mut(&(shard, step)) else { return Some("was never begun".into()) };
        if let Some(before) = step.committed.replace(by).filter(|before| *before != by) {
            return Some(format!("has come to what the attempt of entry {by} gave, after that of entry {before}"));
        }
        if step.begun.iter().all(|(at, _)| *at != by) {
            return Some(format!("has come to what an attempt of entry {by} gave, which nobody began"));
        }
        let newest = step.begun.iter().map(|(at, _)| at).max().filter(|newest| **newest > by)?;
        Some(format!("has come to what the attempt of entry {by} gave, though that of entry {newest} was begun"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relaymesh_core::bytes::Blob;
    use relaymesh_core::control::state::Name as Namespace;
    use relaymesh_core::epoch::{ClusterEpoch, FenceToken};
    use relaymesh_core::replication::LogSequence;
    use relaymesh_core::replication::once::SubmissionId;
    use relaymesh_core::task::id::TaskNumber;
    use relaymesh_core::task::worker::view::RunKey;
    use relaymesh_core::task::workflow::Name;

    fn key() -> (ShardId, StepKey) {
        let shard = ShardId { namespace: Namespace::new("n").unwrap(), number: 0 };
        (shard, StepKey { task: TaskNumber(LogSequence(3)), row: 0 })
    }

    fn run(at: u64, input: &str) -> Run {
        let (shard, step) = key();
        Run {
            key: RunKey { shard, step, fence: FenceToken::new(ClusterEpoch(1), at) },
            task: SubmissionId::from_bytes([1; 16]),
            name: None,
            item: None,
            attempt: 1,
            agent: Name::new("work").unwrap(),
            input: Blob(input.as_bytes().into()),
            timeout: Duration::from_secs(1),
            traceparent: None,
        }
    }

    fn begun(attempts: &[u64]) -> Attempts {
        let mut begun = Attempts::default();
        assert!(attempts.iter().all(|at| begun.began(&run(*at, "x~4"), TrueTime(*at)).is_none()));
        begun
    }

    fn comes_to(attempts: &mut Attempts, output: &str) -> String {
        attempts.committed(key().0, key().1, output.as_bytes()).unwrap_or_default()
    }

    #[test]
    fn marks_are_read_and_taken_away() {
        assert_eq!(unmarked(b"[\"a:1~57\",\"b~3\"]"), b"[\"a:1\",\"b\"]");
        assert_eq!(mark(b"work:work:7~12~31"), Some(31));
        assert_eq!(mark(b"[\"item-0~31\",\"item-1~31\"]"), Some(31));
        assert_eq!((mark(b"[]"), mark(b"\xff~1")), (None, None));
    }

    #[test]
    fn task_2_is_silent_where_the_newest_attempt_counts() {
        let mut attempts = begun(&[10, 20, 15]);
        assert_eq!(comes_to(&mut attempts, "work:x~4~20"), "");
        assert_eq!(comes_to(&mut attempts, "work:x~4~20"), "");
        assert_eq!(comes_to(&mut attempts, "[]"), "");
    }

    #[test]
    fn task_2_finds_older_attempts_strange_ones_and_those_behind() {
        assert!(comes_to(&mut begun(&[10, 20]), "work:x~4~10").contains("20 was begun"));
        assert!(comes_to(&mut begun(&[10]), "work:x~4~12").contains("nobody began"));
        assert!(comes_to(&mut Attempts::default(), "work:x~4~12").contains("never begun"));
        let mut attempts = begun(&[10]);
        assert_eq!(comes_to(&mut attempts, "work:x~4~10"), "");
        assert!(attempts.began(&run(20, "x~4"), TrueTime(20)).unwrap().contains("behind"));
        assert!(comes_to(&mut attempts, "work:x~4~20").contains("after that of entry 10"));
        assert!(begun(&[10]).began(&run(20, "x~5"), TrueTime(20)).unwrap().contains("an earlier attempt"));
    }
}
