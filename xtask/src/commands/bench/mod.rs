//! `cargo xtask bench`: what a training step costs in the browser.

pub mod flat;
pub mod memory;
mod peers;
mod table;

use std::fs;
use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::Device;
use crate::browser::{self, Job, number};
use crate::error::{Context, Failure, Result};
use crate::inputs::{self, Model};
use crate::progress::say;
use crate::recorder::Recorder;
use crate::{paths, provision, site};

#[derive(Args)]
pub struct Bench {
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    /// Measure the same step elsewhere too, in the same run; may be repeated
    #[arg(long)]
    peer: Vec<Peer>,
    /// Train `tiny` for this many steps too, on the CPU and on WebGPU, and compare the memory early and late
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(flat::EARLY + 1..))]
    flat: Option<u64>,
    /// Measure the memory of four runs at its peak too, beside its estimate
    #[arg(long)]
    memory: bool,
    /// Where the browser computes
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Steps that are timed, after one that is not
    #[arg(long, default_value_t = 5)]
    steps: u32,
}

#[derive(Clone, Copy, ValueEnum, PartialEq)]
enum Peer {
    /// PyTorch with PEFT, natively on one thread
    Peft,
    /// jax-js, on WebGPU in the same browser
    JaxJs,
}

/// Tokens of the step that is measured; rank 16 on all seven linears, batch 1, f32.
const TOKENS: u64 = 256;

impl Bench {
    pub fn run(self) -> Result<()> {
        let smollm2 = inputs::model("smollm2")?;
        let python = self.peer.contains(&Peer::Peft).then(provision::peers).transpose()?;
        let jax_js = self.peer.contains(&Peer::JaxJs).then(peers::jax_js_page).transpose()?;
        site::build()?;
        let out = paths::root().join("out/bench");
        fs::create_dir_all(&out).context(out.display())?;
        let data = text(&out, self.steps as usize + 1)?;

        let mut result = Map::new();
        let size = site::wasm_size()?;
        result.insert("wasm_bytes".into(), size.raw.into());
        result.insert("wasm_gzipped_bytes".into(), size.gzipped.into());
        result.insert("wasm_optimised".into(), size.optimised.into());
        result.insert("step".into(), self.measure("smollm2", &smollm2, &data, &out)?);
        match inputs::model("tiny") {
            Ok(tiny) => drop(result.insert("tiny".into(), self.measure("tiny", &tiny, &data, &out)?)),
            Err(missing) => say("tiny", format!("not measured: {missing}")),
        }
        let mut webgpu = browser::count_webgpu_calls(self.steps, jax_js.as_ref())?;
        let turns = webgpu.as_object_mut().and_then(|webgpu| webgpu.remove("peer"));
        if let Some((turns, jax_js)) = turns.zip(jax_js) {
            result.insert("jax_js".into(), peers::jax_js(&turns, &jax_js)?);
        }
        for key in ["dispatches_per_layer", "submits_per_step"] {
            result.insert(key.into(), webgpu[key].clone());
        }
        result.insert("webgpu".into(), webgpu);
        if let Some(python) = python {
            let peer = peers::peft(&python, &smollm2, self.steps)?;
            let seconds = |of: &Value| of["median_step_seconds"].as_f64();
            let ratio = seconds(&result["step"]).zip(seconds(&peer)).map(|(ours, theirs)| ours / theirs);
            result.insert("peer".into(), peer);
            result.insert("ratio".into(), json!(ratio));
        }
        if let Some(steps) = self.flat {
            result.insert("flat_memory".into(), flat::measure(steps, steps, &out)?);
        }
        if self.memory {
            let runs = memory::measure(&text(&out, 4)?, &["cpu", "webgpu"])?;
            let webgpu = runs.as_array().into_iter().flatten().find(|run| run["device"] == "webgpu");
            result
                .insert("peak_gpu_bytes".into(), webgpu.map_or(Value::Null, |run| run["peak_bytes"].clone()));
            result.insert("memory".into(), runs);
        }
        let result = Value::Object(result);
        if self.json {
            println!("{result}");
        } else {
            table::print(&result);
        }
        Ok(())
    }

    /// Trains a few steps in the browser.
    fn measure(
        &self,
        label: &str,
        model: &Model,
        data: &(String, std::path::PathBuf),
        out: &Path,
    ) -> Result<Value> {
        let recipe = json!({
            "objective": "text",
            "lora": { "rank": 16, "alpha": 32 },
            "train": {
                "max_steps": self.steps + 1, "epochs": 1, "batch_size": 1, "gradient_accumulation_steps": 1,
                "max_seq_length": TOKENS, "packing": false
            },
            "eval": { "validation_fraction": 0.0 },
            "base_dtype": "f32",
        });
        let out = out.join(label);
        let mut recorder = Recorder::new(&out)?;
        Job::new(self.device.name(), model)
            .data(data)
            .recipe(recipe)
            .outputs(&out)
            .train(None, None, None)
            .run(|event| recorder.on_event(event))?;
        let tokens = recorder.steps.iter().map(|step| number(&step["tokens"])).max();
        // The remainder of the text is a shorter row.
        let whole = recorder.steps.iter().filter(|step| Some(number(&step["tokens"])) == tokens);
        let times: Vec<f64> = whole.filter_map(|step| step["seconds"].as_f64()).collect();
        let run = recorder.finish()?;
        let (first, rest) = times.split_first().ok_or_else(|| Failure::failed("no step was reported"))?;
        Ok(json!({
            "model": model.name, "device": run["device"], "tokens": tokens, "first_step_seconds": first,
            "step_seconds": rest, "median_step_seconds": median(rest),
            "page_to_model_seconds": run["seconds"]["model"], "page_to_first_step_seconds": run["seconds"]["first_step"],
            "memory": run["memory"],
        }))
    }
}

/// One long text: it is cut into rows of exactly as many tokens as a step has, but for the last.
pub fn text(out: &Path, steps: usize) -> Result<(String, std::path::PathBuf)> {
    const WORDS: &[&str] =
        &["the", "small", "boat", "carries", "seven", "bright", "lamps", "across", "a", "quiet", "river"];
    let count = (steps + 1) * TOKENS as usize;
    let words: Vec<&str> = (0..count).map(|i| WORDS[(i * (i / 97 + 3) + i / 7) % WORDS.len()]).collect();
    let file = out.join("text.jsonl");
    fs::write(&file, json!({ "text": words.join(" ") }).to_string() + "\n").context(file.display())?;
    inputs::file(&file, "data")
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}
