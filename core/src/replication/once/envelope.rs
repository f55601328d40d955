//! How a command stands in the log: bare, unless it has an id, or begins like one that has.
//!
//! ```text
//! bare        the command                      its first byte is not 0xFF
//! escaped     0xFF 0  the command              it is
//! once        0xFF 1  id  since (LE)  the command
//! fate        0xFF 2  id                       a query, never in the log
//! ```
//!
//! Every string of bytes stands for something, so that two replicas that read one entry read the same: what begins like
//! none of these is a bare command.

use super::id::SubmissionId;
use alloc::boxed::Box;
use alloc::vec::Vec;

const MARK: u8 = 0xFF;
const ESCAPED: u8 = 0;
const ONCE: u8 = 1;
const FATE: u8 = 2;

/// Bytes that stand before a command with an id.
pub const ENVELOPE_BYTES: usize = 2 + SubmissionId::BYTES + 8;

/// What the bytes of an entry, or of a query, say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored<'a> {
    /// A command or query for the service below.
    Plain(&'a [u8]),
    /// A command that is to take effect once.
    Once {
        /// Which.
        id: SubmissionId,
        /// How many had been taken before it was first submitted, or fewer.
        since: u64,
        /// What.
        command: &'a [u8],
    },
    /// A question: was it taken?
    Fate(SubmissionId),
}

/// A command or query without an id, as it is stored or asked. Allocates only where it begins like one with an id.
pub fn plain(command: Box<[u8]>) -> Box<[u8]> {
    match command.first() {
        Some(&MARK) => [&[MARK, ESCAPED], &*command].concat().into(),
        _ => command,
    }
}

/// A command that is to take effect once, as it is stored.
pub fn once(id: SubmissionId, since: u64, command: &[u8]) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(ENVELOPE_BYTES + command.len());
    bytes.extend_from_slice(&[MARK, ONCE]);
    bytes.extend_from_slice(id.as_bytes());
    bytes.extend_from_slice(&since.to_le_bytes());
    bytes.extend_from_slice(command);
    bytes.into()
}

/// The question what became of a submission.
pub fn fate(id: SubmissionId) -> Box<[u8]> {
    [&[MARK, FATE], id.as_bytes().as_slice()].concat().into()
}

/// What the bytes of an entry, or of a query, say.
pub fn open(bytes: &[u8]) -> Stored<'_> {
    let Some((&[MARK, kind], rest)) = bytes.split_first_chunk::<2>() else { return Stored::Plain(bytes) };
    let id = rest.split_first_chunk().map(|(id, rest)| (SubmissionId::from_bytes(*id), rest));
    match (kind, id) {
        (ESCAPED, _) => Stored::Plain(rest),
        (FATE, Some((id, []))) => Stored::Fate(id),
        (ONCE, Some((id, rest))) => match rest.split_first_chunk() {
            Some((since, command)) => Stored::Once { id, since: u64::from_le_bytes(*since), command },
            None => Stored::Plain(bytes),
        },
        _ => Stored::Plain(bytes),
    }
}
