//! The header of a safetensors file (<https://huggingface.co/docs/safetensors/index#format>): JSON of names, types, shapes and places.
//! It is read entry by entry into no more memory than it has bytes for, and believed only where it fits the file.

use super::source::ByteSource;
use crate::error::{Error, Result};
use ::safetensors::tensor::Dtype;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Where a tensor lies in a safetensors file.
#[derive(Debug, Clone)]
pub struct StoredTensor {
    pub name: String,
    pub shape: Vec<usize>,
    /// The type as the file names it; [`super::safetensors::storage_type`] says whether it is supported.
    pub dtype: Dtype,
    /// Absolute offset in the file, in bytes.
    pub offset: u64,
    /// Its length, in bytes.
    pub bytes: u64,
}

/// What a header says.
pub struct Header {
    /// In the order in which they lie in the file, one after the other without a gap.
    pub tensors: Vec<StoredTensor>,
    /// The text under the wanted key of `__metadata__`.
    pub text: Option<String>,
    /// Where the last tensor ends, in bytes from the beginning of the file.
    pub end: u64,
}

/// More than any file has; PyTorch's own limit is 64.
const MOST_DIMENSIONS: usize = 8;

/// The shortest entry, `"a":{"dtype":"I8","shape":[],"data_offsets":[0,0]},`: no header has more of them than fit.
const SHORTEST_ENTRY: usize = 50;

impl Header {
    /// Reads the header; of its `__metadata__`, what is under `wanted`.
    ///
    /// # Errors
    /// The file is truncated, is not safetensors, or contradicts itself: a name twice, a gap, an overlap, a shape of another size.
    pub fn read(source: &dyn ByteSource, wanted: &str) -> Result<Header> {
        const LARGEST_HEADER: u64 = 100_000_000;
        let invalid = |reason: String| Error::InvalidModelFile { file: source.name().into(), reason };
        let mut length = [0; 8];
        source.read_at(0, &mut length)?;
        let length = u64::from_le_bytes(length);
        if length > LARGEST_HEADER {
            return Err(invalid(
                "does not begin as a safetensors file does; check that it is one, or download it again"
                    .into(),
            ));
        }
        if length > source.len() - 8 {
            return Err(invalid(format!(
                "ends after {} bytes, inside its header of {length} bytes; it was not downloaded completely, download it again",
                source.len()
            )));
        }
        let mut bytes = vec![0; length as usize];
        source.read_at(8, &mut bytes)?;
        let start = 8 + length;
        let entries = Entries { start, wanted, most: bytes.len() / SHORTEST_ENTRY + 1 };
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let read = entries.deserialize(&mut json).and_then(|read| json.end().map(|()| read));
        let (mut tensors, text) = read.map_err(|error| {
            invalid(format!("has a damaged safetensors header ({error}); download it again"))
        })?;
        drop(bytes);

        check_names(source.name(), &tensors)?;
        tensors.sort_unstable_by_key(|tensor| (tensor.offset, tensor.bytes));
        let mut end = start;
        for tensor in &tensors {
            end = check_place(source.name(), tensor, start, end)?;
        }
        if end > source.len() {
            return Err(invalid(format!(
                "has {} bytes, but its tensors reach to byte {end}; it was not downloaded completely, download it again",
                source.len()
            )));
        }
        Ok(Header { tensors, text, end })
    }
}

fn check_names(file: &str, tensors: &[StoredTensor]) -> Result<()> {
    let mut order: Vec<u32> = (0..tensors.len() as u32).collect();
    let name = |place: u32| tensors[place as usize].name.as_str();
    order.sort_unstable_by_key(|&place| name(place));
    match order.windows(2).find(|pair| name(pair[0]) == name(pair[1])) {
        Some(pair) => Err(Error::InvalidTensor {
            file: file.into(),
            tensor: name(pair[0]).into(),
            reason: "is there twice, so that it cannot be told which is meant; download the file again"
                .into(),
        }),
        None => Ok(()),
    }
}

/// Where the tensor ends, if it begins where the one before it ends and is as long as its shape says.
fn check_place(file: &str, tensor: &StoredTensor, start: u64, end: u64) -> Result<u64> {
    let StoredTensor { name, shape, dtype, offset, bytes } = tensor;
    let invalid = |reason: String| Error::InvalidTensor { file: file.into(), tensor: name.clone(), reason };
    if *offset != end {
        return Err(invalid(format!(
            "begins at byte {} of the tensors, where the one before it ends at {}: they overlap or leave a gap; download the file again",
            offset - start,
            end - start
        )));
    }
    let bits = shape.iter().try_fold(dtype.bitsize(), |product, &size| product.checked_mul(size));
    match bits {
        Some(bits) if bits.is_multiple_of(8) && bits as u64 / 8 == *bytes => Ok(offset + bytes),
        _ => Err(invalid(format!(
            "takes {bytes} bytes, which its shape {shape:?} of {dtype} does not fill; download the file again"
        ))),
    }
}

/// The entries of a header.
#[derive(Clone, Copy)]
struct Entries<'a> {
    /// Where the tensors begin in the file.
    start: u64,
    wanted: &'a str,
    most: usize,
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = (Vec<StoredTensor>, Option<String>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = (Vec<StoredTensor>, Option<String>);

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut tensors = Vec::with_capacity(self.most);
        let mut metadata = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                if metadata.is_some() {
                    return Err(A::Error::custom("__metadata__ is there twice"));
                }
                metadata = Some(map.next_value_seed(Metadata { wanted: self.wanted })?);
                continue;
            }
            let Entry { dtype, shape: Shape(shape), data_offsets: (from, to) } = map.next_value()?;
            let (Some(bytes), Some(offset)) = (to.checked_sub(from), self.start.checked_add(from)) else {
                return Err(A::Error::custom(format!("a tensor reaches from byte {from} to byte {to}")));
            };
            if offset.checked_add(bytes).is_none() {
                return Err(A::Error::custom(format!("a tensor reaches to byte {to}")));
            }
            tensors.push(StoredTensor { name, shape, dtype, offset, bytes });
        }
        Ok((tensors, metadata.flatten()))
    }
}

#[derive(Deserialize)]
struct Entry {
    dtype: Dtype,
    shape: Shape,
    data_offsets: (u64, u64),
}

struct Shape(Vec<usize>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shape, D::Error> {
        struct Sizes;
        impl<'de> Visitor<'de> for Sizes {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(f, "a shape of at most {MOST_DIMENSIONS} dimensions")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sizes: A) -> Result<Shape, A::Error> {
                let mut shape = [0; MOST_DIMENSIONS];
                let mut count = 0;
                while let Some(size) = sizes.next_element()? {
                    let place =
                        shape.get_mut(count).ok_or_else(|| A::Error::invalid_length(count + 1, &self))?;
                    *place = size;
                    count += 1;
                }
                Ok(Shape(shape[..count].to_vec()))
            }
        }
        deserializer.deserialize_seq(Sizes)
    }
}

/// `__metadata__`, of which one text is wanted.
struct Metadata<'a> {
    wanted: &'a str,
}

impl<'de> DeserializeSeed<'de> for Metadata<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Metadata<'_> {
    type Value = Option<String>;

    /// MLX writes null where there is none.
    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != self.wanted {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom(format!("{key} is in __metadata__ twice")));
            }
        }
        Ok(found)
    }
}
