//! The commands of tasks, as scripts use them.

use crate::stage::{Mesh, Place, said, until};
use serde_json::{Value, json};

const HEX: usize = 32;

fn names(rows: &Value, field: &str) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
}

fn agent<'a>(rows: &'a Value, name: &str) -> &'a Value {
    rows.as_array().unwrap().iter().find(|row| row["agent"] == name).unwrap_or_else(|| panic!("{name}: {rows}"))
}

#[test]
fn who_works_and_what_holds_for_an_agent_is_shown_and_can_be_changed() {
    let place = Place::new();
    let mesh = Mesh::start(&place.0);
    until("all three are heard", || names(&mesh.json(&["workers"]), "node") == ["a", "b", "c"]);
    let workers = mesh.json(&["workers"]);
    assert!(workers.as_array().unwrap().iter().all(|worker| worker["free"] == 4), "{workers}");
    // Given an agent that is paused, a step for it waits.
    assert!(mesh.command(&["pause", "echo"]).status.success());
    assert!(mesh.command(&["submit", "--agent", "echo", "--input", "late", "--key", "k"]).status.success());
    let rows = mesh.json(&["agents"]);
    let echo = agent(&rows, "echo");
    assert_eq!(
        (&echo["paused"], &echo["ready"], &echo["offered_by"]),
        (&json!(true), &json!(1), &json!(["a", "b", "c"]))
    );
    assert_eq!(agent(&rows, "sleep")["paused"], false);
    // When it is resumed, that is done.
    assert!(mesh.command(&["resume", "echo"]).status.success());
    let waited = mesh.command(&["submit", "--agent", "echo", "--input", "late", "--key", "k", "--wait"]);
    assert!(waited.status.success(), "{}", said(&waited));
    // A policy is kept as it was given, and one that makes no sense changes nothing.
    let words = ["policy", "echo", "--attempts", "7", "--base-backoff", "2s", "--max-backoff", "3s", "--timeout", "9s"];
    assert!(mesh.command(&words).status.success());
    let wrong = mesh.command(&["policy", "echo", "--base-backoff", "5s", "--max-backoff", "1s"]);
    assert!(
        wrong.status.code() == Some(1) && said(&wrong).contains("policy of attempts is refused"),
        "{}",
        said(&wrong)
    );
    for wrong in [["--attempts", "0"], ["--attempts", "101"], ["--timeout", "never"]] {
        let output = mesh.command(&["policy", "echo", wrong[0], wrong[1]]);
        assert_eq!(output.status.code(), Some(64), "{wrong:?}: {}", said(&output));
    }
    let rows = mesh.json(&["agents"]);
    let echo = agent(&rows, "echo");
    let expected = [json!(7), json!(2_000), json!(3_000), json!(9_000)];
    assert_eq!(
        ["attempts", "base_backoff_ms", "max_backoff_ms", "timeout_ms"].map(|field| echo[field].clone()),
        expected
    );
    assert!(mesh.command(&["policy", "echo", "--clear"]).status.success());
    assert_eq!(agent(&mesh.json(&["agents"]), "echo").get("attempts"), None);
}

#[test]
fn dead_tasks_are_written_out_begun_again_and_purged_many_at_once() {
    let place = Place::new();
    let mesh = Mesh::start(&place.0);
    for (key, label) in [("1", "team=red"), ("2", "team=red"), ("3", "team=blue")] {
        let words =
            ["submit", "--agent", "fail", "--input", r#"{"dead": true}"#, "--key", key, "--label", label, "--wait"];
        assert_eq!(mesh.command(&words).status.code(), Some(1), "it fails for good");
    }
    assert!(mesh.command(&["submit", "--agent", "echo", "--input", "fine", "--wait"]).status.success());
    // Each is a line, with what its step said last.
    let file = place.0.join("dead.jsonl");
    let exported = mesh.command(&["dead-export", "--agent", "fail", "--to", file.to_str().unwrap()]);
    assert!(exported.status.success(), "{}", said(&exported));
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines.iter().all(|it| it["steps"][0]["error"].is_string() && it["id"].as_str().unwrap().len() == HEX),
        "{text}"
    );
    assert_eq!(mesh.command(&["dead-export", "--agent", "echo"]).stdout, b"");
    // A dry run does nothing; a label narrows it.
    let batch = mesh.json(&["replay-batch", "--label", "team=red", "--dry-run"]);
    assert_eq!(names(&batch["tasks"], "outcome"), ["dead", "dead"], "{batch}");
    assert_eq!(mesh.json(&["replay-batch", "--older-than", "1h"])["tasks"], json!([]));
    let batch = mesh.json(&["replay-batch", "--label", "team=red", "--younger-than", "1h"]);
    assert_eq!(names(&batch["tasks"], "outcome"), ["replayed", "replayed"], "{batch}");
    until("they are dead again", || {
        let tasks = mesh.json(&["tasks", "--status", "dead"]);
        let replays: Vec<u64> = tasks.as_array().unwrap().iter().filter_map(|task| task["replays"].as_u64()).collect();
        replays.len() == 3 && replays.iter().sum::<u64>() == 2
    });
    // What is purged is gone.
    assert!(mesh.command(&["purge", "--ended-before", "1h"]).status.success());
    assert_eq!(mesh.json(&["tasks"]).as_array().unwrap().len(), 4);
    assert!(mesh.command(&["purge", "--ended-before", "0s"]).status.success());
    until("they are gone", || mesh.json(&["tasks"]) == json!([]));
}

#[test]
fn a_workflow_is_watched_until_it_has_ended() {
    let place = Place::new();
    let mesh = Mesh::start(&place.0);
    let logs = place.0.join("logs");
    let (workflow, input) = (place.0.join("report.json"), json!({ "folder": logs, "title": "Logs" }).to_string());
    let submitted = mesh.command(&["submit-workflow", workflow.to_str().unwrap(), "--input", &input]);
    let id = String::from_utf8(submitted.stdout).unwrap();
    let watched = mesh.command(&["workflow", id.trim(), "--watch"]);
    assert!(watched.status.success(), "{}", said(&watched));
    let text = String::from_utf8(watched.stdout).unwrap();
    assert!(text.contains("succeeded, 3 of 3") && !text.contains('\u{1b}'), "{text}");
    assert!(mesh.command(&["workflow", id.trim()]).status.success());
}
