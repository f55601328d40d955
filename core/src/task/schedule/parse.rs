//! From the text of an expression to its sets. Takes any text, and is linear in its length.

use super::error::{CronField, Expected, ScheduleError, excerpt};
use super::fields::Fields;

/// The usual names, and what they stand for.
const NAMED: &[(&str, &str)] = &[
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

pub(super) fn fields(expression: &str) -> Result<Fields, ScheduleError> {
    match expression.trim_ascii() {
        name if name.starts_with('@') => five(meaning(name)?),
        text => five(text),
    }
}

fn meaning(name: &str) -> Result<&'static str, ScheduleError> {
    let found = NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, meaning)| *meaning).ok_or_else(|| ScheduleError::UnknownName { found: excerpt(name) })
}

fn five(text: &str) -> Result<Fields, ScheduleError> {
    let mut parts = text.split_ascii_whitespace();
    let five = (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(minute), Some(hour), Some(day), Some(month), Some(weekday), None) = five else {
        let found = u32::try_from(text.split_ascii_whitespace().count()).unwrap_or(u32::MAX);
        return Err(ScheduleError::FieldCount { found });
    };
    Ok(Fields {
        minutes: set(CronField::Minute, minute)?,
        hours: set(CronField::Hour, hour)? as u32,
        days: set(CronField::DayOfMonth, day)? as u32,
        months: set(CronField::Month, month)? as u16,
        weekdays: sunday_once(set(CronField::DayOfWeek, weekday)?),
        // crontab(5): by the `*` that a field begins with, not by what it comes to.
        is_either_day: !day.starts_with('*') && !weekday.starts_with('*'),
    })
}

/// Days of the week with Sunday as 0, not as 7.
fn sunday_once(set: u64) -> u8 {
    (set & 0x7F | set >> 7 & 1) as u8
}

/// The values that a field has, one bit each, none above its highest.
fn set(field: CronField, text: &str) -> Result<u64, ScheduleError> {
    text.split(',').try_fold(0, |set, item| Ok(set | self::item(field, item)?))
}

/// One item of a list: a value, a range, or one of the two forms that have steps.
fn item(field: CronField, text: &str) -> Result<u64, ScheduleError> {
    let Some((stepped, step)) = text.split_once('/') else {
        let (first, last) = span(field, text)?;
        return Ok(values(first, last, 1));
    };
    if stepped != "*" && !stepped.contains('-') {
        return Err(refused(field, text, Expected::Steps));
    }
    let (first, last) = span(field, stepped)?;
    Ok(values(first, last, self::step(field, step)?))
}

/// The first and the last value of `*`, a range, or a single value.
fn span(field: CronField, text: &str) -> Result<(u8, u8), ScheduleError> {
    if text == "*" {
        return Ok((field.lowest(), field.highest()));
    }
    let Some((first, last)) = text.split_once('-') else {
        return value(field, text).map(|value| (value, value));
    };
    let (first, last) = (value(field, first)?, value(field, last)?);
    match (field, last) {
        _ if first <= last => Ok((first, last)),
        // The week may end on a Sunday as well as begin on one.
        (CronField::DayOfWeek, 0) => Ok((first, 7)),
        _ => Err(refused(field, text, Expected::Range)),
    }
}

fn value(field: CronField, text: &str) -> Result<u8, ScheduleError> {
    let named = field.names().iter().zip(field.lowest()..).find(|(name, _)| name.eq_ignore_ascii_case(text));
    let value = named.map(|(_, value)| value).or_else(|| number(text));
    let value = value.filter(|value| (field.lowest()..=field.highest()).contains(value));
    value.ok_or_else(|| refused(field, text, Expected::Value))
}

fn step(field: CronField, text: &str) -> Result<u8, ScheduleError> {
    let step = number(text).filter(|step| (1..=field.highest()).contains(step));
    step.ok_or_else(|| refused(field, text, Expected::Step))
}

/// Digits only: the library's parser would also take a sign.
fn number(text: &str) -> Option<u8> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits)
}

fn values(first: u8, last: u8, step: u8) -> u64 {
    (first..=last).step_by(step.into()).fold(0, |set, value| set | 1 << value)
}

fn refused(field: CronField, found: &str, expected: Expected) -> ScheduleError {
    ScheduleError::Field { field, found: excerpt(found), expected }
}
