//! What the example promises, judged by what clients and the wire see.
//!
//! The model of a host's logs is what clients have been shown: an entry once shown keeps its place for ever, whatever
//! crashes. Where a store was lost or damaged beyond what one disk can survive, the model starts again; the world
//! counts that as an excuse.

use super::clients::entry_of;
use super::echo::payload_of;
use super::journal::{Entry, LogName, Refusal, Reply, Request, limits};
use super::node::{ExampleNode, ExampleObservation};
use super::object_checks::{OBJ_2, Objects};
use super::wire::{Message, OLDEST_VERSION};
use crate::check::{DUR_1, DUR_2, Findings};
use crate::scenario::Scenario;
use crate::subject::Checks;
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::envelope::Envelope;
use relaymesh_core::identity::NodeId;
use relaymesh_core::node::Outgoing;
use relaymesh_core::object::ObjectId;

/// A position of a log holds one entry, for ever, and that entry is what its client appended.
pub const LOG_1: &str = "LOG-1";
/// An append takes effect once, however often it was sent.
pub const LOG_2: &str = "LOG-2";
/// An answer repeats its ping, and each ping is answered once.
pub const ECHO_1: &str = "ECHO-1";
/// After healing every node gets answers.
pub const ECHO_2: &str = "ECHO-2";
/// Nothing is sent or written in a version that its reader has not said, or was not told, to understand.
pub const VERS_1: &str = "VERS-1";

/// Completions of a node that are remembered to tell a second one of the same ping.
const RECENT: usize = 64;

/// The example's checkers.
#[derive(Debug)]
pub struct ExampleChecks {
    echo_window: u16,
    payload_bytes: usize,
    entry_bytes: u32,
    nodes: Vec<NodeId>,
    hosts: Vec<Shown>,
    /// For each pair of nodes the newest version the second has told the first, since the first began.
    pub(super) told: Vec<BodyVersion>,
    /// Nodes that were asked to write the newest version.
    activated: BTreeSet<u32>,
    asked: BTreeMap<u32, Asked>,
    objects: Objects,
    healed: bool,
    exercised: Exercised,
}

#[derive(Clone, Copy, Debug, Default)]
struct Exercised {
    log_1: u64,
    log_2: u64,
    echo_1: u64,
    echo_2: u64,
    vers_1: u64,
}

/// What a host has shown to others.
#[derive(Clone, Debug)]
struct Shown {
    logs: BTreeMap<LogName, LogModel>,
    /// The highest number of entries that an answer has told.
    entries_told: u64,
    /// Its store was given up or damaged: what is learnt until it starts again may be forgotten again.
    suspect: bool,
    /// Counts stores, so that a request begun on an earlier one is not held against a later one.
    store: u64,
    /// The first ping that was sent after everything was healed, and whether such a one was answered.
    first_ping_after_healing: Option<u64>,
    answered_after_healing: bool,
    completed: [u64; RECENT],
    completions: usize,
}

