//! Where the bytes of a model file come from.

use crate::error::{Error, Result};

/// Random access to the bytes of one file.
///
/// The browser implements it over a `Blob`, native programs over a file.
pub trait ByteSource {
    /// The file's name without its folder, as messages show it.
    fn name(&self) -> &str;

    /// Length in bytes.
    fn len(&self) -> u64;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    /// The range reaches past the end, or the file cannot be read.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()>;
}

/// A file that lies in memory.
#[derive(Debug, Clone)]
pub struct MemorySource {
    name: String,
    bytes: Vec<u8>,
}

impl MemorySource {
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

impl ByteSource for MemorySource {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        BytesSource { name: &self.name, bytes: &self.bytes }.read_at(offset, buf)
    }
}

/// The bytes of a file that somebody else holds.
pub(crate) struct BytesSource<'a> {
    pub name: &'a str,
    pub bytes: &'a [u8],
}

impl ByteSource for BytesSource<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self, offset, buf.len() as u64)?;
        buf.copy_from_slice(&self.bytes[offset as usize..][..buf.len()]);
        Ok(())
    }
}

/// A file on disk.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug)]
pub struct FileSource {
    name: String,
    len: u64,
    file: std::cell::RefCell<std::fs::File>,
}

#[cfg(not(target_arch = "wasm32"))]
impl FileSource {
    /// # Errors
    /// There is no such file, it is a folder, or it cannot be read.
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let path = path.as_ref();
        let unreadable = |reason: String| Error::Unreadable { file: path.display().to_string(), reason };
        let file = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let metadata = file.metadata().map_err(|error| unreadable(error.to_string()))?;
        if !metadata.is_file() {
            return Err(unreadable("it is not a file".into()));
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { name, len: metadata.len(), file: file.into() })
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl ByteSource for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        check_range(self, offset, buf.len() as u64)?;
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(buf))
            .map_err(|error| Error::Unreadable { file: self.name.clone(), reason: error.to_string() })
    }
}

/// Reads a whole small text file, such as `config.json`; a byte order mark is dropped.
pub(crate) fn read_text(source: &dyn ByteSource) -> Result<String> {
    const LARGEST_TEXT_FILE: u64 = 256 << 20;
    let invalid = |reason: String| Error::InvalidModelFile { file: source.name().into(), reason };
    if source.len() > LARGEST_TEXT_FILE {
        return Err(invalid(format!("has {} bytes, too many for a text file of a model", source.len())));
    }
    let mut bytes = vec![0; source.len() as usize];
    source.read_at(0, &mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        invalid(format!("is not UTF-8 text (byte {}); download it again", error.utf8_error().valid_up_to()))
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_string(),
        None => text,
    })
}

fn check_range(source: &dyn ByteSource, offset: u64, length: u64) -> Result<()> {
    match offset.checked_add(length) {
        Some(end) if end <= source.len() => Ok(()),
        _ => Err(Error::InvalidModelFile {
            file: source.name().into(),
            reason: format!(
                "ends after {} bytes, but {length} bytes from byte {offset} on are needed; it was not downloaded completely, download it again",
                source.len()
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_past_the_end_is_an_error() {
        let source = MemorySource::new("a.bin", vec![1, 2, 3]);
        let mut buf = [0; 2];
        source.read_at(1, &mut buf).unwrap();
        assert_eq!(buf, [2, 3]);
        assert!(source.read_at(2, &mut buf).is_err());
        assert!(source.read_at(u64::MAX, &mut buf).is_err());
    }

    #[test]
    fn a_byte_order_mark_is_dropped() {
        let source = MemorySource::new("config.json", b"\xef\xbb\xbf{}".to_vec());
        assert_eq!(read_text(&source).unwrap(), "{}");
    }
}
