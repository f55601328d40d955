//! The state as bytes: rows in pieces of bounded size, each with a checksum chained to the one before.
//!
//! Writing and reading take one piece at a time, so that a large state delays nothing. A state that was read is handed
//! out only when every piece was whole, in order, and what they say keeps the invariants. What follows from other rows
//! is not stored.

use super::clients::Client;
use super::limits::{
    CLIENTS_MAX, CORDONS_MAX, FEATURES_MAX, FLAGS_MAX, PIECE_BYTES, REGISTERS_MAX, SCOPES_MAX, SEATS_MAX, SESSIONS_MAX,
    SETTINGS_MAX, SHARDS_MAX, VOTERS_MAX, WAITING_MAX, WINDOW,
};
use super::lineage::{Bump, Lineage};
use super::placement::{Placement, Seat};
use super::scopes::Tenure;
use super::sessions::{Session, SessionId};
use super::shared::{Cordon, Setting, Voters};
use super::table::{Chain, Genesis, State};
use super::{Name, Scope};
use crate::bytes::Blob;
use crate::codec::{BodyVersion, DecodeError, EncodeError, decode_value, encode_value};
use crate::identity::{Incarnation, NodeId};
use crate::shards::{ShardId, ShardRecord};
use crate::time::Duration;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Unbounded};
use serde::{Deserialize, Serialize};

/// The version of pieces that is written and read.
const VERSION: u8 = 1;
/// A piece is closed when its rows have come to this many bytes; no row is longer than the rest of a piece.
const ROWS_BYTES: usize = PIECE_BYTES / 2;
/// Bytes that come with the rows of a piece, at most.
const FRAME_BYTES: usize = 64;
/// Bytes of what is said of a namespace in one row.
const PART_BYTES: usize = ROWS_BYTES / 2;
/// Bytes of all of it: its table, its plan and what plans have done, each with a bound.
const PLACEMENT_BYTES_MAX: usize = 16 << 20;

/// One row of any table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Row {
    Head {
        applied: u64,
        term: u64,
        chain: Chain,
        lineage: Lineage,
        is_quarantined: bool,
        span_max: Duration,
        activated: BodyVersion,
        last_bump: Option<Bump>,
        voters: Voters,
    },
    Client(Incarnation, Client),
    Session(SessionId, Session),
    Scope(Scope, Tenure),
    Cordon(NodeId, Cordon),
    Flag(Name, bool),
    Feature(Name, u32),
    Setting(Name, Setting),
    Register(Name, u64),
    Shard(ShardId, ShardRecord),
    Seat(NodeId, Seat),
    /// A part of what is said of a namespace; the last one is short, or empty.
    Placement(Name, Blob),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Body {
    number: u32,
    is_last: bool,
    rows: Vec<Row>,
}

/// A piece of a snapshot, encoded: version, checksum, body.
pub type Piece = Vec<u8>;

/// Why a piece was not taken. The reader is to start over with the first piece of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It is longer than a piece may be, or too short for one.
    #[error("a piece of {length} bytes")]
    Length {
        /// Bytes offered.
        length: usize,
    },
    /// Its bytes were changed, or it follows another piece than the one taken before.
    #[error("a piece with a wrong checksum; it is damaged or out of order")]
    Checksum,
    /// It does not decode.
    #[error("a piece with a {0}")]
    Malformed(#[from] DecodeError),
    /// Rows contradict each other or exceed a bound.
    #[error("a snapshot whose {0} make no sense")]
    Inconsistent(&'static str),
    /// It belongs behind the last one.
    #[error("a piece after the last one")]
    Done,
}

/// Where the writer is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Cursor {
    Head,
    Clients(Option<Incarnation>),
    Sessions(Option<SessionId>),
    Scopes(Option<Scope>),
    Cordons(Option<NodeId>),
    Flags(Option<Name>),
    Features(Option<Name>),
    Settings(Option<Name>),
    Registers(Option<Name>),
    Shards(Option<ShardId>),
    Seats(Option<NodeId>),
    Placements(Option<Name>),
    /// So many bytes of it are written.
    Placement(Name, usize),
    End,
}

