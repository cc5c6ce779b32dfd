//! One person's work with one model: open a model, open data, train, ask, save.
//!
//! The page's worker (through `crate::web`) and the native command share this; neither
//! knows more of the crate than what is public here.

use crate::adapters::Trainable;
use crate::data::{
    BatchOptions, DataFile, DataReport, Dataset, EncodeOptions, Message, PreviewRow, Tokenizer,
    encode_dataset, preview, read_dataset, report,
};
use crate::error::{Error, Result};
use crate::export::{self, OutputFile};
use crate::generate::{Answer, Sampling, generate};
use crate::models::{Llama, ModelConfig};
use crate::objectives::Loss;
use crate::recipe::{Method, Recipe};
use crate::train::{Evaluation, Plan, StepReport, Trainer, checkpoint};
use crate::weights::checkpoint::{Checkpoint, SourceFormat, TokenizerFiles};
use crate::weights::source::ByteSource;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Rows shown of a data file.
const PREVIEW_ROWS: usize = 8;

pub struct Session {
    device: Device,
    limits: Limits,
    model: Option<OpenModel>,
    dataset: Option<Dataset>,
    trainer: Option<Trainer>,
    /// An adapter that was loaded rather than trained.
    loaded: Option<Trainable>,
    last_evaluation: Option<Evaluation>,
}

/// What the device can hold, in bytes; `None` where it is not known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// All tensors together.
    pub total: Option<u64>,
    /// One tensor.
    pub tensor: Option<u64>,
}

struct OpenModel {
    name: String,
    base: Llama,
    config: Value,
    tokenizer: Tokenizer,
    tokenizer_files: TokenizerFiles,
    end_ids: Vec<u32>,
}

/// What the page says of an open model.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct ModelReport {
    pub name: String,
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
}

/// What the page says of an open data file.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct DataSummary {
    pub report: DataReport,
    pub preview: Vec<PreviewRow>,
}

/// What to answer, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct GenerateRequest {
    /// A conversation, rendered by the model's chat template.
    pub messages: Option<Vec<Message>>,
    /// One user message; with `raw`, text to continue as it stands.
    pub prompt: Option<String>,
    pub raw: bool,
    /// Answer with the adapter attached, or as the base.
    pub adapter: bool,
    pub max_new_tokens: usize,
    #[serde(flatten)]
    pub sampling: Sampling,
}

impl Default for GenerateRequest {
    fn default() -> Self {
        GenerateRequest {
            messages: None,
            prompt: None,
            raw: false,
            adapter: true,
            max_new_tokens: 128,
            sampling: Sampling::default(),
        }
    }
}

