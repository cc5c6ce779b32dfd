//! Trained weights as files that other tools open.

pub mod card;
pub mod full;
pub mod peft;

use crate::error::Result;
use std::io::{Cursor, Write};

/// A file ready to be written.
#[derive(Debug, Clone)]
pub struct OutputFile {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// The files as one uncompressed zip archive.
///
/// # Errors
/// More data than a zip archive holds.
pub fn zip(files: &[OutputFile]) -> Result<Vec<u8>> {
    let failed = |error: &dyn std::fmt::Display| crate::Error::Training {
        reason: format!("cannot zip the files ({error})"),
    };
    let mut archive = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        ::zip::write::SimpleFileOptions::default().compression_method(::zip::CompressionMethod::Stored);
    for file in files {
        archive.start_file(file.name.as_str(), options).map_err(|error| failed(&error))?;
        archive.write_all(&file.bytes).map_err(|error| failed(&error))?;
    }
    Ok(archive.finish().map_err(|error| failed(&error))?.into_inner())
}
