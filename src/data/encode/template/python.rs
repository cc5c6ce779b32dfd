//! What Python does where Rust does otherwise, as chat templates rely on it.

use super::budget::{LONGEST, take, weigh};
use super::filters::check_method;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind, Output, State};
use std::fmt::Write;

/// `str.strip` also removes the four ASCII separators, which Unicode does not call white space.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Prints `True`, `False` and `None` as Python writes them.
pub(super) fn format(out: &mut Output, state: &State, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Bool => Ok(out.write_str(if value.is_true() { "True" } else { "False" })?),
        ValueKind::None => Ok(out.write_str("None")?),
        _ => {
            weigh(value)?;
            minijinja::escape_formatter(out, state, value)
        }
    }
}

/// `trim(value, chars)`: `str.strip`.
pub(super) fn trim(text: String, chars: Option<String>) -> String {
    match chars {
        Some(chars) => text.trim_matches(|c| chars.contains(c)).to_string(),
        None => text.trim_matches(is_space).to_string(),
    }
}

/// Python's string methods; `strip` and its kin with Python's idea of white space.
pub(super) fn method(state: &State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if let (Some(text), []) = (value.as_str(), args) {
        match name {
            "strip" => return Ok(Value::from(text.trim_matches(is_space))),
            "lstrip" => return Ok(Value::from(text.trim_start_matches(is_space))),
            "rstrip" => return Ok(Value::from(text.trim_end_matches(is_space))),
            _ => {}
        }
    }
    if let Some(text) = value.as_str() {
        check_method(text, name, args)?;
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

/// `json.dumps(value, ensure_ascii=False)`, with the options that templates pass.
pub(super) fn tojson(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent = match options.get::<Option<Value>>("indent")? {
        None => None,
        Some(indent) if indent.is_none() || indent.is_undefined() => None,
        Some(indent) => Some(match indent.as_str() {
            Some(text) => text.to_string(),
            None => {
                let width = usize::try_from(indent).unwrap_or(0);
                take(width)?;
                " ".repeat(width)
            }
        }),
    };
    let separators: Option<Vec<String>> = options.get("separators")?;
    let separators = match separators.as_deref() {
        Some([item, key]) => (item.clone(), key.clone()),
        _ => (if indent.is_some() { "," } else { ", " }.to_string(), ": ".to_string()),
    };
    let writer = JsonWriter {
        indent,
        separators,
        ensure_ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sort_keys: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
    };
    options.assert_all_used()?;
    weigh(value)?;
    let value = serde_json::to_value(value)
        .map_err(|e| Error::new(ErrorKind::BadSerialization, format!("tojson: {e}")))?;
    let mut out = String::new();
    writer.write(&mut out, &value, 0)?;
    take(out.len())?;
    Ok(out)
}

struct JsonWriter {
    indent: Option<String>,
    separators: (String, String),
    ensure_ascii: bool,
    sort_keys: bool,
}

impl JsonWriter {
    fn write(&self, out: &mut String, value: &serde_json::Value, depth: usize) -> Result<(), Error> {
        use serde_json::Value as Json;
        match value {
            Json::Array(items) if items.is_empty() => out.push_str("[]"),
            Json::Object(fields) if fields.is_empty() => out.push_str("{}"),
            Json::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    self.separate(out, i, depth + 1)?;
                    self.write(out, item, depth + 1)?;
                }
                self.break_line(out, depth)?;
                out.push(']');
            }
            Json::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                if self.sort_keys {
                    fields.sort_by_key(|(key, _)| *key);
                }
                out.push('{');
                for (i, (key, item)) in fields.into_iter().enumerate() {
                    self.separate(out, i, depth + 1)?;
                    self.write_text(out, key)?;
                    out.push_str(&self.separators.1);
                    self.write(out, item, depth + 1)?;
                }
                self.break_line(out, depth)?;
                out.push('}');
            }
            Json::String(text) => self.write_text(out, text)?,
            other => write!(out, "{other}")?,
        }
        Ok(())
    }

    fn separate(&self, out: &mut String, index: usize, depth: usize) -> Result<(), Error> {
        if index > 0 {
            out.push_str(&self.separators.0);
        }
        self.break_line(out, depth)
    }

    fn break_line(&self, out: &mut String, depth: usize) -> Result<(), Error> {
        if let Some(indent) = &self.indent {
            // Whatever the width, no more than twice what a text may have is made.
            take(indent.len().saturating_mul(depth))?;
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        }
        if out.len() > LONGEST { take(out.len()) } else { Ok(()) }
    }

    fn write_text(&self, out: &mut String, text: &str) -> Result<(), Error> {
        let quoted = serde_json::Value::from(text).to_string();
        if !self.ensure_ascii {
            out.push_str(&quoted);
            return Ok(());
        }
        for unit in quoted.encode_utf16() {
            match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii() && byte != 0x7f => out.push(byte as char),
                _ => write!(out, "\\u{unit:04x}")?,
            }
        }
        Ok(())
    }
}
