//! Checkers of membership: what operators could read off every node, held against the truth and against itself.

use super::measure::COUNT_FROM;
use super::settings;
use super::truth::Truth;
use super::views::{Held, Views};
use crate::check::Findings;
use crate::scenario::{FaultKind, PlannedFault, Scenario};
use crate::subject::Checks;
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::envelope::{Class, Envelope};
use relaymesh_core::identity::NodeId;
use relaymesh_core::membership::wire::{Member, Message as Said, News, Rumor};
use relaymesh_core::membership::{
    self, MemberView, MembershipObservation as Seen, Opinion, Settings, Status, suspicion,
};
use relaymesh_core::mesh::{AdmissionObservation, MeshNode, MeshObservation, Message, Reply, Request};
use relaymesh_core::node::Outgoing;
use relaymesh_core::time::Duration;

/// The crashed are dead everywhere within the bound.
pub const MEMB_1: &str = "MEMB-1";
/// The healthy are dead nowhere.
pub const MEMB_2: &str = "MEMB-2";
/// After healing all agree on who is there.
pub const MEMB_3: &str = "MEMB-3";
/// Nobody is in a view who is no member of the cluster, and no view outgrows its bound.
pub const VIEW_1: &str = "VIEW-1";
/// What a process holds of a member only moves up: nobody comes back from the dead but by its own word.
pub const VERD_1: &str = "VERD-1";
/// A node never says one incarnation of itself twice in two lives, nor a lower one in a later life.
pub const INCN_1: &str = "INCN-1";
/// A member that was dead, or suspected by several, counts as alive again only after it was healthy for long enough.
pub const HOLD_1: &str = "HOLD-1";
/// A packet that arrives once more changes nothing.
pub const REPL_1: &str = "REPL-1";
/// No datagram is larger than the budget, all headers counted.
pub const PACK_1: &str = "PACK-1";

/// Bytes of UDP and IPv4 headers.
pub const DATAGRAM_HEADER_BYTES: usize = 28;

#[derive(Clone, Debug, Default)]
struct Exercised {
    memb_1: u64,
    memb_2: u64,
    memb_3: u64,
    view_1: u64,
    verd_1: u64,
    incn_1: u64,
    hold_1: u64,
    repl_1: u64,
    pack_1: u64,
}

/// What a host has said of itself.
#[derive(Clone, Copy, Debug, Default)]
struct Said1 {
    /// Which of its processes said it last.
    life: u64,
    /// The highest incarnation of that process.
    incarnation: u64,
    /// The highest number that any earlier process used.
    before: u64,
}

/// Watches the mesh.
#[derive(Debug)]
pub struct MeshChecks {
    settings: Settings,
    numbers: BTreeMap<NodeId, u32>,
    /// What is true.
    pub truth: Truth,
    /// What is held.
    pub views: Views,
    /// What happened, for figures.
    pub record: Record,
    /// Crashes whose bound is still running: until when, whose, and when it ended.
    crashes: VecDeque<(TrueTime, u32, TrueTime)>,
    said: Vec<Said1>,
    lives: Vec<u64>,
    keeps_packets: bool,
    packets: BTreeSet<(u32, u32, u64, u64, u64)>,
    replayed: Option<(u32, u32, u64)>,
    oversized: Option<(u32, usize)>,
    audited: BTreeMap<u32, Vec<MemberView>>,
    /// Nodes that start by themselves.
    expected: u32,
    /// Until then after a disturbance nobody is expected to be held for what it is.
    grace: Duration,
    exercised: Exercised,
}

/// What happened, at true time, for figures.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Whether to keep all of it, which takes memory.
    pub is_kept: bool,
    /// Who came to know of whom, when: time, observer, subject.
    pub learned: Vec<(TrueTime, u32, u32)>,
    /// Who came to hold whom dead, when, and whether it truly was: time, observer, subject.
    pub dead: Vec<(TrueTime, u32, u32)>,
    /// Who came to hold whom gone, when: time, observer, subject.
    pub left: Vec<(TrueTime, u32, u32)>,
    /// False deaths among the deaths.
    pub false_deaths: u64,
    /// Changes of the view for placement: time, observer, subject, whether it counts now.
    pub placement: Vec<(TrueTime, u32, u32, bool)>,
    /// Bytes on the wire with UDP/IP or TCP/IP headers, by sender.
    pub bytes: Vec<u64>,
    /// Packets, by sender.
    pub packets: Vec<u64>,
    /// When a packet first reached another host after `mark`, between the two sides.
    pub first_across: Option<TrueTime>,
    /// The one side of a partition, while a heal is waited for.
    pub side: Vec<bool>,
    /// Pairs of running members of which one does not hold the other alive.
    pub wrong: i64,
    /// When the last such pair was gone.
    pub agreed_at: Option<TrueTime>,
    /// When that was so for the first time after a packet had come across a healed partition.
    pub reunited_at: Option<TrueTime>,
    /// When that was so for the first time with every node that starts by itself.
    pub formed_at: Option<TrueTime>,
    is_counting: bool,
}

