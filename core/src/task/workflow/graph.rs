//! Who waits for whom: derived from the definition, and kept beside it.

use super::{STEPS_MAX, Step, StepIndex};
use alloc::vec;
use alloc::vec::Vec;

/// The steps that wait for each step, and an order in which all of them can run.
///
/// Takes 6 bytes for each step and 2 for each dependency.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Graph {
    /// Where the dependents of each step begin, and where those of the last one end.
    begins: Vec<u32>,
    dependents: Vec<StepIndex>,
    order: Vec<StepIndex>,
}

impl Graph {
    /// That of these steps, up to [`STEPS_MAX`]. Dependencies on steps that are not there count as none; steps that wait for one another are
    /// not in [`Graph::order`]. [`Workflow::check`](super::Workflow::check) refuses both.
    pub(super) fn of(steps: &[Step]) -> Self {
        let steps = &steps[..steps.len().min(STEPS_MAX)];
        let (begins, dependents) = turn_around(steps);
        let mut graph = Self { begins, dependents, order: Vec::with_capacity(steps.len()) };
        graph.sort(steps);
        graph
    }

    /// The steps that wait for this one directly, in the order of the file.
    pub fn dependents(&self, step: StepIndex) -> &[StepIndex] {
        let bound = |at: usize| self.begins.get(at).map(|bound| *bound as usize);
        let range = bound(step.position()).zip(bound(step.position() + 1));
        range.and_then(|(from, until)| self.dependents.get(from..until)).unwrap_or_default()
    }

    /// Every step, each after all that it depends on.
    pub fn order(&self) -> &[StepIndex] {
        &self.order
    }

    /// Kahn's algorithm: what waits for nothing goes first, in the order of the file.
    fn sort(&mut self, steps: &[Step]) {
        let mut open: Vec<usize> = steps.iter().map(|step| inside(step, steps.len()).count()).collect();
        let ready = open.iter().enumerate().filter(|(_, open)| **open == 0);
        self.order.extend(ready.map(|(at, _)| StepIndex::of(at)));
        let mut next = 0;
        while let Some(done) = self.order.get(next).copied() {
            next += 1;
            let mut ready = Vec::new();
            for dependent in self.dependents(done) {
                open[dependent.position()] -= 1;
                ready.extend((open[dependent.position()] == 0).then_some(*dependent));
            }
            self.order.append(&mut ready);
        }
    }
}

/// The dependencies of a step that are there.
fn inside(step: &Step, steps: usize) -> impl Iterator<Item = StepIndex> {
    step.depends_on.iter().copied().filter(move |on| on.position() < steps)
}

fn turn_around(steps: &[Step]) -> (Vec<u32>, Vec<StepIndex>) {
    let mut begins = vec![0u32; steps.len() + 1];
    for on in steps.iter().flat_map(|step| inside(step, steps.len())) {
        begins[on.position() + 1] += 1;
    }
    for at in 1..begins.len() {
        begins[at] += begins[at - 1];
    }
    let mut next = begins.clone();
    let mut dependents = vec![StepIndex(0); begins.last().map_or(0, |count| *count as usize)];
    for (at, step) in steps.iter().enumerate() {
        for on in inside(step, steps.len()) {
            let place = &mut next[on.position()];
            dependents[*place as usize] = StepIndex::of(at);
            *place += 1;
        }
    }
    (begins, dependents)
}

/// Steps each of which waits for the next, and the last one for the first; `None` where there are no such steps.
pub(super) fn cycle(steps: &[Step]) -> Option<Vec<StepIndex>> {
    let steps = &steps[..steps.len().min(STEPS_MAX)];
    let graph = Graph::of(steps);
    let mut is_stuck = vec![true; steps.len()];
    graph.order.iter().for_each(|step| is_stuck[step.position()] = false);
    // Whatever is stuck waits for something that is stuck, so this walk ends only where it has been before.
    let mut way: Vec<StepIndex> = Vec::new();
    let mut met = vec![None; steps.len()];
    let mut here = StepIndex::of(is_stuck.iter().position(|stuck| *stuck)?);
    while met[here.position()].is_none() {
        met[here.position()] = Some(way.len());
        way.push(here);
        here = inside(&steps[here.position()], steps.len()).find(|on| is_stuck[on.position()])?;
    }
    let mut cycle = way.split_off(met[here.position()]?);
    let first = cycle.iter().enumerate().min_by_key(|(_, step)| **step).map_or(0, |(at, _)| at);
    cycle.rotate_left(first);
    Some(cycle)
}
