//! What leaves a host and what comes of it on the way: datagrams, and the segments of streams.

use super::addresses::Way;
use super::host::STRANGERS;
use super::keys;
use super::run::World;
use super::{Happening, Inbound};
use crate::check::Expected;
use crate::network::connection::{AfterLoss, Connection, Lane, Segment};
use crate::network::{Carried, Intruder};
use crate::subject::{Checks, Subject};
use crate::time::TrueTime;
use alloc::vec::Vec;
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::{Class, Envelope, seal};
use relaymesh_core::machine::CauseId;
use relaymesh_core::node::Application;
use relaymesh_core::time::Duration;

/// Bytes of each packet that makes a connection.
const HANDSHAKE_BYTES: usize = 60;

type Message<S> = <<S as Subject>::Application as Application>::Message;

/// A packet on its way, with what the world knows about it.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) bytes: Vec<u8>,
    pub(super) seal: Seal,
    pub(super) origin: Origin,
    /// How often the host that it goes to had moved: if it moves again, the packet misses it.
    moves: u32,
    /// The stream that it rides.
    ride: Option<Ride>,
}

impl Packet {
    /// Whether it rides a stream.
    pub(super) const fn rides(&self) -> bool {
        self.ride.is_some()
    }
}

/// Who has sealed a packet, for whom, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seal {
    /// The host that sealed it.
    pub(super) from: u32,
    /// The node that it is for.
    pub(super) to: u32,
    /// The number of the key, among those of its cluster.
    pub(super) key: u64,
    /// The event that asked for it.
    pub(super) cause: CauseId,
}

/// How a packet came to be on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Its sender has sent it.
    Sent,
    /// The same, and bits were flipped.
    Altered,
    /// Somebody has kept a copy.
    Replayed,
    /// Somebody without a key has made it.
    Forged,
}

/// The stream that a packet rides.
#[derive(Clone, Copy, Debug)]
struct Ride {
    lane: Lane,
    /// The number of the connection.
    connection: u32,
    /// The process that it is for, once it is under way.
    life: u32,
}

impl<S: Subject> World<S> {
    /// Hands a sealed packet to the network.
    pub(super) fn dispatch(&mut self, seal: Seal, envelope: &Envelope, message: &Message<S>, bytes: Vec<u8>) {
        let (at, endpoint) = match self.way(seal.from, envelope.destination, seal.to) {
            Way::To { host, endpoint } => (host, endpoint),
            Way::Nobody => {
                self.unanswered_endpoints += 1;
                self.checks.carried(seal.from, seal.to, envelope.class, bytes.len());
                return self.buffers.push(bytes);
            }
            Way::Unknown => {
                self.unlocated_packets += 1;
                return self.buffers.push(bytes);
            }
        };
        self.misdirected_packets += u64::from(at != seal.to);
        match S::STREAMS && envelope.class.is_stream() {
            true => self.queue_on_stream(seal, envelope.class, at, endpoint, bytes),
            false => self.send_datagram(seal, envelope, message, at, bytes),
        }
    }

    fn send_datagram(&mut self, seal: Seal, envelope: &Envelope, message: &Message<S>, at: u32, bytes: Vec<u8>) {
        self.checks.carried(seal.from, seal.to, envelope.class, bytes.len());
        let route = self.network.route(self.now, seal.from, at, envelope.class, bytes.len());
        if let Some(until) = route.full_until {
            self.tell_full(seal, envelope.class, until);
            let (peer, class, cause) = (envelope.destination, envelope.class, seal.cause);
            self.later(until.since(self.now), seal.from, Inbound::Room { peer, class, cause });
        }
        let moves = self.host(at).moves;
        let packet = |bytes, origin| Packet { bytes, seal, origin, moves, ride: None };
        if let Some(flight) = route.second {
            let copy = self.copied(&bytes);
            self.fly(at, flight.at, packet(copy, Origin::Sent));
        }
        if let Some(later) = route.replayed {
            let copy = self.copied(&bytes);
            self.fly(at, later, packet(copy, Origin::Replayed));
        }
        if let Some(Intruder { at: then, is_foreign }) = route.intruder
            && let Some(forged) = self.forged(seal, envelope, message, is_foreign)
        {
            self.fly(at, then, packet(forged, Origin::Forged));
        }
        match route.first {
            Some(flight) => {
                let origin = if flight.corrupt { Origin::Altered } else { Origin::Sent };
                self.fly(at, flight.at, packet(bytes, origin));
            }
            None => self.buffers.push(bytes),
        }
    }

    fn fly(&mut self, host: u32, at: TrueTime, mut packet: Packet) {
        if packet.origin == Origin::Altered {
            self.network.flip_bits(&mut packet.bytes);
        }
        let place = self.packets.put(packet);
        self.queue.schedule(at, Happening::Packet { host, place });
    }

