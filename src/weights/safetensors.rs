//! Safetensors: the header of a file that is read tensor by tensor, and whole small files in memory.

use super::quant::{StorageType, dequantize};
use super::source::{ByteSource, BytesSource};
use crate::error::{Error, Result};
use ::safetensors::serialize as serialize_views;
use ::safetensors::tensor::{Dtype, View};
use std::borrow::Cow;
use std::collections::HashMap;

pub use super::safetensors_header::{Header, StoredTensor};

/// A named tensor in f32: name, shape, row-major values.
pub type NamedTensor = (String, Vec<usize>, Vec<f32>);

/// The tensors of a file by their header, each within the file and beside the others.
///
/// # Errors
/// As [`Header::read`].
pub fn read_header(source: &dyn ByteSource) -> Result<Vec<StoredTensor>> {
    Ok(Header::read(source, "")?.tensors)
}

/// The storage form that a safetensors type means.
///
/// # Errors
/// A type other than F32, F16 and BF16.
pub fn storage_type(file: &str, tensor: &str, dtype: Dtype) -> Result<StorageType> {
    match dtype {
        Dtype::F32 => Ok(StorageType::F32),
        Dtype::F16 => Ok(StorageType::F16),
        Dtype::BF16 => Ok(StorageType::BF16),
        other => Err(Error::Unsupported {
            file: file.into(),
            what: format!("the type {other} of tensor \"{tensor}\""),
            supported: "supported are F32, F16 and BF16: use a copy of the model in one of these".into(),
        }),
    }
}

/// Writes tensors as f32, sorted by name, with header metadata.
///
/// # Errors
/// A shape that does not match its values.
pub fn serialize(tensors: &[NamedTensor], metadata: &[(&str, &str)]) -> Result<Vec<u8>> {
    for (name, shape, values) in tensors {
        if shape.iter().product::<usize>() != values.len() {
            return Err(Error::InvalidTensor {
                file: "safetensors".into(),
                tensor: name.clone(),
                reason: format!("has {} values, which do not fill its shape {shape:?}", values.len()),
            });
        }
    }
    let views = tensors.iter().map(|(name, shape, values)| (name, F32View { shape, values }));
    let metadata: HashMap<String, String> =
        metadata.iter().map(|&(key, value)| (key.into(), value.into())).collect();
    let metadata = if metadata.is_empty() { None } else { Some(metadata) };
    serialize_views(views, metadata).map_err(|error| Error::InvalidModelFile {
        file: "safetensors".into(),
        reason: format!("cannot be written ({error})"),
    })
}

/// Reads a whole file of F32, F16 or BF16 tensors, sorted by name; `name` is the file's, for messages.
///
/// # Errors
/// The bytes are not a complete safetensors file, or hold another type.
pub fn deserialize_f32(name: &str, bytes: &[u8]) -> Result<Vec<NamedTensor>> {
    let Header { tensors: stored, end, .. } = Header::read(&BytesSource { name, bytes }, "")?;
    if end < bytes.len() as u64 {
        return Err(Error::InvalidModelFile {
            file: name.into(),
            reason: format!(
                "has {} bytes behind its last tensor, so it is not a complete safetensors file; make or download it again",
                bytes.len() as u64 - end
            ),
        });
    }
    let mut tensors = Vec::with_capacity(stored.len());
    for StoredTensor { name: tensor, shape, dtype, offset, bytes: length } in stored {
        let dtype = storage_type(name, &tensor, dtype)?;
        let mut values = vec![0.0; shape.iter().product()];
        dequantize(dtype, &bytes[offset as usize..(offset + length) as usize], &mut values);
        tensors.push((tensor, shape, values));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(tensors)
}

struct F32View<'a> {
    shape: &'a [usize],
    values: &'a [f32],
}

impl View for F32View<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::source::MemorySource;

    fn example() -> Vec<NamedTensor> {
        vec![
            ("a".into(), vec![2, 3], vec![1.0, -2.0, 0.5, 3.0, f32::MIN_POSITIVE, 1e30]),
            ("b".into(), vec![1], vec![7.0]),
        ]
    }

    #[test]
    fn values_survive_a_round_trip() {
        let bytes = serialize(&example(), &[("format", "pt")]).unwrap();
        assert_eq!(deserialize_f32("x", &bytes).unwrap(), example());
        let header = read_header(&MemorySource::new("x", bytes)).unwrap();
        assert_eq!(header.len(), 2);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = serialize(&example(), &[]).unwrap();
        for length in 0..bytes.len() {
            assert!(deserialize_f32("x", &bytes[..length]).is_err());
            assert!(read_header(&MemorySource::new("x", bytes[..length].to_vec())).is_err());
        }
    }

    #[test]
    fn a_wrong_shape_is_not_written() {
        let error = serialize(&[("a".into(), vec![2, 2], vec![0.0; 3])], &[]).unwrap_err();
        assert!(error.to_string().contains("\"a\""), "{error}");
    }
}
