//! Bounds towards the program that drives a node.

use crate::ledger::Request;
use crate::stage::{Machine, soon};
use relaymesh_core::envelope::Class;
use relaymesh_io_tokio::settings::{Bounds, Settings};
use relaymesh_io_tokio::{RequestError, Sighting};

#[tokio::test]
async fn a_reader_that_falls_behind_is_told_how_much_it_missed() {
    let machine = Machine::new();
    let bounds = Bounds { observations: 4, ..Bounds::default() };
    let node = machine.start_with(Settings { bounds, ..Settings::default() }).await;
    let mut slow = node.handle.observations();
    for seed in 2..5 {
        node.handle.install_key(crate::stage::key(seed).key).await.unwrap();
    }
    let friend = Machine::new();
    let friend = friend.start().await;
    friend.locate(&node).await;
    for number in 0..7 {
        friend.tell(node.node(), Class::Control, number).await;
    }
    let (mut missed, mut noticed) = (0, 0);
    while missed + noticed < 10 {
        match soon(slow.next()).await {
            Some(Sighting::Missed(some)) => missed += some,
            Some(Sighting::Noticed(_)) => noticed += 1,
            None => panic!("the node stopped"),
        }
    }
}

#[tokio::test]
async fn observations_end_with_the_node() {
    let machine = Machine::new();
    let node = machine.start().await;
    let mut observations = node.handle.observations();
    let handle = node.handle.clone();
    node.stop().await;
    assert!(soon(observations.next()).await.is_none());
    assert!(soon(handle.observations().next()).await.is_none());
}

#[tokio::test]
async fn requests_past_the_bound_are_refused_until_one_is_answered_or_given_up() {
    let machine = Machine::new();
    let bounds = Bounds { requests: 1, ..Bounds::default() };
    let node = machine.start_with(Settings { bounds, ..Settings::default() }).await;
    let handle = node.handle.clone();
    let waiting = tokio::spawn(async move { handle.request(Request::Alarm(u64::MAX / 4)).await });
    soon(async {
        while node.handle.request(Request::Count).await != Err(RequestError::Busy) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    waiting.abort();
    let _ = waiting.await;
    node.count().await;
}
