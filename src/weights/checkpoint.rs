//! A model's files, opened.

use super::names::RowOrder;
use super::quant::StorageType;
use super::rows::{StoredRows, read_blocks, read_rows};
use super::source::ByteSource;
use super::{gguf, gguf_config, gguf_tokenizer, huggingface};
use crate::error::{Error, Result};
use crate::kernels::blocks::HostBlocks;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A model's files, opened: headers are read, no tensor data is held.
pub struct Checkpoint {
    /// With the keys of a Hugging Face `config.json`, also when read from GGUF.
    pub config: Value,
    pub tokenizer: TokenizerFiles,
    /// Under Hugging Face names; `lm_head.weight` only if it is not tied to the embedding.
    pub tensors: Vec<TensorInfo>,
    pub format: SourceFormat,
    end_token_ids: Vec<u32>,
    by_name: HashMap<String, usize>,
    sources: Vec<Box<dyn ByteSource>>,
}

/// A tensor's name, shape and place.
#[derive(Debug, Clone)]
pub struct TensorInfo {
    pub name: String,
    /// In Hugging Face's order: `[out, in]` for a linear layer.
    pub shape: Vec<usize>,
    /// How the file stores it.
    pub dtype: StorageType,
    pub(super) file: usize,
    pub(super) offset: u64,
    pub(super) order: RowOrder,
}

/// What a tokenizer is built from.
#[derive(Debug, Clone)]
pub struct TokenizerFiles {
    /// The text of `tokenizer.json`.
    pub tokenizer_json: String,
    /// The chat template's Jinja source.
    pub chat_template: Option<String>,
    pub bos_token: Option<String>,
    pub eos_token: Option<String>,
    pub unk_token: Option<String>,
    pub pad_token: Option<String>,
    /// `tokenizer_config.json` as it is, or null; for GGUF what it would say.
    pub additional: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
#[serde(rename_all = "snake_case")]
pub enum SourceFormat {
    Gguf,
    Safetensors,
}

/// What a format's reader finds.
pub(super) struct Opened {
    pub config: Value,
    pub tokenizer: TokenizerFiles,
    pub tensors: Vec<TensorInfo>,
    pub format: SourceFormat,
    pub end_token_ids: Vec<u32>,
}

impl Checkpoint {
    /// Opens one `.gguf` file, or the files of a Hugging Face folder in any order. Files that are not needed are ignored.
    ///
    /// # Errors
    /// A file is missing, truncated, damaged or of a kind that is not supported. Whether the tensors are those that the config
    /// asks for, its model sees.
    pub fn open(files: Vec<Box<dyn ByteSource>>) -> Result<Checkpoint> {
        let has_config = files.iter().any(|file| huggingface::base_name(file.as_ref()) == "config.json");
        let gguf: Vec<usize> =
            (0..files.len()).filter(|&index| is_gguf(files[index].as_ref(), has_config)).collect();
        let opened = match gguf[..] {
            [] => huggingface::open(&files)?,
            [index] => open_gguf(files[index].as_ref(), index)?,
            [first, ..] => {
                return Err(Error::InvalidModelFile {
                    file: files[first].name().into(),
                    reason: format!("is one of {} GGUF files; choose one model", gguf.len()),
                });
            }
        };
        let by_name =
            opened.tensors.iter().enumerate().map(|(index, tensor)| (tensor.name.clone(), index)).collect();
        let Opened { config, tokenizer, tensors, format, mut end_token_ids } = opened;
        let mut seen = HashSet::new();
        end_token_ids.retain(|&id| seen.insert(id));
        Ok(Checkpoint { config, tokenizer, tensors, format, end_token_ids, by_name, sources: files })
    }

    /// # Errors
    /// The model has no tensor of this name.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo> {
        match self.by_name.get(name) {
            Some(&index) => Ok(&self.tensors[index]),
            None => Err(Error::InvalidTensor {
                file: self.main_file().into(),
                tensor: name.into(),
                reason: "is missing; the model is not complete: download it again, or save it again whole"
                    .into(),
            }),
        }
    }

