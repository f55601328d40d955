//! A definition as JSON, to be shown and read again.

use super::json::quote;
use super::template::write_reference;
use super::*;
use core::fmt::Write;
use rules::whole_milliseconds;

/// Compact, the fields in the order of the documentation, without those that say nothing.
pub(super) fn workflow(workflow: &Workflow) -> String {
    let mut object = Object::open(String::new());
    if let Some(name) = &workflow.name {
        quote(name.as_str(), object.field("name"));
    }
    list(&workflow.steps, object.field("steps"), |item, out| step(item, &workflow.steps, out));
    object.close()
}

fn step(step: &Step, steps: &[Step], out: &mut String) {
    let mut object = Object::open(core::mem::take(out));
    quote(step.id.as_str(), object.field("id"));
    match &step.does {
        Does::Agent { agent, input } => {
            quote(agent.as_str(), object.field("agent"));
            input.write(steps, object.field("input"));
        }
        Does::Approval { prompt } => quote(prompt.as_str(), object.field("approval")),
    }
    if !step.depends_on.is_empty() {
        let id = |on: StepIndex| steps.get(on.position()).map_or("?", |step| step.id.as_str());
        list(&step.depends_on, object.field("dependsOn"), |on, out| quote(id(*on), out));
    }
    if let Some(Source { step, pointer }) = &step.each {
        write_reference(Origin::Step(*step), pointer, steps, object.field("forEach"));
    }
    settings(step, &mut object);
    *out = object.close();
}

fn settings(step: &Step, object: &mut Object) {
    if let Some(priority) = step.priority {
        quote(priority.as_str(), object.field("priority"));
    }
    milliseconds("timeoutMs", step.timeout, object);
    milliseconds("delayMs", step.delay, object);
    if let Some(Retry { attempts_max, base, max }) = step.retry {
        let (base, max) = (whole_milliseconds(base), whole_milliseconds(max));
        let out = object.field("retry");
        let _ = write!(out, r#"{{"maxAttempts":{attempts_max},"baseBackoffMs":{base},"maxBackoffMs":{max}}}"#);
    }
    if !step.labels.is_empty() {
        let mut labels = Object::open(String::new());
        step.labels.iter().for_each(|(label, value)| quote(value.as_str(), labels.field(label.as_str())));
        object.field("labels").push_str(&labels.close());
    }
    if let Some(key) = &step.concurrency_key {
        quote(key.as_str(), object.field("concurrencyKey"));
    }
}

fn milliseconds(field: &str, span: Option<Duration>, object: &mut Object) {
    if let Some(span) = span {
        let _ = write!(object.field(field), "{}", whole_milliseconds(span));
    }
}

fn list<T>(items: &[T], out: &mut String, mut write: impl FnMut(&T, &mut String)) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        out.push_str(if at == 0 { "" } else { "," });
        write(item, out);
    }
    out.push(']');
}

/// An object being written.
struct Object {
    out: String,
    is_empty: bool,
}

impl Object {
    fn open(mut out: String) -> Self {
        out.push('{');
        Self { out, is_empty: true }
    }

    /// Where the value of the next field goes.
    fn field(&mut self, name: &str) -> &mut String {
        self.out.push_str(if self.is_empty { "" } else { "," });
        self.is_empty = false;
        quote(name, &mut self.out);
        self.out.push(':');
        &mut self.out
    }

    fn close(mut self) -> String {
        self.out.push('}');
        self.out
    }
}
