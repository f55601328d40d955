//! Checkers of membership: what operators could read off every node, held against the truth and against itself.
//!
//! | file | watches |
//! | --- | --- |
//! | `seen` | what a node lets operators see, as it happens: MEMB-2, VIEW-1, VERD-1, HOLD-1 |
//! | `bounds` | what must be known to everybody in time: MEMB-1, JOIN-1, LEFT-1 |
//! | `words` | what a node says of itself: INCN-1, LEFT-1 |
//! | `packets` | what is on the wire: REPL-1, PACK-1, GOSS-1, RATE-1 |
//! | `keys` | keyrings: KEYS-1 |
//! | `audit` | what nodes answer: DESC-1, MEMB-3 |
//! | `agreement` | what can be said only at the end: MEMB-3, HOLD-2, PROB-1 |
//! | `suspicions` | how long suspicions last, and what they cost: SUSP-1, SUSP-2, PAUS-1, HOLD-3 |
//! | `patience` | how long a suspicion may last, for `suspicions` |
//! | `probes` | probes on the wire: PROB-2, PROB-3, HLTH-1 |
//! | `duties` | what nodes owe one another: TOLD-1, ACCU-1, JURY-1, PROB-4 |
//! | `exchanges` | exchanges on the wire: SYNC-1 |
//! | `control` | hands on what the control group and fences are asked |
//! | `leases` | who acts for what: LEASE-1, LEASE-2, EPOC-1 |
//! | `acceptors` | who accepts what: LEASE-3 |
//! | `registers` | what is read and written: CTRL-1 |
//! | `versions` | which versions of commands are logged and answered: VERS-1, VERS-2, VERS-3 |
//! | `shards` | replicated logs, and the state above them: SHRD-1, TASK-1, OWNR-1, PLAC-1 and others |
//! | `names` | all of them by name |
//! | `record` | what happened, for figures |
//!
//! It is fed one event after the other, so nothing here may cost O(n) but at boots, ends and the end of a run.

mod acceptors;
mod agreement;
mod audit;
mod bounds;
mod control;
mod duties;
mod exchanges;
mod keys;
mod leases;
mod names;
mod packets;
mod patience;
mod probes;
mod record;
mod registers;
mod seen;
mod shards;
mod suspicions;
mod versions;
mod words;

pub use names::*;
pub use record::{DATAGRAM_HEADER_BYTES, Record, on_wire};

use self::agreement::{PROBES_WATCHED_MAX, Probed};
use self::audit::Audit;
use self::bounds::Spreading;
use self::control::Control;
use self::duties::Duties;
use self::exchanges::Exchanges;
use self::keys::Keys;
use self::names::Exercised;
use self::packets::Packets;
use self::probes::Probes;
use self::shards::Shards;
use self::suspicions::Suspicions;
use self::words::Words;
use super::measure::COUNT_FROM;
use super::settings;
use super::truth::Truth;
use super::views::Views;
use crate::check::Findings;
use crate::disk::Disk;
use crate::scenario::{FaultKind, PlannedFault, Scenario};
use crate::subject::Checks;
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::control::node::Message as Controls;
use relaymesh_core::envelope::{Class, Envelope};
use relaymesh_core::identity::NodeId;
use relaymesh_core::membership::wire::Message as Said;
use relaymesh_core::membership::{self, Settings};
use relaymesh_core::mesh::{MeshNode, MeshObservation, Message, Reply, Request};
use relaymesh_core::node::Outgoing;
use relaymesh_core::object::ObjectId;
use relaymesh_core::replication::Message as Replicates;
use relaymesh_core::shards::host::Message as Shard;
use relaymesh_core::task::wire::Message as Tasks;
use relaymesh_core::time::Duration;

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
    spreading: Spreading,
    words: Words,
    packets: Packets,
    keys: Keys,
    audit: Audit,
    probed: Probed,
    /// Whether the packet that arrived last is one that `suspicions`, `probes` and `exchanges` have looked at.
    is_latest_of_membership: bool,
    suspicions: Suspicions,
    probes: Probes,
    duties: Duties,
    exchanges: Exchanges,
    control: Control,
    shards: Shards,
    lives: Vec<u64>,
    /// The first so many hosts are seeds.
    seeds: u32,
    /// Nodes that start by themselves.
    expected: u32,
    /// Each clock deviates by up to this, in parts per billion.
    clock_ppb: i64,
    /// Until then after a disturbance nobody is expected to be held for what it is.
    grace: Duration,
    healed_at: Option<TrueTime>,
    exercised: Exercised,
}

