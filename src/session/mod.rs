//! One person's work with one model: open a model, open data, train, ask, save.
//!
//! [`Session`] is here with its runs; what else it does has a file each.
//!
//! The page's worker (through `crate::web`) and the native command share this; neither
//! knows more of the crate than what is public here.

mod answer;
mod data;
mod device;
mod general;
mod graduate;
mod judge;
mod model;
mod outputs;
mod predict;
mod reward;
mod score;
mod search;
mod strength;
mod weights;
mod worth;

pub use answer::GenerateRequest;
pub use data::DataSummary;
pub use device::{DeviceKind, DeviceReport, MemoryReport};
pub use model::ModelReport;
pub use predict::{PredictRequest, Predictions, TokenProbability};
pub use search::Neighbour;
pub use weights::outline;
pub use worth::WorthRequest;

use crate::adapters::{Trainable, resolve_modules};
use crate::data::GeneralText;
use crate::error::{Error, Result};
use crate::export::{self, OutputFile};
use crate::generate::Caller;
use crate::metrics::{Evaluation, StepReport};
use crate::recipe::{Method, Recipe};
use crate::rewards::person::Person;
use crate::train::{Plan, Trainer, checkpoint};
use crate::weights::MemorySource;
use burn::tensor::Device;
use chrono::{NaiveDateTime, Timelike};
use data::OpenData;
use model::OpenModel;

pub struct Session {
    device: Device,
    limits: Limits,
    model: Option<OpenModel>,
    data: Option<OpenData>,
    /// What `grpo.reward` "reward_model" asks.
    reward_model: Option<Trainable>,
    /// Whom `grpo.reward` "person" asks.
    person: Option<Person>,
    /// Who may stop sampled answers.
    caller: Option<Caller>,
    /// The user's own text to measure forgetting by.
    own_probe: Option<GeneralText>,
    trainer: Option<Trainer>,
    /// An adapter that was loaded rather than trained.
    loaded: Option<Trainable>,
    /// The present run's, with the step whose values were scored.
    last_evaluation: Option<(usize, Evaluation)>,
}

/// What the device can hold, in bytes; `None` where it is not known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// All tensors together.
    pub total: Option<u64>,
    /// One tensor.
    pub tensor: Option<u64>,
    /// What a second thread takes beside all that, in memory of its own; 0 without one.
    pub helper: u64,
    /// Whether it is known to have no 16-bit arithmetic.
    pub lacks_fp16: bool,
}

impl Session {
    pub fn new(device: Device, limits: Limits) -> Session {
        Session {
            device,
            limits,
            model: None,
            data: None,
            reward_model: None,
            person: None,
            caller: None,
            own_probe: None,
            trainer: None,
            loaded: None,
            last_evaluation: None,
        }
    }

    /// Prepares a run; its first step is [`Session::step`].
    ///
    /// # Errors
    /// No model or data yet; data that the objective cannot learn from; nothing to train on; a run too
    /// large for the device.
    pub fn begin(&mut self, recipe: &Recipe) -> Result<Plan> {
        self.begin_on(recipe, now())
    }

