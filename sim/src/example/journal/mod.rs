//! The journal service: clients append to and read from named logs of one node.
//!
//! Events: requests, hashes that were computed outside, records that were read back. Actions: records, replies, loads.
//! Invariants: an acknowledged entry keeps its position for ever (LOG-1); an append that is sent again is not appended
//! again (LOG-2). "Durable before acknowledged" is not this machine's business: it replies at once, and the gate holds
//! the reply.
//!
//! Memory is bounded: of each log only the newest entries stay in memory, older ones are read back when asked for.
//! All entries are kept, so they are written again when the node's journal is trimmed.
//! What is absent: replication and deletion.

mod machine;
mod moving;

pub use machine::Journal;

use super::node::ExampleObservation;
use super::shelf;
use super::wire::Record;
use alloc::vec::Vec;
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::identity::RequestId;
use relaymesh_core::inline::Inline;
use relaymesh_core::node::LoadError;
use relaymesh_core::record::Sequence;
use serde::{Deserialize, Serialize};

/// The name of a log: 1 to 32 bytes.
pub type LogName = Inline<32>;

/// Bounds of the machine.
pub mod limits {
    /// Bytes of one entry.
    pub const ENTRY_BYTES: usize = 64 << 10;
    /// Logs of one node.
    pub const LOGS: usize = 1_024;
    /// Entries of one node.
    pub const ENTRIES: u64 = 10_000_000;
    /// Clients whose last append is remembered.
    pub const CLIENTS: usize = 16_384;
    /// Entries of one log kept in memory.
    pub const RECENT: usize = 8;
    /// Entries in one answer.
    pub const READ: u32 = 32;
    /// Reads that wait for records, and appends that wait for a hash.
    pub const WAITING: usize = 32;
}

/// One entry of a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Who appended it.
    pub client: u64,
    /// The client's number for the append.
    pub sequence: u64,
    /// What was appended.
    pub data: Vec<u8>,
}

/// What clients ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Append an entry. Sent again with the same client and sequence, it is not appended again.
    Append {
        /// To which log.
        log: LogName,
        /// What.
        entry: Entry,
        /// BLAKE3 of the data, where the client wants it checked.
        hash: Option<[u8; 32]>,
    },
    /// Read entries.
    Read {
        /// Of which log.
        log: LogName,
        /// From which position on, counted from 0.
        from: u64,
        /// At most that many.
        limit: u32,
    },
    /// Write records of version 2 from now on. Cannot be taken back.
    Activate,
    /// Something of the shelf, which is no affair of the journal.
    Shelf(shelf::Request),
}

/// What clients are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The entry stands at that position, for ever.
    Appended {
        /// The position.
        position: u64,
    },
    /// Entries of a log.
    Entries {
        /// Position of the first.
        from: u64,
        /// The entries.
        entries: Vec<Entry>,
        /// Entries the log had when the request was handled.
        end: u64,
    },
    /// Version 2 is written from now on.
    Activated,
    /// Nothing was done.
    Refused(Refusal),
    /// The shelf's answer.
    Shelf(shelf::Reply),
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The entry or name is empty or too long.
    #[error("the entry or the log's name is empty or too long; split it")]
    Size,
    /// No more logs, entries or clients fit.
    #[error("the node's journal has no room; use another node")]
    NoRoom,
    /// A newer append of that client was accepted before.
    #[error("append {offered} of the client comes after append {last}; it was given up by the client itself")]
    Stale {
        /// The append offered.
        offered: u64,
        /// The newest one accepted.
        last: u64,
    },
    /// The data is not what the client hashed.
    #[error("the data does not have the hash given; send it again")]
    Hash,
    /// Too many requests wait already.
    #[error("too many requests are waiting; try again shortly")]
    Busy,
    /// A record cannot be read any more.
    #[error("the entry at position {position} is damaged on this node")]
    Damaged {
        /// Its position.
        position: u64,
    },
    /// This build cannot write version 2.
    #[error("this build does not know version 2; start a newer one first")]
    Unsupported,
}

/// Data to be hashed.
#[derive(Clone, Debug)]
pub struct Work(pub Vec<u8>);

impl Work {
    /// Its hash.
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.0).as_bytes()
    }
}

/// What can happen to the machine.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client asks.
    Request(RequestId, Request),
    /// The hash of an entry that was to be checked.
    Hashed(RequestId, [u8; 32]),
    /// What stands before that record has to be written again, as far as it is needed.
    Checkpoint(Sequence),
    /// A record was read back.
    Loaded(Sequence, Result<Record, LoadError>),
}

/// What the machine asks for.
#[derive(Clone, Debug)]
pub enum Action {
    /// Append a record to the node's journal.
    Write(BodyVersion, Record),
    /// Answer a client.
    Reply(RequestId, Reply),
    /// Hash some data.
    Hash(RequestId, Work),
    /// Read a record back.
    Load(Sequence),
    /// Nothing before that record is needed any more.
    Checkpointed(Sequence),
    /// Tell siblings how many entries there are.
    Grew(u64),
    /// Let operators see something.
    Observe(ExampleObservation),
}
