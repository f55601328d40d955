//! What is told of agents and workers, and policies that cannot be.

use super::*;
use crate::task::command::Policy;
use crate::task::view::AgentView;
use crate::task::workflow::Retry;
use alloc::string::ToString;

fn agents(shard: &Shard) -> Vec<AgentView> {
    let (mut found, mut after) = (vec![], None);
    loop {
        let Answer::Agents { agents, next, .. } = shard.read(&Query::Agents { after }) else { panic!("agents") };
        assert!(agents.len() <= 64);
        found.extend(agents);
        after = next;
        if after.is_none() {
            return found;
        }
    }
}

#[test]
fn agents_are_told_with_what_waits_for_them_page_by_page() {
    let mut shard = Shard::default();
    for number in 0..100 {
        shard.add(one(&format!("{number}"), &format!("x{number:03}")));
    }
    shard.add(one("again", "x007"));
    shard.apply(&Command::Pause { agent: Some(name("x099")), is_paused: true });
    shard.apply(&Command::Pause { agent: Some(name("y")), is_paused: true });
    let told = agents(&shard);
    let names: Vec<String> = told.iter().map(|row| row.agent.to_string()).collect();
    assert_eq!((names.len(), names.is_sorted(), &*names[100]), (101, true, "y"));
    assert_eq!((told[7].ready, told[7].steps, told[8].ready), (2, 2, 1));
    assert_eq!(told.iter().filter(|row| row.is_paused).count(), 2);
}

#[test]
fn workers_that_have_a_claim_are_told_with_what_they_run() {
    let mut shard = Shard::default();
    for (key, agent) in [("1", "x"), ("2", "x"), ("3", "y")] {
        shard.add(one(key, agent));
    }
    shard.claim(1, &["x"], 9);
    shard.claim(2, &["y"], 9);
    let Answer::Workers { workers, next } = shard.read(&Query::Workers { after: None }) else { panic!("workers") };
    let running: Vec<_> = workers.iter().map(|row| row.running.clone()).collect();
    assert_eq!((running, next), (vec![vec![(name("x"), 2)], vec![(name("y"), 1)]], None));
    let behind = shard.read(&Query::Workers { after: Some(workers[0].worker) });
    assert_eq!(behind, Answer::Workers { workers: vec![workers[1].clone()], next: None });
}

#[test]
fn a_policy_beyond_the_bounds_of_a_step_is_refused_and_changes_nothing() {
    let mut shard = Shard::default();
    let retry = |attempts_max, base, max| Retry {
        attempts_max,
        base: Duration::from_millis(base),
        max: Duration::from_millis(max),
    };
    let good = Policy { retry: Some(retry(100, 1, 1)), timeout: Some(Duration::from_millis(1)) };
    let set = |policy: &Policy| Command::Policy { agent: name("x"), policy: Some(policy.clone()) };
    assert_eq!(shard.apply(&set(&good)), no_more());
    let before = shard.tasks.clone();
    for (retry, timeout) in [
        (Some(retry(0, 1, 1)), None),
        (Some(retry(101, 1, 1)), None),
        (Some(retry(1, 2, 1)), None),
        (Some(retry(1, 1, 31_622_400_001)), None),
        (None, Some(Duration::ZERO)),
        (None, Some(Duration::from_nanos(1))),
        (None, Some(Duration::from_nanos(u64::MAX))),
    ] {
        let bad = Policy { retry, timeout };
        let answer = shard.apply(&set(&bad));
        assert!(matches!(answer, Answer::Refused(Refusal::Attempts(_))), "{bad:?}: {answer:?}");
        assert_eq!(shard.tasks, before);
    }
}
