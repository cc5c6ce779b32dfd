//! Filters and methods of chat templates that can make far more than they are given: each says first how much it would make.

use super::budget::{take, too_much, weight};
use minijinja::value::{Kwargs, Rest, StringInput, Value};
use minijinja::{Environment, Error, State, filters};
use std::sync::Arc;

/// Digits of a width in a format, and elements of a batch.
const WIDEST_DIGITS: usize = 4;
const WIDEST: usize = 10_000;

/// What an element of a list takes.
const ELEMENT_BYTES: usize = 32;

pub(super) fn add(env: &mut Environment) {
    env.add_filter("replace", replace);
    env.add_filter("join", join);
    env.add_filter("indent", indent);
    env.add_filter("format", format);
    env.add_filter("batch", batch);
    env.add_filter("slice", slice);
    env.add_filter("list", list);
    env.add_filter("split", split);
}

/// Counts what a method of a text would make.
pub(super) fn check_method(text: &str, name: &str, args: &[Value]) -> Result<(), Error> {
    let arg = |place: usize| args.get(place).and_then(Value::as_str);
    match name {
        "replace" => check_replace(text, arg(0).unwrap_or_default(), arg(1).unwrap_or_default()),
        "join" => args.first().map_or(Ok(()), |list| check_join(list, text)),
        "format" => check_format(text, args),
        "split" => check_split(text, arg(0)),
        "splitlines" => check_split(text, Some("\n")),
        _ => take(text.len()),
    }
}

fn replace(state: &State, value: StringInput, from: StringInput, to: StringInput) -> Result<Value, Error> {
    check_replace(value.as_str(), from.as_str(), to.as_str())?;
    filters::replace(state, value, from, to)
}

fn check_replace(text: &str, from: &str, to: &str) -> Result<(), Error> {
    let places = if from.is_empty() { text.len() + 1 } else { text.matches(from).count() };
    take(places.saturating_mul(to.len()).saturating_add(text.len()))
}

fn join(state: &State, value: &Value, joiner: Option<StringInput>) -> Result<Value, Error> {
    check_join(value, joiner.as_ref().map(StringInput::as_str).unwrap_or_default())?;
    filters::join(state, value, joiner)
}

fn check_join(list: &Value, joiner: &str) -> Result<(), Error> {
    let items = list.try_iter().map_or(0, Iterator::count);
    take(weight(list)?.saturating_add(items.saturating_mul(joiner.len())))
}

fn indent(
    value: StringInput,
    width: Option<usize>,
    first: Option<bool>,
    blank: Option<bool>,
    options: Kwargs,
) -> Result<Value, Error> {
    let width = match width {
        Some(width) => Some(width),
        None => options.get::<Option<usize>>("width")?,
    };
    let lines = value.as_str().matches('\n').count() + 1;
    take(lines.saturating_mul(width.unwrap_or(4)).saturating_add(value.as_str().len()))?;
    filters::indent(value, width, first, blank, options)
}

fn format(state: &State, text: &Value, args: Rest<Value>) -> Result<Value, Error> {
    check_format(text.as_str().unwrap_or_default(), &args)?;
    filters::format(state, text, args)
}

fn check_format(text: &str, args: &[Value]) -> Result<(), Error> {
    let is_wide = text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > WIDEST_DIGITS);
    let is_given_wide = || args.iter().any(|arg| arg.as_usize().is_some_and(|width| width > WIDEST));
    if is_wide || (text.contains('*') && is_given_wide()) {
        return Err(too_much(format!("it formats something in more than {WIDEST} characters")));
    }
    let mut longest = WIDEST;
    for arg in args {
        longest = longest.max(weight(arg)?);
    }
    let places = text.matches(['%', '{']).count();
    take(places.saturating_mul(longest).saturating_add(text.len()))
}

fn batch(state: &State, value: Value, count: usize, fill: Option<Value>) -> Result<Value, Error> {
    check_count(count)?;
    filters::batch(state, value, count, fill)
}

fn slice(state: &State, value: Value, count: usize, fill: Option<Value>) -> Result<Value, Error> {
    check_count(count)?;
    filters::slice(state, value, count, fill)
}

fn check_count(count: usize) -> Result<(), Error> {
    match count > WIDEST {
        true => Err(too_much(format!("it makes lists of {count} elements"))),
        false => take(count * ELEMENT_BYTES),
    }
}

fn list(state: &State, value: Value) -> Result<Value, Error> {
    take(value.as_str().map_or(0, |text| text.len().saturating_mul(ELEMENT_BYTES)))?;
    filters::list(state, value)
}

fn split(value: &Value, at: Option<Arc<str>>, most: Option<i64>) -> Result<Value, Error> {
    check_split(value.as_str().unwrap_or_default(), at.as_deref())?;
    filters::split(value, at, most)
}

fn check_split(text: &str, at: Option<&str>) -> Result<(), Error> {
    let parts = match at {
        Some("") => text.len(),
        Some(at) => text.matches(at).count(),
        None => text.matches(char::is_whitespace).count(),
    };
    take((parts + 1).saturating_mul(ELEMENT_BYTES).saturating_add(text.len()))
}
