//! What the example stores and sends, and in which versions.
//!
//! Version 2 adds [`Message::Sorry`], [`Record::Activated`] and [`Record::Placed`]. A node sends a peer only what the peer has said it
//! understands, and writes records of version 2 only once an operator has activated it, so that a build that knows
//! only version 1 can be started again until then.

use super::journal::{Entry, LogName, Reply, Request};
use alloc::vec::Vec;
use relaymesh_core::codec::{Body, BodyVersion, DecodeError, EncodeError, decode_value, encode_value};
use relaymesh_core::inline::Inline;
use relaymesh_core::node::{self, Gating};
use relaymesh_core::time::{Duration, Time};
use serde::{Deserialize, Serialize};

/// The oldest version this build understands.
pub const OLDEST_VERSION: BodyVersion = BodyVersion(1);
/// The version this build introduces.
pub const NEWEST_VERSION: BodyVersion = BodyVersion(2);
/// Bytes of payload that fit a ping.
pub const PAYLOAD_BYTES_MAX: usize = 192;

/// The payload of a ping.
pub type Payload = Inline<PAYLOAD_BYTES_MAX>;

/// What nodes say to one another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Please answer.
    Ping {
        /// Counts the pings of one boot.
        sequence: u64,
        /// The answer is worth nothing unless it leaves within this time.
        answer_within: Duration,
        /// To be sent back.
        payload: Payload,
    },
    /// The answer.
    Pong {
        /// Of the ping.
        sequence: u64,
        /// Entries in the answering node's journal: state that may rest on an unsynced write.
        entries: u64,
        /// The last instant of the answering node's clock at which this may leave.
        not_after: Time,
        /// Of the ping.
        payload: Payload,
    },
    /// The answer came too late to be sent. Since version 2.
    Sorry {
        /// Of the ping.
        sequence: u64,
    },
}

impl Body for Message {
    const OLDEST: BodyVersion = OLDEST_VERSION;
    const NEWEST: BodyVersion = NEWEST_VERSION;

    fn encode(&self, version: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        expressible(version, matches!(self, Self::Sorry { .. }))?;
        encode_value(self, limit, out)
    }

    fn decode(version: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError> {
        understood(version)?;
        let message = decode_value(bytes)?;
        in_version(version, matches!(message, Self::Sorry { .. }), bytes.len())?;
        Ok(message)
    }
}

impl node::Message for Message {
    fn gating(&self) -> Gating {
        match self {
            // A ping says nothing about what the node holds; an apology neither.
            Self::Ping { .. } | Self::Sorry { .. } => Gating::Ungated,
            Self::Pong { .. } => Gating::Gated,
        }
    }
}

/// What the journal of a node keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// An entry of a log.
    Appended {
        /// The log.
        log: LogName,
        /// The entry.
        entry: Entry,
    },
    /// Records may be written in version 2 from here on. Since version 2.
    Activated,
    /// An entry of a log, and its position. Since version 2, which writes no other; and again when the journal is trimmed.
    Placed {
        /// The log.
        log: LogName,
        /// The position.
        position: u64,
        /// The entry.
        entry: Entry,
    },
}

impl Record {
    const fn is_new(&self) -> bool {
        matches!(self, Self::Activated | Self::Placed { .. })
    }
}

impl Body for Record {
    const OLDEST: BodyVersion = OLDEST_VERSION;
    const NEWEST: BodyVersion = NEWEST_VERSION;

    fn encode(&self, version: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        expressible(version, self.is_new())?;
        encode_value(self, limit, out)
    }

    fn decode(version: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError> {
        understood(version)?;
        let record: Self = decode_value(bytes)?;
        in_version(version, record.is_new(), bytes.len())?;
        Ok(record)
    }
}

macro_rules! plain_body {
    ($($type:ty),+) => {$(
        impl Body for $type {
            const OLDEST: BodyVersion = OLDEST_VERSION;
            const NEWEST: BodyVersion = NEWEST_VERSION;

            fn encode(&self, version: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                expressible(version, false)?;
                encode_value(self, limit, out)
            }

            fn decode(version: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError> {
                understood(version)?;
                decode_value(bytes)
            }
        }
    )+};
}

plain_body!(Request, Reply);

fn expressible(version: BodyVersion, is_new: bool) -> Result<(), EncodeError> {
    let known = (OLDEST_VERSION..=NEWEST_VERSION).contains(&version);
    if known && (version >= NEWEST_VERSION || !is_new) { Ok(()) } else { Err(EncodeError::NotInVersion { version }) }
}

fn understood(version: BodyVersion) -> Result<(), DecodeError> {
    let (oldest, newest) = (OLDEST_VERSION, NEWEST_VERSION);
    if (oldest..=newest).contains(&version) {
        Ok(())
    } else {
        Err(DecodeError::UnknownVersion { found: version, oldest, newest })
    }
}

fn in_version(version: BodyVersion, is_new: bool, length: usize) -> Result<(), DecodeError> {
    if version >= NEWEST_VERSION || !is_new { Ok(()) } else { Err(DecodeError::Malformed { length }) }
}
