//! Objects on a real disk: kept, fetched, listed and discarded, across restarts and kills, and with bytes that have rotted.

use crate::ledger::{Reply, Request};
use crate::stage::{Machine, Running};
use relaymesh_core::object::OBJECT_BYTES_MAX;
use relaymesh_io_tokio::folder::Folder;
use relaymesh_io_tokio::settings::Settings;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const FOLDER: &str = "RELAYMESH_TEST_OBJECTS_FOLDER";
const KEPT: &str = "kept ";
/// Bytes of each object of the process that is killed: some parts of the store's.
const BYTES: u32 = 9_000;

fn keep(piece: u32, value: u8, bytes: u32) -> Request {
    Request::Keep { piece, value, bytes }
}

async fn pieces(node: &Running) -> Vec<u32> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        match node.ask(Request::List { after }).await {
            Reply::Pieces { pieces, is_last } => {
                found.extend(&pieces);
                after = found.last().copied();
                if is_last {
                    return found;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn objects_are_kept_replaced_discarded_and_listed_also_after_a_restart() {
    let machine = Machine::new();
    let node = machine.start().await;
    let largest = OBJECT_BYTES_MAX as u32;
    for (piece, bytes) in [(1, 0), (2, 1), (3, 4_096), (4, largest), (5, largest)] {
        assert_eq!(node.ask(keep(piece, piece as u8, bytes)).await, Reply::Done);
    }
    assert_eq!(node.ask(keep(4, 9, 5_000)).await, Reply::Done);
    assert_eq!(node.ask(Request::Discard(5)).await, Reply::Done);
    node.ask(Request::Add(1)).await;
    let node = {
        node.stop().await;
        machine.start().await
    };
    assert_eq!(pieces(&node).await, [1, 2, 3, 4]);
    assert_eq!(node.ask(Request::Fetch(1)).await, Reply::Object(vec![]));
    assert_eq!(node.ask(Request::Fetch(2)).await, Reply::Object(vec![2]));
    assert_eq!(node.ask(Request::Fetch(3)).await, Reply::Object(vec![3; 4_096]));
    assert_eq!(node.ask(Request::Fetch(4)).await, Reply::Object(vec![9; 5_000]));
    assert_eq!(node.ask(Request::Fetch(5)).await, Reply::Missing);
    assert_eq!(node.count().await, 1, "the journal has what it had");
    node.stop().await;
}

#[tokio::test]
async fn more_objects_than_one_answer_names_are_listed_by_pages() {
    let machine = Machine::new();
    let node = machine.start().await;
    let asked: Vec<_> = (0..600)
        .map(|piece| {
            let handle = node.handle.clone();
            tokio::spawn(async move { handle.request(keep(piece, 1, 10)).await })
        })
        .collect();
    for asked in asked {
        assert_eq!(asked.await.unwrap().unwrap(), Reply::Done);
    }
    assert_eq!(pieces(&node).await, (0..600).collect::<Vec<_>>());
    node.stop().await;
}

/// Keeps one object after the other, and says so of each.
#[tokio::test]
#[ignore = "run by the other stories, in a process of its own"]
async fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let node = Running::begin(Folder::open(Path::new(&folder)).unwrap(), Settings::default()).await;
    let mut stdout = std::io::stdout();
    for piece in 1.. {
        while node.handle.request(keep(piece, piece as u8, BYTES)).await.is_err() {
            tokio::task::yield_now().await;
        }
        writeln!(stdout, "{KEPT}{piece}").unwrap();
        stdout.flush().unwrap();
    }
}

#[tokio::test]
async fn what_was_told_kept_survives_a_kill() {
    let machine = Machine::new();
    let mut promised = 0;
    for _ in 0..2 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["objects::child", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, machine.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let kept = |line: String| line.split_once(KEPT).and_then(|(_, piece)| piece.parse::<u32>().ok());
        let count = lines.by_ref().filter_map(kept).take(20).count();
        assert_eq!(count, 20, "the child ended by itself");
        child.kill().unwrap();
        promised = lines.filter_map(kept).fold(promised.max(20), u32::max);
        child.wait().unwrap();
    }
    let node = machine.start().await;
    for piece in 1..=promised {
        let found = node.ask(Request::Fetch(piece)).await;
        assert!(found == Reply::Object(vec![piece as u8; BYTES as usize]), "object {piece} of {promised}");
    }
    node.stop().await;
}