impl MeshChecks {
    /// The checkers of a run of `scenario`.
    pub fn new(scenario: &Scenario) -> Self {
        let settings = settings(scenario).membership;
        let nodes = scenario.nodes;
        let repeats = |kind| matches!(kind, FaultKind::Replay | FaultKind::Duplicate);
        let starts = |host: &u32| !scenario.mesh.is_stranger(nodes, *host) && !scenario.mesh.is_late(nodes, *host);
        Self {
            numbers: (0..nodes).map(|number| (node_id(number), number)).collect(),
            truth: Truth::new(nodes, &scenario.mesh, settings.probe_timeout),
            views: Views::new(nodes),
            record: Record::new(nodes, scenario.tags.iter().any(|tag| tag == "measure")),
            spreading: Spreading::default(),
            words: Words::new(nodes),
            packets: Packets::new(nodes, scenario.faults.iter().any(|fault| repeats(fault.kind))),
            keys: Keys::new(nodes),
            audit: Audit::new(nodes),
            probed: Probed::new(nodes),
            is_latest_of_membership: false,
            suspicions: Suspicions::new(nodes),
            probes: Probes::new(nodes),
            duties: Duties::new(nodes),
            exchanges: Exchanges::new(nodes <= PROBES_WATCHED_MAX),
            control: Control::new(scenario),
            shards: Shards::new(scenario),
            lives: vec![0; nodes as usize],
            seeds: scenario.mesh.seeds,
            expected: (0..nodes).filter(starts).count() as u32,
            clock_ppb: scenario.clocks.rate.0,
            grace: settings.probe_interval.saturating_mul(30),
            healed_at: None,
            settings,
            exercised: Exercised::default(),
        }
    }

    fn number(&self, node: NodeId) -> Option<u32> {
        self.numbers.get(&node).copied()
    }

    fn before(&self, now: TrueTime, span: Duration) -> TrueTime {
        TrueTime(now.0.saturating_sub(span.as_nanos()))
    }
}

impl Checks<MeshNode> for MeshChecks {
    fn shows_state(&self, message: &Message) -> bool {
        match message {
            // Incarnations are durable before they are used, which INCN-1 watches on its own.
            Message::Membership(_) => false,
            // Consensus and sessions see to it themselves; an outcome shows the state.
            Message::Control(message) => matches!(message, Controls::Commands(_)),
            // Entries are acknowledged by those who hold them durably, and what a question repeats a client has said.
            Message::Shards(Shard::Replica { message, .. }) => !matches!(message, Replicates::Append { .. }),
            Message::Shards(Shard::Ask { .. } | Shard::Once { .. } | Shard::Keep { .. }) => false,
            Message::Shards(Shard::Clock { .. } | Shard::ClockShows { .. } | Shard::Load { .. }) => false,
            Message::Shards(Shard::LoadIs { .. }) => false,
            Message::Shards(Shard::Answer { .. } | Shard::Kept { .. } | Shard::Keeping { .. }) => true,
            // Which claims live rests on the log; that a process lives, and that there is work, on nothing.
            Message::Tasks(message) => matches!(message, Tasks::Beaten { .. }),
        }
    }

