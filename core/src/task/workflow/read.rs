//! A definition from what people write.

use super::json::{Entry, Fault, Shape, Value};
use super::template::{Scope, Written, is_reserved, text};
use super::*;
use alloc::borrow::Cow;

const WORKFLOW_FIELDS: &[&str] = &["name", "steps"];
const STEP_FIELDS: &[&str] = &[
    "id",
    "agent",
    "input",
    "approval",
    "dependsOn",
    "forEach",
    "priority",
    "timeoutMs",
    "delayMs",
    "retry",
    "labels",
    "concurrencyKey",
];
const RETRY_FIELDS: &[&str] = &["maxAttempts", "baseBackoffMs", "maxBackoffMs"];
/// What only steps with an agent may have.
const AGENT_ONLY: &[&str] = &["input", "forEach", "priority", "retry", "labels", "concurrencyKey"];

/// What is around the value of a field of a step: the workflow, the list of steps, the step.
pub(super) const STEP_DEPTH: u32 = 3;

/// Reads a definition. That steps don't wait for one another, and what else takes all of them, is left to
/// [`rules`](super::rules).
pub(super) fn workflow(json: &[u8]) -> Result<Workflow, WorkflowError> {
    let document = Value::of_document(json)?;
    let whole = |fault: Fault| fault.locate(json, Owner::Workflow);
    let fields = Fields::of("the workflow", document, WORKFLOW_FIELDS).map_err(whole)?;
    let name = fields.optional("name", name).map_err(whole)?;
    let steps = fields.needed("steps", |field, value| list(field, value)).map_err(whole)?;
    let count = steps.len();
    if count > STEPS_MAX {
        let problem = Problem::TooMany { what: "steps", count: count as u64, max: STEPS_MAX as u64 };
        return Err(whole(document.fault(problem)));
    }
    let drafts = drafts(json, steps)?;
    let by_id = drafts.iter().enumerate().map(|(at, draft)| (draft.id.as_str(), StepIndex::of(at))).collect();
    let steps = drafts.iter().enumerate().map(|(at, draft)| {
        let own = StepIndex::of(at);
        let owner = Owner::Step { index: own, id: Some(draft.id.clone()) };
        draft.step(&by_id, own).map_err(|fault| fault.locate(json, owner))
    });
    Ok(Workflow { name, steps: steps.collect::<Result<_, _>>()? })
}

/// A step of which the id is read, so that others can be told what it means.
struct Draft<'a> {
    id: Name,
    whole: Value<'a>,
    fields: Fields<'a>,
}

fn drafts<'a>(json: &[u8], steps: Vec<Value<'a>>) -> Result<Vec<Draft<'a>>, WorkflowError> {
    let mut first = BTreeMap::new();
    let mut drafts = Vec::with_capacity(steps.len());
    for (at, whole) in steps.into_iter().enumerate() {
        let index = StepIndex::of(at);
        let unnamed = |fault: Fault| fault.locate(json, Owner::Step { index, id: None });
        let fields = Fields::all("the step", whole).map_err(unnamed)?;
        let (id, value) = fields.needed("id", |field, value| Ok((name(field, value)?, value))).map_err(unnamed)?;
        let named = |fault: Fault| fault.locate(json, Owner::Step { index, id: Some(id.clone()) });
        if is_reserved(id.as_str()) {
            return Err(named(value.fault(Problem::ReservedId)));
        }
        if let Some(other) = first.insert(id.clone(), index) {
            return Err(named(value.fault(Problem::DuplicateId { other })));
        }
        fields.only(STEP_FIELDS).map_err(named)?;
        drafts.push(Draft { id, whole, fields });
    }
    Ok(drafts)
}

