//! JSON with places: what is read keeps its text as it was written, and knows where it stands.
//!
//! Syntax is left to the JSON library, which is asked for the text of values, never for numbers. Looking into a value
//! goes one level down, so it costs the length of the value; nothing here recurses.

use super::{JSON_BYTES_MAX, Owner, Place, Problem, WorkflowError};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A problem, and the byte of the document at which it is.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    at: usize,
    problem: Problem,
}

impl Fault {
    /// Says which step it is in, and turns the byte into a line and a column.
    pub(super) fn locate(self, document: &[u8], owner: Owner) -> WorkflowError {
        WorkflowError { place: Some(place(document, self.at)), owner, problem: self.problem }
    }

    /// What is wrong, where its place means nothing.
    pub(super) fn into_problem(self) -> Problem {
        self.problem
    }
}

fn place(document: &[u8], at: usize) -> Place {
    let before = &document[..at.min(document.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    Place { line: line as u32, column: column as u32 }
}

/// A value as it is written, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    pub(super) text: &'a str,
    at: usize,
}

/// A key, its value, and how the key is written.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) written: Value<'a>,
    pub(super) value: Value<'a>,
}

/// What a value is, one level deep.
#[derive(Clone, Debug)]
pub(super) enum Shape<'a> {
    Object(Vec<Entry<'a>>),
    List(Vec<Value<'a>>),
    Text(Cow<'a, str>),
    Number,
    Boolean,
    Null,
}

impl<'a> Value<'a> {
    /// The only value of a document.
    pub(super) fn of_document(json: &'a [u8]) -> Result<Self, WorkflowError> {
        let refused = |place, problem| WorkflowError { place, owner: Owner::Workflow, problem };
        if json.len() > JSON_BYTES_MAX {
            return Err(refused(None, Problem::TooLarge { bytes: json.len() as u64 }));
        }
        let text = core::str::from_utf8(json)
            .map_err(|error| refused(Some(place(json, error.valid_up_to())), Problem::NotUtf8))?;
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
            let place = Place { line: error.line().max(1) as u32, column: error.column().max(1) as u32 };
            refused(Some(place), Problem::Malformed { reason: reason(&error) })
        })?;
        Ok(Self { text: raw.get(), at: distance(text, raw.get()) })
    }

    /// That something is wrong here.
    pub(super) fn fault(self, problem: Problem) -> Fault {
        Fault { at: self.at, problem }
    }

    /// What it is, as people say it.
    pub(super) fn kind(self) -> &'static str {
        kind(self.text)
    }

    /// What it is. Objects with a key twice are refused.
    pub(super) fn shape(self) -> Result<Shape<'a>, Fault> {
        Ok(match self.text.as_bytes().first() {
            Some(b'{') => Shape::Object(self.entries()?),
            Some(b'[') => Shape::List(self.items()?),
            Some(b'"') => Shape::Text(self.decoded()?),
            Some(b't' | b'f') => Shape::Boolean,
            Some(b'n') => Shape::Null,
            _ => Shape::Number,
        })
    }

    fn entries(self) -> Result<Vec<Entry<'a>>, Fault> {
        let read = EntriesOf.deserialize(&mut serde_json::Deserializer::from_str(self.text));
        let read = read.map_err(|error| self.fault(Problem::Malformed { reason: reason(&error) }))?;
        let mut entries = Vec::with_capacity(read.len());
        for (key, value) in read {
            let (written, value) = (self.inside(key), self.inside(value));
            entries.push(Entry { key: written.decoded()?, written, value });
        }
        let mut seen = BTreeSet::new();
        match entries.iter().find(|entry| !seen.insert(&*entry.key)) {
            Some(twice) => Err(twice.written.fault(Problem::DuplicateField { field: (*twice.key).into() })),
            None => Ok(entries),
        }
    }

    fn items(self) -> Result<Vec<Self>, Fault> {
        let read: Result<Vec<&RawValue>, _> = serde_json::from_str(self.text);
        let read = read.map_err(|error| self.fault(Problem::Malformed { reason: reason(&error) }))?;
        Ok(read.into_iter().map(|item| self.inside(item)).collect())
    }

    fn decoded(self) -> Result<Cow<'a, str>, Fault> {
        decoded(self.text).ok_or_else(|| self.fault(Problem::BrokenEscape))
    }

    fn inside(self, part: &'a RawValue) -> Self {
        Self { text: part.get(), at: self.at + distance(self.text, part.get()) }
    }
}

/// Bytes from the begin of a text to that of a part of it.
fn distance(whole: &str, part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(whole.as_ptr().addr())
}

/// What the library says, without the place, which it counts from where it was set to work.
fn reason(error: &serde_json::Error) -> Box<str> {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(&*text, |(reason, _)| reason).into()
}

/// What a value is, as people say it.
pub(super) fn kind(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// What a JSON string says; `None` where an escape stands for no character.
pub(super) fn decoded(text: &str) -> Option<Cow<'_, str>> {
    match text.contains('\\') {
        true => serde_json::from_str(text).ok().map(Cow::Owned),
        false => text.get(1..text.len().saturating_sub(1)).map(Cow::Borrowed),
    }
}

/// The only value in a text, without the white space around it; `None` where the text is not JSON.
pub(super) fn value(text: &str) -> Option<&str> {
    serde_json::from_str::<&RawValue>(text).ok().map(RawValue::get)
}

/// Appends a text as a JSON string.
pub(super) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..'\u{20}' => out.push_str(&alloc::format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}

struct EntriesOf;

impl<'de> DeserializeSeed<'de> for EntriesOf {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntriesOf {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// Finds the last value of an object with that key, as every usual reader does.
pub(super) struct Member<'t>(pub(super) &'t str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            if decoded(key.get()).is_some_and(|key| key == self.0) {
                found = Some(value);
            }
        }
        Ok(found)
    }
}

/// Finds an item of a list, and counts the items up to a bound, past which it gives up with an error.
pub(super) struct Items {
    pub(super) wanted: Option<u32>,
    pub(super) count_max: u32,
}

impl<'de> DeserializeSeed<'de> for Items {
    type Value = (Option<&'de RawValue>, u32);
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = (Option<&'de RawValue>, u32);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut count) = (None, 0);
        while let Some(item) = list.next_element::<&RawValue>()? {
            if count == self.count_max {
                return Err(serde::de::Error::custom("too many items"));
            }
            found = if self.wanted == Some(count) { Some(item) } else { found };
            count += 1;
        }
        Ok((found, count))
    }
}
