//! Which versions of commands are in the log, judged by what is on the wire, and what clients are told of them: VERS-1,
//! VERS-2. And that nobody acts who does not understand what is in use: VERS-3.

use super::{MeshChecks, VERS_1, VERS_2, VERS_3};
use crate::check::Findings;
use crate::mesh::clients::control::is_activated;
use crate::scenario::{ControlLoad, FaultKind, PlannedFault, Scenario};
use crate::time::TrueTime;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::control::group::GroupId;
use relaymesh_core::control::group::wire::{Body, Entry as Logged, Message, Payload};
use relaymesh_core::control::node::{Message as Controls, Reply, Request};
use relaymesh_core::control::state::{Entry, LeaderCommand, NEWEST, OLDEST, Outcome, Refusal};
use relaymesh_core::mesh::Message as Said;
use relaymesh_core::time::Duration;

/// A leader may still take a member for one of a newer build that was set back so long ago: it counts on what it has heard
/// within four election timeouts, and what it logs is on the wire a moment later.
const SET_BACK_UNNOTICED_MAX: Duration = Duration::from_secs(5);

/// An entry that activates a version: its term, and which.
type Activation = (u64, BodyVersion);

/// Versions in the log and elsewhere.
#[derive(Debug)]
pub(super) struct Versions {
    /// Where nobody activates or uses anything newer there is nothing to see.
    is_watched: bool,
    /// What each host runs, and since when.
    builds: Vec<(BodyVersion, TrueTime)>,
    /// What they begin with.
    first: BodyVersion,
    /// The first so many hosts are the voters; none where others take their seats.
    voters: usize,
    /// By group and index.
    activations: BTreeMap<GroupId, BTreeMap<u64, Activation>>,
    /// An operator has asked for an activation,
    was_asked: bool,
    /// and somebody was told, or has seen, that it is done.
    done_at: Option<TrueTime>,
    /// Who waits for a command of version 2, and whether it was known to be activated when it was asked for.
    under_way: BTreeMap<u32, bool>,
}

impl Versions {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let load: &ControlLoad = &scenario.control;
        let keeps_voters = load.replace_every.is_none() && load.repair_every.is_none() && load.recovery.is_none();
        let first = scenario.version.map_or(NEWEST, BodyVersion);
        Self {
            is_watched: (load.activate_at.is_some() || load.retirers > 0) && load.recovery.is_none(),
            builds: vec![(first, TrueTime(0)); scenario.nodes as usize],
            first,
            voters: if keeps_voters { load.voters as usize } else { 0 },
            activations: BTreeMap::new(),
            was_asked: false,
            done_at: None,
            under_way: BTreeMap::new(),
        }
    }

    /// Hosts may be started again with another build, or with the first one as that is over.
    pub(super) fn fault(&mut self, fault: &PlannedFault, begins: bool, now: TrueTime) {
        if fault.kind != FaultKind::Version {
            return;
        }
        let version = if begins { BodyVersion(fault.value as u8) } else { self.first };
        for host in &fault.nodes {
            self.builds[*host as usize] = (version, now);
        }
    }

    pub(super) fn asked(&mut self, client: u32, request: &Request) {
        self.under_way.remove(&client);
        match request {
            Request::Activate { .. } => self.was_asked = true,
            Request::Retire(_) => {
                self.under_way.insert(client, self.done_at.is_some());
            }
            _ => {}
        }
    }

    fn note_done(&mut self, now: TrueTime) {
        self.done_at.get_or_insert(now);
    }

    /// Whoever votes, and has run an older build than that for so long that a leader must have heard of it, or of nothing.
    fn left_behind(&self, version: BodyVersion, now: TrueTime) -> Option<u32> {
        let is_behind =
            |(build, since): &(BodyVersion, TrueTime)| *build < version && now.since(*since) > SET_BACK_UNNOTICED_MAX;
        self.builds[..self.voters].iter().position(is_behind).map(|host| host as u32)
    }
}

impl MeshChecks {
    /// VERS-1: a member of the group sends another what is in its log.
    pub(super) fn control_sent(&mut self, host: u32, said: &Said, found: &mut Findings) {
        let Said::Control(Controls::Group(message)) = said else { return };
        let Body::Append { index, commit, entries, .. } = &message.body else { return };
        if !self.control.versions.is_watched {
            return;
        }
        for (at, entry) in (index + 1..).zip(entries) {
            self.entry_sent(host, message, (at, *commit), entry, found);
        }
    }

