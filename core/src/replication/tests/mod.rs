//! Rules of the replica, each by itself, told with three of them. `docs/shard-log.md` has their names; every interleaving
//! of them is explored in `tests/shard_model.rs`.

mod append;
mod blobs;
mod hostile;
mod replay;
mod snapshot;
mod take_over;

use super::registers::{Answer, Command, Registers};
use super::*;
use crate::epoch::{ClusterEpoch, Epoch};
use crate::identity::{BootIncarnation, Incarnation, NodeId, StoreIncarnation};
use crate::machine::{CauseId, Ctx, Machine, Scripted};
use crate::record::Sequence;
use crate::shards::{Change, ReplicaId, ShardRecord};
use crate::time::{Duration, Time, WallTime};
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

/// Three replicas on disks that sync at once, and a network that a test cuts.
struct Trio {
    replicas: Vec<Replica<Registers>>,
    net: VecDeque<(usize, usize, Message)>,
    cut: BTreeSet<usize>,
    replies: Vec<(u64, Reply<Answer>)>,
    proposals: Vec<(u64, Change)>,
    record: ShardRecord,
    now: Time,
    /// What each has written.
    journals: Vec<Vec<Record>>,
    /// Disks that do not sync.
    stalled: BTreeSet<usize>,
    /// Why messages were refused.
    rejected: Vec<&'static str>,
    /// The objects of each.
    stores: Vec<blobs::Store>,
}

fn process(node: usize) -> Incarnation {
    let (id, store) = (NodeId::from_bytes([node as u8 + 1; 16]), StoreIncarnation(node as u64 + 1));
    Incarnation { node: id, store, boot: BootIncarnation(1) }
}

fn id(node: usize) -> ReplicaId {
    process(node).into()
}

fn epoch(lease: u64) -> Epoch {
    Epoch { cluster: ClusterEpoch(1), lease }
}

fn position(lease: u64, sequence: u64) -> Position {
    Position { epoch: epoch(lease), sequence: LogSequence(sequence) }
}

impl Trio {
    /// All three are the set, and the first one serves.
    fn new(settings: Settings) -> Self {
        let in_sync: BTreeSet<ReplicaId> = (0..3).map(id).collect();
        let mut trio = Self {
            replicas: (0..3).map(|node| Replica::new(process(node), settings)).collect(),
            net: VecDeque::new(),
            cut: BTreeSet::new(),
            replies: vec![],
            proposals: vec![],
            record: ShardRecord::new(ClusterEpoch(1), 1, in_sync, 2).unwrap(),
            now: Time::ZERO,
            journals: vec![vec![]; 3],
            stalled: BTreeSet::new(),
            rejected: vec![],
            stores: vec![blobs::Store::default(); 3],
        };
        for node in 0..3 {
            trio.tell(node, Event::Placed((0..3).map(id).collect()));
            trio.tell(node, Event::View(Some(Time::MAX)));
        }
        trio.grant(0);
        trio.run();
        assert_eq!(trio.replicas[0].standing(), Standing::Serving(epoch(1)));
        trio
    }

    fn tell(&mut self, node: usize, event: Event) {
        let before = self.journals[node].len();
        let mut chooser = Scripted::default();
        let mut ctx = Ctx::new(self.now, WallTime::default(), CauseId(0), &mut chooser);
        ctx.next_record = self.next_record(node);
        let mut actions = vec![];
        self.replicas[node].handle(&mut ctx, event, &mut actions);
        for action in actions {
            match action {
                Action::Send { to, message } => self.net.push_back((node, to.store.0 as usize - 1, message)),
                Action::Propose { version, change, .. } => self.proposals.push((version, change)),
                Action::Reply { ticket, reply, .. } => self.replies.push((ticket.0, reply)),
                Action::Write(record) => self.journals[node].push(record),
                Action::Observe(ReplicationObservation::Rejected { reason, .. }) => self.rejected.push(reason),
                Action::HandOver { .. } | Action::Observe(_) => {}
                Action::Keep { object, bytes } => self.stores[node].keep(object, bytes),
                Action::Fetch { object } => self.stores[node].asked.push_back(object),
                Action::Discard { object } => drop(self.stores[node].objects.remove(&object)),
                Action::Sweep => self.stores[node].is_to_be_swept = true,
            }
        }
        if self.journals[node].len() > before && !self.stalled.contains(&node) {
            self.tell(node, Event::Durable(self.next_record(node).before()));
        }
    }

    fn next_record(&self, node: usize) -> Sequence {
        Sequence(self.journals[node].len() as u64 + 1)
    }

    /// Everything under way arrives, but for what concerns those that are cut off.
    fn run(&mut self) {
        loop {
            if let Some((from, to, message)) = self.net.pop_front() {
                if !self.cut.contains(&from) && !self.cut.contains(&to) {
                    self.tell(to, Event::Message { from: id(from), message });
                }
            } else if !self.stores_answer() {
                return;
            }
        }
    }

    /// A while passes; whoever has a deadline is woken.
    fn pass(&mut self, ms: u64) {
        self.wake_after(ms);
        self.run();
    }

    /// Time passes, and whoever is due is woken; nothing arrives.
    fn wake_after(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
        for node in 0..3 {
            if self.replicas[node].next_deadline().is_some_and(|at| at <= self.now) {
                self.tell(node, Event::Wake);
            }
        }
    }

    fn grant(&mut self, node: usize) {
        let version = self.record.version + 1;
        if let Some(owner) = self.record.owner {
            self.record.vacate(version, owner);
        }
        self.record.grant(version, process(node)).unwrap();
        self.publish();
    }

    fn publish(&mut self) {
        for node in (0..3).filter(|node| !self.cut.contains(node)).collect::<Vec<_>>() {
            self.tell(node, Event::Known(self.record.clone().into()));
        }
    }

    /// What the owner has proposed commits.
    fn commit(&mut self) {
        let (version, change) = self.proposals.pop().expect("something was proposed");
        self.proposals.clear();
        let owner = self.record.owner.unwrap();
        self.record.change(self.record.version + 1, owner, self.record.epoch, version, change).unwrap();
        self.publish();
        self.run();
    }

    fn write(&mut self, node: usize, ticket: u64) {
        let command = Command::Write { register: 1, value: ticket }.to_bytes().into();
        self.tell(node, Event::Submit { ticket: Ticket(ticket), command });
    }

    fn done(&self) -> Vec<u64> {
        let is_done = |(_, reply): &&(u64, Reply<Answer>)| matches!(reply, Reply::Done(_));
        self.replies.iter().filter(is_done).map(|(ticket, _)| *ticket).collect()
    }

    fn ends(&self) -> [Position; 3] {
        [0, 1, 2].map(|node| self.replicas[node].log().last())
    }
}

fn trio() -> Trio {
    Trio::new(Settings::default())
}
