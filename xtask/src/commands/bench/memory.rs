//! The memory of a step at its peak, beside what was estimated before the run: four runs that differ in how activations and
//! weights are kept, and each objective.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::browser::Job;
use crate::error::{Context, Failure, Result};
use crate::inputs;
use crate::progress::{Bar, say};

/// Steps of each run: the second updates what the first has allocated.
const STEPS: u64 = 2;

/// A run that is measured; rank 16 on all seven linears.
struct Run {
    objective: &'static str,
    model: &'static str,
    device: &'static str,
    batch_size: u64,
    tokens: u64,
    base_dtype: &'static str,
    gradient_checkpointing: &'static str,
}

const TEXT: Run = Run {
    objective: "text",
    model: "tiny",
    device: "cpu",
    batch_size: 1,
    tokens: 256,
    base_dtype: "f32",
    gradient_checkpointing: "off",
};

#[rustfmt::skip]
const STORAGE: &[Run] = &[
    TEXT,
    Run { model: "smollm2", ..TEXT },
    Run { model: "smollm2", tokens: 512, base_dtype: "stored", gradient_checkpointing: "on", ..TEXT },
    Run { model: "smollm2", device: "webgpu", tokens: 512, base_dtype: "stored", gradient_checkpointing: "on", ..TEXT },
];

/// Batches that take several times what the program takes.
const ROWS: Run = Run { batch_size: 8, tokens: 512, gradient_checkpointing: "auto", ..TEXT };

/// A GPU's buffers are counted without the program.
const ROWS_ON_GPU: Run = Run { batch_size: 2, device: "webgpu", ..ROWS };

#[rustfmt::skip]
const OBJECTIVES: &[Run] = &[
    Run { objective: "text", ..ROWS },
    Run { objective: "sft", ..ROWS },
    Run { objective: "dpo", ..ROWS },
    Run { objective: "orpo", ..ROWS },
    Run { objective: "kto", ..ROWS },
    Run { objective: "grpo", ..ROWS },
    Run { objective: "reward", ..ROWS },
    Run { objective: "classify", ..ROWS },
    Run { objective: "contrastive", model: "minilm", ..ROWS },
    Run { objective: "sft", ..ROWS_ON_GPU },
    Run { objective: "kto", ..ROWS_ON_GPU },
    Run { objective: "grpo", ..ROWS_ON_GPU },
];

/// How a run's activations and weights are kept, on these devices; `data` is one long text.
pub fn measure(data: &(String, PathBuf), devices: &[&str]) -> Result<Value> {
    let runs = STORAGE.iter().filter(|run| devices.contains(&run.device));
    Ok(Value::Array(runs.map(|run| measured(run, data)).collect::<Result<_>>()?))
}

/// Each objective on these devices, on rows written below `out`.
pub fn measure_objectives(out: &Path, devices: &[&str]) -> Result<Value> {
    let runs = OBJECTIVES.iter().filter(|run| devices.contains(&run.device));
    Ok(Value::Array(runs.map(|run| measured(run, &rows(run.objective, out)?)).collect::<Result<_>>()?))
}

fn measured(run: &Run, data: &(String, PathBuf)) -> Result<Value> {
    let Run { objective, model, device, batch_size, tokens, base_dtype, gradient_checkpointing } = run;
    let recipe = json!({
        "objective": objective,
        "lora": { "rank": 16, "alpha": 32 },
        "train": {
            "max_steps": STEPS, "batch_size": batch_size, "max_seq_length": tokens,
            "gradient_checkpointing": gradient_checkpointing,
        },
        "grpo": { "max_completion_length": 16, "num_generations": 8, "reward": "length" },
        "eval": { "validation_fraction": 0.0, "probe": false },
        "base_dtype": base_dtype,
    });
    let (mut estimate, mut memory) = (Value::Null, Value::Null);
    let mut bar = Bar::new(&format!("memory of {objective}, {model} on {device}"), STEPS);
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
        return Err(Failure::failed(format!("no memory of {objective} on {device} was counted")));
    }
    let ratio = estimated / peak;
    say("memory", format!("{objective}, {model} on {device}: the estimate is {ratio:.2} of the peak"));
    Ok(json!({
        "objective": objective, "model": model, "device": device, "batch_size": batch_size, "tokens": tokens,
        "base_dtype": base_dtype, "gradient_checkpointing": gradient_checkpointing,
        "peak_bytes": peak, "estimate": estimate, "estimate_over_peak": ratio,
    }))
}

/// Rows of an objective, all of about the same length.
fn rows(objective: &str, out: &Path) -> Result<(String, PathBuf)> {
    const WORDS: &[&str] = &["boat", "river", "lamp", "mouse", "green", "seven", "quiet", "bread"];
    let text = |i: usize, words: usize| -> String {
        (0..words).map(|word| WORDS[(i * 3 + word * 5 + word / 7) % WORDS.len()].to_owned() + " ").collect()
    };
    let row = |i: usize| match objective {
        "text" => json!({ "text": text(i, 80) }),
        "sft" => json!({ "prompt": text(i, 50), "completion": text(i + 1, 30) }),
        "kto" => {
            json!({ "prompt": text(i, 50), "completion": text(i + 1, 30), "label": i.is_multiple_of(2) })
        }
        "grpo" => json!({ "prompt": text(i, 30), "answer": "boat" }),
        "classify" => {
            json!({ "text": text(i, 80), "label": if i.is_multiple_of(2) { "even" } else { "odd" } })
        }
        "contrastive" => json!({ "anchor": text(i, 80), "positive": text(i + 1, 80) }),
        _ => json!({ "prompt": text(i, 50), "chosen": text(i + 1, 30), "rejected": text(i + 2, 30) }),
    };
    fs::create_dir_all(out).context(out.display())?;
    let file = out.join(format!("{objective}.jsonl"));
    fs::write(&file, (0..48).map(|i| row(i).to_string() + "\n").collect::<String>())
        .context(file.display())?;
    inputs::file(&file, "data")
}
