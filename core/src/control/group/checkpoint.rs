//! A member's part of a checkpoint: everything that it needs of the records before the cut is written again.
//!
//! - **The state** as a snapshot of its own making, a piece for each event. One that was begun before the cut does not do.
//! - **The log** is not written again: what is older than the cut is dropped behind that snapshot, once it is applied. A
//!   member whose entries are not committed for want of a quorum has to wait, and its journal with it. To write entries
//!   again would mean to write all that follow them in the same record, or a crash would leave a log with its end cut off.
//! - **A snapshot of a leader** that was coming in at the cut is waited for, unless it stands still: its first pieces
//!   are older, and to begin it anew each time the journal is trimmed could mean that it never ends.
//! - **Who it is and what it has promised** comes last, in the event that completes the snapshot. A vote that is forgotten
//!   would be given twice, and an id that is forgotten would be taken again.

use super::Replicated;
use super::machine::Action;
use super::member::Member;
use super::members::VoterId;
use super::replay::Seats;
use super::wire::{Record, Standing};
use crate::machine::Sink;
use crate::record::Sequence;

/// A checkpoint under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checkpoint {
    /// Records before this one are given up.
    cut: Sequence,
    /// Entries up to here may be in records before the cut.
    old_until: u64,
    /// The last entry dropped, once all but the standing is written.
    dropped: Option<u64>,
}

impl<S: Replicated> Member<S> {
    /// Begins a checkpoint, unless this one is under way.
    pub(super) fn begin_checkpoint(&mut self, cut: Sequence) {
        if self.checkpoint.is_none_or(|it| it.cut != cut) {
            self.checkpoint = Some(Checkpoint { cut, old_until: self.last_index(), dropped: None });
            // Its first pieces are older.
            self.build.take_if(|build| !build.is_whole());
        }
    }

    /// Entries from `first` on are written anew.
    pub(super) fn overwrites(&mut self, first: u64) {
        if let Some(it) = &mut self.checkpoint {
            it.old_until = it.old_until.min(first.saturating_sub(1));
        }
    }

    /// Whether the checkpoint under way can be ended by a snapshot that is begun now.
    pub(super) fn is_checkpoint_due(&self) -> bool {
        self.checkpoint.is_some_and(|it| it.dropped.is_none() && it.old_until <= self.applied.index)
            && self.incoming.is_none()
    }

    /// Up to where the log has to be dropped, if the snapshot up to `index` whose first piece is the record `from` ends
    /// the checkpoint under way.
    pub(super) fn dropped_by_checkpoint(&self, from: Option<Sequence>, index: u64) -> Option<u64> {
        let it = self.checkpoint.filter(|it| it.dropped.is_none() && it.old_until <= index)?;
        let is_new = from.is_some_and(|from| from >= it.cut);
        (is_new && self.incoming.is_none()).then_some(it.old_until)
    }

    /// All but the standing is written.
    pub(super) fn checkpoint_dropped(&mut self, dropped: u64) {
        if let Some(it) = &mut self.checkpoint {
            it.dropped = Some(dropped);
        }
    }

    /// Gives up a snapshot of a leader that a checkpoint waits for, once nothing of it has come for long.
    pub(super) fn give_up_stale_snapshot(&mut self) {
        let (now, patience) = (self.clock.now, self.settings.catch_up);
        if self.checkpoint.is_some_and(|it| it.dropped.is_none()) {
            self.incoming.take_if(|incoming| incoming.heard().saturating_add(patience) <= now);
        }
        if self.state.is_none() && self.is_checkpoint_due() {
            self.checkpoint_dropped(0);
        }
    }

    /// Writes what it is and was, where that is all that is left of the checkpoint under way. The cut.
    pub(super) fn end_checkpoint(&mut self, seats: &Seats, out: &mut impl Sink<Action<S>>) -> Option<Sequence> {
        let Checkpoint { cut, dropped, .. } = self.checkpoint?;
        let dropped = dropped?;
        self.checkpoint = None;
        let (term, vote) = self.disk.promised;
        let standing = Standing {
            group: self.group,
            id: self.id,
            term,
            vote: (vote != 0).then_some(VoterId(vote)),
            commit: self.raft.raft.raft_log.committed,
            dropped: (dropped, self.term_of(dropped).unwrap_or(0)),
        };
        self.write(standing_record(seats, Some(standing)), out);
        Some(cut)
    }
}

/// What a store is and was.
pub(super) fn standing_record(seats: &Seats, member: Option<Standing>) -> Record {
    Record::Standing { seats: seats.iter().map(|(group, id)| (*group, *id)).collect(), member }
}