/// Writes a frozen state piece by piece.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotWriter {
    state: State,
    cursor: Cursor,
    number: u32,
    checksum: [u8; 16],
    /// What is said of the namespace that is being written.
    placement: Vec<u8>,
}

impl SnapshotWriter {
    /// A writer of `state`, which stays as it is meanwhile.
    pub fn new(state: State) -> Self {
        Self { state, cursor: Cursor::Head, number: 0, checksum: [0; 16], placement: vec![] }
    }

    /// The next piece, at most [`PIECE_BYTES`] long; nothing after the last one.
    pub fn next_piece(&mut self) -> Option<Piece> {
        if self.cursor == Cursor::End {
            return None;
        }
        let (mut rows, mut bytes, mut scratch) = (vec![], 0, vec![]);
        while self.cursor != Cursor::End && bytes < ROWS_BYTES {
            if let Some(row) = self.next_row() {
                scratch.clear();
                encode(&row, ROWS_BYTES - FRAME_BYTES, &mut scratch);
                bytes += scratch.len();
                rows.push(row);
            }
        }
        let body = Body { number: self.number, is_last: self.cursor == Cursor::End, rows };
        let mut encoded = vec![];
        encode(&body, PIECE_BYTES - 17, &mut encoded);
        self.number += 1;
        self.checksum = chained(&self.checksum, &encoded);
        Some([&[VERSION][..], &self.checksum, &encoded].concat())
    }

    /// The next row, or nothing where a table ends.
    fn next_row(&mut self) -> Option<Row> {
        let state = &self.state;
        macro_rules! row {
            ($table:expr, $after:expr, $next:ident, $row:ident, $this:ident) => {{
                let from = $after.map_or(Unbounded, Excluded);
                match $table.range((from, Unbounded)).next() {
                    Some((key, value)) => (Cursor::$this(Some(*key)), Some(Row::$row(*key, value.clone()))),
                    None => (cursor_after!($next), None),
                }
            }};
        }
        macro_rules! cursor_after {
            (End) => {
                Cursor::End
            };
            ($next:ident) => {
                Cursor::$next(None)
            };
        }
        let (cursor, row) = match self.cursor {
            Cursor::Head => (Cursor::Clients(None), Some(head(state))),
            Cursor::Clients(after) => row!(state.clients, after, Sessions, Client, Clients),
            Cursor::Sessions(after) => row!(state.sessions, after, Scopes, Session, Sessions),
            Cursor::Scopes(after) => row!(state.scopes, after, Cordons, Scope, Scopes),
            Cursor::Cordons(after) => row!(state.shared.cordons, after, Flags, Cordon, Cordons),
            Cursor::Flags(after) => row!(state.shared.flags, after, Features, Flag, Flags),
            Cursor::Features(after) => row!(state.shared.features, after, Settings, Feature, Features),
            Cursor::Settings(after) => row!(state.shared.settings, after, Registers, Setting, Settings),
            Cursor::Registers(after) => row!(state.shared.registers, after, Shards, Register, Registers),
            Cursor::Shards(after) => row!(state.shards, after, Seats, Shard, Shards),
            Cursor::Seats(after) => row!(state.seats, after, Placements, Seat, Seats),
            Cursor::Placements(after) => {
                match state.placements.range((after.map_or(Unbounded, Excluded), Unbounded)).next() {
                    Some((namespace, placement)) => {
                        self.placement.clear();
                        encode(placement, PLACEMENT_BYTES_MAX, &mut self.placement);
                        (Cursor::Placement(*namespace, 0), None)
                    }
                    None => (Cursor::End, None),
                }
            }
            Cursor::Placement(namespace, from) => {
                let part = &self.placement[from..self.placement.len().min(from + PART_BYTES)];
                let row = Some(Row::Placement(namespace, Blob(part.into())));
                match part.len() < PART_BYTES {
                    true => (Cursor::Placements(Some(namespace)), row),
                    false => (Cursor::Placement(namespace, from + PART_BYTES), row),
                }
            }
            Cursor::End => (Cursor::End, None),
        };
        self.cursor = cursor;
        row
    }
}

