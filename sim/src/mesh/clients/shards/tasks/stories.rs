//! What is submitted: a task of one step, or one of a few workflows.

use crate::scenario::TaskLoad;
use crate::streams::MILLION;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::control::state::Name as Namespace;
use relaymesh_core::machine::Chooser;
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::task::command::{Scheduled, Submit, What};
use relaymesh_core::task::limit::{Bounds, Declared, LimitName, Rate};
use relaymesh_core::task::payload::Payload;
use relaymesh_core::task::schedule::Schedule;
use relaymesh_core::task::workflow::{Name, Priority, Retry, Workflow};
use relaymesh_core::time::{Duration, WallTime};

/// Workflows, with the number of the submission in the place of `$N`.
const WORKFLOWS: [&str; 4] = [
    // One after the other.
    r#"{"steps":[{"id":"a","agent":"work","input":"$N"},{"id":"b","agent":"work","input":{"$from":"a"}},
        {"id":"c","agent":"join","input":[{"$from":"a"},{"$from":"b"}]}]}"#,
    // Out, and together again.
    r#"{"steps":[{"id":"a","agent":"work","input":"$N"},{"id":"b","agent":"work","input":{"$from":"a"}},
        {"id":"c","agent":"work","input":{"$from":"a"},"priority":"high"},{"id":"d","agent":"work","dependsOn":["a"],
        "input":"d","priority":"low"},{"id":"e","agent":"join","input":[{"$from":"b"},{"$from":"c"},{"$from":"d"}]}]}"#,
    // As often as a list says that is known only when the step before has run.
    r#"{"steps":[{"id":"l","agent":"list","input":"$N"},{"id":"w","agent":"work","input":{"$from":"item"},
        "forEach":{"$from":"l"}},{"id":"j","agent":"join","input":{"$from":"w"}}]}"#,
    // Later.
    r#"{"steps":[{"id":"a","agent":"work","input":"$N","delayMs":700},{"id":"b","agent":"work","input":{"$from":"a"},
        "delayMs":300}]}"#,
];

/// One that waits for a person, for a while.
const ASKING: &str = r#"{"steps":[{"id":"a","agent":"work","input":"$N"},{"id":"p","approval":"Is it well?",
    "dependsOn":["a"],"timeoutMs":20000},{"id":"b","agent":"work","input":[{"$from":"a"},{"$from":"p"}]}]}"#;
/// What a person says who agrees.
pub(in crate::mesh) const APPROVED: &str = "yes";
/// Who kills the node that runs it.
pub(super) const POISON: &str = "poison";

/// Keys that tasks and steps share where there are limits, with one of each at a time.
const KEYS: [&str; 2] = ["red", "blue"];

/// What is said of agents where there are limits.
pub(in crate::mesh) fn limits() -> Vec<(LimitName, Declared)> {
    let bounds = [
        ("join", Bounds { at_once: Some(2), rate: None }),
        ("list", Bounds { at_once: None, rate: Some(Rate { count: 3, per: Duration::from_secs(2) }) }),
    ];
    let declared = |(agent, bounds)| {
        let declared = Declared { version: 1, bounds: Some(bounds) };
        Some((LimitName::Agent(Name::new(agent).ok()?), declared))
    };
    bounds.into_iter().filter_map(declared).collect()
}

/// What recurs where schedules are: two tasks, every two seconds and every three, by whole seconds of the wall clock.
pub(in crate::mesh) fn schedules(namespace: &Namespace) -> Vec<Scheduled> {
    let schedule = |(name, period)| {
        let (name, period) = (Name::new(name).ok()?, Duration::from_secs(period));
        let schedule = Schedule::every(period, WallTime::from_unix_nanos(0)).ok()?;
        let submit = Submit {
            input: Some(Payload::inline(name.as_str().as_bytes())),
            ..Submit::new(Scheduled::id(namespace, &name), task("work"))
        };
        Some(Scheduled { name, schedule, submit: Box::new(submit) })
    };
    [("two", 2), ("three", 3)].into_iter().filter_map(schedule).collect()
}

/// Draws what a submission is.
pub(super) fn draw(id: SubmissionId, number: u64, load: &TaskLoad, stream: &mut impl Chooser) -> Submit {
    let text = format!("{number}");
    let drawn = stream.below(8) as usize;
    let is_poison = load.poison.0 > 0 && stream.below(MILLION) < load.poison.0;
    let written = match WORKFLOWS.get(drawn) {
        _ if is_poison => None,
        None if load.people && stream.below(2) == 0 => Some(ASKING),
        written => written.copied(),
    };
    let mut what = match written.and_then(|text| workflow(text, number)) {
        Some(workflow) => What::Workflow(workflow),
        None => task(if is_poison { POISON } else { "work" }),
    };
    let input = matches!(what, What::Agent { .. }).then(|| Payload::inline(text.as_bytes()));
    let priority = Priority::ALL[stream.below(3) as usize];
    if load.limits {
        let mut key = || Name::new(KEYS.get(stream.below(10) as usize)?).ok();
        match &mut what {
            What::Agent { concurrency_key, .. } => *concurrency_key = key(),
            What::Workflow(workflow) => {
                let steps = workflow.steps.iter_mut().filter(|step| step.agent().is_some());
                steps.for_each(|step| step.concurrency_key = key());
            }
        }
    }
    Submit { input, priority, ..Submit::new(id, what) }
}

fn task(agent: &str) -> What {
    let agent = Name::new(agent).unwrap_or_else(|_| unreachable!("a name"));
    let retry = Retry { attempts_max: 4, base: Duration::from_millis(100), max: Duration::from_millis(300) };
    What::Agent {
        agent,
        needs: Vec::new(),
        timeout: Some(Duration::from_secs(3)),
        retry: Some(retry),
        concurrency_key: None,
    }
}

fn workflow(text: &str, number: u64) -> Option<Workflow> {
    let text: String = text.replace("$N", &format!("{number}"));
    let mut workflow = Workflow::from_json(text.as_bytes()).ok()?;
    for step in workflow.steps.iter_mut().filter(|step| step.agent().is_some()) {
        step.timeout = Some(Duration::from_secs(3));
        step.retry = Some(Retry { attempts_max: 5, base: Duration::from_millis(100), max: Duration::from_millis(300) });
    }
    Some(workflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workflow_can_be_read() {
        assert!(WORKFLOWS.iter().chain([&ASKING]).all(|text| workflow(text, 7).is_some()));
    }
}
