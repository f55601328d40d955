//! What holds of every workflow, however it came here.

use super::json::Value;
use super::read::STEP_DEPTH;
use super::template::{Scope, is_reserved};
use super::*;

/// Every rule, cheapest first: what is refused early costs little. Costs a small multiple of the definition.
pub(super) fn check(workflow: &Workflow) -> Result<(), WorkflowError> {
    let whole = |problem| WorkflowError { place: None, owner: Owner::Workflow, problem };
    let steps = &workflow.steps[..];
    if steps.is_empty() {
        return Err(whole(Problem::NoSteps));
    }
    at_most("steps", steps.len(), STEPS_MAX).map_err(whole)?;
    let mut ids = BTreeMap::new();
    for (index, step) in numbered(steps) {
        let other = ids.insert(step.id.as_str(), index);
        let unique = other.map_or(Ok(()), |other| Err(Problem::DuplicateId { other }));
        let checked = unique.and_then(|()| check_step(steps, index, step));
        checked.map_err(|problem| in_step(index, step, problem))?;
    }
    if let Some(cycle) = graph::cycle(steps) {
        let names = cycle.iter().filter_map(|index| workflow.step(*index)).map(|step| step.id.clone());
        return Err(whole(Problem::Cycle { steps: names.collect() }));
    }
    for (index, step) in numbered(steps) {
        check_input(steps, &ids, index, step).map_err(|problem| in_step(index, step, problem))?;
    }
    match workflow.to_json().len() {
        0..=JSON_BYTES_MAX => Ok(()),
        bytes => Err(whole(Problem::TooLarge { bytes: bytes as u64 })),
    }
}

fn numbered(steps: &[Step]) -> impl Iterator<Item = (StepIndex, &Step)> {
    steps.iter().enumerate().map(|(at, step)| (StepIndex::of(at), step))
}

fn in_step(index: StepIndex, step: &Step, problem: Problem) -> WorkflowError {
    WorkflowError { place: None, owner: Owner::Step { index, id: Some(step.id.clone()) }, problem }
}

fn at_most(what: &'static str, count: usize, max: usize) -> Result<(), Problem> {
    match count > max {
        true => Err(Problem::TooMany { what, count: count as u64, max: max as u64 }),
        false => Ok(()),
    }
}

fn check_step(steps: &[Step], own: StepIndex, step: &Step) -> Result<(), Problem> {
    if is_reserved(step.id.as_str()) {
        return Err(Problem::ReservedId);
    }
    at_most("steps to wait for", step.depends_on.len(), DEPENDENCIES_MAX)?;
    at_most("labels", step.labels.len(), LABELS_MAX)?;
    check_dependencies(steps, own, step)?;
    check_attempts(step.timeout, step.retry)?;
    check_time("delayMs", step.delay, 0)?;
    match &step.does {
        Does::Agent { .. } => Ok(()),
        Does::Approval { .. } => check_approval(step),
    }
}

fn check_dependencies(steps: &[Step], own: StepIndex, step: &Step) -> Result<(), Problem> {
    let depends_on = &step.depends_on[..];
    depends_on.iter().try_for_each(|on| check_index("dependsOn", steps, own, *on))?;
    if !depends_on.is_sorted_by(|a, b| a < b) {
        return Err(Problem::Unsorted);
    }
    if let Some(references) = step.input().map(|input| input.references().count()) {
        at_most("references in `input`", references, REFERENCES_MAX)?;
    }
    step.uses().try_for_each(|used| {
        check_index("$from", steps, own, used)?;
        match depends_on.binary_search(&used) {
            Ok(_) => Ok(()),
            Err(_) => Err(Problem::NotDependedOn { id: steps[used.position()].id.clone() }),
        }
    })
}

fn check_index(field: &'static str, steps: &[Step], own: StepIndex, index: StepIndex) -> Result<(), Problem> {
    match index.position() < steps.len() {
        true if index == own => Err(Problem::Itself { field }),
        true => Ok(()),
        false => Err(Problem::NoSuchStep { field, index, steps: steps.len() as u64 }),
    }
}

fn check_approval(step: &Step) -> Result<(), Problem> {
    let not_for_approval = [
        ("forEach", step.each.is_some()),
        ("priority", step.priority.is_some()),
        ("retry", step.retry.is_some()),
        ("labels", !step.labels.is_empty()),
        ("concurrencyKey", step.concurrency_key.is_some()),
    ];
    let found = not_for_approval.into_iter().find(|(_, is_there)| *is_there);
    found.map_or(Ok(()), |(field, _)| Err(Problem::NotForApproval { field }))
}

/// How long an attempt may take, and how often there is one.
pub(super) fn check_attempts(timeout: Option<Duration>, retry: Option<Retry>) -> Result<(), Problem> {
    check_time("timeoutMs", timeout, 1)?;
    retry.map_or(Ok(()), check_retry)
}

fn check_retry(retry: Retry) -> Result<(), Problem> {
    if !(1..=ATTEMPTS_MAX).contains(&retry.attempts_max) {
        let (found, max) = (u64::from(retry.attempts_max), u64::from(ATTEMPTS_MAX));
        return Err(Problem::OutOfRange { field: "maxAttempts", found, min: 1, max });
    }
    check_time("baseBackoffMs", Some(retry.base), 0)?;
    check_time("maxBackoffMs", Some(retry.max), 0)?;
    match retry.base > retry.max {
        true => Err(Problem::BackoffOrder { base: whole_milliseconds(retry.base), max: whole_milliseconds(retry.max) }),
        false => Ok(()),
    }
}

fn check_time(field: &'static str, span: Option<Duration>, min: u64) -> Result<(), Problem> {
    let Some(span) = span else { return Ok(()) };
    let (found, max) = (whole_milliseconds(span), whole_milliseconds(DURATION_MAX));
    if span != Duration::from_millis(found) {
        return Err(Problem::NotWhole { field });
    }
    match (min..=max).contains(&found) {
        true => Ok(()),
        false => Err(Problem::OutOfRange { field, found, min, max }),
    }
}

/// The milliseconds of a span, without what is left over.
pub(super) fn whole_milliseconds(span: Duration) -> u64 {
    span.as_nanos() / 1_000_000
}

/// An input is as it should be when its text, read anew, gives the same.
fn check_input(steps: &[Step], ids: &BTreeMap<&str, StepIndex>, own: StepIndex, step: &Step) -> Result<(), Problem> {
    let Some(input) = step.input() else { return Ok(()) };
    let mut text = String::new();
    input.write(steps, &mut text);
    let value = Value::of_document(text.as_bytes()).map_err(|error| error.problem)?;
    let scope = Scope { steps: ids, own, is_repeated: step.is_repeated() };
    match Template::read(value, STEP_DEPTH, &scope).map_err(json::Fault::into_problem)? == *input {
        true => Ok(()),
        false => Err(Problem::NotCanonical),
    }
}
