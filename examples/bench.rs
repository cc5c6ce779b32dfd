//! The native side of `cargo xtask bench`: says what device it has, then answers each line of JSON on stdin, in JSON too;
//! `{"failed": why}` where it cannot.
//!
//! ```text
//! cargo run --release --example bench -- [cpu|vulkan]
//! {"ops": <workload>}                                            times each operation once
//! {"steps": 5, "warmup": 2, "workload": …, "weights": <file>}    trains, as bench.html does
//! ```

use burn::tensor::Device;
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
    Ops { ops: Value },
    Steps { steps: usize, warmup: usize, workload: Workload, weights: PathBuf },
}

fn main() {
    let device = native::device(&std::env::args().nth(1).unwrap_or_else(|| "cpu".into()));
    let (device, name) = match device {
        Ok(device) => device,
        Err(error) => return println!("{}", failed(&error)),
    };
    println!("{}", json!({ "device": name }));
    // Those of the last workload, set up once.
    let mut ops = None;
    for line in std::io::stdin().lock().lines().map_while(std::io::Result::ok) {
        println!("{}", answer(&line, &device, &mut ops).unwrap_or_else(|error| failed(&error)));
    }
}

fn answer(line: &str, device: &Device, ops: &mut Option<(Value, Ops)>) -> Result<Value> {
    match serde_json::from_str(line).map_err(|error| invalid(&error))? {
        Request::Ops { ops: wanted } => {
            let known = ops.take().filter(|(workload, _)| *workload == wanted);
            let (workload, mut timed) = match known {
                Some(known) => known,
                None => {
                    let workload: Workload =
                        serde_json::from_value(wanted.clone()).map_err(|error| invalid(&error))?;
                    (wanted, Ops::new(&workload, device)?)
                }
            };
            let times = block_on(timed.turn())?;
            *ops = Some((workload, timed));
            Ok(json!(times))
        }
        Request::Steps { steps, warmup, workload, weights } => {
            let bytes = std::fs::read(&weights).map_err(|error| Error::Unreadable {
                file: weights.display().to_string(),
                reason: error.to_string(),
            })?;
            block_on(train(Steps::new(&workload, &bytes, device)?, steps, warmup))
        }
    }
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

fn failed(error: &Error) -> Value {
    json!({ "failed": error.to_string() })
}

fn invalid(error: &serde_json::Error) -> Error {
    Error::InvalidRecipe { reason: format!("a line on stdin: {error}") }
}
