//! The command line's way in.

use crate::ledger::{Reply, Request, Seen};
use crate::stage::{Machine, Running, key, key_of, soon};
use relaymesh_core::identity::ClusterId;
use relaymesh_io_tokio::control::{AskError, ask, install_key};
use relaymesh_io_tokio::settings::{Bounds, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

async fn node(machine: &Machine, bounds: Bounds) -> Running {
    machine.start_with(Settings { control: true, bounds, ..Settings::default() }).await
}

async fn asked(machine: &Machine, request: Request) -> Result<Reply, AskError> {
    soon(ask(machine.path(), &request)).await
}

#[tokio::test]
async fn a_request_from_outside_is_answered() {
    let machine = Machine::new();
    let node = node(&machine, Bounds::default()).await;
    assert!(matches!(asked(&machine, Request::Add(7)).await, Ok(Reply::Position { count: 1, .. })));
    assert_eq!(asked(&machine, Request::Count).await.unwrap(), Reply::Number(1));
    node.stop().await;
    let refused = asked(&machine, Request::Count).await.unwrap_err();
    assert!(matches!(refused, AskError::Unreachable { .. }), "{refused}");
}

#[tokio::test]
async fn a_key_from_outside_is_installed_and_a_wrong_one_refused() {
    let machine = Machine::new();
    let mut node = node(&machine, Bounds::default()).await;
    soon(install_key(machine.path(), &key(2))).await.unwrap();
    node.sees(|seen| matches!(seen, Seen::Rekeyed { keys: 2, .. })).await;
    let foreign = key_of(ClusterId::from_bytes([9; 16]), 3);
    for (refused, word) in [(foreign, "cluster"), (key(2), "already")] {
        let refused = soon(install_key(machine.path(), &refused)).await.unwrap_err();
        assert!(matches!(&refused, AskError::Key(words) if words.contains(word)), "{refused}");
    }
}

#[tokio::test]
async fn a_client_that_makes_no_sense_is_told_so_or_cut_off() {
    let machine = Machine::new();
    let _node = node(&machine, Bounds { control_frame_bytes: 1_000, ..Bounds::default() }).await;
    let connect = || UnixStream::connect(machine.path().join("control.sock"));

    let mut stream = connect().await.unwrap();
    stream.write_all(&[2, 0, 0, 0, 1, 99]).await.unwrap();
    let mut head = [0; 6];
    soon(stream.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[4], 3, "an answer that says why not");

    let mut stream = connect().await.unwrap();
    stream.write_all(&1_001_u32.to_le_bytes()).await.unwrap();
    assert_eq!(soon(stream.read(&mut [0])).await.unwrap(), 0, "a frame that is too long");
}

#[tokio::test]
async fn clients_past_the_bound_are_turned_away() {
    let machine = Machine::new();
    let _node = node(&machine, Bounds { control_connections: 1, ..Bounds::default() }).await;
    let first = UnixStream::connect(machine.path().join("control.sock")).await.unwrap();
    let refused = asked(&machine, Request::Count).await.unwrap_err();
    assert!(matches!(refused, AskError::BrokenOff(_)), "{refused}");
    drop(first);
    soon(async { while asked(&machine, Request::Count).await.is_err() {} }).await;
}
