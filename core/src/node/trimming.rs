//! When the journal is trimmed, and in which order: a checkpoint, an anchor, and only then the slots are emptied.
//!
//! 1. When the journal has grown by as much as [`Limits`] say, and by as much as it held behind the last anchor, so that
//!    writing things again never costs more than writing them did, the application is asked for a checkpoint: to write
//!    again what it needs of the records so far. It does so in steps, one whenever all before is durable.
//! 2. When the checkpoint is durable an [anchor](crate::record::anchor) is written.
//! 3. When the anchor is durable the slots below it are emptied, so many with each sync.
//!
//! A crash at any point leaves a journal that starts where the last durable anchor says. What was still to be emptied is
//! emptied by the next process.

use super::application::{Application, Input};
use super::contract::{Action, Scratch};
use super::engine::Node;
use super::observation::NodeObservation;
use super::outbox::Outbox;
use crate::gate::WriteNumber;
use crate::identity::BootIncarnation;
use crate::limits::Limits;
use crate::machine::{CauseId, Ctx};
use crate::record::anchor::{PLACES, TRIMMED_FROM};
use crate::record::{Anchor, Anchored, Chain, Genesis, Sequence};

/// How much of a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

impl Size {
    pub(super) const fn add(&mut self, bytes: u64) {
        self.records += 1;
        self.bytes += bytes;
    }

    fn reaches(self, bound: Self, other: Self) -> bool {
        self.records >= bound.records.max(other.records) || self.bytes >= bound.bytes.max(other.bytes)
    }
}

/// Where a trim stands.
#[derive(Clone, Debug)]
pub(super) struct Trimming {
    bound: Size,
    /// Slots emptied with one sync.
    batch: u64,
    /// Where the next anchor goes.
    place: Sequence,
    /// What was there when the last anchor was written.
    covered: Size,
    /// What has come since then, or since the checkpoint under way was begun.
    grown: Size,
    /// Slots from the first one that may be emptied to before this one are empty.
    emptied: Sequence,
    /// The journal starts here, and that is durable.
    first: Sequence,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Resting,
    /// The application writes again what it needs of the records before the cut.
    Asking(Cut),
    /// It has, up to this write.
    Covering(Cut, WriteNumber),
    /// The anchor is on its way to the disk.
    Anchoring(Cut, WriteNumber),
    /// Slots up to before this one are on their way to be empty.
    Emptying(Sequence, WriteNumber),
}

/// Where the journal is to start.
#[derive(Clone, Copy, Debug)]
struct Cut {
    below: Sequence,
    chain: Chain,
    boot: BootIncarnation,
    /// Whether the application has done its part.
    is_checkpointed: bool,
}

/// What comes next.
enum Turn {
    Nothing,
    Ask(Sequence),
    Anchor(Cut),
    Empty { from: Sequence, below: Sequence },
    Done { from: Sequence, below: Sequence },
}

impl Trimming {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            bound: Size { records: limits.trim_records.max(1), bytes: limits.trim_bytes.max(1) },
            batch: limits.trim_slots.max(1),
            place: PLACES[0],
            covered: Size::default(),
            grown: Size::default(),
            emptied: TRIMMED_FROM,
            first: Sequence::FIRST,
            phase: Phase::Resting,
        }
    }

    /// Goes on from what an earlier process has left: `lowest` is the first slot that is not empty, places of anchors
    /// aside.
    pub(super) fn recovered(&mut self, anchored: Option<&Anchored>, lowest: Sequence, sizes: (Size, Size)) {
        (self.covered, self.grown) = sizes;
        if let Some(anchored) = anchored {
            self.place = anchored.other_place();
            self.first = anchored.anchor.first;
            self.emptied = lowest.max(TRIMMED_FROM).min(self.first);
        }
    }

    /// A record was written.
    pub(super) const fn wrote(&mut self, bytes: u64) {
        self.grown.add(bytes);
    }

    /// The application has done its part for this cut.
    pub(super) fn checkpointed(&mut self, below: Sequence) {
        if let Phase::Asking(cut) = &mut self.phase
            && cut.below == below
        {
            cut.is_checkpointed = true;
        }
    }

    fn next(&mut self, durable: WriteNumber, written: WriteNumber) -> Turn {
        match self.phase {
            Phase::Emptying(below, write) if write <= durable => {
                let from = core::mem::replace(&mut self.emptied, below);
                self.phase = Phase::Resting;
                Turn::Done { from, below }
            }
            Phase::Anchoring(cut, write) if write <= durable => {
                self.first = cut.below;
                self.phase = Phase::Resting;
                self.next(durable, written)
            }
            Phase::Covering(cut, write) if write <= durable => Turn::Anchor(cut),
            Phase::Asking(cut) if cut.is_checkpointed => {
                self.phase = Phase::Covering(cut, written);
                self.next(durable, written)
            }
            Phase::Asking(cut) => Turn::Ask(cut.below),
            Phase::Resting if self.emptied < self.first => {
                let below = Sequence(self.emptied.0.saturating_add(self.batch)).min(self.first);
                Turn::Empty { from: self.emptied, below }
            }
            _ => Turn::Nothing,
        }
    }

    fn is_due(&self) -> bool {
        matches!(self.phase, Phase::Resting)
            && self.emptied >= self.first
            && self.grown.reaches(self.bound, self.covered)
    }
}