    fn entry_sent(
        &mut self,
        host: u32,
        message: &Message,
        (at, commit): (u64, u64),
        entry: &Logged,
        found: &mut Findings,
    ) {
        let it = &mut self.control.versions;
        let known = it.activations.entry(message.group).or_default();
        let bytes: &[u8] = if let Payload::Command(bytes) = &entry.payload { &bytes.0 } else { &[] };
        if let Some(version) = activates(bytes, entry.term) {
            let is_new = known.insert(at, (entry.term, version)) != Some((entry.term, version));
            let behind = it.left_behind(version, found.now).filter(|_| is_new && entry.term == message.term);
            self.exercised.vers_1 += u64::from(is_new);
            if let Some(voter) = behind {
                let detail =
                    format!("n{host} activates {version} at {at}, which n{voter}, a voter, does not understand");
                found.fail(VERS_1, &[host, voter], detail);
            }
            return;
        }
        // A later leader has put another entry in its place.
        if known.get(&at).is_some_and(|(term, _)| *term < entry.term) {
            known.remove(&at);
        }
        let version = Entry::version_of(bytes);
        if version <= OLDEST {
            return;
        }
        self.exercised.vers_1 += 1;
        // The leader that has made the entry knew then that the activation was committed; a later one may not know yet.
        let is_own = entry.term == message.term;
        let allows = |(place, (term, activated)): (&u64, &Activation)| {
            *activated == version && *place < at && *term <= entry.term && (!is_own || *place <= commit)
        };
        if !known.iter().any(allows) {
            let detail = format!("n{host} has an entry of {version} in its log at {at}, before that is activated");
            found.fail(VERS_1, &[host], detail);
        }
    }

    /// VERS-3: a node is asked whether it may act for a scope. What it was renewed for by a leader that did not know of the
    /// activation has lapsed by then.
    pub(super) fn version_asked_to_act(&mut self, host: u32, acts: bool, found: &mut Findings) {
        let it = &self.control.versions;
        let Some(done_at) = it.done_at else { return };
        let (build, since) = it.builds[host as usize];
        if build >= NEWEST || found.now.since(done_at.max(since)) <= SET_BACK_UNNOTICED_MAX {
            return;
        }
        self.exercised.vers_3 += 1;
        if acts {
            let detail =
                format!("n{host} acts, of a build that does not understand what has been in use since {done_at}");
            found.fail(VERS_3, &[host], detail);
        }
    }

    /// VERS-2: a client learns what became of a command of version 2, or of an activation.
    pub(super) fn version_answered(
        &mut self,
        (client, host): (u32, u32),
        request: &Request,
        reply: &Reply,
        found: &mut Findings,
    ) {
        let it = &mut self.control.versions;
        if !it.is_watched {
            return;
        }
        match (request, reply) {
            (Request::Activate { .. }, reply) if is_activated(reply) => it.note_done(found.now),
            (Request::Retire(scope), Reply::Executed(Outcome::Refused(Refusal::NotActivated { .. }))) => {
                self.exercised.vers_2 += 1;
                if it.under_way.remove(&client) == Some(true) {
                    let detail =
                        format!("n{host} does not retire {scope}, for a reason that was gone before it was asked");
                    found.fail(VERS_2, &[host], detail);
                }
            }
            (Request::Retire(scope), Reply::Executed(outcome)) => {
                self.exercised.vers_2 += 1;
                it.note_done(found.now);
                if !it.was_asked {
                    let detail = format!("n{host} says of {scope} {outcome:?}, where nobody has activated anything");
                    found.fail(VERS_2, &[host], detail);
                }
            }
            _ => {}
        }
    }
}

/// The version that an entry activates, if it does.
fn activates(bytes: &[u8], term: u64) -> Option<BodyVersion> {
    match Entry::from_bytes(bytes) {
        Ok(Entry::Leader { term: of, command: LeaderCommand::Activate { version } }) if of == term => Some(version),
        _ => None,
    }
}
