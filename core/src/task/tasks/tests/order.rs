//! The order of what waits: who is served next, and for how many others anybody waits.

use super::*;

fn urgent(key: &str, priority: Priority) -> Submit {
    Submit { priority, ..one(key, "x") }
}

fn keys(jobs: &[Job], count: usize) -> Vec<usize> {
    let known: Vec<SubmissionId> = (0..count).map(|key| id(&format!("{key}"))).collect();
    jobs.iter().map(|job| known.iter().position(|id| *id == job.task).unwrap()).collect()
}

#[test]
fn within_a_priority_whoever_became_ready_first_goes_first() {
    let mut shard = Shard::default();
    (0..40).for_each(|key| shard.add(one(&format!("{key}"), "x")));
    let given: Vec<usize> = (0..8).flat_map(|_| keys(&shard.claim(1, &["x"], 5), 40)).collect();
    assert_eq!(given, (0..40).collect::<Vec<_>>());
}

#[test]
fn of_sixteen_claims_one_serves_low_first_and_five_normal_first() {
    let mut shard = Shard::default();
    for key in 0..96 {
        shard.add(urgent(&format!("{key}"), Priority::ALL[key / 32]));
    }
    let given: Vec<Priority> = (0..32).map(|_| Priority::ALL[keys(&shard.claim(1, &["x"], 1), 96)[0] / 32]).collect();
    for round in given.chunks(16) {
        let count = |of: Priority| round.iter().filter(|it| **it == of).count();
        assert_eq!(Priority::ALL.map(count), [10, 5, 1]);
    }
}

/// Whenever it comes, and however many more urgent ones there are.
#[test]
fn nobody_waits_for_more_than_the_bound() {
    use Priority::{High, Low, Normal};
    // A bound that is far from what happens says nothing: the longest wait of all is met.
    for (priority, other, bound) in [(Low, Normal, 15), (Normal, Low, 3)] {
        let mut longest = 0;
        for offset in 0..16 {
            let mut shard = Shard::default();
            for key in 0..64 {
                shard.add(urgent(&format!("{key}"), if key % 2 == 0 { High } else { other }));
            }
            shard.claim(1, &["x"], offset);
            shard.add(urgent("it", priority));
            let waits = (0..32).position(|_| shard.take().task == id("it")).expect("it is served");
            longest = longest.max(waits);
        }
        assert_eq!(longest, bound, "{priority}");
    }
}

#[test]
fn a_flood_for_one_agent_delays_no_other_by_more_than_a_turn() {
    let mut shard = Shard::default();
    (0..1_000).for_each(|key| shard.add(one(&format!("{key}"), "flood")));
    shard.claim(1, &["flood", "y", "z"], 50);
    shard.add(one("y", "y"));
    shard.add(one("z", "z"));
    let given: Vec<String> =
        shard.claim(1, &["flood", "y", "z"], 4).iter().map(|job| job.agent.as_str().into()).collect();
    assert_eq!(given, ["y", "z", "flood", "flood"]);
}

#[test]
fn classes_take_turns_over_claims_and_workers() {
    let mut shard = Shard::default();
    for agent in ["x", "y", "z"] {
        (0..9).for_each(|key| shard.add(one(&format!("{agent}{key}"), agent)));
    }
    let mut served: Vec<String> = vec![];
    for turn in 0..9 {
        let jobs = shard.claim(turn % 3, &["z", "y", "x"], 3);
        served.extend(jobs.iter().map(|job| String::from(job.agent.as_str())));
    }
    assert_eq!(served.concat(), "xyz".repeat(9));
}

#[test]
fn how_many_are_in_front_is_shown() {
    let mut shard = Shard::default();
    for (key, priority) in [("0", Priority::Normal), ("1", Priority::Low), ("2", Priority::Normal)] {
        shard.add(urgent(key, priority));
    }
    let ahead = |shard: &Shard, key| match shard.step(key, 0).state {
        StepStatus::Ready { ahead, .. } => ahead,
        other => panic!("it is {other:?}"),
    };
    assert_eq!(["0", "1", "2"].map(|key| ahead(&shard, key)), [0, 0, 1]);
    shard.take();
    assert_eq!(ahead(&shard, "2"), 0);
}
