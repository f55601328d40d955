//! foca's side: a world of `foca::Foca` over the simulator's network, queue and streams.
//!
//! The driver does all that foca's documentation asks of one: every datagram, timer and notification is handled, and a
//! node that knows nobody announces itself to the seed again, once a second.

use crate::figures::Figures;
use crate::schedule::{END, LOSS_BEGINS, SEED_NODE, Schedule};
use crate::watch::Watch;
use foca::{AccumulatingRuntime, Config, Foca, Identity, NoCustomBroadcast, OwnedNotification, PostcardCodec, Timer};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use relaymesh_core::envelope::Class;
use relaymesh_core::machine::Chooser;
use relaymesh_core::time::Duration as Span;
use relaymesh_sim::mesh::checks::on_wire;
use relaymesh_sim::network::Network;
use relaymesh_sim::queue::Queue;
use relaymesh_sim::scenario::{FaultKind, Plan, PlannedFault};
use relaymesh_sim::streams::Streams;
use relaymesh_sim::time::TrueTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

/// The address of node 0; the others follow.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PORT: u16 = 7_000;
/// How long a node that knows nobody waits for an answer to its announcement.
const ANNOUNCE_AGAIN: Span = Span::from_secs(1);

/// What can be chosen about foca.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Whether each identity carries 40 bytes besides address and generation, as a node's id and keys would be.
    pub(crate) metadata: bool,
    /// The time from suspicion to death, instead of what foca recommends for the number of nodes.
    pub(crate) suspicion: Option<Duration>,
    /// How often an update is sent, instead of what foca recommends for the number of nodes.
    pub(crate) transmissions: Option<NonZeroU8>,
}

impl Settings {
    /// The configuration of each node: foca's own for a LAN of this many, which it is told from the start.
    pub(crate) fn config(self, nodes: u32) -> Config {
        let mut config = Config::new_lan(NonZeroU32::new(nodes).expect("a mesh has nodes"));
        if let Some(suspicion) = self.suspicion {
            config.suspect_to_down_after = suspicion;
        }
        if let Some(transmissions) = self.transmissions {
            config.max_transmissions = transmissions;
        }
        config
    }
}

/// With the byte that says whether it is there: 40.
type Metadata = ([u8; 32], [u8; 7]);

/// Who a node is, in foca's sense: the generation is raised by a node that was declared down and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Name {
    address: SocketAddrV4,
    generation: u32,
    metadata: Option<Metadata>,
}

impl Name {
    /// What others know of a node that they were only told the address of.
    fn bare(node: u32) -> Self {
        let address = SocketAddrV4::new((u32::from(FIRST_ADDRESS) + node).into(), PORT);
        Self { address, generation: 0, metadata: None }
    }

    fn node(&self) -> u32 {
        u32::from(*self.address.ip()) - u32::from(FIRST_ADDRESS)
    }
}

impl Identity for Name {
    type Addr = SocketAddrV4;

    fn renew(&self) -> Option<Self> {
        Some(Self { generation: self.generation + 1, ..*self })
    }

    fn addr(&self) -> SocketAddrV4 {
        self.address
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.generation > adversary.generation
    }
}

type Peer = Foca<Name, PostcardCodec, ChaCha8Rng, NoCustomBroadcast>;

/// Something that will take place.
enum Happening {
    Packet {
        to: u32,
        bytes: Vec<u8>,
    },
    Timer {
        node: u32,
        timer: Timer<Name>,
    },
    Starts {
        node: u32,
    },
    /// The node announces itself if it knows nobody.
    Announce {
        node: u32,
    },
    LossBegins,
    FaultBegins {
        number: usize,
    },
    FaultEnds {
        number: usize,
    },
}

/// What happened besides what both contenders are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Probes of live nodes that failed, each of which begins a suspicion.
    pub(crate) suspicions: u64,
    /// Probes of crashed nodes that failed.
    pub(crate) suspicions_of_dead: u64,
    /// Suspicions of live nodes whose time passed without the node being declared down.
    pub(crate) refuted: u64,
    /// Nodes that were told that they are down and came back under a new identity.
    pub(crate) rejoins: u64,
}

