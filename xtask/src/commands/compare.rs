//! `cargo xtask compare`: LoRA and full fine-tuning on the same data, steps and seed, side by side.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::train::{remove_outputs, require_outputs};
use super::{ModelArguments, RecipeArguments, device_name};
use crate::browser::{Job, number};
use crate::error::{Context, Failure, Result};
use crate::inputs::Model;
use crate::progress::megabytes;
use crate::recorder::Recorder;
use crate::{inputs, paths, site};

#[derive(Args)]
pub struct Compare {
    #[command(flatten)]
    model: ModelArguments,
    /// The data: .jsonl, .json, .csv, .tsv, .parquet, .txt or .md
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    recipe: RecipeArguments,
    /// The rate of full fine-tuning [default: a tenth of train.learning_rate, which is LoRA's]
    #[arg(long, value_name = "RATE")]
    full_learning_rate: Option<f64>,
    /// The folder for what both runs write
    #[arg(long, value_name = "FOLDER", default_value = "out/compare")]
    out: PathBuf,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Every weight moves at once in full fine-tuning, so that its steps have to be smaller.
const FULL_RATE_SHARE: f64 = 0.1;
const DEFAULT_RATE: f64 = 2e-4;

impl Compare {
    pub fn run(self) -> Result<()> {
        let data = inputs::file(&self.data, "data file")?;
        let recipe = inputs::recipe(self.recipe.recipe.as_deref(), &self.recipe.set)?;
        if recipe["method"].is_string() {
            return Err(Failure::Input(
                "compare trains with the methods lora and full; leave the setting method out".into(),
            ));
        }
        if recipe["eval"]["validation_fraction"].as_f64() == Some(0.0) {
            return Err(Failure::Input(
                "compare needs held-out rows to compare by; raise eval.validation_fraction".into(),
            ));
        }
        let lora_rate = recipe["train"]["learning_rate"].as_f64().unwrap_or(DEFAULT_RATE);
        let full_rate = self.full_learning_rate.unwrap_or(lora_rate * FULL_RATE_SHARE);
        let model = inputs::model(&self.model.model)?;
        site::build()?;

        let lora =
            self.measure(&model, &data, with(&recipe, "lora", lora_rate), "adapter_model.safetensors")?;
        // What did not fit is part of the answer: the table still has LoRA's column.
        let full = self.measure(&model, &data, with(&recipe, "full", full_rate), "model.safetensors");
        let comparison = comparison(&lora, full.as_ref());
        if self.json {
            println!("{comparison}");
        } else {
            print(&comparison);
        }
        full.map(drop)
    }

