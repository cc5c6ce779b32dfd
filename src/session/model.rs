//! Opening a model, and whether the device has room for it.

use super::Session;
use super::general::GeneralFiles;
use crate::data::Tokenizer;
use crate::error::{Error, Result};
use crate::models::{Bert, Llama, Model, ModelConfig};
use crate::weights::checkpoint::{Checkpoint, SourceFormat, TokenizerFiles};
use crate::weights::source::ByteSource;
use serde::Serialize;
use serde_json::Value;

/// What the page says of an open model.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct ModelReport {
    pub name: String,
    /// `llama`, or `bert` for an encoder.
    pub architecture: String,
    /// `gguf` or `safetensors`.
    pub source_format: String,
    pub parameters: usize,
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
        on_progress: &dyn Fn(u64, u64),
    ) -> Result<ModelReport> {
        let general = GeneralFiles::beside_model(&files, name)?;
        let checkpoint = Checkpoint::open(files)?;
        let config = ModelConfig::from_json(&checkpoint.config)?;
        self.check_fits(&checkpoint, config.parameters() as u64 * 4)?;
        let tokenizer = Tokenizer::from_files(&checkpoint.tokenizer)?;
        if tokenizer.vocab_size() > config.vocab_size() {
            return Err(Error::Tokenizer {
                reason: format!(
                    "it has {} tokens where the model has rows for {}; take the tokenizer that came with the model",
                    tokenizer.vocab_size(),
                    config.vocab_size()
                ),
            });
        }
        let total = config.parameters() as u64 * 4;
        let done = std::cell::Cell::new(0);
        let read = |tensor: &str, shape: &[usize]| -> Result<Vec<f32>> {
            let info = checkpoint.tensor(tensor)?;
            if info.shape != shape {
                return Err(Error::InvalidTensor {
                    file: name.into(),
                    tensor: tensor.into(),
                    reason: format!("has shape {:?} where config.json asks for {shape:?}", info.shape),
                });
            }
            let values = checkpoint.read_f32(tensor)?;
            done.set(done.get() + values.len() as u64 * 4);
            on_progress(done.get().min(total), total);
            Ok(values)
        };
        let base = Model::load(config, &read, &self.device)?;
        let mut end_ids = tokenizer.end_of_turn_ids();
        for id in checkpoint.eos_token_ids() {
            if !end_ids.contains(&id) {
                end_ids.push(id);
            }
        }
        let report = report(&base, &checkpoint, name, &tokenizer, &end_ids);
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
        });
        Ok(report)
    }

    fn check_fits(&self, checkpoint: &Checkpoint, bytes: u64) -> Result<()> {
        self.check_total(bytes, "this model")?;
        let Some(limit) = self.limits.tensor else { return Ok(()) };
        for tensor in &checkpoint.tensors {
            let size = tensor.shape.iter().product::<usize>() as u64 * 4;
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
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}
