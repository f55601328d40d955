//! Every fault the world knows has a consequence that is counted: one small story each.

use relaymesh_sim::example::Example;
use relaymesh_sim::scenario::{FaultKind, parse};
use relaymesh_sim::world::{Options, Report, Verdict, run};

/// Runs a small mesh that suffers one fault, over a few seeds, until the fault has fired.
fn suffers(fault: &str) -> Report {
    let text = format!(
        r#"
name = "one-fault"
about = "One fault."
nodes = 3

[phases]
safety = "600ms"
liveness = "2s"

[disk]
sync = "2ms..10ms"

[network]
queue_bytes = 1024

[journal]
think = "0s..2ms"

[objects]
clients = 4

[echo]
pause = "2ms"

[expect]
excuses_max = 3

[[fault]]
at = "100ms..300ms"
{fault}
"#
    );
    let scenario = parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let name = scenario.faults[0].kind.name();
    let reports = (0..20).map(|seed| run::<Example>(&scenario, seed, Options::default()));
    let fired = reports.inspect(|report| assert_eq!(report.verdict, Verdict::Held, "{:?}", report.violations));
    let mut fired = fired.filter(|report| report.faults[name] > 0);
    fired.next().unwrap_or_else(|| panic!("{name} has never fired"))
}

/// The fault of each kind, at its most telling.
fn story_of(kind: FaultKind) -> String {
    let parameters = match kind {
        FaultKind::Loss | FaultKind::Duplicate | FaultKind::Corrupt => "share = \"30%\"",
        FaultKind::Intrude => "share = \"30%\"",
        FaultKind::Reorder | FaultKind::Replay => "share = \"30%\"\namount = \"30ms\"",
        FaultKind::FlipFlop => "amount = \"20ms\"",
        FaultKind::Delay | FaultKind::SlowNode => "amount = \"1ms\"",
        FaultKind::Bandwidth => "value = 100",
        FaultKind::Partial => "share = \"100%\"",
        FaultKind::ClockStep => "amount = \"1h\"",
        FaultKind::ClockRate | FaultKind::WallRate => "rate = \"10%\"",
        FaultKind::Suspend => "counted = false",
        FaultKind::Version | FaultKind::KeyInstall => "value = 1",
        FaultKind::SlowDisk => "value = 10",
        FaultKind::FailingWrites | FaultKind::FailingSyncs | FaultKind::CorruptReads => "share = \"20%\"",
        FaultKind::RotObjects => "share = \"50%\"",
        _ => "",
    };
    let at_once =
        matches!(kind, FaultKind::ClockStep | FaultKind::BitRot | FaultKind::RotObjects | FaultKind::KeyInstall);
    let lasts = if at_once { "" } else { "lasts = \"250ms\"" };
    format!("kind = \"{}\"\nnodes = 2\n{lasts}\n{parameters}\n", kind.name())
}

#[test]
fn every_fault_fires_and_is_survived() {
    // Only the mesh has nodes that come late, and streams.
    for kind in FaultKind::ALL.iter().filter(|kind| !matches!(kind, FaultKind::Join | FaultKind::NoStreams)) {
        suffers(&story_of(*kind));
    }
}

#[test]
fn a_power_loss_loses_and_tears_unsynced_writes() {
    let report = suffers("kind = \"crash\"\nnodes = \"all\"\nlasts = \"1ms\"\ntimes = 20");
    assert!(report.faults["lost_unsynced"] > 0);
    assert!(report.faults["torn_write"] > 0);
}

#[test]
fn one_seed_gives_one_trace_and_another_seed_another() {
    let text = include_str!("../../scenarios/swarm.toml");
    let scenario = parse(text).unwrap();
    let hash = |seed| run::<Example>(&scenario, seed, Options::default()).trace_hash;
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn keeping_lines_changes_nothing() {
    let scenario = parse(include_str!("../../scenarios/journal-kill.toml")).unwrap();
    let hash = |keep_lines| run::<Example>(&scenario, 3, Options { keep_lines, ..Options::default() }).trace_hash;
    assert_eq!(hash(false), hash(true));
}