impl Shown {
    const fn nothing() -> Self {
        Self {
            logs: BTreeMap::new(),
            entries_told: 0,
            suspect: false,
            store: 0,
            first_ping_after_healing: None,
            answered_after_healing: false,
            completed: [0; RECENT],
            completions: 0,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct LogModel {
    entries: Vec<Option<(u64, u64)>>,
    positions: BTreeMap<(u64, u64), u64>,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    store: u64,
    /// The log had at least that many entries when the request was first made.
    length: u64,
    /// Which append, so that one sent again counts from the first time.
    append: Option<u64>,
}

impl ExampleChecks {
    /// The checkers of a run of `scenario`.
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            echo_window: scenario.echo.window,
            payload_bytes: usize::from(scenario.echo.payload_bytes),
            entry_bytes: scenario.journal.entry_bytes,
            nodes: (0..scenario.nodes).map(node_id).collect(),
            hosts: vec![Shown::nothing(); scenario.nodes as usize],
            told: vec![OLDEST_VERSION; (scenario.nodes as usize).pow(2)],
            activated: BTreeSet::new(),
            asked: BTreeMap::new(),
            objects: Objects::new(scenario.objects.object_bytes),
            healed: false,
            exercised: Exercised::default(),
        }
    }

    /// Notes that an entry was shown at a position of a log.
    fn shown(&mut self, host: u32, log: LogName, position: u64, entry: &Entry, found: &mut Findings) {
        self.exercised.log_1 += 1;
        self.exercised.log_2 += 1;
        let (client, sequence) = (entry.client, entry.sequence);
        if *entry != entry_of(client, sequence, self.entry_bytes) {
            found.fail(
                LOG_1,
                &[host],
                format!("position {position} of {log:?} shows other data than client {client} appended"),
            );
        }
        if position >= limits::ENTRIES {
            return found.fail(LOG_1, &[host], format!("no log has a position {position}"));
        }
        let model = self.hosts[host as usize].logs.entry(log).or_default();
        let at = position as usize;
        if model.entries.len() <= at {
            model.entries.resize(at + 1, None);
        }
        match model.entries[at].replace((client, sequence)) {
            Some(known) if known != (client, sequence) => {
                let detail =
                    format!("position {position} of {log:?} held {known:?} and now holds {:?}", (client, sequence));
                found.fail(LOG_1, &[host], detail);
            }
            _ => {}
        }
        match model.positions.insert((client, sequence), position) {
            Some(known) if known != position => {
                let detail = format!(
                    "append {sequence} of client {client} stands at positions {known} and {position} of {log:?}"
                );
                found.fail(LOG_2, &[host], detail);
            }
            _ => {}
        }
    }

    /// What was shown before the request was made must still be there.
    fn still_there(&mut self, client: u32, host: u32, log: LogName, length: u64, found: &mut Findings) {
        let Some(asked) = self.asked.get(&client).copied() else { return };
        if asked.store != self.hosts[host as usize].store {
            return;
        }
        if length < asked.length {
            let detail = format!(
                "{log:?} had {} entries when client {client} asked, and the answer shows {length}",
                asked.length
            );
            found.fail(DUR_1, &[host], detail);
        }
    }

    fn length(&self, host: u32, log: &LogName) -> u64 {
        self.hosts[host as usize].logs.get(log).map_or(0, |model| model.entries.len() as u64)
    }

    fn pair(&self, host: u32, other: u32) -> usize {
        host as usize * self.hosts.len() + other as usize
    }

    fn forget(&mut self, host: u32) {
        let shown = &mut self.hosts[host as usize];
        shown.logs.clear();
        shown.entries_told = 0;
        shown.store += 1;
    }
}

impl Checks<ExampleNode> for ExampleChecks {
    fn shows_state(&self, message: &Message) -> bool {
        matches!(message, Message::Pong { .. })
    }

    fn sent(&mut self, host: u32, to: u32, outgoing: &Outgoing<Message>, found: &mut Findings) {
        self.exercised.vers_1 += 1;
        let told = self.told[self.pair(host, to)];
        if outgoing.version > told {
            found.fail(
                VERS_1,
                &[host, to],
                format!("sent {} to a node that has told of {told} only", outgoing.version),
            );
        }
        if let Message::Ping { sequence, .. } = outgoing.message
            && self.healed
        {
            self.hosts[host as usize].first_ping_after_healing.get_or_insert(sequence);
        }
        let Message::Pong { entries, not_after, .. } = outgoing.message else { return };
        let shown = &mut self.hosts[host as usize];
        if entries < shown.entries_told {
            let detail = format!("told of {} entries before and of {entries} now", shown.entries_told);
            found.fail(DUR_1, &[host], detail);
        }
        shown.entries_told = entries;
        if outgoing.not_after != Some(not_after) {
            found.fail(DUR_2, &[host], format!("promised not to leave after {not_after}, but left without that limit"));
        }
    }

    fn received(&mut self, host: u32, from: u32, envelope: &Envelope, message: &Message, found: &mut Findings) {
        let pair = self.pair(host, from);
        self.told[pair] = self.told[pair].max(envelope.speaks);
        let Message::Pong { sequence, payload, .. } = message else { return };
        self.exercised.echo_1 += 1;
        if *payload != payload_of(self.nodes[host as usize], *sequence, self.payload_bytes) {
            found.fail(ECHO_1, &[host], format!("the answer to ping {sequence} does not repeat it"));
        }
        let shown = &mut self.hosts[host as usize];
        shown.answered_after_healing |= shown.first_ping_after_healing.is_some_and(|first| *sequence >= first);
    }

    fn asked(&mut self, client: u32, host: u32, request: &Request, _found: &mut Findings) {
        let (log, append) = match request {
            Request::Append { log, entry, .. } => (log, Some(entry.sequence)),
            Request::Read { log, .. } => (log, None),
            Request::Activate => {
                self.activated.insert(host);
                return;
            }
            Request::Shelf(request) => return self.objects.asked(client, host, request),
        };
        let store = self.hosts[host as usize].store;
        let earlier = self.asked.get(&client).filter(|asked| append.is_some() && asked.append == append);
        let length = match earlier {
            Some(asked) if asked.store == store => asked.length,
            // An earlier copy of the append may have taken effect before the model was begun anew.
            Some(_) => 0,
            None => self.length(host, log),
        };
        self.asked.insert(client, Asked { store, length, append });
    }

