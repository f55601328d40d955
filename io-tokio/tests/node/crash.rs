//! Processes that are killed, and what they had promised.
//!
//! The child is this test program itself, told by its environment to run a node and to say after each reply what was
//! acknowledged.

use crate::ledger::{Ledger, Reply, Request};
use crate::stage::{Machine, Running, soon};
use relaymesh_io_tokio::folder::Folder;
use relaymesh_io_tokio::settings::Settings;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const FOLDER: &str = "RELAYMESH_TEST_FOLDER";
const ENTRIES: &str = "RELAYMESH_TEST_ENTRIES";
const ACKED: &str = "acked ";

/// Runs a node in the folder that the environment names, adds as many entries as it says, and reports each reply.
#[test]
#[ignore = "run by the other stories, in a process of its own"]
fn child() {
    let (Ok(folder), Ok(entries)) = (std::env::var(FOLDER), std::env::var(ENTRIES)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let node = Running::begin(Folder::open(Path::new(&folder)).unwrap(), Settings::default()).await;
        let mut stdout = std::io::stdout();
        for number in 1..=entries.parse().unwrap() {
            let reply = loop {
                match node.handle.request(Request::Add(number)).await {
                    Ok(Reply::Position { count, .. }) => break count,
                    // It is still reading its journal.
                    Err(_) => tokio::task::yield_now().await,
                    Ok(other) => panic!("{other:?}"),
                }
            };
            writeln!(stdout, "{ACKED}{reply}").unwrap();
            stdout.flush().unwrap();
        }
    });
}

