//! The world that is explored: nodes, disks, packets, the control group, and what an onlooker remembers.

use relaymesh_core::epoch::{ClusterEpoch, Epoch};
use relaymesh_core::identity::{BootIncarnation, Incarnation, NodeId, StoreIncarnation};
use relaymesh_core::machine::{CauseId, Ctx, Machine, Scripted};
use relaymesh_core::node::Gating;
use relaymesh_core::record::Sequence;
use relaymesh_core::replication::once::{Once, SubmissionId, Told, once};
use relaymesh_core::replication::registers::{Answer, Command, Registers};
use relaymesh_core::replication::{
    Action, Event, LogSequence, Message, Position, Record, Replica, Reply, Settings, Standing, Ticket,
};
use relaymesh_core::shards::{Change, Kept, ReplicaId, ShardRecord, rebuilt};
use relaymesh_core::time::{Duration, Time, WallTime};
use stateright::semantics::register::{Register, RegisterOp, RegisterRet};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub(crate) const NODES: usize = 3;
const REGISTER: u64 = 7;
/// Names a submission whose answer is not looked at.
const NOBODYS: Ticket = Ticket(0);
/// Names one by who keeps what is parked. Reads have other odd numbers.
const KEEPERS: Ticket = Ticket(1);
/// What is parked adds one to that register.
pub(crate) const KEPT: u64 = REGISTER + 2;

/// What is explored, and how far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shard {
    /// Steps of the longest interleaving; nothing stands for all.
    pub(crate) depth: Option<usize>,
    /// Who is in the set when it begins; the first one owns the shard.
    pub(crate) members: &'static [usize],
    pub(crate) minimum: u8,
    /// Who may be granted the shard next, in which order.
    pub(crate) heirs: &'static [usize],
    pub(crate) grants: u8,
    pub(crate) appends: u8,
    pub(crate) reads: u8,
    /// How often what is parked is submitted, by one keeper or several.
    pub(crate) resubmissions: u8,
    pub(crate) crashes: u8,
    /// Who may crash.
    pub(crate) frail: &'static [usize],
    /// Deadlines that may pass.
    pub(crate) wakes: u8,
    /// Recoveries of the control group, in which only some nodes are reachable.
    pub(crate) recoveries: u8,
    pub(crate) reachable: &'static [usize],
    pub(crate) bumps: u8,
    /// Requests to hand the shard over.
    pub(crate) hand_overs: u8,
    /// Checkpoints, behind which journals and logs are cut.
    pub(crate) checkpoints: u8,
    /// Whose.
    pub(crate) trimmers: &'static [usize],
    /// Answers arrive at once; what is asked and appended may still be under way for any time.
    pub(crate) is_prompt: bool,
    /// Packets may arrive any number of times.
    pub(crate) is_repeated: bool,
    /// Syncs take their time: between a write and its sync anything may happen.
    pub(crate) is_slow: bool,
    /// Records are learned at any time, not at once.
    pub(crate) is_lagging: bool,
    /// Owners act on after their sessions have ended: clocks that stray beyond ε.
    pub(crate) is_astray: bool,
    /// What has happened before the search begins.
    pub(crate) prelude: &'static [Act],
    /// Who never hears what the first owner appends under its first epoch.
    pub(crate) deaf: &'static [usize],
    /// Who ought to have a copy.
    pub(crate) placed: &'static [usize],
    /// The promise that is not looked at.
    pub(crate) except: Option<&'static str>,
    /// The only promise looked at, if not all.
    pub(crate) only: Option<&'static str>,
    pub(crate) plant: Option<Plant>,
}

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    /// U3: the longest log is adopted.
    LongestLog,
    /// W1: the owner and one other are enough.
    BareMajority,
    /// P1: a promise is told before it is durable.
    PromiseNotDurable,
    /// L6: entries are said to be held before they are durable.
    HeldNotDurable,
    /// W3: the owner's own entries count before they are durable.
    OwnNotDurable,
    /// W4: whoever says that it holds an entry counts in the place of a member.
    LeaverCounts,
    /// L3: who promises cuts its log at its mark.
    CutAtMark,
    /// I2: an addition is required only once it is known to have committed.
    AdditionNotRequired,
    /// I3: a candidate is proposed before it holds what is acknowledged.
    AddedEarly,
    /// I4: a removal counts when it is proposed.
    RemovedEarly,
    /// I1: changes commit whatever they were conditional on.
    Unconditional,
    /// U6: the owner serves before others hold the start of its epoch.
    ServesAtOnce,
    /// U7: a process that restarts goes on as owner.
    OwnerRestarts,
    /// Y1: a recovery believes the record of a backup.
    BackupBelieved,
    /// Z2: a snapshot is named one entry too high.
    SnapshotTooHigh,
    /// Z3: half a snapshot is installed.
    HalfInstalled,
    /// Z4: what is before the cut goes before the snapshot is durable.
    CutNotDurable,
    /// K2: each keeper names it by itself.
    NamedByKeeper,
    /// K3: a keeper takes it for taken when it has submitted it.
    TakenWhenSubmitted,
    /// K4d: a snapshot does not know the id.
    IdNotInSnapshot,
}