    /// One run in a browser of its own, so that its memory is its own.
    fn measure(
        &self,
        model: &Model,
        data: &(String, PathBuf),
        recipe: Value,
        weights: &str,
    ) -> Result<Value> {
        let method = recipe["method"].as_str().unwrap_or_default().to_string();
        let out = self.out.join(&method);
        let mut recorder = Recorder::new(&out)?;
        let _ = fs::remove_file(out.join("metrics.jsonl"));
        remove_outputs(&out)?;
        let (mut base, mut memory) = (Value::Null, Value::Null);
        eprintln!("Training with the method {method}");
        Job::new(&device_name(self.model.device, &recipe), model)
            .data(data)
            .recipe(recipe.clone())
            .outputs(&out)
            .train_measured()
            .save_adapter()
            .run(|event| {
                match event["event"].as_str() {
                    Some("base_evaluation") => base = event["evaluation"].clone(),
                    // Before saving, which takes memory of its own.
                    Some("trained") => memory = event["memory"].clone(),
                    _ => {}
                }
                recorder.on_event(event)
            })?;
        let steps = recorder.steps.clone();
        let run = recorder.finish()?;
        require_outputs(&out, &["metrics.jsonl", "run.json", &format!("adapter/{weights}")])?;
        let file = out.join("adapter").join(weights);
        let validation: Vec<f64> =
            steps.iter().filter_map(|step| step["evaluation"]["loss"].as_f64()).collect();
        let trainable = number(&run["plan"]["trainable_parameters"]);
        Ok(json!({
            "method": method,
            "device": run["device"],
            "learning_rate": recipe["train"]["learning_rate"],
            "steps": steps.len(),
            "total_parameters": run["plan"]["total_parameters"],
            "trainable_parameters": trainable,
            // AdamW's two moments in f32.
            "optimizer_bytes": trainable * 8,
            "peak_wasm_bytes": memory["wasm_peak_bytes"],
            "gpu_bytes": memory["gpu_bytes"],
            "median_step_seconds": median(&steps),
            "file_bytes": fs::metadata(&file).context(file.display())?.len(),
            "base_validation_loss": base["loss"],
            "validation_loss": validation.last(),
            "best_validation_loss": validation.iter().copied().min_by(f64::total_cmp),
            "folder": paths::shown(&out),
        }))
    }
}

fn with(recipe: &Value, method: &str, rate: f64) -> Value {
    let mut recipe = recipe.clone();
    recipe["method"] = method.into();
    recipe["train"]["learning_rate"] = rate.into();
    recipe
}

/// Both runs, and what LoRA saves; `full` is an error in words where it did not run.
fn comparison(lora: &Value, full: Result<&Value, &Failure>) -> Value {
    let less = |key: &str| {
        let share = lora[key].as_f64()? / full.ok()?[key].as_f64()?;
        Some(1.0 - share)
    };
    let apart = || {
        let (lora, full) = (lora["validation_loss"].as_f64()?, full.ok()?["validation_loss"].as_f64()?);
        Some(lora / full - 1.0)
    };
    json!({
        "base_validation_loss": lora["base_validation_loss"],
        "lora": lora,
        "full": full.map_or_else(|failure| json!({ "error": failure.to_string() }), Clone::clone),
        "fewer_trainable_parameters": less("trainable_parameters"),
        "less_optimizer_memory": less("optimizer_bytes"),
        "validation_loss_above_full": apart(),
    })
}

fn print(comparison: &Value) {
    let (lora, full) = (&comparison["lora"], &comparison["full"]);
    let row = |name: &str, shown: &dyn Fn(&Value) -> String| {
        println!("{name:<24} {:>16} {:>16}", shown(lora), shown(full));
    };
    let counted = |key: &'static str| move |run: &Value| integer(&run[key]);
    let sized =
        |key: &'static str| move |run: &Value| run[key].as_f64().map_or("?".into(), |b| megabytes(b as u64));
    let decimal = |key: &'static str, places: usize, unit: &'static str| {
        move |run: &Value| run[key].as_f64().map_or("?".into(), |value| format!("{value:.places$}{unit}"))
    };
    println!("{:<24} {:>16} {:>16}", "", "LoRA", "full");
    row("trainable parameters", &counted("trainable_parameters"));
    row("optimizer memory", &sized("optimizer_bytes"));
    row("peak wasm memory", &sized("peak_wasm_bytes"));
    if !lora["gpu_bytes"].is_null() {
        row("GPU memory", &sized("gpu_bytes"));
    }
    row("a step (median)", &decimal("median_step_seconds", 2, " s"));
    row("file to download", &sized("file_bytes"));
    row("learning rate", &|run| {
        run["learning_rate"].as_f64().map_or("?".into(), |rate| format!("{rate:.1e}"))
    });
    row("steps", &counted("steps"));
    row("validation loss, base", &decimal("base_validation_loss", 4, ""));
    row("validation loss, tuned", &decimal("validation_loss", 4, ""));
    row("the lowest on the way", &decimal("best_validation_loss", 4, ""));
    let percent = |key: &str| comparison[key].as_f64().map(|share| share * 100.0);
    if let (Some(parameters), Some(memory), Some(apart)) = (
        percent("fewer_trainable_parameters"),
        percent("less_optimizer_memory"),
        percent("validation_loss_above_full"),
    ) {
        println!();
        println!(
            "LoRA has {parameters:.1} % fewer trainable parameters and {memory:.1} % less optimizer memory;"
        );
        println!("its validation loss is {apart:+.1} % against full fine-tuning's.");
    }
}

/// `1,234,567`
fn integer(value: &Value) -> String {
    let Some(value) = value.as_f64() else { return "?".into() };
    let digits = (value as u64).to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or("?")).collect();
    groups.join(",")
}

/// The median over all steps but the first, which warms up.
fn median(steps: &[Value]) -> Option<f64> {
    let mut times: Vec<f64> = steps.iter().skip(1).filter_map(|step| step["seconds"].as_f64()).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_run_has_no_figures() {
        let lora = json!({ "trainable_parameters": 10, "validation_loss": 1.05 });
        let full = json!({ "trainable_parameters": 1000, "validation_loss": 1.0 });
        let both = comparison(&lora, Ok(&full));
        assert!((both["fewer_trainable_parameters"].as_f64().unwrap() - 0.99).abs() < 1e-9);
        assert!((both["validation_loss_above_full"].as_f64().unwrap() - 0.05).abs() < 1e-9);
        let failure = Failure::Input("it does not fit".into());
        let one = comparison(&lora, Err(&failure));
        assert_eq!(one["full"]["error"], "it does not fit");
        assert!(one["validation_loss_above_full"].is_null());
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(integer(&json!(4_884_480)), "4,884,480");
        assert_eq!(integer(&json!(12)), "12");
    }
}
