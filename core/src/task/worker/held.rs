//! What a worker says it has of each shard (rule T2b), and how far that is.

use super::jobs::{Doing, Phase};
use super::view::RunKey;
use crate::epoch::FenceToken;
use crate::shards::ShardId;
use crate::task::id::StepKey;
use crate::task::wire::{Held, PROGRESS_MAX};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What the worker has of a shard, whose claims up to that one were answered. What is being reported is among it: whether the
/// report was taken, nobody knows yet.
pub(super) fn held(jobs: &BTreeMap<RunKey, Doing>, shard: ShardId, upto: u64) -> Held {
    let first = RunKey { shard, step: StepKey { task: Default::default(), row: 0 }, fence: FenceToken::LEAST };
    let of_shard = jobs.range(first..).take_while(|(key, _)| key.shard == shard);
    Held { shard, upto, steps: of_shard.map(|(key, _)| (key.step, key.fence)).collect(), progress: Vec::new() }
}

/// Adds how far runs are: first those of which that was not told yet. What was told is told again where there is room, as the
/// owner may be another one, or may have missed it.
pub(super) fn say_progress(jobs: &mut BTreeMap<RunKey, Doing>, holds: &mut [Held]) {
    let mut room = PROGRESS_MAX;
    for is_told in [false, true] {
        for held in &mut *holds {
            for (step, fence) in held.steps.clone() {
                let doing = jobs.get_mut(&RunKey { shard: held.shard, step, fence });
                let Some(doing) = doing.filter(|doing| matches!(doing.phase, Phase::Running)) else { continue };
                let Some((progress, told)) = doing.progress.as_mut().filter(|(_, told)| *told == is_told) else {
                    continue;
                };
                if room == 0 {
                    return;
                }
                let is_said = held.progress.iter().any(|(of, by, _)| (*of, *by) == (step, fence));
                if !is_said {
                    room -= 1;
                    *told = true;
                    held.progress.push((step, fence, progress.clone()));
                }
            }
        }
    }
}