    /// Values in f32, row-major, in Hugging Face's layout. Holds only this tensor, and a piece of its stored form.
    ///
    /// # Errors
    /// No such tensor, a file that cannot be read, or too little memory.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let TensorInfo { name, shape, dtype, file, offset, order } = self.tensor(name)?;
        let source = self.sources[*file].as_ref();
        read_rows(&StoredRows { name, source, offset: *offset, dtype: *dtype, shape, order: *order })
    }

    /// A matrix in the blocks that the file has it in, with its rows in Hugging Face's order; `None` where it is stored otherwise.
    ///
    /// # Errors
    /// As [`Checkpoint::read_f32`].
    pub fn read_blocks(&self, name: &str) -> Result<Option<HostBlocks>> {
        let TensorInfo { name, shape, dtype, file, offset, order } = self.tensor(name)?;
        let source = self.sources[*file].as_ref();
        read_blocks(&StoredRows { name, source, offset: *offset, dtype: *dtype, shape, order: *order })
    }

    /// A digest of the weights, whatever the order of their tensors: FNV-1a over names, shapes, types and a few bytes of each. It
    /// tells models apart; it does not find a single weight that was changed.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn digest(&self) -> Result<String> {
        /// Bytes of each tensor, from its middle.
        const SAMPLE: u64 = 64;
        let mut tensors: Vec<&TensorInfo> = self.tensors.iter().collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut eat = |bytes: &[u8]| {
            bytes.iter().for_each(|&byte| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        };
        for tensor in tensors {
            let TensorInfo { name, shape, dtype, file, offset, .. } = tensor;
            eat(format!("{name} {shape:?} {} ", dtype.name()).as_bytes());
            let numbers: u64 = shape.iter().map(|&size| size as u64).product();
            let length = dtype.bytes_of(numbers).unwrap_or(0);
            let mut sample = vec![0; SAMPLE.min(length) as usize];
            self.sources[*file].read_at(offset + (length - sample.len() as u64) / 2, &mut sample)?;
            eat(&sample);
        }
        Ok(format!("{hash:016x}"))
    }

    /// The header of a GGUF model, read anew, and its file; `None` for a Hugging Face folder.
    ///
    /// # Errors
    /// A file that cannot be read any more.
    pub fn gguf(&self) -> Result<Option<(gguf::Gguf, &dyn ByteSource)>> {
        let file = self.tensors.first().filter(|_| self.format == SourceFormat::Gguf);
        let source = file.map(|tensor| self.sources[tensor.file].as_ref());
        source.map(|source| Ok((gguf::Gguf::open(source)?, source))).transpose()
    }

    /// Bytes of the files that hold the tensors.
    pub fn file_bytes(&self) -> u64 {
        let used: std::collections::BTreeSet<usize> = self.tensors.iter().map(|tensor| tensor.file).collect();
        used.into_iter().map(|file| self.sources[file].len()).sum()
    }

    /// How many tensors are stored in which form, most first: "Q4_1 ×210, F32 ×61, Q8_0 ×1".
    pub fn stored_as(&self) -> String {
        let mut counts: BTreeMap<StorageType, usize> = BTreeMap::new();
        for tensor in &self.tensors {
            *counts.entry(tensor.dtype).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let parts: Vec<String> =
            counts.iter().map(|(dtype, count)| format!("{} ×{count}", dtype.name())).collect();
        parts.join(", ")
    }

    /// The name of the file that a tensor lies in.
    pub fn file_of(&self, tensor: &TensorInfo) -> &str {
        self.sources[tensor.file].name()
    }

    /// Ids that end a text or a turn, as the model's own files name them, without duplicates.
    pub fn eos_token_ids(&self) -> Vec<u32> {
        self.end_token_ids.clone()
    }

    fn main_file(&self) -> &str {
        let file = self.tensors.first().map_or(0, |tensor| tensor.file);
        self.sources.get(file).map_or("model", |source| source.name())
    }
}

/// By name, or by content where nothing else says what the files are: some programs keep GGUF files under other names.
fn is_gguf(source: &dyn ByteSource, has_config: bool) -> bool {
    if source.name().to_ascii_lowercase().ends_with(".gguf") {
        return true;
    }
    let mut magic = [0; 4];
    !has_config && source.read_at(0, &mut magic).is_ok() && &magic == b"GGUF"
}

