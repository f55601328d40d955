//! The control group between processes: founded, led, fenced, and what a `kill -9` changes.

use crate::stage::{Mesh, Node, until};
use serde_json::Value;
use std::process::Output;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs it until it succeeds, and says what it printed.
pub(crate) async fn done(node: &Node, words: &[&str], rest: &[&str]) -> String {
    let last = std::cell::RefCell::new(String::new());
    until(
        || async {
            let output = node.command(words, rest);
            last.replace(String::from_utf8_lossy(&output.stderr).into());
            output.status.success().then(|| said(&output))
        },
        || format!("{words:?} {rest:?}: {}", last.borrow()),
    )
    .await
}

fn json(node: &Node, words: &[&str]) -> Option<Value> {
    let output = node.command(words, &["-o", "json"]);
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
}

/// Three nodes of which all vote.
async fn founded() -> Mesh {
    let mesh = Mesh::of(3).await;
    done(&mesh.0[0], &["cluster-init"], &["--with", "n1", "--with", "n2"]).await;
    mesh
}

/// All three want the scope; which of `among` holds it, as all of them say, and under which token.
async fn held(mesh: &Mesh, scope: &str, among: &[usize]) -> (usize, String) {
    for at in among {
        done(&mesh.0[*at], &["mesh", "leaders", "hold", scope], &[]).await;
    }
    holder(mesh, scope, among).await
}

async fn holder(mesh: &Mesh, scope: &str, among: &[usize]) -> (usize, String) {
    until(
        || async {
            let rows = among.iter().map(|at| {
                let rows = json(&mesh.0[*at], &["mesh", "leaders", "status"])?;
                rows.as_array().unwrap().iter().find(|row| row["scope"] == scope).cloned()
            });
            let rows = rows.collect::<Option<Vec<Value>>>()?;
            let leader = rows[0]["leaderId"].as_str()?;
            let at = among.iter().copied().find(|at| mesh.0[*at].id() == leader)?;
            let token = mesh.0[at].command(&["mesh", "leaders", "act", scope], &[]);
            let are_of_one_mind = rows.iter().all(|row| row == &rows[0]);
            (token.status.success() && are_of_one_mind).then(|| (at, said(&token)))
        },
        || format!("somebody of {among:?} holds {scope}"),
    )
    .await
}

fn number(token: &str) -> (u64, u64) {
    let (cluster, lease) = token.split_once('.').unwrap();
    (cluster.parse().unwrap(), lease.parse().unwrap())
}

#[tokio::test]
async fn three_found_a_group_and_one_at_a_time_may_act() {
    let mesh = founded().await;
    let state = json(&mesh.0[0], &["cluster-state"]).unwrap();
    assert_eq!((state["epoch"].as_u64(), state["voters"].as_array().unwrap().len()), (Some(1), 3));
    let (holder, _) = held(&mesh, "nightly", &[0, 1, 2]).await;
    for other in (0..3).filter(|at| *at != holder) {
        let output = mesh.0[other].command(&["mesh", "leaders", "act", "nightly"], &[]);
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && problem.contains("does not hold"), "{problem}");
    }
    let again = mesh.0[1].command(&["cluster-init"], &[]);
    assert_eq!(again.status.code(), Some(1), "it belongs to a group already");
}

#[tokio::test]
async fn when_the_holder_is_killed_another_holds_and_the_stale_token_is_refused() {
    let mut mesh = founded().await;
    let (first, stale) = held(&mesh, "global", &[0, 1, 2]).await;
    mesh.0[first].kill();
    let others: Vec<usize> = (0..3).filter(|at| *at != first).collect();
    let (second, token) = holder(&mesh, "global", &others).await;
    assert!(number(&token) > number(&stale), "{token} after {stale}");
    // Given a resource that the new holder has written to,
    let resource = &mesh.0[others[usize::from(others[0] == second)]];
    let accept = |token: &str, at: usize| {
        let rest = ["--scope", "global", "--token", token, "--writer", mesh.0[at].id()];
        resource.command(&["lease-accept"], &rest)
    };
    assert!(accept(&token, second).status.success());
    // When the former one comes late,
    let late = accept(&stale, first);
    // Then it is refused, and that is on record.
    let problem = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(late.status.code() == Some(1) && problem.contains(&stale) && problem.contains(&token), "{problem}");
    let conflicts = json(resource, &["lease-conflicts"]).unwrap();
    let row = &conflicts["conflicts"][0];
    assert_eq!(
        [&row["scope"], &row["expected"], &row["actual"], &row["who"]],
        ["global", &token, &stale, &format!("n{first}")]
    );
    mesh.restart(first).await;
    let (still, same) = held(&mesh, "global", &[0, 1, 2]).await;
    assert_eq!((still, same), (second, token));
}

