//! Nodes are killed at random moments under load, and the clients' journal of what was acknowledged is held against the mesh.

use crate::control::done;
use crate::stage::{Mesh, PATIENCE, until};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use relaymesh_core::bytes::Blob;
use relaymesh_core::codec::decode_value;
use relaymesh_core::control::state::Name as Namespace;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Fate, Reply as Told, Request as Question};
use relaymesh_core::shards::state::{task_command, task_query};
use relaymesh_core::task::answer::{Answer, Query, Status};
use relaymesh_core::task::command::{Command, Submit, What};
use relaymesh_core::task::payload::Payload;
use relaymesh_core::task::view::{Happened, StepStatus};
use relaymesh_core::task::workflow::Name;
use relaymesh_io_tokio::control;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

const SHARDS: u32 = 8;
/// Clients, each with one submission under way.
const CLIENTS: u64 = 16;
/// The longest time between a restart and the next kill, and between a kill and the restart.
const UP: u64 = 2_500;
const DOWN: u64 = 2_000;
/// Pause of a client between two submissions, so that clients are not much faster than agents.
const PACE: Duration = Duration::from_millis(60);
/// How long a client waits for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// `cargo test --test processes -- kills --ignored --nocapture`; `ROUNDS`, `SEED` and `TASKS` override how many, and which.
#[tokio::test]
#[ignore = "takes many minutes, and prints figures"]
async fn a_hundred_kills_lose_nothing() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    kills(number("ROUNDS", 100), number("SEED", 1), number("TASKS", 50_000)).await;
}

#[tokio::test]
async fn three_kills_lose_nothing() {
    kills(3, 1, 100).await;
}

