//! Opening a model, and whether the device has room for it.

use super::Session;
use super::general::GeneralFiles;
use crate::data::Tokenizer;
use crate::error::{Error, Result};
use crate::kernels::blocks::{BLOCK, HostBlocks};
use crate::memory::MemoryEstimate;
use crate::models::{Bert, Llama, Model, ModelConfig, ReadWeights};
use crate::recipe::BaseDtype;
use crate::weights::checkpoint::{Checkpoint, SourceFormat, TensorInfo, TokenizerFiles};
use crate::weights::rows::block_form;
use crate::weights::source::ByteSource;
use serde::Serialize;
use serde_json::Value;
use std::cell::Cell;

/// What the page says of an open model.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct ModelReport {
    pub name: String,
    /// `llama`, or `bert` for an encoder.
    pub architecture: String,
    /// `gguf` or `safetensors`.
    pub source_format: String,
    #[cfg_attr(test, ts(type = "number"))]
    pub parameters: u64,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub intermediate_size: usize,
    pub vocab_size: usize,
    pub max_position_embeddings: usize,
    pub tied_embeddings: bool,
    /// Storage types and how many tensors have each.
    pub stored_as: String,
    #[cfg_attr(test, ts(type = "number"))]
    pub file_bytes: u64,
    pub has_chat_template: bool,
    /// The tokens that end an answer.
    pub end_of_turn: Vec<String>,
    /// The classes of a sequence classifier; empty for a language model.
    pub labels: Vec<String>,
    /// What `lora.target_modules` can name.
    pub linear_modules: Vec<String>,
    /// Sentences on what of the files is not used.
    pub notes: Vec<String>,
}

/// A model with what it takes to use it.
pub(super) struct OpenModel {
    pub name: String,
    pub base: Model,
    pub config: Value,
    pub tokenizer: Tokenizer,
    pub tokenizer_files: TokenizerFiles,
    pub end_ids: Vec<u32>,
    pub general: GeneralFiles,
    /// Of its weights, as the file has them.
    pub digest: String,
}

impl Session {
    /// Opens a model; what was open before stays until the new one is whole.
    ///
    /// # Errors
    /// Files that are missing, damaged or of an unknown kind; a model too large for the device.
    pub fn open_model(
        &mut self,
        files: Vec<Box<dyn ByteSource>>,
        name: &str,
        base_dtype: BaseDtype,
        on_progress: &dyn Fn(u64, u64),
    ) -> Result<ModelReport> {
        let general = GeneralFiles::beside_model(&files, name)?;
        let checkpoint = Checkpoint::open(files)?;
        let config = ModelConfig::from_json(&checkpoint.config)?;
        let in_blocks = self.keeps_blocks(base_dtype, config.parameters());
        self.check_fits(&checkpoint, bytes_on_device(&checkpoint, &config, in_blocks), in_blocks)?;
        let tokenizer = Tokenizer::from_files(&checkpoint.tokenizer)?.for_rows(config.vocab_size())?;
        let read = Weights {
            checkpoint: &checkpoint,
            model: name,
            in_blocks,
            done: Cell::new(0),
            total: config.parameters().saturating_mul(4),
            on_progress,
        };
        let base = Model::load(config, &read, &self.device)?;
        let mut end_ids = tokenizer.end_of_turn_ids();
        for id in checkpoint.eos_token_ids() {
            if !end_ids.contains(&id) {
                end_ids.push(id);
            }
        }
        let report = report(&base, &checkpoint, name, &tokenizer, &end_ids);
        let digest = checkpoint.digest()?;
        self.reset_training();
        self.reward_model = None;
        self.model = Some(OpenModel {
            name: name.into(),
            base,
            config: checkpoint.config,
            tokenizer,
            tokenizer_files: checkpoint.tokenizer,
            end_ids,
            general,
            digest,
        });
        Ok(report)
    }