fn head(state: &State) -> Row {
    Row::Head {
        applied: state.applied,
        term: state.term,
        chain: state.chain,
        lineage: state.lineage,
        is_quarantined: state.is_quarantined,
        span_max: state.span_max,
        activated: state.activated,
        last_bump: state.last_bump,
        voters: state.voters.clone(),
    }
}

fn encode<T: Serialize>(value: &T, limit: usize, out: &mut Vec<u8>) {
    let encoded: Result<(), EncodeError> = encode_value(value, limit, out);
    assert!(encoded.is_ok(), "every row has a bound well below that of a piece: {encoded:?}");
}

fn chained(before: &[u8; 16], body: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("relaymesh 2026 checksum of a piece of control state");
    hasher.update(before).update(body);
    let mut checksum = [0; 16];
    checksum.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    checksum
}

/// Reads a state piece by piece.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SnapshotReader {
    state: Option<State>,
    number: u32,
    checksum: [u8; 16],
    is_done: bool,
    /// What was read of the namespace that is not whole yet.
    placement: Option<(Name, Vec<u8>)>,
}

impl SnapshotReader {
    /// Takes the next piece; with the last one the state comes out.
    ///
    /// # Errors
    /// [`SnapshotError`]: this reader is of no more use, and nothing of it was taken over.
    pub fn take(&mut self, piece: &[u8]) -> Result<Option<State>, SnapshotError> {
        if self.is_done {
            return Err(SnapshotError::Done);
        }
        let length = piece.len();
        let (found, rest) = piece.split_first().ok_or(SnapshotError::Length { length })?;
        let (checksum, encoded) = rest.split_first_chunk::<16>().ok_or(SnapshotError::Length { length })?;
        if length > PIECE_BYTES {
            return Err(SnapshotError::Length { length });
        }
        if *found != VERSION {
            let (found, known) = (BodyVersion(*found), BodyVersion(VERSION));
            return Err(DecodeError::UnknownVersion { found, oldest: known, newest: known }.into());
        }
        if chained(&self.checksum, encoded) != *checksum {
            return Err(SnapshotError::Checksum);
        }
        let body: Body = decode_value(encoded)?;
        if body.number != self.number {
            return Err(SnapshotError::Checksum);
        }
        for row in body.rows {
            self.insert(row)?;
        }
        self.checksum = *checksum;
        self.number = self.number.saturating_add(1);
        self.is_done = body.is_last;
        if !body.is_last {
            return Ok(None);
        }
        bounded(self.placement.is_none(), "placements")?;
        let mut state = self.state.take().ok_or(SnapshotError::Inconsistent("tables"))?;
        state.link()?;
        Ok(Some(state))
    }