struct Peers {
    nodes: u32,
    /// `None` once crashed.
    peers: Vec<Option<Peer>>,
    network: Network,
    queue: Queue<Happening>,
    faults: Vec<PlannedFault>,
    runtime: AccumulatingRuntime<Name>,
    watch: Watch,
    tally: Tally,
}

/// Runs foca through `schedule`.
pub(crate) fn run(schedule: &Schedule, settings: Settings) -> (Figures, Tally) {
    let mut peers = Peers::new(schedule, settings);
    while let Some((now, happening)) = peers.queue.pop().filter(|(at, _)| *at < END) {
        peers.handle(now, happening);
    }
    peers.verify();
    (peers.watch.figures(peers.tally.suspicions, peers.tally.rejoins), peers.tally)
}

impl Peers {
    fn new(schedule: &Schedule, settings: Settings) -> Self {
        let scenario = &schedule.scenario;
        let nodes = scenario.nodes;
        let config = settings.config(nodes);
        let mut streams = Streams::new(schedule.seed);
        let faults = Plan::draw(scenario, &mut streams).faults;
        let network = Network::new(scenario.network, &mut streams);
        let mut peer = |node: u32| {
            let mut draws = streams.open(format!("foca of node {node}"));
            let mut metadata = ([0; 32], [0; 7]);
            metadata.0.iter_mut().chain(&mut metadata.1).for_each(|byte| *byte = draws.below(256) as u8);
            let name = Name { metadata: settings.metadata.then_some(metadata), ..Name::bare(node) };
            Foca::new(name, config.clone(), ChaCha8Rng::seed_from_u64(draws.below(u64::MAX)), PostcardCodec)
        };
        let peers = (0..nodes).map(|node| Some(peer(node))).collect();
        assert!(streams.shared().is_empty(), "two purposes share one stream: {:?}", streams.shared());
        let mut queue = Queue::new();
        for (node, at) in (0..).zip(schedule.starts()) {
            queue.schedule(at, Happening::Starts { node });
        }
        queue.schedule(LOSS_BEGINS, Happening::LossBegins);
        for (number, fault) in faults.iter().enumerate() {
            queue.schedule(fault.at, Happening::FaultBegins { number });
            if let Some(at) = fault.ends() {
                queue.schedule(at, Happening::FaultEnds { number });
            }
        }
        let (runtime, watch) = (AccumulatingRuntime::new(), Watch::new(scenario));
        Self { nodes, peers, network, queue, faults, runtime, watch, tally: Tally::default() }
    }

    fn handle(&mut self, now: TrueTime, happening: Happening) {
        match happening {
            Happening::Packet { to, bytes } => {
                self.step(now, to, |peer, runtime| peer.handle_data(&bytes, runtime));
            }
            Happening::Timer { node, timer } => self.timer(now, node, timer),
            Happening::Starts { node } => {
                self.watch.started(now);
                // The seed node waits to be spoken to.
                if node != SEED_NODE {
                    self.announce(now, node);
                }
            }
            Happening::Announce { node } => self.announce(now, node),
            Happening::LossBegins => self.watch.loss_begins(),
            Happening::FaultBegins { number } => self.begin(now, number),
            Happening::FaultEnds { number } => self.network.end(number),
        }
    }

    fn timer(&mut self, now: TrueTime, node: u32, timer: Timer<Name>) {
        let suspect = match &timer {
            Timer::ChangeSuspectToDown { member_id, .. } => Some(member_id.node()),
            _ => None,
        };
        let suspect =
            suspect.filter(|suspect| self.lives(node) && self.lives(*suspect) && self.watch.lists(node, *suspect));
        self.step(now, node, |peer, runtime| peer.handle_timer(timer, runtime));
        if suspect.is_some_and(|suspect| self.watch.lists(node, suspect)) {
            self.tally.refuted += 1;
        }
    }

    fn lives(&self, node: u32) -> bool {
        self.peers[node as usize].is_some()
    }

