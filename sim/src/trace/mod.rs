//! What happened, in order: the rolling hash that two runs are compared by, and the lines that people read.
//!
//! Every event and every action goes into the hash; packets and journal frames by their own cryptographic tags, which
//! stand for all of their bytes. Lines are kept only when asked for.

mod divergence;
mod line;

pub use divergence::{Divergence, first_divergence};
pub use line::{Line, chain_of_causes};

use crate::time::TrueTime;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use relaymesh_core::machine::CauseId;
use relaymesh_core::observe::Value;

/// Bytes gathered before they are hashed: enough for the hash to use wide vector instructions.
const CHUNK_BYTES: usize = 64 << 10;

/// The kinds of events, as figures name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum EventKind {
    /// A process began.
    Boot,
    /// A packet arrived and was opened, or refused.
    Packet,
    /// A deadline had passed.
    Wake,
    /// A wake after which nothing followed.
    IdleWake,
    /// A client's request arrived.
    Request,
    /// A sync was done, or had failed.
    Disk,
    /// A slot was read.
    Load,
    /// A computation was done.
    Compute,
    /// The network's queue filled or emptied.
    Pressure,
    /// A client got an answer, or none.
    Client,
    /// A fault began or ended.
    Fault,
    /// A seed has answered.
    Found,
    /// The keyring has changed.
    Keys,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Boot,
        Self::Packet,
        Self::Wake,
        Self::IdleWake,
        Self::Request,
        Self::Disk,
        Self::Load,
        Self::Compute,
        Self::Pressure,
        Self::Client,
        Self::Fault,
        Self::Found,
        Self::Keys,
    ];

    /// Its name in figures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Packet => "packet",
            Self::Wake => "wake",
            Self::IdleWake => "idle_wake",
            Self::Request => "request",
            Self::Disk => "disk",
            Self::Load => "load",
            Self::Compute => "compute",
            Self::Pressure => "pressure",
            Self::Client => "client",
            Self::Fault => "fault",
            Self::Found => "found",
            Self::Keys => "keys",
        }
    }
}

/// The trace of one run.
pub struct Trace {
    hasher: blake3::Hasher,
    chunk: Vec<u8>,
    events: u64,
    by_kind: [u64; EventKind::ALL.len()],
    lines: Option<Vec<Line>>,
    now: TrueTime,
    host: Option<u32>,
}

impl Trace {
    /// An empty trace. `keep_lines` costs memory and time in proportion to the run.
    pub fn new(keep_lines: bool) -> Self {
        Self {
            hasher: blake3::Hasher::new(),
            chunk: Vec::with_capacity(CHUNK_BYTES + 4_096),
            events: 0,
            by_kind: [0; EventKind::ALL.len()],
            lines: keep_lines.then(Vec::new),
            now: TrueTime(0),
            host: None,
        }
    }

    /// Begins an event and returns its number, from 1. Actions and details that follow belong to it.
    pub fn event(&mut self, kind: EventKind, now: TrueTime, host: Option<u32>, cause: CauseId) -> CauseId {
        self.events += 1;
        self.by_kind[kind as usize] += 1;
        (self.now, self.host) = (now, host);
        let mut head = [0; 21];
        head[0] = kind as u8;
        head[1..5].copy_from_slice(&host.map_or(u32::MAX, |host| host).to_le_bytes());
        head[5..13].copy_from_slice(&now.0.to_le_bytes());
        head[13..21].copy_from_slice(&cause.0.to_le_bytes());
        self.bytes(&head);
        let id = CauseId(self.events);
        if let Some(lines) = &mut self.lines {
            lines.push(Line { event: id, at: now, host, cause, text: String::new() });
        }
        id
    }

    /// Counts the event under way as another kind than it was announced as.
    pub fn recount(&mut self, from: EventKind, to: EventKind) {
        self.by_kind[from as usize] -= 1;
        self.by_kind[to as usize] += 1;
    }

    /// Adds content of the event under way to the hash.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush();
        }
    }

    /// Adds the field of an observation to the hash.
    pub fn value(&mut self, value: Value) {
        match value {
            Value::Number(number) => self.bytes(&number.to_le_bytes()),
            Value::Node(node) => self.bytes(node.as_bytes()),
            Value::Word(word) => self.bytes(word.as_bytes()),
        }
    }

    /// Adds the printed form of something rare to the hash.
    pub fn printed(&mut self, value: impl fmt::Display) {
        // Writing to memory cannot fail.
        let _ = write!(Appender(&mut self.chunk), "{value}");
        self.bytes(&[0]);
    }

    /// Adds to the line of the event under way, when lines are kept.
    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(line) = self.lines.as_mut().and_then(|lines| lines.last_mut()) {
            let separator = if line.text.is_empty() { "" } else { " → " };
            line.text.push_str(separator);
            line.text.push_str(&text());
        }
    }

    fn flush(&mut self) {
        self.hasher.update(&self.chunk);
        self.chunk.clear();
    }

    /// Events so far.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The number of the event under way.
    pub const fn current(&self) -> CauseId {
        CauseId(self.events)
    }

    /// How many events of each kind there were.
    pub fn by_kind(&self) -> impl Iterator<Item = (EventKind, u64)> + '_ {
        EventKind::ALL.into_iter().map(|kind| (kind, self.by_kind[kind as usize]))
    }

    /// The hash of everything so far.
    pub fn hash(&mut self) -> blake3::Hash {
        self.flush();
        self.hasher.finalize()
    }

    /// The lines kept.
    pub fn take_lines(&mut self) -> Vec<Line> {
        self.lines.take().unwrap_or_default()
    }
}

struct Appender<'a>(&'a mut Vec<u8>);

impl Write for Appender<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
