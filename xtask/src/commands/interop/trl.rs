//! The project of `cargo xtask graduate`, run with TRL for a few steps: alone, and as two processes under `accelerate launch`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::Trained;
use crate::browser::Job;
use crate::commands::{Device, graduate};
use crate::error::{Context, Failure, Result};
use crate::{inputs, process};

/// All of them are one batch, so that the loss of the first step is that of all rows.
const ROWS: usize = 8;
const TOLERANCE: f64 = 1e-3;

/// `base` is the model's folder.
pub fn check(python: &Path, trained: &Trained, data: &Path, base: &Path) -> Result<()> {
    let out = trained.out.join("graduate");
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).context(out.display())?;
    let text = fs::read_to_string(data).context(data.display())?;
    let rows = out.join("rows.jsonl");
    let some: String = text.lines().take(ROWS).map(|line| format!("{line}\n")).collect();
    fs::write(&rows, some).context(rows.display())?;
    let rows = inputs::file(&rows, "data file")?;
    let adapter = inputs::adapter(trained.out)?;
    let recipe = json!({
        "train": { "batch_size": ROWS, "max_seq_length": 128, "learning_rate": 1e-3 },
        "eval": { "validation_fraction": 0.0 },
    });

    let mut ours = f64::NAN;
    let job =
        Job::new(Device::Cpu.name(), trained.model).adapter(&adapter).data(&rows).recipe(recipe.clone());
    job.score(true, false).run(|event| {
        if event["event"] == "scored" {
            ours = event["evaluation"]["loss"].as_f64().unwrap_or(f64::NAN);
        }
        Ok(())
    })?;
    let package = out.join("package");
    graduate::write(trained.model, &adapter, &rows, recipe, &package)?;

    // There are no GPUs to try them on; Accelerate itself says whether it knows every setting.
    let known = "import sys; from accelerate.commands.config.config_args import load_config_from_file as load; \
                 [load(file) for file in sys.argv[1:]]";
    let mut settings = Command::new(python);
    settings.args(["-c", known]).arg(package.join("fsdp.yaml")).arg(package.join("multi_gpu.yaml"));
    process::run("Accelerate's settings", &mut settings)?;

    // Accelerate's own --cpu wants MPI for more than one process.
    let two = [
        "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no",
        "--dynamo_backend no train.py --per_device_train_batch_size 4",
    ];
    for (what, launch) in [("TRL", "train.py".to_string()), ("TRL, two processes", two.join(" "))] {
        let mut train = Command::new(python);
        train.args(launch.split(' ')).env("ACCELERATE_USE_CPU", "true");
        let trained_to = out.join(what.replace(", ", "-").replace(' ', "-"));
        train.args(["--config", "config.yaml", "--max_steps", "3", "--bf16", "false", "--use_cpu", "true"]);
        train.arg("--model_name_or_path").arg(base).arg("--output_dir").arg(&trained_to);
        train.current_dir(&package).env("HF_HUB_OFFLINE", "1").env("HF_DATASETS_CACHE", out.join("datasets"));
        process::run(what, &mut train)?;
        let losses = losses(&trained_to.join("checkpoint-3/trainer_state.json"))?;
        let apart = (losses.first().copied().unwrap_or(f64::NAN) - ours).abs();
        let learned = losses.last() < losses.first();
        let ok = apart <= TOLERANCE && losses.len() == 3 && learned;
        println!(
            "{:<42} first loss {apart:.1e} from ours ({ours:.4}), then {:?}  {}",
            format!("{} {what}", trained.name),
            &losses[1.min(losses.len())..],
            if ok { "ok" } else { "DIFFERENT" }
        );
        if !ok {
            return Err(Failure::failed(format!("{what} does not go on where the browser stopped")));
        }
    }
    Ok(())
}

fn losses(file: &Path) -> Result<Vec<f64>> {
    let text = fs::read(file).context(file.display())?;
    let state: Value = serde_json::from_slice(&text).context(file.display())?;
    let history = state["log_history"].as_array().cloned().unwrap_or_default();
    Ok(history.iter().filter_map(|entry| entry["loss"].as_f64()).collect())
}