    fn buffer(&mut self) -> Vec<u8> {
        let mut buffer = self.buffers.pop().unwrap_or_default();
        buffer.clear();
        buffer
    }

    fn copied(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut copy = self.buffer();
        copy.extend_from_slice(bytes);
        copy
    }

    /// What somebody without a key makes of a packet: the same sealed with a key of their own, or another cluster's.
    fn forged(&mut self, truth: Seal, envelope: &Envelope, message: &Message<S>, is_foreign: bool) -> Option<Vec<u8>> {
        let mut forged = self.buffer();
        let it = self.host(truth.from);
        let limit = it.node.as_ref()?.seat().limits.packet_bytes;
        let is_sealed = match is_foreign {
            true => {
                let elsewhere = if it.cluster == STRANGERS { super::host::CLUSTER } else { STRANGERS };
                seal(&it.keys.ring, &Envelope { cluster: elsewhere, ..*envelope }, message, limit, &mut forged)
            }
            false => seal(&keys::intruder(), envelope, message, limit, &mut forged),
        };
        is_sealed.is_ok().then_some(forged)
    }

    /// Tells a process that its queue is full. `until` is when it will be told of room, as far as that is known.
    fn tell_full(&mut self, seal: Seal, class: Class, until: TrueTime) {
        let (peer, cause, life) = (self.node_ids[seal.to as usize], seal.cause, self.host(seal.from).life);
        self.full_lanes.insert((seal.from, life, peer, class), until);
        self.later(Duration::ZERO, seal.from, Inbound::Full { peer, class, cause });
    }

    // --- streams ------------------------------------------------------------------------------------------------

    fn queue_on_stream(&mut self, seal: Seal, class: Class, host: u32, endpoint: Endpoint, bytes: Vec<u8>) {
        let lane = Lane { from: seal.from, to: seal.to, class };
        if self.connections.get(&lane).is_some_and(|connection| connection.endpoint() != endpoint) {
            self.break_connection(lane);
        }
        let opened = &mut self.connections_opened;
        let connection = self.connections.entry(lane).or_insert_with(|| {
            *opened += 1;
            Connection::new(*opened, host, endpoint)
        });
        if !connection.has_room(bytes.len()) {
            let is_news = connection.becomes_full();
            self.buffers.push(bytes);
            self.overflows += 1;
            if is_news {
                self.tell_full(seal, class, TrueTime(u64::MAX));
            }
            return;
        }
        let length = bytes.len();
        let ride = Some(Ride { lane, connection: connection.number(), life: 0 });
        let place = self.packets.put(Packet { bytes, seal, origin: Origin::Sent, moves: 0, ride });
        if connection.push(Segment { place, bytes: length }) {
            self.transmit(lane);
        }
    }

    /// Tries what waits on a connection, in order, until something does not get across.
    fn transmit(&mut self, lane: Lane) {
        while let Some(connection) = self.connections.get(&lane)
            && let Some(segment) = connection.next()
        {
            let host = connection.host();
            let carried = self.try_segment(lane, host, segment.bytes);
            let (life, moves, now) = (self.host(host).life, self.host(host).moves, self.now);
            let Some(connection) = self.connections.get_mut(&lane) else { return };
            let number = connection.number();
            let again = match carried {
                Carried::Across(delay) => {
                    let at = connection.crosses(now, delay);
                    let packet = self.packets.get_mut(segment.place);
                    packet.moves = moves;
                    if let Some(ride) = &mut packet.ride {
                        ride.life = life;
                    }
                    self.queue.schedule(at, Happening::Packet { host, place: segment.place });
                    continue;
                }
                Carried::NotBefore(then) => {
                    connection.waits();
                    AfterLoss::Again(then)
                }
                Carried::Lost => connection.loses(now),
            };
            match again {
                AfterLoss::Again(at) => self.queue.schedule(at, Happening::Retries { lane, number }),
                AfterLoss::Breaks => self.break_connection(lane),
            }
            return;
        }
    }

    /// What becomes of a segment that is tried now; of a connection's first one once both ends know of one another.
    fn try_segment(&mut self, lane: Lane, host: u32, bytes: usize) -> Carried {
        if self.host(lane.from).asleep.is_some() || self.host(host).asleep.is_some() {
            return Carried::Lost;
        }
        let is_ready = self.connections.get(&lane).is_some_and(Connection::is_ready);
        if !is_ready {
            let mut at = self.now;
            for (from, to) in [(lane.from, host), (host, lane.from)] {
                match self.network.carry(self.now, from, to, lane.class, HANDSHAKE_BYTES) {
                    Carried::Across(delay) => at = at + delay,
                    other => return other,
                }
            }
            if let Some(connection) = self.connections.get_mut(&lane) {
                connection.becomes_ready(at);
            }
        }
        let carried = self.network.carry(self.now, lane.from, host, lane.class, bytes);
        if !matches!(carried, Carried::NotBefore(_)) {
            self.checks.carried(lane.from, lane.to, lane.class, bytes);
        }
        carried
    }