    /// The same, with the date that the chat template is to print, for templates that print one.
    ///
    /// # Errors
    /// As those of [`Session::begin`].
    pub fn begin_on(&mut self, recipe: &Recipe, date: NaiveDateTime) -> Result<Plan> {
        self.hold_date(date)?;
        self.curate(recipe)?;
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
    /// As those of [`Session::steps`].
    pub async fn step(&mut self) -> Result<StepReport> {
        Ok(self.steps(1).await?.remove(0))
    }

    /// At least one optimizer step and up to `most`, with one wait for all of them; see [`Trainer::steps`].
    ///
    /// # Errors
    /// No run begun, or one that is finished; a loss of the first step that is not finite.
    pub async fn steps(&mut self, most: usize) -> Result<Vec<StepReport>> {
        let trainer = self.trainer.as_mut().ok_or_else(|| no("run; begin one first"))?;
        if trainer.finished() {
            return Err(no("step left in this run; begin another"));
        }
        let reports = trainer.steps(most).await?;
        for report in &reports {
            if let Some(evaluation) = &report.evaluation {
                self.last_evaluation = Some((report.step, evaluation.clone()));
            }
            if let (Some(_), Some(best)) = (report.restored_step, &trainer.best) {
                self.last_evaluation = Some((best.record.step, best.record.evaluation.clone()));
            }
        }
        Ok(reports)
    }

    /// Loss of the tuned model over the run's held-out rows.
    ///
    /// # Errors
    /// No run begun, or no rows held out.
    pub async fn evaluate(&self) -> Result<Evaluation> {
        let trainer = self.trainer.as_ref().ok_or_else(|| no("run; begin one first"))?;
        trainer.evaluate().await?.ok_or_else(|| no("held-out rows; raise eval.validation_fraction"))
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
        // A checkpoint without a date is of a run whose texts have none.
        let date = header.date.as_deref().map(|date| {
            date.parse().map_err(|_| Error::InvalidCheckpoint {
                reason: format!("its date \"{date}\" cannot be read; it was changed or is damaged"),
            })
        });
        self.hold_date(date.transpose()?.unwrap_or_else(now))?;
        self.curate(&header.recipe)?;
        let mut trainer = self.new_trainer(&header.recipe)?;
        checkpoint::restore(&mut trainer, bytes)?;
        let plan = trainer.plan.clone();
        let best = trainer.best.as_ref().filter(|_| trainer.finished());
        self.last_evaluation = best.map(|best| (best.record.step, best.record.evaluation.clone()));
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
        self.adapter_files_at(1.0).await
    }

    async fn adapter_files_at(&self, strength: f64) -> Result<Vec<OutputFile>> {
        let model = self.model()?;
        let trainable = &self.trainable_at(strength)?;
        let mut files = match trainable.method {
            Method::Lora => export::peft::save(trainable, &model.name).await?,
            Method::Full | Method::LastLayer => export::full::save(&trainable.tuned(&model.base)).await?,
        };
        files.extend(export::model_config(
            trainable,
            &model.checkpoint.config,
            model.tokenizer.pad_token_id(),
        ));
        if let Some(trainer) = &self.trainer {
            files.extend(export::card::files(
                &trainer.plan,
                &model.name,
                trainer.step_of_values(),
                // At another strength it is another model.
                self.last_evaluation.as_ref().filter(|_| strength == 1.0),
                model.base.is_encoder(),
                &model.checkpoint.tokenizer,
            ));
        }
        Ok(files)
    }

    /// Loads an adapter for the open model: the files of PEFT's or mlx-lm's folder, or one GGUF file; a run that was open is
    /// dropped.
    ///
    /// # Errors
    /// A missing file or tensor, or an adapter of another model.
    pub fn load_adapter(&mut self, files: &[OutputFile]) -> Result<()> {
        let base = &self.model()?.base;
        let loaded = match files {
            [OutputFile { name, bytes }] if export::gguf_lora::is_gguf(bytes) => {
                export::gguf_lora::load(&MemorySource::new(name, bytes.clone()), base)?
            }
            files if export::mlx::is_mlx(files) => export::mlx::load(files, base)?,
            files => export::peft::load(files, base)?,
        };
        self.trainer = None;
        self.last_evaluation = None;
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

    /// Bytes in use on the device, where it counts them.
    pub fn gpu_bytes(&self) -> Option<u64> {
        self.device.memory_pool_usage().map(|usage| usage.bytes_reserved)
    }

    fn model(&self) -> Result<&OpenModel> {
        self.model.as_ref().ok_or_else(|| no("open model; open one first"))
    }

    /// From now on the chat template takes this for the present day: in what is trained, and in what is asked of the model.
    fn hold_date(&mut self, date: NaiveDateTime) -> Result<()> {
        let model = self.model.as_mut().ok_or_else(|| no("open model; open one first"))?;
        model.tokenizer = model.tokenizer.on(date);
        Ok(())
    }

    fn trainable(&self) -> Result<&Trainable> {
        let trained = self.trainer.as_ref().map(|trainer| &trainer.trainable);
        trained.or(self.loaded.as_ref()).ok_or_else(|| no("adapter yet; train or load one first"))
    }

    fn new_trainer(&mut self, recipe: &Recipe) -> Result<Trainer> {
        let base = self.base_for(recipe, None)?;
        self.dataset()?.check_objective(recipe.objective)?;
        let recipe = &resolve_modules(recipe, &base)?;
        let mut examples = self.take_examples(recipe)?;
        self.number_classes(recipe, &mut examples, &base)?;
        let model = self.model()?;
        if recipe.method == Method::Full {
            // Weights, two moments, gradient and the copy under way: six times the model with its base.
            self.check_total(
                model.base.parameters().saturating_mul(4 * 6),
                "full fine-tuning of this model",
            )?;
        }
        let general = self.general_for(recipe)?;
        let rollouts = self.rollouts_for(recipe, &examples)?;
        let mut trainer = Trainer::new(base, recipe, examples, &general, self.probe_for(recipe)?, rollouts)?;
        if let Some(date) = model.tokenizer.date() {
            trainer.plan.date = Some(date.format("%Y-%m-%dT%H:%M:%S").to_string());
            let day = date.format("%Y-%m-%d");
            let note = format!(
                "the chat template prints the date: {day} for the whole run, also when it is resumed later"
            );
            trainer.plan.notes.push(note);
        }
        trainer.base_digest = model.digest.clone();
        if recipe.train.fp16 && self.limits.lacks_fp16 {
            let note = "train.fp16 asks for 16-bit arithmetic, which this device does not offer; all is computed in 32 bits";
            trainer.plan.notes.push(note.into());
        }
        let memory = &mut trainer.plan.memory;
        self.check_run(memory)?;
        memory.helper = self.limits.helper;
        memory.total = memory.total.saturating_add(memory.helper);
        Ok(trainer)
    }
}

/// Local time, to the second.
fn now() -> NaiveDateTime {
    let now = chrono::Local::now().naive_local();
    now.with_nanosecond(0).unwrap_or(now)
}

fn no(what: &str) -> Error {
    Error::Training { reason: format!("there is no {what}") }
}