    /// Orders rest on what shards have acknowledged, and those to kill are not to wait for a disk.
    fn reply_shows_state(&self, reply: &Reply) -> bool {
        !matches!(reply, Reply::Work(_))
    }

    fn sent(&mut self, host: u32, to: u32, outgoing: &Outgoing<Message>, found: &mut Findings) {
        self.control_sent(host, &outgoing.message, found);
        self.shards_sent(host, to, &outgoing.message, found);
        let Message::Membership(said) = &outgoing.message else { return };
        self.own_words(host, said, found);
        self.check_traffic(host, said, found);
        self.check_buddy(host, to, said, found);
        self.exchanges_sent(host, to, said, found);
        self.probes_sent(host, to, outgoing.class, said, found);
        if matches!(said, Said::Ping { .. }) {
            self.probed.asked(host, to, found.now);
        }
    }

    fn received(&mut self, host: u32, from: u32, envelope: &Envelope, message: &Message, found: &mut Findings) {
        self.exercised.form_1 += 1;
        self.look_at_bounds(found);
        self.report_noted(found);
        self.packet_taken(host, from, envelope);
        self.is_latest_of_membership = matches!(message, Message::Membership(_));
        let Message::Membership(said) = message else { return };
        self.accusations_heard(host, said, found);
        self.look_at_duties(found);
        self.probes_heard(host, from, said, found);
        self.exchanges_heard(host, from, said, found);
    }

    fn asked(&mut self, client: u32, host: u32, request: &Request, found: &mut Findings) {
        self.control_asked((client, host), request, found);
        self.shards_asked((client, host), request, found);
        let Request::Membership(request) = request else { return };
        match request {
            membership::Request::Members => return,
            membership::Request::UseKey { .. } | membership::Request::RemoveKey { .. } => self.keys.asked(host),
            membership::Request::Describe { name, .. } => self.audit.renaming(host, name, found.now),
            membership::Request::Leave => {
                self.suspicions.leaving(host);
                self.probes.leaving(host);
                self.duties.reset(host);
            }
        }
        self.packets.touched(found.now);
    }

    fn answered(&mut self, client: u32, host: u32, request: &Request, reply: &Reply, found: &mut Findings) {
        self.control_answered((client, host), request, reply, found);
        self.shards_answered((client, host), request, reply, found);
        let (Request::Membership(request), Reply::Membership(reply)) = (request, reply) else { return };
        match (request, reply) {
            (_, membership::Reply::Members(members)) => return self.members_answered(host, members, found),
            (_, membership::Reply::Left) => {
                let was_well = self.truth.is_well_since(host, self.before(found.now, self.grace));
                self.count_all_wrong(host, -1);
                self.truth.left(host);
                self.count_all_wrong(host, 1);
                if was_well {
                    self.departure_spreads(host, found.now);
                }
            }
            (membership::Request::Describe { name, .. }, membership::Reply::Described) => {
                self.audit.renamed(host, name, found.now);
            }
            (membership::Request::UseKey { .. } | membership::Request::RemoveKey { .. }, reply) => {
                let is_changed = *reply == membership::Reply::KeyChanged;
                self.keyring_answered(host, request, is_changed, found);
            }
            _ => {}
        }
        self.packets.touched(found.now);
    }

    fn observed(&mut self, host: u32, observation: &MeshObservation, found: &mut Findings) {
        match observation {
            MeshObservation::Membership(seen) => self.membership_seen(host, *seen, found),
            MeshObservation::Admission(refusal) => self.packet_refused(host, refusal),
            MeshObservation::Shards(seen) => self.record.observed(seen, found.now),
            MeshObservation::Control(_) => {}
        }
    }

