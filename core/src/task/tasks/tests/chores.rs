//! Rule T13: what takes many steps is done piece by piece, and other commands come in between.

use super::random::{KEYS, World, act};
use super::*;
use proptest::collection::vec as many;
use proptest::prelude::*;

#[test]
fn a_workflow_of_a_thousand_steps_is_cancelled_piece_by_piece() {
    let mut shard = Shard::default();
    let steps: Vec<String> = (0..1_000).map(|at| step(&format!("s{at}"), "")).collect();
    shard.add(flow("1", &steps.join(",")));
    shard.cancel("1", CancelMode::Soft);
    assert_eq!(shard.tasks.next_due(shard.now), Some(wall(0)), "there is work");
    let mut ready = vec![];
    while shard.due() != no_more() {
        ready.push(shard.counts().ready);
    }
    assert_eq!(ready.len(), 3);
    assert!(ready.is_sorted_by(|one, next| *one - *next <= 256 && one > next), "{ready:?}");
    assert_eq!((shard.status("1"), shard.counts().ready), (Status::Cancelled, 0));
    assert_eq!(shard.tasks.next_due(shard.now), Some(wall(0).saturating_add(super::super::RETENTION)));
}

#[test]
fn many_that_are_due_at_once_become_so_piece_by_piece_in_order() {
    let mut shard = Shard::default();
    for key in 0..600u64 {
        shard.add(Submit { not_before: Some(wall(1_000 - key)), ..one(&format!("{key}"), "x") });
    }
    shard.at(2_000);
    let mut ready = vec![];
    while shard.due() == (Answer::Done { has_more: true }) {
        ready.push(shard.counts().ready);
    }
    assert_eq!((ready.as_slice(), shard.counts().ready), (&[256, 512][..], 600));
    let first: Vec<SubmissionId> = shard.claim(1, &["x"], 3).iter().map(|job| job.task).collect();
    assert_eq!(first, ["599", "598", "597"].map(id), "who was due first is ready first");
}

#[test]
fn a_purge_of_much_goes_piece_by_piece_and_the_name_is_known_to_the_end() {
    let mut shard = Shard::default();
    let steps: Vec<String> = (0..1_000).map(|at| step(&format!("s{at}"), "")).collect();
    shard.add(flow("1", &steps.join(",")));
    shard.cancel("1", CancelMode::Soft);
    shard.drain();
    shard.apply(&Command::Purge { before: wall(1) });
    let mut left = vec![];
    while shard.due() == (Answer::Done { has_more: true }) {
        left.push(shard.counts().steps);
        assert!(matches!(shard.submit(one("1", "x")), Answer::Submitted { is_known: true, .. }));
    }
    assert!(left.len() >= 3 && left.is_sorted_by(|one, next| *one - *next <= 256 && one > next), "{left:?}");
    assert_eq!((shard.counts().steps, shard.counts().tasks), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Chores are left lying for as long as anybody pleases; rows and what follows from them agree after each command
    /// (`Shard::apply`), and everything comes to an end when all that is given out succeeds and nobody is paused.
    #[test]
    fn everything_comes_to_an_end(acts in many(act(), 0..80)) {
        let mut world = World::new();
        for (later, act) in &acts {
            let command = world.command(*later, act);
            let answer = world.shard.apply(&command);
            world.remember(&answer);
        }
        let shard = &mut world.shard;
        for number in 0..3 {
            shard.end(number, u64::MAX, Ended::Gone);
        }
        for agent in [None, Some("x"), Some("y"), Some("z")] {
            shard.apply(&Command::Pause { agent: agent.map(name), is_paused: false });
        }
        let far = shard.now.as_unix_nanos() / 1_000_000_000 + 100_000;
        for round in 0..200 {
            shard.at(far + 100 * round).drain();
            if shard.counts().ended == shard.counts().tasks {
                break;
            }
            for (key, step) in (0..KEYS).flat_map(|key| (0..8).map(move |step| (key, step))) {
                shard.decide(&format!("{key}"), &format!("s{step}"), true);
            }
            let mut claim = shard.next_claim(9, &["x", "y", "z"], 99);
            claim.labels = labels(&[("gpu", "yes")]);
            for job in shard.claim_as(claim) {
                let counts: Vec<(u16, u32)> = job.lists.iter().map(|(step, _)| (step.0, 2)).collect();
                shard.report(&job, listed(&counts));
            }
        }
        let counts = shard.counts();
        prop_assert_eq!((counts.ready, counts.running, counts.delayed, counts.chores), (0, 0, 0, 0));
        prop_assert_eq!(counts.ended, counts.tasks, "what cannot go on has ended");
    }
}
