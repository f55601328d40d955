//! What every step of a task has to be given, and has to come to: worked out from its definition and nothing else.

use crate::mesh::clients::shards::{APPROVED, output_of};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::task::command::{Submit, What};
use relaymesh_core::task::payload::Payload;
use relaymesh_core::task::workflow::{Name, Origin, Output, Reference, Retry, Step, Workflow, count_items, item};

/// A step, by what the workflow calls it, and the item of a list.
pub(super) type Place = (Option<Name>, Option<u32>);

/// What a step has to be given, and what it has to come to.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) input: Vec<u8>,
    pub(super) output: Vec<u8>,
    /// What has to have succeeded before.
    pub(super) after: Vec<Place>,
    /// With what it shares a limit.
    pub(super) key: Option<Name>,
    /// How often it may be tried.
    pub(super) retry: Retry,
}

/// What every step has to be given, and has to come to.
pub(super) fn expected(submit: &Submit) -> BTreeMap<Place, Expected> {
    match &submit.what {
        What::Agent { agent, concurrency_key: key, retry, .. } => {
            let input = match &submit.input {
                Some(Payload::Inline(bytes)) => bytes.to_vec(),
                _ => Vec::new(),
            };
            let output = output_of(agent.as_str(), &input, "");
            let (after, key, retry) = (Vec::new(), key.clone(), retry.unwrap_or_default());
            BTreeMap::from([((None, None), Expected { input, output, after, key, retry })])
        }
        What::Workflow(workflow) => of_workflow(workflow),
    }
}

fn of_workflow(workflow: &Workflow) -> BTreeMap<Place, Expected> {
    let (mut found, mut outputs) = (BTreeMap::new(), BTreeMap::<u16, Vec<Vec<u8>>>::new());
    for index in workflow.graph().order() {
        let Some(step) = workflow.step(*index) else { continue };
        let given = |of: u16, outputs: &BTreeMap<u16, Vec<Vec<u8>>>| -> Vec<u8> {
            let all = outputs.get(&of).cloned().unwrap_or_default();
            match workflow.steps[usize::from(of)].is_repeated() {
                // A list of what its instances gave.
                true => {
                    let quoted = all.iter().map(|it| format!("\"{}\"", String::from_utf8_lossy(it)));
                    format!("[{}]", quoted.collect::<Vec<_>>().join(",")).into_bytes()
                }
                false => all.into_iter().next().unwrap_or_default(),
            }
        };
        let list = step.each.as_ref().map(|source| given(source.step.0, &outputs));
        let count = match (&list, &step.each) {
            (Some(list), Some(source)) => count_items(&Output::of(list), &source.pointer).unwrap_or(0),
            _ => 1,
        };
        let after: Vec<Place> = step.depends_on.iter().flat_map(|on| places(workflow, on.0, &outputs)).collect();
        let mut made = vec![];
        for number in 0..count {
            let sources: BTreeMap<u16, Vec<u8>> = outputs.keys().map(|of| (*of, given(*of, &outputs))).collect();
            let input = input_of(step, number, list.as_deref(), &sources);
            let output = match step.agent() {
                Some(agent) => output_of(agent.as_str(), &input, ""),
                None => APPROVED.as_bytes().to_vec(),
            };
            made.push(output.clone());
            let place = (Some(step.id.clone()), step.is_repeated().then_some(number));
            let (after, key) = (after.clone(), step.concurrency_key.clone());
            found.insert(place, Expected { input, output, after, key, retry: step.retry.unwrap_or_default() });
        }
        outputs.insert(index.0, made);
    }
    found
}

fn places(workflow: &Workflow, of: u16, outputs: &BTreeMap<u16, Vec<Vec<u8>>>) -> Vec<Place> {
    let step = &workflow.steps[usize::from(of)];
    let count = outputs.get(&of).map_or(0, Vec::len) as u32;
    (0..count).map(|number| (Some(step.id.clone()), step.is_repeated().then_some(number))).collect()
}

fn input_of(step: &Step, number: u32, list: Option<&[u8]>, sources: &BTreeMap<u16, Vec<u8>>) -> Vec<u8> {
    let outputs: BTreeMap<u16, Output<'_>> = sources.iter().map(|(of, bytes)| (*of, Output::of(bytes))).collect();
    let list = list.map(Output::of);
    let found =
        list.as_ref().zip(step.each.as_ref()).and_then(|(list, source)| item(list, &source.pointer, number).ok());
    let lookup = |reference: &Reference| match reference.from {
        Origin::Step(step) => outputs.get(&step.0),
        Origin::Item => found.as_ref(),
        Origin::WorkflowInput => None,
    };
    step.input().and_then(|input| input.resolve(lookup).ok()).unwrap_or_default()
}
