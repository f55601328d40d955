//! The same load on turmoil 0.7 and on our simulator, alternately, in one process: `cargo bench --bench peer_turmoil`.
//!
//! The unit is the message: one packet delivered to a node, authenticated, decoded and acted on. Both sides send the
//! same messages through the same codec, `seal` and `open`; both keep four pings under way per node, answer, match the
//! answer against the payload, and send again what is not answered. Time is what the one thread had of a core; building
//! a simulation is not measured.
//!
//! What differs, and in whose favour: ours also runs the engine (gate, journal, boot), hashes every event and action
//! into the trace, and runs every checker; the node on turmoil is a plain tokio loop with none of that.
//!
//! Delays: turmoil delivers at its ticks, cuts the range of delays to whole milliseconds, and tokio's paused clock moves
//! in whole milliseconds, so 1 ms is the finest tick there is (100 µs was tried: same speed, same round trips). With delays of 200 µs to 1 ms every hop then takes
//! exactly one tick, whatever was drawn: turmoil's best case, and not a model of such delays. So there are two rows for
//! each size: that one, and one with all times ten times as long on both sides, which turmoil can tell apart. Turmoil
//! draws from a clipped exponential distribution; its curve is set so that the mean is that of our even one.

mod load;

use load::{PAYLOAD_BYTES, RETRIES, Run, Spread, WINDOW};
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::envelope::{Class, Envelope, Keyring, Opened, open, seal};
use relaymesh_core::identity::{
    BootIncarnation, ClusterId, GossipDomain, Incarnation, NodeId, StoreIncarnation, Tenant,
};
use relaymesh_core::machine::{CauseId, Chooser, Seeded};
use relaymesh_core::secret::SecretKey;
use relaymesh_core::time::{Duration as Span, Time};
use relaymesh_sim::example::echo::payload_of;
use relaymesh_sim::example::wire::Message;
use relaymesh_sim::world::node_id;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::time::{Instant as SimInstant, sleep_until};
use turmoil::net::UdpSocket;

const CLUSTER: ClusterId = ClusterId::from_bytes(*b"benchmarked mesh");
const VERSION: BodyVersion = BodyVersion(2);
const PORT: u16 = 7_000;
const ROUNDS: u64 = 5;
const SIZES: [u32; 2] = [5, 200];
/// Wall time for which each simulator runs in each round.
const SLICE: Duration = Duration::from_millis(1_000);
/// The finest tick that makes a difference.
const TICK: Duration = Duration::from_millis(1);
/// With this curve the mean of turmoil's delays lies halfway between the shortest and the longest.
const CURVE: f64 = 1.594;

/// The times of a load.
#[derive(Clone, Copy)]
struct Times {
    delay_min: Duration,
    delay_max: Duration,
    timeout: Duration,
}

impl Times {
    const fn scaled(scale: u64) -> Self {
        Self {
            delay_min: Duration::from_micros(200 * scale),
            delay_max: Duration::from_micros(1_000 * scale),
            timeout: Duration::from_millis(100 * scale),
        }
    }
}

fn main() {
    println!("{}\n", load::machine());
    println!(
        "| nodes | delays | ours events/s | ours messages/s | turmoil messages/s | ratio of messages/s | round trip on turmoil |\n\
         | --- | --- | --- | --- | --- | --- | --- |"
    );
    for nodes in SIZES {
        compare(nodes, Times::scaled(10));
        compare(nodes, Times::scaled(1));
    }
    println!("\nmin / median / max of {ROUNDS} runs each; the ratio is that of each pair of neighbouring runs");
    println!("{}", load::machine());
}

