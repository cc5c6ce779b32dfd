//! What one rendering of a template may take, in bytes that are read or made and in time.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};
use std::cell::Cell;
use web_time::{Duration, Instant};

/// No text of a template, read or made, may be longer, in bytes; no list may have more than a sixteenth as many elements.
pub(super) const LONGEST: usize = 16 << 20;

/// What every error of this file begins with.
pub(super) const TOO_MUCH: &str = "takes too much";

const LONGEST_TIME: Duration = Duration::from_secs(2);
const MEGABYTES: &str = "it makes texts or lists of many megabytes, or puts lists into lists without end";
/// Lists in lists are taken apart again one within the other.
const DEEPEST: usize = 200;

fn is_container(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable | ValueKind::Plain)
}

/// What one rendering has taken.
#[derive(Clone, Copy)]
struct Taken {
    since: Instant,
    calls: usize,
    bytes: usize,
    most_bytes: usize,
}

thread_local! {
    static TAKEN: Cell<Option<Taken>> = const { Cell::new(None) };
}

/// Begins a rendering of a conversation of so many bytes.
pub(super) fn begin(bytes: usize) {
    TAKEN.set(Some(Taken {
        since: Instant::now(),
        calls: 0,
        bytes: 0,
        most_bytes: LONGEST.saturating_mul(16).saturating_add(bytes.saturating_mul(64)),
    }));
}

/// Counts a text, or the length of a list, that is read or made.
pub(super) fn read(value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => take(text.len()),
        None if is_container(value) => take(match value.len() {
            // The conversation itself is read all the time.
            Some(..1000) | None => 0,
            Some(length) => length.saturating_mul(16),
        }),
        None => take(0),
    }
}

/// Counts all texts in a value.
pub(super) fn weigh(value: &Value) -> Result<(), Error> {
    take(weight(value)?)
}

/// Bytes of all texts in a value.
///
/// # Errors
/// They are too many, or the value lies too deep in itself.
pub(super) fn weight(value: &Value) -> Result<usize, Error> {
    fn add(value: &Value, sum: &mut usize, depth: usize) -> Result<(), Error> {
        *sum += value.as_str().map_or(0, str::len);
        if !is_container(value) {
            return Ok(());
        }
        for key in value.try_iter().into_iter().flatten() {
            *sum += 8;
            if *sum > LONGEST || depth > DEEPEST {
                return Err(too_much(MEGABYTES.into()));
            }
            if value.kind() == ValueKind::Map {
                add(&value.get_item(&key).unwrap_or_default(), sum, depth + 1)?;
            }
            add(&key, sum, depth + 1)?;
        }
        Ok(())
    }
    let mut sum = 0;
    add(value, &mut sum, 0)?;
    Ok(sum)
}

/// Counts bytes that are about to be made or read.
///
/// # Errors
/// They are too many at once or taken together, or the rendering has taken too long.
pub(super) fn take(bytes: usize) -> Result<(), Error> {
    /// Calls between two looks at the clock.
    const CALLS: usize = 256;
    let Some(mut taken) = TAKEN.get() else { return Ok(()) };
    taken.bytes = taken.bytes.saturating_add(bytes);
    taken.calls += 1;
    TAKEN.set(Some(taken));
    if bytes > LONGEST || taken.bytes > taken.most_bytes {
        return Err(too_much(MEGABYTES.into()));
    }
    if (taken.calls.is_multiple_of(CALLS) || bytes > 1 << 16) && taken.since.elapsed() > LONGEST_TIME {
        return Err(too_much(format!("one conversation takes it more than {} s", LONGEST_TIME.as_secs())));
    }
    Ok(())
}

pub(super) fn too_much(reason: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{TOO_MUCH}: {reason}"))
}

/// What a template writes, up to a limit.
pub(super) struct Bounded {
    pub text: Vec<u8>,
    most: usize,
}

impl Bounded {
    pub fn new(most: usize) -> Bounded {
        Bounded { text: Vec::new(), most }
    }
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.text.len() + bytes.len() > self.most {
            return Err(std::io::Error::other("too long"));
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
