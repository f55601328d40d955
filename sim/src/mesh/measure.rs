//! Figures of membership: what a mesh of that size needs to notice things, and what it costs. Those of the control
//! group are in `failover.rs`, those of shards in `takeover.rs`.
//!
//! Each experiment is a scenario of its own making, run from one seed; what is counted is what operators could see, at
//! true time. Which seeds, how many at once, and percentiles are the command line's.

use super::Mesh;
use super::checks::Record;
use super::{failover, takeover};
use crate::scenario::{Scenario, parse};
use crate::time::TrueTime;
use crate::world::{Options, Report, World};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::time::Duration;

/// What one run of an experiment has shown.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Figures by name; `None` where the thing never came about.
    pub figures: Vec<(&'static str, Option<f64>)>,
    /// What the run came to.
    pub report: Report,
}

/// Something to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Experiment {
    /// A mesh forms, a node joins, one leaves, one crashes, and half are cut off from the rest and come back.
    Changes,
    /// Ten minutes at one percent loss.
    Quiet,
    /// One node loses four packets of five, both ways.
    LossyNode,
    /// One node hears nothing for 20 s, then everything for 20 s, and so on.
    FlipFlop,
    /// Who leads the control group crashes; another holds the scopes.
    LeaderCrash,
    /// Who holds the scopes crashes; another leads.
    HolderCrash,
    /// Who leads and holds crashes.
    BothCrash,
    /// A scope is handed over.
    Handover,
    /// An hour in which one packet in a hundred is lost, and nodes stop for 100 ms: nobody should fail over.
    Steady,
    /// Twenty nodes that hold 20 scopes.
    FewScopes,
    /// Twenty nodes that hold 1,000 scopes.
    ManyScopes,
    /// Who owns a shard crashes; another leads the control group.
    OwnerCrash,
    /// Who owns a shard and leads crashes.
    OwnerAndLeaderCrash,
    /// A shard is handed over.
    ShardHandOver,
    /// The node that owns a shard is drained.
    Drain,
    /// Owners change at a set time; wall clocks are a millisecond wrong at most.
    CutOver,
    /// The same with clocks that are seconds wrong, and run at other rates.
    CutOverBadClocks,
}

impl Experiment {
    /// Those of membership.
    pub const ALL: [Self; 4] = [Self::Changes, Self::Quiet, Self::LossyNode, Self::FlipFlop];
    /// Those of the control group.
    pub const FAILOVER: [Self; 7] = [
        Self::LeaderCrash,
        Self::HolderCrash,
        Self::BothCrash,
        Self::Handover,
        Self::Steady,
        Self::FewScopes,
        Self::ManyScopes,
    ];
    /// Those of shards.
    pub const TAKEOVER: [Self; 6] = [
        Self::OwnerCrash,
        Self::OwnerAndLeaderCrash,
        Self::ShardHandOver,
        Self::Drain,
        Self::CutOver,
        Self::CutOverBadClocks,
    ];

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Quiet => "quiet",
            Self::LossyNode => "lossy-node",
            Self::FlipFlop => "flip-flop",
            Self::LeaderCrash => "leader-crash",
            Self::HolderCrash => "holder-crash",
            Self::BothCrash => "both-crash",
            Self::Handover => "handover",
            Self::Steady => "steady",
            Self::FewScopes => "few-scopes",
            Self::ManyScopes => "many-scopes",
            Self::OwnerCrash => "owner-crash",
            Self::OwnerAndLeaderCrash => "owner-and-leader-crash",
            Self::ShardHandOver => "hand-over",
            Self::Drain => "drain",
            Self::CutOver => "cut-over",
            Self::CutOverBadClocks => "cut-over-bad-clocks",
        }
    }
}

/// What is measured, and of what.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Nodes.
    pub nodes: u32,
    /// Bytes of metadata.
    pub metadata_bytes: u16,
    /// Name of the profile.
    pub profile: &'static str,
}

/// When things happen in [`Experiment::Changes`].
const JOIN_AT: u64 = 30;
const LEAVE_AT: u64 = 40;
const CRASH_AT: u64 = 50;
const CUT_AT: u64 = 90;
const HEAL_AT: u64 = 210;
/// When traffic begins to be counted: the mesh has formed.
pub(super) const COUNT_FROM: u64 = 60;
/// A view has settled when it does not change after this time.
const SETTLED_BY: u64 = 180;

