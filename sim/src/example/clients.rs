//! Clients of the journal: each asks one thing at a time, and asks again until it is answered.
//!
//! The last one is the auditor. Once nothing new is offered it reads every log of every node from its beginning to its
//! end, so that what nobody happened to read in time is held against the model, too.

use super::journal::{Entry, LogName, Refusal, Reply, Request};
use super::node::ExampleNode;
use crate::scenario::{JournalLoad, Scenario};
use crate::streams::{Stream, Streams};
use crate::subject::{Clients, Outcome, Turn};
use crate::time::TrueTime;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::machine::Chooser;
use relaymesh_core::time::Duration;

/// Logs that the clients share.
const LOGS: u64 = 3;
/// Of the appends with a hash, one in this many has a wrong one and must be refused.
const WRONG_HASH: u64 = 8;

/// The clients of one run.
#[derive(Debug)]
pub struct JournalClients {
    load: JournalLoad,
    nodes: u32,
    stream: Stream,
    clients: Vec<Client>,
    /// How long each log was when last seen, so that reads ask for what is there.
    ends: BTreeMap<(u32, LogName), u64>,
    /// The operator's client activates version 2 on one node after the other.
    activates_at: Option<TrueTime>,
    activated: u32,
    /// Where the auditor is: node, log, position.
    audit: (u32, u64, u64),
}

/// How long the auditor waits before it looks whether anything is still offered.
const AUDITOR_PATIENCE: Duration = Duration::from_millis(50);
/// Entries that the auditor reads at once.
const AUDIT_ENTRIES: u32 = 32;

#[derive(Clone, Debug, Default)]
struct Client {
    appends: u64,
    rest_until: Option<TrueTime>,
    under_way: Option<(u32, Request)>,
}

impl JournalClients {
    /// The clients of a run of `scenario`.
    pub fn new(scenario: &Scenario, streams: &mut Streams) -> Self {
        let operator = u32::from(scenario.journal.activate_at.is_some());
        let auditor = u32::from(scenario.journal.clients > 0);
        Self {
            load: *scenario.journal,
            nodes: scenario.nodes,
            stream: streams.open("journal clients"),
            clients: (0..scenario.journal.clients + operator + auditor).map(|_| Client::default()).collect(),
            ends: BTreeMap::new(),
            activates_at: scenario.journal.activate_at.map(|at| TrueTime(0) + at.0),
            activated: 0,
            audit: (0, 0, 0),
        }
    }

    fn is_operator(&self, client: u32) -> bool {
        client == self.load.clients && self.activates_at.is_some()
    }

    fn is_auditor(&self, client: u32) -> bool {
        client + 1 == self.count() && !self.is_operator(client)
    }

    /// What the auditor reads next, if anything is left.
    fn audit(&self) -> Option<(u32, Request)> {
        let (host, log, from) = self.audit;
        let request = Request::Read { log: log_name(log), from, limit: AUDIT_ENTRIES };
        (host < self.nodes).then_some((host, request))
    }

    /// Goes on behind what the auditor was shown.
    fn audited(&mut self, reply: &Reply) {
        let (host, log, from) = self.audit;
        self.audit = match reply {
            Reply::Entries { entries, end, .. } if from + (entries.len() as u64) < *end && !entries.is_empty() => {
                (host, log, from + entries.len() as u64)
            }
            _ if log + 1 < LOGS => (host, log + 1, 0),
            _ => (host + 1, 0, 0),
        };
    }

    fn invent(&mut self, client: u32) -> (u32, Request) {
        if self.is_operator(client) {
            return (self.activated, Request::Activate);
        }
        let host = self.stream.below(u64::from(self.nodes)) as u32;
        let log = log_name(self.stream.below(LOGS));
        if self.stream.happens(self.load.reads.0) {
            let end = self.ends.get(&(host, log)).copied().unwrap_or(0);
            let (from, limit) = (self.stream.below(end + 1), 1 + self.stream.below(16) as u32);
            return (host, Request::Read { log, from, limit });
        }
        let it = &mut self.clients[client as usize];
        it.appends += 1;
        let entry = entry_of(u64::from(client), it.appends, self.load.entry_bytes);
        let hash = self.stream.happens(self.load.hashed.0).then(|| {
            let mut hash = *blake3::hash(&entry.data).as_bytes();
            hash[0] ^= u8::from(self.stream.below(WRONG_HASH) == 0);
            hash
        });
        (host, Request::Append { log, entry, hash })
    }
}

