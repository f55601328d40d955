//! Everything that is settled before a driver starts, each with a safe default.

use relaymesh_core::identity::GossipDomain;
use relaymesh_core::limits::Limits;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How one node is driven.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where it listens.
    pub listen: Listen,
    /// Where it looks for others.
    pub seeds: Seeds,
    /// Its gossip domain.
    pub domain: GossipDomain,
    /// Bounds of its engine.
    pub limits: Limits,
    /// Bounds of what drives it.
    pub bounds: Bounds,
    /// Whether it answers on the control socket in its folder.
    pub control: bool,
}

/// Where a node listens: streams and datagrams on one address and port.
///
/// **Packets are authenticated, but not encrypted**, until there is TLS: whoever can read the network reads all that
/// nodes say. So only this machine's own addresses are allowed, to listen on and to speak to, unless an operator says
/// that the network may see it.
#[derive(Clone, Copy, Debug)]
pub struct Listen {
    /// Address and port. Port zero lets the operating system choose one.
    pub address: SocketAddr,
    /// What other nodes are told, where that is not the address itself. Port zero stands for the port listened on.
    pub advertise: Option<SocketAddr>,
    /// Allows addresses other than this machine's own, although nothing is encrypted.
    pub allow_plaintext_network: bool,
}

impl Listen {
    /// This machine only, at `port`.
    pub const fn loopback(port: u16) -> Self {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self { address, advertise: None, allow_plaintext_network: false }
    }

    /// Whether packets may travel to or from `address`.
    pub const fn may_reach(&self, address: SocketAddr) -> bool {
        self.allow_plaintext_network || address.ip().is_loopback()
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self::loopback(0)
    }
}

/// Where a node looks for others: at most [`SEEDS_MAX`] places of the form `host:port`, read anew for each search.
#[derive(Clone, Debug, Default)]
pub struct Seeds {
    /// Places known when the node starts.
    pub places: Vec<String>,
    /// A file with one place a line; empty lines and those that begin with `#` are skipped. Places past the most there
    /// may be are left out.
    pub file: Option<PathBuf>,
}

/// Seeds that are asked in one search.
pub const SEEDS_MAX: usize = 16;

/// Bounds of what drives a node. All queues have one, and nothing that another party does takes for ever.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Time to open a connection.
    pub dial: Duration,
    /// Time for both ends of a new stream to prove themselves.
    pub hello: Duration,
    /// Time from the first byte of a frame to its last, in either direction.
    pub frame: Duration,
    /// Time after which a stream that carries nothing is closed by the side that opened it.
    pub lane_idle: Duration,
    /// Time after which a stream that carries nothing is closed by the other side. Longer than `lane_idle`.
    pub read_idle: Duration,
    /// Shortest time between two attempts to open a stream.
    pub redial_min: Duration,
    /// Longest time between two attempts to open a stream.
    pub redial_max: Duration,
    /// Packets that may wait for one stream.
    pub lane_packets: usize,
    /// Bytes that may wait for one stream; a single packet may be larger.
    pub lane_bytes: usize,
    /// Connections of other nodes at once.
    pub inbound_total: usize,
    /// Connections at once from one address.
    pub inbound_per_address: usize,
    /// Connections at once whose other end has not proved itself yet.
    pub inbound_unproved: usize,
    /// Opened packets of one class that may wait for the node.
    pub inbox_packets: usize,
    /// Requests that may be under way at once, those included whose client has gone.
    pub requests: usize,
    /// Observations that a slow reader may fall behind before some are left out for it.
    pub observations: usize,
    /// Clients of the control socket at once.
    pub control_connections: usize,
    /// Bytes of one frame on the control socket.
    pub control_frame_bytes: usize,
    /// Time for one request on the control socket, and between two.
    pub control_idle: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            dial: Duration::from_secs(2),
            hello: Duration::from_secs(2),
            frame: Duration::from_secs(10),
            lane_idle: Duration::from_secs(60),
            read_idle: Duration::from_secs(90),
            redial_min: Duration::from_millis(50),
            redial_max: Duration::from_secs(5),
            lane_packets: 1_024,
            lane_bytes: 8 << 20,
            inbound_total: 1_024,
            inbound_per_address: 768,
            inbound_unproved: 128,
            inbox_packets: 256,
            requests: 4_096,
            observations: 1_024,
            control_connections: 64,
            control_frame_bytes: 8 << 20,
            control_idle: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached_unless_an_operator_says_otherwise() {
        let (near, far) = ("127.3.2.1:7".parse().unwrap(), "192.0.2.1:7".parse().unwrap());
        let safe = Listen::default();
        assert!(safe.may_reach(near) && safe.may_reach("[::1]:7".parse().unwrap()) && !safe.may_reach(far));
        assert!(Listen { allow_plaintext_network: true, ..safe }.may_reach(far));
    }

    #[test]
    fn whoever_opened_a_stream_closes_it_first() {
        let bounds = Bounds::default();
        assert!(bounds.lane_idle < bounds.read_idle);
    }
}
