use crate::error::{Error, Result};
use crate::weights::source::ByteSource;
use web_sys::{Blob, FileReaderSync};

/// A browser file, read range by range; its bytes stay outside the wasm heap.
pub struct BlobSource {
    name: String,
    blob: Blob,
    reader: FileReaderSync,
}

impl BlobSource {
    /// # Errors
    /// Outside a worker: only workers may read synchronously.
    pub fn new(name: String, blob: Blob) -> Result<BlobSource> {
        let reader = FileReaderSync::new().map_err(|_| Error::Device {
            reason: "files can be read only inside a worker; start the session in one".into(),
        })?;
        Ok(BlobSource { name, blob, reader })
    }
}

impl ByteSource for BlobSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.blob.size() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let unreadable = |reason: &str| Error::Unreadable { file: self.name.clone(), reason: reason.into() };
        let end = offset + buffer.len() as u64;
        if end > self.len() {
            return Err(unreadable("it ends early; it may be cut short, so fetch it again"));
        }
        let slice = self
            .blob
            .slice_with_f64_and_f64(offset as f64, end as f64)
            .map_err(|_| unreadable("the browser cannot cut it"))?;
        let bytes = self.reader.read_as_array_buffer(&slice).map_err(|_| {
            unreadable("the browser cannot read it; it may have been moved or changed, so choose it again")
        })?;
        js_sys::Uint8Array::new(&bytes).copy_to(buffer);
        Ok(())
    }
}
