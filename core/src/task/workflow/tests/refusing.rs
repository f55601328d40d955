//! Every way in which a definition can be wrong, and what is said about it.

use super::reading::PAGE;
use crate::task::workflow::Workflow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

fn refused(json: &[u8]) -> String {
    match Workflow::from_json(json) {
        Err(error) => error.to_string(),
        Ok(workflow) => panic!("accepted: {workflow:?}"),
    }
}

/// What is refused as a document.
const DOCUMENTS: &[(&str, &str)] = &[
    ("", "line 1, column 1: not JSON: EOF while parsing a value"),
    ("{\n  \"steps\": [],\n}", "line 3, column 1: not JSON: key must be a string"),
    (r#"{"steps":[]} x"#, "line 1, column 14: not JSON: trailing characters"),
    ("[]", "line 1, column 1: `the workflow` is a list, where an object is expected"),
    ("{}", "line 1, column 1: the field `steps` is missing"),
    (r#"{"steps":[]}"#, "no steps, where one is needed at least"),
    (r#"{"steps":{}}"#, "line 1, column 10: `steps` is an object, where a list is expected"),
    (r#"{"steps":[7]}"#, "line 1, column 11: step number 1: `the step` is a number, where an object is expected"),
    (r#"{"step":[]}"#, "line 1, column 2: unknown field `step`; known are `name`, `steps`"),
    (r#"{"steps":[],"steps":[]}"#, "line 1, column 13: the field `steps` is there twice"),
    (
        r#"{"name":"a b","steps":[]}"#,
        "line 1, column 9: `name`: a name with ' ', where letters, digits, `.`, `_` and `-` are allowed",
    ),
    (r#"{"name":"\ud800","steps":[]}"#, "line 1, column 9: a text with an escape that stands for no character"),
    (r#"{"steps":[{"agent":"x"}]}"#, "line 1, column 11: step number 1: the field `id` is missing"),
    (r#"{"steps":[{"id":7}]}"#, "line 1, column 17: step number 1: `id` is a number, where a text is expected"),
    (r#"{"steps":[{"id":""}]}"#, "line 1, column 17: step number 1: `id`: a name needs at least one character"),
    (
        r#"{"steps":[{"id":"a"}]}"#,
        "line 1, column 11: step `a`: neither `agent` nor `approval`: one of them says what the step does",
    ),
    (
        r#"{"steps":[{"id":"item"}]}"#,
        "line 1, column 17: step `item`: `item` and `workflow.input` mean something else in `$from`; call the step otherwise",
    ),
    (
        "{\"steps\":[{\"id\":\"a\",\"agent\":\"x\"},\n {\"id\":\"a\",\"agent\":\"x\"}]}",
        "line 2, column 8: step `a`: step number 1 is called so too; ids are unique",
    ),
];

/// What is refused of the step `a`, behind its id: these fields begin on a line of their own. There is a step `b`.
const STEPS: &[(&str, &str)] = &[
    (
        r#""agent":"x","approval":"y""#,
        "line 1, column 11: step `a`: both `agent` and `approval`: a step has one of them; make it two steps",
    ),
    (
        r#""agent":"x","Input":1"#,
        "line 2, column 13: step `a`: unknown field `Input`; known are `id`, `agent`, `input`, `approval`, `dependsOn`, `forEach`, `priority`, `timeoutMs`, `delayMs`, `retry`, `labels`, `concurrencyKey`",
    ),
    (r#""agent":"x","input":{"k":1,"\u006b":2}"#, "line 2, column 28: step `a`: the field `k` is there twice"),
    (
        r#""agent":"x","input":["\udc00"]"#,
        "line 2, column 22: step `a`: a text with an escape that stands for no character",
    ),
    (
        r#""agent":"x","input":{"\udc00":1}"#,
        "line 2, column 22: step `a`: a text with an escape that stands for no character",
    ),
    (r#""agent":null"#, "line 2, column 9: step `a`: `agent` is null, where a text is expected"),
    (r#""agent":"x","dependsOn":"b""#, "line 2, column 25: step `a`: `dependsOn` is a text, where a list is expected"),
    (
        r#""agent":"x","dependsOn":["b","c"]"#,
        "line 2, column 30: step `a`: `dependsOn` names `c`, and there is no such step",
    ),
    (r#""agent":"x","dependsOn":["a"]"#, "line 2, column 26: step `a`: `dependsOn` names the step itself"),
    (
        r#""agent":"x","input":[{"$from":"c"}]"#,
        "line 2, column 31: step `a`: `input` names `c`, and there is no such step",
    ),
    (r#""agent":"x","input":{"$from":"a"}"#, "line 2, column 30: step `a`: `input` names the step itself"),
    (
        r#""agent":"x","input":{"$from":"item"}"#,
        "line 2, column 30: step `a`: `item` is used, but the step has no `forEach`",
    ),
    (
        r#""agent":"x","input":{"$from":7}"#,
        "line 2, column 30: step `a`: `$from` is a number, where a text is expected",
    ),
    (
        r#""agent":"x","input":{"$from":"b","path":"x"}"#,
        "line 2, column 41: step `a`: `path`: a path begins with `/`, as in `/files/0`; without a path the whole value is taken",
    ),
    (
        r#""agent":"x","input":{"$from":"b","path":"/~2"}"#,
        "line 2, column 41: step `a`: `path`: a path with `~` before neither 0 nor 1: write `~0` for `~`, and `~1` for `/`",
    ),
    (
        r#""agent":"x","input":{"$from":"b","part":"/x"}"#,
        "line 2, column 34: step `a`: `part` beside `$from`: a reference has `$from` and may have `path`, and nothing else",
    ),
    (
        r#""agent":"x","forEach":[1]"#,
        "line 2, column 23: step `a`: `forEach` is a list, where an object with `$from` is expected",
    ),
    (r#""agent":"x","forEach":{"path":"/x"}"#, "line 2, column 23: step `a`: the field `$from` is missing"),
    (
        r#""agent":"x","forEach":{"$from":"c"}"#,
        "line 2, column 32: step `a`: `forEach` names `c`, and there is no such step",
    ),
    (r#""agent":"x","forEach":{"$from":"a"}"#, "line 2, column 32: step `a`: `forEach` names the step itself"),
    (
        r#""agent":"x","forEach":{"$from":"item"}"#,
        "line 2, column 32: step `a`: `forEach` takes its list from a step, not from `item`",
    ),
    (
        r#""agent":"x","forEach":{"$from":"workflow.input"}"#,
        "line 2, column 32: step `a`: `forEach` takes its list from a step, not from `workflow.input`",
    ),
    (
        r#""agent":"x","priority":"urgent""#,
        "line 2, column 24: step `a`: `priority` is another text, where `high`, `normal` or `low` is expected",
    ),
    (
        r#""agent":"x","timeoutMs":0"#,
        "line 2, column 25: step `a`: `timeoutMs` is 0, where 1 to 31622400000 is allowed",
    ),
    (
        r#""agent":"x","timeoutMs":1.5"#,
        "line 2, column 25: step `a`: `timeoutMs` is another number, where a whole number is expected",
    ),
    (
        r#""agent":"x","delayMs":31622400001"#,
        "line 2, column 23: step `a`: `delayMs` is 31622400001, where 0 to 31622400000 is allowed",
    ),
    (
        r#""agent":"x","delayMs":"1s""#,
        "line 2, column 23: step `a`: `delayMs` is a text, where a whole number is expected",
    ),
    (
        r#""agent":"x","retry":{"maxAttempts":0}"#,
        "line 2, column 36: step `a`: `maxAttempts` is 0, where 1 to 100 is allowed",
    ),
    (
        r#""agent":"x","retry":{"attempts":1}"#,
        "line 2, column 22: step `a`: unknown field `attempts`; known are `maxAttempts`, `baseBackoffMs`, `maxBackoffMs`",
    ),
    (
        r#""agent":"x","retry":{"baseBackoffMs":9,"maxBackoffMs":8}"#,
        "step `a`: `baseBackoffMs` is 9, more than `maxBackoffMs`, which is 8",
    ),
    (
        r#""agent":"x","labels":{"g p":"u"}"#,
        "line 2, column 23: step `a`: `labels`: a name with ' ', where letters, digits, `.`, `_` and `-` are allowed",
    ),
    (
        r#""agent":"x","labels":{"gpu":1}"#,
        "line 2, column 29: step `a`: `labels` is a number, where a text is expected",
    ),
    (
        r#""agent":"x","labels":{"1":"","2":"","3":"","4":"","5":"","6":"","7":"","8":"","9":""}"#,
        "step `a`: 9 labels, where 8 are allowed",
    ),
    (
        r#""approval":"y","input":1"#,
        "line 2, column 16: step `a`: `input` is for steps with an `agent`, not for an `approval`",
    ),
    (
        r#""approval":"y","retry":{}"#,
        "line 2, column 16: step `a`: `retry` is for steps with an `agent`, not for an `approval`",
    ),
];

fn with_step(fields: &str) -> String {
    format!("{{\"steps\":[{{\"id\":\"a\",\n{fields}}},\n{{\"id\":\"b\",\"agent\":\"x\"}}]}}")
}

fn long() -> Vec<(Vec<u8>, &'static str)> {
    let many = |text: &str, count: usize| vec![text; count].join(",");
    let step = |fields: String| with_step(&fields).into_bytes();
    let steps: Vec<_> = (0..66).map(|at| format!(r#"{{"id":"s{at}","agent":"x"}}"#)).collect();
    let ids: Vec<_> = (0..65).map(|at| format!(r#""s{at}""#)).collect();
    let waits =
        format!(r#"{{"steps":[{{"id":"w","agent":"x","dependsOn":[{}]}},{}]}}"#, ids.join(","), steps.join(","));
    vec![
        (vec![b' '; 262_145], "262145 bytes of JSON, where 262144 are allowed"),
        (b"{\"steps\":\n\xff}".to_vec(), "line 2, column 1: not UTF-8, as JSON has to be"),
        (waits.into_bytes(), "step `w`: 65 steps to wait for, where 64 are allowed"),
        (
            step(format!(r#""agent":"x","input":[{}]"#, many(r#"{"$from":"b"}"#, 257))),
            "line 2, column 3606: step `a`: 257 references in `input`, where 256 are allowed",
        ),
        (
            step(format!(r#""agent":"{}""#, "x".repeat(65))),
            "line 2, column 9: step `a`: `agent`: a name of 65 bytes, where 64 are allowed",
        ),
        (
            step(format!(r#""approval":"{}""#, "x".repeat(1_025))),
            "line 2, column 12: step `a`: `approval`: a text of 1025 bytes, where 1024 are allowed",
        ),
        (
            step(format!(r#""agent":"x","labels":{{"gpu":"{}"}}"#, "x".repeat(65))),
            "line 2, column 29: step `a`: `labels`: a text of 65 bytes, where 64 are allowed",
        ),
        (
            step(format!(r#""agent":"x","input":{{"$from":"b","path":"/{}"}}"#, "x".repeat(256))),
            "line 2, column 41: step `a`: `path`: a path of 257 bytes, where 256 are allowed",
        ),
        (
            step(format!(r#""agent":"x","input":{}{}"#, "[".repeat(30), "]".repeat(30))),
            "line 2, column 50: step `a`: nested deeper than 32 objects and lists",
        ),
    ]
}

/// Each of the steps waits for the next, and the last one for the first.
fn ring(ids: impl Iterator<Item = String>) -> Vec<u8> {
    let ids: Vec<_> = ids.collect();
    let step =
        |at: usize| format!(r#"{{"id":"{}","agent":"x","dependsOn":["{}"]}}"#, ids[at], ids[(at + 1) % ids.len()]);
    let steps: Vec<_> = (0..ids.len()).map(step).collect();
    format!(r#"{{"steps":[{}]}}"#, steps.join(",")).into_bytes()
}

fn rings() -> Vec<(Vec<u8>, &'static str)> {
    vec![
        (ring(["a", "b"].map(String::from).into_iter()), "steps that wait for one another: a -> b -> a"),
        (
            ring((0..1_000).map(|at| format!("s{at}"))),
            "steps that wait for one another: s0 -> s1 -> s2 -> s3 -> s4 -> s5 -> s6 -> s7 -> s8 -> s9 -> s10 -> s11 -> \
             s12 -> s13 -> s14 -> s15 -> (984 more) -> s0",
        ),
        (
            br#"{"steps":[{"id":"in","agent":"x","input":{"$from":"c"}},{"id":"a","agent":"x","dependsOn":["c"]},
                {"id":"b","agent":"x","input":[{"$from":"a"}]},{"id":"c","agent":"x","forEach":{"$from":"b"}}]}"#
                .to_vec(),
            "steps that wait for one another: a -> c -> b -> a",
        ),
    ]
}

fn all() -> Vec<(Vec<u8>, &'static str)> {
    let documents = DOCUMENTS.iter().map(|(json, message)| (json.as_bytes().to_vec(), *message));
    let steps = STEPS.iter().map(|(fields, message)| (with_step(fields).into_bytes(), *message));
    documents.chain(steps).chain(long()).chain(rings()).collect()
}

#[test]
fn what_is_wrong_is_said_with_the_step_and_the_place() {
    let wrong: Vec<_> = all()
        .into_iter()
        .filter_map(|(json, message)| {
            let said = refused(&json);
            (said != message).then(|| format!("\n  said {said}\n  not  {message}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[test]
fn a_definition_is_bounded_with_what_it_implies() {
    // Each step refers to 63 others without naming them in `dependsOn`; naming them nearly doubles the text.
    let id = |at: usize| format!("{}{at:03}", "x".repeat(50));
    let step = |at: usize| {
        let references: Vec<_> = (0..at.min(63)).map(|to| format!(r#"{{"$from":"{}"}}"#, id(to))).collect();
        format!(r#"{{"id":"{}","agent":"x","input":[{}]}}"#, id(at), references.join(","))
    };
    let steps: Vec<_> = (0..80).map(step).collect();
    let json = format!(r#"{{"steps":[{}]}}"#, steps.join(","));
    assert!(json.len() <= 262_144, "{}", json.len());
    assert!(refused(json.as_bytes()).ends_with("bytes of JSON, where 262144 are allowed"));
}

/// The messages of a table of the documentation, in the pieces between what differs.
fn documented(marker: &str) -> Vec<Vec<&'static str>> {
    let table =
        PAGE.split(&format!("<!-- {marker} -->\n")).nth(1).and_then(|rest| rest.split("<!-- /").next()).unwrap();
    let cells = table.lines().skip(2).map(|row| row.split('|').nth(1).unwrap().trim());
    cells.map(|cell| cell.split('…').map(str::trim).filter(|piece| !piece.is_empty()).collect()).collect()
}

fn says(message: &str, pieces: &[&str]) -> bool {
    let mut rest = Some(message);
    pieces.iter().for_each(|piece| rest = rest.and_then(|rest| rest.split_once(piece)).map(|(_, rest)| rest));
    rest.is_some()
}

#[test]
fn every_error_is_documented_and_every_documented_error_occurs() {
    let (rows, all) = (documented("errors"), all());
    for (_, message) in &all {
        assert!(rows.iter().any(|row| says(message, row)), "docs/workflows.md does not explain: {message}");
    }
    for row in &rows {
        assert!(
            all.iter().any(|(_, message)| says(message, row)),
            "docs/workflows.md explains what is not said: {row:?}"
        );
    }
}