    fn booted(&mut self, host: u32, now: TrueTime) {
        self.count_all_wrong(host, -1);
        self.lives[host as usize] += 1;
        self.truth.booted(host, now);
        self.suspicions.reset(host);
        self.probes.reset(host);
        self.duties.reset(host);
        self.exchanges.reset(host);
        self.views.reset(host);
        self.audit.booted(host, now);
        self.control.booted(host, now);
        self.count_all_wrong(host, 1);
        self.note_agreement(now);
        self.packets.touched(now);
        if self.truth.is_of_cluster(host) {
            self.start_spreads(host, now);
        }
    }

    fn ended(&mut self, host: u32, now: TrueTime) {
        self.shards.limits.died(host);
        self.count_all_wrong(host, -1);
        let was_member = self.truth.is_up(host);
        self.truth.ended(host, now);
        self.suspicions.reset(host);
        self.probes.reset(host);
        self.duties.reset(host);
        self.exchanges.reset(host);
        self.count_all_wrong(host, 1);
        self.note_agreement(now);
        self.packets.touched(now);
        if was_member {
            self.end_spreads(host, now);
        }
    }

    fn began_fault(&mut self, fault: &PlannedFault, now: TrueTime) {
        self.truth.fault(fault, true, now);
        self.packets.touched(now);
        self.record.began(fault, self.truth.members(), now);
        self.control.versions.fault(fault, true, now);
        self.shards.limits.fault(fault, true);
        self.shards.times.fault(fault);
        if fault.kind == FaultKind::KeyInstall {
            fault.nodes.iter().for_each(|host| self.keys.installed(*host, fault.value, now));
        }
    }

    fn ended_fault(&mut self, fault: &PlannedFault, now: TrueTime) {
        self.truth.fault(fault, false, now);
        self.packets.touched(now);
        self.control.versions.fault(fault, false, now);
        self.shards.limits.fault(fault, false);
        if fault.kind == FaultKind::Partition {
            self.record.first_across = None;
        }
    }

    fn carried(&mut self, host: u32, _: u32, class: Class, bytes: usize) {
        self.record.carried(host, class, bytes);
        if class == Class::Gossip {
            self.exercised.pack_1 += 1;
            self.packets.sized(host, bytes, self.settings.bounds.datagram_bytes);
        }
    }

    fn crossed(&mut self, from: u32, to: u32, now: TrueTime) {
        self.record.is_counting = now.0 >= COUNT_FROM * 1_000_000_000;
        self.record.crossed(from, to, now);
    }

    fn wrote(&mut self, _: u32, _: BodyVersion, _: &mut Findings) {}

    fn unreadable(&mut self, host: u32, found: &mut Findings) {
        found.fail(crate::check::REC_1, &[host], "a build cannot read what it has written".into());
    }

    fn store_lost(&mut self, host: u32) {
        self.words.store_lost(host, self.lives[host as usize]);
        self.control.store_lost(host);
        self.shards.store_lost(host);
    }

    fn healed(&mut self, now: TrueTime) {
        self.healed_at = Some(now);
        self.packets.touched(now);
    }

    fn objects_lost(&mut self, host: u32, objects: &[ObjectId]) {
        self.shards.blobs.objects_lost(host, objects);
    }

    fn disk(&mut self, host: u32, disk: &Disk) {
        self.shards.blobs.stored(host, disk.durable_objects());
    }

    fn over(&mut self, host: u32, node: &MeshNode) {
        self.look_at_replicas(host, node);
        self.look_at_placement(host, node);
    }

    fn finish(&mut self, found: &mut Findings) {
        self.look_at_bounds(found);
        self.report_noted(found);
        self.finish_suspicions(found);
        self.look_at_requests(found);
        self.look_at_exchanges(found);
        self.look_at_duties(found);
        self.check_agreement(found);
        self.check_registers(found);
        self.check_stories(found);
        self.check_replicas(found);
        self.check_placement(found);
        self.check_keys(found);
        self.check_tasks(found);
        self.check_schedules(found);
        self.check_blobs(found);
    }

    fn exercised(&self) -> Vec<(&'static str, u64)> {
        self.exercised.counts()
    }
}