impl MeshChecks {
    /// The checkers of a run of `scenario`.
    pub fn new(scenario: &Scenario) -> Self {
        let settings = settings(scenario).membership;
        let nodes = scenario.nodes;
        let keeps_packets =
            scenario.faults.iter().any(|fault| matches!(fault.kind, FaultKind::Replay | FaultKind::Duplicate));
        Self {
            numbers: (0..nodes).map(|number| (node_id(number), number)).collect(),
            truth: Truth::new(nodes, &scenario.mesh, settings.probe_timeout),
            views: Views::new(nodes),
            record: Record {
                is_kept: scenario.tags.iter().any(|tag| tag == "measure"),
                bytes: vec![0; nodes as usize],
                packets: vec![0; nodes as usize],
                ..Record::default()
            },
            expected: (0..nodes)
                .filter(|host| !scenario.mesh.is_stranger(nodes, *host) && !scenario.mesh.is_late(nodes, *host))
                .count() as u32,
            crashes: VecDeque::new(),
            said: vec![Said1::default(); nodes as usize],
            lives: vec![0; nodes as usize],
            keeps_packets,
            packets: BTreeSet::new(),
            replayed: None,
            oversized: None,
            audited: BTreeMap::new(),
            grace: settings.probe_interval.saturating_mul(30),
            settings,
            exercised: Exercised::default(),
        }
    }

    /// Within which a crash must be known to everybody: until the last of the members could have probed it by then, the
    /// probe itself, the longest suspicion, and the spreading of the news.
    ///
    /// Rounds of different nodes are independent, so the first probe of a crashed member takes one interval on average,
    /// and more than 24 once in 10¹⁰ times; a lap of two rounds bounds it in a small mesh.
    pub fn crash_bound(&self) -> Duration {
        let members = self.truth.members();
        let rounds = u64::from((2 * members).min(24)) + 2;
        let longest = suspicion::timeout(0, members, &self.settings);
        let rounds_of_gossip = u64::from(members.ilog2()) + 10;
        self.settings.probe_interval.saturating_mul(rounds)
            + longest
            + self.settings.gossip_interval.saturating_mul(rounds_of_gossip)
    }

    fn number(&self, node: NodeId) -> Option<u32> {
        self.numbers.get(&node).copied()
    }

    fn before(&self, now: TrueTime, span: Duration) -> TrueTime {
        TrueTime(now.0.saturating_sub(span.as_nanos()))
    }

    // --- views --------------------------------------------------------------------------------------------------

    fn status_seen(&mut self, observer: u32, node: NodeId, status: Status, incarnation: u64, found: &mut Findings) {
        self.exercised.view_1 += 1;
        let Some(subject) = self.number(node).filter(|subject| self.truth.is_of_cluster(*subject)) else {
            let detail = format!("n{observer} holds {node:?} to be {}, who is no member", status.name());
            return found.fail(VIEW_1, &[observer], detail);
        };
        let now = found.now;
        let before = self.views.get(observer, subject);
        self.check_order(observer, subject, before, (status, incarnation), found);
        let unwell_at = if status == Status::Alive { before.unwell_at } else { Some(now) };
        // What ended now was so until now.
        let unwell_at = if before.status.is_some_and(|was| was != Status::Alive) { Some(now) } else { unwell_at };
        let held = Held { status: Some(status), incarnation, since: now, unwell_at, ..before };
        self.change(observer, subject, held, now);
        if before.status.is_none() {
            self.record_learned(observer, subject, now);
        }
        match status {
            Status::Dead => self.dead_seen(observer, subject, found),
            Status::Left if self.record.is_kept => self.record.left.push((now, observer, subject)),
            Status::Suspect if self.truth.is_up(subject) => self.exercised.memb_2 += 1,
            _ => {}
        }
    }

