//! A key of the cluster is replaced while its nodes run.

use crate::stage::{FirstKey, Mesh, Node, until};
use std::fs;

/// Runs `keys` with these words until the node does not refuse it any more, and returns what it printed.
async fn keys(node: &Node, words: &[&str]) -> String {
    let done = until(
        || async { Some(node.command(&["keys"], words)).filter(|done| done.status.success()) },
        || format!("{words:?}: {}", String::from_utf8_lossy(&node.command(&["keys"], words).stderr)),
    );
    String::from_utf8(done.await.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn one_key_replaces_another_and_the_old_one_opens_nothing_any_more() {
    let mut mesh = Mesh::of(3).await;
    let (old_file, new_file) = (mesh.0[0].folder().join("old-key"), mesh.0[0].folder().join("new-key"));
    fs::copy(mesh.0[0].keyring(), &old_file).unwrap();
    fs::write(&new_file, keys(&mesh.0[0], &["new"]).await).unwrap();
    let old = mesh.0[0].itself().await.description.unwrap().keys.sealing().unwrap();

    let mut new = String::new();
    for node in &mesh.0 {
        new = keys(node, &["install", new_file.to_str().unwrap()]).await;
    }
    for node in &mesh.0 {
        keys(node, &["use", &new]).await;
    }
    for node in &mesh.0 {
        keys(node, &["remove", &old.to_string()]).await;
    }
    until(
        || async {
            let view = mesh.all_alive().await;
            let only = |it: &relaymesh_core::membership::MemberView| {
                it.description.as_ref().is_some_and(|it| it.keys.iter().map(|key| key.to_string()).eq([new.clone()]))
            };
            view.values().all(only).then_some(())
        },
        || format!("{new} is everyone's only key"),
    )
    .await;

    mesh.0[1].kill();
    mesh.restart(1).await;
    mesh.all_alive().await;

    let late = Node::start("late", "local", FirstKey::File(&old_file), &mesh.seeds()).await;
    mesh.add("timely", "local").await;
    mesh.all_alive().await;
    let known: Vec<String> = late.view().await.unwrap().into_keys().collect();
    assert_eq!(known, [late.id()], "the old key opens nothing");
}

#[tokio::test]
async fn a_key_that_is_not_everywhere_is_not_used_and_one_in_use_is_not_removed() {
    let mesh = Mesh::of(3).await;
    let file = mesh.0[0].folder().join("new-key");
    fs::write(&file, keys(&mesh.0[0], &["new"]).await).unwrap();
    let new = keys(&mesh.0[0], &["install", file.to_str().unwrap()]).await;
    let old = mesh.0[0].itself().await.description.unwrap().keys.sealing().unwrap().to_string();
    for words in [["use", &new], ["remove", &old]] {
        let refused = mesh.0[0].command(&["keys"], &words);
        assert!(!refused.status.success(), "{words:?}");
    }
    mesh.all_alive().await;
}
