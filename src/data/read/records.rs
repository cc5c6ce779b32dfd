//! A file as a user gives it, and its rows as named values.

use crate::error::Error;
use serde_json::{Map, Value};

/// A file the user chose, whole in memory.
#[derive(Debug, Clone, Copy)]
pub struct DataFile<'a> {
    pub name: &'a str,
    pub bytes: &'a [u8],
}

/// Rows as named values, before anything is known of their shape.
pub struct Records {
    pub records: Vec<Record>,
    /// Every column, in the order first seen.
    pub columns: Vec<String>,
    pub notes: Vec<String>,
}

pub struct Record {
    /// Line of the file on which the record starts, from 1.
    pub line: usize,
    pub fields: Map<String, Value>,
}

pub fn invalid(file: &str, reason: impl Into<String>) -> Error {
    Error::InvalidData { file: file.into(), reason: reason.into() }
}

pub fn invalid_line(file: &str, line: usize, reason: impl Into<String>) -> Error {
    Error::InvalidDataLine { file: file.into(), line, reason: reason.into() }
}

/// What a file's name ends with, in small letters.
pub(super) fn extension(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or(name);
    base.rsplit_once('.').map(|(_, ext)| ext.to_ascii_lowercase()).unwrap_or_default()
}

/// Line number, from 1, of the byte at `offset`.
pub(super) fn line_at(bytes: &[u8], offset: usize) -> usize {
    1 + bytes[..offset].iter().filter(|&&b| b == b'\n').count()
}