    /// The time for another try has come.
    pub(super) fn retry(&mut self, lane: Lane, number: u32) {
        let now = self.now;
        match self.connections.get_mut(&lane).filter(|connection| connection.number() == number) {
            None => {}
            Some(connection) => match connection.is_due(now) {
                AfterLoss::Again(_) => {
                    self.retransmitted += 1;
                    self.transmit(lane);
                }
                AfterLoss::Breaks => self.break_connection(lane),
            },
        }
    }

    /// A connection is gone, and what waits on it.
    fn break_connection(&mut self, lane: Lane) {
        let Some(connection) = self.connections.remove(&lane) else { return };
        self.broken_connections += 1;
        for segment in connection.waiting() {
            let packet = self.packets.take(segment.place);
            self.buffers.push(packet.bytes);
        }
        if connection.is_full() {
            self.tell_room(lane);
        }
    }

    /// Breaks every connection of a host whose process has ended.
    pub(super) fn break_connections_of(&mut self, host: u32) {
        let concerned = |(lane, connection): (&Lane, &Connection)| {
            (lane.from == host || connection.host() == host).then_some(*lane)
        };
        let lanes: Vec<Lane> = self.connections.iter().filter_map(concerned).collect();
        lanes.into_iter().for_each(|lane| self.break_connection(lane));
    }

    fn tell_room(&mut self, lane: Lane) {
        let peer = self.node_ids[lane.to as usize];
        let life = self.host(lane.from).life;
        if let Some(room_at) = self.full_lanes.get_mut(&(lane.from, life, peer, lane.class)) {
            *room_at = self.now;
        }
        let (class, cause) = (lane.class, self.trace.current());
        self.later(Duration::ZERO, lane.from, Inbound::Room { peer, class, cause });
    }

    // --- arrival ------------------------------------------------------------------------------------------------

    /// A packet reaches a host: into the process, or nowhere.
    pub(super) fn packet_arrives(&mut self, host: u32, place: u32) {
        let packet = self.packets.get(place);
        let it = &self.hosts[host as usize];
        let is_home = !S::STREAMS || packet.moves == it.moves;
        let is_heard = match packet.ride {
            // Until a machine wakes its peers send again what it has missed.
            Some(ride) => ride.life == it.life,
            None => it.asleep.is_none(),
        };
        if it.node.is_none() || !is_home || !is_heard {
            let broken = packet.ride.filter(|ride| self.is_current(ride)).map(|ride| ride.lane);
            self.drop_packet(place);
            if let Some(lane) = broken {
                self.break_connection(lane);
            }
            return;
        }
        if packet.origin == Origin::Sent && it.asleep.is_none() {
            self.checks.crossed(packet.seal.from, host, self.now);
        }
        self.arrive(host, Inbound::Packet { place });
    }

    fn is_current(&self, ride: &Ride) -> bool {
        self.connections.get(&ride.lane).is_some_and(|connection| connection.number() == ride.connection)
    }

    /// Takes a packet from where it stands; the stream it rode has room for another.
    pub(super) fn take_from_wire(&mut self, place: u32) -> Packet {
        let packet = self.packets.take(place);
        if let Some(ride) = packet.ride
            && let Some(connection) = self.connections.get_mut(&ride.lane)
            && connection.number() == ride.connection
            && connection.taken(packet.bytes.len())
        {
            self.tell_room(ride.lane);
        }
        packet
    }

    /// A packet reaches nobody.
    pub(super) fn drop_packet(&mut self, place: u32) {
        let packet = self.take_from_wire(place);
        self.buffers.push(packet.bytes);
    }

    /// What must become of a packet at `host`, by what the world knows.
    pub(super) fn expected(&self, host: u32, packet: &Packet) -> Expected {
        let (it, sender) = (self.host(host), self.host(packet.seal.from));
        match packet.origin {
            Origin::Altered => Expected::Changed,
            Origin::Forged => Expected::Forged,
            _ if sender.cluster != it.cluster => Expected::ForeignCluster,
            _ if !it.keys.holds(packet.seal.key) => Expected::UnknownKey,
            _ if packet.seal.to != host => Expected::Misdelivered,
            Origin::Sent | Origin::Replayed => Expected::Accepted,
        }
    }
}
