//! The input of a step: JSON with references that are filled in once the steps they name have succeeded.

use super::json::{self, Fault, Shape, Value};
use super::{DEPTH_MAX, INPUT_BYTES_MAX, Output, Pointer, Problem, REFERENCES_MAX, ResolveError, Step, StepIndex};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use serde::{Deserialize, Serialize};

/// The key that makes an object a reference.
pub(super) const FROM: &str = "$from";
/// The key of where in the output.
pub(super) const PATH: &str = "path";
const ITEM: &str = "item";
const WORKFLOW_INPUT: &str = "workflow.input";

/// JSON with holes. What is around them is kept as it was written, but for white space: numbers keep their digits, and
/// objects their order.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Template {
    parts: Vec<Part>,
}

/// Never two literals in a row, and none that is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Part {
    Literal(Box<str>),
    Reference(Reference),
}

/// What is to be filled in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// From where.
    pub from: Origin,
    /// What of it.
    pub pointer: Pointer,
}

/// Where the value of a reference comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// The output of a step; of one that is repeated, the list of the outputs of its instances.
    Step(StepIndex),
    /// The item of the list for which this instance runs.
    Item,
    /// What the workflow was given when it was submitted.
    WorkflowInput,
}

impl Origin {
    /// The step, if it is one.
    pub const fn step(self) -> Option<StepIndex> {
        match self {
            Self::Step(step) => Some(step),
            Self::Item | Self::WorkflowInput => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => write!(f, "the output of step number {}", step.position() + 1),
            Self::Item => f.write_str("the item"),
            Self::WorkflowInput => f.write_str("the input of the workflow"),
        }
    }
}

impl Template {
    /// A text and nothing else. Without a character it is what agents get of which the definition says nothing.
    pub fn text(text: &str) -> Self {
        let mut json = String::new();
        json::quote(text, &mut json);
        Self { parts: [Part::Literal(json.into())].into() }
    }

    /// Bytes of what is around the references.
    pub fn bytes(&self) -> usize {
        let literal = |part: &Part| if let Part::Literal(text) = part { text.len() } else { 0 };
        self.parts.iter().map(literal).sum()
    }

    /// What is filled in, in the order of the text.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(reference),
            Part::Literal(_) => None,
        })
    }

    /// The bytes for the agent. `lookup` gives what a reference's [`Origin`] stands for; the pointer is applied here.
    ///
    /// What comes out as one JSON string is given as its text, without quotes and escapes; anything else as JSON. A
    /// template that is one reference to a whole output passes bytes on that are not UTF-8; anywhere else those are
    /// refused. Costs the length of what is built, and of each output once for each reference to it.
    ///
    /// # Errors
    /// [`ResolveError`] says what is missing, or that the whole would have more than [`INPUT_BYTES_MAX`] bytes.
    pub fn resolve<'o>(&self, lookup: impl Fn(&Reference) -> Option<&'o Output<'o>>) -> Result<Vec<u8>, ResolveError> {
        let given = |reference: &Reference| lookup(reference).ok_or(ResolveError::Missing { from: reference.from });
        if let [Part::Reference(reference)] = &self.parts[..] {
            let output = given(reference)?;
            return match output.opaque().filter(|_| reference.pointer.is_whole()) {
                Some(bytes) => bounded(bytes.len()).map(|()| bytes.to_vec()),
                None => output.find(&reference.pointer).and_then(plain),
            };
        }
        let mut out = String::new();
        for part in &self.parts {
            let text = match part {
                Part::Literal(text) => text,
                Part::Reference(reference) => given(reference)?.find(&reference.pointer)?,
            };
            bounded(out.len() + text.len())?;
            out.push_str(text);
        }
        plain(&out)
    }

    /// Reads one from a definition. `depth` is that of what is around it.
    pub(super) fn read(value: Value<'_>, depth: u32, scope: &Scope<'_>) -> Result<Self, Fault> {
        let mut reader = Reader { scope, parts: Vec::new(), literal: String::new(), references: 0 };
        reader.value(value, depth)?;
        reader.close();
        Ok(Self { parts: reader.parts })
    }

    /// Appends it as it stands in a definition. Steps that are not there are written as `?`.
    pub(super) fn write(&self, steps: &[Step], out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Reference(reference) => write_reference(reference.from, &reference.pointer, steps, out),
            }
        }
    }
}

impl Default for Template {
    fn default() -> Self {
        Self::text("")
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(text) => f.write_str(text),
            Part::Reference(Reference { from, pointer }) => write!(f, "<{from:?}{pointer}>"),
        })
    }
}

fn bounded(bytes: usize) -> Result<(), ResolveError> {
    (bytes <= INPUT_BYTES_MAX).then_some(()).ok_or(ResolveError::TooLarge)
}

/// What an agent gets on its standard input for a JSON value.
fn plain(json: &str) -> Result<Vec<u8>, ResolveError> {
    bounded(json.len())?;
    match json.starts_with('"') {
        true => json::decoded(json).map(|text| text.as_bytes().to_vec()).ok_or(ResolveError::BrokenEscape),
        false => Ok(json.as_bytes().to_vec()),
    }
}

/// Appends a reference as it stands in a definition.
pub(super) fn write_reference(from: Origin, pointer: &Pointer, steps: &[Step], out: &mut String) {
    let name = match from {
        Origin::Step(step) => steps.get(step.position()).map_or("?", |step| step.id.as_str()),
        Origin::Item => ITEM,
        Origin::WorkflowInput => WORKFLOW_INPUT,
    };
    out.push_str("{\"$from\":");
    json::quote(name, out);
    if !pointer.is_whole() {
        out.push_str(",\"path\":");
        json::quote(pointer.as_str(), out);
    }
    out.push('}');
}