/// A step of a prelude.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Submit(usize),
    /// A command on another register, whose answer nobody looks at.
    SubmitOther(usize),
    /// What is parked.
    Resubmit(usize),
    /// A whole checkpoint.
    Checkpoint(usize),
    Grant(usize),
    Learn(usize),
    Wake(usize),
    /// The first of the proposals commits.
    Commit,
    /// All that is under way between two nodes arrives, and all that follows from it.
    Talk(usize, usize),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Submit {
        node: usize,
    },
    Read {
        node: usize,
    },
    /// What is parked, to the owner.
    Resubmit {
        node: usize,
    },
    Deliver {
        packet: Packet,
    },
    Sync {
        node: usize,
    },
    /// All but the first so many unsynced writes are lost; the process starts again.
    Crash {
        node: usize,
        keeps: usize,
    },
    Learn {
        node: usize,
    },
    Lapse {
        node: usize,
    },
    Commit {
        proposal: Proposal,
    },
    Grant {
        node: usize,
    },
    Wake {
        node: usize,
    },
    HandOver {
        node: usize,
    },
    /// A checkpoint begins, or goes on.
    Checkpoint {
        node: usize,
    },
    Bump,
    Recover,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Packet {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) message: Message,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Proposal {
    pub(crate) by: Incarnation,
    pub(crate) epoch: Epoch,
    /// Nothing stands for a request to hand over.
    pub(crate) change: Option<(u64, Change)>,
}

