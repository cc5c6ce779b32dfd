//! GGUF, versions 2 and 3: metadata and tensor positions. No tensor data is held.

use super::names::RowOrder;
use super::quant::{SUPPORTED_TYPES, StorageType};
use super::rows::{StoredRows, read_rows};
use super::source::ByteSource;
use crate::error::{Error, Result};
use std::collections::HashMap;

/// A GGUF file's header.
#[derive(Debug, Clone)]
pub struct Gguf {
    /// The file's name, for messages.
    pub file: String,
    pub version: u32,
    pub metadata: HashMap<String, MetadataValue>,
    pub tensors: Vec<GgufTensor>,
}

/// Where a tensor lies in the file.
#[derive(Debug, Clone)]
pub struct GgufTensor {
    pub name: String,
    /// Row-major, outermost first: the reverse of GGUF's own order.
    pub shape: Vec<usize>,
    pub dtype: StorageType,
    /// Absolute offset in the file, in bytes.
    pub offset: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum MetadataValue {
    Unsigned(u64),
    Signed(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    Text(String),
    List(Vec<MetadataValue>),
}

impl Gguf {
    /// Reads the header.
    ///
    /// # Errors
    /// Not a GGUF file, another version, truncated, tensors outside the file, or a quantisation that is not supported.
    pub fn open(source: &dyn ByteSource) -> Result<Gguf> {
        let mut reader = Reader { source, position: 0, window: Vec::new(), window_start: 0 };
        let version = reader.version()?;
        let tensor_count = reader.count("tensors", 1 << 20)?;
        let metadata_count = reader.count("metadata entries", 1 << 16)?;
        let mut metadata = HashMap::new();
        for _ in 0..metadata_count {
            let key = reader.string()?;
            let kind = reader.u32()?;
            let value = reader.value(kind, 0)?;
            metadata.insert(key, value);
        }
        let mut gguf = Gguf { file: source.name().into(), version, metadata, tensors: Vec::new() };
        let mut entries = Vec::new();
        for _ in 0..tensor_count {
            entries.push(reader.tensor_entry()?);
        }
        let data_start = gguf.data_start(reader.position)?;
        for entry in entries {
            let tensor = gguf.locate(entry, data_start, source.len())?;
            gguf.tensors.push(tensor);
        }
        Ok(gguf)
    }

    /// A text, or None if the key is absent.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(MetadataValue::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong_type(key, "a text")),
        }
    }

    /// A whole number that is not negative, or None if the key is absent.
    pub fn unsigned(&self, key: &str) -> Result<Option<u64>> {
        self.metadata
            .get(key)
            .map(|value| value.as_unsigned().ok_or_else(|| self.wrong_type(key, "a whole number")))
            .transpose()
    }