impl Clients<ExampleNode> for JournalClients {
    fn count(&self) -> u32 {
        self.clients.len() as u32
    }

    fn turn(&mut self, client: u32, now: TrueTime, offering: bool) -> Turn<Request> {
        let activation = self.activates_at.filter(|_| self.is_operator(client));
        let it = &mut self.clients[client as usize];
        if let Some(until) = it.rest_until.or(activation).filter(|until| *until > now) {
            return Turn::Rest(until);
        }
        it.rest_until = None;
        if self.is_auditor(client) {
            if offering {
                return Turn::Rest(now + AUDITOR_PATIENCE);
            }
            let Some(next) = self.audit() else { return Turn::Done };
            self.clients[client as usize].under_way = Some(next);
        }
        let it = &self.clients[client as usize];
        if it.under_way.is_none() {
            if !offering || self.is_operator(client) && self.activated == self.nodes {
                return Turn::Done;
            }
            let invented = self.invent(client);
            self.clients[client as usize].under_way = Some(invented);
        }
        match self.clients[client as usize].under_way.clone() {
            Some((host, request)) => Turn::Ask { host, request, timeout: self.load.timeout.0 },
            None => Turn::Done,
        }
    }

    fn outcome(&mut self, client: u32, now: TrueTime, outcome: Outcome<Reply>) {
        let think = self.stream.span(self.load.think.from, self.load.think.to);
        let is_final = match &outcome {
            Outcome::Reply(Reply::Refused(Refusal::Busy | Refusal::Unsupported)) => false,
            Outcome::Reply(_) => true,
            Outcome::Refused(_) | Outcome::Unreachable | Outcome::TimedOut => false,
        };
        let it = &mut self.clients[client as usize];
        it.rest_until = Some(now + think.saturating_add(Duration::from_nanos(1)));
        if !is_final {
            return;
        }
        if self.is_auditor(client) {
            if let Outcome::Reply(reply) = &outcome {
                self.audited(reply);
            }
            self.clients[client as usize].under_way = None;
            self.clients[client as usize].rest_until = None;
            return;
        }
        let it = &mut self.clients[client as usize];
        if let (Some((host, Request::Read { log, .. })), Outcome::Reply(Reply::Entries { end, .. })) =
            (&it.under_way, &outcome)
        {
            self.ends.insert((*host, *log), *end);
        }
        if let (Some((host, Request::Append { log, .. })), Outcome::Reply(Reply::Appended { position })) =
            (&it.under_way, &outcome)
        {
            self.ends.insert((*host, *log), *position + 1);
        }
        it.under_way = None;
        self.activated += u32::from(self.is_operator(client));
    }

    fn unanswered(&self) -> Vec<(u32, String)> {
        let unread = (self.audit.0 < self.nodes && self.load.clients > 0).then(|| {
            let (host, log, from) = self.audit;
            (self.count() - 1, format!("the audit, at entry {from} of {:?} on n{host}", log_name(log)))
        });
        let waiting = |(client, it): (u32, &Client)| {
            let (host, request) = it.under_way.as_ref()?;
            let what = match request {
                Request::Append { entry, .. } => format!("append {} on n{host}", entry.sequence),
                Request::Read { .. } => format!("a read on n{host}"),
                Request::Activate => format!("the activation of n{host}"),
                Request::Shelf(request) => format!("{request:?}, which is a keeper's"),
            };
            Some((client, what))
        };
        (0..).zip(&self.clients).filter_map(waiting).chain(unread).collect()
    }
}

fn log_name(number: u64) -> LogName {
    LogName::new(&[b'l', b'o', b'g', b'-', b'a' + number as u8]).unwrap_or(LogName::EMPTY)
}

/// The entry that `client` appends as its number `sequence`: anyone can tell whether a copy is true.
pub fn entry_of(client: u64, sequence: u64, bytes_max: u32) -> Entry {
    let mut pattern = [0; 16];
    pattern[..8].copy_from_slice(&client.to_le_bytes());
    pattern[8..].copy_from_slice(&sequence.to_le_bytes());
    let pattern = blake3::hash(&pattern);
    let length = u32::from_le_bytes([pattern.as_bytes()[0], pattern.as_bytes()[1], 0, 0]) % (bytes_max + 1);
    Entry { client, sequence, data: pattern.as_bytes().iter().copied().cycle().take(length as usize).collect() }
}
