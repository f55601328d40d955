//! What makes a well-formed file a scenario that can be run.

use super::kind::{FaultKind, Parameter};
use super::schema::{Fault, Nodes, Scenario};
use crate::example::PAYLOAD_BYTES_MAX;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use relaymesh_core::time::Duration;

/// Nodes a run may have: twice what the mesh is designed for.
const NODES_MAX: u32 = 2_000;
/// Drawn faults a run may have.
const FAULTS_MAX: u32 = 10_000;
/// The version of commands that declare shards.
const SHARDS_VERSION: u8 = 2;
/// The longest run, in simulated time.
const PHASE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A value that a scenario cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// The field, as a path.
    pub field: String,
    /// What is wrong, and what was expected.
    pub problem: String,
}

fn require(holds: bool, field: &str, problem: impl FnOnce() -> String) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid { field: field.to_string(), problem: problem() }) }
}

/// Checks everything the file's form cannot express.
pub(crate) fn validate(scenario: &Scenario) -> Result<(), Invalid> {
    let name = &scenario.name;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    require(!name.is_empty() && name.len() <= 64 && name.chars().all(is_name), "name", || {
        format!("`{name}` is not a name; use 1 to 64 lower-case letters, digits and hyphens")
    })?;
    require((1..=NODES_MAX).contains(&scenario.nodes), "nodes", || {
        format!("{} nodes, where 1 to {NODES_MAX} are possible", scenario.nodes)
    })?;
    let terms = scenario.subject.terms();
    let version = scenario.version.unwrap_or(terms.newest.0);
    require((terms.oldest.0..=terms.newest.0).contains(&version), "version", || {
        format!("no build understands version {version}; use {} to {}", terms.oldest.0, terms.newest.0)
    })?;
    for (section, is_given) in scenario.sections() {
        require(!is_given || terms.sections.contains(&section), section, || {
            format!("has no meaning for the subject `{}`; remove it", scenario.subject.name())
        })?;
    }
    let strange = scenario.mesh.problem(scenario.nodes).filter(|_| scenario.mesh.is_given());
    if let Some((field, problem)) = strange {
        return Err(Invalid { field: format!("mesh.{field}"), problem: problem.to_string() });
    }
    if let Some((field, problem)) = scenario.control.problem(scenario.mesh.members(scenario.nodes)) {
        return Err(Invalid { field: format!("control.{field}"), problem: problem.to_string() });
    }
    let has_group = scenario.control.is_founded();
    if let Some((field, problem)) = scenario.shards.problem(scenario.mesh.members(scenario.nodes), has_group) {
        return Err(Invalid { field: format!("shards.{field}"), problem: problem.to_string() });
    }
    let members = scenario.mesh.members(scenario.nodes);
    if let Some((field, problem)) = scenario.placement.problem(scenario.shards.is_on(), members) {
        return Err(Invalid { field: format!("placement.{field}"), problem: problem.to_string() });
    }
    if let Some((field, problem)) = scenario.tasks.problem(scenario.shards.is_on()) {
        return Err(Invalid { field: format!("tasks.{field}"), problem: problem.to_string() });
    }
    let upgrades = scenario.faults.iter().any(|fault| fault.kind == FaultKind::Version);
    require(!scenario.shards.is_on() || upgrades || version >= SHARDS_VERSION, "shards.shards", || {
        format!("are of version {SHARDS_VERSION} of commands, and every build is of version {version}")
    })?;
    let phases = scenario.phases;
    require(phases.safety.0 > Duration::ZERO && phases.safety.0 <= PHASE_MAX, "phases.safety", || {
        "must be longer than nothing and at most 24h".to_string()
    })?;
    require(phases.liveness.0 > Duration::ZERO && phases.liveness.0 <= PHASE_MAX, "phases.liveness", || {
        "must be longer than nothing and at most 24h".to_string()
    })?;
    require(usize::from(scenario.echo.payload_bytes) <= PAYLOAD_BYTES_MAX, "echo.payload_bytes", || {
        format!("{} bytes, where at most {PAYLOAD_BYTES_MAX} fit a ping", scenario.echo.payload_bytes)
    })?;
    require(scenario.echo.window <= 64, "echo.window", || "at most 64 pings may be under way".to_string())?;
    require(scenario.echo.timeout.0 > Duration::ZERO, "echo.timeout", || "must be longer than nothing".to_string())?;
    require(scenario.journal.clients <= 10_000, "journal.clients", || "at most 10000 clients".to_string())?;
    require(scenario.journal.timeout.0 > Duration::ZERO, "journal.timeout", || {
        "must be longer than nothing".to_string()
    })?;
    require(scenario.journal.entry_bytes <= 16 << 10, "journal.entry_bytes", || "at most 16384 bytes".to_string())?;
    if let Some((field, problem)) = scenario.objects.problem() {
        return Err(Invalid { field: format!("objects.{field}"), problem: problem.to_string() });
    }
    let trims = [
        (scenario.disk.trim_records, "disk.trim_records"),
        (scenario.disk.trim_bytes, "disk.trim_bytes"),
        (scenario.disk.trim_slots, "disk.trim_slots"),
    ];
    trims.into_iter().try_for_each(|(bound, field)| require(bound > 0, field, || "must be at least 1".to_string()))?;
    require(scenario.network.delay.from > Duration::ZERO, "network.delay", || {
        "must be longer than nothing, or time would stand still".to_string()
    })?;
    let spans = [
        scenario.network.delay.to,
        scenario.disk.sync.to,
        scenario.disk.read.to,
        scenario.clocks.offset.0,
        scenario.echo.pause.0,
        scenario.echo.timeout.0,
        scenario.echo.answer_within.0,
        scenario.journal.think.to,
        scenario.journal.timeout.0,
        scenario.mesh.start.to,
    ];
    let spans = spans
        .into_iter()
        .chain(scenario.control.spans())
        .chain(scenario.shards.spans())
        .chain(scenario.tasks.spans())
        .chain(scenario.objects.spans());
    require(spans.into_iter().all(|span| span <= PHASE_MAX), "scenario", || {
        "no span may be longer than 24h".to_string()
    })?;
    let names: Vec<&String> = scenario.faults.iter().filter_map(|fault| fault.name.as_ref()).collect();
    let unique: BTreeSet<&&String> = names.iter().collect();
    require(names.len() == unique.len(), "fault", || "two faults have the same name; name them apart".to_string())?;
    let times: u64 = scenario.faults.iter().map(|fault| u64::from(fault.times)).sum();
    require(times <= u64::from(FAULTS_MAX), "fault", || format!("{times} faults, where {FAULTS_MAX} are possible"))?;
    (0..).zip(&scenario.faults).try_for_each(|(number, fault)| validate_fault(scenario, number, fault))
}