    /// A number, or None if the key is absent. F32 becomes the f64 with the same decimal digits, as `config.json` would have it.
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        self.metadata
            .get(key)
            .map(|value| value.as_number().ok_or_else(|| self.wrong_type(key, "a number")))
            .transpose()
    }

    /// A truth value, or None if the key is absent.
    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(MetadataValue::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong_type(key, "true or false")),
        }
    }

    /// A list, or None if the key is absent.
    pub fn list(&self, key: &str) -> Result<Option<&[MetadataValue]>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(MetadataValue::List(values)) => Ok(Some(values)),
            Some(_) => Err(self.wrong_type(key, "a list")),
        }
    }

    pub(crate) fn wrong_type(&self, key: &str, expected: &str) -> Error {
        self.invalid(format!("metadata \"{key}\" is not {expected}; the file is damaged, download it again"))
    }

    pub(crate) fn invalid(&self, reason: String) -> Error {
        Error::InvalidModelFile { file: self.file.clone(), reason }
    }

    fn data_start(&self, header_end: u64) -> Result<u64> {
        let alignment = self.unsigned("general.alignment")?.unwrap_or(32);
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            return Err(self.invalid(format!(
                "has the alignment {alignment}, which is no power of two; download it again"
            )));
        }
        Ok(header_end.next_multiple_of(alignment))
    }

    fn locate(&self, entry: TensorEntry, data_start: u64, file_bytes: u64) -> Result<GgufTensor> {
        let TensorEntry { name, dims, kind, offset } = entry;
        let invalid =
            |reason: String| Error::InvalidTensor { file: self.file.clone(), tensor: name.clone(), reason };
        let dtype = storage_type(kind).ok_or_else(|| Error::Unsupported {
            file: self.file.clone(),
            what: format!("the type {} of tensor \"{name}\"", type_name(kind)),
            supported: format!(
                "supported are {SUPPORTED_TYPES}: use a copy of the model in one of these, such as Q8_0"
            ),
        })?;
        let elements = dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim));
        let elements = elements.filter(|&elements| 0 < elements && elements <= isize::MAX as u64 / 4);
        let elements = elements
            .ok_or_else(|| invalid(format!("has the impossible shape {dims:?}; download the file again")))?;
        let width = dims.first().copied().unwrap_or(1);
        if !width.is_multiple_of(dtype.block_size() as u64) {
            return Err(invalid(format!(
                "has rows of {width} values, which do not fill blocks of {} as {} needs; download the file again",
                dtype.block_size(),
                dtype.name()
            )));
        }
        let offset = data_start.checked_add(offset);
        let end = offset.and_then(|start| start.checked_add(dtype.bytes_of(elements)?));
        match (offset, end) {
            (Some(offset), Some(end)) if end <= file_bytes => Ok(GgufTensor {
                shape: dims.iter().rev().map(|&dim| dim as usize).collect(),
                dtype,
                offset,
                name,
            }),
            _ => Err(invalid(format!(
                "reaches past the end of the file at byte {file_bytes}; it was not downloaded completely, download it again"
            ))),
        }
    }
}

/// A tensor's values in f32, row-major, rows ordered as in the file.
///
/// # Errors
/// The file cannot be read.
pub fn read_f32(source: &dyn ByteSource, tensor: &GgufTensor) -> Result<Vec<f32>> {
    let GgufTensor { name, shape, dtype, offset } = tensor;
    read_rows(&StoredRows { name, source, offset: *offset, dtype: *dtype, shape, order: RowOrder::Same })
}

impl MetadataValue {
    pub fn as_unsigned(&self) -> Option<u64> {
        match *self {
            MetadataValue::Unsigned(value) => Some(value),
            MetadataValue::Signed(value) => value.try_into().ok(),
            _ => None,
        }
    }

    pub fn as_number(&self) -> Option<f64> {
        match *self {
            MetadataValue::Unsigned(value) => Some(value as f64),
            MetadataValue::Signed(value) => Some(value as f64),
            MetadataValue::F32(value) => value.to_string().parse().ok(),
            MetadataValue::F64(value) => Some(value),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            MetadataValue::Text(text) => Some(text),
            _ => None,
        }
    }
}

struct TensorEntry {
    name: String,
    /// Innermost first, as GGUF has them.
    dims: Vec<u64>,
    kind: u32,
    offset: u64,
}

/// Reads the header front to back through a window, since its length is known only at its end.
struct Reader<'a> {
    source: &'a dyn ByteSource,
    position: u64,
    window: Vec<u8>,
    window_start: u64,
}

const WINDOW: u64 = 1 << 20;

