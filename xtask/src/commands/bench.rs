//! `cargo xtask bench`: what a training step costs in the browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::Device;
use crate::browser::{self, Job, number};
use crate::error::{Context, Failure, Result};
use crate::inputs::{self, Model};
use crate::progress::{megabytes, say};
use crate::recorder::Recorder;
use crate::{paths, process, provision, site};

#[derive(Args)]
pub struct Bench {
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    /// Measure the same step elsewhere too, in the same run
    #[arg(long)]
    peer: Option<Peer>,
    /// Where the browser computes
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Steps that are timed, after one that is not
    #[arg(long, default_value_t = 5)]
    steps: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Peer {
    /// PyTorch with PEFT, natively on one thread
    Peft,
}

/// Tokens of the step that is measured; rank 16 on all seven linears, batch 1, f32.
const TOKENS: u64 = 256;

impl Bench {
    pub fn run(self) -> Result<()> {
        let smollm2 = inputs::model("smollm2")?;
        let python = self.peer.map(|Peer::Peft| provision::peers()).transpose()?;
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
        let webgpu = browser::count_webgpu_calls(self.steps)?;
        for key in ["dispatches_per_layer", "submits_per_step"] {
            result.insert(key.into(), webgpu[key].clone());
        }
        result.insert("webgpu".into(), webgpu);
        if let Some(python) = python {
            let peer = self.peer_step(&python, &smollm2)?;
            let seconds = |of: &Value| of["median_step_seconds"].as_f64();
            let ratio = seconds(&result["step"]).zip(seconds(&peer)).map(|(ours, theirs)| ours / theirs);
            result.insert("peer".into(), peer);
            result.insert("ratio".into(), json!(ratio));
        }
        self.print(&Value::Object(result));
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

    fn peer_step(&self, python: &Path, model: &Model) -> Result<Value> {
        let mut peer = Command::new(python);
        peer.arg(paths::root().join("tests/interop/peft_step.py")).arg("--base").arg(&model.files[0].1);
        peer.args([
            "--sequence",
            &TOKENS.to_string(),
            "--steps",
            &(self.steps + 1).to_string(),
            "--threads",
            "1",
        ]);
        let finished = process::run("PyTorch + PEFT", &mut peer)?;
        let json = finished.output.lines().rev().find(|line| line.starts_with('{'));
        let json = json.ok_or_else(|| Failure::failed("peft_step.py printed no JSON object"))?;
        let mut report: Value = serde_json::from_str(json).context("the JSON of peft_step.py")?;
        let times = report["step_ms"].as_array().cloned().unwrap_or_default();
        // Its first step warms up too.
        let seconds: Vec<f64> =
            times.iter().skip(1).filter_map(Value::as_f64).map(|ms| ms / 1000.0).collect();
        report["median_step_seconds"] = json!(median(&seconds));
        Ok(report)
    }

    fn print(&self, result: &Value) {
        if self.json {
            println!("{result}");
            return;
        }
        let seconds = |value: &Value| value.as_f64().map_or("?".into(), |seconds| format!("{seconds:.2} s"));
        let bytes = |value: &Value| megabytes(value.as_f64().unwrap_or(0.0) as u64);
        println!(
            "wasm          {} raw, {} gzipped",
            bytes(&result["wasm_bytes"]),
            bytes(&result["wasm_gzipped_bytes"])
        );
        for name in ["step", "tiny"] {
            let run = &result[name];
            if run.is_null() {
                continue;
            }
            let (model, device) = (
                run["model"].as_str().unwrap_or_default(),
                run["device"]["kind"].as_str().unwrap_or_default(),
            );
            println!("{model} on {device}, {} tokens a step", run["tokens"]);
            println!(
                "  step        {} (median of {})",
                seconds(&run["median_step_seconds"]),
                run["step_seconds"].as_array().map_or(0, Vec::len)
            );
            println!(
                "  first step  {} after the page was opened",
                seconds(&run["page_to_first_step_seconds"])
            );
            println!("  memory      {} wasm at the peak", bytes(&run["memory"]["wasm_peak_bytes"]));
        }
        let webgpu = &result["webgpu"];
        let times: Vec<f64> =
            webgpu["step_ms"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        println!("4 layers of width 192 on WebGPU in software, 512 tokens a step");
        println!(
            "  step        {} (median of {})",
            seconds(&json!(median(&times).map(|ms| ms / 1000.0))),
            times.len()
        );
        println!(
            "  dispatches  {} a layer, {} a step, in {} submits",
            webgpu["dispatches_per_layer"], webgpu["dispatches_per_step"], webgpu["submits_per_step"]
        );
        println!("  memory      {} in buffers at the peak", bytes(&webgpu["peak_buffer_bytes"]));
        if !result["peer"].is_null() {
            println!("PyTorch + PEFT on one thread");
            println!("  step        {}", seconds(&result["peer"]["median_step_seconds"]));
            println!("ratio         {:.2}", result["ratio"].as_f64().unwrap_or(f64::NAN));
        }
    }
}

/// One long text: it is cut into rows of exactly as many tokens as a step has, but for the last.
fn text(out: &Path, steps: usize) -> Result<(String, std::path::PathBuf)> {
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
