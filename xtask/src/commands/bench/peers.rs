//! The same step elsewhere: PyTorch with PEFT natively, jax-js in the same browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{TOKENS, median};
use crate::browser::PeerPage;
use crate::error::{Context, Failure, Result};
use crate::inputs::Model;
use crate::{paths, process, provision};

/// How far apart two losses of the same step may be, if both sides train the same model.
const SAME_LOSS: f64 = 1e-3;

/// A step of PyTorch with PEFT, natively on one thread.
pub fn peft(python: &Path, model: &Model, steps: u32) -> Result<Value> {
    let mut peer = Command::new(python);
    peer.arg(paths::root().join("tests/interop/peft_step.py")).arg("--base").arg(&model.files[0].1);
    peer.args(["--sequence", &TOKENS.to_string(), "--steps", &(steps + 1).to_string(), "--threads", "1"]);
    let finished = process::run("PyTorch + PEFT", &mut peer)?;
    let json = finished.output.lines().rev().find(|line| line.starts_with('{'));
    let json = json.ok_or_else(|| Failure::failed("peft_step.py printed no JSON object"))?;
    let mut report: Value = serde_json::from_str(json).context("the JSON of peft_step.py")?;
    let times = report["step_ms"].as_array().cloned().unwrap_or_default();
    // Its first step warms up too.
    let seconds: Vec<f64> = times.iter().skip(1).filter_map(Value::as_f64).map(|ms| ms / 1000.0).collect();
    report["median_step_seconds"] = json!(median(&seconds));
    Ok(report)
}

/// The page that trains the model of `bench.html` in jax-js.
pub fn jax_js_page() -> Result<PeerPage> {
    Ok(PeerPage { page: "/peers/jax/index.html", package: provision::jax_js()?.join("dist") })
}

/// What the turns of both sides say; an error if they have not trained the same model.
pub fn jax_js(turns: &Value, page: &PeerPage) -> Result<Value> {
    let (ours, theirs) = (&turns["ours"], &turns["theirs"]);
    check_losses(&numbers(&ours["losses"]), &numbers(&theirs["losses"]))?;
    let median_of = |side: &Value| median(&numbers(&side["step_ms"]));
    let (our_median, their_median) = (median_of(ours), median_of(theirs));
    Ok(json!({
        "version": version(page)?,
        "step_ms": theirs["step_ms"], "median_step_ms": their_median,
        "dispatches_per_step": theirs["dispatches_per_step"], "submits_per_step": theirs["submits_per_step"],
        "losses": theirs["losses"],
        "our_step_ms": ours["step_ms"], "our_median_step_ms": our_median, "our_losses": ours["losses"],
        // How many of our steps one of theirs takes.
        "ratio": their_median.zip(our_median).map(|(theirs, ours)| theirs / ours),
    }))
}

fn check_losses(ours: &[f64], theirs: &[f64]) -> Result<()> {
    if ours.is_empty() || ours.len() != theirs.len() {
        return Err(Failure::failed(format!(
            "Loralet reported {} losses and jax-js {}, so their steps cannot be compared",
            ours.len(),
            theirs.len()
        )));
    }
    // A loss that is not a number is no agreement.
    let agrees = |(ours, theirs): (&f64, &f64)| (ours - theirs).abs() <= SAME_LOSS;
    match ours.iter().zip(theirs).position(|losses| !agrees(losses)) {
        None => Ok(()),
        Some(at) => Err(Failure::failed(format!(
            "jax-js did not train the same model: at step {} its loss is {} and ours {}, more than {SAME_LOSS} apart",
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

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_model_is_told_by_its_losses() {
        assert!(check_losses(&[6.9, 6.4], &[6.9005, 6.4]).is_ok());
        let error = check_losses(&[6.9, 6.4], &[6.9, 6.5]).unwrap_err().to_string();
        assert!(error.contains("step 2") && error.contains("6.5"), "{error}");
        assert!(check_losses(&[6.9], &[f64::NAN]).is_err());
        assert!(check_losses(&[6.9, 6.4], &[6.9]).is_err());
        assert!(check_losses(&[], &[]).is_err());
    }
}