/// What waits at a node's gate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Held {
    Send { to: usize, message: Message },
    Propose(Proposal),
    Done { ticket: Ticket, answer: Told<Answer> },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) boot: u64,
    pub(crate) replica: Replica<Once<Registers>>,
    pub(crate) disk: Vec<Record>,
    pub(crate) unsynced: Vec<Record>,
    pub(crate) held: Vec<Held>,
    /// How many records it has learned.
    pub(crate) known: usize,
    pub(crate) has_view: bool,
    /// The checkpoint under way: its name, and how many records are before the cut.
    pub(crate) cut: Option<(Sequence, usize)>,
    /// For plants: who is said to hold whatever somebody holds.
    pub(crate) faked: Option<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct World {
    pub(crate) nodes: Vec<Arc<Node>>,
    /// The hash of each node, which changes with one or two of them in a step.
    prints: [u64; NODES],
    pub(crate) records: Vec<Arc<ShardRecord>>,
    pub(crate) net: BTreeSet<Packet>,
    pub(crate) proposals: BTreeSet<Proposal>,
    pub(crate) used: Used,
    pub(crate) seen: Seen,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Used {
    pub(crate) grants: u8,
    pub(crate) appends: u8,
    pub(crate) reads: u8,
    pub(crate) resubmissions: u8,
    pub(crate) crashes: u8,
    pub(crate) wakes: u8,
    pub(crate) recoveries: u8,
    pub(crate) bumps: u8,
    pub(crate) hand_overs: u8,
    pub(crate) checkpoints: u8,
}

pub(crate) type History = LinearizabilityTester<u64, Register<Option<u64>>>;

/// What an onlooker remembers.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) struct Seen {
    /// Each acknowledged entry, and the lowest epoch at which it was acknowledged.
    pub(crate) acknowledged: BTreeMap<LogSequence, (Position, Epoch)>,
    pub(crate) is_renamed: bool,
    pub(crate) acknowledgers: BTreeMap<Epoch, Incarnation>,
    pub(crate) are_two_owners: bool,
    /// The newest epoch that each node was heard to have promised or accepted.
    pub(crate) told: [Epoch; NODES],
    pub(crate) is_older_accepted: bool,
    pub(crate) history: History,
    pub(crate) is_not_linear: bool,
    /// What the first entries amount to, where checkpoints are looked at.
    pub(crate) states: BTreeMap<LogSequence, Once<Registers>>,
    pub(crate) are_two_states: bool,
    /// Somebody who keeps what is parked was told that it took effect.
    pub(crate) is_taken: bool,
}

pub(crate) fn process(node: usize, boot: u64) -> Incarnation {
    let (id, store) = (NodeId::from_bytes([node as u8 + 1; 16]), StoreIncarnation(node as u64 + 1));
    Incarnation { node: id, store, boot: BootIncarnation(boot) }
}

pub(crate) fn replica(node: usize) -> ReplicaId {
    process(node, 0).into()
}

pub(crate) fn node_of(replica: ReplicaId) -> usize {
    replica.store.0 as usize - 1
}

impl Node {
    /// Whether a message can have no more effect here, now and ever, than one that was lost.
    fn has_done_with(&self, message: &Message) -> bool {
        let promised = self.disk.iter().find_map(|record| match record {
            Record::Promised(epoch) => Some(*epoch),
            _ => None,
        });
        let promised = promised.unwrap_or_default();
        let tenure = match self.replica.standing() {
            Standing::Follower => None,
            Standing::TakingOver(epoch) | Standing::Serving(epoch) => Some(epoch),
        };
        match message {
            Message::Promise { epoch }
            | Message::Append { epoch, .. }
            | Message::Fetch { epoch, .. }
            | Message::Snapshot { epoch, .. } => *epoch < promised && self.replica.promised() == promised,
            answer => Some(answer.epoch()) != tenure && answer.epoch() <= promised,
        }
    }
}

/// Deadlines of take-over and patience may pass at any time; what is sent again would be what is under way already.
fn settings() -> Settings {
    Settings {
        takeover_wait: Duration::ZERO,
        patience: Duration::ZERO,
        drain: Duration::ZERO,
        retry: Duration::MAX,
        tell: Duration::MAX,
        pipeline_blocks: 2,
        tail_entries: 0,
        // Who is spare is fed as eagerly as all others: what is sent later is sent in some order that is explored, too.
        rests: 0,
        // One register each.
        piece_bytes: 36,
        ..Settings::default()
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.prints, &self.net, &self.proposals, &self.used, &self.seen).hash(hasher);
        // Those before it follow from what happened to it.
        (self.records.len(), self.truth()).hash(hasher);
    }
}

/// Mixes words; good enough to tell states apart, and the same on every machine of one width.
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