    fn check_order(&mut self, observer: u32, subject: u32, before: Held, after: (Status, u64), found: &mut Findings) {
        let Some(was) = before.status else { return };
        self.exercised.verd_1 += 1;
        let (status, incarnation) = after;
        if (incarnation, status) < (before.incarnation, was) {
            let detail = format!(
                "n{observer} held n{subject} {} at incarnation {}, and then {} at {incarnation}",
                was.name(),
                before.incarnation,
                status.name()
            );
            found.fail(VERD_1, &[observer, subject], detail);
        }
    }

    fn dead_seen(&mut self, observer: u32, subject: u32, found: &mut Findings) {
        let now = found.now;
        let is_false = self.truth.is_up(subject);
        self.record.false_deaths += u64::from(is_false);
        if self.record.is_kept {
            self.record.dead.push((now, observer, subject));
        }
        let since = self.before(now, self.grace);
        if self.truth.is_well_since(subject, since) && self.truth.is_well_since(observer, since) {
            let detail =
                format!("n{observer} holds n{subject} dead, which has been up and undisturbed for {}", self.grace);
            found.fail(MEMB_2, &[observer, subject], detail);
        }
    }

    fn change(&mut self, observer: u32, subject: u32, held: Held, now: TrueTime) {
        self.count_wrong(observer, subject, -1);
        self.views.set(observer, subject, held);
        self.count_wrong(observer, subject, 1);
        self.note_agreement(now);
    }

    fn count_wrong(&mut self, observer: u32, subject: u32, sign: i64) {
        let is_pair = observer != subject && self.truth.is_up(observer) && self.truth.is_up(subject);
        if is_pair && self.views.get(observer, subject).status != Some(Status::Alive) {
            self.record.wrong += sign;
        }
    }

    fn count_all_wrong(&mut self, host: u32, sign: i64) {
        for other in 0..self.truth.members() {
            self.count_wrong(host, other, sign);
            if other != host {
                self.count_wrong(other, host, sign);
            }
        }
    }

    fn note_agreement(&mut self, now: TrueTime) {
        if self.record.wrong == 0 && self.record.first_across.is_some() && self.record.reunited_at.is_none() {
            self.record.reunited_at = Some(now);
        }
        match (self.record.wrong, self.record.agreed_at) {
            (0, None) => {
                self.record.agreed_at = Some(now);
                let there = (0..self.truth.members()).filter(|host| self.truth.is_up(*host)).count() as u32;
                if self.record.formed_at.is_none() && there >= self.expected {
                    self.record.formed_at = Some(now);
                }
            }
            (0, Some(_)) => {}
            _ => self.record.agreed_at = None,
        }
    }

    fn record_learned(&mut self, observer: u32, subject: u32, now: TrueTime) {
        if self.record.is_kept {
            self.record.learned.push((now, observer, subject));
        }
    }

    fn suppressed(&mut self, observer: u32, node: NodeId, is_suppressed: bool, found: &mut Findings) {
        let Some(subject) = self.number(node) else { return };
        let now = found.now;
        let before = self.views.get(observer, subject);
        if !is_suppressed {
            self.exercised.hold_1 += 1;
            self.check_hold(observer, subject, before, found);
        }
        self.views.set(observer, subject, Held { is_suppressed, ..before });
        if self.record.is_kept {
            self.record.placement.push((now, observer, subject, !is_suppressed));
        }
    }

    /// A fiftieth is left for clocks that do not run as true time does.
    fn check_hold(&mut self, observer: u32, subject: u32, before: Held, found: &mut Findings) {
        let least = Duration::from_nanos(self.settings.suspect_recover_min.as_nanos() / 50 * 49);
        let healthy = before.unwell_at.map(|at| found.now.since(at));
        if healthy.is_some_and(|healthy| healthy < least) {
            let detail = format!("n{observer} counts n{subject} as alive again after less than {least} of health");
            found.fail(HOLD_1, &[observer, subject], detail);
        }
    }

    // --- crashes ------------------------------------------------------------------------------------------------