impl<A: Application> Outbox<A> {
    /// The journal is to start behind what was written so far.
    fn cut(&mut self) {
        let (below, chain, boot) = (self.journal.end().next(), self.journal.chain(), self.journal.boot());
        self.trimming.phase = Phase::Asking(Cut { below, chain, boot, is_checkpointed: false });
        self.trimming.grown = Size::default();
    }

    fn anchor(&mut self, cause: CauseId, genesis: Genesis, cut: Cut, scratch: &mut Scratch<A>) {
        let Cut { below, chain, boot, .. } = cut;
        let place = self.trimming.place;
        let start = scratch.frames.len();
        let anchor = Anchor { genesis: Genesis { store: self.store, ..genesis }, first: below, boot };
        if let Err(error) = self.journal.anchor(place, &anchor, chain, &mut scratch.frames) {
            panic!("an anchor is of a fixed size: {error:?}");
        }
        self.append(cause, place, start, scratch);
        let it = &mut self.trimming;
        it.phase = Phase::Anchoring(cut, self.gate.written());
        it.place = if place == PLACES[0] { PLACES[1] } else { PLACES[0] };
        it.covered = core::mem::take(&mut it.grown);
    }

    fn empty(&mut self, cause: CauseId, from: Sequence, below: Sequence, scratch: &mut Scratch<A>) {
        let write = self.gate.wrote();
        self.trimming.phase = Phase::Emptying(below, write);
        scratch.push(cause, Action::Trim { write, from, below });
    }
}

impl<A: Application> Node<A> {
    /// Whose journal it is, if it is founded now.
    pub(super) fn genesis(&self) -> Genesis {
        Genesis { cluster: self.seat.cluster, node: self.seat.node, store: self.seat.fresh_store }
    }

    /// Takes the trim under way as far as the disk has come, or begins one. Called when the disk has; what is written here
    /// belongs to the same step as all else that follows from that.
    pub(super) fn trim(&mut self, ctx: &mut Ctx<'_>, scratch: &mut Scratch<A>) {
        if self.outbox.trimming.is_due() && !self.is_overloaded() {
            self.outbox.cut();
        }
        let mut was_asked = false;
        loop {
            let (durable, written) = (self.outbox.gate.durable(), self.outbox.gate.written());
            match self.outbox.trimming.next(durable, written) {
                Turn::Ask(below) => {
                    if core::mem::replace(&mut was_asked, true) || self.is_overloaded() {
                        return;
                    }
                    self.hand_over(ctx, Input::Checkpoint { below }, scratch);
                }
                Turn::Anchor(cut) => {
                    let genesis = self.genesis();
                    self.outbox.anchor(ctx.cause, genesis, cut, scratch);
                }
                Turn::Empty { from, below } => self.outbox.empty(ctx.cause, from, below, scratch),
                Turn::Done { from, below } => {
                    scratch.observe(ctx.cause, NodeObservation::JournalTrimmed { from: from.0, below: below.0 });
                }
                Turn::Nothing => return,
            }
        }
    }
}