/// One row: ours, turmoil, ours, turmoil, …
fn compare(nodes: u32, times: Times) {
    let Times { delay_min, delay_max, timeout } = times;
    let scenario = load::scenario(
        nodes,
        &format!(
            "[network]\ndelay = \"{}us..{}us\"\ntail = \"0%\"\n\
             [echo]\nwindow = {WINDOW}\npayload_bytes = {PAYLOAD_BYTES}\npause = \"0s\"\ntimeout = \"{}us\"\n\
             [journal]\nclients = 0\n",
            delay_min.as_micros(),
            delay_max.as_micros(),
            timeout.as_micros()
        ),
    );
    let events = (Run::of(&scenario, 99, 100_000).events_per_second() * SLICE.as_secs_f64()) as u64;
    let pairs: Vec<(Run, Peer)> =
        (0..ROUNDS).map(|seed| (Run::of(&scenario, seed, events), run_turmoil(nodes, times, seed))).collect();
    let ratio = Spread::of(pairs.iter().map(|(ours, peer)| ours.messages_per_second() / peer.messages_per_second));
    println!(
        "| {nodes} | {delay_min:?} to {delay_max:?} | {} | {} | {} | {:.1} / {:.1} / {:.1} | {:?} |",
        Spread::of(pairs.iter().map(|(ours, _)| ours.events_per_second())).thousands(),
        Spread::of(pairs.iter().map(|(ours, _)| ours.messages_per_second())).thousands(),
        Spread::of(pairs.iter().map(|(_, peer)| peer.messages_per_second)).thousands(),
        ratio.min,
        ratio.median,
        ratio.max,
        pairs[0].1.round_trip,
    );
}

/// What a run on turmoil came to.
struct Peer {
    messages_per_second: f64,
    round_trip: Duration,
}

/// Counts shared by the nodes of one simulation.
#[derive(Default)]
struct Counts {
    messages: Cell<u64>,
    answers: Cell<u64>,
    /// Sum over the answers, in simulated time.
    waited: Cell<Duration>,
    sent_again: Cell<u64>,
}

fn run_turmoil(nodes: u32, times: Times, seed: u64) -> Peer {
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(TICK)
        .min_message_latency(times.delay_min)
        .max_message_latency(times.delay_max)
        .simulation_duration(Duration::from_secs(1 << 20))
        .udp_capacity(4_096)
        .build();
    sim.set_message_latency_curve(CURVE);
    let counts = Rc::new(Counts::default());
    for number in 0..nodes {
        let counts = Rc::clone(&counts);
        sim.host(name(number), move || run_node(number, nodes, times.timeout, seed, Rc::clone(&counts)));
    }
    let mut step = || sim.step().unwrap_or_else(|error| panic!("the load on turmoil failed: {error}"));
    while counts.answers.get() < u64::from(nodes) * WINDOW as u64 {
        step();
    }
    let (messages, begin, core_time) = (counts.messages.get(), Instant::now(), load::core_time());
    while begin.elapsed() < SLICE {
        step();
    }
    let core_time = load::core_time() - core_time;
    assert_eq!(counts.sent_again.get(), 0, "nothing is lost, so nothing is sent again");
    Peer {
        messages_per_second: (counts.messages.get() - messages) as f64 / core_time.as_secs_f64(),
        round_trip: counts.waited.get().div_f64(counts.answers.get() as f64),
    }
}

fn name(number: u32) -> String {
    format!("node-{number}")
}

/// The whole of a node: receives what is there, and looks at its deadlines when the earliest it knew has passed.
async fn run_node(number: u32, nodes: u32, timeout: Duration, seed: u64, counts: Rc<Counts>) -> turmoil::Result {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    let mut node = Node::new(number, nodes, timeout, seed, counts);
    let mut buffer = vec![0; 2_048];
    (0..WINDOW).for_each(|_| node.ping_someone());
    let deadline = sleep_until(node.next_deadline());
    tokio::pin!(deadline);
    loop {
        for (to, bytes) in node.outbox.drain(..) {
            socket.try_send_to(&bytes, to)?;
            node.buffers.push(bytes);
        }
        tokio::select! {
            biased;
            received = socket.recv_from(&mut buffer) => {
                let (length, from) = received?;
                node.receive(&buffer[..length], from);
                while let Ok((length, from)) = socket.try_recv_from(&mut buffer) {
                    node.receive(&buffer[..length], from);
                }
            }
            () = &mut deadline => {
                node.deadlines_passed();
                deadline.as_mut().reset(node.next_deadline());
            }
        }
    }
}

struct Ping {
    peer: usize,
    sent_again: u8,
    sent: SimInstant,
    due: SimInstant,
}

struct Node {
    id: NodeId,
    peers: Vec<(NodeId, SocketAddr)>,
    by_address: HashMap<SocketAddr, usize>,
    keyring: Keyring,
    timeout: Duration,
    chooser: Seeded,
    packets: u64,
    last_sequence: u64,
    under_way: BTreeMap<u64, Ping>,
    deadlines: BTreeSet<(SimInstant, u64)>,
    outbox: Vec<(SocketAddr, Vec<u8>)>,
    buffers: Vec<Vec<u8>>,
    counts: Rc<Counts>,
}