impl Draft<'_> {
    fn step(&self, steps: &BTreeMap<&str, StepIndex>, own: StepIndex) -> Result<Step, Fault> {
        let fields = &self.fields;
        let (agent, prompt) = (fields.optional("agent", name)?, fields.optional("approval", short)?);
        if prompt.is_some() && agent.is_none() {
            fields.none_of(AGENT_ONLY)?;
        }
        let mut scope = Scope { steps, own, is_repeated: false };
        let depends_on = fields.optional("dependsOn", |field, value| dependencies(field, value, &scope))?;
        let each = fields.optional("forEach", |field, value| source(field, value, &scope))?;
        scope.is_repeated = each.is_some();
        let input = fields.optional("input", |_, value| Template::read(value, STEP_DEPTH, &scope))?;
        let does = match (agent, prompt) {
            (Some(agent), None) => Does::Agent { agent, input: input.unwrap_or_default() },
            (None, Some(prompt)) => Does::Approval { prompt },
            (Some(_), Some(_)) => return Err(self.whole.fault(Problem::TwoThingsToDo)),
            (None, None) => return Err(self.whole.fault(Problem::NothingToDo)),
        };
        let mut step = Step {
            id: self.id.clone(),
            does,
            depends_on: depends_on.unwrap_or_default(),
            each,
            priority: fields.optional("priority", priority)?,
            timeout: fields.optional("timeoutMs", |field, value| milliseconds(field, value, 1))?,
            retry: fields.optional("retry", retry)?,
            labels: fields.optional("labels", labels)?.unwrap_or_default(),
            concurrency_key: fields.optional("concurrencyKey", name)?,
            delay: fields.optional("delayMs", |field, value| milliseconds(field, value, 0))?,
        };
        let used: Vec<StepIndex> = step.uses().collect();
        step.depends_on.extend(used);
        step.depends_on.sort_unstable();
        step.depends_on.dedup();
        Ok(step)
    }
}

fn dependencies(field: &'static str, value: Value<'_>, scope: &Scope<'_>) -> Result<Vec<StepIndex>, Fault> {
    let named = |value: Value<'_>| {
        let id = text(field, value)?;
        scope.step(field, &id).map_err(|problem| value.fault(problem))
    };
    list(field, value)?.into_iter().map(named).collect()
}

fn source(field: &'static str, value: Value<'_>, scope: &Scope<'_>) -> Result<Source, Fault> {
    let Shape::Object(entries) = value.shape()? else {
        return Err(wrong_kind(field, value, "an object with `$from`"));
    };
    let written = Written::read(value, entries)?;
    if let Some(from) = written.reserved() {
        return Err(written.from.fault(Problem::ListNotOfAStep { from }));
    }
    let step = scope.step(field, &written.name).map_err(|problem| written.from.fault(problem))?;
    Ok(Source { step, pointer: written.pointer })
}

fn priority(field: &'static str, value: Value<'_>) -> Result<Priority, Fault> {
    let expected = "`high`, `normal` or `low`";
    let known = Priority::from_name(&text(field, value)?);
    let found = "another text";
    known.ok_or_else(|| value.fault(Problem::WrongKind { field, found, expected }))
}

fn retry(field: &'static str, value: Value<'_>) -> Result<Retry, Fault> {
    let fields = Fields::of(field, value, RETRY_FIELDS)?;
    let most = u64::from(ATTEMPTS_MAX);
    let attempts = fields.optional("maxAttempts", |field, value| number(field, value, 1, most))?;
    let base = fields.optional("baseBackoffMs", |field, value| milliseconds(field, value, 0))?;
    let max = fields.optional("maxBackoffMs", |field, value| milliseconds(field, value, 0))?;
    let usual = Retry::default();
    // What is not said gives way to what is.
    let max = max.unwrap_or_else(|| usual.max.max(base.unwrap_or_default()));
    let attempts_max = attempts.and_then(|attempts| u16::try_from(attempts).ok()).unwrap_or(usual.attempts_max);
    Ok(Retry { attempts_max, base: base.unwrap_or(usual.base.min(max)), max })
}