/// What names mean inside one step.
pub(super) struct Scope<'a> {
    pub(super) steps: &'a BTreeMap<&'a str, StepIndex>,
    pub(super) own: StepIndex,
    pub(super) is_repeated: bool,
}

/// Whether a step may not be called so.
pub(super) fn is_reserved(id: &str) -> bool {
    [ITEM, WORKFLOW_INPUT].contains(&id)
}

impl Scope<'_> {
    /// The step that `id` names in `field`, which is not the one that names it.
    pub(super) fn step(&self, field: &'static str, id: &str) -> Result<StepIndex, Problem> {
        match self.steps.get(id) {
            Some(step) if *step == self.own => Err(Problem::Itself { field }),
            Some(step) => Ok(*step),
            None => Err(Problem::UnknownStep { field, id: id.into() }),
        }
    }

    fn origin(&self, name: &str) -> Result<Origin, Problem> {
        match name {
            ITEM if !self.is_repeated => Err(Problem::NoItem),
            ITEM => Ok(Origin::Item),
            WORKFLOW_INPUT => Ok(Origin::WorkflowInput),
            _ => self.step("input", name).map(Origin::Step),
        }
    }
}

/// The two fields of a reference.
pub(super) struct Written<'a> {
    pub(super) from: Value<'a>,
    pub(super) name: Cow<'a, str>,
    pub(super) pointer: Pointer,
}

impl<'a> Written<'a> {
    /// Reads the fields of an object that has `$from`, or should have it.
    pub(super) fn read(object: Value<'a>, entries: Vec<json::Entry<'a>>) -> Result<Self, Fault> {
        let (mut from, mut pointer) = (None, Pointer::default());
        for json::Entry { key, written, value } in entries {
            match &*key {
                FROM => from = Some((value, text(FROM, value)?)),
                PATH => {
                    let path = Pointer::new(&text(PATH, value)?);
                    pointer = path.map_err(|error| value.fault(Problem::Path(error)))?;
                }
                other => return Err(written.fault(Problem::BesideFrom { field: other.into() })),
            }
        }
        let (from, name) = from.ok_or_else(|| object.fault(Problem::MissingField { field: FROM }))?;
        Ok(Self { from, name, pointer })
    }

    /// The name of what a list cannot come from, if it is one.
    pub(super) fn reserved(&self) -> Option<&'static str> {
        [ITEM, WORKFLOW_INPUT].into_iter().find(|reserved| *reserved == self.name)
    }
}

/// The text that a value is.
pub(super) fn text<'a>(field: &'static str, value: Value<'a>) -> Result<Cow<'a, str>, Fault> {
    match value.shape()? {
        Shape::Text(text) => Ok(text),
        _ => Err(value.fault(Problem::WrongKind { field, found: value.kind(), expected: "a text" })),
    }
}

struct Reader<'a> {
    scope: &'a Scope<'a>,
    parts: Vec<Part>,
    literal: String,
    references: usize,
}

impl Reader<'_> {
    /// Recurses as deep as [`DEPTH_MAX`].
    fn value(&mut self, value: Value<'_>, depth: u32) -> Result<(), Fault> {
        let is_nested = value.text.starts_with(['{', '[']);
        if is_nested && depth >= DEPTH_MAX {
            return Err(value.fault(Problem::TooDeep));
        }
        match value.shape()? {
            Shape::Object(entries) if entries.iter().any(|entry| entry.key == FROM) => self.reference(value, entries),
            Shape::Object(entries) => self.object(entries, depth + 1),
            Shape::List(items) => self.list(items, depth + 1),
            Shape::Text(_) | Shape::Number | Shape::Boolean | Shape::Null => {
                self.literal.push_str(value.text);
                Ok(())
            }
        }
    }

    fn object(&mut self, entries: Vec<json::Entry<'_>>, depth: u32) -> Result<(), Fault> {
        self.literal.push('{');
        for (at, json::Entry { written, value, .. }) in entries.into_iter().enumerate() {
            self.literal.push_str(if at == 0 { "" } else { "," });
            self.literal.push_str(written.text);
            self.literal.push(':');
            self.value(value, depth)?;
        }
        self.literal.push('}');
        Ok(())
    }

    fn list(&mut self, items: Vec<Value<'_>>, depth: u32) -> Result<(), Fault> {
        self.literal.push('[');
        for (at, item) in items.into_iter().enumerate() {
            self.literal.push_str(if at == 0 { "" } else { "," });
            self.value(item, depth)?;
        }
        self.literal.push(']');
        Ok(())
    }

    fn reference(&mut self, object: Value<'_>, entries: Vec<json::Entry<'_>>) -> Result<(), Fault> {
        let written = Written::read(object, entries)?;
        let from = self.scope.origin(&written.name).map_err(|problem| written.from.fault(problem))?;
        self.references += 1;
        if self.references > REFERENCES_MAX {
            let (count, max) = (self.references as u64, REFERENCES_MAX as u64);
            return Err(object.fault(Problem::TooMany { what: "references in `input`", count, max }));
        }
        self.close();
        self.parts.push(Part::Reference(Reference { from, pointer: written.pointer }));
        Ok(())
    }

    fn close(&mut self) {
        if !self.literal.is_empty() {
            self.parts.push(Part::Literal(mem::take(&mut self.literal).into()));
        }
    }
}
