//! `cargo xtask train`: fine-tunes a model in headless Chromium.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{ModelArguments, RecipeArguments, device_name};
use crate::browser::Job;
use crate::error::{Failure, Result};
use crate::recorder::Recorder;
use crate::{inputs, paths, progress, site};

#[derive(Args)]
pub struct Train {
    #[command(flatten)]
    model: ModelArguments,
    /// The data: .jsonl, .json, .csv, .tsv, .parquet, .txt or .md
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Text, or questions with answers, to measure forgetting by, in place of the built-in text
    #[arg(long, value_name = "FILE")]
    probe: Option<PathBuf>,
    /// The adapter of a reward model, for the objective grpo with grpo.reward=reward_model
    #[arg(long, value_name = "FOLDER")]
    reward_model: Option<PathBuf>,
    #[command(flatten)]
    recipe: RecipeArguments,
    /// The folder for adapter/, metrics.jsonl and run.json
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Keep checkpoint.bin in the folder, from which the run can be resumed: every N steps and at the end
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "50")]
    checkpoint: Option<u64>,
    /// Go on from a checkpoint of a run with the same model and data; its recipe holds
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Stop after N steps of this command, as if interrupted; implies --checkpoint
    #[arg(long, value_name = "N")]
    stop_after: Option<u64>,
}

/// What a run must have written to count as done, by whether its method is LoRA.
const OUTPUTS: &[&str] =
    &["adapter/adapter_config.json", "adapter/adapter_model.safetensors", "metrics.jsonl", "run.json"];
const WHOLE_MODEL: &[&str] =
    &["adapter/config.json", "adapter/model.safetensors", "metrics.jsonl", "run.json"];

impl Train {
    pub fn run(self) -> Result<()> {
        let data = inputs::file(&self.data, "data file")?;
        let probe = self.probe.as_deref().map(|path| inputs::file(path, "probe")).transpose()?;
        let reward_model = self.reward_model.as_deref().map(inputs::adapter).transpose()?.unwrap_or_default();
        let recipe = inputs::recipe(self.recipe.recipe.as_deref(), &self.recipe.set)?;
        let resume = self.resume.as_deref().map(|path| inputs::file(path, "checkpoint")).transpose()?;
        progress::be_quiet();
        let model = inputs::model(&self.model.model)?;
        site::build()?;
        progress::be_loud();

        let checkpoint = self.checkpoint.or(self.stop_after.map(|_| 50));
        let mut recorder = Recorder::new(&self.out)?;
        remove_outputs(&self.out)?;
        Job::new(&device_name(self.model.device, &recipe), &model)
            .data(&data)
            .probe(probe.as_ref())
            .reward_model(&reward_model)
            .recipe(recipe)
            .outputs(&self.out)
            .train(resume.as_ref(), checkpoint, self.stop_after)
            .save_adapter()
            .run(|event| recorder.on_event(event))?;
        let run = recorder.finish()?;
        let is_adapter = run["plan"]["recipe"]["method"] == "lora";
        let (outputs, what) = if is_adapter { (OUTPUTS, "adapter") } else { (WHOLE_MODEL, "tuned model") };
        require_outputs(&self.out, outputs)?;
        progress::say("done", format!("the {what} is in {}", paths::shown(&self.out.join("adapter"))));
        Ok(())
    }
}

/// An old adapter must not pass for this run's.
pub(super) fn remove_outputs(out: &Path) -> Result<()> {
    for name in OUTPUTS.iter().chain(WHOLE_MODEL).filter(|name| **name != "metrics.jsonl") {
        match fs::remove_file(out.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::Input(format!(
                    "{} cannot be replaced: {error}",
                    out.join(name).display()
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn require_outputs(out: &Path, names: &[&str]) -> Result<()> {
    match names.iter().find(|name| !out.join(name).is_file()) {
        None => Ok(()),
        Some(name) => {
            Err(Failure::failed(format!("the run ended without writing {}", out.join(name).display())))
        }
    }
}
