//! `cargo xtask demo`: the whole way, once: set-up, build, training, the answer before and after.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::generate::with_prompt;
use super::train::{remove_outputs, require_outputs};
use crate::browser::Job;
use crate::error::{Context, Failure, Result};
use crate::progress::{duration, say};
use crate::recorder::Recorder;
use crate::{inputs, paths, process, provision, site};

/// Trains SmolLM2-135M-Instruct on the sample data in headless Chromium.
#[derive(Args)]
pub struct Demo {
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    device: super::Device,
    /// Optimizer steps
    #[arg(long, default_value_t = 30)]
    steps: u32,
}

impl Demo {
    pub fn run(self) -> Result<()> {
        eprintln!("Setting up");
        let started = Instant::now();
        let (data, prompt) = sample()?;
        let mut model = None;
        process::side_by_side(vec![
            Box::new(site::build),
            Box::new(|| provision::chromium().map(drop)),
            Box::new(|| {
                model = Some(inputs::model("smollm2")?);
                Ok(())
            }),
        ])?;
        let model = model.expect("every task has ended well");
        say("set up", format!("in {}", duration(started.elapsed())));

        let out = paths::root().join("out/demo");
        let _ = fs::remove_file(out.join("metrics.jsonl"));
        let mut recorder = Recorder::new(&out)?;
        remove_outputs(&out)?;
        let mut answers: Vec<(String, String)> = Vec::new();
        eprintln!("Fine-tuning SmolLM2-135M-Instruct in headless Chromium");
        Job::new(self.device.name(), &model)
            .data(&data)
            .recipe(recipe(self.steps))
            .outputs(&out)
            .generate("before", request(&prompt, false))
            .train(None, None, None)
            .generate("after", request(&prompt, true))
            .save_adapter()
            .run(|event| {
                if event["event"] == "generated" {
                    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_string();
                    answers.push((text(&event["label"]), text(&event["report"]["text"])));
                }
                recorder.on_event(event)
            })?;
        let losses: Vec<f64> = recorder.steps.iter().filter_map(|step| step["loss"].as_f64()).collect();
        let run = recorder.finish()?;
        let files =
            ["adapter/adapter_config.json", "adapter/adapter_model.safetensors", "metrics.jsonl", "run.json"];
        require_outputs(&out, &files)?;

        let training = Duration::from_secs_f64(run["seconds"]["all_steps"].as_f64().unwrap_or(0.0));
        say("trained", format!("{} steps in {}", losses.len(), duration(training)));
        println!();
        println!(
            "Loss: {:.3} at first, {:.3} at last",
            mean(&losses, 0..3),
            mean(&losses, losses.len().saturating_sub(3)..losses.len())
        );
        println!();
        println!("Prompt: {prompt}");
        for (label, text) in &answers {
            println!("  {label:<7} {text}");
        }
        println!();
        println!("The adapter is in {}", paths::shown(&out.join("adapter")));
        println!("To do the same by hand, open the page: cargo xtask serve");
        match answers.as_slice() {
            [(_, before), (_, after)] if before != after => Ok(()),
            _ => Err(Failure::failed("training did not change the answer")),
        }
    }
}

/// Short rows and few of them: minutes on two cores.
pub(super) fn recipe(steps: u32) -> Value {
    json!({
        "train": {
            "max_steps": steps, "batch_size": 2, "max_seq_length": 128, "learning_rate": 1e-3,
            "lr_scheduler_type": "linear"
        },
        "eval": { "validation_fraction": 0.0 }
    })
}

fn request(prompt: &str, adapter: bool) -> Value {
    let request = json!({
        "adapter": adapter, "max_new_tokens": 48, "temperature": 0.0, "top_k": null, "top_p": null, "seed": 42
    });
    with_prompt(request, prompt, false)
}

/// The sample data set that the page offers first, and the first prompt that it suggests for it.
pub(super) fn sample() -> Result<((String, PathBuf), String)> {
    let dir = paths::www().join("public/samples");
    let index = dir.join("index.json");
    let text = fs::read_to_string(&index).context(index.display())?;
    let samples: Value = serde_json::from_str(&text).context(index.display())?;
    let (file, prompt) = (samples[0]["file"].as_str(), samples[0]["prompts"][0].as_str());
    let (file, prompt) = file
        .zip(prompt)
        .ok_or_else(|| Failure::failed(format!("{} names no file with a prompt", index.display())))?;
    Ok((inputs::file(&dir.join(file), "sample data")?, prompt.to_string()))
}

fn mean(losses: &[f64], range: std::ops::Range<usize>) -> f64 {
    let part = losses.get(range.start..range.end.min(losses.len())).unwrap_or_default();
    part.iter().sum::<f64>() / part.len() as f64
}
