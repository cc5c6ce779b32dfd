//! Whether the memory of a run stays the same from early to late steps.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::browser::Job;
use crate::error::{Context, Failure, Result};
use crate::inputs;
use crate::progress::Bar;

/// The step after which memory is looked at first: every row has been trained on several times.
pub const EARLY: u64 = 50;

/// Rows of the data, each of another length.
const ROWS: u64 = 16;

/// What may come to the wasm memory and to the GPU's buffers: far less than one step computes with.
const MARGIN: f64 = 1024.0 * 1024.0;

/// Trains `tiny` in the page's worker, on the CPU and on WebGPU.
pub fn measure(cpu_steps: u64, webgpu_steps: u64, out: &Path) -> Result<Value> {
    fs::create_dir_all(out).context(out.display())?;
    let data = rows(out)?;
    Ok(json!({
        "model": "tiny", "margin_bytes": MARGIN,
        "cpu": watched("cpu", cpu_steps, &data)?, "webgpu": watched("webgpu", webgpu_steps, &data)?,
    }))
}

fn watched(device: &str, steps: u64, data: &(String, PathBuf)) -> Result<Value> {
    let recipe = json!({
        "objective": "text",
        "lora": { "rank": 8, "alpha": 16 },
        "train": { "max_steps": steps, "batch_size": 1, "max_seq_length": 64 },
        "eval": { "validation_fraction": 0.0, "probe": false },
    });
    let mut memory = Vec::new();
    let mut bar = Bar::new(&format!("tiny on {device}"), steps);
    Job::new(device, &inputs::model("tiny")?)
        .data(data)
        .recipe(recipe)
        .default_limits()
        .train_watched(&[EARLY, steps])
        .run(|event| {
            match event["event"].as_str() {
                Some("step") => bar.set(event["report"]["step"].as_u64().unwrap_or(0), String::new()),
                Some("memory_after") => memory.push(event["memory"].clone()),
                _ => {}
            }
            Ok(())
        })?;
    let [early, late] = memory.as_slice() else {
        return Err(Failure::failed(format!("the run on {device} ended before its step {steps}")));
    };
    if device == "webgpu" && early["gpu_buffer_bytes"].as_f64().unwrap_or(0.0) == 0.0 {
        return Err(Failure::failed(
            "no GPU buffer was counted in the page's worker, so nothing was measured",
        ));
    }
    let both = |key: &str| json!([early[key], late[key]]);
    let grows = |key: &str| late[key].as_f64().unwrap_or(0.0) - early[key].as_f64().unwrap_or(0.0) > MARGIN;
    Ok(json!({
        "after_steps": [EARLY, steps],
        "wasm_bytes": both("wasm_bytes"),
        "gpu_buffer_bytes": both("gpu_buffer_bytes"),
        "gpu_reserved_bytes": both("gpu_bytes"),
        "flat": !grows("wasm_bytes") && !grows("gpu_buffer_bytes"),
    }))
}

fn rows(out: &Path) -> Result<(String, PathBuf)> {
    let row = |i: u64| json!({ "text": "a boat on the river ".repeat(i as usize + 1) }).to_string() + "\n";
    let file = out.join("rows.jsonl");
    fs::write(&file, (0..ROWS).map(row).collect::<String>()).context(file.display())?;
    inputs::file(&file, "data")
}
