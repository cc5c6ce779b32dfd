//! The figures as lines.

use serde_json::{Value, json};

use super::median;
use crate::progress::megabytes;

pub fn print(result: &Value) {
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
        let (model, device) =
            (run["model"].as_str().unwrap_or_default(), run["device"]["kind"].as_str().unwrap_or_default());
        println!("{model} on {device}, {} tokens a step", run["tokens"]);
        println!(
            "  step        {} (median of {})",
            seconds(&run["median_step_seconds"]),
            run["step_seconds"].as_array().map_or(0, Vec::len)
        );
        println!("  first step  {} after the page was opened", seconds(&run["page_to_first_step_seconds"]));
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
    if !result["jax_js"].is_null() {
        jax_js(&result["jax_js"]);
    }
    if !result["peer"].is_null() {
        println!("PyTorch + PEFT on one thread");
        println!("  step        {}", seconds(&result["peer"]["median_step_seconds"]));
        println!("ratio         {:.2}", result["ratio"].as_f64().unwrap_or(f64::NAN));
    }
    for run in result["memory"].as_array().into_iter().flatten() {
        println!(
            "{} on {}, {} tokens, weights {}, checkpointing {}",
            run["model"].as_str().unwrap_or_default(),
            run["device"].as_str().unwrap_or_default(),
            run["tokens"],
            run["base_dtype"].as_str().unwrap_or_default(),
            run["gradient_checkpointing"].as_str().unwrap_or_default()
        );
        println!(
            "  memory      {} at the peak, {} estimated",
            bytes(&run["peak_bytes"]),
            bytes(&run["estimate"]["total"])
        );
    }
    if !result["flat_memory"].is_null() {
        flat_memory(&result["flat_memory"]);
    }
}

fn jax_js(peer: &Value) {
    let seconds = |key: &str| peer[key].as_f64().unwrap_or(f64::NAN) / 1000.0;
    println!(
        "jax-js {}, the same model in the same browser, in turns with ours",
        peer["version"].as_str().unwrap_or("?")
    );
    println!(
        "  step        {:.2} s (median of {}), ours {:.2} s",
        seconds("median_step_ms"),
        peer["step_ms"].as_array().map_or(0, Vec::len),
        seconds("our_median_step_ms")
    );
    println!("  dispatches  {} a step, in {} submits", peer["dispatches_per_step"], peer["submits_per_step"]);
    println!("  ratio       {:.2} of our steps to one of jax-js", peer["ratio"].as_f64().unwrap_or(f64::NAN));
}

fn flat_memory(flat: &Value) {
    println!("memory of {} early and late in a run", flat["model"].as_str().unwrap_or("?"));
    for (name, run) in [("CPU", &flat["cpu"]), ("WebGPU", &flat["webgpu"])] {
        let (early, late) = (&run["after_steps"][0], &run["after_steps"][1]);
        for (what, key) in [("wasm", "wasm_bytes"), ("GPU buffers", "gpu_buffer_bytes")] {
            let at = |index: usize| run[key][index].as_f64().unwrap_or(0.0);
            if at(1) > 0.0 {
                let (before, after) = (megabytes(at(0) as u64), megabytes(at(1) as u64));
                println!("  {name:<10}  {before} of {what} after step {early}, {after} after step {late}");
            }
        }
        println!("  {name:<10}  {}", if run["flat"] == true { "flat" } else { "it grows" });
    }
}