    /// One call of a live node, and all that follows from it. Every error foca has is a fault of its driver, or of
    /// packets that nobody sends here.
    fn step(
        &mut self,
        now: TrueTime,
        node: u32,
        call: impl FnOnce(&mut Peer, &mut AccumulatingRuntime<Name>) -> Result<(), foca::Error>,
    ) {
        let Some(peer) = &mut self.peers[node as usize] else { return };
        call(peer, &mut self.runtime).unwrap_or_else(|error| panic!("node {node} at {now}: {error:?}"));
        while let Some((to, bytes)) = self.runtime.to_send() {
            self.send(now, node, to.node(), &bytes);
        }
        while let Some((after, timer)) = self.runtime.to_schedule() {
            self.count_suspicion(&timer);
            let at = now + Span::from_nanos(after.as_nanos() as u64);
            self.queue.schedule(at, Happening::Timer { node, timer });
        }
        while let Some(notification) = self.runtime.to_notify() {
            self.notified(now, node, notification);
        }
    }

    fn send(&mut self, now: TrueTime, from: u32, to: u32, bytes: &[u8]) {
        self.watch.sent(now, on_wire(Class::Gossip, bytes.len()));
        let route = self.network.route(now, from, to, Class::Gossip, bytes.len());
        for flight in [route.first, route.second].into_iter().flatten() {
            assert!(!flight.corrupt, "foca leaves it to others to authenticate");
            self.queue.schedule(flight.at, Happening::Packet { to, bytes: bytes.to_vec() });
        }
    }

    fn count_suspicion(&mut self, timer: &Timer<Name>) {
        if let Timer::ChangeSuspectToDown { member_id, .. } = timer {
            let lives = self.lives(member_id.node());
            let count = if lives { &mut self.tally.suspicions } else { &mut self.tally.suspicions_of_dead };
            *count += 1;
        }
    }

    fn notified(&mut self, now: TrueTime, node: u32, notification: OwnedNotification<Name>) {
        match notification {
            OwnedNotification::MemberUp(name) => self.watch.up(now, node, name.node()),
            OwnedNotification::MemberDown(name) => self.watch.down(now, node, name.node()),
            OwnedNotification::Rejoin(_) => self.tally.rejoins += 1,
            OwnedNotification::Idle => self.queue.schedule(now + ANNOUNCE_AGAIN, Happening::Announce { node }),
            // A new generation of a member: whether it lives is said apart.
            OwnedNotification::Rename(..) | OwnedNotification::Active => {}
            OwnedNotification::Defunct => {
                panic!("node {node} at {now}: identities renew themselves, so none goes defunct")
            }
        }
    }

    fn announce(&mut self, now: TrueTime, node: u32) {
        let is_alone = self.peers[node as usize].as_ref().is_some_and(|peer| peer.num_members() == 0);
        if is_alone {
            let seed = if node == SEED_NODE { SEED_NODE + 1 } else { SEED_NODE };
            self.step(now, node, |peer, runtime| peer.announce(Name::bare(seed), runtime));
            self.queue.schedule(now + ANNOUNCE_AGAIN, Happening::Announce { node });
        }
    }

    fn begin(&mut self, now: TrueTime, number: usize) {
        let fault = &self.faults[number];
        match fault.kind {
            FaultKind::Crash => {
                for node in &fault.nodes {
                    self.peers[*node as usize] = None;
                    self.watch.crashed(now, *node);
                }
            }
            FaultKind::Loss | FaultKind::Partition => self.network.begin(number, fault, self.nodes),
            other => panic!("no schedule has {}", other.name()),
        }
    }

    /// What was put together from notifications is what the nodes themselves list.
    fn verify(&self) {
        for (node, peer) in (0..).zip(&self.peers) {
            let Some(peer) = peer else { continue };
            let theirs: BTreeSet<u32> = peer.iter_members().map(|member| member.id().node()).collect();
            let watched: BTreeSet<u32> = (0..self.nodes).filter(|other| self.watch.lists(node, *other)).collect();
            assert_eq!(watched, theirs, "what node {node} lists");
        }
    }
}
