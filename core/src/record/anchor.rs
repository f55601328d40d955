//! Where a trimmed journal starts.
//!
//! A journal that is never trimmed starts with its genesis in slot 1. Before anything of it is emptied, an *anchor* is
//! written that stands for all that goes: whose journal it is, where it now starts, the checksum and the boot that its
//! first record continues, and up to where everything was durable by then. Rules, and the interleaving that each
//! forbids, are in `docs/adr/0004-trimming.md`:
//! - Anchors are no part of the journal. They stand in two [places](PLACES) in turn, slots 0 and 1, so that one that
//!   tears while it is written leaves the one before it, which still holds.
//! - What an anchor covers is durable before it is written, and it is durable before anything below it is emptied.
//! - The newest anchor that can be read counts; slots below it may hold anything or nothing. What it covers must be
//!   there, like everything below a synced mark.

use super::Sequence;
use super::frame::{Chain, Frame, Genesis, Kind, read_frame};
use crate::codec;
use crate::identity::BootIncarnation;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Where anchors stand. The second is the place of the genesis until there is an anchor in the first.
pub const PLACES: [Sequence; 2] = [Sequence(0), Sequence(1)];

/// The first slot that is emptied.
pub const TRIMMED_FROM: Sequence = Sequence(2);

/// No journal gets there: what claims to is not counted on from.
const SEQUENCE_MAX: Sequence = Sequence(1 << 62);

/// Whether a slot is a place of anchors.
pub(super) fn is_place(slot: Sequence) -> bool {
    PLACES.contains(&slot)
}

/// The body of an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Anchor {
    /// Whose journal it is, as its genesis said.
    pub genesis: Genesis,
    /// The first record of the journal.
    pub first: Sequence,
    /// The newest boot recorded before it.
    pub boot: BootIncarnation,
}

/// An anchor as it was found or written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Anchored {
    /// Where it stands.
    pub place: Sequence,
    /// What it says.
    pub anchor: Anchor,
    /// The checksum that the first record repeats.
    pub chain: Chain,
    /// Everything up to here was durable before it was written.
    pub covers: Sequence,
    /// Its frame.
    pub bytes: Vec<u8>,
}

impl Anchored {
    /// The anchor that stands at `place`, if one can be read there.
    pub fn read(place: Sequence, bytes: &[u8]) -> Option<Self> {
        let frame = read_frame(bytes).ok().filter(|frame| frame.kind == Kind::Anchor && frame.sequence == place)?;
        let anchor = read_anchor(&frame)?;
        Some(Self { place, anchor, chain: frame.previous, covers: frame.synced, bytes: bytes.to_vec() })
    }

    /// Where the next one goes, so that this one stays.
    pub fn other_place(&self) -> Sequence {
        if self.place == PLACES[0] { PLACES[1] } else { PLACES[0] }
    }
}

/// What an anchor says, unless no writer of ours would say so: a journal has a genesis and a boot before anything is
/// trimmed, and what is emptied was durable.
fn read_anchor(frame: &Frame<'_>) -> Option<Anchor> {
    let anchor: Anchor = codec::decode_value(frame.body).ok()?;
    let is_sound = anchor.first > TRIMMED_FROM && anchor.first.before() <= frame.synced && frame.synced < SEQUENCE_MAX;
    is_sound.then_some(anchor)
}