/// The scenario of an experiment.
///
/// # Panics
/// When `setting` is not one a scenario can have: at least 4 nodes, three of which are left when one of them crashes.
pub fn scenario(experiment: Experiment, setting: Setting) -> Scenario {
    if Experiment::FAILOVER.contains(&experiment) {
        return failover::scenario(experiment, setting);
    }
    if Experiment::TAKEOVER.contains(&experiment) {
        return takeover::scenario(experiment, setting);
    }
    let Setting { nodes, metadata_bytes, profile } = setting;
    let last = nodes - 1;
    let half: Vec<String> = (1..nodes / 2 + 1).map(|node| format!("{node}")).collect();
    let (safety, liveness, faults) = match experiment {
        Experiment::Changes => (
            HEAL_AT + 20,
            10,
            format!(
                "[[fault]]\nkind = \"join\"\nnodes = [{last}]\nat = \"{JOIN_AT}s\"\n\
                 [[fault]]\nkind = \"kill\"\nnodes = [{}]\nat = \"{CRASH_AT}s\"\nlasts = \"1h\"\n\
                 [[fault]]\nkind = \"partition\"\nnodes = [{}]\nat = \"{CUT_AT}s\"\nlasts = \"{}s\"\n",
                last - 1,
                half.join(", "),
                HEAL_AT - CUT_AT
            ),
        ),
        Experiment::Quiet => (
            600,
            30,
            "[[fault]]\nkind = \"loss\"\nnodes = \"all\"\nat = \"0s\"\nlasts = \"1h\"\nshare = \"1%\"\n".into(),
        ),
        Experiment::LossyNode => (
            360,
            60,
            format!("[[fault]]\nkind = \"loss\"\nnodes = [{last}]\nat = \"30s\"\nlasts = \"330s\"\nshare = \"80%\"\n"),
        ),
        Experiment::FlipFlop => (
            360,
            60,
            format!(
                "[[fault]]\nkind = \"flip_flop\"\nnodes = [{last}]\nat = \"30s\"\nlasts = \"330s\"\namount = \"20s\"\ndirection = \"in\"\n"
            ),
        ),
        _ => panic!("{experiment:?} is none of membership"),
    };
    let changes = experiment == Experiment::Changes;
    let late = if changes {
        format!("late = [{last}]\nleave = [{}]\nleave_at = \"{LEAVE_AT}s\"\n", last - 2)
    } else {
        String::new()
    };
    let text = format!(
        "name = \"measure-{}\"\nabout = \"Figures of membership.\"\ntags = [\"measure\"]\nsubject = \"mesh\"\nversion = 1\n\
         nodes = {nodes}\n[phases]\nsafety = \"{safety}s\"\nliveness = \"{liveness}s\"\n\
         [mesh]\nprofile = \"{profile}\"\nseeds = 3\nmetadata_bytes = {metadata_bytes}\nstart = \"0s..2s\"\n{late}{faults}",
        experiment.name(),
    );
    match parse(&text) {
        Ok(scenario) => scenario,
        Err(error) => panic!("the scenario of {experiment:?} with {setting:?}: {error}\n{text}"),
    }
}

/// Runs an experiment from one seed.
pub fn measure(experiment: Experiment, setting: Setting, seed: u64) -> Sample {
    let scenario = scenario(experiment, setting);
    let mut world = World::<Mesh>::new(&scenario, seed, Options::default());
    world.run();
    let record = &world.checks().record;
    let figures = match experiment {
        Experiment::Changes => changes(record, setting.nodes),
        Experiment::Quiet => quiet(record, setting.nodes, 600 + 30 - COUNT_FROM),
        Experiment::LossyNode => unsteady(
            record,
            setting.nodes,
            ["lossy_node_settled", "lossy_node_changes_later", "lossy_node_healthy_suppressed", "lossy_node_views"],
        ),
        Experiment::FlipFlop => unsteady(
            record,
            setting.nodes,
            ["flip_flop_settled", "flip_flop_changes_later", "flip_flop_healthy_suppressed", "flip_flop_views"],
        ),
        _ if Experiment::TAKEOVER.contains(&experiment) => takeover::figures(experiment, record),
        _ => failover::figures(experiment, record),
    };
    Sample { figures, report: world.report() }
}