impl Reader<'_> {
    fn version(&mut self) -> Result<u32> {
        if self.source.len() < 4 || self.bytes(4)? != b"GGUF" {
            return Err(self.invalid(
                "does not begin with \"GGUF\"; check that it is a GGUF file, or download it again",
            ));
        }
        match self.u32()? {
            version @ 2..=3 => Ok(version),
            version => {
                let what = match version {
                    version if version & 0xFFFF == 0 => "big-endian GGUF".to_string(),
                    version => format!("GGUF version {version}"),
                };
                let supported =
                    "supported are versions 2 and 3, little-endian: use a newer copy of the model";
                Err(Error::Unsupported { file: self.source.name().into(), what, supported: supported.into() })
            }
        }
    }

    fn tensor_entry(&mut self) -> Result<TensorEntry> {
        let name = self.string()?;
        let dimensions = self.u32()?;
        if dimensions > 4 {
            return Err(self.invalid(&format!(
                "tensor \"{name}\" has {dimensions} dimensions, at most 4 are possible; download it again"
            )));
        }
        let dims = (0..dimensions).map(|_| self.u64()).collect::<Result<_>>()?;
        Ok(TensorEntry { name, dims, kind: self.u32()?, offset: self.u64()? })
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<MetadataValue> {
        const LONGEST_LIST: u64 = 1 << 22;
        use MetadataValue::*;
        Ok(match kind {
            0 => Unsigned(self.array::<1>()?[0].into()),
            1 => Signed((self.array::<1>()?[0] as i8).into()),
            2 => Unsigned(u16::from_le_bytes(self.array()?).into()),
            3 => Signed(i16::from_le_bytes(self.array()?).into()),
            4 => Unsigned(self.u32()?.into()),
            5 => Signed(i32::from_le_bytes(self.array()?).into()),
            6 => F32(f32::from_le_bytes(self.array()?)),
            7 => Bool(self.array::<1>()?[0] != 0),
            8 => Text(self.string()?),
            9 if depth < 3 => {
                let kind = self.u32()?;
                let count = self.count("list elements", LONGEST_LIST)?;
                // Grows as elements are really there: the count may be damaged.
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(kind, depth + 1)?);
                }
                List(values)
            }
            10 => Unsigned(self.u64()?),
            11 => Signed(i64::from_le_bytes(self.array()?)),
            12 => F64(f64::from_le_bytes(self.array()?)),
            _ => {
                return Err(self.invalid(&format!(
                    "metadata has the unknown type {kind}; the file is damaged, download it again"
                )));
            }
        })
    }

    fn count(&mut self, what: &str, most: u64) -> Result<u64> {
        let count = self.u64()?;
        if count > most {
            return Err(self
                .invalid(&format!("claims to have {count} {what}; the file is damaged, download it again")));
        }
        Ok(count)
    }

    /// Text; bytes that are not UTF-8 are replaced, as they matter to no one but a human reader.
    fn string(&mut self) -> Result<String> {
        const LONGEST: u64 = 1 << 24;
        let length = self.u64()?;
        if length > LONGEST {
            return Err(self.invalid(&format!("claims to have a text of {length} bytes in its header; the file is damaged, download it again")));
        }
        Ok(String::from_utf8_lossy(self.bytes(length)?).into_owned())
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N as u64)?);
        Ok(array)
    }

    fn bytes(&mut self, length: u64) -> Result<&[u8]> {
        let left = self.source.len() - self.position;
        if length > left {
            return Err(self.invalid(&format!(
                "ends after {} bytes, inside its header; it was not downloaded completely, download it again",
                self.source.len()
            )));
        }
        let window_end = self.window_start + self.window.len() as u64;
        if self.position + length > window_end {
            self.window.resize(length.max(WINDOW.min(left)) as usize, 0);
            self.window_start = self.position;
            self.source.read_at(self.position, &mut self.window)?;
        }
        let start = (self.position - self.window_start) as usize;
        self.position += length;
        Ok(&self.window[start..start + length as usize])
    }

    fn invalid(&self, reason: &str) -> Error {
        Error::InvalidModelFile { file: self.source.name().into(), reason: reason.into() }
    }
}

fn storage_type(kind: u32) -> Option<StorageType> {
    Some(match kind {
        0 => StorageType::F32,
        1 => StorageType::F16,
        2 => StorageType::Q4_0,
        3 => StorageType::Q4_1,
        6 => StorageType::Q5_0,
        7 => StorageType::Q5_1,
        8 => StorageType::Q8_0,
        12 => StorageType::Q4_K,
        13 => StorageType::Q5_K,
        14 => StorageType::Q6_K,
        30 => StorageType::BF16,
        _ => return None,
    })
}

/// The name of a type that is not supported.
fn type_name(kind: u32) -> String {
    let name = match kind {
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        40 => "NVFP4",
        other => return format!("number {other}"),
    };
    name.into()
}
