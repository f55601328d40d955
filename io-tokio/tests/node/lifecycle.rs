//! Starting, stopping, and what stays.

use crate::ledger::{Ledger, Reply, Request, Seen};
use crate::stage::{Machine, Running, key_of, soon};
use relaymesh_core::identity::ClusterId;
use relaymesh_core::node::StopReason;
use relaymesh_core::record::Damage;
use relaymesh_io_tokio::folder::{Folder, FolderError};
use relaymesh_io_tokio::settings::{Listen, Settings};
use relaymesh_io_tokio::{DriverError, ListenError, RequestError, StartError, Stopped, start};
use std::fs;
use std::time::{Duration, Instant};

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let machine = Machine::new();
    let node = machine.start().await;
    for number in 1..=40 {
        node.ask(Request::Add(number)).await;
    }
    let id = node.node();
    node.stop().await;

    let mut again = Running::begin(Folder::open(machine.path()).unwrap(), Settings::default()).await;
    assert_eq!(again.node(), id);
    let started = again.sees(|seen| matches!(seen, Seen::Started { .. })).await;
    assert_eq!(started, Seen::Started { boot: 2 });
    assert_eq!(again.count().await, 40);
    again.stop().await;
}

#[tokio::test]
async fn requests_under_way_together_are_all_answered() {
    let machine = Machine::new();
    let node = machine.start().await;
    let asked: Vec<_> = (0..500)
        .map(|number| {
            let handle = node.handle.clone();
            tokio::spawn(async move { handle.request(Request::Add(number)).await })
        })
        .collect();
    let mut counts = Vec::new();
    for asked in asked {
        match soon(asked).await.unwrap().unwrap() {
            Reply::Position { count, .. } => counts.push(count),
            other => panic!("{other:?}"),
        }
    }
    counts.sort_unstable();
    assert_eq!(counts, (1..=500).collect::<Vec<u64>>());
    node.stop().await;
}

#[tokio::test]
async fn a_folder_serves_one_process_and_is_free_once_the_node_has_stopped() {
    let machine = Machine::new();
    let node = machine.start().await;
    assert!(matches!(Folder::open(machine.path()), Err(FolderError::InUse(_))));
    node.stop().await;
    machine.start().await.stop().await;
}

#[tokio::test]
async fn an_endpoint_is_free_once_the_node_has_stopped() {
    let machine = Machine::new();
    let node = machine.start().await;
    let listen = Listen::loopback(node.endpoint().0.port());
    let other = Machine::new();
    let folder = Folder::open(other.path()).unwrap();
    let refused = start::<Ledger>(folder, Settings { listen, ..Settings::default() }, |_, _| Ledger::default()).await;
    assert!(matches!(refused.unwrap_err(), StartError::Listen(ListenError::Bind { .. })));
    node.stop().await;
    other.start_with(Settings { listen, ..Settings::default() }).await.stop().await;
}

#[tokio::test]
async fn a_store_of_another_node_stops_the_node_with_the_reason() {
    let machine = Machine::new();
    machine.start().await.stop().await;
    fs::remove_file(machine.path().join("identity")).unwrap();
    let node = Running::begin(Folder::open(machine.path()).unwrap(), Settings::default()).await;
    let stopped = soon(node.handle.stopped()).await.unwrap();
    assert_eq!(stopped, Stopped::Node(StopReason::Damaged(Damage::Foreign)));
    assert_eq!(node.handle.request(Request::Count).await, Err(RequestError::Stopped));
}

#[tokio::test]
async fn a_keyring_of_another_cluster_does_not_open_the_store_either() {
    let machine = Machine::new();
    machine.start().await.stop().await;
    fs::remove_file(machine.path().join("keyring")).unwrap();
    Folder::give_first_key(machine.path(), &key_of(ClusterId::from_bytes([9; 16]), 1)).unwrap();
    let node = Running::begin(Folder::open(machine.path()).unwrap(), Settings::default()).await;
    let stopped = soon(node.handle.stopped()).await.unwrap();
    assert_eq!(stopped, Stopped::Node(StopReason::Damaged(Damage::Foreign)));
}

#[tokio::test]
async fn an_invariant_that_breaks_ends_the_node_and_not_the_program() {
    let machine = Machine::new();
    let node = machine.start().await;
    node.ask(Request::Add(1)).await;
    assert_eq!(soon(node.handle.request(Request::Break)).await, Err(RequestError::Stopped));
    assert!(matches!(soon(node.handle.stopped()).await, Err(DriverError::Panicked)));
    let again = machine.start().await;
    assert_eq!(again.count().await, 1);
    again.stop().await;
}

#[tokio::test]
async fn a_node_runs_on_when_nobody_holds_a_handle() {
    let machine = Machine::new();
    let node = machine.start_with(Settings { control: true, ..Settings::default() }).await;
    drop(node);
    let reply: Reply = soon(relaymesh_io_tokio::control::ask(machine.path(), &Request::Count)).await.unwrap();
    assert_eq!(reply, Reply::Number(0));
}

#[tokio::test]
async fn a_deadline_wakes_the_node_and_never_early() {
    let machine = Machine::new();
    let node = machine.start().await;
    let (began, wanted) = (Instant::now(), Duration::from_millis(30));
    assert_eq!(node.ask(Request::Alarm(wanted.as_nanos() as u64)).await, Reply::Done);
    assert!(began.elapsed() >= wanted);
    node.stop().await;
}

#[tokio::test]
async fn work_is_computed_and_records_are_read_back() {
    let machine = Machine::new();
    let node = machine.start().await;
    assert_eq!(node.ask(Request::Square(12)).await, Reply::Number(144));
    let mut places = Vec::new();
    for number in [7, 8, 9] {
        match node.ask(Request::Add(number)).await {
            Reply::Position { at, .. } => places.push((at, number)),
            other => panic!("{other:?}"),
        }
    }
    for (at, number) in places {
        assert_eq!(node.ask(Request::Reread(at)).await, Reply::Number(number));
    }
    node.stop().await;
}

#[tokio::test]
async fn an_answer_that_may_not_leave_any_more_is_not_given() {
    let machine = Machine::new();
    let node = machine.start().await;
    // It may leave at the very instant of the request only, and that is over when it would.
    assert_eq!(soon(node.handle.request(Request::AtOnce)).await, Err(RequestError::Late));
    node.stop().await;
}