    fn insert(&mut self, row: Row) -> Result<(), SnapshotError> {
        let Some(state) = &mut self.state else {
            let Row::Head { applied, term, chain, lineage, is_quarantined, span_max, activated, last_bump, voters } =
                row
            else {
                return Err(SnapshotError::Inconsistent("heads"));
            };
            bounded(voters.members.len() <= VOTERS_MAX, "voters")?;
            let state = State::new(Genesis { lineage, span_max });
            self.state = Some(State { applied, term, chain, is_quarantined, activated, last_bump, voters, ..state });
            return Ok(());
        };
        let (is_new, what) = match row {
            Row::Head { .. } => (false, "heads"),
            Row::Client(client, row) => {
                let first = row.unanswered;
                let is_within = |sequence: &u64| sequence.checked_sub(first).is_some_and(|after| after < WINDOW);
                bounded(row.outcomes.keys().all(is_within), "outcomes")?;
                bounded(state.clients.len() < CLIENTS_MAX, "clients")?;
                (state.clients.insert(client, row).is_none(), "clients")
            }
            Row::Session(id, session) => {
                bounded(state.sessions.len() < SESSIONS_MAX, "sessions")?;
                (state.sessions.insert(id, session).is_none(), "sessions")
            }
            Row::Scope(scope, tenure) => {
                bounded(state.scopes.len() < SCOPES_MAX && tenure.waiting.len() <= WAITING_MAX, "scopes")?;
                (state.scopes.insert(scope, tenure).is_none(), "scopes")
            }
            Row::Cordon(node, cordon) => {
                bounded(state.shared.cordons.len() < CORDONS_MAX && cordon != Cordon::None, "cordons")?;
                (state.shared.cordons.insert(node, cordon).is_none(), "cordons")
            }
            Row::Flag(name, on) => {
                bounded(state.shared.flags.len() < FLAGS_MAX, "flags")?;
                (state.shared.flags.insert(name, on).is_none(), "flags")
            }
            Row::Feature(name, version) => {
                bounded(state.shared.features.len() < FEATURES_MAX, "features")?;
                (state.shared.features.insert(name, version).is_none(), "features")
            }
            Row::Setting(name, setting) => {
                bounded(state.shared.settings.len() < SETTINGS_MAX, "settings")?;
                (state.shared.settings.insert(name, setting).is_none(), "settings")
            }
            Row::Register(name, value) => {
                bounded(state.shared.registers.len() < REGISTERS_MAX, "registers")?;
                (state.shared.registers.insert(name, value).is_none(), "registers")
            }
            Row::Shard(shard, record) => {
                bounded(state.shards.len() < SHARDS_MAX && record.check().is_ok(), "shards")?;
                (state.shards.insert(shard, record).is_none(), "shards")
            }
            Row::Seat(node, seat) => {
                bounded(state.seats.len() < SEATS_MAX && seat.is_possible(), "seats")?;
                (state.seats.insert(node, seat).is_none(), "seats")
            }
            Row::Placement(namespace, Blob(part)) => {
                let (of, mut bytes) = self.placement.take().unwrap_or((namespace, vec![]));
                bounded(of == namespace && bytes.len() + part.len() <= PLACEMENT_BYTES_MAX, "placements")?;
                bytes.extend_from_slice(&part);
                if part.len() == PART_BYTES {
                    self.placement = Some((of, bytes));
                    return Ok(());
                }
                let placement: Placement = decode_value(&bytes)?;
                bounded(placement.is_possible(), "placements")?;
                (state.placements.insert(namespace, placement).is_none(), "placements")
            }
        };
        bounded(is_new, what)
    }
}

fn bounded(holds: bool, what: &'static str) -> Result<(), SnapshotError> {
    if holds { Ok(()) } else { Err(SnapshotError::Inconsistent(what)) }
}

impl State {
    /// Derives what is not stored, and checks the invariants that join tables. O(n log n).
    fn link(&mut self) -> Result<(), SnapshotError> {
        for (id, session) in &self.sessions {
            bounded(self.clients.contains_key(&session.owner), "owners")?;
            bounded(self.owners.insert(session.owner, *id).is_none(), "owners")?;
        }
        for (scope, tenure) in &self.scopes {
            let holder = tenure.lease.map(|lease| lease.session);
            for id in tenure.waiting.iter().chain(&holder) {
                let session = self.sessions.get_mut(id).ok_or(SnapshotError::Inconsistent("scopes"))?;
                bounded(session.scopes.insert(*scope), "scopes")?;
            }
            if let Some(lease) = tenure.lease {
                let is_holder = self.sessions[&lease.session].owner.node == lease.holder;
                bounded(is_holder && lease.term == tenure.term && lease.granted <= lease.token, "leases")?;
            }
        }
        Ok(())
    }
}
