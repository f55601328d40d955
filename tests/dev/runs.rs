//! `relaymesh dev` itself: it starts, goes on, ends, and tells its story.

use crate::stage::{Mesh, Place, run, runs, said, until};
use serde_json::Value;
use std::path::Path;

#[test]
fn the_demo_survives_the_kill_and_leaves_nothing_behind() {
    let output = run(&["dev", "--demo", "-o", "json"]);
    assert!(output.status.success(), "{}", said(&output));
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let killed = format!("SIGKILL to node {}", outcome["killed"].as_str().unwrap());
    assert!(told.contains(&killed) && told.contains("each committed once"), "{told}");
    assert_eq!(outcome["report"].as_str().unwrap().lines().count(), 22, "{outcome}");
    let folder = told.split(", ").find(|part| part.starts_with("in ")).unwrap().trim_start_matches("in ");
    assert!(!Path::new(folder).exists(), "{folder} is still there");
}

#[test]
fn a_mesh_goes_on_with_its_data_where_it_was_and_none_of_its_processes_outlives_it() {
    let place = Place::new();
    let dir = place.0.join("a");
    let dir = dir.to_str().unwrap();
    let mut mesh = Mesh::start(&place.0);
    assert_eq!(mesh.pids().len(), 3);
    let submitted = run(&["submit", "--agent", "echo", "--input", "hello", "--key", "k", "--wait", "--dir", dir]);
    assert!(submitted.status.success() && said(&submitted).contains("succeeded"), "{}", said(&submitted));
    // A second one on the folder is refused, and changes nothing.
    let second = run(&["dev", "--dir", place.0.to_str().unwrap()]);
    assert!(second.status.code() == Some(1) && said(&second).contains("in use"), "{}", said(&second));
    // When it is killed, its nodes end by themselves,
    let (before, endpoints) = (mesh.pids(), mesh.endpoints());
    mesh.signal("KILL");
    mesh.process.wait().unwrap();
    until("the nodes end", || !before.iter().any(runs));
    // and started again it is the same mesh.
    let mut mesh = Mesh::start(&place.0);
    assert_eq!(mesh.endpoints(), endpoints);
    let tasks: Value = serde_json::from_slice(&run(&["tasks", "--dir", dir, "-o", "json"]).stdout).unwrap();
    assert_eq!((tasks.as_array().unwrap().len(), tasks[0]["status"].as_str()), (1, Some("succeeded")));
    // Ctrl-C is no failure.
    let nodes = mesh.pids();
    mesh.signal("INT");
    assert_eq!(mesh.process.wait().unwrap().code(), Some(0));
    assert!(!nodes.iter().any(runs));
}

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let place = Place::new();
    std::fs::create_dir(&place.0).unwrap();
    std::fs::write(place.0.join("letter"), "dear").unwrap();
    let output = run(&["dev", "--dir", place.0.to_str().unwrap()]);
    assert!(output.status.code() == Some(64) && said(&output).contains("something else"), "{}", said(&output));
    assert_eq!(std::fs::read_dir(&place.0).unwrap().count(), 1);
}