fn validate_fault(scenario: &Scenario, number: usize, fault: &Fault) -> Result<(), Invalid> {
    let field = |name: &str| format!("fault[{number}] ({}).{name}", fault.kind.name());
    for (parameter, name, given) in given(fault) {
        let needed = fault.kind.needs().contains(&parameter);
        let allowed = needed || fault.kind.may_have().contains(&parameter);
        require(!needed || given, &field(name), || format!("is missing; {} needs it", fault.kind.name()))?;
        require(allowed || !given, &field(name), || format!("has no meaning for {}; remove it", fault.kind.name()))?;
    }
    let concerned = match &fault.nodes {
        Nodes::These(nodes) => nodes.iter().max().map_or(0, |last| last + 1),
        Nodes::Some(count) => *count,
        Nodes::All(_) => 0,
    };
    require(concerned <= scenario.nodes, &field("nodes"), || {
        format!("the scenario has {} nodes, numbered from 0", scenario.nodes)
    })?;
    let links = fault.links.iter().flatten();
    let last_linked = links.map(|(one, other)| one.max(other) + 1).max().unwrap_or(0);
    require(last_linked <= scenario.nodes, &field("links"), || {
        format!("the scenario has {} nodes, numbered from 0", scenario.nodes)
    })?;
    require(fault.at.to <= scenario.phases.safety.0, &field("at"), || {
        format!("the faults end after {}; a later one would never happen", scenario.phases.safety)
    })?;
    require(concerned > 0 || matches!(fault.nodes, Nodes::All(_)), &field("nodes"), || {
        "must name at least one node".to_string()
    })?;
    let (least, most) = match fault.kind {
        FaultKind::Version => {
            let terms = scenario.subject.terms();
            (u64::from(terms.oldest.0), u64::from(terms.newest.0))
        }
        FaultKind::SlowDisk => (1, 1_000_000),
        _ => (1, 1 << 40),
    };
    require(fault.value.is_none_or(|value| (least..=most).contains(&value)), &field("value"), || {
        format!("must be from {least} to {most}")
    })?;
    require(
        fault.kind != FaultKind::FlipFlop || fault.amount.unwrap_or_default().0 > Duration::ZERO,
        &field("amount"),
        || "must be longer than nothing".to_string(),
    )?;
    let spans = [fault.lasts.map(|lasts| lasts.to), fault.amount.map(|amount| amount.0)];
    require(spans.iter().flatten().all(|span| *span <= PHASE_MAX), &field("lasts"), || {
        "must be at most 24h".to_string()
    })
}

fn given(fault: &Fault) -> [(Parameter, &'static str, bool); 9] {
    [
        (Parameter::Lasts, "lasts", fault.lasts.is_some()),
        (Parameter::Share, "share", fault.share.is_some()),
        (Parameter::Amount, "amount", fault.amount.is_some()),
        (Parameter::Rate, "rate", fault.rate.is_some()),
        (Parameter::Value, "value", fault.value.is_some()),
        (Parameter::Links, "links", fault.links.is_some()),
        (Parameter::Counted, "counted", fault.counted.is_some()),
        (Parameter::Direction, "direction", fault.direction.is_some()),
        (Parameter::Back, "back", fault.back.is_some()),
    ]
}
