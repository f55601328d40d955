//! What the file leaves open, drawn from the seed: which faults are on, when, on which nodes.
//!
//! Each `[[fault]]` has its own stream, named after it, so that removing one leaves the others as they were.

use super::kind::FaultKind;
use super::schema::{All, Direction, Fault, Nodes, Scenario};
use super::units::{Share, Span, SpanRange};
use crate::streams::{MILLION, Stream, Streams};
use crate::time::TrueTime;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::machine::Chooser;
use relaymesh_core::time::Duration;

/// The faults of one run, in the order in which they begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The faults.
    pub faults: Vec<PlannedFault>,
    /// Names of the `[[fault]]` entries that the seed switched off.
    pub switched_off: Vec<String>,
}

/// One fault with nothing left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFault {
    /// Its name in reports.
    pub name: String,
    /// What.
    pub kind: FaultKind,
    /// To whom.
    pub nodes: Vec<u32>,
    /// Links cut, for `partial`.
    pub links: Vec<(u32, u32)>,
    /// When.
    pub at: TrueTime,
    /// How long; `None` where it happens at once or stays.
    pub lasts: Option<Duration>,
    /// Packets affected.
    pub direction: Direction,
    /// Share affected, in millionths.
    pub share: u64,
    /// Extra delay, cost, or step.
    pub amount: Duration,
    /// Whether a step goes back.
    pub back: bool,
    /// Rate in parts per billion.
    pub rate_ppb: i64,
    /// Slow-down, bytes per second, or version.
    pub value: u64,
    /// Whether suspended time is counted.
    pub counted: bool,
}

impl Plan {
    /// Draws the plan of `scenario` for the seed of `streams`.
    pub fn draw(scenario: &Scenario, streams: &mut Streams) -> Self {
        let mut plan = Self { faults: Vec::new(), switched_off: Vec::new() };
        for (fault, name) in scenario.faults.iter().zip(names(scenario)) {
            let mut stream = streams.open(format!("fault {name}"));
            if scenario.swarm && stream.happens(MILLION / 2) {
                plan.switched_off.push(name);
                continue;
            }
            for time in 0..fault.times {
                let name = if fault.times == 1 { name.clone() } else { format!("{name}.{time}") };
                plan.faults.push(draw_one(scenario.nodes, fault, name, &mut stream));
            }
        }
        plan.faults.sort_by(|one, other| (one.at, &one.name).cmp(&(other.at, &other.name)));
        plan
    }

    /// The scenario that always has just this plan.
    pub fn fix(&self, scenario: &Scenario) -> Scenario {
        Scenario { swarm: false, faults: self.faults.iter().map(PlannedFault::to_fault).collect(), ..scenario.clone() }
    }
}

/// The name of each `[[fault]]`: its own, or its kind and its number among those of its kind.
fn names(scenario: &Scenario) -> Vec<String> {
    let mut count: BTreeMap<FaultKind, u32> = BTreeMap::new();
    let name_of = |fault: &Fault| {
        let number = count.entry(fault.kind).or_default();
        *number += 1;
        fault.name.clone().unwrap_or_else(|| format!("{}#{number}", fault.kind.name()))
    };
    scenario.faults.iter().map(name_of).collect()
}

fn draw_one(nodes: u32, fault: &Fault, name: String, stream: &mut Stream) -> PlannedFault {
    let concerned = match &fault.nodes {
        Nodes::Some(count) => stream.pick(*count as usize, nodes as usize),
        Nodes::These(list) => list.clone(),
        Nodes::All(All::All) => (0..nodes).collect(),
    };
    let share = fault.share.unwrap_or_default().0;
    let links = match (&fault.links, fault.kind) {
        (Some(links), _) => links.clone(),
        (None, FaultKind::Partial) => draw_links(nodes, &concerned, share, stream),
        (None, _) => Vec::new(),
    };
    PlannedFault {
        name,
        kind: fault.kind,
        links,
        at: TrueTime(stream.span(fault.at.from, fault.at.to).as_nanos()),
        lasts: fault.lasts.map(|lasts| stream.span(lasts.from, lasts.to)),
        direction: fault.direction.unwrap_or_default(),
        share,
        amount: fault.amount.unwrap_or_default().0,
        back: fault.kind == FaultKind::ClockStep && fault.back.unwrap_or_else(|| stream.below(2) == 1),
        rate_ppb: fault.rate.unwrap_or_default().0,
        value: fault.value.unwrap_or(1),
        counted: fault.counted.unwrap_or(true),
        nodes: concerned,
    }
}

fn draw_links(nodes: u32, concerned: &[u32], share: u64, stream: &mut Stream) -> Vec<(u32, u32)> {
    let mut is_concerned = vec![false; nodes as usize];
    concerned.iter().for_each(|node| is_concerned[*node as usize] = true);
    let pairs = (0..nodes).flat_map(|one| (one + 1..nodes).map(move |other| (one, other)));
    let of_the_nodes = pairs.filter(|(one, other)| is_concerned[*one as usize] || is_concerned[*other as usize]);
    of_the_nodes.filter(|_| stream.happens(share)).collect()
}

impl PlannedFault {
    /// The `[[fault]]` that always draws just this.
    pub fn to_fault(&self) -> Fault {
        let takes = |parameter| self.kind.needs().contains(&parameter) || self.kind.may_have().contains(&parameter);
        use super::kind::Parameter::{Amount, Counted, Direction as Way, Links, Rate, Share as ShareOf, Value};
        Fault {
            kind: self.kind,
            name: Some(self.name.to_string()),
            nodes: Nodes::These(self.nodes.clone()),
            at: SpanRange::fixed(Duration::from_nanos(self.at.0)),
            lasts: self.lasts.map(SpanRange::fixed),
            times: 1,
            direction: takes(Way).then_some(self.direction),
            share: (takes(ShareOf) && self.kind != FaultKind::Partial).then_some(Share(self.share)),
            amount: takes(Amount).then_some(Span(self.amount)),
            back: (self.kind == FaultKind::ClockStep).then_some(self.back),
            rate: takes(Rate).then_some(super::units::Rate(self.rate_ppb)),
            value: takes(Value).then_some(self.value),
            links: takes(Links).then(|| self.links.clone()),
            counted: takes(Counted).then_some(self.counted),
        }
    }

    /// When it ends, if it does.
    pub fn ends(&self) -> Option<TrueTime> {
        self.lasts.map(|lasts| self.at + lasts)
    }
}