impl World {
    /// After a step: hashes, and packets that nobody looks at any more.
    pub(crate) fn tidy(&mut self, before: &[Arc<Node>]) {
        for (node, own) in self.nodes.iter().enumerate() {
            if !before.get(node).is_some_and(|before| Arc::ptr_eq(before, own)) {
                let mut mixer = Mixer(node as u64);
                own.hash(&mut mixer);
                self.prints[node] = mixer.finish();
            }
        }
        let nodes = &self.nodes;
        self.net.retain(|packet| !nodes[packet.to].has_done_with(&packet.message));
    }

    pub(crate) fn node(&mut self, node: usize) -> &mut Node {
        Arc::make_mut(&mut self.nodes[node])
    }

    pub(crate) fn truth(&self) -> &ShardRecord {
        self.records.last().expect("there is a first record")
    }
}

impl Shard {
    pub(crate) fn small() -> Self {
        Self {
            depth: None,
            members: &[0, 1, 2],
            minimum: 2,
            heirs: &[1, 2],
            grants: 0,
            appends: 0,
            reads: 0,
            resubmissions: 0,
            crashes: 0,
            frail: &[0, 1, 2],
            wakes: 0,
            recoveries: 0,
            reachable: &[],
            bumps: 0,
            hand_overs: 0,
            checkpoints: 0,
            trimmers: &[0, 1, 2],
            is_prompt: false,
            is_repeated: false,
            is_slow: false,
            is_lagging: false,
            is_astray: false,
            prelude: &[],
            deaf: &[],
            placed: &[0, 1, 2],
            except: None,
            only: None,
            plant: None,
        }
    }

    /// The first owner serves, and everybody has followed.
    pub(crate) fn start(&self) -> World {
        let in_sync = self.members.iter().map(|node| replica(*node)).collect();
        let mut record = ShardRecord::new(ClusterEpoch(1), 1, in_sync, self.minimum).expect("a sound set");
        record.grant(2, process(self.members[0], 1)).expect("a member");
        let node = |node: usize| {
            Arc::new(Node {
                boot: 1,
                replica: Replica::new(process(node, 1), settings()),
                disk: vec![],
                unsynced: vec![],
                held: vec![],
                known: 0,
                has_view: false,
                cut: None,
                faked: None,
            })
        };
        let seen = Seen {
            acknowledged: BTreeMap::new(),
            is_renamed: false,
            acknowledgers: BTreeMap::new(),
            are_two_owners: false,
            told: [Epoch::default(); NODES],
            is_older_accepted: false,
            history: LinearizabilityTester::new(Register(None)),
            is_not_linear: false,
            states: BTreeMap::new(),
            are_two_states: false,
            is_taken: false,
        };
        let mut world = World {
            nodes: (0..NODES).map(node).collect(),
            prints: [0; NODES],
            records: vec![Arc::new(record)],
            net: BTreeSet::new(),
            proposals: BTreeSet::new(),
            used: Used::default(),
            seen,
        };
        let hears_all: &[usize] =
            if self.deaf.iter().any(|deaf| self.members.contains(deaf)) { &[] } else { self.deaf };
        let sound = Self { plant: None, is_slow: false, is_repeated: false, deaf: hears_all, ..*self };
        for node in 0..NODES {
            sound.begin(&mut world, node);
            sound.learn(&mut world, node);
        }
        while let Some(packet) = world.net.first().cloned() {
            sound.deliver(&mut world, packet);
        }
        let swift = Self { is_slow: false, is_repeated: false, ..*self };
        for act in self.prelude {
            swift.act(&mut world, *act);
        }
        world.tidy(&[]);
        world
    }