    fn answered(&mut self, client: u32, host: u32, request: &Request, reply: &Reply, found: &mut Findings) {
        if let (Request::Shelf(request), Reply::Shelf(reply)) = (request, reply) {
            return self.objects.answered(client, host, request, reply, found);
        }
        if self.asked.get(&client).is_some_and(|asked| asked.store != self.hosts[host as usize].store) {
            // The answer comes from a store that was given up meanwhile.
            return;
        }
        match (request, reply) {
            (Request::Append { log, entry, .. }, Reply::Appended { position }) => {
                let known = self.hosts[host as usize]
                    .logs
                    .get(log)
                    .and_then(|model| model.positions.get(&(entry.client, entry.sequence)));
                if known.is_none() {
                    self.still_there(client, host, *log, *position, found);
                }
                self.shown(host, *log, *position, entry, found);
            }
            (Request::Read { log, from: asked, limit }, Reply::Entries { from, entries, end }) => {
                let due = end.saturating_sub(*asked).min(u64::from((*limit).min(limits::READ)));
                if entries.len() as u64 != due || *from != (*asked).min(*end) {
                    let detail =
                        format!("{} entries from {from} on, where {due} from {asked} on were due", entries.len());
                    found.fail(LOG_1, &[host], detail);
                }
                self.still_there(client, host, *log, *end, found);
                (*from..).zip(entries).for_each(|(position, entry)| self.shown(host, *log, position, entry, found));
            }
            (Request::Append { entry, hash: Some(hash), .. }, Reply::Refused(Refusal::Hash))
                if blake3::hash(&entry.data) == blake3::Hash::from_bytes(*hash) =>
            {
                found.fail(LOG_1, &[host], "an entry with the right hash was refused".into());
            }
            (_, Reply::Refused(refusal @ (Refusal::Size | Refusal::NoRoom))) => {
                found.fail(LOG_1, &[host], format!("refused without a reason: {refusal}"));
            }
            (_, Reply::Refused(Refusal::Damaged { position })) if !self.hosts[host as usize].suspect => {
                found.fail(
                    LOG_1,
                    &[host],
                    format!("position {position} is called damaged, but nothing in that store is"),
                );
            }
            (_, Reply::Refused(Refusal::Stale { offered, last })) => {
                found.fail(
                    LOG_2,
                    &[host],
                    format!("append {offered} was called stale after {last}, but its client is still at it"),
                );
            }
            _ => {}
        }
    }

    fn observed(&mut self, host: u32, observation: &ExampleObservation, found: &mut Findings) {
        let ExampleObservation::Answered { sequence, .. } = observation else { return };
        let shown = &mut self.hosts[host as usize];
        if shown.completed.contains(sequence) {
            found.fail(ECHO_1, &[host], format!("ping {sequence} was answered twice"));
        }
        shown.completed[shown.completions % RECENT] = *sequence;
        shown.completions += 1;
    }

    fn booted(&mut self, host: u32, _now: TrueTime) {
        let nodes = self.hosts.len();
        self.told[host as usize * nodes..][..nodes].fill(OLDEST_VERSION);
        let shown = &mut self.hosts[host as usize];
        shown.completed = [0; RECENT];
        shown.first_ping_after_healing = None;
        if core::mem::take(&mut shown.suspect) {
            self.forget(host);
        }
    }

    fn wrote(&mut self, host: u32, version: BodyVersion, found: &mut Findings) {
        self.exercised.vers_1 += 1;
        if version > OLDEST_VERSION && !self.activated.contains(&host) {
            found.fail(VERS_1, &[host], format!("wrote a record in {version} before it was told to"));
        }
    }

    fn unreadable(&mut self, host: u32, found: &mut Findings) {
        if !self.activated.contains(&host) {
            found.fail(VERS_1, &[host], "wrote records that an older build cannot read, before it was told to".into());
        }
    }

    fn store_lost(&mut self, host: u32) {
        self.forget(host);
        self.hosts[host as usize].suspect = true;
        self.objects.store_lost(host);
    }

    fn objects_lost(&mut self, host: u32, objects: &[ObjectId]) {
        self.objects.lost(host, objects);
    }

    fn healed(&mut self, _now: TrueTime) {
        self.healed = true;
    }

    fn finish(&mut self, found: &mut Findings) {
        if self.echo_window == 0 || self.hosts.len() < 2 {
            return;
        }
        for (host, shown) in (0..).zip(&self.hosts) {
            self.exercised.echo_2 += 1;
            if !shown.answered_after_healing {
                found.miss(ECHO_2, &[host], "has had no answer since everything was healed".into());
            }
        }
    }

    fn exercised(&self) -> Vec<(&'static str, u64)> {
        let Exercised { log_1, log_2, echo_1, echo_2, vers_1 } = self.exercised;
        vec![
            (LOG_1, log_1),
            (LOG_2, log_2),
            (ECHO_1, echo_1),
            (ECHO_2, echo_2),
            (VERS_1, vers_1),
            (OBJ_2, self.objects.exercised),
        ]
    }
}
