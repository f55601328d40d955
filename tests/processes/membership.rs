//! Who is there, as the processes of a mesh see it.

use crate::stage::{FirstKey, Mesh, Node, until};
use relaymesh_core::membership::Status::{Alive, Dead, Left};
use serde_json::Value;

#[tokio::test]
async fn three_join_and_the_command_line_shows_the_same_at_each() {
    let mesh = Mesh::of(3).await;
    let shown = |node: &Node| {
        let rows: Value = serde_json::from_slice(&node.command(&["members", "-o", "json"], &[]).stdout).unwrap();
        let part = |row: &Value| ["id", "name", "status", "endpoint", "keys"].map(|key| row[key].clone());
        rows.as_array().unwrap().iter().map(part).collect::<Vec<_>>()
    };
    let rows = mesh.0.iter().map(shown).collect::<Vec<_>>();
    assert!(rows.iter().all(|of_one| *of_one == rows[0]), "{rows:?}");
    for (row, node) in rows[0].iter().zip(&mesh.0) {
        assert_eq!((row[0].as_str(), row[2].as_str()), (Some(node.id()), Some("alive")));
        assert_eq!(row[3].as_str(), Some(&*node.endpoint()));
    }
}

#[tokio::test]
async fn one_that_is_killed_is_dead_and_after_its_restart_alive_with_a_higher_incarnation() {
    let mut mesh = Mesh::of(3).await;
    mesh.0[1].kill();
    let before = mesh.agree(&[0, 2], &[(1, Dead)]).await[mesh.0[1].id()].incarnation;
    mesh.restart(1).await;
    let after = mesh.all_alive().await[mesh.0[1].id()].incarnation;
    assert!(after > before, "{after:?} after {before:?}");
}

#[tokio::test]
async fn one_started_again_where_it_was_is_found_without_a_seed() {
    let mut mesh = Mesh::of(3).await;
    mesh.0[2].kill();
    mesh.agree(&[0, 1], &[(2, Dead)]).await;
    mesh.0[2].restart_in_place().await;
    mesh.all_alive().await;
}

#[tokio::test]
async fn one_started_again_before_anyone_noticed_is_alive_where_it_is_now() {
    let mut mesh = Mesh::of(3).await;
    mesh.0[0].kill();
    mesh.restart(0).await;
    let view = mesh.all_alive().await;
    let description = view[mesh.0[0].id()].description.clone().unwrap();
    assert_eq!(description.endpoint.to_string(), mesh.0[0].endpoint());
}

/// Timing of a site: a busy machine alone makes nobody a suspect.
#[tokio::test]
async fn one_that_was_stopped_is_alive_when_it_goes_on_and_has_accused_nobody() {
    let mesh = Mesh::with_profile(3, "lan").await;
    let before = mesh.all_alive().await;
    mesh.0[2].signal("STOP");
    mesh.agree(&[0, 1], &[(2, Dead)]).await;
    mesh.0[2].signal("CONT");
    let own = until(|| mesh.0[2].view(), || "it answers again".into()).await;
    let after = mesh.all_alive().await;
    for other in &mesh.0[..2] {
        assert_ne!(own[other.id()].status, Dead, "it slept, not the others");
        // Whoever is suspected refutes it with a new incarnation.
        assert_eq!(after[other.id()].incarnation, before[other.id()].incarnation, "{} was accused", other.id());
    }
    assert!(after[mesh.0[2].id()].incarnation > before[mesh.0[2].id()].incarnation, "it refuted its death");
}

#[tokio::test]
async fn one_that_is_told_to_end_has_left_and_may_come_back() {
    let mut mesh = Mesh::of(3).await;
    let (code, said) = mesh.0[1].terminate().await;
    assert_eq!((code, said.as_str()), (Some(0), "left the mesh\n"));
    mesh.agree(&[0, 2], &[(1, Left)]).await;
    mesh.restart(1).await;
    mesh.all_alive().await;
}

#[tokio::test]
async fn one_that_left_by_command_is_gone_for_all_and_for_itself() {
    let mesh = Mesh::of(3).await;
    assert!(mesh.0[2].command(&["leave"], &[]).status.success());
    mesh.agree(&[0, 1], &[(2, Left)]).await;
    assert_eq!(mesh.0[2].itself().await.status, Left);
}

#[tokio::test]
async fn two_of_five_die_at_once_and_come_back() {
    let mut mesh = Mesh::of(5).await;
    mesh.0[0].kill();
    mesh.0[3].kill();
    mesh.agree(&[1, 2, 4], &[(0, Dead), (3, Dead)]).await;
    mesh.restart(0).await;
    mesh.restart(3).await;
    mesh.all_alive().await;
}

#[tokio::test]
async fn all_die_at_once_and_find_one_another_again() {
    let mut mesh = Mesh::of(3).await;
    mesh.0.iter_mut().for_each(Node::kill);
    for at in 0..3 {
        mesh.restart(at).await;
    }
    mesh.all_alive().await;
}

#[tokio::test]
async fn a_stranger_is_in_nobodys_view() {
    let mut mesh = Mesh::of(3).await;
    let stranger = Node::start("stranger", "local", FirstKey::New, &mesh.seeds()).await;
    // It knocks for as long as it takes to notice a death and a birth.
    mesh.0[1].kill();
    mesh.agree(&[0, 2], &[(1, Dead)]).await;
    mesh.restart(1).await;
    mesh.all_alive().await;
    let known: Vec<String> = stranger.view().await.unwrap().into_keys().collect();
    assert_eq!(known, [stranger.id()]);
}

#[tokio::test]
async fn one_that_lost_its_store_comes_back_under_its_id_with_another_store() {
    let mut mesh = Mesh::of(3).await;
    let before = mesh.0[2].itself().await;
    mesh.0[2].kill();
    mesh.agree(&[0, 1], &[(2, Dead)]).await;
    std::fs::remove_dir_all(mesh.0[2].folder().join("store")).unwrap();
    mesh.restart(2).await;
    let view = mesh.all_alive().await;
    let after = &view[mesh.0[2].id()];
    assert!(after.incarnation > before.incarnation, "{:?} after {:?}", after.incarnation, before.incarnation);
    let store = |member: &relaymesh_core::membership::MemberView| member.description.as_ref().unwrap().store;
    assert_ne!(store(after), store(&before));
    assert_eq!(after.status, Alive);
}