    /// Looks at the crashes whose bound has run out.
    fn look_at_crashes(&mut self, found: &mut Findings) {
        while let Some((until, subject, ended)) = self.crashes.front().copied() {
            if until > found.now {
                return;
            }
            self.crashes.pop_front();
            if self.truth.down_since(subject) != Some(ended) {
                continue;
            }
            for observer in 0..self.truth.members() {
                let held = self.views.get(observer, subject).status;
                let is_fit = self.truth.is_well_since(observer, self.before(ended, self.grace));
                if !is_fit || held.is_none() {
                    continue;
                }
                self.exercised.memb_1 += 1;
                if held.is_some_and(Status::is_member) {
                    let detail = format!(
                        "n{subject} ended {} ago, and n{observer} still holds it {}",
                        found.now.since(ended),
                        held.map_or("unknown", Status::name)
                    );
                    found.fail(MEMB_1, &[observer, subject], detail);
                }
            }
        }
    }

    // --- the wire -----------------------------------------------------------------------------------------------

    fn own_words(&mut self, host: u32, said: &Said, found: &mut Findings) {
        match said {
            Said::Ping { rumors, .. }
            | Said::Ack { rumors, .. }
            | Said::PingRequest { rumors, .. }
            | Said::Gossip { rumors } => rumors.iter().for_each(|rumor| self.own_rumor(host, rumor, found)),
            Said::SyncDigests { opener, .. } => self.own_member(host, opener, found),
            Said::SyncRows { rows, .. } => {
                let own = rows.iter().find(|row| row.node == node_id(host));
                if let Some(row) = own {
                    self.said_of_itself(host, row.verdict.incarnation.0, found);
                }
            }
            Said::SyncAnswer { opinions, members, .. } => {
                opinions.iter().for_each(|opinion| self.own_opinion(host, opinion, found));
                members.iter().for_each(|member| self.own_member(host, member, found));
            }
            Said::SyncMembers { members, .. } => {
                members.iter().for_each(|member| self.own_member(host, member, found));
            }
            Said::Vouch { .. } | Said::Nack { .. } => {}
        }
    }

    fn own_rumor(&mut self, host: u32, rumor: &Rumor, found: &mut Findings) {
        match &rumor.news {
            News::Opinion(opinion) => self.own_opinion(host, opinion, found),
            News::Member(member) => self.own_member(host, member, found),
        }
    }

    fn own_opinion(&mut self, host: u32, opinion: &Opinion, found: &mut Findings) {
        if opinion.node == node_id(host) && opinion.accuser == opinion.node {
            self.said_of_itself(host, opinion.verdict.incarnation.0, found);
        }
    }

    fn own_member(&mut self, host: u32, member: &Member, found: &mut Findings) {
        if member.node == node_id(host) {
            self.said_of_itself(host, member.incarnation.0, found);
        }
    }

    fn said_of_itself(&mut self, host: u32, incarnation: u64, found: &mut Findings) {
        self.exercised.incn_1 += 1;
        let life = self.lives[host as usize];
        let said = &mut self.said[host as usize];
        if said.life != life {
            *said = Said1 { life, incarnation, before: said.before.max(said.incarnation) };
        }
        if incarnation <= said.before {
            let detail = format!(
                "n{host} says it is at incarnation {incarnation}, where an earlier process was at {}",
                said.before
            );
            return found.fail(INCN_1, &[host], detail);
        }
        // Within one life an older word may still be on its way after a newer one.
        said.incarnation = said.incarnation.max(incarnation);
    }

    // --- the end ------------------------------------------------------------------------------------------------

    /// MEMB-3: everybody who is there holds everybody who is there alive, and nobody else; and what nodes answer is what
    /// they let operators see.
    fn check_agreement(&mut self, found: &mut Findings) {
        let there: Vec<u32> = (0..self.truth.members()).filter(|host| self.truth.is_up(*host)).collect();
        for observer in &there {
            for subject in 0..self.truth.members() {
                let held = self.views.get(*observer, subject).status;
                self.exercised.memb_3 += 1;
                let is_right = match there.binary_search(&subject) {
                    _ if subject == *observer => true,
                    Ok(_) => held == Some(Status::Alive),
                    Err(_) => held.is_none_or(|held| !held.is_member()),
                };
                if !is_right {
                    let (seen, truth) = (held.map_or("unknown", Status::name), there.contains(&subject));
                    let detail = format!(
                        "n{observer} holds n{subject} {seen} at the end, which is {}",
                        if truth { "there" } else { "not there" }
                    );
                    found.miss(MEMB_3, &[*observer, subject], detail);
                    return;
                }
            }
        }
        self.check_audit(found);
    }