impl Session {
    pub fn new(device: Device, limits: Limits) -> Session {
        Session {
            device,
            limits,
            model: None,
            dataset: None,
            trainer: None,
            loaded: None,
            last_evaluation: None,
        }
    }

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
        let checkpoint = Checkpoint::open(files)?;
        let ModelConfig::Llama(config) = ModelConfig::from_json(&checkpoint.config)?;
        self.check_fits(&checkpoint, config.parameters() as u64 * 4)?;
        let tokenizer = Tokenizer::from_files(&checkpoint.tokenizer)?;
        if tokenizer.vocab_size() > config.vocab_size {
            return Err(Error::Tokenizer {
                reason: format!(
                    "it has {} tokens where the model has rows for {}; take the tokenizer that came with the model",
                    tokenizer.vocab_size(),
                    config.vocab_size
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
        let base = Llama::load(config.clone(), &read, &self.device)?;
        let mut end_ids = tokenizer.end_of_turn_ids();
        for id in checkpoint.eos_token_ids() {
            if !end_ids.contains(&id) {
                end_ids.push(id);
            }
        }
        let report = ModelReport {
            name: name.into(),
            architecture: "llama".into(),
            source_format: match checkpoint.format {
                SourceFormat::Gguf => "gguf".into(),
                SourceFormat::Safetensors => "safetensors".into(),
            },
            parameters: config.parameters(),
            hidden_size: config.hidden_size,
            num_hidden_layers: config.num_hidden_layers,
            num_attention_heads: config.num_attention_heads,
            num_key_value_heads: config.num_key_value_heads,
            intermediate_size: config.intermediate_size,
            vocab_size: config.vocab_size,
            max_position_embeddings: config.max_position_embeddings,
            tied_embeddings: config.tie_word_embeddings,
            stored_as: checkpoint.stored_as(),
            file_bytes: checkpoint.file_bytes(),
            has_chat_template: tokenizer.has_chat_template(),
            end_of_turn: end_ids.iter().filter_map(|&id| tokenizer.id_to_token(id)).collect(),
        };
        self.reset_training();
        self.model = Some(OpenModel {
            name: name.into(),
            base,
            config: checkpoint.config,
            tokenizer,
            tokenizer_files: checkpoint.tokenizer,
            end_ids,
        });
        Ok(report)
    }

    /// Reads a data file and says what is in it.
    ///
    /// # Errors
    /// No model yet; a file that cannot be read, is of mixed shapes, or leaves nothing to train on.
    pub fn open_data(&mut self, file_name: &str, bytes: &[u8], recipe: &Recipe) -> Result<DataSummary> {
        let tokenizer = &self.model()?.tokenizer;
        let dataset = read_dataset(DataFile { name: file_name, bytes }, recipe.data.mapping.as_ref())?;
        let options = encode_options(recipe);
        let encoded = encode_dataset(&dataset, tokenizer, &options)?;
        let summary = DataSummary {
            report: report(&dataset, &encoded),
            preview: preview(&dataset, tokenizer, &options, PREVIEW_ROWS)?,
        };
        self.dataset = Some(dataset);
        Ok(summary)
    }

    /// Prepares a run; its first step is [`Session::step`].
    ///
    /// # Errors
    /// No model or data yet; data that the objective cannot learn from; nothing to train on; a run too
    /// large for the device.
    pub fn begin(&mut self, recipe: &Recipe) -> Result<Plan> {
        let trainer = self.new_trainer(recipe)?;
        let plan = trainer.plan.clone();
        self.trainer = Some(trainer);
        self.loaded = None;
        self.last_evaluation = None;
        Ok(plan)
    }

    /// One optimizer step.
    ///
    /// # Errors
    /// No run begun, or one that is finished; a loss that is not finite.
    pub async fn step(&mut self) -> Result<StepReport> {
        let trainer = self.trainer.as_mut().ok_or_else(|| no("run; begin one first"))?;
        if trainer.finished() {
            return Err(no("step left in this run; begin another"));
        }
        let report = trainer.step().await?;
        if report.evaluation.is_some() {
            self.last_evaluation = report.evaluation.clone();
        }
        Ok(report)
    }

    /// Loss of the tuned model over the run's held-out rows.
    ///
    /// # Errors
    /// No run begun, or no rows held out.
    pub async fn evaluate(&self) -> Result<Evaluation> {
        let trainer = self.trainer.as_ref().ok_or_else(|| no("run; begin one first"))?;
        trainer.evaluate().await?.ok_or_else(|| no("held-out rows; raise eval.validation_fraction"))
    }

    /// Loss over every row of the open data file, with or without the adapter.
    ///
    /// # Errors
    /// No model or data yet; data that is not the objective's; no adapter where one is asked for.
    pub async fn score(&self, recipe: &Recipe, adapter: bool) -> Result<Evaluation> {
        let (model, dataset) = (self.model()?, self.dataset()?);
        dataset.check_objective(recipe.objective)?;
        let encoded = encode_dataset(dataset, &model.tokenizer, &encode_options(recipe))?;
        let options = BatchOptions {
            batch_size: recipe.train.batch_size,
            max_seq_length: recipe.train.max_seq_length,
            packing: false,
            pad_token_id: model.tokenizer.pad_token_id(),
        };
        let tuned = if adapter { self.trainable()?.tuned(&model.base) } else { model.base.clone() };
        let loss = Loss::new(recipe, &model.base);
        crate::eval::loss(&tuned, &encoded.examples, &options, &loss).await
    }

    /// # Errors
    /// No run begun; a device that stops answering.
    pub async fn save_checkpoint(&self) -> Result<Vec<u8>> {
        checkpoint::save(self.trainer.as_ref().ok_or_else(|| no("run to save; begin one first"))?).await
    }

    /// Continues a saved run; the same model and data must be open.
    ///
    /// # Errors
    /// A file that is not a checkpoint, or one of another model or data set.
    pub fn resume(&mut self, bytes: &[u8]) -> Result<Plan> {
        let header = checkpoint::header(bytes)?;
        let mut trainer = self.new_trainer(&header.recipe)?;
        checkpoint::restore(&mut trainer, bytes)?;
        let plan = trainer.plan.clone();
        self.trainer = Some(trainer);
        self.loaded = None;
        Ok(plan)
    }

    /// Steps done in the present run.
    pub fn steps_done(&self) -> usize {
        self.trainer.as_ref().map_or(0, |trainer| trainer.done)
    }

    /// The trained weights as files for other tools, with model card and tokenizer.
    ///
    /// # Errors
    /// Nothing trained yet; a device that stops answering.
    pub async fn adapter_files(&self) -> Result<Vec<OutputFile>> {
        let model = self.model()?;
        let trainable = self.trainable()?;
        let mut files = match trainable.method {
            Method::Lora => export::peft::save(trainable, &model.name).await?,
            Method::Full => export::full::save(trainable, &model.config).await?,
        };
        if let Some(trainer) = &self.trainer {
            files.extend(export::card::files(
                &trainer.plan,
                &model.name,
                trainer.done,
                self.last_evaluation.as_ref(),
                &model.tokenizer_files,
            ));
        }
        Ok(files)
    }

    /// Loads a PEFT adapter for the open model; a run that was open is dropped.
    ///
    /// # Errors
    /// A missing file or tensor, or an adapter of another model.
    pub fn load_adapter(&mut self, files: &[OutputFile]) -> Result<()> {
        let loaded = export::peft::load(files, &self.model()?.base)?;
        self.trainer = None;
        self.loaded = Some(loaded);
        Ok(())
    }

    pub fn has_adapter(&self) -> bool {
        self.trainable().is_ok()
    }

    /// Drops run, adapter and optimizer; model and data stay open.
    pub fn reset_training(&mut self) {
        self.trainer = None;
        self.loaded = None;
        self.last_evaluation = None;
    }

    /// Answers a prompt; see [`generate`].
    ///
    /// # Errors
    /// No model yet; no adapter where one is asked for; a prompt too long.
    pub async fn generate(
        &self,
        request: &GenerateRequest,
        on_text: impl AsyncFnMut(&str) -> Result<bool>,
    ) -> Result<Answer> {
        let model = self.model()?;
        let text = request.prompt.clone().unwrap_or_default();
        let prompt = match (&request.messages, request.raw) {
            (None, true) => model.tokenizer.encode(&text, true)?,
            (None, false) => {
                model.tokenizer.encode_chat(&[Message { role: "user".into(), content: text }], true)?
            }
            (Some(messages), _) => model.tokenizer.encode_chat(messages, true)?,
        };
        let tuned = if request.adapter { self.trainable()?.tuned(&model.base) } else { model.base.clone() };
        generate(
            &tuned,
            &model.tokenizer,
            &prompt,
            &model.end_ids,
            request.max_new_tokens,
            request.sampling.clone(),
            on_text,
        )
        .await
    }

    /// Logits after each token of a sequence, `[seq, vocab]` row-major, for comparing with
    /// other implementations.
    ///
    /// # Errors
    /// No model yet; no adapter where one is asked for; an id outside the vocabulary.
    pub async fn logits(&self, input_ids: &[u32], adapter: bool) -> Result<Vec<f32>> {
        let model = self.model()?;
        let config = &model.base.config;
        let fits = input_ids.len() <= config.max_position_embeddings
            && !input_ids.is_empty()
            && input_ids.iter().all(|&id| (id as usize) < config.vocab_size);
        if !fits {
            return Err(Error::Tokenizer {
                reason: format!(
                    "token ids must be 1 to {} ids below {}",
                    config.max_position_embeddings, config.vocab_size
                ),
            });
        }
        let tuned = if adapter { self.trainable()?.tuned(&model.base) } else { model.base.clone() };
        let positions: Vec<u32> = (0..input_ids.len() as u32).collect();
        let hidden = tuned.forward(&crate::models::Input {
            input_ids,
            position_ids: &positions,
            document_ids: &vec![1; input_ids.len()],
            batch: 1,
            seq: input_ids.len(),
        });
        crate::eval::read(crate::models::head::logits(hidden, tuned.head())).await
    }

    /// Bytes in use on the device, where it counts them.
    pub fn gpu_bytes(&self) -> Option<u64> {
        self.device.memory_pool_usage().map(|usage| usage.bytes_reserved)
    }

    fn model(&self) -> Result<&OpenModel> {
        self.model.as_ref().ok_or_else(|| no("open model; open one first"))
    }

    fn dataset(&self) -> Result<&Dataset> {
        self.dataset.as_ref().ok_or_else(|| no("open data file; open one first"))
    }

    fn trainable(&self) -> Result<&Trainable> {
        let trained = self.trainer.as_ref().map(|trainer| &trainer.trainable);
        trained.or(self.loaded.as_ref()).ok_or_else(|| no("adapter yet; train or load one first"))
    }

    fn new_trainer(&self, recipe: &Recipe) -> Result<Trainer> {
        let (model, dataset) = (self.model()?, self.dataset()?);
        dataset.check_objective(recipe.objective)?;
        let encoded = encode_dataset(dataset, &model.tokenizer, &encode_options(recipe))?;
        if recipe.method == Method::Full {
            // Weights, two moments, gradient and the copy under way: six times the model with its base.
            self.check_total(
                model.base.config.parameters() as u64 * 4 * 6,
                "full fine-tuning of this model",
            )?;
        }
        Trainer::new(model.base.clone(), recipe, encoded.examples)
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

    fn check_total(&self, bytes: u64, what: &str) -> Result<()> {
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

fn encode_options(recipe: &Recipe) -> EncodeOptions {
    EncodeOptions {
        objective: recipe.objective,
        max_seq_length: recipe.train.max_seq_length,
        train_on_prompt: recipe.data.train_on_prompt,
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

fn no(what: &str) -> Error {
    Error::Training { reason: format!("there is no {what}") }
}
