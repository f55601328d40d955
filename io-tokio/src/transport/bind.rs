//! Taking an endpoint: one port for streams and datagrams alike.

use crate::settings::Listen;
use relaymesh_core::endpoint::Endpoint;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use tokio::net::{TcpListener, UdpSocket};

/// Ports tried when the operating system may choose: what is free for streams may be taken for datagrams.
const ATTEMPTS: usize = 32;

/// Why a node cannot listen. Nothing is left open.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Packets would travel unencrypted over a network.
    #[error(
        "{0} is not an address of this machine alone, and packets are authenticated but not encrypted yet: \
         use 127.0.0.1, or allow the plaintext network explicitly where no one listens in"
    )]
    PlaintextNetwork(SocketAddr),
    /// Others could not be told where to reach this node.
    #[error("{0} stands for every address of this machine; say which one other nodes shall use (advertise)")]
    NotAdvertised(SocketAddr),
    /// The port is taken, or may not be used.
    #[error("cannot listen on {address} for {what}: {problem}; choose another port or address")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// Streams or datagrams.
        what: &'static str,
        /// Why it failed.
        problem: io::Error,
    },
}

/// An endpoint that was taken.
pub(crate) struct Bound {
    pub(crate) streams: TcpListener,
    pub(crate) datagrams: UdpSocket,
    /// What other nodes are told.
    pub(crate) endpoint: Endpoint,
}

/// Takes the endpoint that `listen` describes.
pub(crate) async fn bind(listen: &Listen) -> Result<Bound, ListenError> {
    for address in [Some(listen.address), listen.advertise].into_iter().flatten() {
        if !listen.may_reach(address) {
            return Err(ListenError::PlaintextNetwork(address));
        }
    }
    let told = listen.advertise.unwrap_or(listen.address);
    if told.ip().is_unspecified() {
        return Err(ListenError::NotAdvertised(told));
    }
    let (streams, datagrams, port) = bind_both(listen.address).await?;
    let port = if told.port() == 0 { port } else { told.port() };
    Ok(Bound { streams, datagrams, endpoint: Endpoint(SocketAddr::new(told.ip(), port)) })
}

async fn bind_both(address: SocketAddr) -> Result<(TcpListener, UdpSocket, u16), ListenError> {
    let failed = |what| move |problem| ListenError::Bind { address, what, problem };
    for attempt in 1.. {
        let streams = TcpListener::bind(address).await.map_err(failed("streams"))?;
        let port = streams.local_addr().map_err(failed("streams"))?.port();
        match UdpSocket::bind(SocketAddr::new(address.ip(), port)).await {
            Ok(datagrams) => return Ok((streams, datagrams, port)),
            Err(problem) if problem.kind() == ErrorKind::AddrInUse && address.port() == 0 && attempt < ATTEMPTS => {}
            Err(problem) => return Err(failed("datagrams")(problem)),
        }
    }
    unreachable!("the last attempt returns");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: &str) -> Listen {
        Listen { address: address.parse().unwrap(), ..Listen::default() }
    }

    #[tokio::test]
    async fn streams_and_datagrams_share_a_port() {
        let bound = bind(&Listen::default()).await.unwrap();
        assert_eq!(bound.streams.local_addr().unwrap(), bound.datagrams.local_addr().unwrap());
        assert_eq!(bound.endpoint.0, bound.streams.local_addr().unwrap());
    }

    #[tokio::test]
    async fn a_network_is_not_used_by_accident() {
        let refused = |listen: Listen| async move { bind(&listen).await.err().unwrap() };
        let everywhere = listen("0.0.0.0:0");
        assert!(matches!(refused(everywhere).await, ListenError::PlaintextNetwork(_)));
        let told = Listen { advertise: Some("192.0.2.1:7".parse().unwrap()), ..Listen::default() };
        assert!(matches!(refused(told).await, ListenError::PlaintextNetwork(_)));
        let allowed = Listen { allow_plaintext_network: true, ..everywhere };
        assert!(matches!(refused(allowed).await, ListenError::NotAdvertised(_)));
    }

    #[tokio::test]
    async fn what_is_advertised_may_leave_the_port_open() {
        let advertise = Some("192.0.2.1:0".parse().unwrap());
        let bound = bind(&Listen { advertise, allow_plaintext_network: true, ..Listen::default() }).await.unwrap();
        let port = bound.streams.local_addr().unwrap().port();
        assert_eq!(bound.endpoint, Endpoint::v4([192, 0, 2, 1], port));
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let first = bind(&Listen::default()).await.unwrap();
        let Err(refused) = bind(&Listen::loopback(first.endpoint.0.port())).await else { panic!("taken twice") };
        assert!(refused.to_string().contains(&first.endpoint.to_string()), "{refused}");
        let datagrams = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let taken = datagrams.local_addr().unwrap();
        // Where something else holds the port for streams, that is what is said first.
        assert!(matches!(bind(&Listen::loopback(taken.port())).await, Err(ListenError::Bind { .. })));
    }
}