    fn act(&self, world: &mut World, act: Act) {
        match act {
            Act::Submit(node) => self.submit(world, node),
            Act::SubmitOther(node) => {
                let command = Command::Write { register: REGISTER + 1, value: 1 }.to_bytes().into();
                self.tell(world, node, Event::Submit { ticket: NOBODYS, command });
            }
            Act::Resubmit(node) => self.resubmit(world, node),
            Act::Checkpoint(node) => {
                self.checkpoint(world, node);
                while world.nodes[node].cut.is_some() {
                    self.checkpoint(world, node);
                }
            }
            Act::Grant(node) => self.grant(world, node),
            Act::Learn(node) => self.learn(world, node),
            Act::Wake(node) => self.tell(world, node, Event::Wake),
            Act::Commit => {
                let proposal = world.proposals.first().cloned().expect("something was proposed");
                self.commit(world, proposal);
            }
            Act::Talk(a, b) => {
                let is_between = |packet: &&Packet| [(a, b), (b, a)].contains(&(packet.from, packet.to));
                while let Some(packet) = world.net.iter().find(is_between).cloned() {
                    self.deliver(world, packet);
                }
            }
        }
    }

    // --- one node ---------------------------------------------------------------------------------------------------

    /// What a process is told when it starts.
    fn begin(&self, world: &mut World, node: usize) {
        self.tell(world, node, Event::Placed(self.placed.iter().map(|node| replica(*node)).collect()));
        world.node(node).has_view = true;
        self.tell(world, node, Event::View(Some(Time::MAX)));
    }

    pub(crate) fn tell(&self, world: &mut World, node: usize, event: Event) {
        let mut chooser = Scripted::default();
        let mut ctx = Ctx::new(Time::ZERO, WallTime::default(), CauseId(0), &mut chooser);
        let own = world.node(node);
        // Records are counted from the last one that is durable: nothing older is asked for.
        ctx.next_record = Sequence(own.unsynced.len() as u64 + 1);
        let mut actions = vec![];
        own.replica.handle(&mut ctx, event, &mut actions);
        let by = process(node, own.boot);
        for action in actions {
            let held = match action {
                Action::Write(record) => {
                    world.node(node).unsynced.push(record);
                    continue;
                }
                Action::Send { to, message } => {
                    let to = node_of(to);
                    if message.gating() == Gating::Ungated || self.is_told_early(&message) {
                        self.release(world, node, Held::Send { to, message });
                        continue;
                    }
                    Held::Send { to, message }
                }
                Action::Propose { epoch, version, change } => {
                    self.fake_change(world, node, change);
                    Held::Propose(Proposal { by, epoch, change: Some((version, change)) })
                }
                Action::HandOver { epoch, .. } => Held::Propose(Proposal { by, epoch, change: None }),
                Action::Reply { ticket, reply: Reply::Done(answer), .. } => Held::Done { ticket, answer },
                // Nobody here puts blobs.
                Action::Keep { .. } | Action::Fetch { .. } | Action::Discard { .. } | Action::Sweep => continue,
                Action::Reply { .. } | Action::Observe(_) => continue,
            };
            // What is said twice at one gate is said once: a network may repeat it.
            let waiting = &mut world.node(node).held;
            if !waiting.contains(&held) {
                waiting.push(held);
            }
        }
        self.watch(world, node);
        self.trim(world, node);
        self.fake_own(world, node);
        if world.nodes[node].unsynced.is_empty() {
            self.open_gate(world, node);
        } else if !self.is_slow {
            self.sync(world, node);
        }
    }

    pub(crate) fn sync(&self, world: &mut World, node: usize) {
        let own = world.node(node);
        let written = std::mem::take(&mut own.unsynced);
        let upto = Sequence(written.len() as u64);
        written.into_iter().for_each(|record| self.store(&mut own.disk, record));
        self.open_gate(world, node);
        self.tell(world, node, Event::Durable(upto));
    }

    fn open_gate(&self, world: &mut World, node: usize) {
        for held in std::mem::take(&mut world.node(node).held) {
            self.release(world, node, held);
        }
    }

