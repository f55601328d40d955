//! What a step gave, as others refer to it.

use super::json::{self, Items, Member};
use super::pointer::item_number;
use super::{INPUT_BYTES_MAX, ITEMS_MAX, Pointer, ResolveError};
use alloc::borrow::Cow;
use alloc::string::String;
use serde::de::DeserializeSeed;
use serde_json::value::RawValue;

/// What a step gave, read once: JSON where it is JSON, else text, else bytes that can only be passed on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Output<'a>(Form<'a>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Form<'a> {
    Json(Cow<'a, str>),
    Opaque(Cow<'a, [u8]>),
}

impl<'a> Output<'a> {
    /// That of one agent. What is one JSON value, with white space around it or not, is that value; what is not JSON but
    /// UTF-8 is a JSON string, to the last line feed; anything else is opaque.
    pub fn of(bytes: &'a [u8]) -> Self {
        let Ok(text) = core::str::from_utf8(bytes) else { return Self(Form::Opaque(Cow::Borrowed(bytes))) };
        Self(Form::Json(json::value(text).map_or_else(|| Cow::Owned(quoted(text)), Cow::Borrowed)))
    }

    /// That of a step which is repeated: the list of what its instances gave, in the order of the items.
    ///
    /// # Errors
    /// [`ResolveError`] where one of them is not UTF-8, or the list would have more than [`INPUT_BYTES_MAX`] bytes.
    pub fn of_instances<'i>(instances: impl IntoIterator<Item = &'i [u8]>) -> Result<Self, ResolveError> {
        let mut list = String::from("[");
        for instance in instances {
            let instance = Output::of(instance);
            let text = instance.find(&Pointer::default())?;
            list.push_str(if list.len() == 1 { "" } else { "," });
            // One byte is for the bracket at the end.
            if list.len() + text.len() >= INPUT_BYTES_MAX {
                return Err(ResolveError::TooLarge);
            }
            list.push_str(text);
        }
        list.push(']');
        Ok(Self(Form::Json(Cow::Owned(list))))
    }

    /// The bytes, where they are neither JSON nor text.
    pub(super) fn opaque(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Opaque(bytes) => Some(bytes),
            Form::Json(_) => None,
        }
    }

    /// The JSON at `pointer`, as it is written. Costs the length of the output, for each part of the pointer.
    pub(super) fn find(&self, pointer: &Pointer) -> Result<&str, ResolveError> {
        let Form::Json(json) = &self.0 else { return Err(ResolveError::NotText) };
        let mut here: &str = json;
        for token in pointer.tokens() {
            here = inside(here, &token).ok_or_else(|| ResolveError::NoValue {
                pointer: pointer.clone(),
                token: (*token).into(),
                inside: json::kind(here),
            })?;
        }
        Ok(here)
    }

    /// The list at `pointer`.
    fn list(&self, pointer: &Pointer) -> Result<&str, ResolveError> {
        let found = self.find(pointer)?;
        let error = || ResolveError::NotAList { pointer: pointer.clone(), found: json::kind(found) };
        found.starts_with('[').then_some(found).ok_or_else(error)
    }
}

/// How many instances a step has that is repeated for each item of the list at `pointer`. None is a valid number.
///
/// # Errors
/// [`ResolveError`] where there is no list, or one of more than [`ITEMS_MAX`] items.
pub fn count_items(output: &Output<'_>, pointer: &Pointer) -> Result<u32, ResolveError> {
    items(output.list(pointer)?, None).map(|(_, count)| count)
}

/// The item for which an instance runs, counted from 0.
///
/// # Errors
/// [`ResolveError`] where there is no such list or no such item.
pub fn item<'a>(output: &'a Output<'_>, pointer: &Pointer, index: u32) -> Result<Output<'a>, ResolveError> {
    let (found, _) = items(output.list(pointer)?, Some(index))?;
    let found = found.ok_or(ResolveError::NoItem { index })?;
    Ok(Output(Form::Json(Cow::Borrowed(found))))
}

/// An item of a list that is JSON, and how many there are.
fn items(list: &str, wanted: Option<u32>) -> Result<(Option<&str>, u32), ResolveError> {
    let items = Items { wanted, count_max: ITEMS_MAX };
    let (found, count) =
        items.deserialize(&mut serde_json::Deserializer::from_str(list)).map_err(|_| ResolveError::TooManyItems)?;
    Ok((found.map(RawValue::get), count))
}

/// What one part of a pointer leads to in a value.
fn inside<'a>(json: &'a str, token: &str) -> Option<&'a str> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let found = match json.as_bytes().first()? {
        b'{' => Member(token).deserialize(&mut reader).ok()?,
        b'[' => {
            let items = Items { wanted: Some(item_number(token)?), count_max: u32::MAX };
            items.deserialize(&mut reader).ok()?.0
        }
        _ => None,
    };
    found.map(RawValue::get)
}

fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json::quote(text, &mut json);
    json
}
