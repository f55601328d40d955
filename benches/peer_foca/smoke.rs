//! That the drivers do neither contender wrong, and that what measures can see what it is there for.

use crate::ours;
use crate::schedule::Schedule;
use crate::theirs::{Settings, run};
use std::time::Duration;

const NODES: u32 = 12;
const SETTINGS: Settings = Settings { metadata: true, suspicion: Some(Duration::from_secs(4)), transmissions: None };

pub(crate) fn test() {
    without_faults_all_join_and_nobody_is_suspected();
    a_crash_is_detected_after_probe_and_suspicion_and_by_all();
    whom_loss_brings_under_suspicion_refutes_it();
    a_node_cut_off_for_longer_is_declared_dead_and_comes_back();
    a_run_follows_from_its_seed();
    the_mesh_goes_through_the_same_schedule();
    what_the_mesh_does_wrong_is_seen();
    ours::what_checkers_find_is_kept();
}

fn cut(from: &str, lasts: &str) -> String {
    format!("[[fault]]\nkind = \"partition\"\nnodes = [3]\nat = \"{from}\"\nlasts = \"{lasts}\"\n")
}

fn without_faults_all_join_and_nobody_is_suspected() {
    for nodes in [2, NODES, 60] {
        let (figures, tally) = run(&Schedule::of(nodes, "", 1), SETTINGS);
        // An update is sent so many times and no more; whom it did not reach meets the newcomer by a probe.
        assert!(figures.formed.is_some(), "{nodes} nodes: {figures:?}");
        assert_eq!((tally.suspicions, tally.rejoins, figures.false_deaths, figures.apart_at_end), (0, 0, 0, 0));
    }
}

fn a_crash_is_detected_after_probe_and_suspicion_and_by_all() {
    for seed in 0..10 {
        let (figures, tally) = run(&Schedule::new(NODES, "0%", seed), SETTINGS);
        assert_eq!(figures.detections.len(), 4);
        for detection in &figures.detections {
            let (first, all) = (detection.first.expect("is detected"), detection.all.expect("by all"));
            // A probe lasts a second and the suspicion four, less what a ping under way at the crash takes; how long the
            // first probe after the crash is in coming is a matter of chance.
            assert!((4.98..20.0).contains(&first), "seed {seed}: {detection:?}");
            // Who is not told in time (an update is sent so many times and no more) finds out by a probe of its own.
            assert!(first <= all && all < 5.0 + 2.0 * f64::from(NODES), "seed {seed}: {detection:?}");
            assert_eq!((detection.missed, detection.unaware), (0, 0));
        }
        assert!(tally.suspicions_of_dead >= 4, "seed {seed}: {tally:?}");
        assert_eq!((tally.suspicions, figures.false_deaths), (0, 0), "seed {seed}");
    }
}

fn whom_loss_brings_under_suspicion_refutes_it() {
    let settings = Settings { suspicion: None, ..SETTINGS };
    let (mut suspicions, mut refuted, mut rejoins) = (0, 0, 0);
    for seed in 0..5 {
        let (figures, tally) = run(&Schedule::new(60, "5%", seed), settings);
        assert_eq!((figures.false_deaths, figures.apart_at_end), (0, 0), "seed {seed}: {tally:?}");
        suspicions += tally.suspicions;
        refuted += tally.refuted;
        rejoins += tally.rejoins;
    }
    // Those under suspicion when the run ends, or when they crash, have neither refuted it nor died of it.
    assert!(refuted > 10 && suspicions - refuted < 5, "{suspicions} suspicions, {refuted} refuted");
    // That foca 2.0.0 tells a suspect that it is down even after it has refuted the suspicion (`ChangeSuspectToDown`
    // sends `TurnUndead` whatever the incarnation) is not of our making, and no false death: nobody declares it down.
    assert!((1..=refuted).contains(&rejoins), "{rejoins} rejoins after {refuted} refuted suspicions");
}

fn a_node_cut_off_for_longer_is_declared_dead_and_comes_back() {
    let (figures, tally) = run(&Schedule::of(NODES, &cut("40s", "30s"), 1), SETTINGS);
    // The others hold it dead, and it holds them dead.
    assert!(figures.false_deaths >= 2 * u64::from(NODES - 1), "{figures:?}");
    assert_eq!(figures.falsely_dead, u64::from(NODES), "{figures:?}");
    assert!(tally.rejoins > 0, "{tally:?}");
    assert_eq!(figures.apart_at_end, 0, "{figures:?}");
}

fn a_run_follows_from_its_seed() {
    let figures = |seed| run(&Schedule::new(NODES, "5%", seed), SETTINGS).0;
    assert_eq!(figures(1), figures(1));
    assert_ne!(figures(1), figures(2));
}

fn the_mesh_goes_through_the_same_schedule() {
    for seed in 0..3 {
        let ours::Run { figures, violations } = ours::run(&Schedule::new(NODES, "1%", seed));
        assert_eq!(violations, [], "seed {seed}");
        assert!(figures.formed.is_some(), "seed {seed}: {figures:?}");
        assert_eq!((figures.detections.len(), figures.false_deaths, figures.apart_at_end), (4, 0, 0), "seed {seed}");
        for detection in &figures.detections {
            // No suspicion is shorter than 1.8 s, and a probe of a dead node takes its time, too.
            assert!(detection.first.expect("is detected") > 1.8, "seed {seed}: {detection:?}");
            assert!(detection.all.is_some(), "seed {seed}: {detection:?}");
            assert_eq!((detection.missed, detection.unaware), (0, 0), "seed {seed}");
        }
        assert!(figures.forming.bytes > 0.0 && figures.steady.bytes > 0.0, "seed {seed}: {figures:?}");
    }
    let figures = |seed| ours::run(&Schedule::new(NODES, "5%", seed)).figures;
    assert_eq!(figures(1), figures(1));
    assert_ne!(figures(1), figures(2));
}

fn what_the_mesh_does_wrong_is_seen() {
    // Nobody can tell a node that was cut off from one that has crashed.
    let ours::Run { figures, .. } = ours::run(&Schedule::of(NODES, &cut("40s", "30s"), 1));
    // All others hold it dead; itself, it doubts its own link and is slower to accuse.
    assert!(figures.false_deaths >= u64::from(NODES - 1), "{figures:?}");
    assert!(figures.falsely_dead > 0 && figures.suspicions > 0, "{figures:?}");
    assert_eq!(figures.apart_at_end, 0, "{figures:?}");
}