impl Node {
    fn new(number: u32, nodes: u32, timeout: Duration, seed: u64, counts: Rc<Counts>) -> Self {
        let others = (0..nodes).filter(|other| *other != number);
        let peers: Vec<_> =
            others.map(|other| (node_id(other), SocketAddr::new(turmoil::lookup(name(other)), PORT))).collect();
        Self {
            id: node_id(number),
            by_address: peers.iter().enumerate().map(|(at, (_, address))| (*address, at)).collect(),
            peers,
            keyring: Keyring::new(SecretKey::from_bytes([7; 32])),
            timeout,
            chooser: Seeded::new(seed, u64::from(number)),
            packets: 0,
            last_sequence: 0,
            under_way: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            outbox: Vec::new(),
            buffers: Vec::new(),
            counts,
        }
    }

    fn next_deadline(&self) -> SimInstant {
        self.deadlines.first().map_or_else(|| SimInstant::now() + self.timeout, |(at, _)| *at)
    }

    fn ping_someone(&mut self) {
        self.last_sequence += 1;
        let peer = self.chooser.below(self.peers.len() as u64) as usize;
        let now = SimInstant::now();
        self.under_way.insert(self.last_sequence, Ping { peer, sent_again: 0, sent: now, due: now });
        self.send_ping(self.last_sequence);
    }

    fn send_ping(&mut self, sequence: u64) {
        let Some(ping) = self.under_way.get_mut(&sequence) else { return };
        ping.due = SimInstant::now() + self.timeout;
        self.deadlines.insert((ping.due, sequence));
        let peer = ping.peer;
        let payload = payload_of(self.id, sequence, PAYLOAD_BYTES);
        self.send(peer, &Message::Ping { sequence, answer_within: Span::from_millis(50), payload });
    }

    fn send(&mut self, peer: usize, message: &Message) {
        self.packets += 1;
        let (destination, address) = self.peers[peer];
        let envelope = Envelope {
            cluster: CLUSTER,
            domain: GossipDomain(0),
            tenant: Tenant(0),
            source: Incarnation { node: self.id, store: StoreIncarnation(1), boot: BootIncarnation(1) },
            destination,
            next_hop: destination,
            ttl: 1,
            class: Class::Control,
            sequence: self.packets,
            cause: CauseId(self.packets),
            version: VERSION,
            speaks: VERSION,
        };
        let mut bytes = self.buffers.pop().unwrap_or_default();
        bytes.clear();
        seal(&self.keyring, &envelope, message, 1 << 20, &mut bytes).expect("a ping fits a packet");
        self.outbox.push((address, bytes));
    }

    fn receive(&mut self, packet: &[u8], from: SocketAddr) {
        let opened: Opened<Message> =
            open(&self.keyring, CLUSTER, self.id, VERSION, packet).expect("nothing alters packets here");
        self.counts.messages.set(self.counts.messages.get() + 1);
        let peer = self.by_address[&from];
        match opened.message {
            Message::Ping { sequence, payload, .. } => {
                let not_after = Time::from_nanos(self.packets << 20);
                self.send(peer, &Message::Pong { sequence, entries: 0, not_after, payload });
            }
            Message::Pong { sequence, payload, .. } => {
                let is_mine = self.under_way.get(&sequence).is_some_and(|ping| ping.peer == peer);
                if is_mine && payload == payload_of(self.id, sequence, PAYLOAD_BYTES) {
                    self.answered(sequence);
                }
            }
            Message::Sorry { .. } => {}
        }
    }

    fn answered(&mut self, sequence: u64) {
        let Some(ping) = self.under_way.remove(&sequence) else { return };
        self.deadlines.remove(&(ping.due, sequence));
        self.counts.answers.set(self.counts.answers.get() + 1);
        self.counts.waited.set(self.counts.waited.get() + ping.sent.elapsed());
        self.ping_someone();
    }

    fn deadlines_passed(&mut self) {
        let now = SimInstant::now();
        while let Some((at, sequence)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, sequence));
            self.counts.sent_again.set(self.counts.sent_again.get() + 1);
            let Some(ping) = self.under_way.get_mut(&sequence) else { continue };
            if ping.sent_again < RETRIES {
                ping.sent_again += 1;
                self.send_ping(sequence);
            } else {
                self.under_way.remove(&sequence);
                self.ping_someone();
            }
        }
    }
}
