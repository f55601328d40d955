//! Sessions and leases over an abstract log: what is promised holds in every interleaving, within bounds, whatever is
//! delayed, lost, elected, crashed or restored, and whatever the clocks do within ε.
//!
//! Three nodes, two scopes, the real `State`, `Keeper` and `Client`. The log is abstract: one leader at a time may append
//! to it and commit, a new one keeps any prefix of what was not committed; who led before goes on believing that it leads.
//! A round that began while its leader led may be confirmed at any later time. A packet may be under way for any time.
//! Time is counted in ticks; with each tick one node's clock may run ahead and another's may stand still, neither ever
//! further from true time than ε. Every promise has been seen to be broken: each rule that can be left out has a plant that leaves
//! it out, and must be found.

use relaymesh_core::control::state::{
    Answer, At, Bump, Change, Command, Entry, Genesis, LeaderCommand, Lineage, NEWEST, Name, Outcome, RecoveryId,
    Scope, State, Text,
};
use relaymesh_core::epoch::{ClusterEpoch, Epoch, FenceToken};
use relaymesh_core::identity::{BootIncarnation, Incarnation, NodeId, StoreIncarnation};
use relaymesh_core::lease::acceptor::Acceptor;
use relaymesh_core::lease::client::{self, Ask, Client, Holding, Ticket};
use relaymesh_core::lease::keeper::{self, Keeper};
use relaymesh_core::lease::{Message, Renew, Settings};
use relaymesh_core::machine::{CauseId, Ctx, Machine, Scripted};
use relaymesh_core::time::{Duration, Time, WallTime};
use stateright::{Checker, Model, Property};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

// --- what is promised -----------------------------------------------------------------------------------------------

const ONE_HOLDER: &str = "LEASE-1: at most one valid holder of a scope";
const TOKENS_RISE: &str = "LEASE-2: tokens of a scope strictly increase";
const NO_OLDER: &str = "LEASE-3: nothing older is accepted after something newer";
const BUMP_KNOWN: &str = "C2: once a bump is said to be known, nobody acts under an older token";

#[test]
fn unsteady_clocks_break_no_promise() {
    Leases { depth: 10, writes: 0, ..Leases::small() }.keeps(50_000);
}

#[test]
fn an_election_breaks_no_promise() {
    Leases { elections: 1, heirs: &[1], ..Leases::small() }.keeps(30_000);
}

#[test]
fn the_loss_of_a_leader_that_holds_breaks_no_promise() {
    Leases { elections: 1, heirs: &[1], first: 0, slow: Some(0), fast: Some(1), ..Leases::small() }.keeps(20_000);
}

#[test]
fn a_leader_that_is_cut_off_with_a_holder_breaks_no_promise() {
    Leases { elections: 1, heirs: &[1], is_split: true, depth: 10, ..Leases::steady() }.keeps(10_000);
}

#[test]
fn a_crash_and_a_restart_break_no_promise() {
    Leases { crashes: 1, ..Leases::small() }.keeps(20_000);
}

#[test]
fn handing_over_breaks_no_promise() {
    Leases { asks: 1, writes: 1, ..Leases::small() }.keeps(20_000);
}

#[test]
fn a_bump_under_way_breaks_no_promise() {
    Leases { bumps: 1, depth: 9, ..Leases::small() }.keeps(30_000);
}

#[test]
fn a_restored_backup_breaks_no_promise() {
    Leases { restores: 1, ticks: 7, depth: 10, ..Leases::steady() }.keeps(10_000);
}

#[test]
#[ignore = "takes minutes and gigabytes: run it by name, in release, one at a time, after a change of the protocol"]
fn more_steps_and_more_faults_break_no_promise_in_over_1_000_000_states() {
    let searches = [
        Leases { depth: 12, ..Leases::small() },
        Leases { elections: 1, heirs: &[1], depth: 9, ..Leases::small() },
        Leases { elections: 2, depth: 9, ..Leases::steady() },
        Leases { elections: 1, crashes: 1, depth: 9, ..Leases::steady() },
        Leases { elections: 1, asks: 1, writes: 1, depth: 9, ..Leases::steady() },
        Leases { bumps: 1, asks: 1, writes: 1, depth: 9, ..Leases::small() },
        Leases { restores: 1, ticks: 8, writes: 1, depth: 13, ..Leases::steady() },
    ];
    let explored: usize = searches.into_iter().map(Leases::explore).sum();
    assert!(explored >= 1_000_000, "{explored}");
}

// --- each rule has been seen to matter ------------------------------------------------------------------------------

#[test]
fn a_leader_that_does_not_wait_for_epsilon_is_found() {
    Leases { plant: Some(Plant::NoEpsilon), ..Leases::small() }.breaks(ONE_HOLDER);
}

#[test]
fn a_holder_that_counts_from_the_arrival_of_the_grant_is_found() {
    Leases { plant: Some(Plant::FromArrival), is_late: true, heard: &[1], ..Leases::steady() }.breaks(ONE_HOLDER);
}

#[test]
fn a_deadline_in_place_of_a_duration_is_found() {
    let plant = Some(Plant::Deadline);
    Leases { plant, elections: 1, heirs: &[1], slow: Some(0), ..Leases::steady() }.breaks(ONE_HOLDER);
}

