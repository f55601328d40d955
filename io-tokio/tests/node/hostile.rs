//! What a node makes of those who break the rules.

use crate::ledger::Request;
use crate::raw::{Stranger, read_to_the_end, write_frame};
use crate::stage::{Machine, Running, brisk, key, soon};
use relaymesh_core::envelope::{ANSWER_BYTES, Class, Keyring, Purpose};
use relaymesh_io_tokio::settings::{Bounds, Settings};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const CONTROL: Purpose = Purpose::Packets(Class::Control);

async fn node(machine: &Machine) -> Running {
    machine.start_with(Settings { bounds: brisk(), ..Settings::default() }).await
}

/// A socket for datagrams to `node`.
async fn datagrams(node: &Running) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(node.endpoint().0).await.unwrap();
    socket
}

#[tokio::test]
async fn datagrams_that_do_not_open_are_counted_and_nothing_else() {
    let machine = Machine::new();
    let mut node = node(&machine).await;
    let socket = datagrams(&node).await;
    let (friend, stranger) = (Stranger::new(7), Stranger { ring: Keyring::new(key(9).key), ..Stranger::new(8) });
    socket.send(b"garbage").await.unwrap();
    socket.send(&[]).await.unwrap();
    socket.send(&[0xFF; 1_400]).await.unwrap();
    socket.send(&stranger.packet(node.node(), Class::Gossip, 1)).await.unwrap();
    let mut forged = friend.packet(node.node(), Class::Gossip, 2);
    forged[130] ^= 1;
    socket.send(&forged).await.unwrap();
    // A packet that belongs on a stream.
    socket.send(&friend.packet(node.node(), Class::Control, 3)).await.unwrap();
    // Datagrams of one socket arrive in order here, so that this one is the last.
    socket.send(&friend.packet(node.node(), Class::Gossip, 4)).await.unwrap();
    assert_eq!(node.hears(4).await, friend.node);
    let counts = node.counts();
    assert_eq!((counts.packets_refused, counts.packets_misplaced), (5, 1));
}

#[tokio::test]
async fn a_frame_that_claims_too_much_ends_the_stream() {
    let machine = Machine::new();
    let node = node(&machine).await;
    for claim in [(1 << 20) + 1, u32::MAX] {
        let (mut stream, _) = Stranger::new(7).dial(node.endpoint(), CONTROL).await.unwrap();
        stream.write_all(&claim.to_le_bytes()).await.unwrap();
        assert_eq!(read_to_the_end(&mut stream).await, 0);
    }
    assert_eq!(node.counts().streams_broken, 2);
}

#[tokio::test]
async fn a_frame_that_trickles_ends_the_stream() {
    let machine = Machine::new();
    let node = node(&machine).await;
    let (mut stream, _) = Stranger::new(7).dial(node.endpoint(), CONTROL).await.unwrap();
    stream.write_all(&[200, 0, 0, 0, 1, 2, 3]).await.unwrap();
    assert_eq!(read_to_the_end(&mut stream).await, 0);
    assert_eq!(node.counts().streams_broken, 1);
}

#[tokio::test]
async fn a_stream_without_packets_is_closed_after_a_while() {
    let bounds = Bounds { read_idle: Duration::from_millis(50), ..brisk() };
    let machine = Machine::new();
    let node = machine.start_with(Settings { bounds, ..Settings::default() }).await;
    let (mut stream, _) = Stranger::new(7).dial(node.endpoint(), CONTROL).await.unwrap();
    assert_eq!(read_to_the_end(&mut stream).await, 0);
    assert_eq!(node.counts().streams_broken, 0, "silence breaks no rule");
}

#[tokio::test]
async fn a_hello_that_trickles_or_makes_no_sense_ends_the_connection() {
    let machine = Machine::new();
    let node = node(&machine).await;
    for said in [&b""[..], b"R", b"RMH1 and then nothing"] {
        let mut stream = TcpStream::connect(node.endpoint().0).await.unwrap();
        stream.write_all(said).await.unwrap();
        assert_eq!(read_to_the_end(&mut stream).await, 0);
    }
    let mut stream = TcpStream::connect(node.endpoint().0).await.unwrap();
    stream.write_all(&[b'x'; 4_096]).await.unwrap();
    assert_eq!(read_to_the_end(&mut stream).await, 0);
    assert_eq!(node.counts().hellos_failed, 4);
}

