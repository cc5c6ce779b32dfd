//! The memory of a step at its peak, beside what was estimated before the run.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::browser::Job;
use crate::error::{Failure, Result};
use crate::inputs;
use crate::progress::Bar;

/// Steps of each run: the second updates what the first has allocated.
const STEPS: u64 = 2;

/// A run that is measured; rank 16 on all seven linears, batch 1.
struct Run {
    model: &'static str,
    device: &'static str,
    tokens: u64,
    base_dtype: &'static str,
    gradient_checkpointing: &'static str,
}

#[rustfmt::skip]
const RUNS: &[Run] = &[
    Run { model: "tiny", device: "cpu", tokens: 256, base_dtype: "f32", gradient_checkpointing: "off" },
    Run { model: "smollm2", device: "cpu", tokens: 256, base_dtype: "f32", gradient_checkpointing: "off" },
    Run { model: "smollm2", device: "cpu", tokens: 512, base_dtype: "stored", gradient_checkpointing: "on" },
    Run { model: "smollm2", device: "webgpu", tokens: 512, base_dtype: "stored", gradient_checkpointing: "on" },
];

/// The runs on these devices; `data` is one long text.
pub fn measure(data: &(String, PathBuf), devices: &[&str]) -> Result<Value> {
    let runs = RUNS.iter().filter(|run| devices.contains(&run.device));
    Ok(Value::Array(runs.map(|run| measured(run, data)).collect::<Result<_>>()?))
}

fn measured(run: &Run, data: &(String, PathBuf)) -> Result<Value> {
    let Run { model, device, tokens, base_dtype, gradient_checkpointing } = run;
    let recipe = json!({
        "objective": "text",
        "lora": { "rank": 16, "alpha": 32 },
        "train": {
            "max_steps": STEPS, "batch_size": 1, "max_seq_length": tokens,
            "gradient_checkpointing": gradient_checkpointing,
        },
        "eval": { "validation_fraction": 0.0, "probe": false },
        "base_dtype": base_dtype,
    });
    let (mut estimate, mut memory) = (Value::Null, Value::Null);
    let mut bar = Bar::new(&format!("memory of {model} on {device}"), STEPS);
    Job::new(device, &inputs::model(model)?)
        .data(data)
        .recipe(recipe)
        .default_limits()
        .train_watched(&[STEPS])
        .run(|event| {
            match event["event"].as_str() {
                Some("plan") => estimate = event["plan"]["memory"].clone(),
                Some("step") => bar.set(event["report"]["step"].as_u64().unwrap_or(0), String::new()),
                Some("memory_after") => memory = event["memory"].clone(),
                _ => {}
            }
            Ok(())
        })?;
    let bytes = |key: &str| memory[key].as_f64().unwrap_or(0.0);
    let peak = match *device {
        "webgpu" => bytes("gpu_peak_buffer_bytes"),
        _ => bytes("wasm_peak_bytes") + bytes("helper_bytes"),
    };
    let estimated = estimate["total"].as_f64().unwrap_or(0.0);
    if peak == 0.0 {
        return Err(Failure::failed(format!("no memory of {model} on {device} was counted")));
    }
    Ok(json!({
        "model": model, "device": device, "tokens": tokens, "base_dtype": base_dtype,
        "gradient_checkpointing": gradient_checkpointing,
        "peak_bytes": peak, "estimate": estimate, "estimate_over_peak": estimated / peak,
    }))
}
