//! The journal machine's state and how it reacts.

use super::super::NEWEST_VERSION;
use super::super::node::{ExampleObservation, UNACTIVATED};
use super::super::wire::Record;
use super::moving::Moving;
use super::{Action, Entry, Event, LogName, Refusal, Reply, Request, Work, limits};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::identity::RequestId;
use relaymesh_core::machine::{Ctx, Machine, Sink};
use relaymesh_core::node::LoadError;
use relaymesh_core::record::Sequence;
use relaymesh_core::time::Time;

/// The logs of one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Journal {
    speaks: BodyVersion,
    pub(super) writes: BodyVersion,
    /// Records from here on say where their entries stand.
    pub(super) placed_from: Sequence,
    entries: u64,
    pub(super) logs: BTreeMap<LogName, Log>,
    last_append: BTreeMap<u64, Appended>,
    /// Appends whose hash is being checked.
    checking: BTreeMap<RequestId, Pending>,
    /// Reads that wait for records.
    reading: BTreeMap<RequestId, Reading>,
    pub(super) moving: Moving,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Log {
    /// Where each entry stands in the node's journal; zero where that is not known yet, while the journal is read back.
    pub(super) records: Vec<Sequence>,
    /// The newest entries, by their positions.
    pub(super) recent: BTreeMap<u64, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Appended {
    sequence: u64,
    position: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pending {
    log: LogName,
    entry: Entry,
    hash: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Reading {
    log: LogName,
    from: u64,
    end: u64,
    /// `None` until the record was read back.
    entries: Vec<Option<Entry>>,
    waits_for: VecDeque<(Sequence, usize)>,
    /// The first position that could not be read.
    damaged: Option<u64>,
}

impl Journal {
    /// No logs yet. The build understands versions up to `speaks`.
    pub fn new(speaks: BodyVersion) -> Self {
        Self {
            speaks,
            writes: UNACTIVATED,
            placed_from: Sequence(0),
            entries: 0,
            logs: BTreeMap::new(),
            last_append: BTreeMap::new(),
            checking: BTreeMap::new(),
            reading: BTreeMap::new(),
            moving: Moving::default(),
        }
    }

    /// Entries of all logs.
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// Takes back one record after a restart.
    pub fn replay(&mut self, sequence: Sequence, record: Record) {
        match record {
            Record::Appended { log, entry } => {
                let position = self.end_of(&log);
                self.keep(sequence, log, position, entry);
            }
            Record::Placed { log, position, entry } => self.keep(sequence, log, position, entry),
            Record::Activated => self.activate(sequence),
        }
    }

    /// Version 2 is written from that record on.
    fn activate(&mut self, record: Sequence) {
        if self.writes < NEWEST_VERSION {
            (self.writes, self.placed_from) = (NEWEST_VERSION, record);
        }
    }

    fn end_of(&self, name: &LogName) -> u64 {
        self.logs.get(name).map_or(0, |log| log.records.len() as u64)
    }

    /// The entry at `position` of a log stands in the record at `sequence` from now on.
    pub(super) fn keep(&mut self, sequence: Sequence, name: LogName, position: u64, entry: Entry) {
        let log = self.logs.entry(name).or_default();
        let place = position as usize;
        if log.records.len() <= place {
            log.records.resize(place + 1, Sequence(0));
        }
        let before = core::mem::replace(&mut log.records[place], sequence);
        assert!(before < sequence, "records come in order");
        self.entries += u64::from(before == Sequence(0));
        let appended = Appended { sequence: entry.sequence, position };
        let last = self.last_append.entry(entry.client).or_insert_with(|| appended.clone());
        if last.sequence <= appended.sequence {
            *last = appended;
        }
        log.recent.insert(position, entry);
        if log.recent.len() > limits::RECENT {
            log.recent.pop_first();
        }
    }

    fn request(&mut self, ctx: &Ctx<'_>, id: RequestId, request: Request, out: &mut impl Sink<Action>) {
        match request {
            Request::Append { log, entry, hash } => match (self.refusal(&log, &entry, hash.is_some()), hash) {
                (Some(refusal), _) => out.push(Action::Reply(id, Reply::Refused(refusal))),
                (None, None) => self.append(ctx, id, log, entry, out),
                (None, Some(hash)) => {
                    out.push(Action::Hash(id, Work(entry.data.clone())));
                    self.checking.insert(id, Pending { log, entry, hash });
                }
            },
            Request::Read { log, from, limit } => self.read(id, &log, from, limit, out),
            Request::Activate if self.speaks < NEWEST_VERSION => {
                out.push(Action::Reply(id, Reply::Refused(Refusal::Unsupported)));
            }
            Request::Activate => {
                if self.writes < NEWEST_VERSION {
                    self.activate(ctx.next_record);
                    out.push(Action::Write(self.writes, Record::Activated));
                }
                out.push(Action::Reply(id, Reply::Activated));
            }
            // The composition hands these to the shelf.
            Request::Shelf(_) => {}
        }
    }

    fn refusal(&self, log: &LogName, entry: &Entry, hashed: bool) -> Option<Refusal> {
        let is_new_log = !self.logs.contains_key(log);
        let is_new_client = !self.last_append.contains_key(&entry.client);
        let no_room = self.entries >= limits::ENTRIES
            || is_new_log && self.logs.len() >= limits::LOGS
            || is_new_client && self.last_append.len() >= limits::CLIENTS;
        let is_known = self.last_append.get(&entry.client).is_some_and(|last| last.sequence == entry.sequence);
        if is_known {
            // Answered as it was the first time, whatever room is left by now.
            None
        } else if log.as_slice().is_empty() || entry.data.len() > limits::ENTRY_BYTES {
            Some(Refusal::Size)
        } else if no_room {
            Some(Refusal::NoRoom)
        } else if hashed && self.checking.len() >= limits::WAITING {
            Some(Refusal::Busy)
        } else {
            None
        }
    }

    fn append(&mut self, ctx: &Ctx<'_>, id: RequestId, log: LogName, entry: Entry, out: &mut impl Sink<Action>) {
        let offered = entry.sequence;
        let reply = match self.last_append.get(&entry.client) {
            Some(last) if last.sequence == offered => Reply::Appended { position: last.position },
            Some(last) if last.sequence > offered => Reply::Refused(Refusal::Stale { offered, last: last.sequence }),
            _ => {
                let position = self.end_of(&log);
                let record = match self.writes < NEWEST_VERSION {
                    true => Record::Appended { log, entry: entry.clone() },
                    false => Record::Placed { log, position, entry: entry.clone() },
                };
                out.push(Action::Write(self.writes, record));
                self.keep(ctx.next_record, log, position, entry);
                out.push(Action::Grew(self.entries));
                out.push(Action::Observe(ExampleObservation::Appended { position }));
                Reply::Appended { position }
            }
        };
        out.push(Action::Reply(id, reply));
    }

    fn hashed(&mut self, ctx: &Ctx<'_>, id: RequestId, hash: [u8; 32], out: &mut impl Sink<Action>) {
        let Some(pending) = self.checking.remove(&id) else { return };
        if pending.hash == hash {
            self.append(ctx, id, pending.log, pending.entry, out);
        } else {
            out.push(Action::Reply(id, Reply::Refused(Refusal::Hash)));
        }
    }

    fn read(&mut self, id: RequestId, name: &LogName, from: u64, limit: u32, out: &mut impl Sink<Action>) {
        let nothing = Log::default();
        let log = self.logs.get(name).unwrap_or(&nothing);
        let end = log.records.len() as u64;
        let from = from.min(end);
        let until = end.min(from + u64::from(limit.min(limits::READ)));
        let entries: Vec<Option<Entry>> = (from..until).map(|position| log.recent.get(&position).cloned()).collect();
        let missing = (0..).zip(&entries).filter(|(_, entry)| entry.is_none());
        let waits_for: VecDeque<_> = missing.map(|(at, _)| (log.records[from as usize + at], at)).collect();
        let mut reading = Reading { log: *name, from, end, entries, waits_for, damaged: None };
        if reading.waits_for.is_empty() {
            out.push(Action::Reply(id, reading.reply()));
        } else if self.reading.len() >= limits::WAITING {
            out.push(Action::Reply(id, Reply::Refused(Refusal::Busy)));
        } else {
            reading.waits_for.iter().for_each(|(sequence, _)| out.push(Action::Load(*sequence)));
            self.reading.insert(id, reading);
        }
    }

    /// Gives a record to the reads that wait for it.
    fn loaded(
        &mut self,
        ctx: &mut Ctx<'_>,
        sequence: Sequence,
        record: Result<Record, LoadError>,
        out: &mut impl Sink<Action>,
    ) {
        let entry = match record {
            Ok(Record::Appended { entry, .. } | Record::Placed { entry, .. }) => Some(entry),
            Ok(Record::Activated) | Err(_) => None,
        };
        // A record may be asked for by several reads, each with a load of its own: the oldest read takes it.
        let waiting = self.reading.iter_mut().find_map(|(id, reading)| {
            let place = reading.waits_for.iter().position(|(waited, _)| *waited == sequence)?;
            let (_, at) = reading.waits_for.remove(place)?;
            Some((*id, reading, at))
        });
        let Some((id, reading, at)) = waiting else { return self.read_to_move(ctx, sequence, entry, out) };
        let stands_at = self.logs[&reading.log].records[reading.from as usize + at];
        match entry {
            // It was written again, and its old place emptied, before a reading of that one went well.
            None if stands_at != sequence => {
                reading.waits_for.push_back((stands_at, at));
                out.push(Action::Load(stands_at));
            }
            Some(entry) => reading.entries[at] = Some(entry),
            None => reading.damaged = reading.damaged.or(Some(reading.from + at as u64)),
        }
        // All loads are awaited, also when one has failed: what is under way stays within its bound.
        if reading.waits_for.is_empty() {
            let reply = reading.reply();
            self.reading.remove(&id);
            out.push(Action::Reply(id, reply));
        }
    }
}

impl Reading {
    fn reply(&mut self) -> Reply {
        if let Some(position) = self.damaged {
            return Reply::Refused(Refusal::Damaged { position });
        }
        Reply::Entries { from: self.from, entries: self.entries.drain(..).flatten().collect(), end: self.end }
    }
}

impl Machine for Journal {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Event, out: &mut impl Sink<Action>) {
        match event {
            Event::Request(id, request) => self.request(ctx, id, request, out),
            Event::Hashed(id, hash) => self.hashed(ctx, id, hash, out),
            Event::Loaded(sequence, record) => self.loaded(ctx, sequence, record, out),
            Event::Checkpoint(cut) => self.checkpoint(ctx, cut, out),
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        None
    }
}