    fn check_audit(&mut self, found: &mut Findings) {
        let digest = |members: &[MemberView]| -> Vec<(NodeId, Status, u64, u64)> {
            let row = |it: &MemberView| {
                let version = it.description.as_ref().map_or(0, |description| description.version);
                (it.node, it.status, it.incarnation.0, version)
            };
            members.iter().filter(|it| it.status.is_member()).map(row).collect()
        };
        let mut first: Option<(u32, Vec<_>)> = None;
        for (host, members) in &self.audited {
            let own = digest(members);
            self.exercised.memb_3 += 1;
            for it in members {
                let subject = self.numbers.get(&it.node).copied().unwrap_or(u32::MAX);
                if subject != *host && self.views.get(*host, subject).status != Some(it.status) {
                    let detail = format!(
                        "n{host} answers that n{subject} is {}, and let operators see otherwise",
                        it.status.name()
                    );
                    return found.miss(MEMB_3, &[*host, subject], detail);
                }
            }
            match &first {
                None => first = Some((*host, own)),
                Some((other, theirs)) if *theirs != own => {
                    let differing = own.iter().zip(theirs).find(|(a, b)| a != b);
                    let detail = format!("n{host} and n{other} answer differently who is there: {differing:?}");
                    return found.miss(MEMB_3, &[*host, *other], detail);
                }
                Some(_) => {}
            }
        }
    }
}

impl Checks<MeshNode> for MeshChecks {
    fn shows_state(&self, _: &Message) -> bool {
        // Incarnations are durable before they are used, which INCN-1 watches on its own.
        false
    }

    fn sent(&mut self, host: u32, _: u32, outgoing: &Outgoing<Message>, found: &mut Findings) {
        let Message::Membership(said) = &outgoing.message;
        self.own_words(host, said, found);
    }

    fn received(&mut self, host: u32, from: u32, envelope: &Envelope, _: &Message, found: &mut Findings) {
        self.look_at_crashes(found);
        if let Some((host, bytes)) = self.oversized.take() {
            let limit = self.settings.bounds.datagram_bytes;
            let detail = format!("n{host} sends a datagram of {bytes} bytes, where {limit} may be on the wire");
            found.fail(PACK_1, &[host], detail);
        }
        if let Some((host, from, sequence)) = self.replayed.take() {
            let detail = format!("n{host} has taken packet {sequence} of n{from} twice");
            found.fail(REPL_1, &[host, from], detail);
        }
        if self.keeps_packets {
            let source = envelope.source;
            let life = self.lives[host as usize];
            let is_new =
                self.packets.insert((host, from, life << 32 | source.boot.0, source.store.0, envelope.sequence));
            // Who is not in the view yet has no window there; its word is idempotent.
            if !is_new && self.views.get(host, from).status.is_some() {
                self.exercised.repl_1 += 1;
                self.replayed = Some((host, from, envelope.sequence));
            }
        }
    }

    fn asked(&mut self, _: u32, _: u32, _: &Request, _: &mut Findings) {}

    fn answered(&mut self, _: u32, host: u32, _: &Request, reply: &Reply, found: &mut Findings) {
        let Reply::Membership(reply) = reply;
        match reply {
            membership::Reply::Members(members) => {
                self.exercised.view_1 += 1;
                if members.len() as u32 > self.settings.bounds.members.min(self.truth.members()) {
                    found.fail(VIEW_1, &[host], format!("n{host} shows {} members", members.len()));
                }
                if self.truth.is_up(host) {
                    self.audited.insert(host, members.clone());
                }
            }
            membership::Reply::Left => {
                self.count_all_wrong(host, -1);
                self.truth.left(host);
                self.count_all_wrong(host, 1);
            }
            _ => {}
        }
    }

    fn observed(&mut self, host: u32, observation: &MeshObservation, found: &mut Findings) {
        match observation {
            MeshObservation::Membership(seen) => match *seen {
                Seen::Joined { node, status, incarnation } | Seen::StatusChanged { node, status, incarnation, .. } => {
                    self.status_seen(host, node, status, incarnation, found);
                }
                Seen::Forgotten { node } => {
                    if let Some(subject) = self.number(node) {
                        let held = Held { status: None, ..self.views.get(host, subject) };
                        self.change(host, subject, held, found.now);
                    }
                }
                Seen::Held { node, .. } => self.suppressed(host, node, true, found),
                Seen::Recovered { node } => self.suppressed(host, node, false, found),
                Seen::Members { rows, .. } => {
                    self.exercised.view_1 += 1;
                    if rows > u64::from(self.truth.members()) {
                        found.fail(VIEW_1, &[host], format!("n{host} holds {rows} rows"));
                    }
                }
                _ => {}
            },
            MeshObservation::Admission(AdmissionObservation::Replayed { .. }) => self.replayed = None,
            MeshObservation::Admission(_) => {}
        }
    }

