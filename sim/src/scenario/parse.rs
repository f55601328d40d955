//! From text to a validated scenario, with errors that name the line, the mistake and the likely intention.

use super::schema::Scenario;
use super::validate::{Invalid, validate};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use toml::Table;

/// The largest scenario file that is read, in bytes.
const TEXT_MAX: usize = 1 << 20;

/// Why a text is not a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, or not with the fields a scenario has.
    #[error("line {line}, column {column}: {problem}{}", hint(.suggestion))]
    Form {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        problem: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// Well-formed, but not to be run.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// A `--set key=value` that does not fit.
    #[error("cannot set `{key}`: {problem}")]
    Override {
        /// The key.
        key: String,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// More text than a scenario may have.
    #[error("{bytes} bytes, where a scenario has at most {TEXT_MAX}")]
    TooLarge {
        /// Bytes given.
        bytes: usize,
    },
}

fn hint(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default()
}

/// The scenario that `text` describes.
///
/// # Errors
/// [`ScenarioError`] on anything else; never panics.
pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
    if text.len() > TEXT_MAX {
        return Err(ScenarioError::TooLarge { bytes: text.len() });
    }
    let mut scenario: Scenario = toml::from_str(text).map_err(|error| form_error(text, &error))?;
    scenario.spell_out();
    validate(&scenario)?;
    Ok(scenario)
}

/// The scenario that `text` describes, with some values replaced: `("phases.safety", "5s")`, `("fault.0.times", "9")`.
///
/// # Errors
/// [`ScenarioError`] when the text, a key, or what comes out is no scenario.
pub fn parse_with(text: &str, replacements: &[(String, String)]) -> Result<Scenario, ScenarioError> {
    let scenario = parse(text)?;
    if replacements.is_empty() {
        return Ok(scenario);
    }
    // Every field gets its default first, so that a key can be checked against what there is.
    let mut table = Table::try_from(&scenario).map_err(|error| unexpected(&error.to_string()))?;
    for (key, value) in replacements {
        replace(&mut table, key, value)?;
    }
    let replaced = toml::to_string(&table).map_err(|error| unexpected(&error.to_string()))?;
    let mut scenario: Scenario = toml::from_str(&replaced).map_err(|error| {
        let keys: Vec<_> = replacements.iter().map(|(key, _)| key.as_str()).collect();
        ScenarioError::Override { key: keys.join("`, `"), problem: first_line(error.message()) }
    })?;
    scenario.spell_out();
    validate(&scenario)?;
    Ok(scenario)
}

/// The scenario as a file that [`parse`] reads back.
pub fn to_toml(scenario: &Scenario) -> String {
    toml::to_string_pretty(scenario).unwrap_or_else(|error| panic!("a scenario is always TOML: {error}"))
}

fn replace(table: &mut Table, key: &str, value: &str) -> Result<(), ScenarioError> {
    let fail = |problem: String| ScenarioError::Override { key: key.to_string(), problem };
    let mut path: Vec<&str> = key.split('.').collect();
    let last = path.pop().unwrap_or_default();
    let mut at = table;
    for part in path {
        at = descend(at, part).ok_or_else(|| fail(format!("there is no `{part}`")))?;
    }
    // A value is TOML where it can be (numbers, lists), and text otherwise ("5s").
    let parsed = toml::from_str::<Table>(&format!("value = {value}")).ok().and_then(|mut table| table.remove("value"));
    let old = at.get(last);
    let wants_text = old.is_some_and(toml::Value::is_str);
    let value = parsed.filter(|parsed| !wants_text || parsed.is_str()).unwrap_or_else(|| value.into());
    at.insert(last.to_string(), value);
    Ok(())
}

/// One step down: into a table, or for `fault.0.at` into an element of a list of tables.
fn descend<'a>(table: &'a mut Table, part: &str) -> Option<&'a mut Table> {
    let (name, place) = part.split_once('[').map_or((part, None), |(name, rest)| (name, rest.strip_suffix(']')));
    match (table.get_mut(name)?, place) {
        (toml::Value::Table(inner), None) => Some(inner),
        (toml::Value::Array(list), Some(place)) => list.get_mut(place.parse::<usize>().ok()?)?.as_table_mut(),
        _ => None,
    }
}

fn unexpected(problem: &str) -> ScenarioError {
    ScenarioError::Form { line: 1, column: 1, problem: first_line(problem), suggestion: None }
}

fn form_error(text: &str, error: &toml::de::Error) -> ScenarioError {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let message = error.message();
    ScenarioError::Form { line, column, problem: first_line(message), suggestion: suggestion(message) }
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or("not a scenario").to_string()
}

/// The expected word closest to the one found, if any is close. The library lists both between backticks.
fn suggestion(message: &str) -> Option<String> {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (found, expected) = words.split_first()?;
    let close = |word: &&&str| strsim::damerau_levenshtein(found, word) <= 1 + found.len() / 3;
    expected
        .iter()
        .filter(close)
        .min_by_key(|word| strsim::damerau_levenshtein(found, word))
        .map(|word| word.to_string())
}