pub(super) fn millis(span: Duration) -> f64 {
    span.as_nanos() as f64 / 1e6
}

fn seconds(at: u64) -> TrueTime {
    TrueTime(at * 1_000_000_000)
}

/// The time by which a share of `count` events had come about, since `from`.
fn reached(mut times: Vec<TrueTime>, count: usize, percent: usize, from: TrueTime) -> Option<f64> {
    times.sort_unstable();
    let needed = (count * percent).div_ceil(100);
    times.get(needed.checked_sub(1)?).map(|at| millis(at.since(from)))
}

fn changes(record: &Record, nodes: u32) -> Vec<(&'static str, Option<f64>)> {
    let (joins, crashes, leaves) = (nodes - 1, nodes - 2, nodes - 3);
    let of = |list: &[(TrueTime, u32, u32)], subject: u32, from: TrueTime| -> Vec<TrueTime> {
        list.iter().filter(|(at, _, who)| *who == subject && *at >= from).map(|(at, ..)| *at).collect()
    };
    let others = nodes as usize - 1;
    let joined = of(&record.learned, joins, seconds(JOIN_AT));
    // Of those who can notice the crash, one has left.
    let dead = of(&record.dead, crashes, seconds(CRASH_AT));
    let left = of(&record.left, leaves, seconds(LEAVE_AT));
    let witnesses = others - 1;
    let cut_off = record.dead.iter().filter(|(at, ..)| *at >= seconds(CUT_AT)).map(|(at, ..)| *at).max();
    let heal = match (record.first_across, record.reunited_at) {
        (Some(first), Some(agreed)) => Some(millis(agreed.since(first))),
        _ => None,
    };
    vec![
        ("formed", record.formed_at.map(|at| millis(at.since(TrueTime(0))))),
        ("join_known_to_95_percent", reached(joined.clone(), others, 95, seconds(JOIN_AT))),
        ("join_known_to_all", reached(joined, others, 100, seconds(JOIN_AT))),
        ("leave_known_to_95_percent", reached(left, others, 95, seconds(LEAVE_AT))),
        ("crash_known_to_first", reached(dead.clone(), 1, 100, seconds(CRASH_AT))),
        ("crash_known_to_half", reached(dead.clone(), witnesses, 50, seconds(CRASH_AT))),
        ("crash_known_to_all", reached(dead, witnesses, 100, seconds(CRASH_AT))),
        ("last_death_in_the_partition", cut_off.map(|at| millis(at.since(seconds(CUT_AT))))),
        ("heal_to_agreement", heal),
    ]
}

fn quiet(record: &Record, nodes: u32, span: u64) -> Vec<(&'static str, Option<f64>)> {
    let per_node = |counts: &[u64]| counts.iter().sum::<u64>() as f64 / f64::from(nodes) / span as f64;
    let most = record.bytes.iter().max().map(|bytes| *bytes as f64 / span as f64);
    vec![
        ("false_deaths", Some(record.false_deaths as f64)),
        ("bytes_per_second_sent", Some(per_node(&record.bytes))),
        ("bytes_per_second_sent_by_the_busiest", most),
        ("packets_per_second_sent", Some(per_node(&record.packets))),
    ]
}

/// How the others see one unsteady node, and one another, while it is unsteady.
fn unsteady(record: &Record, nodes: u32, names: [&'static str; 4]) -> Vec<(&'static str, Option<f64>)> {
    let bad = nodes - 1;
    let until = seconds(360);
    let by_others = || record.placement.iter().filter(move |(at, observer, ..)| *observer != bad && *at < until);
    let last = by_others().map(|(at, ..)| *at).max().unwrap_or(seconds(30));
    let later = by_others().filter(|(at, ..)| *at > seconds(SETTLED_BY)).count();
    let healthy = by_others().filter(|(_, _, subject, counts)| *subject != bad && !counts).count();
    let mut counted = vec![true; nodes as usize];
    for (_, observer, subject, counts) in by_others() {
        if *subject == bad {
            counted[*observer as usize] = *counts;
        }
    }
    let excluded = counted[..bad as usize].iter().filter(|counts| !**counts).count();
    let views = if excluded == 0 || excluded == bad as usize { 1 } else { 2 };
    let values = [millis(last.since(seconds(30))), later as f64, healthy as f64, f64::from(views)];
    names.into_iter().zip(values.map(Some)).collect()
}
