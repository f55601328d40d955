//! What logs say of tasks, as they are shown: which tasks are cancelled, and who was given permits. TASK-3, TASK-4.

use super::super::{MeshChecks, TASK_4};
use crate::check::Findings;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::replication::Position;
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::shards::ShardId;
use relaymesh_core::task::command::Command;
use relaymesh_core::task::limit::LimitName;
use relaymesh_core::task::word::{Permit, Word};
use relaymesh_core::task::worker::view::Run;

type Task = (ShardId, SubmissionId);

/// What was shown.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Where it stands that a task is to stop.
    cancels: BTreeMap<Task, Vec<Position>>,
    /// Clients were told that it was there to be stopped.
    cancelled: BTreeSet<Task>,
    /// By the shard that was given a permit: under which number by whom.
    given: BTreeMap<(ShardId, LimitName, Permit), (u32, u64)>,
}

impl Said {
    /// A client was told how far a cancel has come.
    pub(super) fn cancelled(&mut self, shard: ShardId, task: SubmissionId) {
        self.cancelled.insert((shard, task));
    }

    /// The entry behind which nothing of a task is given out, if it is known which one that is.
    fn cancel(&self, task: &Task) -> Option<Position> {
        let cancels = self.cancels.get(task).filter(|_| self.cancelled.contains(task))?;
        // Of several, all but one may have come before the task.
        <[Position; 1]>::try_from(cancels.as_slice()).ok().map(|[at]| at)
    }

    /// An entry is shown; what is wrong with it.
    fn shown(&mut self, shard: ShardId, at: Position, command: &Command) -> Option<String> {
        match command {
            Command::Cancel { task, .. } => {
                let cancels = self.cancels.entry((shard, *task)).or_default();
                if !cancels.contains(&at) {
                    cancels.push(at);
                }
                None
            }
            Command::Take { from, words } => {
                words.iter().find_map(|(number, word)| self.word(shard, *from, *number, word))
            }
            _ => None,
        }
    }

    fn word(&mut self, shard: ShardId, from: u32, number: u64, word: &Word) -> Option<String> {
        let Word::Given { limit, permit, .. } = word else { return None };
        let known = *self.given.entry((shard, limit.clone(), *permit)).or_insert((from, number));
        (known != (from, number)).then(|| {
            format!(
                "{limit} is given to {permit:?} of {shard} by words {known:?} and {:?} of its shard",
                (from, number)
            )
        })
    }
}

impl MeshChecks {
    /// Entries are shown for the first time.
    pub(super) fn entries_shown(
        &mut self,
        host: u32,
        shard: ShardId,
        entries: &[(Position, Command)],
        found: &mut Findings,
    ) {
        for (at, command) in entries {
            if let Some(what) = self.shards.said.shown(shard, *at, command) {
                found.fail(TASK_4, &[host], what);
            }
        }
    }

    /// What is wrong with a run of a task that is cancelled: it was given out behind the cancel.
    pub(super) fn problem_of_cancelled(&self, run: &Run) -> Option<String> {
        let at = self.shards.said.cancel(&(run.key.shard, run.task))?;
        let is_acknowledged = self.shards.logs.has_acknowledged(&run.key.shard, at);
        let is_behind = is_acknowledged && at.sequence.0 < run.key.fence.log_index();
        is_behind.then(|| format!("was given out behind the entry {at}, which says that the task is to stop"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relaymesh_core::control::state::Name as Namespace;
    use relaymesh_core::epoch::{ClusterEpoch, Epoch};
    use relaymesh_core::replication::LogSequence;
    use relaymesh_core::task::command::CancelMode;
    use relaymesh_core::task::id::{StepKey, TaskNumber};
    use relaymesh_core::task::workflow::Name;

    fn shard() -> ShardId {
        ShardId { namespace: Namespace::new("n").unwrap(), number: 0 }
    }

    fn at(sequence: u64) -> Position {
        Position { epoch: Epoch { cluster: ClusterEpoch(1), lease: 1 }, sequence: LogSequence(sequence) }
    }

    #[test]
    fn a_cancel_counts_once_a_client_knows_of_it_and_if_there_is_one() {
        let task = SubmissionId::from_bytes([1; 16]);
        let cancel = Command::Cancel { task, mode: CancelMode::Soft, reason: "why".into() };
        let mut said = Said::default();
        assert_eq!(said.shown(shard(), at(7), &cancel), None);
        assert_eq!(said.cancel(&(shard(), task)), None, "it may have been refused");
        said.cancelled(shard(), task);
        assert_eq!(said.cancel(&(shard(), task)), Some(at(7)));
        assert_eq!(said.shown(shard(), at(7), &cancel), None);
        assert_eq!(said.cancel(&(shard(), task)), Some(at(7)), "shown by another");
        assert_eq!(said.shown(shard(), at(9), &cancel), None);
        assert_eq!(said.cancel(&(shard(), task)), None, "one of them may have been refused");
    }

    #[test]
    fn task_4_finds_a_permit_that_is_given_by_two_words() {
        let permit = |number| Permit { step: StepKey { task: TaskNumber(LogSequence(1)), row: 0 }, number };
        let given = |number, permit| {
            let word = Word::Given { to: 0, limit: LimitName::Key(Name::new("red").unwrap()), permit };
            Command::Take { from: 1, words: [(number, word)].into() }
        };
        let mut said = Said::default();
        assert_eq!(said.shown(shard(), at(1), &given(4, permit(1))), None);
        assert_eq!(said.shown(shard(), at(2), &given(4, permit(1))), None, "said again");
        assert_eq!(said.shown(shard(), at(3), &given(5, permit(2))), None, "another wish");
        assert!(said.shown(shard(), at(4), &given(6, permit(1))).unwrap().contains("red"));
    }
}
