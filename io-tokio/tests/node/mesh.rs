//! Nodes that speak to one another.

use crate::ledger::{Request, Seen};
use crate::raw::Stranger;
use crate::stage::{Machine, brisk, key_of, pair, soon};
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::{Class, Purpose};
use relaymesh_core::identity::{ClusterId, NodeId};
use relaymesh_io_tokio::settings::{Bounds, Seeds, Settings};
use std::fs;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[tokio::test]
async fn messages_of_every_class_arrive_gated_or_not() {
    let (_machines, mut one, mut two) = pair().await;
    for (number, class) in (1..).zip(Class::ALL) {
        for gated in [false, true] {
            let number = 2 * number + u64::from(gated);
            let (to, padding) = (two.node(), 100);
            one.ask(Request::Tell { to, class, number, padding, gated }).await;
            assert_eq!(two.hears(number).await, one.node());
            two.ask(Request::Tell { to: one.node(), class, number, padding, gated }).await;
            assert_eq!(one.hears(number).await, two.node());
        }
    }
    assert_eq!(one.counts().dials_done, 3, "one stream for each class but the datagrams'");
    assert_eq!(two.counts().streams_accepted, 3);
}

#[tokio::test]
async fn a_stream_keeps_the_order_and_carries_large_packets() {
    let (_machines, one, mut two) = pair().await;
    for number in 0..100 {
        let padding = if number % 10 == 0 { 1_000_000 } else { 10 };
        one.ask(Request::Tell { to: two.node(), class: Class::Bulk, number, padding, gated: false }).await;
        if number % 10 == 0 {
            two.hears(number).await;
        }
    }
    two.hears(99).await;
    assert_eq!(one.counts().sends_overflowed, 0);
}

#[tokio::test]
async fn nothing_is_sent_to_a_node_that_is_not_located_or_forgotten() {
    let (_machines, one, mut two) = pair().await;
    one.tell(NodeId::from_bytes([9; 16]), Class::Control, 1).await;
    assert_eq!(one.counts().sends_unlocated, 1);
    one.ask(Request::Forget(two.node())).await;
    one.tell(two.node(), Class::Control, 2).await;
    one.tell(two.node(), Class::Gossip, 3).await;
    assert_eq!(one.counts().sends_unlocated, 3);
    one.locate(&two).await;
    one.tell(two.node(), Class::Control, 4).await;
    two.hears(4).await;
}

#[tokio::test]
async fn a_message_that_cannot_be_sealed_is_dropped_and_counted() {
    let (_machines, one, mut two) = pair().await;
    one.ask(Request::Tell { to: two.node(), class: Class::Bulk, number: 1, padding: 2 << 20, gated: false }).await;
    assert_eq!(one.counts().seals_failed, 1);
    one.tell(two.node(), Class::Bulk, 2).await;
    two.hears(2).await;
}

#[tokio::test]
async fn a_stream_is_opened_again_after_its_peer_was_restarted() {
    let (machines, one, two) = pair().await;
    let (to, settings) = (two.node(), Settings { bounds: brisk(), ..Settings::default() });
    one.tell(to, Class::Control, 1).await;
    two.stop().await;
    let mut two = machines[1].start_with(settings).await;
    one.locate(&two).await;
    one.tell(to, Class::Control, 2).await;
    two.hears(2).await;
}

#[tokio::test]
async fn a_queue_says_when_it_is_full_and_when_it_has_room() {
    let peer = Stranger::new(7);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint(listener.local_addr().unwrap());
    // The peer must not be given up while it does not read.
    let bounds = Bounds { lane_packets: 8, frame: std::time::Duration::from_secs(30), ..brisk() };
    let machine = Machine::new();
    let mut node = machine.start_with(Settings { bounds, ..Settings::default() }).await;
    node.ask(Request::Locate { node: peer.node, endpoint }).await;
    node.tell(peer.node, Class::Bulk, 0).await;
    let (mut stream, ..) = peer.accept(&listener).await;

    let mut sent = 0;
    while node.counts().sends_overflowed == 0 {
        let (class, padding) = (Class::Bulk, 500_000);
        node.ask(Request::Tell { to: peer.node, class, number: 1, padding, gated: false }).await;
        sent += 1;
        assert!(sent < 1_000, "a peer that does not read fills its queue");
        // Let the stream take what it can.
        tokio::task::yield_now().await;
    }
    node.sees(|seen| *seen == Seen::Filled { peer: peer.node }).await;
    let drain = tokio::spawn(async move { while stream.read(&mut vec![0; 1 << 20]).await.is_ok_and(|n| n > 0) {} });
    node.sees(|seen| *seen == Seen::Relieved { peer: peer.node }).await;
    drain.abort();
}