    fn release(&self, world: &mut World, node: usize, held: Held) {
        match held {
            Held::Send { to, message } => {
                if let Message::Promised { epoch, .. } | Message::Held { epoch, .. } = message {
                    let told = &mut world.seen.told[node];
                    world.seen.is_older_accepted |= epoch < *told;
                    *told = epoch.max(*told);
                }
                let is_deaf = self.deaf.contains(&to) && message.epoch() == world.records[0].epoch;
                let is_answer = message.gating() == Gating::Gated
                    && !matches!(message, Message::Promise { .. } | Message::Fetch { .. } | Message::Snapshot { .. });
                if self.is_prompt && is_answer {
                    self.deliver(world, Packet { from: node, to, message });
                } else if !(is_deaf && matches!(message, Message::Append { .. })) {
                    world.net.insert(Packet { from: node, to, message });
                }
            }
            Held::Propose(proposal) => drop(world.proposals.insert(proposal)),
            // The gate drops what would leave after the view has lapsed.
            Held::Done { ticket: NOBODYS, .. } => {}
            Held::Done { ticket: KEEPERS, answer } => {
                let is_taken = matches!(answer, Told::Answer(_) | Told::Taken(_));
                world.seen.is_taken |= is_taken && world.nodes[node].has_view;
            }
            Held::Done { ticket, answer } if world.nodes[node].has_view || self.is_astray => {
                let is_write = ticket.0 % 2 == 0;
                let Told::Answer(Answer::Holds(value)) = answer else { return };
                let returned = if is_write { RegisterRet::WriteOk } else { RegisterRet::ReadOk(value) };
                let history = &mut world.seen.history;
                let is_sound = history.on_return(ticket.0, returned).is_ok_and(|history| history.is_consistent());
                world.seen.is_not_linear |= !is_sound;
            }
            Held::Done { .. } => {}
        }
    }

    /// What an onlooker sees of an owner that acknowledges.
    fn watch(&self, world: &mut World, node: usize) {
        let own = world.nodes[node].clone();
        if self.checkpoints > 0 && own.replica.applied() > LogSequence(0) {
            let state = own.replica.service();
            let known = world.seen.states.entry(own.replica.applied()).or_insert_with(|| state.clone());
            world.seen.are_two_states |= known != state;
        }
        let Standing::Serving(epoch) = own.replica.standing() else { return };
        let by = process(node, own.boot);
        let known = *world.seen.acknowledgers.entry(epoch).or_insert(by);
        world.seen.are_two_owners |= known != by;
        for sequence in (1..=own.replica.mark().0).map(LogSequence) {
            let Some(named) = own.replica.log().epoch_at(sequence) else { continue };
            let position = Position { epoch: named, sequence };
            let first = world.seen.acknowledged.entry(sequence).or_insert((position, epoch));
            world.seen.is_renamed |= first.0 != position && epoch >= first.1;
            first.1 = first.1.min(epoch);
        }
    }

    // --- what happens -----------------------------------------------------------------------------------------------

    pub(crate) fn deliver(&self, world: &mut World, packet: Packet) {
        if !self.is_repeated {
            world.net.remove(&packet);
        }
        let Packet { from, to, message } = packet;
        let message = self.fake_message(world, (from, to), message);
        let held = match message {
            Message::Held { epoch, upto } => Some((epoch, upto)),
            _ => None,
        };
        let is_promise = matches!(message, Message::Promise { .. });
        self.tell(world, to, Event::Message { from: replica(from), message });
        if let Some((epoch, upto)) = held {
            self.fake_held(world, to, from, epoch, upto);
        }
        if is_promise {
            self.fake_cut(world, to);
        }
    }

    pub(crate) fn learn(&self, world: &mut World, node: usize) {
        let record = world.records[world.nodes[node].known].clone();
        world.node(node).known += 1;
        self.tell(world, node, Event::Known(Box::new((*record).clone())));
    }

    /// A record is committed. Those whom it does not concern learn of it at once.
    fn committed(&self, world: &mut World, record: ShardRecord) {
        world.records.push(Arc::new(record));
        for node in 0..NODES {
            while !self.is_lagging && world.nodes[node].known < world.records.len() {
                self.learn(world, node);
            }
        }
    }

