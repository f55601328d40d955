//! Progress: a leader that commits nothing although there is something to commit gives up.
//!
//! Heartbeats and their answers are datagrams, entries go by stream. Where only datagrams get through, its followers would
//! hear of their leader for ever, and nothing would ever be committed, although the others could do without it. It can say
//! so: it falls silent, and whoever hears nothing stands for election. One whose streams do not reach anybody is not elected.

use super::Replicated;
use super::machine::Action;
use super::member::Member;
use super::observation::GroupObservation;
use crate::machine::Sink;

/// A leader's watch on its own commits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// What was committed when it was looked at last.
    committed: u64,
    /// Ticks since then in which there was more to commit.
    ticks: u64,
}

impl<S: Replicated> Member<S> {
    /// A tick has passed.
    pub(super) fn watch_progress(&mut self, out: &mut impl Sink<Action<S>>) {
        let log = &self.raft.raft.raft_log;
        let (committed, last) = (log.committed, log.last_index());
        if !self.is_leader() || committed != self.progress.committed || committed == last {
            self.progress = Progress { committed, ticks: 0 };
            return;
        }
        self.progress.ticks += 1;
        if self.progress.ticks > self.settings.patience_ticks() {
            let term = self.raft.raft.term;
            self.raft.raft.become_follower(term, raft::INVALID_ID);
            self.progress = Progress::default();
            self.observe(GroupObservation::GaveUp { term, committed, last }, out);
        }
    }
}
