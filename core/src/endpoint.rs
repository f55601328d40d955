//! Where a node can be reached: data that machines pass on and drivers act upon.
//!
//! Machines address nodes. They learn endpoints from descriptions, tell the driver which node lives where
//! ([`Action::Locate`](crate::node::Action::Locate)), and never decide by what an endpoint looks like.

use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};
use serde::{Deserialize, Serialize};

/// An address and a port; datagrams and streams use the same one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint(pub SocketAddr);

impl Endpoint {
    /// The IPv4 endpoint with these bytes and port.
    pub const fn v4(address: [u8; 4], port: u16) -> Self {
        let [a, b, c, d] = address;
        Self(SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
