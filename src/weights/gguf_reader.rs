//! A GGUF header front to back, through a window, since its length is known only at its end. A count is believed only where the
//! rest of the file has room for so many.

use super::gguf_metadata::{LIST, List, MetadataValue, TEXT, scalar, width};
use super::source::ByteSource;
use crate::error::{Error, Result};

pub(super) struct Reader<'a> {
    source: &'a dyn ByteSource,
    position: u64,
    window: Vec<u8>,
    window_start: u64,
}

/// A tensor as the header lists it.
pub(super) struct TensorEntry {
    pub name: String,
    /// Row-major, outermost first: the reverse of GGUF's own order.
    pub shape: Vec<u64>,
    pub kind: u32,
    /// From the beginning of the data, in bytes.
    pub offset: u64,
}

const WINDOW: u64 = 1 << 20;

/// A key's length, its type and a byte of value.
const SHORTEST_METADATA: u64 = 13;
/// A name's length, the number of dimensions, the type and the offset.
const SHORTEST_TENSOR: u64 = 24;

impl Reader<'_> {
    pub fn new(source: &dyn ByteSource) -> Reader<'_> {
        Reader { source, position: 0, window: Vec::new(), window_start: 0 }
    }

    /// Where in the file it is, in bytes.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn version(&mut self) -> Result<u32> {
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

    /// How many tensors and how many metadata entries there are.
    pub fn counts(&mut self) -> Result<(usize, usize)> {
        let tensors = self.count("tensors", 1 << 20, SHORTEST_TENSOR)?;
        let metadata = self.count("metadata entries", 1 << 16, SHORTEST_METADATA)?;
        Ok((tensors, metadata))
    }

    pub fn metadata_entry(&mut self) -> Result<(Box<str>, MetadataValue)> {
        let key = self.text()?;
        let kind = self.u32()?;
        let value = match kind {
            TEXT => MetadataValue::Text(self.text()?.into_boxed_str()),
            LIST => MetadataValue::List(Box::new(self.list()?)),
            _ => {
                let width = width(kind).ok_or_else(|| self.unknown_type(kind))?;
                let bytes = self.bytes(width as u64)?;
                scalar(kind, bytes).ok_or_else(|| self.unknown_type(kind))?
            }
        };
        Ok((key.into_boxed_str(), value))
    }

    pub fn tensor_entry(&mut self) -> Result<TensorEntry> {
        let name = self.text()?;
        let dimensions = self.u32()?;
        if dimensions > 4 {
            return Err(self.invalid(&format!(
                "tensor \"{name}\" has {dimensions} dimensions, at most 4 are possible; download it again"
            )));
        }
        let mut shape = Vec::with_capacity(dimensions as usize);
        for _ in 0..dimensions {
            shape.push(self.u64()?);
        }
        shape.reverse();
        Ok(TensorEntry { name, shape, kind: self.u32()?, offset: self.u64()? })
    }

    fn list(&mut self) -> Result<List> {
        let kind = self.u32()?;
        let count = self.list_length(kind)?;
        let start = self.position;
        self.skip_elements(kind, count, 1)?;
        // The elements have been seen to be there.
        let mut bytes = vec![0; (self.position - start) as usize].into_boxed_slice();
        self.source.read_at(start, &mut bytes)?;
        Ok(List { kind, count, bytes })
    }

    fn list_length(&mut self, kind: u32) -> Result<usize> {
        let shortest = match kind {
            TEXT => 8,
            LIST => 12,
            _ => width(kind).ok_or_else(|| self.unknown_type(kind))? as u64,
        };
        self.count("list elements", 1 << 22, shortest)
    }

    fn skip_elements(&mut self, kind: u32, count: usize, depth: usize) -> Result<()> {
        if let Some(width) = width(kind) {
            return self.skip((count * width) as u64);
        }
        for _ in 0..count {
            if kind == TEXT {
                let length = self.text_length()?;
                self.skip(length)?;
            } else if depth < 3 {
                let kind = self.u32()?;
                let count = self.list_length(kind)?;
                self.skip_elements(kind, count, depth + 1)?;
            } else {
                return Err(self.unknown_type(kind));
            }
        }
        Ok(())
    }

    /// A number of things, each of which takes at least `shortest` bytes.
    fn count(&mut self, what: &str, most: u64, shortest: u64) -> Result<usize> {
        let count = self.u64()?;
        if count > most {
            return Err(self
                .invalid(&format!("claims to have {count} {what}; the file is damaged, download it again")));
        }
        if count * shortest > self.left() {
            return Err(self.invalid(&format!(
                "ends after {} bytes, which have no room for the {count} {what} that it claims to have; it was not downloaded \
                 completely, download it again",
                self.source.len()
            )));
        }
        Ok(count as usize)
    }

    /// Text; bytes that are not UTF-8 are replaced, as they matter to no one but a human reader.
    fn text(&mut self) -> Result<String> {
        let length = self.text_length()?;
        let bytes = self.bytes(length)?;
        let lengths = bytes
            .utf8_chunks()
            .map(|chunk| chunk.valid().len() + if chunk.invalid().is_empty() { 0 } else { 3 });
        let mut text = String::with_capacity(lengths.sum());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        Ok(text)
    }

    fn text_length(&mut self) -> Result<u64> {
        const LONGEST: u64 = 1 << 24;
        let length = self.u64()?;
        if length > LONGEST {
            return Err(self.invalid(&format!("claims to have a text of {length} bytes in its header; the file is damaged, download it again")));
        }
        Ok(length)
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
        self.check_left(length)?;
        let window_end = self.window_start + self.window.len() as u64;
        if self.position + length > window_end || self.position < self.window_start {
            self.window.resize(length.max(WINDOW.min(self.left())) as usize, 0);
            self.window_start = self.position;
            self.source.read_at(self.position, &mut self.window)?;
        }
        let start = (self.position - self.window_start) as usize;
        self.position += length;
        Ok(&self.window[start..start + length as usize])
    }

    fn skip(&mut self, length: u64) -> Result<()> {
        self.check_left(length)?;
        self.position += length;
        if self.position > self.window_start + self.window.len() as u64 {
            self.window.clear();
            self.window_start = self.position;
        }
        Ok(())
    }

    fn check_left(&self, length: u64) -> Result<()> {
        if length <= self.left() {
            return Ok(());
        }
        Err(self.invalid(&format!(
            "ends after {} bytes, inside its header; it was not downloaded completely, download it again",
            self.source.len()
        )))
    }

    fn left(&self) -> u64 {
        self.source.len() - self.position
    }

    fn unknown_type(&self, kind: u32) -> Error {
        self.invalid(&format!("metadata has the unknown type {kind}; the file is damaged, download it again"))
    }

    fn invalid(&self, reason: &str) -> Error {
        Error::InvalidModelFile { file: self.source.name().into(), reason: reason.into() }
    }
}