#[tokio::test]
async fn a_bump_of_the_epoch_asked_of_any_member_gives_every_holder_a_newer_token() {
    let mesh = founded().await;
    let (holder, before) = held(&mesh, "nightly", &[0, 1, 2]).await;
    for (at, epoch) in [(1, "2"), (2, "3")] {
        let bumped = done(&mesh.0[at], &["cluster-epoch-bump"], &["--reason", "a test"]).await;
        assert_eq!(bumped, epoch);
    }
    let after = said(&mesh.0[holder].command(&["mesh", "leaders", "act", "nightly"], &[]));
    assert!(number(&after) > number(&before) && after.starts_with("3."), "{after} after {before}");
    let stale = mesh.0[0].command(&["cluster-epoch-bump"], &["--reason", "a test", "--expected", "1"]);
    assert_eq!(stale.status.code(), Some(1), "{}", String::from_utf8_lossy(&stale.stderr));
}

#[tokio::test]
async fn a_scope_is_handed_over_and_a_voter_replaced_while_everything_runs() {
    let mut mesh = founded().await;
    let (first, before) = held(&mesh, "nightly", &[0, 1, 2]).await;
    let to = (first + 1) % 3;
    done(&mesh.0[first], &["mesh", "leaders", "transfer", "nightly"], &["--to", mesh.0[to].id()]).await;
    until(
        || async {
            let (at, token) = holder(&mesh, "nightly", &[0, 1, 2]).await;
            (at == to && number(&token) > number(&before)).then_some(())
        },
        || "the other one holds it".into(),
    )
    .await;
    mesh.add("n3", "local").await;
    mesh.all_alive().await;
    done(&mesh.0[0], &["cluster-voters"], &["--add", "n3", "--remove", "n2"]).await;
    let state = json(&mesh.0[3], &["cluster-state"]).unwrap();
    let voters: Vec<&str> = state["voters"].as_array().unwrap().iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!((voters.len(), voters.contains(&"n3"), voters.contains(&"n2")), (3, true, false), "{voters:?}");
    let unknown = mesh.0[0].command(&["cluster-voters"], &["--add", "n33"]);
    let problem = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(unknown.status.code() == Some(1) && problem.contains("did you mean"), "{problem}");
}

#[tokio::test]
async fn a_group_whose_quorum_is_lost_goes_on_where_an_operator_says_so() {
    let mut mesh = Mesh::of(3).await;
    done(&mesh.0[0], &["cluster-init"], &["--with", "n1", "--with", "n2", "--span-max", "3s"]).await;
    let (_, before) = held(&mesh, "nightly", &[0, 1]).await;
    let file = mesh.0[2].folder().join("backup");
    let backup = file.to_str().unwrap();
    done(&mesh.0[2], &["cluster-backup"], &["--to", backup]).await;
    let words = ["cluster-recover"];
    let refused = mesh.0[2].command(&words, &["--quorum-is-lost", "--reason", "a test"]);
    let problem = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && problem.contains("leads the control group"), "{problem}");
    // Given two of three voters that are lost,
    mesh.0[0].kill();
    mesh.0[1].kill();
    // When an operator lets the third one go on,
    let epoch = done(&mesh.0[2], &words, &["--quorum-is-lost", "--reason", "a test"]).await;
    assert_eq!(epoch, "2");
    // Then it grants again, under a token above all before,
    let (_, after) = held(&mesh, "nightly", &[2]).await;
    assert!(number(&after) > number(&before), "{after} after {before}");
    // and the two follow when they come back, and can be voters again.
    mesh.restart(0).await;
    mesh.restart(1).await;
    until(
        || async {
            let epochs = [0, 1].map(|at| json(&mesh.0[at], &["cluster-state"]).and_then(|it| it["epoch"].as_u64()));
            (epochs == [Some(2), Some(2)]).then_some(())
        },
        || "both follow the new history".into(),
    )
    .await;
    done(&mesh.0[2], &["cluster-voters"], &["--add", "n0", "--add", "n1"]).await;
    // A backup that is none changes nothing.
    std::fs::write(&file, "no backup").unwrap();
    let refused = mesh.0[2].command(&words, &["--quorum-is-lost", "--reason", "a test", "--backup", backup]);
    let problem = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && problem.contains("is no backup"), "{problem}");
}

#[tokio::test]
async fn a_backup_begins_a_history_in_another_mesh() {
    let one = Mesh::of(1).await;
    done(&one.0[0], &["cluster-init"], &["--span-max", "3s"]).await;
    held(&one, "nightly", &[0]).await;
    let file = one.0[0].folder().join("backup");
    let backup = file.to_str().unwrap();
    done(&one.0[0], &["cluster-backup"], &["--to", backup]).await;
    let other = Mesh::of(1).await;
    let rest = ["--quorum-is-lost", "--reason", "a test", "--backup", backup, "--above", "6"];
    assert_eq!(done(&other.0[0], &["cluster-recover"], &rest).await, "7");
    let (_, token) = held(&other, "nightly", &[0]).await;
    assert!(token.starts_with("7."), "{token}");
}
