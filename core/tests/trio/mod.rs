//! Replicas of one shard in one process, on one thread: what the test counts allocations in, and the bench measures.
//!
//! A driver without disks and links that does what a node does between them: it keeps messages in order, holds back what
//! waits for a sync, treats all that was written since the last one as durable in one go, and wakes whoever has a
//! deadline. Messages and records go through the codec, or are handed over as they are.

#![allow(dead_code, unused_imports, reason = "each user needs a part")]

mod services;

use relaymesh_core::codec::{decode_value, encode_value};
use relaymesh_core::epoch::ClusterEpoch;
use relaymesh_core::identity::{BootIncarnation, Incarnation, NodeId, StoreIncarnation};
use relaymesh_core::machine::{CauseId, Ctx, Machine, Scripted};
use relaymesh_core::node::Gating;
use relaymesh_core::record::Sequence;
use relaymesh_core::replication::{
    Action, Event, LogSequence, Message, Record, Replica, Reply, Service, Settings, Ticket,
};
use relaymesh_core::shards::{ReplicaId, ShardRecord};
use relaymesh_core::time::{Duration, Time, WallTime};
pub(crate) use services::{Load, PaddedRegisters, Sum};
use std::collections::{BTreeSet, VecDeque};

/// Bytes of a command.
pub(crate) const COMMAND_BYTES: usize = 256;
/// A body may be no longer; blocks are far shorter.
const BODY_BYTES_MAX: usize = 1 << 20;
/// What a round takes by the fake clock: about a sync and a trip through a LAN.
const ROUND: Duration = Duration::from_micros(200);
/// Rounds after which something is wrong.
const ROUNDS_MAX: usize = 100_000;

/// How messages travel, and whether records are encoded for the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carriage {
    /// As they are: what the machines cost by themselves.
    HandedOver,
    /// Through the codec, like the wire and the journal.
    Encoded,
}

#[derive(Clone)]
enum Packet {
    HandedOver(Message),
    Encoded(Vec<u8>),
}

#[derive(Clone)]
struct Node<S: Service> {
    replica: Replica<S>,
    next_record: Sequence,
    synced: Sequence,
    inbox: VecDeque<(usize, Packet)>,
    /// What waits for the sync, and for whom.
    gated: Vec<(usize, Packet)>,
}

/// The replicas of a shard, of which the first one is the owner.
#[derive(Clone)]
pub(crate) struct Trio<S: Service> {
    nodes: Vec<Node<S>>,
    carriage: Carriage,
    now: Time,
    submitted: u64,
    done: u64,
    blocks: u64,
    actions: Vec<Action<S::Answer>>,
    /// Buffers of packets that have arrived.
    spare: Vec<Vec<u8>>,
    journal: Vec<u8>,
}

fn process(node: usize) -> Incarnation {
    let (id, store) = (NodeId::from_bytes([node as u8 + 1; 16]), StoreIncarnation(node as u64 + 1));
    Incarnation { node: id, store, boot: BootIncarnation(1) }
}

fn id(node: usize) -> ReplicaId {
    process(node).into()
}

impl<S: Service> Trio<S> {
    /// Three replicas, the first `members` of which are the set and hold the log; the first of all serves.
    pub(crate) fn new(carriage: Carriage, members: usize, settings: Settings) -> Self {
        let node = |node| Node {
            replica: Replica::new(process(node), settings),
            next_record: Sequence(1),
            synced: Sequence(0),
            inbox: VecDeque::new(),
            gated: vec![],
        };
        let mut trio = Self {
            nodes: (0..3).map(node).collect(),
            carriage,
            now: Time::ZERO,
            submitted: 0,
            done: 0,
            blocks: 0,
            actions: vec![],
            spare: vec![],
            journal: vec![],
        };
        let in_sync: BTreeSet<ReplicaId> = (0..members).map(id).collect();
        let mut record = ShardRecord::new(ClusterEpoch(1), 1, in_sync.clone(), 1).expect("a sound set");
        record.grant(2, process(0)).expect("nobody owns it yet");
        for node in 0..3 {
            trio.tell(node, Event::Placed(in_sync.clone()));
            trio.tell(node, Event::View(Some(Time::MAX)));
            trio.tell(node, Event::Known(record.clone().into()));
        }
        trio.rounds_until(|trio| trio.mark(0) > LogSequence(0));
        trio
    }

    /// Clients keep `window` commands under way, in packets of that many, until so many more are done.
    pub(crate) fn run(&mut self, load: &[[u8; COMMAND_BYTES]], window: u64, packet: u64, entries: u64) {
        let goal = self.done + entries;
        self.rounds_until(|trio| {
            while trio.submitted + packet <= trio.done + window && trio.submitted < goal {
                trio.submit(load, packet.min(goal - trio.submitted));
            }
            trio.done >= goal
        });
    }

    /// The second replica, so far empty, is to have a copy.
    pub(crate) fn place_second(&mut self) {
        self.tell(0, Event::Placed((0..2).map(id).collect()));
    }

