//! `cargo xtask bench`: what a training step and its operations cost, in the browser and natively.

pub mod flat;
mod machine;
pub mod memory;
mod native;
mod ops;
mod small;
mod step;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use self::native::Native;
use self::step::Turn;
use super::Device;
use crate::browser::BenchPages;
use crate::error::{Context, Result};
use crate::inputs::{self, Model};
use crate::progress::say;
use crate::{paths, provision, site};

#[derive(Args)]
pub struct Bench {
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    /// Measure the same step elsewhere too, in the same run; may be repeated
    #[arg(long)]
    peer: Vec<Peer>,
    /// Measure natively too, where; may be repeated
    #[arg(long, default_value = "cpu")]
    native: Vec<NativeDevice>,
    /// Leave single operations out
    #[arg(long)]
    no_ops: bool,
    /// Train `tiny` for this many steps too, on the CPU and on WebGPU, and compare the memory early and late
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(flat::EARLY + 1..))]
    flat: Option<u64>,
    /// Measure the memory of four runs and of each objective at its peak too, beside its estimate
    #[arg(long)]
    memory: bool,
    /// Where the browser computes the steps of SmolLM2-135M and `tiny`
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Steps that are timed in each of three turns, after one that is not
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
}

#[derive(Clone, Copy, ValueEnum, PartialEq)]
enum Peer {
    /// PyTorch with PEFT, natively on one thread
    Peft,
    /// jax-js, on WebGPU in the same browser
    JaxJs,
}

#[derive(Clone, Copy, ValueEnum, PartialEq)]
enum NativeDevice {
    None,
    Cpu,
    /// The GPU that Vulkan offers; Mesa's lavapipe where there is none
    Vulkan,
}

/// Tokens of the step that is measured; rank 16 on all seven linears, batch 1, f32.
const TOKENS: u64 = 256;

/// How often each side has its turn, so that a machine that is busy for a while is so for all.
const TURNS: usize = 3;

impl Bench {
    pub fn run(self) -> Result<()> {
        let smollm2 = inputs::model("smollm2")?;
        let python = self.peer.contains(&Peer::Peft).then(provision::peers).transpose()?;
        let jax_js = self.peer.contains(&Peer::JaxJs).then(small::jax_js_page).transpose()?;
        site::build()?;
        let native = self.native_devices();
        if !native.is_empty() {
            crate::native::build(native.contains(&"vulkan"))?;
        }
        let mut native: Vec<Native> = native.into_iter().map(Native::start).collect::<Result<_>>()?;
        let out = paths::root().join("out/bench");
        fs::create_dir_all(&out).context(out.display())?;
        let data = text(&out, self.steps as usize)?;

        let mut result = Map::new();
        result.insert("machine".into(), machine::describe());
        let size = site::wasm_size()?;
        result.insert("wasm_bytes".into(), size.raw.into());
        result.insert("wasm_gzipped_bytes".into(), size.gzipped.into());
        self.smollm2(&mut result, &smollm2, &data, &native, python.as_deref(), &out)?;
        match inputs::model("tiny") {
            Ok(tiny) => {
                let turn = Turn { model: &tiny, data: &data, steps: self.steps, out: out.join("tiny") };
                let tiny = step::together(vec![turn.in_browser(self.device.name())?])?;
                result.insert("tiny".into(), tiny);
            }
            Err(missing) => say("tiny", format!("not measured: {missing}")),
        }

        let mut pages = BenchPages::open(jax_js.as_ref())?;
        let small = small::measure(&mut pages, &mut native, jax_js.as_ref(), self.steps, &out)?;
        result.extend(small.into_iter().map(|(key, value)| (key.into(), value)));
        for key in ["dispatches_per_layer", "submits_per_step"] {
            let count = result["webgpu"][key].clone();
            result.insert(key.into(), count);
        }
        if !self.no_ops {
            result.insert("ops".into(), ops::measure(&mut pages, &mut native)?);
        }
        drop((pages, native));

        if let Some(steps) = self.flat {
            result.insert("flat_memory".into(), flat::measure(steps, steps, &out)?);
        }
        if self.memory {
            let runs = memory::measure(&text(&out, 4)?, &["cpu", "webgpu"])?;
            let webgpu = runs.as_array().into_iter().flatten().find(|run| run["device"] == "webgpu");
            result
                .insert("peak_gpu_bytes".into(), webgpu.map_or(Value::Null, |run| run["peak_bytes"].clone()));
            result.insert("memory".into(), runs);
            let objectives = memory::measure_objectives(&out.join("objectives"), &["cpu", "webgpu"])?;
            result.insert("objective_memory".into(), objectives);
        }
        let result = Value::Object(result);
        if self.json {
            println!("{result}");
        } else {
            table::print(&result);
        }
        Ok(())
    }

    /// `step`, `native` and `peer`: the same step in the browser, natively and in PyTorch; and the ratio to the last.
    fn smollm2(
        &self,
        result: &mut Map<String, Value>,
        model: &Model,
        data: &(String, PathBuf),
        native: &[Native],
        python: Option<&Path>,
        out: &Path,
    ) -> Result<()> {
        let turn = Turn { model, data, steps: self.steps, out: out.join("smollm2") };
        let (mut ours, mut theirs, mut natively) = (Vec::new(), Vec::new(), vec![Vec::new(); native.len()]);
        for _ in 0..TURNS {
            ours.push(turn.in_browser(self.device.name())?);
            if let Some(python) = python {
                theirs.push(turn.in_peft(python)?);
            }
            for (native, turns) in native.iter().zip(&mut natively) {
                turns.push(turn.natively(native)?);
            }
        }
        result.insert("step".into(), step::together(ours)?);
        let natively = natively.into_iter().map(step::together).collect::<Result<Vec<_>>>()?;
        result.insert("native".into(), natively.into());
        if python.is_some() {
            let peer = step::together(theirs)?;
            let seconds = |of: &Value| of["median_step_seconds"].as_f64();
            let ratio = seconds(&result["step"]).zip(seconds(&peer)).map(|(ours, theirs)| ours / theirs);
            result.insert("peer".into(), peer);
            result.insert("ratio".into(), json!(ratio));
        }
        Ok(())
    }

    fn native_devices(&self) -> Vec<&'static str> {
        let name = |device: &NativeDevice| match device {
            NativeDevice::None => None,
            NativeDevice::Cpu => Some("cpu"),
            NativeDevice::Vulkan => Some("vulkan"),
        };
        let mut names: Vec<&str> = self.native.iter().filter_map(name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// One long text: it is cut into rows of exactly as many tokens as a step has, but for the last.
pub fn text(out: &Path, steps: usize) -> Result<(String, PathBuf)> {
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

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}
