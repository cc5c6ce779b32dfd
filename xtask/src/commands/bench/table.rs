//! The figures as lines.

use serde_json::{Value, json};

use super::{median, numbers};
use crate::progress::megabytes;

pub fn print(result: &Value) {
    let machine = &result["machine"];
    let memory = machine["memory_bytes"].as_f64().unwrap_or(0.0) / f64::from(1 << 30);
    println!(
        "machine       {}, {} cores, {memory:.0} GiB, {}; Chromium {}, {}",
        text(&machine["cpu"]),
        machine["cores"],
        text(&machine["system"]),
        text(&result["webgpu"]["browser"]),
        text(&result["webgpu"]["adapter"])
    );
    println!(
        "wasm          {} raw, {} gzipped",
        bytes(&result["wasm_bytes"]),
        bytes(&result["wasm_gzipped_bytes"])
    );
    for name in ["step", "tiny"] {
        if !result[name].is_null() {
            in_browser(&result[name]);
        }
    }
    for run in result["native"].as_array().into_iter().flatten() {
        println!("natively, {}, {} tokens a step", text(&run["name"]), run["tokens"]);
        step("step", &run["median_step_seconds"], 1.0, &run["step_seconds"]);
    }
    if !result["peer"].is_null() {
        println!("PyTorch + PEFT on one thread");
        step("step", &result["peer"]["median_step_seconds"], 1.0, &result["peer"]["step_seconds"]);
        println!("  ratio       {:.2} of its steps to one in the browser", float(&result["ratio"]));
    }
    small(result);
    for run in ["memory", "objective_memory"].into_iter().filter_map(|key| result[key].as_array()).flatten() {
        println!(
            "{} with {} on {}, {} rows of at most {} tokens, weights {}, checkpointing {}",
            text(&run["model"]),
            text(&run["objective"]),
            text(&run["device"]),
            run["batch_size"],
            run["tokens"],
            text(&run["base_dtype"]),
            text(&run["gradient_checkpointing"])
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
    if let Some(ops) = result["ops"].as_array() {
        self::ops(ops);
    }
}

fn in_browser(run: &Value) {
    println!(
        "{} on {} in the browser, {} tokens a step",
        text(&run["model"]),
        text(&run["device"]["kind"]),
        run["tokens"]
    );
    step("step", &run["median_step_seconds"], 1.0, &run["step_seconds"]);
    println!("  first step  {:.2} s after the page was opened", float(&run["page_to_first_step_seconds"]));
    println!("  memory      {} wasm at the peak", bytes(&run["memory"]["wasm_peak_bytes"]));
}

/// The small model on WebGPU, natively and in jax-js.
fn small(result: &Value) {
    let webgpu = &result["webgpu"];
    println!("4 layers of width 192 on WebGPU in software, 512 tokens a step");
    step("step", &json!(median(&numbers(&webgpu["step_ms"]))), 1000.0, &webgpu["step_ms"]);
    println!(
        "  dispatches  {} a layer, {} a step, in {} submits with {} uploads",
        webgpu["dispatches_per_layer"],
        webgpu["dispatches_per_step"],
        webgpu["submits_per_step"],
        webgpu["uploads_per_step"]
    );
    println!("  memory      {} in buffers at the peak", bytes(&webgpu["peak_buffer_bytes"]));
    for side in result["small_native"].as_array().into_iter().flatten() {
        println!("  natively, {}", text(&side["name"]));
        step("  step", &side["median_step_ms"], 1000.0, &side["step_ms"]);
    }
    let jax_js = &result["jax_js"];
    if !jax_js.is_null() {
        println!("  in jax-js {}, in the same browser", text(&jax_js["version"]));
        step("  step", &jax_js["median_step_ms"], 1000.0, &jax_js["step_ms"]);
        println!(
            "    dispatches {} a step, in {} submits",
            jax_js["dispatches_per_step"], jax_js["submits_per_step"]
        );
        println!("    ratio     {:.2} of our steps to one of jax-js", float(&jax_js["ratio"]));
    }
}

fn flat_memory(flat: &Value) {
    println!("memory of {} early and late in a run", text(&flat["model"]));
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

/// Milliseconds, and what that makes a second, by place; a line for each pass.
fn ops(ops: &[Value]) {
    let Some(places) = ops.first().and_then(|op| op["forward"]["ms"].as_object()) else { return };
    let places: Vec<&String> = places.keys().collect();
    println!(
        "single operations of SmolLM2-135M, CPUs with one thread: ms, and 10⁹ operations and bytes a second"
    );
    print!("  {:<34}{:>7}{:>6}", "", "a step", "calls");
    places.iter().for_each(|place| print!("{:>26}", place.replace('_', ", ")));
    println!();
    for op in ops {
        for pass in ["forward", "backward"] {
            let figures = &op[pass];
            if figures.is_null() {
                continue;
            }
            print!(
                "  {:<34}{:>7}{:>6}",
                format!("{} {pass}", text(&op["name"])),
                // A JSON value by itself takes no width.
                op["a_step"].to_string(),
                figures["dispatches"].to_string()
            );
            for place in &places {
                let ms = float(&figures["ms"][place.as_str()]);
                let a_second = |key: &str| match ms > 0.0 {
                    true => format!("{:.1}", float(&figures[key]) / ms / 1e6),
                    false => "–".into(),
                };
                print!("{ms:>10.3}{:>8}{:>8}", a_second("flops"), a_second("bytes"));
            }
            println!();
        }
    }
    print!("  {:<47}", "all that a step does of these, s");
    for place in &places {
        let of_pass = |op: &Value, pass: &str| op[pass]["ms"][place.as_str()].as_f64().unwrap_or(0.0);
        let of_op = |op: &Value| float(&op["a_step"]) * (of_pass(op, "forward") + of_pass(op, "backward"));
        print!("{:>10.2}{:>16}", ops.iter().map(of_op).sum::<f64>() / 1000.0, "");
    }
    println!();
}

/// A median in units of which a second has so many, and of how many steps it is.
fn step(label: &str, median: &Value, of_a_second: f64, steps: &Value) {
    println!("  {label:<10}  {:.2} s (median of {})", float(median) / of_a_second, numbers(steps).len());
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn bytes(value: &Value) -> String {
    megabytes(value.as_f64().unwrap_or(0.0) as u64)
}