    pub(crate) fn submit(&self, world: &mut World, node: usize) {
        let value = u64::from(world.used.appends) + 1;
        world.used.appends += 1;
        let ticket = Ticket(value * 2);
        let history = &mut world.seen.history;
        history.on_invoke(ticket.0, RegisterOp::Write(Some(value))).expect("tickets are new");
        let command = Command::Write { register: REGISTER, value }.to_bytes().into();
        self.tell(world, node, Event::Submit { ticket, command });
    }

    /// Who keeps what is parked submits it, and nothing tells it that another has.
    pub(crate) fn resubmit(&self, world: &mut World, node: usize) {
        world.used.resubmissions += 1;
        let by = if self.plant == Some(Plant::NamedByKeeper) { world.used.resubmissions } else { 0 };
        let command = Command::Add { register: KEPT, by: 1 }.to_bytes();
        let command = once(SubmissionId::from_bytes([by; SubmissionId::BYTES]), 0, &command);
        world.seen.is_taken |= self.plant == Some(Plant::TakenWhenSubmitted);
        self.tell(world, node, Event::Submit { ticket: KEEPERS, command });
    }

    pub(crate) fn read(&self, world: &mut World, node: usize) {
        world.used.reads += 1;
        let ticket = Ticket(u64::from(world.used.reads) * 2 + 1);
        world.seen.history.on_invoke(ticket.0, RegisterOp::Read).expect("tickets are new");
        let query = Command::Read { register: REGISTER }.to_bytes().into();
        self.tell(world, node, Event::Read { ticket, query });
    }

    pub(crate) fn crash(&self, world: &mut World, node: usize, keeps: usize) {
        world.used.crashes += 1;
        let is_owner_again = self.plant == Some(Plant::OwnerRestarts);
        let own = world.node(node);
        let written = std::mem::take(&mut own.unsynced);
        written.into_iter().take(keeps).for_each(|record| self.store(&mut own.disk, record));
        own.held.clear();
        own.cut = None;
        own.faked = None;
        own.boot += u64::from(!is_owner_again);
        own.replica = Replica::new(process(node, own.boot), settings());
        for record in own.disk.clone() {
            let is_own_promise = matches!(record, Record::Promised(_) | Record::Known(_));
            if !(is_owner_again && is_own_promise) {
                own.replica.replay(record);
            }
        }
        if is_owner_again {
            own.known = own.known.saturating_sub(1);
        }
        self.begin(world, node);
        while !self.is_lagging && world.nodes[node].known < world.records.len() {
            self.learn(world, node);
        }
    }

    /// A part of a checkpoint, the first one if none is under way.
    pub(crate) fn checkpoint(&self, world: &mut World, node: usize) {
        if world.nodes[node].cut.is_none() {
            world.used.checkpoints += 1;
            let (name, own) = (Sequence(u64::from(world.used.checkpoints)), world.node(node));
            own.cut = Some((name, own.disk.len() + own.unsynced.len()));
        }
        let name = world.nodes[node].cut.map_or(Sequence(0), |(name, _)| name);
        self.tell(world, node, Event::Checkpoint(name));
        self.trim(world, node);
    }

    /// What is before the cut goes, once all that is needed of it is durable again.
    fn trim(&self, world: &mut World, node: usize) {
        let own = &world.nodes[node];
        let Some((_, before)) = own.cut.filter(|(name, _)| own.replica.has_checkpoint(*name)) else { return };
        if own.unsynced.is_empty() || self.plant == Some(Plant::CutNotDurable) {
            let own = world.node(node);
            own.disk.drain(..before.min(own.disk.len()));
            own.cut = None;
        }
    }

    /// Keeps a record. Where nothing is trimmed, what a later one replaces goes, so that equal disks look equal.
    fn store(&self, disk: &mut Vec<Record>, record: Record) {
        if self.checkpoints > 0 { disk.push(record) } else { store(disk, record) }
    }

