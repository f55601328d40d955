//! What goes wrong is said plainly, with the next step and an exit code, and nothing is half done.

use crate::stage::{Mesh, PROGRAM, Place, run, said, signal, until};
use serde_json::json;
use std::net::TcpListener;
use std::process::{Command, Output};

#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let text = said(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    words.iter().for_each(|word| assert!(text.contains(word), "no `{word}` in: {text}"));
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let place = Place::new();
    let mesh = Mesh::start(&place.0);
    let file = place.0.join("w.json");
    let path = file.to_str().unwrap();
    let one = r#"{"id": "one", "agent": "echo", "dependsOn": ["two"]}"#;
    let two = r#"{"id": "two", "agent": "echo", "dependsOn": ["one"]}"#;
    for (text, words) in [
        ("{".to_owned(), &["w.json: line 1", "nothing was submitted", "docs/workflows.md"][..]),
        (
            format!(r#"{{"steps": [{one}, {two}]}}"#),
            &["wait for one another: one -> two -> one", "nothing was submitted"],
        ),
        (r#"{"steps": [{"id": "one", "agnet": "echo"}]}"#.into(), &["unknown field", "agnet"]),
    ] {
        std::fs::write(&file, text).unwrap();
        refused(&mesh.command(&["submit-workflow", path]), 64, words);
    }
    refused(&mesh.command(&["submit-workflow", "nowhere.json"]), 1, &["cannot read nowhere.json"]);
    let large = place.0.join("large");
    std::fs::write(&large, vec![b'x'; 10_000_001]).unwrap();
    let words = ["submit", "--agent", "echo", "--input-file", large.to_str().unwrap()];
    refused(&mesh.command(&words), 64, &["more than 10000000 bytes", "store it elsewhere"]);
    let unknown = "0".repeat(32);
    for command in ["task", "cancel", "replay", "workflow"] {
        refused(&mesh.command(&[command, &unknown]), 1, &["there is no such task"]);
    }
    refused(&mesh.command(&["task", "42"]), 64, &["32 hexadecimal digits"]);
    let elsewhere = ["submit", "--agent", "echo", "--namespace", "billing"];
    refused(
        &mesh.command(&elsewhere),
        1,
        &["no namespace `billing`", "there are default", "namespace-declare billing"],
    );
    assert_eq!(mesh.json(&["tasks"]), json!([]));
}

#[test]
fn an_agent_that_nobody_has_is_named_with_those_that_there_are_and_the_task_waits() {
    let place = Place::new();
    let mesh = Mesh::start(&place.0);
    until("the workers are heard", || mesh.json(&["workers"]).as_array().unwrap().len() == 3);
    let output = mesh.command(&["submit", "--agent", "ehco", "--key", "k"]);
    refused(&output, 0, &["no worker that is known has the agent `ehco`", "echo", "it waits"]);
    assert_eq!(mesh.json(&["submit", "--agent", "ehco", "--key", "k"])["unknown_agents"], json!(["ehco"]));
    assert_eq!(mesh.json(&["submit", "--agent", "echo"]).get("unknown_agents"), None);
    let rows = mesh.json(&["agents"]);
    let row = rows.as_array().unwrap().iter().find(|row| row["agent"] == "ehco").unwrap();
    assert_eq!((&row["ready"], &row["offered_by"]), (&json!(1), &json!([])));
}

/// Processes that stand still, until the test ends.
struct Still(Vec<u64>);

impl Drop for Still {
    fn drop(&mut self) {
        self.0.iter().for_each(|pid| signal("CONT", *pid));
    }
}

#[test]
fn without_a_majority_a_submission_is_parked_and_begins_when_there_is_one_again() {
    let place = Place::new();
    let mesh = Mesh::start(&place.0);
    let still = Still(mesh.pids()[1..].to_vec());
    still.0.iter().for_each(|pid| signal("STOP", *pid));
    let output = mesh.command(&["submit", "--agent", "echo", "--input", "later", "--key", "k", "-o", "json"]);
    refused(&output, 0, &["parked"]);
    let receipt: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&receipt["outcome"], &receipt["copies"]), (&json!("parked"), &json!(1)));
    let look = mesh.command(&["task", receipt["id"].as_str().unwrap()]);
    refused(&look, 1, &["has not advanced for 3 s", "no majority of the control group", "begins by itself"]);
    drop(still);
    let waited = mesh.command(&["submit", "--agent", "echo", "--input", "later", "--key", "k", "--wait"]);
    refused(&waited, 0, &["succeeded"]);
}

#[test]
fn a_port_that_is_taken_and_a_folder_in_use_are_named() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = place.0.to_str().unwrap();
    let output = run(&["node", "--dir", dir, "--new-cluster", "--listen", &address]);
    refused(&output, 1, &["cannot listen on", &address, "choose another port"]);
    let lock = std::fs::File::open(place.0.join("lock")).unwrap();
    lock.lock().unwrap();
    refused(&run(&["node", "--dir", dir]), 1, &["in use by another process", "folder of its own"]);
    refused(&run(&["tasks", "--dir", dir]), 1, &["no node answers at", "is it running"]);
}

#[test]
fn a_node_whose_disk_is_full_says_so_and_stops() {
    let place = Place::new();
    let dir = place.0.to_str().unwrap();
    // No file may become larger than that: to the node it is the same.
    let line = format!("trap '' XFSZ; ulimit -f 2000; exec {PROGRAM} node --dir {dir} --new-cluster");
    let log = std::env::temp_dir().join(format!("rd-{}-full", std::process::id()));
    let to = || std::fs::File::create(&log).unwrap();
    let mut node = Command::new("sh").args(["-c", &line]).stdout(to()).stderr(to()).spawn().unwrap();
    let succeeds = |words: &[&str]| run(&[words, &["--dir", dir]].concat()).status.success();
    until("it answers", || succeeds(&["members"]));
    until("it leads", || succeeds(&["cluster-init"]) || succeeds(&["cluster-state"]));
    until("it may", || succeeds(&["cluster-activate", "2"]));
    let shape = ["namespace-declare", "default", "--shards", "1", "--copies", "1", "--minimum", "1"];
    until("there is a namespace", || succeeds(&shape));
    let input = "x".repeat(12_000);
    until("it stops", || {
        let _ = succeeds(&["submit", "--agent", "echo", "--input", &input]);
        node.try_wait().unwrap().is_some()
    });
    assert_eq!(node.wait().unwrap().code(), Some(1));
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("the store is full") && said.contains("make room"), "{said}");
    std::fs::remove_file(log).unwrap();
}
