//! A step of SmolLM2-135M: in the browser, natively, and in PyTorch with PEFT, in turns.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::native::Native;
use super::{TOKENS, median, numbers};
use crate::browser::{Job, number};
use crate::error::{Context, Failure, Result};
use crate::inputs::Model;
use crate::recorder::Recorder;
use crate::{native, paths, process};

/// What each side does in its turn.
pub struct Turn<'a> {
    pub model: &'a Model,
    pub data: &'a (String, PathBuf),
    /// Steps that are timed, after one that is not.
    pub steps: u32,
    pub out: PathBuf,
}

impl Turn<'_> {
    /// In the page's worker.
    pub fn in_browser(&self, device: &str) -> Result<Value> {
        let mut recorder = Recorder::new(&self.out)?;
        Job::new(device, self.model)
            .data(self.data)
            .recipe(self.recipe())
            .outputs(&self.out)
            .train(None, None, None)
            .run(|event| recorder.on_event(event))?;
        let (tokens, first, rest) = whole_steps(&recorder.steps, self.steps)?;
        let run = recorder.finish()?;
        Ok(json!({
            "model": self.model.name, "device": run["device"], "tokens": tokens, "first_step_seconds": first,
            "step_seconds": rest,
            "page_to_model_seconds": run["seconds"]["model"], "page_to_first_step_seconds": run["seconds"]["first_step"],
            "memory": run["memory"], "browser": run["versions"]["browser"],
        }))
    }

    /// By the native command.
    pub fn natively(&self, native: &Native) -> Result<Value> {
        let device = native.kind;
        let out = self.out.join(device);
        fs::create_dir_all(&out).context(out.display())?;
        let recipe = out.join("recipe.json");
        let mut settings = self.recipe();
        // A GPU launches several steps before their time is read, but not beyond one that is evaluated.
        settings["eval"] = json!({ "validation_fraction": 0.0, "eval_steps": 1, "probe": false });
        fs::write(&recipe, settings.to_string()).context(recipe.display())?;
        let mut command = Command::new(native::example("finetune"));
        let model = &self.model.files[0].1;
        let model =
            if self.model.files.len() == 1 { model } else { model.parent().expect("a file in a folder") };
        command.arg("--model").arg(model).arg("--data").arg(&self.data.1);
        command.arg("--recipe").arg(&recipe).args(["--device", device]).arg("--out").arg(&out);
        process::run(&format!("steps natively on {device}"), &mut command)?;
        let metrics = out.join("metrics.jsonl");
        let text = fs::read_to_string(&metrics).context(metrics.display())?;
        let steps: Vec<Value> =
            text.lines().map(serde_json::from_str).collect::<Result<_, _>>().context(metrics.display())?;
        let (tokens, first, rest) = whole_steps(&steps, self.steps)?;
        Ok(
            json!({ "device": device, "name": native.name, "tokens": tokens, "first_step_seconds": first, "step_seconds": rest }),
        )
    }

    /// In PyTorch with PEFT, natively on one thread.
    pub fn in_peft(&self, python: &Path) -> Result<Value> {
        let mut peer = Command::new(python);
        peer.arg(paths::root().join("tests/interop/peft_step.py")).arg("--base").arg(&self.model.files[0].1);
        let steps = (self.steps + 1).to_string();
        peer.args(["--sequence", &TOKENS.to_string(), "--steps", &steps, "--threads", "1"]);
        let finished = process::run("PyTorch + PEFT", &mut peer)?;
        let json = finished.output.lines().rev().find(|line| line.starts_with('{'));
        let json = json.ok_or_else(|| Failure::failed("peft_step.py printed no JSON object"))?;
        let mut report: Value = serde_json::from_str(json).context("the JSON of peft_step.py")?;
        let seconds: Vec<f64> = numbers(&report["step_ms"]).iter().skip(1).map(|ms| ms / 1000.0).collect();
        report["step_seconds"] = json!(seconds);
        Ok(report)
    }

    fn recipe(&self) -> Value {
        json!({
            "objective": "text",
            "lora": { "rank": 16, "alpha": 32 },
            "train": {
                // The first, and one that may fall on the remainder of the text, a shorter row.
                "max_steps": self.steps + 2, "epochs": 1, "batch_size": 1, "gradient_accumulation_steps": 1,
                "max_seq_length": TOKENS, "packing": false
            },
            "eval": { "validation_fraction": 0.0 },
            "base_dtype": "f32",
        })
    }
}

/// The first turn's report, with the timed steps of all turns and their median.
pub fn together(turns: Vec<Value>) -> Result<Value> {
    let of_all = |key: &str| -> Vec<f64> { turns.iter().flat_map(|turn| numbers(&turn[key])).collect() };
    let seconds = of_all("step_seconds");
    let (step_ms, losses) = (of_all("step_ms"), of_all("losses"));
    let first = turns.into_iter().next();
    let mut report = first.ok_or_else(|| Failure::failed("no turn of steps was taken"))?;
    for (key, values) in [("step_ms", step_ms), ("losses", losses)] {
        if !values.is_empty() {
            report[key] = json!(values);
        }
    }
    report["median_step_seconds"] = json!(median(&seconds));
    report["step_seconds"] = json!(seconds);
    Ok(report)
}

/// Tokens of a step, the seconds of the first, and those of so many others; shorter ones are left out.
fn whole_steps(steps: &[Value], timed: u32) -> Result<(u64, f64, Vec<f64>)> {
    let tokens = steps.iter().map(|step| number(&step["tokens"])).max().unwrap_or(0);
    let whole = steps.iter().filter(|step| number(&step["tokens"]) == tokens);
    let mut seconds = whole.filter_map(|step| step["seconds"].as_f64());
    let first = seconds.next().ok_or_else(|| Failure::failed("no step was reported"))?;
    Ok((tokens, first, seconds.take(timed as usize).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_one_series_of_steps() {
        let turn =
            |seconds: [f64; 2]| json!({ "tokens": 256, "step_seconds": seconds, "losses": [seconds[0]] });
        let all = together(vec![turn([2.0, 9.0]), turn([3.0, 1.0])]).unwrap();
        assert_eq!(numbers(&all["step_seconds"]), [2.0, 9.0, 3.0, 1.0]);
        assert_eq!((&all["median_step_seconds"], &all["tokens"]), (&json!(3.0), &json!(256)));
        assert_eq!((numbers(&all["losses"]), &all["step_ms"]), (vec![2.0, 3.0], &Value::Null));
        assert!(together(Vec::new()).is_err());
    }

    #[test]
    fn the_first_and_the_shorter_steps_are_told_apart() {
        let step = |tokens: u64, seconds: f64| json!({ "tokens": tokens, "seconds": seconds });
        let steps = [step(256, 5.0), step(256, 2.0), step(40, 1.0), step(256, 3.0), step(256, 4.0)];
        assert_eq!(whole_steps(&steps, 2).unwrap(), (256, 5.0, vec![2.0, 3.0]));
        assert!(whole_steps(&[], 2).is_err());
    }
}
