//! Writing GGUF, version 3 (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>): a header with all metadata and the
//! place of every tensor. The tensors' bytes follow it as they are made.

use super::gguf::{MetadataValue, type_number};
use super::gguf_metadata::{LIST, TEXT};
use super::quant::StorageType;

/// A header in the making.
#[derive(Debug, Clone, Default)]
pub struct GgufWriter {
    entries: u64,
    metadata: Vec<u8>,
    tensors: u64,
    /// The tensors' entries.
    listing: Vec<u8>,
    /// Where the next tensor begins, from the beginning of the data.
    end: u64,
}

/// Where a tensor may begin, in bytes.
const ALIGNMENT: u64 = 32;

const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const BOOL: u32 = 7;
const U64: u32 = 10;
const I64: u32 = 11;
const F64: u32 = 12;

impl GgufWriter {
    pub fn text(&mut self, key: &str, value: &str) {
        self.entry(key, TEXT, |bytes| push_text(bytes, value));
    }

    pub fn number(&mut self, key: &str, value: u32) {
        self.entry(key, U32, |bytes| bytes.extend(value.to_le_bytes()));
    }

    pub fn float(&mut self, key: &str, value: f32) {
        self.entry(key, F32, |bytes| bytes.extend(value.to_le_bytes()));
    }

    pub fn flag(&mut self, key: &str, value: bool) {
        self.entry(key, BOOL, |bytes| bytes.push(value.into()));
    }

    pub fn texts<'a>(&mut self, key: &str, values: impl ExactSizeIterator<Item = &'a str>) {
        let count = values.len();
        self.list(key, TEXT, count, |bytes| values.for_each(|value| push_text(bytes, value)));
    }

    pub fn integers(&mut self, key: &str, values: impl ExactSizeIterator<Item = i32>) {
        let count = values.len();
        self.list(key, I32, count, |bytes| values.for_each(|value| bytes.extend(value.to_le_bytes())));
    }

    /// What another file has. A whole number gets 32 bits where it fits, as llama.cpp reads them.
    pub fn value(&mut self, key: &str, value: &MetadataValue) {
        match value {
            MetadataValue::Text(text) => self.text(key, text),
            MetadataValue::Bool(flag) => self.flag(key, *flag),
            MetadataValue::F32(number) => self.float(key, *number),
            MetadataValue::F64(number) => self.entry(key, F64, |bytes| bytes.extend(number.to_le_bytes())),
            MetadataValue::Unsigned(number) => match u32::try_from(*number) {
                Ok(number) => self.number(key, number),
                Err(_) => self.entry(key, U64, |bytes| bytes.extend(number.to_le_bytes())),
            },
            MetadataValue::Signed(number) => match i32::try_from(*number) {
                Ok(number) => self.entry(key, I32, |bytes| bytes.extend(number.to_le_bytes())),
                Err(_) => self.entry(key, I64, |bytes| bytes.extend(number.to_le_bytes())),
            },
            MetadataValue::List(list) => {
                self.list(key, list.kind, list.count, |bytes| bytes.extend(&list.bytes));
            }
        }
    }

    /// The next tensor; `shape` is row-major, outermost first.
    pub fn tensor(&mut self, name: &str, shape: &[usize], dtype: StorageType) {
        self.tensors += 1;
        push_text(&mut self.listing, name);
        self.listing.extend((shape.len() as u32).to_le_bytes());
        shape.iter().rev().for_each(|&size| self.listing.extend((size as u64).to_le_bytes()));
        self.listing.extend(type_number(dtype).to_le_bytes());
        self.listing.extend(self.end.to_le_bytes());
        let numbers = shape.iter().map(|&size| size as u64).product();
        self.end = (self.end + dtype.bytes_of(numbers).unwrap_or(0)).next_multiple_of(ALIGNMENT);
    }

    /// The header's bytes, up to where the first tensor begins.
    pub fn header(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3u32.to_le_bytes());
        bytes.extend(self.tensors.to_le_bytes());
        bytes.extend(self.entries.to_le_bytes());
        bytes.extend(&self.metadata);
        bytes.extend(&self.listing);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
        bytes
    }

    /// The length of the whole file.
    pub fn file_bytes(&self) -> u64 {
        let header = 24 + self.metadata.len() as u64 + self.listing.len() as u64;
        header.next_multiple_of(ALIGNMENT) + self.end
    }

    /// The zeros that follow a tensor of so many bytes.
    pub fn padding(bytes: u64) -> &'static [u8] {
        &[0; ALIGNMENT as usize][..(bytes.next_multiple_of(ALIGNMENT) - bytes) as usize]
    }

    fn entry(&mut self, key: &str, kind: u32, value: impl FnOnce(&mut Vec<u8>)) {
        self.entries += 1;
        push_text(&mut self.metadata, key);
        self.metadata.extend(kind.to_le_bytes());
        value(&mut self.metadata);
    }

    fn list(&mut self, key: &str, kind: u32, count: usize, values: impl FnOnce(&mut Vec<u8>)) {
        self.entry(key, LIST, |bytes| {
            bytes.extend(kind.to_le_bytes());
            bytes.extend((count as u64).to_le_bytes());
            values(bytes);
        });
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::gguf::Gguf;
    use crate::weights::source::MemorySource;

    #[test]
    fn a_file_that_is_written_is_read_again() {
        let mut writer = GgufWriter::default();
        writer.text("general.architecture", "llama");
        writer.number("llama.block_count", 7);
        writer.float("adapter.lora.alpha", 1.5);
        writer.flag("tokenizer.ggml.add_bos_token", true);
        writer.texts("tokenizer.ggml.tokens", ["a", "bé"].into_iter());
        writer.integers("tokenizer.ggml.token_type", [1, -3].into_iter());
        writer.tensor("a.weight", &[3, 2], StorageType::F32);
        writer.tensor("b.weight", &[1, 32], StorageType::Q8_0);
        let mut bytes = writer.header();
        for length in [24, 34] {
            bytes.extend(vec![0; length]);
            bytes.extend(GgufWriter::padding(length as u64));
        }
        assert_eq!(bytes.len() as u64, writer.file_bytes());
        let gguf = Gguf::open(&MemorySource::new("a.gguf", bytes)).unwrap();
        let shapes: Vec<_> = gguf.tensors.iter().map(|tensor| tensor.shape.clone()).collect();
        assert_eq!(shapes, [vec![3, 2], vec![1, 32]]);

        let mut copy = GgufWriter::default();
        gguf.metadata.iter().for_each(|(key, value)| copy.value(key, value));
        let again = Gguf::open(&MemorySource::new("a.gguf", copy.header())).unwrap();
        assert_eq!(again.metadata, gguf.metadata);
    }
}