#[test]
fn an_acceptor_that_does_not_compare_is_found() {
    Leases { plant: Some(Plant::StaleAccepted), asks: 1, writes: 2, ..Leases::steady() }.breaks(NO_OLDER);
}

#[test]
fn a_restore_that_keeps_the_epoch_rewinds_tokens_and_is_found() {
    Leases { plant: Some(Plant::EpochKept), restores: 1, ..Leases::steady() }.breaks(TOKENS_RISE);
}

#[test]
fn a_restore_without_quarantine_is_found() {
    Leases { plant: Some(Plant::NoQuarantine), restores: 1, ..Leases::steady() }.breaks(ONE_HOLDER);
}

#[test]
fn an_acknowledgement_without_a_round_is_found() {
    let plant = Some(Plant::NoRound);
    Leases { plant, elections: 1, heirs: &[1], is_split: true, ticks: 4, ..Leases::steady() }.breaks(ONE_HOLDER);
}

#[test]
fn a_leader_that_acknowledges_before_it_has_applied_its_term_is_found() {
    let plant = Some(Plant::ReadyAtOnce);
    Leases { plant, elections: 1, heirs: &[1], ticks: 3, fast: Some(2), ..Leases::steady() }.breaks(ONE_HOLDER);
}

#[test]
fn an_end_that_a_deposed_leader_forwards_is_found() {
    let plant = Some(Plant::EndForwarded);
    let deaf = Leases { is_deaf: true, fast: Some(2), ticks: 3, ..Leases::steady() };
    Leases { plant, elections: 1, heirs: &[1], ..deaf }.breaks(ONE_HOLDER);
}

#[test]
fn an_acknowledgement_while_the_end_is_under_way_is_found() {
    Leases { plant: Some(Plant::EndIgnored), fast: Some(2), ..Leases::steady() }.breaks(ONE_HOLDER);
}

#[test]
fn a_holder_that_goes_on_until_its_transfer_commits_is_found() {
    Leases { plant: Some(Plant::TransferFirst), asks: 1, ..Leases::steady() }.breaks(ONE_HOLDER);
}

#[test]
fn a_bump_that_is_answered_at_once_is_found() {
    Leases { plant: Some(Plant::BumpAtOnce), bumps: 1, ..Leases::steady() }.breaks(BUMP_KNOWN);
}

#[test]
fn clocks_beyond_epsilon_break_the_first_promise_and_no_other() {
    Leases { skew: 3, writes: 2, depth: 7, ..Leases::small() }.breaks_with_clocks();
}

// --- the model ------------------------------------------------------------------------------------------------------

const NODES: usize = 3;
/// The first so many nodes want to hold something; the rest only vote.
const HOLDERS: usize = 2;
const TICK: Duration = Duration::from_millis(10);
/// Where each node's clock stands when true time begins, in ticks: nobody can compare them.
const OFFSETS: [u64; NODES] = [50, 102, 100];

/// Three ticks to live, one tick of ε: a view lasts two, the leader waits four.
fn settings() -> Settings {
    let ms = Duration::from_millis;
    Settings { ttl: ms(30), epsilon: ms(10), span_max: ms(40) }
}

/// What is explored, and how far.
#[derive(Clone, Copy)]
struct Leases {
    /// Steps of the longest interleaving.
    depth: usize,
    ticks: u64,
    /// Who leads when it begins.
    first: usize,
    /// Who may be elected.
    heirs: &'static [usize],
    /// Whose clock may stand still, and whose may go twice as fast.
    slow: Option<usize>,
    fast: Option<usize>,
    /// How far these may stray from true time, in ticks; ε is one.
    skew: i64,
    elections: u8,
    crashes: u8,
    asks: u8,
    bumps: u8,
    restores: u8,
    /// Writes under a token that may be under way at once.
    writes: usize,
    /// The second node is cut off from the other two.
    is_split: bool,
    /// The first leader hears nobody after it was deposed.
    is_deaf: bool,
    /// Whose renewals get through.
    heard: &'static [usize],
    /// Rounds are confirmed as soon as they begin.
    is_prompt: bool,
    /// The first acknowledgement of the first node is still under way when it begins.
    is_late: bool,
    /// The only promise looked at, if not all.
    only: Option<&'static str>,
    plant: Option<Plant>,
}

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plant {
    /// T4: the leader ends a session after its time to live.
    NoEpsilon,
    /// T2: the holder counts from when the acknowledgement arrives.
    FromArrival,
    /// T1, T5: a new leader takes over the old one's deadlines, which were read from another clock.
    Deadline,
    /// A1: the acceptor does not compare.
    StaleAccepted,
    /// C3: a restore goes on under the old epoch.
    EpochKept,
    /// C4: a restore grants at once.
    NoQuarantine,
    /// R2: any round is confirmed, whoever leads.
    NoRound,
    /// R1: a new leader acknowledges before it has applied an entry of its term.
    ReadyAtOnce,
    /// E3: an end counts whoever proposed it.
    EndForwarded,
    /// R3: renewals are acknowledged until the end has committed.
    EndIgnored,
    /// S2: the holder goes on until the transfer has committed.
    TransferFirst,
    /// C2: a bump is answered when it has committed.
    BumpAtOnce,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// True time goes on; the slow clock may stand still, the fast one may go twice as far.
    Tick {
        is_slow: bool,
        is_fast: bool,
    },
    Deliver {
        packet: usize,
        to: usize,
    },
    Confirm {
        node: usize,
    },
    /// What a deposed leader proposed gets into the log of another after all.
    Stray,
    Commit,
    Apply {
        node: usize,
    },
    Elect {
        node: usize,
        keeps: usize,
    },
    Crash {
        node: usize,
    },
    Restart {
        node: usize,
    },
    Transfer {
        node: usize,
    },
    Drop {
        node: usize,
    },
    Bump {
        node: usize,
    },
    Write {
        node: usize,
        scope: Scope,
    },
    Restore,
}

