//! [`Session`] opening a model: the files are read, and whether the device has room for it is checked first.

use super::Session;
use super::general::GeneralFiles;
use super::weights::{Weights, bytes_on_device, outline};
use crate::data::{Message, Tokenizer};
use crate::error::{Error, Result};
use crate::memory::MemoryEstimate;
use crate::models::{Model, Outline};
use crate::recipe::BaseDtype;
use crate::weights::checkpoint::{Checkpoint, SourceFormat};
use crate::weights::source::ByteSource;
use serde::Serialize;

/// What the page says of an open model.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct ModelReport {
    pub name: String,
    /// `model_type`: `llama`, or `bert` for an encoder.
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
    /// Its files: config and tokenizer as they have them, and what an export keeps.
    pub checkpoint: Checkpoint,
    pub tokenizer: Tokenizer,
    pub end_ids: Vec<u32>,
    pub general: GeneralFiles,
    /// The digest of its weights, as the file has them.
    pub digest: String,
}

impl OpenModel {
    /// The tokens of a conversation or of one user message, up to where an answer begins; with `raw` of a text as it
    /// stands.
    ///
    /// # Errors
    /// What the chat template or the tokenizer refuses.
    pub fn prompt_ids(&self, messages: Option<&[Message]>, prompt: &str, raw: bool) -> Result<Vec<u32>> {
        match (messages, raw) {
            (None, true) => self.tokenizer.encode(prompt, true),
            (None, false) => self.tokenizer.encode_chat(&[Message::new("user", prompt)], true),
            (Some(messages), _) => self.tokenizer.encode_chat(messages, true),
        }
    }
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
        let (outline, unread) = outline(&checkpoint)?;
        let in_blocks = self.keeps_blocks(base_dtype, outline.parameters());
        self.check_fits(&checkpoint, &outline, in_blocks)?;
        let tokenizer = Tokenizer::from_files(&checkpoint.tokenizer)?.for_rows(outline.spec.vocab_size)?;
        let read = Weights::new(&checkpoint, in_blocks, outline.parameters(), on_progress);
        let base = Model::load(&checkpoint.config, &read, &self.device)?;
        let mut end_ids = tokenizer.end_of_turn_ids();
        for id in checkpoint.eos_token_ids() {
            if !end_ids.contains(&id) {
                end_ids.push(id);
            }
        }
        // A pooler and other heads are usual beside an encoder.
        let notes = if base.is_encoder() { Vec::new() } else { unused(&unread).into_iter().collect() };
        let report = report(&base, &checkpoint, name, &tokenizer, &end_ids, notes);
        let digest = checkpoint.digest()?;
        self.reset_training();
        self.reward_model = None;
        self.model =
            Some(OpenModel { name: name.into(), base, checkpoint, tokenizer, end_ids, general, digest });
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

    fn check_fits(&self, checkpoint: &Checkpoint, outline: &Outline, in_blocks: bool) -> Result<()> {
        let mut total = 0;
        let mut largest = (0, "");
        for asked in &outline.tensors {
            let size = bytes_on_device(checkpoint.tensor(&asked.name)?, in_blocks && asked.may_stay_stored);
            total += size;
            largest = largest.max((size, asked.name.as_str()));
        }
        self.check_total(total, "this model")?;
        match self.limits.tensor.filter(|&limit| largest.0 > limit) {
            Some(limit) => Err(Error::ModelTooLarge {
                reason: format!(
                    "tensor \"{}\" needs {} in one piece and the device takes {}; choose the CPU or a smaller model",
                    largest.1,
                    megabytes(largest.0),
                    megabytes(limit)
                ),
            }),
            None => Ok(()),
        }
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

fn report(
    base: &Model,
    checkpoint: &Checkpoint,
    name: &str,
    tokenizer: &Tokenizer,
    end_ids: &[u32],
    notes: Vec<String>,
) -> ModelReport {
    let spec = base.spec();
    ModelReport {
        name: name.into(),
        architecture: spec.architecture.into(),
        source_format: match checkpoint.format {
            SourceFormat::Gguf => "gguf".into(),
            SourceFormat::Safetensors => "safetensors".into(),
        },
        parameters: base.parameters(),
        hidden_size: spec.hidden_size,
        num_hidden_layers: spec.num_hidden_layers,
        num_attention_heads: spec.num_attention_heads,
        num_key_value_heads: spec.num_key_value_heads,
        intermediate_size: spec.intermediate_size,
        vocab_size: spec.vocab_size,
        max_position_embeddings: spec.max_position_embeddings,
        tied_embeddings: spec.tie_word_embeddings,
        stored_as: checkpoint.stored_as(),
        file_bytes: checkpoint.file_bytes(),
        has_chat_template: tokenizer.has_chat_template(),
        end_of_turn: end_ids.iter().filter_map(|&id| tokenizer.id_to_token(id)).collect(),
        labels: base.labels().cloned().unwrap_or_default(),
        linear_modules: base.linear_modules(),
        notes,
    }
}

fn unused(tensors: &[String]) -> Option<String> {
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
