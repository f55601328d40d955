//! What a run is made from: what is missing of it is asked for, piece by piece, and then put together.

use crate::codec::decode_value;
use crate::shards::ShardId;
use crate::shards::host::{Reply, Request};
use crate::shards::state::task_query;
use crate::task::answer::{Answer, Job, JobInput, Query};
use crate::task::payload::Payload;
use crate::task::transfer::Download;
use crate::task::workflow::{Origin, Output, Reference, ResolveError, Step, StepIndex, Template, item};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

/// Whose bytes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// The input of the task.
    Task,
    /// What an instance of a step gave; of a step without instances, the first.
    Step(StepIndex, u32),
}

/// What a step gave.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    is_list: bool,
    /// Instances of which the payloads are known.
    known: u32,
    is_whole: bool,
}

/// What is missing of an input, and what is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Inputs {
    have: BTreeMap<Source, Box<[u8]>>,
    shapes: BTreeMap<StepIndex, Shape>,
    /// Blobs that are to be brought.
    blobs: VecDeque<(Source, Download)>,
}

impl Inputs {
    /// What a job comes with.
    pub(super) fn of(job: &Job) -> Self {
        let mut inputs = Self::default();
        match &job.input {
            JobInput::Given(input) => inputs.put(Source::Task, input.as_ref()),
            JobInput::Made { step, workflow, outputs } => {
                let needed = sources(step);
                inputs.put(Source::Task, workflow.as_ref());
                inputs.shapes.extend(needed.iter().map(|step| (*step, Shape::default())));
                for (step, output) in outputs.iter().filter(|(step, _)| needed.contains(step)) {
                    inputs.put(Source::Step(*step, 0), Some(output));
                    inputs.shapes.insert(*step, Shape { is_list: false, known: 1, is_whole: true });
                }
            }
        }
        inputs
    }

    fn put(&mut self, source: Source, payload: Option<&Payload>) {
        match payload {
            None => {}
            Some(Payload::Inline(bytes)) => drop(self.have.insert(source, bytes.as_ref().into())),
            Some(Payload::Blob { address, .. }) => self.blobs.push_back((source, Download::of(*address))),
        }
    }

    /// What is to be asked next; nothing when all is there.
    pub(super) fn request(&self, shard: ShardId, job: &Job) -> Option<Request> {
        if let Some((_, download)) = self.blobs.front() {
            return Some(download.request(shard));
        }
        let (step, shape) = self.shapes.iter().find(|(_, shape)| !shape.is_whole)?;
        let query = task_query(&Query::Outputs { task: job.task, step: *step, from: shape.known });
        Some(Request::Read { shard, query })
    }

    /// Takes the answer to that.
    ///
    /// # Errors
    /// What is wrong, for people, where asking again is of no use.
    pub(super) fn take(&mut self, reply: &Reply) -> Result<(), Box<str>> {
        let Reply::Done(bytes) = reply else { return Err(format!("an input could not be read: {reply:?}").into()) };
        if let Some((source, download)) = self.blobs.front_mut() {
            let done = download.take(&bytes.0).map_err(|_| "an input is not what its hash says".to_string())?;
            if let Some(whole) = done {
                let source = *source;
                self.have.insert(source, whole.into());
                self.blobs.pop_front();
            }
            return Ok(());
        }
        match decode_value(&bytes.0) {
            Ok(Answer::Outputs { is_list, outputs, has_more }) => {
                self.take_outputs(is_list, &outputs, has_more);
                Ok(())
            }
            _ => Err("the output of an earlier step is not there".into()),
        }
    }

    fn take_outputs(&mut self, is_list: bool, outputs: &[Payload], has_more: bool) {
        let Some((step, shape)) = self.shapes.iter_mut().find(|(_, shape)| !shape.is_whole) else { return };
        let (step, from) = (*step, shape.known);
        shape.known += outputs.len() as u32;
        shape.is_list = is_list;
        // What does not go on is over.
        shape.is_whole = !has_more || outputs.is_empty();
        for (number, output) in outputs.iter().enumerate() {
            self.put(Source::Step(step, from + number as u32), Some(output));
        }
    }

    /// The bytes for the agent.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    pub(super) fn make(&self, job: &Job) -> Result<Vec<u8>, Box<str>> {
        let task = self.have.get(&Source::Task).map(|bytes| bytes.as_ref());
        let JobInput::Made { step, .. } = &job.input else { return Ok(task.unwrap_or_default().to_vec()) };
        let words = |error: ResolveError| Box::from(format!("the input cannot be made: {error}"));
        let made = self.outputs().and_then(|outputs| fill(step, job.item, task, &outputs));
        made.map_err(words)
    }

    fn outputs(&self) -> Result<BTreeMap<StepIndex, Output<'_>>, ResolveError> {
        let output = |(step, shape): (&StepIndex, &Shape)| {
            let instances = (0..shape.known).filter_map(|at| self.have.get(&Source::Step(*step, at)));
            let mut instances = instances.map(|bytes| bytes.as_ref());
            let output = match shape.is_list {
                true => Output::of_instances(instances)?,
                false => Output::of(instances.next().unwrap_or_default()),
            };
            Ok((*step, output))
        };
        self.shapes.iter().map(output).collect()
    }
}

fn fill(
    step: &Step,
    number: Option<u32>,
    task: Option<&[u8]>,
    outputs: &BTreeMap<StepIndex, Output<'_>>,
) -> Result<Vec<u8>, ResolveError> {
    let Some(template) = step.input() else { return Ok(Vec::new()) };
    let workflow = task.map(Output::of);
    let list = step.each.as_ref().and_then(|source| Some((outputs.get(&source.step)?, &source.pointer)));
    let item = match (list, number) {
        (Some((list, pointer)), Some(number)) => Some(item(list, pointer, number)?),
        _ => None,
    };
    template.resolve(|reference: &Reference| match reference.from {
        Origin::Step(step) => outputs.get(&step),
        Origin::Item => item.as_ref(),
        Origin::WorkflowInput => workflow.as_ref(),
    })
}

/// The steps of which the outputs are needed to make the input of another one.
pub(in crate::task) fn sources(step: &Step) -> BTreeSet<StepIndex> {
    let of_input = step.input().into_iter().flat_map(Template::references).filter_map(|it| it.from.step());
    let has_item = step.input().is_some_and(|input| input.references().any(|it| it.from == Origin::Item));
    step.each.iter().filter(|_| has_item).map(|source| source.step).chain(of_input).collect()
}