fn open_gguf(source: &dyn ByteSource, file: usize) -> Result<Opened> {
    let gguf = gguf::Gguf::open(source)?;
    let config = gguf_config::config(&gguf, source)?;
    let (architecture, names) = gguf_config::architecture(&gguf)?;
    let tokenizer = gguf_tokenizer::tokenizer_files(&gguf)?;
    let size = |key: &str| config[key].as_u64().unwrap_or(1) as usize;
    let [heads, kv_heads] = ["num_attention_heads", "num_key_value_heads"].map(size);
    let rows = [heads, kv_heads].map(|heads| heads.saturating_mul(size("head_dim")));
    let mut tensors = Vec::with_capacity(gguf.tensors.len());
    let mut seen = HashSet::new();
    for tensor in gguf.tensors.iter().filter(|tensor| tensor.name != "rope_freqs.weight") {
        let parts = match names.fused(&tensor.name, rows) {
            Some(parts) => split(&gguf, tensor, parts)?,
            None => vec![tensor.clone()],
        };
        for tensor in parts {
            let Some(name) = names.huggingface_name(&tensor.name) else {
                return Err(Error::Unsupported {
                    file: gguf.file.clone(),
                    what: format!("the tensor \"{}\"", tensor.name),
                    supported: format!("supported are models of the plain {architecture} architecture"),
                });
            };
            let order = names.row_order(&tensor.name, heads, kv_heads);
            if let RowOrder::Interleaved { heads } = order {
                check_heads(&gguf, &tensor, heads)?;
            }
            // `blk.0` and `blk.00` are one layer.
            if !seen.insert(name.clone()) {
                return Err(
                    gguf.invalid(format!("has the tensor \"{}\" twice; download it again", tensor.name))
                );
            }
            let gguf::GgufTensor { shape, dtype, offset, .. } = tensor;
            tensors.push(TensorInfo { name, shape, dtype, file, offset, order });
        }
    }
    let mut end_token_ids = Vec::new();
    for name in ["eos", "eot", "eom"] {
        let id = gguf.unsigned(&format!("tokenizer.ggml.{name}_token_id"))?;
        end_token_ids.extend(id.and_then(|id| u32::try_from(id).ok()));
    }
    Ok(Opened { config, tokenizer, tensors, format: SourceFormat::Gguf, end_token_ids })
}

/// The tensors that lie in one, row after row.
fn split(
    gguf: &gguf::Gguf,
    whole: &gguf::GgufTensor,
    parts: [(String, usize); 3],
) -> Result<Vec<gguf::GgufTensor>> {
    let wanted = parts.iter().fold(0, |sum: usize, (_, rows)| sum.saturating_add(*rows));
    let fits = whole.shape.len() <= 2 && whole.shape.first() == Some(&wanted);
    let row = whole.shape.get(1).copied().unwrap_or(1) as u64;
    let bytes_of_row = whole.dtype.bytes_of(row).filter(|_| fits);
    let Some(bytes_of_row) = bytes_of_row else {
        return Err(Error::InvalidTensor {
            file: gguf.file.clone(),
            tensor: whole.name.clone(),
            reason: format!(
                "has shape {:?} where queries, keys and values have {wanted} rows together; download the file again",
                whole.shape
            ),
        });
    };
    let mut offset = whole.offset;
    let part = |(name, rows): (String, usize)| {
        let shape = [rows].into_iter().chain(whole.shape.get(1).copied()).collect();
        let part = gguf::GgufTensor { name, shape, offset, ..whole.clone() };
        offset += rows as u64 * bytes_of_row;
        part
    };
    Ok(parts.into_iter().map(part).collect())
}

fn check_heads(gguf: &gguf::Gguf, tensor: &gguf::GgufTensor, heads: usize) -> Result<()> {
    let rows = tensor.shape.first().copied().unwrap_or(0);
    let single_column = tensor.shape.len() == 1;
    if heads > 0 && rows.is_multiple_of(2 * heads) && (!single_column || tensor.dtype.block_size() == 1) {
        return Ok(());
    }
    Err(Error::InvalidTensor {
        file: gguf.file.clone(),
        tensor: tensor.name.clone(),
        reason: format!(
            "has {rows} rows, which {heads} attention heads cannot share; download the file again"
        ),
    })
}