#[tokio::test]
async fn a_queue_that_is_forgotten_while_full_has_room() {
    let peer = Stranger::new(7);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint(listener.local_addr().unwrap());
    let machine = Machine::new();
    let bounds = Bounds { lane_packets: 2, ..Bounds::default() };
    let mut node = machine.start_with(Settings { bounds, ..Settings::default() }).await;
    node.ask(Request::Locate { node: peer.node, endpoint }).await;
    // Nobody answers the hello, so that everything waits.
    for number in 0..3 {
        node.tell(peer.node, Class::Priority, number).await;
    }
    node.sees(|seen| *seen == Seen::Filled { peer: peer.node }).await;
    assert_eq!(node.counts().sends_overflowed, 1);
    node.ask(Request::Forget(peer.node)).await;
    node.sees(|seen| *seen == Seen::Relieved { peer: peer.node }).await;
    assert_eq!(node.counts().sends_broken, 2);
}

#[tokio::test]
async fn a_stream_that_breaks_drops_what_waits_and_is_opened_again_for_what_comes() {
    let peer = Stranger::new(7);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint(listener.local_addr().unwrap());
    let machine = Machine::new();
    let node = machine.start_with(Settings { bounds: brisk(), ..Settings::default() }).await;
    node.ask(Request::Locate { node: peer.node, endpoint }).await;
    for _ in 0..3 {
        // What is said before the break is noticed is lost, as it would be on the way.
        let keep_telling = async {
            loop {
                node.tell(peer.node, Class::Control, 1).await;
            }
        };
        let (stream, from, purpose) = tokio::select! {
            accepted = peer.accept(&listener) => accepted,
            () = keep_telling => unreachable!(),
        };
        assert_eq!((from, purpose), (node.node(), Purpose::Packets(Class::Control)));
        drop(stream);
    }
    assert!(node.counts().dials_done >= 3);
}

#[tokio::test]
async fn another_node_at_a_peers_endpoint_gets_nothing() {
    let (_machines, one, mut two) = pair().await;
    let stranger = NodeId::from_bytes([9; 16]);
    one.ask(Request::Locate { node: stranger, endpoint: two.endpoint() }).await;
    one.tell(stranger, Class::Control, 1).await;
    one.tell(two.node(), Class::Control, 2).await;
    two.hears(2).await;
    soon(async {
        while one.counts().dials_failed == 0 {
            one.count().await;
        }
    })
    .await;
    assert_eq!(two.counts().packets_refused, 0);
}

#[tokio::test]
async fn nothing_leaves_this_machine_unless_an_operator_allows_it() {
    let machine = Machine::new();
    let node = machine.start().await;
    let far = NodeId::from_bytes([9; 16]);
    node.ask(Request::Locate { node: far, endpoint: Endpoint::v4([192, 0, 2, 1], 7) }).await;
    node.tell(far, Class::Gossip, 1).await;
    assert_eq!(node.counts().endpoints_forbidden, 1);
    node.tell(far, Class::Control, 2).await;
    soon(async {
        while node.counts().endpoints_forbidden < 2 {
            node.count().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_search_finds_who_holds_the_key_and_nobody_else() {
    let machines: [Machine; 4] = std::array::from_fn(|_| Machine::new());
    let one = machines[0].start().await;
    let two = machines[1].start().await;
    let foreign = Machine::with_key(&key_of(ClusterId::from_bytes([9; 16]), 1)).start().await;
    let keyless = Machine::with_key(&key_of(crate::stage::CLUSTER, 2)).start().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();

    let file = machines[2].path().join("seeds");
    let places = vec![one.endpoint().to_string(), nobody.to_string(), foreign.endpoint().to_string()];
    let seeds = Seeds { places, file: Some(file.clone()) };
    let mut seeker = machines[2].start_with(Settings { seeds, bounds: brisk(), ..Settings::default() }).await;
    seeker.ask(Request::Seek).await;
    assert_eq!(seeker.sees(|_| true).await, Seen::Found { node: one.node() });

    // The file is read anew each time; it names the second node, one without the key, and the seeker itself.
    let listed = format!("{}\n# itself\n{}\n{}\n", keyless.endpoint(), seeker.endpoint(), two.endpoint());
    fs::write(&file, listed).unwrap();
    seeker.ask(Request::Seek).await;
    let mut found = Vec::new();
    while !found.contains(&two.node()) || !found.contains(&one.node()) {
        match seeker.sees(|_| true).await {
            Seen::Found { node } => found.push(node),
            other => panic!("{other:?}"),
        }
    }
    found.sort();
    let mut expected = vec![one.node(), two.node()];
    expected.sort();
    assert_eq!(found, expected);
    assert!(foreign.counts().hellos_failed >= 1 && keyless.counts().hellos_failed >= 1);
    assert_eq!(one.counts().streams_accepted, 0, "a search opens no stream for packets");
}