#[tokio::test]
async fn whoever_does_not_hold_the_key_is_not_listened_to() {
    let machine = Machine::new();
    let node = node(&machine).await;
    let stranger = Stranger { ring: Keyring::new(key(9).key), ..Stranger::new(8) };
    assert!(stranger.dial(node.endpoint(), CONTROL).await.is_none());

    // One who has seen a greeting, but cannot prove anything.
    let mut stream = TcpStream::connect(node.endpoint().0).await.unwrap();
    let greeting = relaymesh_core::envelope::Dialler::new(
        &Keyring::new(key(1).key),
        relaymesh_core::envelope::Party { cluster: crate::stage::CLUSTER, node: stranger.node },
        CONTROL,
        [7; 16],
    );
    stream.write_all(greeting.greeting()).await.unwrap();
    let mut answer = [0; ANSWER_BYTES];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    stream.write_all(b"RMH1\x03\0\0\0................................").await.unwrap();
    assert_eq!(read_to_the_end(&mut stream).await, 0);
    assert_eq!((node.counts().hellos_failed, node.counts().streams_accepted), (2, 0));
}

#[tokio::test]
async fn a_packet_in_another_nodes_name_or_class_ends_the_stream() {
    let machine = Machine::new();
    let mut node = node(&machine).await;
    let (one, other) = (Stranger::new(7), Stranger::new(8));
    let (mut stream, _) = one.dial(node.endpoint(), CONTROL).await.unwrap();
    write_frame(&mut stream, &one.packet(node.node(), Class::Control, 1)).await;
    assert_eq!(node.hears(1).await, one.node);
    write_frame(&mut stream, &other.packet(node.node(), Class::Control, 2)).await;
    assert_eq!(read_to_the_end(&mut stream).await, 0);

    let (mut stream, _) = one.dial(node.endpoint(), CONTROL).await.unwrap();
    write_frame(&mut stream, &one.packet(node.node(), Class::Bulk, 3)).await;
    assert_eq!(read_to_the_end(&mut stream).await, 0);
    assert_eq!((node.counts().packets_misplaced, node.counts().streams_broken), (2, 2));
}

#[tokio::test]
async fn a_packet_that_does_not_open_is_skipped_on_a_stream_that_proved_itself() {
    let machine = Machine::new();
    let mut node = node(&machine).await;
    let one = Stranger::new(7);
    let (mut stream, _) = one.dial(node.endpoint(), CONTROL).await.unwrap();
    write_frame(&mut stream, b"").await;
    write_frame(&mut stream, b"no packet").await;
    write_frame(&mut stream, &one.packet(node.node(), Class::Control, 1)).await;
    node.hears(1).await;
    assert_eq!(node.counts().packets_refused, 2);
}

#[tokio::test]
async fn no_more_connections_are_open_than_may_be() {
    for bounds in [
        Bounds { inbound_unproved: 2, ..Bounds::default() },
        Bounds { inbound_total: 2, ..Bounds::default() },
        Bounds { inbound_per_address: 2, ..Bounds::default() },
    ] {
        let machine = Machine::new();
        let node = machine.start_with(Settings { bounds, ..Settings::default() }).await;
        let connect = || TcpStream::connect(node.endpoint().0);
        let (one, _two) = (connect().await.unwrap(), connect().await.unwrap());
        assert_eq!(read_to_the_end(&mut connect().await.unwrap()).await, 0);
        assert_eq!(node.counts().streams_turned_away, 1);
        // One that leaves makes room.
        drop(one);
        let stranger = Stranger::new(7);
        soon(async { while stranger.dial(node.endpoint(), Purpose::Seek).await.is_none() {} }).await;
        assert_eq!(node.ask(Request::Count).await, crate::ledger::Reply::Number(0));
    }
}
