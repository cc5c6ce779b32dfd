//! The bytes of a file as text: byte order marks, UTF-16, and files that are no text.

use super::raw_json::LineIndex;
use super::records::{DataFile, extension, invalid, invalid_line, line_at};
use crate::data::listing::lines;
use crate::error::Result;
use std::borrow::Cow;

const MARK: char = '\u{feff}';

/// The file's text without byte order marks, its lines ended by `\n` or `\r\n`, and what there is to say of that.
///
/// # Errors
/// Bytes that are neither UTF-8 nor UTF-16 with its mark; a web page, an archive or another file that holds no rows.
pub(super) fn decode<'a>(file: DataFile<'a>) -> Result<(Cow<'a, str>, Vec<String>)> {
    let mut notes = Vec::new();
    let mut text = match utf16(file)? {
        Some(text) => {
            notes.push("the file is UTF-16 text, and is read as such".into());
            Cow::Owned(text)
        }
        None => Cow::Borrowed(utf8(file)?),
    };
    if let Some(what) = not_data(file.name, &text) {
        return Err(invalid(file.name, what));
    }
    let marked = marked_places(&text);
    if !marked.is_empty() {
        let lines_of_text = LineIndex::new(&text);
        let at: Vec<usize> = marked.iter().map(|&place| lines_of_text.line(place)).collect();
        notes.push(format!(
            "byte order marks, which nobody sees, are left out ({}): files were joined there",
            lines(&at)
        ));
        let mut kept = String::with_capacity(text.len());
        let mut from = 0;
        for place in marked {
            kept.push_str(&text[from..place]);
            from = place + MARK.len_utf8();
        }
        kept.push_str(&text[from..]);
        text = Cow::Owned(kept);
    }
    if text.contains('\r') && !text.contains('\n') {
        text = Cow::Owned(text.replace('\r', "\n"));
    }
    Ok((text, notes))
}

/// Marks that are no part of a text: at the beginning of a line, or between two JSON values.
fn marked_places(text: &str) -> Vec<usize> {
    let is_joint = |&(place, _): &(usize, &str)| {
        let (before, after) = (&text[..place], &text[place + MARK.len_utf8()..]);
        before.ends_with('\n') || (before.ends_with(['}', ']']) && after.trim_start().starts_with(['{', '[']))
    };
    text.match_indices(MARK).filter(is_joint).map(|(place, _)| place).collect()
}

fn utf8<'a>(file: DataFile<'a>) -> Result<&'a str> {
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

/// The text of a file in UTF-16, which its byte order mark says, or its zeros do where that is missing.
fn utf16(file: DataFile) -> Result<Option<String>> {
    if file.bytes.starts_with(b"\xFF\xFE\x00\x00") || file.bytes.starts_with(b"\x00\x00\xFE\xFF") {
        return Err(invalid(file.name, "is UTF-32 text; save it as UTF-8"));
    }
    let (bytes, unit): (_, fn([u8; 2]) -> u16) = match file.bytes {
        [0xFF, 0xFE, bytes @ ..] => (bytes, u16::from_le_bytes),
        [0xFE, 0xFF, bytes @ ..] => (bytes, u16::from_be_bytes),
        bytes => return Ok(unmarked_utf16(bytes)),
    };
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    for read in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match read {
            Ok('\0') | Err(_) => {
                let line = 1 + text.matches('\n').count();
                return Err(invalid_line(
                    file.name,
                    line,
                    "is not UTF-16 text although the file begins with its mark; save the file as UTF-8",
                ));
            }
            Ok(read) => text.push(read),
        }
    }
    match rest {
        [] => Ok(Some(text)),
        _ => Err(invalid(file.name, "is UTF-16 text that ends in half a character; save it as UTF-8")),
    }
}

/// The text of bytes whose zeros all stand in every second place, as those of ASCII in UTF-16 do; nothing where it is no text.
fn unmarked_utf16(bytes: &[u8]) -> Option<String> {
    /// More than one in so many pairs has a zero: a row in JSON has as much ASCII in any language. Binary data has other bytes below 32.
    const RAREST: usize = 4;
    let (pairs, rest) = bytes.as_chunks::<2>();
    let head = &pairs[..pairs.len().min(4096)];
    let zeros = |place: usize| head.iter().filter(|pair| pair[place] == 0).count();
    let unit: fn([u8; 2]) -> u16 = match [zeros(0), zeros(1)] {
        [0, found] if found * RAREST > head.len() => u16::from_le_bytes,
        [found, 0] if found * RAREST > head.len() => u16::from_be_bytes,
        _ => return None,
    };
    let is_text = |read: &char| !read.is_control() || read.is_ascii_whitespace();
    let text = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
        .map(|read| read.ok().filter(is_text))
        .collect::<Option<String>>();
    text.filter(|_| rest.is_empty())
}

/// Text that is no data, whatever its extension says.
fn not_data(name: &str, text: &str) -> Option<&'static str> {
    let start = text.trim_start();
    if start.starts_with("version https://git-lfs.github.com/spec/") {
        return Some(
            "is a Git LFS pointer and not the data itself; get the data with git lfs pull, or download it",
        );
    }
    let begins = |tag: &str| start.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag));
    let is_page = ["<!doctype", "<html", "<head", "<?xml"].into_iter().any(begins);
    let is_prose = matches!(extension(name).as_str(), "txt" | "md" | "markdown");
    (is_page && !is_prose).then_some(
        "is a web page or XML and not data; download the data file itself, not the page that shows it",
    )
}

fn known_binary(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 22] = [
        (b"PAR1", "a Parquet file"),
        (b"\x1F\x8B", "a gzip archive"),
        (b"\x28\xB5\x2F\xFD", "a zstd archive"),
        (b"BZh", "a bzip2 archive"),
        (b"\xFD7zXZ", "an xz archive"),
        (b"7z\xBC\xAF", "a 7z archive"),
        (b"Rar!", "a RAR archive"),
        (b"\xD0\xCF\x11\xE0", "an old Office file (.xls or .doc)"),
        (b"%PDF", "a PDF"),
        (b"{\\rtf", "an RTF file"),
        (b"GGUF", "a GGUF model"),
        (b"ARROW1", "an Arrow file"),
        (b"FEA1", "a Feather file"),
        (b"Obj\x01", "an Avro file"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\x89HDF", "an HDF5 file"),
        (b"\x93NUMPY", "a NumPy file"),
        (b"\x80\x04", "a Python pickle"),
        (b"\x80\x05", "a Python pickle"),
        (b"\x89PNG", "an image"),
        (b"\xFF\xD8\xFF", "an image"),
        (b"\xFF\xFF\xFF\xFF", "an Arrow stream"),
    ];
    if bytes.starts_with(b"PK\x03\x04") {
        let holds = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
        return Some(match () {
            _ if holds(b"xl/workbook") => "an Excel workbook (.xlsx)",
            _ if holds(b"word/document") => "a Word document (.docx)",
            _ if holds(b"opendocument.spreadsheet") => "an OpenDocument spreadsheet (.ods)",
            _ => "a zip archive",
        });
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some("a tar archive");
    }
    MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind)
}

/// ASCII written as UTF-16 has a zero in every second byte.
fn looks_like_utf16(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    let zeros = |phase: usize| head.iter().skip(phase).step_by(2).filter(|&&b| b == 0).count();
    let half = head.len() / 2;
    half > 0 && (zeros(0) * 10 > half * 7 || zeros(1) * 10 > half * 7)
}
