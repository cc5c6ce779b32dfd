//! Reading a file of examples: which format it is, whether it is text at all, what its rows are.
//!
//! | extension | read as |
//! | --- | --- |
//! | `.jsonl`, `.ndjson` | one JSON object a line |
//! | `.json` | a list of objects, or an object that holds one under `data`, `train`, … |
//! | `.csv`, `.tsv` | a header line, then one row a record |
//! | `.txt`, `.md` | documents, see `plain` |
//!
//! JSON lines in a `.json` file and a JSON list in a `.jsonl` file are taken for what they are.

mod json;
mod plain;
mod table;

use super::dataset::{ColumnMapping, Dataset};
use super::detect;
use crate::error::{Error, Result};
use serde_json::{Map, Value};

/// A file the user chose, whole in memory.
#[derive(Debug, Clone, Copy)]
pub struct DataFile<'a> {
    pub name: &'a str,
    pub bytes: &'a [u8],
}

/// Reads every row of `file`. The shape is detected from the columns unless `mapping` names them.
///
/// # Errors
/// One sentence, with the line where there is one: not UTF-8 text, a broken line, an unknown
/// extension, columns of no known shape, rows of several shapes, messages nested or named wrongly,
/// or no rows at all.
pub fn read_dataset(file: DataFile, mapping: Option<&ColumnMapping>) -> Result<Dataset> {
    let text = decode(file)?;
    if text.trim().is_empty() {
        return Err(invalid(file.name, "is empty; it needs at least one example"));
    }
    let records = match extension(file.name).as_str() {
        "jsonl" | "ndjson" => json::read(file.name, text, json::Layout::Lines)?,
        "json" => json::read(file.name, text, json::Layout::Whole)?,
        "csv" => table::read(file.name, text, table::Kind::Csv)?,
        "tsv" => table::read(file.name, text, table::Kind::Tsv)?,
        "txt" => plain::read(text),
        "md" | "markdown" => plain::read(text),
        other => {
            let kind =
                if other.is_empty() { "no extension".into() } else { format!("the extension .{other}") };
            return Err(invalid(
                file.name,
                format!("has {kind}; known data files are .jsonl, .json, .csv, .tsv, .txt and .md"),
            ));
        }
    };
    if records.records.is_empty() {
        return Err(invalid(file.name, "has no rows; it needs at least one example"));
    }
    detect::to_dataset(file.name, records, mapping)
}

/// Rows as named values, before anything is known of their shape.
pub(super) struct Records {
    pub records: Vec<Record>,
    /// Every column, in the order first seen.
    pub columns: Vec<String>,
    pub notes: Vec<String>,
}

pub(super) struct Record {
    /// Line of the file on which the record starts, from 1.
    pub line: usize,
    pub fields: Map<String, Value>,
}

pub(super) fn invalid(file: &str, reason: impl Into<String>) -> Error {
    Error::InvalidData { file: file.into(), reason: reason.into() }
}

pub(super) fn invalid_line(file: &str, line: usize, reason: impl Into<String>) -> Error {
    Error::InvalidDataLine { file: file.into(), line, reason: reason.into() }
}

fn extension(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or(name);
    base.rsplit_once('.').map(|(_, ext)| ext.to_ascii_lowercase()).unwrap_or_default()
}

/// The bytes as text, without a byte order mark.
fn decode<'a>(file: DataFile<'a>) -> Result<&'a str> {
    if file.bytes.starts_with(b"\xFF\xFE") || file.bytes.starts_with(b"\xFE\xFF") {
        return Err(invalid(file.name, "is UTF-16 text; save it as UTF-8"));
    }
    if let Some(kind) = known_binary(file.bytes) {
        return Err(invalid(
            file.name,
            format!("is {kind}, not text; export it as .jsonl or .csv in UTF-8 first"),
        ));
    }
    let bytes = file.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file.bytes);
    let skipped = file.bytes.len() - bytes.len();
    if let Some(at) = bytes.iter().position(|&b| b == 0) {
        let what = if looks_like_utf16(bytes) {
            "it looks like UTF-16 text; save it as UTF-8"
        } else {
            "it is a binary file; export it as .jsonl or .csv in UTF-8 first"
        };
        let reason = format!("holds a zero byte at offset {}: {what}", at + skipped);
        return Err(invalid_line(file.name, line_at(bytes, at), reason));
    }
    std::str::from_utf8(bytes).map_err(|e| {
        let at = e.valid_up_to();
        invalid_line(
            file.name,
            line_at(bytes, at),
            format!(
                "is not UTF-8: byte 0x{:02X} at offset {}; save the file as UTF-8",
                bytes[at],
                at + skipped
            ),
        )
    })
}

/// Line number, from 1, of the byte at `offset`.
pub(super) fn line_at(bytes: &[u8], offset: usize) -> usize {
    1 + bytes[..offset].iter().filter(|&&b| b == b'\n').count()
}

fn known_binary(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 7] = [
        (b"PAR1", "a Parquet file"),
        (b"PK\x03\x04", "a zip archive (perhaps a spreadsheet)"),
        (b"\x1F\x8B", "a gzip archive"),
        (b"\x28\xB5\x2F\xFD", "a zstd archive"),
        (b"%PDF", "a PDF"),
        (b"GGUF", "a GGUF model"),
        (b"ARROW1", "an Arrow file"),
    ];
    MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind)
}

/// ASCII written as UTF-16 has a zero in every second byte.
fn looks_like_utf16(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    let zeros = |phase: usize| head.iter().skip(phase).step_by(2).filter(|&&b| b == 0).count();
    let half = head.len() / 2;
    half > 0 && (zeros(0) * 10 > half * 7 || zeros(1) * 10 > half * 7)
}
