//! GGUF, versions 2 and 3: metadata and tensor positions. No tensor data is held.

use super::gguf_reader::{Reader, TensorEntry};
use super::names::RowOrder;
use super::quant::{SUPPORTED_TYPES, StorageType};
use super::rows::{StoredRows, read_rows};
use super::source::ByteSource;
use crate::error::{Error, Result};

pub use super::gguf_metadata::{List, MetadataValue};

/// A GGUF file's header.
#[derive(Debug, Clone)]
pub struct Gguf {
    /// The file's name, for messages.
    pub file: String,
    pub version: u32,
    /// Sorted by key.
    pub metadata: Vec<(Box<str>, MetadataValue)>,
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

impl Gguf {
    /// Reads the header.
    ///
    /// # Errors
    /// Not a GGUF file, another version, truncated, tensors outside the file, or a quantisation that is not supported.
    pub fn open(source: &dyn ByteSource) -> Result<Gguf> {
        let mut reader = Reader::new(source);
        let version = reader.version()?;
        let (tensor_count, metadata_count) = reader.counts()?;
        let mut metadata = Vec::with_capacity(metadata_count);
        for _ in 0..metadata_count {
            metadata.push(reader.metadata_entry()?);
        }
        metadata.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut gguf =
            Gguf { file: source.name().into(), version, metadata, tensors: Vec::with_capacity(tensor_count) };
        if let Some(pair) = gguf.metadata.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(gguf.invalid(format!(
                "has the metadata \"{}\" twice, so that it cannot be told which is meant; download it again",
                pair[0].0
            )));
        }
        // Offsets count from the end of the header, which is known once all entries are read.
        for _ in 0..tensor_count {
            let tensor = gguf.tensor(reader.tensor_entry()?)?;
            gguf.tensors.push(tensor);
        }
        let data_start = gguf.data_start(reader.position())?;
        let mut tensors = std::mem::take(&mut gguf.tensors);
        for tensor in &mut tensors {
            tensor.offset = gguf.place(tensor, data_start, source.len())?;
        }
        gguf.tensors = tensors;
        gguf.check_apart()?;
        Ok(gguf)
    }

    /// What the metadata has under a key.
    pub fn get(&self, key: &str) -> Option<&MetadataValue> {
        let place = self.metadata.binary_search_by(|(name, _)| (**name).cmp(key)).ok()?;
        Some(&self.metadata[place].1)
    }

    /// A text, or None if the key is absent.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.get(key) {
            None => Ok(None),
            Some(MetadataValue::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong_type(key, "a text")),
        }
    }

    /// A whole number that is not negative, or None if the key is absent.
    pub fn unsigned(&self, key: &str) -> Result<Option<u64>> {
        self.get(key)
            .map(|value| value.as_unsigned().ok_or_else(|| self.wrong_type(key, "a whole number")))
            .transpose()
    }

    /// A number, or None if the key is absent. F32 becomes the f64 with the same decimal digits, as `config.json` would have it.
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        self.get(key)
            .map(|value| value.as_number().ok_or_else(|| self.wrong_type(key, "a number")))
            .transpose()
    }

    /// A truth value, or None if the key is absent.
    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(MetadataValue::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong_type(key, "true or false")),
        }
    }

    /// A list, or None if the key is absent.
    pub fn list(&self, key: &str) -> Result<Option<&List>> {
        match self.get(key) {
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

    /// The tensor, whose offset is still that of its entry.
    fn tensor(&self, entry: TensorEntry) -> Result<GgufTensor> {
        let TensorEntry { name, shape, kind, offset } = entry;
        let invalid =
            |reason: String| Error::InvalidTensor { file: self.file.clone(), tensor: name.clone(), reason };
        let dtype = storage_type(kind).ok_or_else(|| Error::Unsupported {
            file: self.file.clone(),
            what: format!("the type {} of tensor \"{name}\"", type_name(kind)),
            supported: format!(
                "supported are {SUPPORTED_TYPES}: use a copy of the model in one of these, such as Q8_0"
            ),
        })?;
        let elements = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size));
        let elements = elements.filter(|&elements| 0 < elements && elements <= isize::MAX as u64 / 4);
        if elements.is_none() {
            return Err(invalid(format!("has the impossible shape {shape:?}; download the file again")));
        }
        let width = shape.last().copied().unwrap_or(1);
        if !width.is_multiple_of(dtype.block_size() as u64) {
            return Err(invalid(format!(
                "has rows of {width} values, which do not fill blocks of {} as {} needs; download the file again",
                dtype.block_size(),
                dtype.name()
            )));
        }
        let shape = shape.into_iter().map(|size| size as usize).collect();
        Ok(GgufTensor { shape, dtype, offset, name })
    }

    /// The tensor's place in the file.
    fn place(&self, tensor: &GgufTensor, data_start: u64, file_bytes: u64) -> Result<u64> {
        let offset = data_start.checked_add(tensor.offset);
        let end = offset.and_then(|start| start.checked_add(tensor.bytes()));
        match (offset, end) {
            (Some(offset), Some(end)) if end <= file_bytes => Ok(offset),
            _ => Err(self.invalid_tensor(tensor, format!(
                "reaches past the end of the file at byte {file_bytes}; it was not downloaded completely, download it again"
            ))),
        }
    }

    /// No two tensors have one name, and no two have bytes in common.
    fn check_apart(&self) -> Result<()> {
        let mut order: Vec<u32> = (0..self.tensors.len() as u32).collect();
        let tensor = |place: u32| &self.tensors[place as usize];
        order.sort_unstable_by_key(|&place| tensor(place).name.as_str());
        if let Some(pair) = order.windows(2).find(|pair| tensor(pair[0]).name == tensor(pair[1]).name) {
            let name = &tensor(pair[0]).name;
            return Err(self.invalid(format!("has the tensor \"{name}\" twice; download it again")));
        }
        order.sort_unstable_by_key(|&place| tensor(place).offset);
        let overlap = order.windows(2).find(|pair| {
            let first = tensor(pair[0]);
            first.offset + first.bytes() > tensor(pair[1]).offset
        });
        match overlap {
            Some(pair) => Err(self.invalid_tensor(
                tensor(pair[1]),
                format!("lies on the bytes of tensor \"{}\"; download the file again", tensor(pair[0]).name),
            )),
            None => Ok(()),
        }
    }

    fn invalid_tensor(&self, tensor: &GgufTensor, reason: String) -> Error {
        Error::InvalidTensor { file: self.file.clone(), tensor: tensor.name.clone(), reason }
    }
}

impl GgufTensor {
    /// Length in the file.
    fn bytes(&self) -> u64 {
        let elements = self.shape.iter().map(|&size| size as u64).product();
        self.dtype.bytes_of(elements).unwrap_or(u64::MAX)
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

/// GGUF's number of a type.
pub(super) fn type_number(dtype: StorageType) -> u32 {
    match dtype {
        StorageType::F32 => 0,
        StorageType::F16 => 1,
        StorageType::Q4_0 => 2,
        StorageType::Q4_1 => 3,
        StorageType::Q5_0 => 6,
        StorageType::Q5_1 => 7,
        StorageType::Q8_0 => 8,
        StorageType::Q4_K => 12,
        StorageType::Q5_K => 13,
        StorageType::Q6_K => 14,
        StorageType::BF16 => 30,
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