    fn booted(&mut self, host: u32, now: TrueTime) {
        self.count_all_wrong(host, -1);
        self.lives[host as usize] += 1;
        self.truth.booted(host, now);
        self.views.reset(host);
        self.audited.remove(&host);
        self.count_all_wrong(host, 1);
        self.note_agreement(now);
    }

    fn ended(&mut self, host: u32, now: TrueTime) {
        self.count_all_wrong(host, -1);
        let was_member = self.truth.is_up(host);
        self.truth.ended(host, now);
        self.count_all_wrong(host, 1);
        self.note_agreement(now);
        if was_member {
            self.crashes.push_back((now + self.crash_bound(), host, now));
        }
    }

    fn began_fault(&mut self, fault: &PlannedFault, now: TrueTime) {
        self.truth.fault(fault, true, now);
        if fault.kind == FaultKind::Partition {
            self.record.side = (0..self.truth.members()).map(|host| fault.nodes.contains(&host)).collect();
        }
    }

    fn ended_fault(&mut self, fault: &PlannedFault, now: TrueTime) {
        self.truth.fault(fault, false, now);
        if fault.kind == FaultKind::Partition {
            self.record.first_across = None;
        }
    }

    fn carried(&mut self, host: u32, _: u32, class: Class, bytes: usize) {
        if self.record.is_counting {
            self.record.bytes[host as usize] += on_wire(class, bytes);
            self.record.packets[host as usize] += 1;
        }
        if class == Class::Gossip {
            self.exercised.pack_1 += 1;
            if bytes + DATAGRAM_HEADER_BYTES > self.settings.bounds.datagram_bytes as usize {
                self.oversized = Some((host, bytes));
            }
        }
    }

    fn crossed(&mut self, from: u32, to: u32, now: TrueTime) {
        self.record.is_counting = now.0 >= COUNT_FROM * 1_000_000_000;
        let side = |host: u32| self.record.side.get(host as usize).copied();
        if self.record.first_across.is_none() && side(from).is_some() && side(from) != side(to) {
            self.record.first_across = Some(now);
        }
    }

    fn wrote(&mut self, _: u32, _: BodyVersion, _: &mut Findings) {}

    fn unreadable(&mut self, host: u32, found: &mut Findings) {
        found.fail(crate::check::REC_1, &[host], "a build cannot read what it has written".into());
    }

    fn store_lost(&mut self, host: u32) {
        // The next process cannot know what the lost store knew.
        self.said[host as usize] = Said1 { life: self.lives[host as usize], ..Said1::default() };
    }

    fn healed(&mut self, _: TrueTime) {}

    fn finish(&mut self, found: &mut Findings) {
        self.look_at_crashes(found);
        self.check_agreement(found);
    }

    fn exercised(&self) -> Vec<(&'static str, u64)> {
        let it = &self.exercised;
        vec![
            (MEMB_1, it.memb_1),
            (MEMB_2, it.memb_2),
            (MEMB_3, it.memb_3),
            (VIEW_1, it.view_1),
            (VERD_1, it.verd_1),
            (INCN_1, it.incn_1),
            (HOLD_1, it.hold_1),
            (REPL_1, it.repl_1),
            (PACK_1, it.pack_1),
        ]
    }
}

/// The bytes on the wire of a packet: with UDP and IP headers, or as part of a TCP stream that acknowledges every
/// second segment.
pub fn on_wire(class: Class, bytes: usize) -> u64 {
    const SEGMENT_BYTES: usize = 1_448;
    const TCP_HEADER_BYTES: usize = 52;
    const LENGTH_BYTES: usize = 4;
    match class {
        Class::Gossip => (bytes + DATAGRAM_HEADER_BYTES) as u64,
        _ => {
            let segments = (bytes + LENGTH_BYTES).div_ceil(SEGMENT_BYTES);
            (bytes + LENGTH_BYTES + (segments + segments.div_ceil(2)) * TCP_HEADER_BYTES) as u64
        }
    }
}