    /// Whether weights stay in the blocks of their file.
    fn keeps_blocks(&self, base_dtype: BaseDtype, parameters: u64) -> bool {
        // Where memory is not limited as a whole, it is a GPU's, of which a phone has little.
        let most_numbers = if self.limits.tensor.is_none() { 1 << 28 } else { 1 << 26 };
        match base_dtype {
            BaseDtype::Auto => parameters > most_numbers,
            BaseDtype::F32 => false,
            BaseDtype::Stored => true,
        }
    }

    fn check_fits(&self, checkpoint: &Checkpoint, bytes: u64, in_blocks: bool) -> Result<()> {
        self.check_total(bytes, "this model")?;
        let Some(limit) = self.limits.tensor else { return Ok(()) };
        for tensor in &checkpoint.tensors {
            let size = tensor_bytes(tensor, in_blocks);
            if size > limit {
                return Err(Error::ModelTooLarge {
                    reason: format!(
                        "tensor \"{}\" needs {} in one piece and the device takes {}; choose the CPU or a smaller model",
                        tensor.name,
                        megabytes(size),
                        megabytes(limit)
                    ),
                });
            }
        }
        Ok(())
    }

    pub(super) fn check_total(&self, bytes: u64, what: &str) -> Result<()> {
        match self.limits.total {
            Some(limit) if bytes > limit => Err(Error::ModelTooLarge {
                reason: format!(
                    "{what} needs {} as f32 and this device has room for {}; choose a smaller model",
                    megabytes(bytes),
                    megabytes(limit)
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Whether a run has room, as a whole and for its largest tensor.
    pub(super) fn check_run(&self, memory: &MemoryEstimate) -> Result<()> {
        let bytes = memory.total;
        if let Some(limit) = self.limits.tensor.filter(|&limit| memory.tensor > limit) {
            return Err(Error::ModelTooLarge {
                reason: format!(
                    "this run computes with {} in one piece and the device takes {}; lower train.batch_size or train.max_seq_length, \
                     or choose the CPU",
                    megabytes(memory.tensor),
                    megabytes(limit)
                ),
            });
        }
        match self.limits.total {
            Some(limit) if bytes > limit => Err(Error::ModelTooLarge {
                reason: format!(
                    "this run needs about {} and this device has room for {}; lower train.batch_size or \
                     train.max_seq_length, or set train.gradient_checkpointing to \"on\"",
                    megabytes(bytes),
                    megabytes(limit)
                ),
            }),
            _ => Ok(()),
        }
    }
}

/// A checkpoint's weights as a model asks for them.
struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    model: &'a str,
    in_blocks: bool,
    /// Bytes, counted as f32.
    done: Cell<u64>,
    total: u64,
    on_progress: &'a dyn Fn(u64, u64),
}

impl ReadWeights for Weights<'_> {
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.check_shape(name, shape)?;
        let values = self.checkpoint.read_f32(name)?;
        self.report(values.len());
        Ok(values)
    }

    fn blocks(&self, name: &str, shape: [usize; 2]) -> Result<Option<HostBlocks>> {
        if !self.in_blocks {
            return Ok(None);
        }
        self.check_shape(name, &shape)?;
        let blocks = self.checkpoint.read_blocks(name)?;
        if blocks.is_some() {
            self.report(shape[0] * shape[1]);
        }
        Ok(blocks)
    }
}

impl Weights<'_> {
    fn check_shape(&self, name: &str, shape: &[usize]) -> Result<()> {
        let info = self.checkpoint.tensor(name)?;
        if info.shape == shape {
            return Ok(());
        }
        Err(Error::InvalidTensor {
            file: self.model.into(),
            tensor: name.into(),
            reason: format!("has shape {:?} where config.json asks for {shape:?}", info.shape),
        })
    }

    fn report(&self, numbers: usize) {
        self.done.set(self.done.get() + numbers as u64 * 4);
        (self.on_progress)(self.done.get().min(self.total), self.total);
    }
}

/// Whether the model asks for this tensor in blocks.
fn stays_in_blocks(name: &str) -> bool {
    ["_proj.weight", "embed_tokens.weight", "lm_head.weight"].iter().any(|end| name.ends_with(end))
}

/// Bytes of a tensor on the device.
fn tensor_bytes(tensor: &TensorInfo, in_blocks: bool) -> u64 {
    let numbers: u64 = tensor.shape.iter().map(|&size| size as u64).product();
    let as_stored = in_blocks && stays_in_blocks(&tensor.name);
    match block_form(tensor.dtype).filter(|_| as_stored) {
        Some(form) if tensor.shape.last().is_some_and(|width| width.is_multiple_of(BLOCK)) => {
            numbers / BLOCK as u64 * form.words() as u64 * 4
        }
        _ => numbers * 4,
    }
}

/// Bytes of all weights on the device.
fn bytes_on_device(checkpoint: &Checkpoint, config: &ModelConfig, in_blocks: bool) -> u64 {
    // A file may hold a head that the model does not read.
    let has_head = match config {
        ModelConfig::Llama(config) => !config.tie_word_embeddings && config.labels.is_none(),
        ModelConfig::Bert(_) => false,
    };
    let is_read = |tensor: &&TensorInfo| has_head || tensor.name != "lm_head.weight";
    let saved = checkpoint
        .tensors
        .iter()
        .filter(is_read)
        .map(|tensor| tensor_bytes(tensor, false).saturating_sub(tensor_bytes(tensor, in_blocks)));
    config.parameters().saturating_mul(4).saturating_sub(saved.sum())
}

fn report(
    base: &Model,
    checkpoint: &Checkpoint,
    name: &str,
    tokenizer: &Tokenizer,
    end_ids: &[u32],
) -> ModelReport {
    // What differs by architecture: heads, then layers and their widths, then whether the embeddings are tied.
    let (architecture, heads, kv_heads, layers, hidden, inner, tied) = match base {
        Model::Llama(Llama { config, .. }) => (
            "llama",
            config.num_attention_heads,
            config.num_key_value_heads,
            config.num_hidden_layers,
            config.hidden_size,
            config.intermediate_size,
            config.tie_word_embeddings,
        ),
        Model::Bert(Bert { config, .. }) => (
            "bert",
            config.num_attention_heads,
            config.num_attention_heads,
            config.num_hidden_layers,
            config.hidden_size,
            config.intermediate_size,
            false,
        ),
    };
    ModelReport {
        name: name.into(),
        architecture: architecture.into(),
        source_format: match checkpoint.format {
            SourceFormat::Gguf => "gguf".into(),
            SourceFormat::Safetensors => "safetensors".into(),
        },
        parameters: base.parameters(),
        hidden_size: hidden,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        num_key_value_heads: kv_heads,
        intermediate_size: inner,
        vocab_size: base.vocab_size(),
        max_position_embeddings: base.max_position_embeddings(),
        tied_embeddings: tied,
        stored_as: checkpoint.stored_as(),
        file_bytes: checkpoint.file_bytes(),
        has_chat_template: tokenizer.has_chat_template(),
        end_of_turn: end_ids.iter().filter_map(|&id| tokenizer.id_to_token(id)).collect(),
        labels: base.labels().cloned().unwrap_or_default(),
        linear_modules: base.linear_modules().iter().map(|module| module.to_string()).collect(),
        notes: unused(&checkpoint.unused_tensors()).into_iter().collect(),
    }
}

fn unused(tensors: &[&str]) -> Option<String> {
    let (first, rest) = tensors.split_first()?;
    Some(match rest.len() {
        0 => format!("the tensor \"{first}\" is not part of the model and is not used"),
        1 => {
            format!("the tensors \"{first}\" and \"{}\" are not part of the model and are not used", rest[0])
        }
        more => format!(
            "{} tensors are not part of the model and are not used, \"{first}\" and {more} more",
            more + 1
        ),
    })
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}
