//! What is read from a definition.

use crate::task::workflow::{Does, Origin, Priority, Reference, Retry, StepIndex, Template, Workflow};
use crate::time::Duration;
use alloc::string::ToString;
use alloc::vec::Vec;
use alloc::{format, vec};

pub(super) const EXAMPLE: &str = include_str!("../../../../../docs/examples/report.json");
pub(super) const PAGE: &str = include_str!("../../../../../docs/workflows.md");

pub(super) fn read(json: &str) -> Workflow {
    Workflow::from_json(json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"))
}

#[test]
fn the_example_of_the_documentation_is_read_as_it_says() {
    assert!(PAGE.contains(EXAMPLE), "docs/workflows.md shows another example than docs/examples/report.json");
    let workflow = read(EXAMPLE);
    let waits = |step: &str| {
        let step = workflow.step(workflow.find(step).unwrap()).unwrap();
        step.depends_on.iter().map(|on| workflow.step(*on).unwrap().id.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(workflow.name.as_ref().map(|name| name.as_str()), Some("report"));
    assert_eq!(waits("list"), [""; 0]);
    assert_eq!(waits("compress"), ["list"]);
    assert_eq!(waits("checksum"), ["compress"]);
    assert_eq!(waits("report"), ["list", "checksum"]);
    let compress = &workflow.steps[1];
    assert!(compress.is_repeated());
    assert_eq!(compress.timeout, Some(Duration::from_secs(600)));
    assert_eq!(
        compress.retry,
        Some(Retry { attempts_max: 5, base: Duration::from_millis(500), max: Duration::from_secs(30) })
    );
    assert_eq!(compress.priority, None);
    assert_eq!(workflow.steps[3].priority, Some(Priority::High));
    assert_eq!(workflow.graph().order().iter().map(|step| step.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(workflow.graph().dependents(StepIndex(0)), [StepIndex(1), StepIndex(3)]);
    assert_eq!(workflow.graph().dependents(StepIndex(9)), []);
}

#[test]
fn an_input_is_kept_as_it_is_written_but_for_white_space() {
    let input = r#"{ "z": 12345678901234567890, "a": [ -0, 1.50, 1e400 ], "t": "\u00e9 x", "": {} }"#;
    let workflow = read(&format!(r#"{{"steps":[{{"id":"a","agent":"b","input":{input}}}]}}"#));
    let kept = r#"{"z":12345678901234567890,"a":[-0,1.50,1e400],"t":"\u00e9 x","":{}}"#;
    assert_eq!(workflow.steps[0].input().unwrap().resolve(|_| None).unwrap(), kept.as_bytes());
    assert_eq!(workflow.to_json(), format!(r#"{{"steps":[{{"id":"a","agent":"b","input":{kept}}}]}}"#));
}

#[test]
fn references_are_found_and_waited_for() {
    let workflow = read(
        r#"{"steps":[
            {"id":"use","agent":"x","forEach":{"path":"/l","$from":"all"},"dependsOn":["late","late"],
             "input":[{"$from":"item"},{"a":{"$from":"one","path":""}},{"$from":"workflow.input","path":"/a~1b"}]},
            {"id":"one","agent":"x"},{"id":"late","agent":"x"},{"id":"all","agent":"x"}]}"#,
    );
    let step = &workflow.steps[0];
    assert_eq!(step.depends_on, [StepIndex(1), StepIndex(2), StepIndex(3)]);
    let found: Vec<_> =
        step.input().unwrap().references().map(|Reference { from, pointer }| (*from, pointer.as_str())).collect();
    assert_eq!(found, [(Origin::Item, ""), (Origin::Step(StepIndex(1)), ""), (Origin::WorkflowInput, "/a~1b")]);
    assert_eq!(
        workflow.to_json(),
        concat!(
            r#"{"steps":[{"id":"use","agent":"x","input":[{"$from":"item"},{"a":{"$from":"one"}},"#,
            r#"{"$from":"workflow.input","path":"/a~1b"}],"dependsOn":["one","late","all"],"#,
            r#""forEach":{"$from":"all","path":"/l"}},{"id":"one","agent":"x","input":""},"#,
            r#"{"id":"late","agent":"x","input":""},{"id":"all","agent":"x","input":""}]}"#
        )
    );
}

#[test]
fn what_is_not_said_has_its_default() {
    let workflow = read(r#"{"steps":[{"id":"a","agent":"b"},{"id":"c","approval":"Ship it?"}]}"#);
    let step = &workflow.steps[0];
    assert_eq!(step.input(), Some(&Template::text("")));
    assert_eq!((step.priority, step.timeout, step.retry, step.delay), (None, None, None, None));
    assert!(step.labels.is_empty() && step.concurrency_key.is_none() && step.depends_on.is_empty());
    let Does::Approval { prompt } = &workflow.steps[1].does else { panic!("an approval") };
    assert_eq!(prompt.as_str(), "Ship it?");
}

#[test]
fn a_policy_gives_way_to_what_is_said_of_it() {
    let retry = |json: &str| {
        let workflow = read(&format!(r#"{{"steps":[{{"id":"a","agent":"b","retry":{json}}}]}}"#));
        let Retry { attempts_max, base, max } = workflow.steps[0].retry.unwrap();
        (attempts_max, base.as_nanos() / 1_000_000, max.as_nanos() / 1_000_000)
    };
    assert_eq!(retry("{}"), (3, 1_000, 60_000));
    assert_eq!(retry(r#"{"maxAttempts":1}"#), (1, 1_000, 60_000));
    assert_eq!(retry(r#"{"maxBackoffMs":200}"#), (3, 200, 200));
    assert_eq!(retry(r#"{"baseBackoffMs":90000}"#), (3, 90_000, 90_000));
}

#[test]
fn keys_are_compared_by_what_they_say() {
    let workflow = read(r#"{"st\u0065ps":[{"id":"a","agent":"b","input":{"\u0024from":"workflow.input"}}]}"#);
    assert_eq!(workflow.steps[0].input().unwrap().references().count(), 1);
}

#[test]
fn as_many_as_allowed_are_allowed() {
    let steps = |count: usize| {
        let steps: Vec<_> = (0..count).map(|at| format!(r#"{{"id":"s{at}","agent":"x"}}"#)).collect();
        format!(r#"{{"steps":[{}]}}"#, steps.join(","))
    };
    assert_eq!(read(&steps(1_000)).graph().order().len(), 1_000);
    let deep = |depth: usize| {
        let input = vec!["["; depth].concat() + &vec!["]"; depth].concat();
        format!(r#"{{"steps":[{{"id":"s","agent":"x","input":{input}}}]}}"#)
    };
    read(&deep(29));
    let refused = |json: &str| Workflow::from_json(json.as_bytes()).unwrap_err().to_string();
    assert_eq!(refused(&deep(30)), "line 1, column 70: step `s`: nested deeper than 32 objects and lists");
    assert_eq!(refused(&steps(1_001)), "line 1, column 1: 1001 steps, where 1000 are allowed");
    refused(&deep(100_000));
    refused(&vec!["["; 200_000].concat());
}