fn labels(field: &'static str, value: Value<'_>) -> Result<BTreeMap<Name, Text<LABEL_BYTES_MAX>>, Fault> {
    let Shape::Object(entries) = value.shape()? else { return Err(wrong_kind(field, value, "an object")) };
    let label = |Entry { key, written, value }: Entry<'_>| {
        let name = Name::new(&key).map_err(|error| written.fault(Problem::Name { field, error }))?;
        Ok((name, short(field, value)?))
    };
    entries.into_iter().map(label).collect()
}

fn name(field: &'static str, value: Value<'_>) -> Result<Name, Fault> {
    Name::new(&text(field, value)?).map_err(|error| value.fault(Problem::Name { field, error }))
}

fn short<const MAX: usize>(field: &'static str, value: Value<'_>) -> Result<Text<MAX>, Fault> {
    Text::new(&text(field, value)?).map_err(|error| value.fault(Problem::Text { field, error }))
}

fn list<'a>(field: &'static str, value: Value<'a>) -> Result<Vec<Value<'a>>, Fault> {
    match value.shape()? {
        Shape::List(items) => Ok(items),
        _ => Err(wrong_kind(field, value, "a list")),
    }
}

fn milliseconds(field: &'static str, value: Value<'_>, min: u64) -> Result<Duration, Fault> {
    number(field, value, min, rules::whole_milliseconds(DURATION_MAX)).map(Duration::from_millis)
}

fn number(field: &'static str, value: Value<'_>, min: u64, max: u64) -> Result<u64, Fault> {
    let number = value.text.parse::<u64>();
    match number.map_err(|_| wrong_kind(field, value, "a whole number")) {
        Ok(found) if !(min..=max).contains(&found) => Err(value.fault(Problem::OutOfRange { field, found, min, max })),
        other => other,
    }
}

fn wrong_kind(field: &'static str, value: Value<'_>, expected: &'static str) -> Fault {
    let found = match value.kind() {
        "a number" if expected == "a whole number" => "another number",
        found => found,
    };
    value.fault(Problem::WrongKind { field, found, expected })
}

/// The fields of an object.
struct Fields<'a> {
    whole: Value<'a>,
    entries: Vec<Entry<'a>>,
}

impl<'a> Fields<'a> {
    /// Those of an object that has no other ones than these.
    fn of(field: &'static str, value: Value<'a>, known: &'static [&'static str]) -> Result<Self, Fault> {
        let fields = Self::all(field, value)?;
        fields.only(known).map(|()| fields)
    }

    fn all(field: &'static str, whole: Value<'a>) -> Result<Self, Fault> {
        match whole.shape()? {
            Shape::Object(entries) => Ok(Self { whole, entries }),
            _ => Err(wrong_kind(field, whole, "an object")),
        }
    }

    fn only(&self, known: &'static [&'static str]) -> Result<(), Fault> {
        let unknown = self.entries.iter().find(|entry| !known.contains(&&*entry.key));
        unknown.map_or(Ok(()), |Entry { key, written, .. }| {
            Err(written.fault(Problem::UnknownField { field: Cow::clone(key).into(), known }))
        })
    }

    fn none_of(&self, not_here: &[&'static str]) -> Result<(), Fault> {
        let found = self.entries.iter().find(|entry| not_here.contains(&&*entry.key));
        let field = |entry: &Entry<'_>| not_here.iter().find(|field| **field == entry.key).copied();
        match found.and_then(|entry| Some((entry, field(entry)?))) {
            Some((entry, field)) => Err(entry.written.fault(Problem::NotForApproval { field })),
            None => Ok(()),
        }
    }

    fn optional<T>(
        &self,
        field: &'static str,
        read: impl FnOnce(&'static str, Value<'a>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let found = self.entries.iter().find(|entry| entry.key == field);
        found.map(|entry| read(field, entry.value)).transpose()
    }

    fn needed<T>(
        &self,
        field: &'static str,
        read: impl FnOnce(&'static str, Value<'a>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let whole = self.whole;
        self.optional(field, read)?.ok_or_else(|| whole.fault(Problem::MissingField { field }))
    }
}
