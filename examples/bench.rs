//! The native side of `cargo xtask bench`: says what device it has, then answers each line of JSON on stdin, in JSON too.
//!
//! ```text
//! cargo run --release --example bench -- [cpu|vulkan]
//! {"ops": <workload>}                                            times each operation once
//! {"steps": 5, "warmup": 2, "workload": …, "weights": <file>}    trains, as bench.html does
//! ```

use loralet::bench::Workload;
use loralet::bench::ops::Ops;
use loralet::bench::steps::Steps;
use loralet::{Error, Result, native};
use pollster::block_on;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::BufRead;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Deserialize)]
#[serde(untagged)]
enum Request {
    Ops { ops: Workload },
    Steps { steps: usize, warmup: usize, workload: Workload, weights: PathBuf },
}

fn main() {
    if let Err(error) = serve() {
        eprintln!("error: {error}");
        std::process::exit(2);
    }
}

fn serve() -> Result<()> {
    let (device, name) = native::device(&std::env::args().nth(1).unwrap_or_else(|| "cpu".into()))?;
    println!("{}", json!({ "device": name }));
    // Set up by the first turn.
    let mut ops = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| unreadable(&"stdin", &error))?;
        let request = serde_json::from_str(&line)
            .map_err(|error| Error::InvalidRecipe { reason: format!("a line on stdin: {error}") })?;
        let answer = match request {
            Request::Ops { ops: workload } => {
                let ops = ops.get_or_insert_with(|| Ops::new(&workload, &device));
                json!(block_on(ops.turn())?)
            }
            Request::Steps { steps, warmup, workload, weights } => {
                let bytes =
                    std::fs::read(&weights).map_err(|error| unreadable(&weights.display(), &error))?;
                block_on(train(Steps::new(&workload, &bytes, &device)?, steps, warmup))?
            }
        };
        println!("{answer}");
    }
    Ok(())
}

async fn train(mut training: Steps, steps: usize, warmup: usize) -> Result<Value> {
    let (mut losses, mut step_ms) = (Vec::new(), Vec::new());
    for step in 0..warmup + steps {
        let started = Instant::now();
        losses.push(training.step().await?);
        if step >= warmup {
            step_ms.push(started.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok(json!({ "losses": losses, "step_ms": step_ms }))
}

fn unreadable(file: &dyn std::fmt::Display, error: &std::io::Error) -> Error {
    Error::Unreadable { file: file.to_string(), reason: error.to_string() }
}
