//! Stretches of one kind taken together: each move is short.

use super::timeline::{Kind, Phase};

/// All moves of one kind, each with what is steady before it and after it.
pub(crate) struct Together<'a> {
    pub(crate) before: Vec<&'a Phase>,
    pub(crate) moving: Vec<&'a Phase>,
    pub(crate) after: Vec<&'a Phase>,
}

impl<'a> Together<'a> {
    pub(crate) fn of(name: &str, phases: &'a [Phase]) -> Self {
        let mut together = Self { before: Vec::new(), moving: Vec::new(), after: Vec::new() };
        for three in phases.windows(3).filter(|three| three[1].name == name) {
            together.before.push(&three[0]);
            together.moving.push(&three[1]);
            together.after.push(&three[2]);
        }
        together
    }
}

/// What there is of a kind, in the order in which it was first.
pub(crate) fn names(phases: &[Phase], kind: Kind) -> Vec<&'static str> {
    let mut names = Vec::new();
    for phase in phases.iter().filter(|phase| phase.kind == kind) {
        if !names.contains(&phase.name) {
            names.push(phase.name);
        }
    }
    names
}

pub(crate) fn seconds(phases: &[&Phase]) -> f64 {
    phases.iter().map(|phase| phase.seconds).sum()
}

fn tasks(phases: &[&Phase]) -> f64 {
    phases.iter().map(|phase| phase.completed_per_second * phase.seconds).sum()
}

/// Completed in a second, over all of them.
pub(crate) fn rate(phases: &[&Phase]) -> f64 {
    tasks(phases) / seconds(phases)
}

/// The least second of each, as a share of the mean of what it is held against.
pub(crate) fn leasts(phases: &[&Phase], against: &[&Phase]) -> Vec<f64> {
    let share = |(phase, against): (&&Phase, &&Phase)| phase.least_completed_per_second / against.completed_per_second;
    phases.iter().zip(against).map(share).collect()
}

/// Of all nodes, for a completed task: what moves cost, also where others take the cores.
pub(crate) fn core_ms(phases: &[&Phase]) -> f64 {
    phases.iter().map(|phase| phase.nodes_cores * phase.seconds).sum::<f64>() * 1e3 / tasks(phases)
}