async fn kills(rounds: u64, seed: u64, least: u64) {
    let (mut chance, begun) = (ChaCha8Rng::seed_from_u64(seed), Instant::now());
    let mut mesh = Mesh::of(3).await;
    done(&mesh.0[0], &["cluster-init"], &["--with", "n1", "--with", "n2"]).await;
    done(&mesh.0[0], &["cluster-activate", "2"], &[]).await;
    done(&mesh.0[0], &["namespace-declare", "default"], &["--shards", &SHARDS.to_string()]).await;
    let folders: Vec<PathBuf> = mesh.0.iter().map(|node| node.folder()).collect();
    let file = folders[0].with_file_name("acknowledged");
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (tell, told) = channel();
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for number in 0..CLIENTS {
        let (folders, stop, tell) = (folders.clone(), stop.clone(), tell.clone());
        threads.push(spawn(move || client(number, &folders, &stop, &tell)));
    }
    drop(tell);
    let (path, count) = (file.clone(), acknowledged.clone());
    threads.push(spawn(move || journal(&path, &told, &count)));
    let mut round = 0;
    // More rounds than asked for, where that many have not brought enough.
    while round < rounds || acknowledged.load(Ordering::Relaxed) < least {
        sleep(Duration::from_millis(u64::from(chance.next_u32()) % UP)).await;
        let victim = (chance.next_u32() % 3) as usize;
        mesh.0[victim].kill();
        sleep(Duration::from_millis(u64::from(chance.next_u32()) % DOWN)).await;
        mesh.restart(victim).await;
        mesh.all_alive().await;
        round += 1;
        let so_far = acknowledged.load(Ordering::Relaxed);
        println!(
            "round {round}: n{victim} was killed; {so_far} acknowledged after {:.0} s",
            begun.elapsed().as_secs_f64()
        );
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let keys = std::fs::read_to_string(&file).unwrap();
    let keys: BTreeSet<String> = keys.lines().map(str::to_owned).collect();
    assert!(keys.len() as u64 >= least, "{} acknowledged", keys.len());
    let (checking, mut attempts) = (Instant::now(), 0);
    all_end(&folders[0]).await;
    for key in &keys {
        attempts += check(&folders, key).await;
    }
    println!(
        "{round} kills, seed {seed}: {} acknowledged, all there, each committed once, in {attempts} attempts; checked in {:.0} s",
        keys.len(),
        checking.elapsed().as_secs_f64()
    );
}

/// Waits until nothing is left to do, for as long as it becomes less: clients may be faster than agents.
pub(crate) async fn all_end(folder: &Path) {
    let (mut least, mut since) = (u64::MAX, Instant::now());
    while least > 0 {
        let mut left = 0;
        for number in 0..SHARDS {
            let shard = ShardId { namespace: namespace(), number };
            let told = ask(folder, Question::Read { shard, query: task_query(&Query::Counts) }).await;
            left += match told {
                Some(Told::Done(bytes)) => match decode_value::<Answer>(&bytes.0).unwrap() {
                    Answer::Counts(counts) => counts.tasks - counts.ended,
                    other => panic!("{other:?}"),
                },
                // Nobody serves it now: that is no progress.
                _ => u64::MAX >> 8,
            };
        }
        if left < least {
            (least, since) = (left, Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "{least} tasks are left, and become no fewer");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Keeps what clients say was acknowledged; counts it once it is on the disk.
pub(crate) fn journal(file: &Path, told: &Receiver<String>, acknowledged: &AtomicU64) {
    let mut file = File::create(file).unwrap();
    while let Ok(first) = told.recv() {
        let keys: Vec<String> = std::iter::once(first).chain(told.try_iter()).collect();
        file.write_all(keys.iter().map(|key| format!("{key}\n")).collect::<String>().as_bytes()).unwrap();
        file.sync_data().unwrap();
        acknowledged.fetch_add(keys.len() as u64, Ordering::Relaxed);
    }
}

/// Submits one task after the other, each to the next node, and again under its key until it is acknowledged.
pub(crate) fn client(number: u64, folders: &[PathBuf], stop: &AtomicBool, tell: &Sender<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for task in 0.. {
            let key = format!("{number}-{task}");
            for attempt in task.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                if submit(&folders[attempt as usize % folders.len()], &key).await {
                    tell.send(key).unwrap();
                    sleep(PACE).await;
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
    });
}

fn namespace() -> Namespace {
    Namespace::new("default").unwrap()
}

/// Whether it was acknowledged.
async fn submit(folder: &Path, key: &str) -> bool {
    let id = SubmissionId::of(&namespace(), key.as_bytes());
    let submit = Submit {
        input: Some(Payload::inline(key.as_bytes())),
        ..Submit::new(id, What::agent(Name::new("echo").unwrap()))
    };
    let command = task_command(&Command::Submit(Box::new(submit))).unwrap();
    let shard = ShardId::of_submission(namespace(), SHARDS, &id);
    let question = Question::SubmitOnce { shard, key: Blob(key.as_bytes().into()), command };
    match ask(folder, question).await {
        Some(Told::Done(bytes) | Told::Outcome(Fate::Taken(Some(bytes)))) => {
            let answer = decode_value::<Answer>(&bytes.0).unwrap();
            assert!(matches!(answer, Answer::Submitted { .. }), "{key}: {answer:?}");
            true
        }
        Some(Told::Taken | Told::Outcome(Fate::Taken(None))) => true,
        _ => false,
    }
}

async fn ask(folder: &Path, question: Question) -> Option<Told> {
    match timeout(ANSWER, control::ask(folder, &Request::Shards(question))).await {
        Ok(Ok(Reply::Shards(reply))) => Some(reply),
        _ => None,
    }
}

/// Waits until an acknowledged task has succeeded, with its own output and once; how often it was tried.
pub(crate) async fn check(folders: &[PathBuf], key: &str) -> u64 {
    let id = SubmissionId::of(&namespace(), key.as_bytes());
    let shard = ShardId::of_submission(namespace(), SHARDS, &id);
    let last = RefCell::new(String::new());
    let view = until(
        || async {
            let query = task_query(&Query::Task { task: id, from: 0 });
            let told = ask(&folders[0], Question::Read { shard, query }).await;
            let Some(Told::Done(bytes)) = told else {
                last.replace(format!("{told:?}"));
                return None;
            };
            match decode_value::<Answer>(&bytes.0).unwrap() {
                Answer::Task(view) if view.status == Status::Open => {
                    let query = task_query(&Query::Counts);
                    let counts = match ask(&folders[0], Question::Read { shard, query }).await {
                        Some(Told::Done(bytes)) => decode_value::<Answer>(&bytes.0).ok(),
                        _ => None,
                    };
                    last.replace(format!("{shard:?} has {counts:?}\n{view:?}"));
                    None
                }
                Answer::Task(view) => Some(view),
                other => panic!("{key} was acknowledged: {other:?}"),
            }
        },
        || format!("{key} ends; it is {}", last.borrow()),
    )
    .await;
    let [step] = &view.steps[..] else { panic!("{key}: {view:?}") };
    let committed = step.history.iter().filter(|moment| moment.what == Happened::Succeeded).count();
    let output = StepStatus::Succeeded { output: Some(Payload::inline(key.as_bytes())) };
    assert!(view.status == Status::Succeeded && step.state == output && committed == 1, "{key}: {view:?}");
    step.attempts.into()
}
