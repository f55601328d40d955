//! A node that is killed takes its agents with it.

use crate::stage::{another, is_dead, job, pids, role, says, settings, until};
use relaymesh_io_tokio::agents::{Catalog, Runner};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use tempfile::tempdir;

const NODE: &str = "death::a_node_with_an_agent";
const SCRATCH: &str = "RM_TEST_SCRATCH";
const SAYS: &str = "agent and child: ";

/// An agent that ignores SIGTERM, with a child that does, too.
const AGENT: &str = r"
    [[agent]]
    name = 'it'
    command = 'sh'
    args = ['-c', '''trap '' TERM; sleep 1000 & printf 'progress: 1 %s %s\n' $$ $! >&2; while :; do wait; done''']
";

#[tokio::test]
#[ignore = "another process of the story below"]
async fn a_node_with_an_agent() {
    if role().is_none() {
        return;
    }
    let scratch = std::env::var_os(SCRATCH).unwrap();
    let runner = Runner::new(Catalog::parse(AGENT).unwrap(), settings(Path::new(&scratch))).unwrap();
    let mut run = runner.run(job("it", 1, "")).unwrap();
    println!("{SAYS}{}", says(&mut run).await);
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn nothing_of_an_agent_outlives_a_node_that_is_killed() {
    let scratch = tempdir().unwrap();
    let mut command = another(NODE, "node");
    let mut node = command.env(SCRATCH, scratch.path()).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(node.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said = lines.filter_map(|line| line.split_once(SAYS).map(|(_, said)| said.to_owned())).next();
    let processes = pids(&said.expect("the node says what runs"));
    assert!(processes.len() == 2 && !processes.iter().any(|pid| is_dead(*pid)));
    assert_eq!(scratch.path().read_dir().unwrap().count(), 1);

    node.kill().unwrap();
    node.wait().unwrap();
    until(|| processes.iter().all(|pid| is_dead(*pid))).await;
    until(|| scratch.path().read_dir().unwrap().count() == 0).await;
}
