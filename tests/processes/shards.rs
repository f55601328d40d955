//! Shards that move while tasks are submitted: a node joins, another is drained, and nothing is lost.

use crate::control::done;
use crate::kills::{all_end, check, client, journal};
use crate::stage::{Mesh, Node, until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::channel;
use std::thread::spawn;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the node answers as JSON.
async fn json(node: &Node, words: &[&str], rest: &[&str]) -> Value {
    let rest: Vec<&str> = rest.iter().copied().chain(["-o", "json"]).collect();
    serde_json::from_str(&done(node, words, &rest).await).unwrap()
}

/// How many shards each node owns, and of how many it has a copy, by its name.
async fn load(node: &Node, name: &str) -> (u64, u64) {
    let peers = json(node, &["mesh", "peers", "list"], &[]).await;
    let peer = peers.as_array().unwrap().iter().find(|peer| peer["name"] == name).cloned().unwrap_or_default();
    (peer["owned"].as_u64().unwrap_or(0), peer["copies"].as_u64().unwrap_or(0))
}

/// So many seconds from now, as it is typed.
fn in_seconds(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    jiff::Timestamp::from_second(now as i64 + seconds).unwrap().to_string()
}

#[tokio::test]
async fn shards_move_to_who_joins_and_away_from_who_drains_and_nothing_is_lost() {
    let mut mesh = Mesh::of(3).await;
    done(&mesh.0[0], &["cluster-init"], &["--with", "n1", "--with", "n2"]).await;
    done(&mesh.0[0], &["cluster-activate", "2"], &[]).await;
    done(&mesh.0[0], &["namespace-declare", "default"], &["--shards", "8"]).await;
    let folders: Vec<PathBuf> = mesh.0.iter().map(|node| node.folder()).collect();
    let file = folders[0].with_file_name("acknowledged");
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (tell, told) = channel();
    let (path, count) = (file.clone(), acknowledged.clone());
    let mut threads = vec![spawn(move || journal(&path, &told, &count))];
    for number in 0..2 {
        let (folders, stop, tell) = (folders.clone(), stop.clone(), tell.clone());
        threads.push(spawn(move || client(number, &folders, &stop, &tell)));
    }
    drop(tell);

    let simulated = json(&mesh.0[1], &["mesh", "shards", "simulate"], &["--add", "zone-b"]).await;
    assert!(simulated["moves"].as_u64().unwrap() > 0 && simulated["nodes"].as_array().unwrap().len() == 4);
    mesh.add("n3", "local").await;
    let node = &mesh.0[1];
    // Whoever has just come is given nothing before it was well for a while.
    let joined = || async {
        let peers = json(node, &["mesh", "peers", "list"], &[]).await;
        peers.as_array()?.iter().find(|peer| peer["name"] == "n3" && peer["standing"] == "open").map(drop)
    };
    until(joined, || "the fourth node is not a place for shards".to_owned()).await;
    done(node, &["mesh", "shards", "rebalance"], &["--all", "--yes"]).await;
    let (owned, copies) = load(node, "n3").await;
    assert!(owned >= 1 && copies >= 4, "n3 owns {owned} and has {copies} copies");
    let moved = json(node, &["mesh", "shards", "diff"], &[]).await;
    assert!(moved.as_array().unwrap().iter().any(|moved| moved["to"][0] == "n3"), "{moved}");

    done(node, &["mesh", "peers", "drain"], &["n0"]).await;
    assert_eq!(load(node, "n0").await, (0, 0));
    let shards = json(node, &["mesh", "shards", "list"], &[]).await;
    assert!(shards.as_array().unwrap().iter().all(|shard| shard["state"] == "settled"), "{shards}");
    done(node, &["mesh", "peers", "uncordon"], &["n0"]).await;
    let at = in_seconds(3);
    done(node, &["mesh", "shards", "rebalance"], &["--back", "--yes", "--at", &at]).await;
    assert!(load(node, "n0").await.1 > 0, "taken back");
    let capacity = json(node, &["mesh", "peers", "capacity"], &[]).await;
    let answered = capacity.as_array().unwrap().iter().filter(|peer| peer["load"]["disk_ms"].is_f64()).count();
    assert_eq!(answered, 4, "{capacity}");

    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let keys = std::fs::read_to_string(&file).unwrap();
    let keys: BTreeSet<String> = keys.lines().map(str::to_owned).collect();
    assert!(!keys.is_empty());
    all_end(&folders[0]).await;
    for key in &keys {
        check(&folders, key).await;
    }
}

#[tokio::test]
async fn what_there_is_not_is_refused_with_the_next_step() {
    let mesh = Mesh::of(1).await;
    let node = &mesh.0[0];
    done(node, &["cluster-init"], &[]).await;
    done(node, &["cluster-activate", "2"], &[]).await;
    done(node, &["namespace-declare", "default"], &["--shards", "2", "--copies", "1", "--minimum", "1"]).await;
    let refused = |words: &[&str], rest: &[&str], code, text: &str| {
        let output = node.command(words, rest);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(text) && output.stdout.is_empty(), "{said}");
    };
    refused(&["mesh", "shards", "plan"], &["--namespace", "other"], 1, "there are default");
    refused(&["mesh", "shards", "list"], &["--namespace", "other"], 1, "there are default");
    refused(&["mesh", "peers", "drain"], &["nobody"], 1, "no member is called `nobody`");
    refused(&["mesh", "shards", "rebalance"], &["--approve", "77"], 1, "mesh shards plan");
    refused(&["mesh", "shards", "diff"], &["77"], 1, "no such plan");
    refused(&["mesh", "shards", "simulate"], &["--weight", "n0=0"], 64, "1 to 1024");
    refused(&["mesh", "shards", "rebalance"], &["--approve", "77", "--at", "tonight"], 64, "2026-11-21T13:40:06Z");
    refused(&["mesh", "shards", "pause"], &["2"], 1, "mesh shards list");
    let output = node.command(&["mesh", "shards", "rebalance"], &[]);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("nothing to move"));
}

#[tokio::test]
async fn a_paused_shard_takes_nothing_until_it_is_resumed() {
    let mesh = Mesh::of(1).await;
    let node = &mesh.0[0];
    done(node, &["cluster-init"], &[]).await;
    done(node, &["cluster-activate", "2"], &[]).await;
    done(node, &["namespace-declare", "default"], &["--shards", "2", "--copies", "1", "--minimum", "1"]).await;
    done(node, &["mesh", "shards", "pause"], &[]).await;
    let shards = json(node, &["mesh", "shards", "list"], &[]).await;
    assert!(shards.as_array().unwrap().iter().all(|shard| shard["paused"] == true), "{shards}");
    let refused = node.command(&["submit"], &["--agent", "echo", "--input", "x", "--key", "one"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains("mesh shards resume"), "{said}");
    done(node, &["mesh", "shards", "resume"], &["0"]).await;
    let shards = json(node, &["mesh", "shards", "list"], &[]).await;
    let paused: Vec<bool> = shards.as_array().unwrap().iter().map(|shard| shard["paused"] == true).collect();
    assert_eq!(paused, [false, true]);
    done(node, &["mesh", "shards", "resume"], &[]).await;
    done(node, &["submit"], &["--agent", "echo", "--input", "x", "--key", "one"]).await;
}
