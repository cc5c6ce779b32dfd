//! Values in a GGUF file's metadata. A list stays in the bytes that the file has for it and is read where it is asked for, so that
//! it takes no more memory than the file.

use std::borrow::Cow;

#[derive(Debug, Clone, PartialEq)]
pub enum MetadataValue {
    Unsigned(u64),
    Signed(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    Text(Box<str>),
    List(Box<List>),
}

/// A list, whose elements are all of one type.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// GGUF's number of the type.
    pub(super) kind: u32,
    pub(super) count: usize,
    /// The elements as they lie in the file, checked to be whole.
    pub(super) bytes: Box<[u8]>,
}

pub(super) const TEXT: u32 = 8;
pub(super) const LIST: u32 = 9;

/// Bytes of a value of this type; `None` for texts, lists and types that do not exist.
pub(super) fn width(kind: u32) -> Option<usize> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// A number or a truth value; `None` for other types, or another number of bytes than [`width`] says.
pub(super) fn scalar(kind: u32, bytes: &[u8]) -> Option<MetadataValue> {
    use MetadataValue::*;
    Some(match kind {
        0 => Unsigned(u8::from_le_bytes(bytes.try_into().ok()?).into()),
        1 => Signed(i8::from_le_bytes(bytes.try_into().ok()?).into()),
        2 => Unsigned(u16::from_le_bytes(bytes.try_into().ok()?).into()),
        3 => Signed(i16::from_le_bytes(bytes.try_into().ok()?).into()),
        4 => Unsigned(u32::from_le_bytes(bytes.try_into().ok()?).into()),
        5 => Signed(i32::from_le_bytes(bytes.try_into().ok()?).into()),
        6 => F32(f32::from_le_bytes(bytes.try_into().ok()?)),
        7 => Bool(u8::from_le_bytes(bytes.try_into().ok()?) != 0),
        10 => Unsigned(u64::from_le_bytes(bytes.try_into().ok()?)),
        11 => Signed(i64::from_le_bytes(bytes.try_into().ok()?)),
        12 => F64(f64::from_le_bytes(bytes.try_into().ok()?)),
        _ => return None,
    })
}

impl List {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The numbers or truth values; `None` for a list of texts or of lists.
    pub fn scalars(&self) -> Option<impl Iterator<Item = MetadataValue>> {
        let width = width(self.kind)?;
        Some(self.bytes.chunks_exact(width).filter_map(|bytes| scalar(self.kind, bytes)))
    }

    /// The texts; `None` for another list. Bytes that are not UTF-8 are replaced.
    pub fn texts(&self) -> Option<impl Iterator<Item = Cow<'_, str>>> {
        let mut rest = &self.bytes[..];
        let next = move || {
            let (length, after) = rest.split_first_chunk::<8>()?;
            let (text, after) = after.split_at_checked(u64::from_le_bytes(*length) as usize)?;
            rest = after;
            Some(String::from_utf8_lossy(text))
        };
        (self.kind == TEXT).then(|| std::iter::from_fn(next))
    }
}

impl MetadataValue {
    pub fn as_unsigned(&self) -> Option<u64> {
        match *self {
            MetadataValue::Unsigned(value) => Some(value),
            MetadataValue::Signed(value) => value.try_into().ok(),
            _ => None,
        }
    }

    /// F32 becomes the f64 with the same decimal digits, as `config.json` would have it.
    pub fn as_number(&self) -> Option<f64> {
        match *self {
            MetadataValue::Unsigned(value) => Some(value as f64),
            MetadataValue::Signed(value) => Some(value as f64),
            MetadataValue::F32(value) => value.to_string().parse().ok(),
            MetadataValue::F64(value) => Some(value),
            _ => None,
        }
    }
}
