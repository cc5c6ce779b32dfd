//! Trained weights as files that other tools open.

mod adapter_config;
pub mod card;
pub mod full;
pub mod gguf_lora;
mod gguf_vocabulary;
pub mod graduate;
mod low_rank;
pub mod merge;
pub mod merged;
pub mod merged_gguf;
pub mod mlx;
pub mod modelfile;
mod path_pattern;
pub mod peft;
mod request;
mod sink;

use crate::adapters::Trainable;
use crate::error::Result;
use crate::models::score::with_labels;
use crate::recipe::Method;
use serde_json::Value;
use std::io::{Cursor, Read, Write};

pub use request::{ExportDtype, ExportFormat, ExportRequest};
pub use sink::{FileEntry, Manifest, Sink};

/// A file ready to be written.
#[derive(Debug, Clone)]
pub struct OutputFile {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// `config.json`: of a whole model; and beside an adapter with a `score` head, whose classes PEFT's own
/// configuration has no place for.
pub fn model_config(trainable: &Trainable, base_config: &Value, pad_token_id: u32) -> Option<OutputFile> {
    let mut config = match &trainable.labels {
        Some(labels) => with_labels(base_config, labels, pad_token_id, trainable.is_encoder),
        None if trainable.method == Method::Lora => return None,
        None => base_config.clone(),
    };
    if trainable.method != Method::Lora {
        // What the weights are written in, whatever they were read from.
        for key in ["dtype", "torch_dtype"] {
            if !config[key].is_null() {
                config[key] = "float32".into();
            }
        }
    }
    let bytes = serde_json::to_vec_pretty(&config).expect("plain JSON");
    Some(OutputFile { name: "config.json".into(), bytes })
}

/// The files of an uncompressed zip archive, as [`zip()`] writes it.
///
/// # Errors
/// Bytes that are no such archive; two files of one name; files that share bytes, by which a small archive could grow without end.
pub fn unzip(name: &str, bytes: &[u8]) -> Result<Vec<OutputFile>> {
    let failed = |error: &dyn std::fmt::Display| crate::Error::InvalidAdapter {
        file: name.into(),
        reason: format!("cannot be unpacked ({error}); give the zip that Loralet wrote, or the files in it"),
    };
    let mut archive = ::zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| failed(&error))?;
    if archive.has_duplicate_names() {
        return Err(failed(&"it holds two files of one name"));
    }
    if archive.has_overlapping_entries().map_err(|error| failed(&error))? {
        return Err(failed(&"its files overlap"));
    }
    let mut files = Vec::new();
    for place in 0..archive.len() {
        let mut entry = archive.by_index(place).map_err(|error| failed(&error))?;
        if entry.is_dir() {
            continue;
        }
        let mut content = Vec::with_capacity(entry.size().min(bytes.len() as u64) as usize);
        entry.read_to_end(&mut content).map_err(|error| failed(&error))?;
        let name = entry.name().map_err(|error| failed(&error))?.into_owned();
        files.push(OutputFile { name, bytes: content });
    }
    Ok(files)
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