/// The command that runs [`child`], perhaps by way of `program`.
fn child_command(program: &[&str], folder: &Path, entries: u64) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut command = match program {
        [] => Command::new(this),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(this);
            command
        }
    };
    command.args(["crash::child", "--exact", "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).env(ENTRIES, entries.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// The entries that a line says were acknowledged. The test harness writes on the same lines.
fn acked(line: &str) -> Option<u64> {
    line.split_once(ACKED).map(|(_, count)| count.parse().unwrap())
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_again_and_again() {
    let machine = Machine::new();
    let mut promised = 0;
    for round in 1..=4 {
        let mut child = child_command(&[], machine.path(), 1_000_000).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let enough = promised + 25 * round;
        for count in lines.by_ref().filter_map(|line| acked(&line)) {
            assert!(count > promised, "an entry that was acknowledged is gone");
            promised = count;
            if count >= enough {
                break;
            }
        }
        child.kill().unwrap();
        // What it still said before the end counts as well.
        promised = lines.filter_map(|line| line.split_once(ACKED)?.1.parse().ok()).fold(promised, u64::max);
        child.wait().unwrap();
        assert!(promised >= enough, "the child ended by itself");
    }
    let node = machine.start().await;
    let found = node.count().await;
    assert!(found >= promised, "{promised} entries were acknowledged, {found} are there");
    node.stop().await;
}

#[tokio::test]
async fn a_node_dropped_in_the_middle_keeps_what_it_acknowledged() {
    let machine = Machine::new();
    let path = machine.path().to_owned();
    // A runtime that goes away takes the driver with it, wherever it stands.
    let promised = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let handle = runtime.block_on(async {
            let node = Running::begin(Folder::open(&path).unwrap(), Settings::default()).await;
            while node.handle.request(Request::Add(1)).await.is_err() {
                tokio::task::yield_now().await;
            }
            for number in 0..100 {
                let handle = node.handle.clone();
                tokio::spawn(async move { handle.request(Request::Add(number)).await });
            }
            match node.handle.request(Request::Add(2)).await {
                Ok(Reply::Position { count, .. }) => count,
                other => panic!("{other:?}"),
            }
        });
        drop(runtime);
        handle
    });
    let promised = promised.join().unwrap();
    // The thread of the store finishes what it was told, and then lets go of the folder's store.
    let node = soon(async {
        loop {
            let folder = match Folder::open(machine.path()) {
                Ok(folder) => folder,
                Err(_) => continue,
            };
            match relaymesh_io_tokio::start(folder, Settings::default(), |_, _| Ledger::default()).await {
                Ok(handle) => break handle,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let found = loop {
        match soon(node.request(Request::Count)).await {
            Ok(Reply::Number(count)) => break count,
            _ => tokio::task::yield_now().await,
        }
    };
    assert!(found >= promised, "{promised} entries were acknowledged, {found} are there");
}

/// Every group of writes is followed by fdatasync of the log before anything that rests on it leaves: seen by
/// `strace`, not by the program itself.
#[test]
#[ignore = "needs strace: cargo test -p relaymesh-io-tokio --test node -- --ignored strace"]
fn strace_sees_a_sync_before_every_acknowledgement() {
    if !Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("!!!! SKIPPED: strace is not here, or may not trace: nobody has looked at the system calls !!!!");
        return;
    }
    let machine = Machine::new();
    let log = machine.path().join("trace");
    let trace = "trace=fdatasync,fsync,pwrite64,write,sync_file_range";
    let program = ["strace", "-f", "-y", "-s", "40", "-e", trace, "-o", log.to_str().unwrap()];
    let output = child_command(&program, machine.path(), 30).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let seen = judge(&std::fs::read_to_string(&log).unwrap(), machine.path());
    assert_eq!(seen, Ok(30));
}

/// How many acknowledgements a trace shows, each after a sync of its own that no write to the log follows; or the first
/// line that breaks the rule.
fn judge(trace: &str, folder: &Path) -> Result<u64, String> {
    let store = folder.join("store");
    let named = |path: &Path| format!("<{}>", path.display());
    let (log, dirs) = (named(&store.join("db")), [named(&store), named(folder)]);
    let mut unsynced = false;
    let mut syncs = 0;
    let mut acks = 0;
    // The sync under way of each thread: strace splits calls during which another thread is seen.
    let mut begun = std::collections::BTreeSet::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap_or(("", line));
        let call = call.trim_start();
        if call.starts_with("pwrite64") && call.contains(&log) {
            unsynced = true;
        } else if call.starts_with("fdatasync") && call.contains(&log) && call.contains("unfinished") {
            begun.insert(thread);
        } else if call.starts_with("fdatasync") && call.contains(&log) && call.ends_with("= 0")
            || call.contains("fdatasync resumed") && call.ends_with("= 0") && begun.remove(thread)
        {
            unsynced = false;
            syncs += 1;
        } else if call.starts_with("write(1") && call.contains(ACKED) {
            if unsynced || syncs == 0 {
                return Err(format!("acknowledged before it was synced: {line}"));
            }
            acks += 1;
            syncs = 0;
        }
    }
    match dirs.iter().find(|dir| !synced(trace, dir)) {
        Some(dir) => Err(format!("{dir} was never synced")),
        None => Ok(acks),
    }
}

fn synced(trace: &str, path: &str) -> bool {
    trace.lines().any(|line| line.contains("fsync(") && line.contains(path))
}

#[test]
fn a_trace_without_the_sync_is_refused() {
    let folder = Path::new("/x");
    let dirs = "1 fsync(3</x/store>) = 0\n1 fsync(3</x>) = 0\n";
    let write = "2 pwrite64(9</x/store/db>, \"\"..., 100, 0) = 100\n";
    let sync = "2 fdatasync(9</x/store/db>) = 0\n";
    let ack = "1 write(1<pipe:[7]>, \"acked 1\\n\", 8) = 8\n";
    let split =
        "2 fdatasync(9</x/store/db> <unfinished ...>\n1 write(5</y>, \"\", 8) = 8\n2 <... fdatasync resumed>) = 0\n";
    assert_eq!(judge(&[dirs, write, sync, ack].concat(), folder), Ok(1));
    assert_eq!(judge(&[dirs, write, split, ack].concat(), folder), Ok(1));
    assert!(judge(&[dirs, write, ack].concat(), folder).is_err(), "no sync");
    assert!(judge(&[dirs, sync, write, ack].concat(), folder).is_err(), "a write after the sync");
    assert!(judge(&[dirs, write, sync, ack, ack].concat(), folder).is_err(), "one sync for two");
    assert!(judge(&[dirs, write, &sync.replace("= 0", "= -1 EIO"), ack].concat(), folder).is_err(), "a failed sync");
    assert!(judge(&[write, sync, ack].concat(), folder).is_err(), "the folders");
}
