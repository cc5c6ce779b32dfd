//! A small model on WebGPU in software: what a step asks of the browser, and how long it takes there, natively, and in
//! jax-js, in turns.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::native::Native;
use super::{TURNS, median, numbers};
use crate::browser::{BenchPages, PeerPage};
use crate::error::{Context, Failure, Result};
use crate::provision;

/// How far apart two losses of the same step may be, if both sides train the same model.
const SAME_LOSS: f64 = 1e-3;

/// Steps before the first that is timed, a turn.
const WARMUP: u32 = 2;

const LAYERS: u64 = 4;

const PAGE: &str = "/bench.html";

/// The page that trains the model of `bench.html` in jax-js.
pub fn jax_js_page() -> Result<PeerPage> {
    Ok(PeerPage { page: "/peers/jax/index.html", package: provision::jax_js()?.join("dist") })
}

/// `webgpu`, `small_native` and, with its page, `jax_js`; an error if they have not trained the same model.
pub fn measure(
    pages: &mut BenchPages,
    native: &mut [Native],
    jax_js: Option<&PeerPage>,
    steps: u32,
    out: &Path,
) -> Result<Vec<(&'static str, Value)>> {
    let model = |layers: u64| -> Result<Value> {
        let file = out.join(format!("random-{layers}.safetensors"));
        // Made anew, in case what makes it has changed.
        if file.is_file() {
            fs::remove_file(&file).context(file.display())?;
        }
        Ok(json!({ "workload": workload(layers), "weights": file }))
    };
    let (whole, half) = (model(LAYERS)?, model(LAYERS / 2)?);
    let mut count = |page: &str, model: &Value| pages.ask(&json!({ "page": page, "count": model }));
    let (all, of_half) = (count(PAGE, &whole)?, count(PAGE, &half)?);
    let theirs = jax_js.map(|jax_js| count(jax_js.page, &whole)).transpose()?;

    let mut task = whole.clone();
    (task["steps"], task["warmup"]) = (steps.into(), WARMUP.into());
    let (mut ours, mut peers, mut natively) = (Vec::new(), Vec::new(), vec![Vec::new(); native.len()]);
    for _ in 0..TURNS {
        ours.push(pages.ask(&json!({ "page": PAGE, "train": task }))?);
        if let Some(jax_js) = jax_js {
            peers.push(pages.ask(&json!({ "page": jax_js.page, "train": task }))?);
        }
        for (native, turns) in native.iter_mut().zip(&mut natively) {
            turns.push(native.ask(&task)?);
        }
    }

    let dispatches = |counts: &Value| counts["dispatches"].as_f64().unwrap_or(f64::NAN);
    let losses = numbers(&ours[0]["losses"]);
    let webgpu = json!({
        "workload": workload(LAYERS), "adapter": all["adapter"], "browser": all["browser"],
        "step_ms": step_ms(&ours), "median_step_ms": median(&step_ms(&ours)), "losses": losses,
        "dispatches_per_step": all["dispatches"],
        // What each further layer adds.
        "dispatches_per_layer": (dispatches(&all) - dispatches(&of_half)) / (LAYERS / 2) as f64,
        "submits_per_step": all["submits"], "uploads_per_step": all["uploads"],
        "peak_buffer_bytes": ours[0]["peak_buffer_bytes"],
    });
    let mut sides = Vec::new();
    for (native, turns) in native.iter().zip(natively) {
        check_losses(&losses, &numbers(&turns[0]["losses"]), &format!("the native {}", native.kind))?;
        sides.push(json!({
            "device": native.kind, "name": native.name, "step_ms": step_ms(&turns), "median_step_ms": median(&step_ms(&turns)),
            "losses": turns[0]["losses"],
        }));
    }
    let mut results = vec![("small_native", Value::Array(sides))];
    if let Some((jax_js, counts)) = jax_js.zip(theirs) {
        let their_losses = numbers(&peers[0]["losses"]);
        check_losses(&losses, &their_losses, "jax-js")?;
        let (our_median, their_median) = (median(&step_ms(&ours)), median(&step_ms(&peers)));
        let report = json!({
            "version": version(jax_js)?,
            "step_ms": step_ms(&peers), "median_step_ms": their_median,
            "dispatches_per_step": counts["dispatches"], "submits_per_step": counts["submits"],
            "losses": their_losses,
            "our_step_ms": step_ms(&ours), "our_median_step_ms": our_median, "our_losses": losses,
            // How many of our steps one of theirs takes.
            "ratio": their_median.zip(our_median).map(|(theirs, ours)| theirs / ours),
        });
        results.push(("jax_js", report));
    }
    results.push(("webgpu", webgpu));
    Ok(results)
}

fn workload(layers: u64) -> Value {
    json!({
        "hidden": 192, "layers": layers, "heads": 3, "kv_heads": 1, "head_dim": 64, "ffn": 512, "vocab": 512,
        "rope_theta": 10000.0, "eps": 1e-5, "batch": 4, "seq": 128,
        "lora": { "r": 8, "alpha": 16.0 },
        "adamw": { "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0 },
    })
}

/// The times of all turns' steps.
fn step_ms(turns: &[Value]) -> Vec<f64> {
    turns.iter().flat_map(|turn| numbers(&turn["step_ms"])).collect()
}

fn check_losses(ours: &[f64], theirs: &[f64], who: &str) -> Result<()> {
    if ours.is_empty() || ours.len() != theirs.len() {
        return Err(Failure::failed(format!(
            "the browser reported {} losses and {who} {}, so their steps cannot be compared",
            ours.len(),
            theirs.len()
        )));
    }
    // A loss that is not a number is no agreement.
    let agrees = |(ours, theirs): (&f64, &f64)| (ours - theirs).abs() <= SAME_LOSS;
    match ours.iter().zip(theirs).position(|losses| !agrees(losses)) {
        None => Ok(()),
        Some(at) => Err(Failure::failed(format!(
            "{who} did not train the same model: at step {} its loss is {} and the browser's {}, more than {SAME_LOSS} apart",
            at + 1,
            theirs[at],
            ours[at]
        ))),
    }
}

/// The version that is installed, by its own word.
fn version(page: &PeerPage) -> Result<Value> {
    let file = page.package.join("../package.json");
    let text = fs::read_to_string(&file).context(file.display())?;
    let package: Value = serde_json::from_str(&text).context(file.display())?;
    Ok(package["version"].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_model_is_told_by_its_losses() {
        let check = |ours: &[f64], theirs: &[f64]| check_losses(ours, theirs, "jax-js");
        assert!(check(&[6.9, 6.4], &[6.9005, 6.4]).is_ok());
        let error = check(&[6.9, 6.4], &[6.9, 6.5]).unwrap_err().to_string();
        assert!(error.contains("jax-js") && error.contains("step 2") && error.contains("6.5"), "{error}");
        assert!(check(&[6.9], &[f64::NAN]).is_err());
        assert!(check(&[6.9, 6.4], &[6.9]).is_err());
        assert!(check(&[], &[]).is_err());
    }
}
