//! Consensus: one Raft group as one pure machine, generic over what it replicates.
//!
//! The algorithm is that of the crate `raft` (tikv/raft-rs 0.7), which is sans-IO. Around it stands what the crate
//! leaves to its user, and what it takes on trust:
//!
//! | file | holds |
//! | --- | --- |
//! | `machine` | events, actions, the one dispatcher |
//! | `member` | the state of a voter or learner |
//! | [`members`] | who votes: ids that are never reused, each bound to (node, store incarnation) |
//! | [`wire`], `convert` | what is said and stored, typed; to and from the crate's own messages |
//! | `check` | what a message must be like before the crate sees it |
//! | `log` | the log in memory, as the crate reads it |
//! | `ready` | what follows from a step: writes, messages, entries to apply, in the only safe order |
//! | `apply` | committed entries, one after the other |
//! | `entropy` | where a build for the browser gets random numbers from: nowhere |
//! | `clock` | ticks by deadlines; election timeouts drawn from `Ctx` |
//! | `progress` | a leader that cannot commit gives up |
//! | `ask` | proposals and confirmations of leadership, bounded |
//! | `change` | voters added, replaced and removed, by joint consensus |
//! | `compact`, `transfer`, `receive` | snapshots: made, sent and taken in pieces |
//! | `checkpoint` | what is written again before the journal is trimmed |
//! | `replay` | from the journal back to a member |
//! | [`view`] | what is asked and answered |
//!
//! Rules, and what breaks without each:
//! - **Nothing that rests on a write leaves before the write is durable**: votes, acknowledgements, and also a leader's
//!   own messages when its term is not durable yet (a group of one elects itself within one step). This machine sees
//!   `Durable` itself, so its messages pass the gate.
//! - **An entry and the commit known when it was stored are one record.** A voter that came back with a later entry, but
//!   without knowing that the configuration before it was committed, would count its votes among the wrong voters.
//! - **Each message is checked against the local log first**, since the crate panics on some that a correct peer never
//!   sends; one that fails changes nothing.
//! - **A voter is (node, store incarnation)**: who lost its disk has lost its promises, and is a stranger.
//! - **Messages of one step are sorted by receiver**: the crate walks hash maps, whose order differs between machines of
//!   32 and 64 bits.
//! - Reads by quorum round only, never by lease. Proposals are never forwarded.
//!
//! Absent on purpose: what entries mean ([`Replicated`]), sessions and leases, and who may ask for what.

mod apply;
mod ask;
mod change;
mod check;
mod checkpoint;
mod clock;
mod compact;
mod convert;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod entropy;
mod log;
mod machine;
mod member;
pub mod members;
mod observation;
mod progress;
mod ready;
mod receive;
mod replay;
pub mod settings;
mod transfer;
pub mod view;
pub mod wire;

pub use check::Fault;
pub use machine::{Action, Event, Founding, Group};
pub use members::{Members, Voter, VoterId};
pub use observation::GroupObservation;
pub use settings::{Bounds, Settings};
pub use view::{Refusal, Reply, Request, Role, Status, Ticket};
pub use wire::{GroupId, Message, Record};

pub use crate::control::state::At;

use crate::codec::BodyVersion;
use crate::machine::Sink;
use core::fmt::Debug;

#[cfg(test)]
mod tests;

/// What the group replicates: applied in the order of the log, on every voter and learner alike.
pub trait Replicated: Clone + Debug {
    /// What became of an entry. A refusal is an outcome, too.
    type Outcome: Clone + Debug;
    /// What siblings hear of an entry, on every member.
    type Change: Debug;
    /// The state as it was, about to be cut in pieces.
    type Writer: Clone + Debug;
    /// Pieces about to become a state.
    type Reader: Clone + Debug + Default;

    /// Applies a committed entry. New leaders and changes of voters have entries too, which are empty here. `speaks` is the
    /// newest version of entries that this build understands.
    ///
    /// # Errors
    /// [`CannotApply`] when this build does not know what the entry means: the member stops, since to skip it would be
    /// to diverge.
    fn apply(
        &mut self,
        at: At,
        entry: &[u8],
        speaks: BodyVersion,
        out: &mut impl Sink<Self::Change>,
    ) -> Result<Self::Outcome, CannotApply>;

    /// Whether this build knows what the entry means. Asked before an entry is taken into the log.
    fn understands(entry: &[u8], speaks: BodyVersion) -> bool;

    /// The newest version of entries that may be applied to it from now on: a member that understands less stops.
    fn needs(&self) -> BodyVersion;

    /// The state as it is now. Cheap.
    fn writer(&self) -> Self::Writer;

    /// The next piece, within [`Bounds::piece_bytes`]; `None` after the last one. At least one.
    fn next_piece(writer: &mut Self::Writer) -> Option<alloc::vec::Vec<u8>>;

    /// Takes the next piece. The state, once it is whole and its checksum is right.
    ///
    /// # Errors
    /// [`Damaged`] when it is not the piece that belongs there.
    fn take_piece(reader: &mut Self::Reader, piece: &[u8]) -> Result<Option<Self>, Damaged>;
}

/// A build does not know what a committed entry means. Nothing was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry that this build does not know is committed; start a newer build")]
pub struct CannotApply;

/// A piece of a snapshot is not what was written. The whole snapshot has to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a piece of a snapshot is damaged or out of order")]
pub struct Damaged;