    pub(crate) fn lapse(&self, world: &mut World, node: usize) {
        world.node(node).has_view = false;
        self.tell(world, node, Event::View(None));
    }

    /// The owner's session ends, if it has not: its process has crashed, or its view lapses in this very moment.
    pub(crate) fn grant(&self, world: &mut World, node: usize) {
        world.used.grants += 1;
        let (mut record, version) = (world.truth().clone(), world.records.len() as u64 + 2);
        if let Some(owner) = record.owner {
            record.vacate(version, owner);
            let own = node_of(owner.into());
            if world.nodes[own].boot == owner.boot.0 && world.nodes[own].has_view && !self.is_astray {
                self.lapse(world, own);
            }
        }
        record.grant(version, process(node, world.nodes[node].boot)).expect("nobody owns it, and it is a member");
        if !world.nodes[node].has_view {
            world.node(node).has_view = true;
            self.tell(world, node, Event::View(Some(Time::MAX)));
        }
        self.committed(world, record);
    }

    pub(crate) fn commit(&self, world: &mut World, proposal: Proposal) {
        world.proposals.remove(&proposal);
        let (mut record, next) = (world.truth().clone(), world.records.len() as u64 + 2);
        let Proposal { by, mut epoch, change } = proposal.clone();
        let refused = match change {
            None => record.hand_over(next, by, epoch).is_err(),
            Some((mut version, change)) => {
                let mut by = by;
                if self.plant == Some(Plant::Unconditional) {
                    (epoch, version, by) = (record.epoch, record.version, record.owner.unwrap_or(by));
                }
                record.change(next, by, epoch, version, change).is_err()
            }
        };
        if !refused {
            return self.committed(world, record);
        }
        let own = node_of(by.into());
        if let Some((version, _)) = change
            && process(own, world.nodes[own].boot) == by
        {
            self.tell(world, own, Event::Refused { version });
        }
    }

    pub(crate) fn bump(&self, world: &mut World) {
        world.used.bumps += 1;
        let (mut record, version) = (world.truth().clone(), world.records.len() as u64 + 2);
        record.bump(version, ClusterEpoch(record.epoch.cluster.0 + 1));
        self.committed(world, record);
    }

    /// The control group is lost; the operator goes on with those that can be reached.
    pub(crate) fn recover(&self, world: &mut World) {
        world.used.recoveries += 1;
        let version = world.records.len() as u64 + 2;
        let cluster = ClusterEpoch(world.truth().epoch.cluster.0 + 1);
        let kept = |node: &usize| {
            let own = &world.nodes[*node];
            let (replica, process) = (replica(*node), process(*node, own.boot));
            let mut record = own.replica.record().cloned();
            if self.plant == Some(Plant::BackupBelieved) {
                record = Some((*world.records[0]).clone());
            }
            let end = own.replica.log().last();
            Kept { replica, process, promised: own.replica.promised(), record, intended: None, end }
        };
        let mut kept: Vec<Kept> = self.reachable.iter().map(kept).collect();
        if self.plant == Some(Plant::LongestLog) {
            // The same mistake twice: whoever has the longest log goes on.
            kept.iter_mut().for_each(|kept| kept.end.epoch = Epoch::default());
        }
        world.proposals.clear();
        if let Ok(record) = rebuilt(cluster, version, &kept, true) {
            self.committed(world, record);
        }
    }
}

/// What a journal amounts to, so that equal disks look equal.
fn store(disk: &mut Vec<Record>, record: Record) {
    disk.retain(|old| match (old, &record) {
        (Record::Promised(_), Record::Promised(_)) | (Record::Known(_), Record::Known(_)) => false,
        (Record::Entries(old), Record::Entries(new)) => old.first().sequence < new.first().sequence,
        _ => true,
    });
    match record {
        Record::Intended { .. } => {}
        record => disk.push(record),
    }
}