#[derive(Clone, Debug)]
struct World {
    ticks: u64,
    nodes: Vec<Arc<Node>>,
    leader: (usize, u64),
    /// The index before the first entry of the log.
    base: u64,
    log: Vec<Arc<Committed>>,
    /// In the leader's log, not committed.
    tail: Vec<Arc<Logged>>,
    strays: Vec<Arc<Logged>>,
    packets: Vec<Packet>,
    /// The state of all that is committed, and an old copy of it.
    truth: Copied,
    backup: Copied,
    acceptor: Acceptor,
    used: Used,
    seen: Seen,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Logged {
    term: u64,
    bytes: Vec<u8>,
}

/// A committed entry, and what it does to whoever applies it: the same for all, so it is found out once.
#[derive(Clone, Debug)]
struct Committed {
    logged: Arc<Logged>,
    after: Copied,
    changes: Vec<Change>,
    outcome: Outcome,
}

/// A state, known by the hash over all its entries.
#[derive(Clone, Debug)]
struct Copied(Arc<State>);

impl PartialEq for Copied {
    fn eq(&self, other: &Self) -> bool {
        self.0.chain() == other.0.chain()
    }
}

impl Eq for Copied {}

impl Hash for Copied {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.chain().hash(hasher);
    }
}

impl std::ops::Deref for Copied {
    type Target = State;
    fn deref(&self) -> &State {
        &self.0
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    life: Incarnation,
    is_up: bool,
    /// It is no part of the history that goes on.
    is_left_behind: bool,
    skew: (i64, i64, i64),
    copy: Copied,
    keeper: Keeper,
    leads: Option<u64>,
    client: Client,
    /// A round that will be confirmed.
    round: Option<(u64, u64)>,
    queue: Vec<Item>,
    sequence: u64,
    awaited: Vec<(u64, Ticket)>,
    /// The last renewal that it sent.
    number: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Item {
    Register,
    Command(Option<Ticket>, Box<Command>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Packet {
    Renew { from: usize, boot: BootIncarnation, renew: Renew },
    Answer { to: usize, message: Message },
    Write { from: usize, scope: Scope, epoch: Epoch },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Used {
    elections: u8,
    crashes: u8,
    asks: u8,
    bumps: u8,
    restores: u8,
}

/// What an onlooker remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Seen {
    tokens: BTreeMap<Scope, FenceToken>,
    accepted: BTreeMap<Scope, Epoch>,
    is_rewound: bool,
    is_older_accepted: bool,
    is_bump_lied: bool,
    has_changed_hands: bool,
}

fn scope(name: &str) -> Scope {
    Scope::Named(Name::new(name).expect("a name"))
}

fn id(node: usize) -> NodeId {
    NodeId::from_bytes([node as u8 + 1; 16])
}

fn life(node: usize, boot: u64) -> Incarnation {
    Incarnation { node: id(node), store: StoreIncarnation(node as u64 + 1), boot: BootIncarnation(boot) }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        // The log follows from the state of all that is committed.
        (self.ticks, &self.nodes, self.leader, &self.tail, &self.strays, &self.packets).hash(hasher);
        (&self.truth, &self.acceptor, &self.used, &self.seen).hash(hasher);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        let own = (self.ticks, &self.nodes, self.leader, &self.tail, &self.strays, &self.packets);
        own == (other.ticks, &other.nodes, other.leader, &other.tail, &other.strays, &other.packets)
            && (&self.truth, &self.acceptor, &self.used) == (&other.truth, &other.acceptor, &other.used)
            && self.seen == other.seen
    }
}

impl Eq for World {}

impl World {
    fn clock(&self, node: usize) -> Time {
        let ticks = (OFFSETS[node] + self.ticks).saturating_add_signed(self.nodes[node].skew.0);
        Time::from_nanos(ticks * TICK.as_nanos())
    }

    fn node(&mut self, node: usize) -> &mut Node {
        Arc::make_mut(&mut self.nodes[node])
    }

    fn send(&mut self, packet: Packet) {
        let is_alike = |other: &Packet| match (other, &packet) {
            (Packet::Renew { from: a, .. }, Packet::Renew { from: b, .. }) => a == b,
            (Packet::Answer { to: a, .. }, Packet::Answer { to: b, .. }) => a == b,
            _ => false,
        };
        // One of a kind is under way: the next one takes its place, and it is lost.
        self.packets.retain(|other| !is_alike(other));
        self.packets.push(packet);
        self.packets.sort();
    }

    fn append(&mut self, term: u64, entry: &Entry) {
        let logged = Arc::new(Logged { term, bytes: entry.to_bytes().expect("an entry is short") });
        if !self.tail.contains(&logged) {
            self.tail.push(logged);
        }
    }
}

impl Leases {
    /// True clocks and prompt rounds: for plants that need neither.
    fn steady() -> Self {
        Self { slow: None, fast: None, is_prompt: true, ..Self::small() }
    }

    fn small() -> Self {
        Self {
            depth: 8,
            ticks: 5,
            first: 2,
            heirs: &[0, 1],
            slow: Some(0),
            fast: Some(2),
            skew: 1,
            elections: 0,
            crashes: 0,
            asks: 0,
            bumps: 0,
            restores: 0,
            writes: 0,
            is_split: false,
            is_deaf: false,
            heard: &[0, 1, 2],
            is_prompt: false,
            is_late: false,
            only: None,
            plant: None,
        }
    }

    // --- what a node does, and what becomes of it -------------------------------------------------------------------

    fn keeper(&self, world: &mut World, node: usize, event: keeper::Event) {
        let now = world.clock(node);
        self.keeper_at(world, node, now, event);
    }

    fn keeper_at(&self, world: &mut World, node: usize, now: Time, event: keeper::Event) {
        let mut chooser = Scripted::default();
        let mut ctx = Ctx::new(now, WallTime::default(), CauseId(0), &mut chooser);
        let mut actions = vec![];
        world.node(node).keeper.handle(&mut ctx, event, &mut actions);
        for action in actions {
            match action {
                keeper::Action::BeginRound { term, round } => {
                    if world.leader == (node, term) || self.plant == Some(Plant::NoRound) {
                        world.node(node).round = Some((term, round));
                    }
                    if self.is_prompt {
                        self.confirm(world, node);
                    }
                }
                keeper::Action::Propose { term, command } => {
                    let entry = Entry::Leader { term, command };
                    if world.leader == (node, term) {
                        world.append(term, &entry);
                    } else if world.strays.is_empty() {
                        let bytes = entry.to_bytes().expect("an entry is short");
                        world.strays.push(Arc::new(Logged { term, bytes }));
                    }
                }
                keeper::Action::Send { to, message } => {
                    let to = (0..NODES).find(|node| id(*node) == to).expect("a node");
                    if matches!(message, Message::Renewed { .. }) {
                        world.send(Packet::Answer { to, message });
                    }
                }
                keeper::Action::EpochKnown { epoch } => self.bump_known(world, epoch),
                keeper::Action::Observe(_) => {}
            }
        }
    }

    /// Somebody was told that nobody acts under an older epoch any more.
    fn bump_known(&self, world: &mut World, epoch: ClusterEpoch) {
        let mut holdings = (0..NODES).flat_map(|node| self.holdings(world, node));
        let is_lied = holdings.any(|(_, holding)| holding.token.cluster() < epoch);
        world.seen.is_bump_lied |= is_lied;
    }

    fn client(&self, world: &mut World, node: usize, event: client::Event) {
        let now = world.clock(node);
        let mut chooser = Scripted::default();
        let mut ctx = Ctx::new(now, WallTime::default(), CauseId(0), &mut chooser);
        let mut actions = vec![];
        world.node(node).client.handle(&mut ctx, event, &mut actions);
        for action in actions {
            match action {
                client::Action::Send { message: Message::Renew(renew), .. } => {
                    let boot = world.nodes[node].life.boot;
                    world.node(node).number = renew.number;
                    world.send(Packet::Renew { from: node, boot, renew });
                }
                client::Action::Submit { ticket, command } => {
                    world.node(node).queue.push(Item::Command(Some(ticket), command.into()));
                }
                _ => {}
            }
        }
    }

    fn change(&self, world: &mut World, node: usize, changes: &[Change]) {
        for change in changes {
            let mut kept = *change;
            if let Change::Opened { epsilon, .. } = &mut kept
                && self.plant == Some(Plant::NoEpsilon)
            {
                *epsilon = Duration::ZERO;
            }
            self.keeper(world, node, keeper::Event::Changed(kept));
            self.client(world, node, client::Event::Changed(*change));
        }
    }

    fn restate(&self, world: &mut World, node: usize) {
        let mut changes = vec![];
        world.nodes[node].copy.restate(&mut changes);
        self.keeper(world, node, keeper::Event::Restated(changes.clone().into()));
        self.client(world, node, client::Event::Restated(changes.into()));
    }

    fn apply(&self, world: &mut World, node: usize) {
        while let Some(at) = world.nodes[node].copy.applied().checked_sub(world.base)
            && let Some(entry) = world.log.get(at as usize).cloned()
        {
            world.node(node).copy = entry.after.clone();
            self.change(world, node, &entry.changes);
            if let Ok(Entry::Client { client, sequence, .. }) = Entry::from_bytes(&entry.logged.bytes)
                && client == world.nodes[node].life
                && let Some(position) = world.nodes[node].awaited.iter().position(|(own, _)| *own == sequence)
            {
                let (_, ticket) = world.node(node).awaited.remove(position);
                let outcome = Some(entry.outcome.clone());
                self.client(world, node, client::Event::Answered { ticket, outcome });
            }
            if world.nodes[node].leads == Some(entry.logged.term) {
                self.keeper(world, node, keeper::Event::Ready { term: entry.logged.term });
            }
        }
    }

    fn commit(&self, world: &mut World) {
        for logged in std::mem::take(&mut world.tail) {
            let at = At { index: world.truth.applied() + 1, term: logged.term };
            let mut changes = vec![];
            let truth = Arc::make_mut(&mut world.truth.0);
            let outcome = truth.apply(at, &logged.bytes, NEWEST, &mut changes).expect("entries are understood");
            let is_bump = matches!(outcome, Outcome::Done(Answer::Epoch(_)));
            let after = world.truth.clone();
            world.log.push(Arc::new(Committed { logged, after, changes: changes.clone(), outcome }));
            for change in changes {
                if let Change::Granted { scope, lease } | Change::Reissued { scope, lease } = change {
                    let before = world.seen.tokens.insert(scope, lease.token);
                    world.seen.is_rewound |= before.is_some_and(|before| lease.token <= before);
                    world.seen.has_changed_hands |= lease.term > 1;
                }
            }
            if is_bump && self.plant == Some(Plant::BumpAtOnce) {
                self.bump_known(world, world.truth.cluster_epoch());
            }
        }
        let leader = world.leader.0;
        self.apply(world, leader);
    }

    fn lead(&self, world: &mut World, node: usize, term: u64) {
        world.leader = (node, term);
        world.node(node).leads = Some(term);
        world.tail.push(Arc::new(Logged { term, bytes: vec![] }));
        let now = match self.plant {
            // The old leader heard everybody when true time began, by its own clock.
            Some(Plant::Deadline) => Time::from_nanos(OFFSETS[self.first] * TICK.as_nanos()),
            _ => world.clock(node),
        };
        self.keeper_at(world, node, now, keeper::Event::Led { term });
        if self.plant == Some(Plant::ReadyAtOnce) {
            self.keeper(world, node, keeper::Event::Ready { term });
        }
        self.keeper(world, node, keeper::Event::Wake);
    }

    fn boot(&self, world: &mut World, node: usize, boot: u64) {
        let life = life(node, boot);
        let own = world.node(node);
        *own = Node {
            life,
            is_up: true,
            is_left_behind: false,
            skew: own.skew,
            copy: own.copy.clone(),
            keeper: Keeper::new(settings()),
            leads: None,
            client: Client::new(settings()),
            round: None,
            queue: vec![Item::Register],
            sequence: 0,
            awaited: vec![],
            number: 0,
        };
        self.client(world, node, client::Event::Voters((0..NODES).map(id).collect()));
        self.restate(world, node);
        if node >= HOLDERS {
            // It votes, and wants nothing.
            world.node(node).queue.clear();
            return;
        }
        self.client(world, node, client::Event::Start { life });
        for scope in [scope("a"), scope("b")] {
            self.client(world, node, client::Event::Ask(Ask::Hold(scope)));
        }
    }

    fn propose(&self, world: &mut World, node: usize) {
        let client = world.nodes[node].life;
        let registered = world.nodes[node].copy.registration(client);
        let entry = match (world.nodes[node].queue[0].clone(), registered) {
            (Item::Register, _) => Entry::Register { client },
            (Item::Command(ticket, command), Some(registered)) => {
                let own = world.node(node);
                let sequence = own.sequence;
                own.sequence += 1;
                own.awaited.extend(ticket.map(|ticket| (sequence, ticket)));
                let unanswered = own.awaited.first().map_or(sequence, |(first, _)| *first);
                Entry::Client { client, registered, sequence, unanswered, command }
            }
            (Item::Command(..), None) => return,
        };
        world.node(node).queue.remove(0);
        let term = world.leader.1;
        world.append(term, &entry);
    }

    /// Commands reach the leader at once: how long they take is how long they wait to be committed.
    fn propose_all(&self, world: &mut World) {
        for node in 0..NODES {
            while self.can_propose(world, node) {
                self.propose(world, node);
            }
        }
    }

    fn can_propose(&self, world: &World, node: usize) -> bool {
        let own = &world.nodes[node];
        let is_registered = own.copy.registration(own.life).is_some();
        let has_something = own.queue.first().is_some_and(|item| *item == Item::Register || is_registered);
        has_something && own.is_up && !own.is_left_behind && world.nodes[world.leader.0].is_up
    }

    /// What a node acts on at this instant.
    fn holdings(&self, world: &World, node: usize) -> Vec<(Scope, Holding)> {
        let (own, now) = (&world.nodes[node], world.clock(node));
        let holdings = own.is_up.then(|| own.client.holdings(now).map(|holding| (holding.scope, holding)));
        holdings.into_iter().flatten().collect()
    }

    fn deliver(&self, world: &mut World, packet: usize, to: usize) {
        match world.packets.remove(packet) {
            Packet::Renew { from, boot, renew } => {
                let end =
                    Entry::Leader { term: world.leader.1, command: LeaderCommand::End { session: renew.session } };
                let bytes = end.to_bytes().expect("an entry is short");
                if self.plant == Some(Plant::EndIgnored) && world.tail.iter().any(|logged| logged.bytes == bytes) {
                    let message = Message::Renewed { session: renew.session, number: renew.number };
                    return world.send(Packet::Answer { to: from, message });
                }
                let from = Incarnation { boot, ..life(from, 0) };
                self.keeper(world, to, keeper::Event::Renewal { from, renew });
            }
            Packet::Answer { to, mut message } => {
                if let Message::Renewed { number, .. } = &mut message
                    && self.plant == Some(Plant::FromArrival)
                {
                    // Unanswered, it sends one with each tick: the last one left just now.
                    *number = world.nodes[to].number;
                }
                self.client(world, to, client::Event::Message { from: id(world.leader.0), message });
            }
            Packet::Write { from, scope, epoch } => {
                let accepted = world.acceptor.accept(scope, epoch, id(from), WallTime::default());
                if accepted.is_ok() || self.plant == Some(Plant::StaleAccepted) {
                    let before = world.seen.accepted.insert(scope, epoch);
                    world.seen.is_older_accepted |= before.is_some_and(|before| epoch < before);
                }
            }
        }
    }

    fn tick(&self, world: &mut World, is_slow: bool, is_fast: bool) {
        world.ticks += 1;
        let slow = self.slow.filter(|_| is_slow).map(|node| (node, -1));
        for (node, by) in slow.into_iter().chain(self.fast.filter(|_| is_fast).map(|node| (node, 1))) {
            let (skew, low, high) = &mut world.node(node).skew;
            *skew += by;
            (*low, *high) = ((*low).min(*skew), (*high).max(*skew));
        }
        for node in 0..NODES {
            if world.nodes[node].is_up {
                self.keeper(world, node, keeper::Event::Wake);
                self.client(world, node, client::Event::Wake);
            }
        }
    }

    /// A clock strays from true time by no more than allowed, between any two instants.
    fn may_stray(&self, world: &World, node: usize, by: i64) -> bool {
        let (skew, low, high) = world.nodes[node].skew;
        high.max(skew + by) - low.min(skew + by) <= self.skew
    }

    /// Two nodes go on from a backup; the first one is cut off, and does not know.
    fn restore(&self, world: &mut World) {
        let mut state = (*world.backup.0).clone();
        match self.plant {
            Some(Plant::EpochKept) => {}
            _ => {
                let epoch = ClusterEpoch(state.cluster_epoch().0 + 1);
                let by = NodeId::from_bytes([1; 16]);
                let bump = Bump { index: 0, epoch, by, reason: Text::EMPTY, actor: Text::EMPTY };
                state.recover(bump, RecoveryId(7)).expect("a higher epoch, another id");
            }
        }
        world.node(0).is_left_behind = true;
        (world.base, world.log, world.tail) = (state.applied(), vec![], vec![]);
        world.strays.clear();
        let state = Copied(Arc::new(state));
        world.truth = state.clone();
        let is_elsewhere = |packet: &Packet| !matches!(packet, Packet::Renew { from: 0, .. });
        world.packets.retain(is_elsewhere);
        world.node(0).leads = None;
        for node in 1..NODES {
            let own = world.node(node);
            (own.copy, own.round, own.leads) = (state.clone(), None, None);
            let boot = own.life.boot.0 + 1;
            self.boot(world, node, boot);
        }
        let term = world.leader.1 + 1;
        self.lead(world, 2, term);
        if self.plant == Some(Plant::NoQuarantine) {
            let lift = LeaderCommand::Lift { epoch: world.truth.cluster_epoch() };
            world.append(term, &Entry::Leader { term, command: lift });
        }
    }

    // --- where it starts --------------------------------------------------------------------------------------------

    /// The first node holds both scopes, the second waits for them. All views were renewed when true time begins.
    fn start(&self) -> World {
        let lineage = Lineage { epoch: ClusterEpoch(1), recovery: RecoveryId(1) };
        let state = Copied(Arc::new(State::new(Genesis { lineage, span_max: settings().span_max })));
        let node = |node: usize| {
            Arc::new(Node {
                life: life(node, 1),
                is_up: true,
                is_left_behind: false,
                skew: (0, 0, 0),
                copy: state.clone(),
                keeper: Keeper::new(settings()),
                leads: None,
                client: Client::new(settings()),
                round: None,
                queue: vec![],
                sequence: 0,
                awaited: vec![],
                number: 0,
            })
        };
        let mut world = World {
            ticks: 0,
            nodes: (0..NODES).map(node).collect(),
            leader: (self.first, 1),
            base: 0,
            log: vec![],
            tail: vec![],
            strays: vec![],
            packets: vec![],
            truth: state.clone(),
            backup: state.clone(),
            acceptor: Acceptor::default(),
            used: Used::default(),
            seen: Seen::default(),
        };
        let sound = Self { plant: self.plant.filter(|plant| *plant == Plant::NoEpsilon), ..*self };
        sound.lead(&mut world, self.first, 1);
        for node in 0..NODES {
            sound.boot(&mut world, node, 1);
            world.node(node).leads = (node == self.first).then_some(1);
        }
        // Its keeper was made anew.
        sound.keeper(&mut world, self.first, keeper::Event::Led { term: 1 });
        for _ in 0..40 {
            if world.seen.tokens.is_empty() {
                world.backup = world.truth.clone();
            }
            sound.settle(&mut world);
        }
        if self.restores > 0 {
            // Since then so much has happened that indexes below this one have been used.
            world.tail = (0..20).map(|_| Arc::new(Logged { term: 1, bytes: vec![] })).collect();
            sound.client(&mut world, 0, client::Event::Ask(Ask::Transfer { scope: scope("b"), to: id(0) }));
            sound.settle(&mut world);
            sound.settle(&mut world);
            sound.settle(&mut world);
        }
        assert_eq!(world.truth.lease(&scope("a")).map(|lease| lease.holder), Some(id(0)), "{world:#?}");
        assert!(world.nodes[1].client.not_after(world.clock(1)).is_some());
        assert_eq!(self.holdings(&world, 0).is_empty(), self.is_late);
        world
    }

    /// Everything that can be done without time passing.
    fn settle(&self, world: &mut World) {
        self.propose_all(world);
        self.commit(world);
        for node in 0..NODES {
            self.apply(world, node);
            self.confirm(world, node);
        }
        let is_held_up = |packet: &Packet| self.is_late && matches!(packet, Packet::Answer { to: 0, .. });
        while let Some(packet) = world.packets.iter().position(|packet| !is_held_up(packet)) {
            self.deliver(world, packet, world.leader.0);
        }
    }

    fn confirm(&self, world: &mut World, node: usize) {
        if let Some((term, round)) = world.node(node).round.take() {
            self.keeper(world, node, keeper::Event::Confirmed { term, round });
        }
    }

    // --- searching --------------------------------------------------------------------------------------------------

    fn explore(self) -> usize {
        let checker = self.checker().target_max_depth(self.depth).threads(2).spawn_bfs().join();
        checker.assert_properties_where_always();
        checker.unique_state_count()
    }

    fn keeps(self, states: usize) {
        let explored = self.explore();
        assert!(explored >= states, "{explored}");
    }

    fn breaks(self, promise: &'static str) {
        let checker = Self { only: Some(promise), ..self }.checker().target_max_depth(15).threads(2);
        let found = checker.finish_when(stateright::HasDiscoveries::AnyFailures).spawn_bfs().join();
        let states = found.unique_state_count();
        let path = found.discovery(promise).unwrap_or_else(|| panic!("{promise} was kept in {states} states"));
        let steps = path.into_actions().len();
        // Without the plant these bounds break nothing.
        Self { plant: None, depth: steps.min(10), ..self }.explore();
    }

    /// Clocks that stray that far make two holders, and break nothing that rests on no clock.
    fn breaks_with_clocks(self) {
        let checker = Self { only: Some(ONE_HOLDER), ..self }.checker().target_max_depth(12).threads(2);
        let found = checker.finish_when(stateright::HasDiscoveries::AnyFailures).spawn_bfs().join();
        assert!(found.discovery(ONE_HOLDER).is_some());
        for promise in [TOKENS_RISE, NO_OLDER] {
            Self { only: Some(promise), ..self }.explore();
        }
    }
}

trait AssertAlways {
    fn assert_properties_where_always(&self);
}

impl<C: Checker<Leases>> AssertAlways for C {
    fn assert_properties_where_always(&self) {
        for promise in [ONE_HOLDER, TOKENS_RISE, NO_OLDER, BUMP_KNOWN] {
            if let Some(path) = self.discovery(promise) {
                panic!("{promise} is broken by {:#?}", path.into_actions());
            }
        }
    }
}

impl Model for Leases {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![self.start()]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        let nodes = 0..NODES;
        let is_up = |node: &usize| world.nodes[*node].is_up;
        let is_led = world.nodes[world.leader.0].is_up;
        if world.ticks < self.ticks {
            for (is_slow, is_fast) in [(true, true), (true, false), (false, true), (false, false)] {
                let may = |node: Option<usize>, by| node.is_some_and(|node| self.may_stray(world, node, by));
                if (!is_slow || may(self.slow, -1)) && (!is_fast || may(self.fast, 1)) {
                    steps.push(Step::Tick { is_slow, is_fast });
                }
            }
        }
        for (packet, what) in world.packets.iter().enumerate() {
            match what {
                Packet::Renew { from, .. } => {
                    let is_reached = |to: &usize| !self.is_split || (*to == 1) == (*from == 1);
                    let is_leading = |to: &usize| world.nodes[*to].leads.is_some() && self.heard.contains(from);
                    let hears = |to: &usize| !self.is_deaf || *to == world.leader.0;
                    let is_open = |to: &usize| is_up(to) && is_leading(to) && is_reached(to) && hears(to);
                    let leading = nodes.clone().filter(is_open);
                    steps.extend(leading.map(|to| Step::Deliver { packet, to }));
                }
                Packet::Answer { to, .. } if !is_up(to) => {}
                Packet::Answer { .. } | Packet::Write { .. } => steps.push(Step::Deliver { packet, to: 0 }),
            }
        }
        for node in nodes.clone().filter(is_up) {
            let own = &world.nodes[node];
            if own.round.is_some() {
                steps.push(Step::Confirm { node });
            }
            if own.copy.applied() < world.base + world.log.len() as u64 && !own.is_left_behind {
                steps.push(Step::Apply { node });
            }
            if world.used.elections < self.elections && self.heirs.contains(&node) && node != world.leader.0 {
                steps.extend((0..=world.tail.len()).map(|keeps| Step::Elect { node, keeps }));
            }
            if world.used.crashes < self.crashes {
                steps.push(Step::Crash { node });
            }
            if world.used.asks < self.asks && !self.holdings(world, node).is_empty() {
                steps.extend([Step::Transfer { node }, Step::Drop { node }]);
            }
            if world.used.bumps < self.bumps && node == 1 {
                steps.push(Step::Bump { node });
            }
            let writes = world.packets.iter().filter(|packet| matches!(packet, Packet::Write { .. })).count();
            if writes < self.writes {
                let scopes = self.holdings(world, node).into_iter().map(|(scope, _)| scope);
                steps.extend(scopes.take(1).map(|scope| Step::Write { node, scope }));
            }
        }
        for node in nodes.filter(|node| !is_up(node)) {
            steps.push(Step::Restart { node });
        }
        if is_led && !world.tail.is_empty() {
            steps.push(Step::Commit);
        }
        if is_led && !world.strays.is_empty() {
            steps.push(Step::Stray);
        }
        if world.used.restores < self.restores {
            steps.push(Step::Restore);
        }
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut world = before.clone();
        match step {
            Step::Tick { is_slow, is_fast } => self.tick(&mut world, is_slow, is_fast),
            Step::Deliver { packet, to } => self.deliver(&mut world, packet, to),
            Step::Confirm { node } => self.confirm(&mut world, node),
            Step::Stray => {
                let stray = world.strays.remove(0);
                let term = world.leader.1;
                match Entry::from_bytes(&stray.bytes) {
                    Ok(Entry::Leader { command, .. }) if self.plant == Some(Plant::EndForwarded) => {
                        world.append(term, &Entry::Leader { term, command });
                    }
                    _ => world.tail.push(Arc::new(Logged { term, bytes: stray.bytes.clone() })),
                }
            }
            Step::Commit => self.commit(&mut world),
            Step::Apply { node } => self.apply(&mut world, node),
            Step::Elect { node, keeps } => {
                world.used.elections += 1;
                world.tail.truncate(keeps);
                let term = world.leader.1 + 1;
                self.lead(&mut world, node, term);
            }
            Step::Crash { node } => {
                world.used.crashes += 1;
                world.node(node).is_up = false;
            }
            Step::Restart { node } => {
                let boot = world.nodes[node].life.boot.0 + 1;
                self.boot(&mut world, node, boot);
            }
            Step::Transfer { node } => {
                world.used.asks += 1;
                let scope = self.holdings(&world, node)[0].0;
                let to = id((node + 1) % HOLDERS);
                if self.plant == Some(Plant::TransferFirst) {
                    let granted = world.nodes[node].copy.lease(&scope)?.granted;
                    let command = Command::Transfer { scope, granted, to };
                    world.node(node).queue.push(Item::Command(None, command.into()));
                } else {
                    self.client(&mut world, node, client::Event::Ask(Ask::Transfer { scope, to }));
                }
            }
            Step::Drop { node } => {
                world.used.asks += 1;
                let scope = self.holdings(&world, node)[0].0;
                self.client(&mut world, node, client::Event::Ask(Ask::Drop(scope)));
            }
            Step::Bump { node } => {
                world.used.bumps += 1;
                let (expected, text) = (world.truth.cluster_epoch(), Text::EMPTY);
                let command = Command::BumpEpoch { expected, reason: text, actor: text };
                world.node(node).queue.push(Item::Command(None, command.into()));
            }
            Step::Write { node, scope } => {
                let holding = self.holdings(&world, node).into_iter().find(|(own, _)| *own == scope)?;
                world.packets.push(Packet::Write { from: node, scope, epoch: holding.1.token.epoch() });
                world.packets.sort();
            }
            Step::Restore => {
                world.used.restores += 1;
                self.restore(&mut world);
            }
        }
        self.propose_all(&mut world);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let all = vec![
            Property::always(ONE_HOLDER, |model: &Self, world: &World| {
                let mut all = (0..NODES).flat_map(|node| model.holdings(world, node)).map(|(scope, _)| scope);
                let mut scopes: Vec<Scope> = all.by_ref().collect();
                let count = scopes.len();
                scopes.sort();
                scopes.dedup();
                scopes.len() == count
            }),
            Property::always(TOKENS_RISE, |_, world: &World| !world.seen.is_rewound),
            Property::always(NO_OLDER, |_, world: &World| !world.seen.is_older_accepted),
            Property::always(BUMP_KNOWN, |_, world: &World| !world.seen.is_bump_lied),
        ];
        all.into_iter().filter(|promise| self.only.is_none_or(|only| only == promise.name)).collect()
    }
}