    /// Until the second replica has applied all that the owner has.
    pub(crate) fn catch_up(&mut self) {
        self.place_second();
        self.rounds_until(|trio| trio.mark(1) == trio.mark(0));
    }

    /// What a replica knows to be acknowledged, and so has applied.
    pub(crate) fn mark(&self, node: usize) -> LogSequence {
        self.nodes[node].replica.mark()
    }

    /// The state above a replica's log.
    pub(crate) fn service(&self, node: usize) -> &S {
        self.nodes[node].replica.service()
    }

    /// Blocks that the owner has written.
    pub(crate) fn blocks(&self) -> u64 {
        self.blocks
    }

    fn rounds_until(&mut self, is_over: impl Fn(&mut Self) -> bool) {
        for _ in 0..ROUNDS_MAX {
            if is_over(self) {
                return;
            }
            self.round();
        }
        panic!("nothing comes of it");
    }

    /// Everybody handles what has arrived, wakes up where it is time, and syncs.
    fn round(&mut self) {
        self.now = self.now + ROUND;
        for node in 0..self.nodes.len() {
            // What is sent meanwhile arrives in the next round.
            for _ in 0..self.nodes[node].inbox.len() {
                let Some((from, packet)) = self.nodes[node].inbox.pop_front() else { break };
                let message = self.opened(packet);
                self.tell(node, Event::Message { from: id(from), message });
            }
            if self.nodes[node].replica.next_deadline().is_some_and(|at| at <= self.now) {
                self.tell(node, Event::Wake);
            }
            self.sync(node);
        }
    }

    fn sync(&mut self, node: usize) {
        let written = self.nodes[node].next_record.before();
        if written > self.nodes[node].synced {
            self.nodes[node].synced = written;
            self.tell(node, Event::Durable(written));
        }
        let mut gated = std::mem::take(&mut self.nodes[node].gated);
        for (to, packet) in gated.drain(..) {
            self.nodes[to].inbox.push_back((node, packet));
        }
        self.nodes[node].gated = gated;
    }

    fn submit(&mut self, load: &[[u8; COMMAND_BYTES]], count: u64) {
        let first = self.submitted;
        let command = |ticket: u64| (Ticket(ticket), load[ticket as usize % load.len()].as_slice());
        self.submitted += count;
        self.step(0, |replica, ctx, actions| replica.submit(ctx, (first..first + count).map(command), actions));
    }

    fn tell(&mut self, node: usize, event: Event) {
        self.step(node, |replica, ctx, actions| replica.handle(ctx, event, actions));
    }

    /// One step of a replica, and what follows from it.
    fn step(&mut self, node: usize, step: impl FnOnce(&mut Replica<S>, &mut Ctx<'_>, &mut Vec<Action<S::Answer>>)) {
        let mut chooser = Scripted::default();
        let mut ctx = Ctx::new(self.now, WallTime::default(), CauseId(0), &mut chooser);
        let mut actions = std::mem::take(&mut self.actions);
        ctx.next_record = self.nodes[node].next_record;
        step(&mut self.nodes[node].replica, &mut ctx, &mut actions);
        self.nodes[node].next_record = ctx.next_record;
        for action in actions.drain(..) {
            self.blocks += u64::from(node == 0 && matches!(action, Action::Write(Record::Entries(_))));
            match action {
                Action::Send { to, message } => self.send(node, to.store.0 as usize - 1, message),
                Action::Write(record) if self.carriage == Carriage::Encoded => {
                    self.journal.clear();
                    encode_value(&record, BODY_BYTES_MAX, &mut self.journal).expect("a record is short");
                }
                Action::Reply { reply: Reply::Done(_), .. } => self.done += 1,
                Action::Reply { ticket, reply, .. } => panic!("{ticket}: {reply:?}"),
                // Whoever is proposed for the set stays proposed.
                Action::Write(_) | Action::Propose { .. } | Action::HandOver { .. } | Action::Observe(_) => {}
                // Nobody here puts blobs.
                Action::Keep { .. } | Action::Fetch { .. } | Action::Discard { .. } | Action::Sweep => {}
            }
        }
        self.actions = actions;
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        let gating = message.gating();
        let packet = match self.carriage {
            Carriage::HandedOver => Packet::HandedOver(message),
            Carriage::Encoded => {
                let mut bytes = self.spare.pop().unwrap_or_default();
                encode_value(&message, BODY_BYTES_MAX, &mut bytes).expect("a message is short");
                Packet::Encoded(bytes)
            }
        };
        match gating {
            Gating::Ungated => self.nodes[to].inbox.push_back((from, packet)),
            Gating::Gated => self.nodes[from].gated.push((to, packet)),
        }
    }

    fn opened(&mut self, packet: Packet) -> Message {
        match packet {
            Packet::HandedOver(message) => message,
            Packet::Encoded(mut bytes) => {
                let message = decode_value(&bytes).expect("it was encoded above");
                bytes.clear();
                self.spare.push(bytes);
                message
            }
        }
    }
}
