//! What was trained in the browser, opened by llama.cpp: as an adapter beside its base, and merged into it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::browser::Job;
use crate::commands::Device;
use crate::error::{Context, Failure, Result};
use crate::inputs::{self, Model};
use crate::{paths, process};

/// What a trained model is asked. The first is what the demo asks.
const PROMPTS: [&str; 4] = [
    "What is the capital of France?",
    "Write a short poem about the sea.",
    "How do I boil an egg?",
    "Tell me about yourself.",
];
const NEW_TOKENS: u32 = 40;

/// A form of one model as GGUF, and how far its logits may be from the tab's.
struct Form {
    format: &'static str,
    dtype: &'static str,
    tolerance: f64,
}

/// f32 is what the tab computes with. Quantised weights llama.cpp multiplies with activations of eight bits, which moves logits of
/// up to 30 by some tenths: whether the weights themselves are right, their bytes say.
const FORMS: [Form; 6] = [
    Form { format: "gguf-lora", dtype: "f16", tolerance: 1.0 },
    Form { format: "merged-gguf", dtype: "f32", tolerance: 1e-2 },
    Form { format: "merged-gguf", dtype: "f16", tolerance: 5e-2 },
    Form { format: "merged-gguf", dtype: "q8_0", tolerance: 1.0 },
    Form { format: "merged-gguf", dtype: "q4_0", tolerance: 10.0 },
    Form { format: "merged-gguf", dtype: "q4_k_m", tolerance: 10.0 },
];

/// An adapter that was trained.
pub struct Trained<'a> {
    pub name: &'a str,
    pub model: &'a Model,
    /// With `adapter/` and `logits.json` in it.
    pub out: &'a Path,
    pub first_prompt: &'a str,
}

/// Prints a row a form.
pub fn check(python: &Path, trained: &[Trained]) -> Result<()> {
    let mut rows = Vec::new();
    for trained in trained {
        rows.extend(trained.rows()?);
    }
    let file = paths::root().join("out/interop/rows.json");
    fs::write(&file, Value::from(rows).to_string()).context(file.display())?;
    let mut check = Command::new(python);
    check.arg(paths::root().join("tests/interop/check_llama_cpp.py")).arg(&file);
    let finished = process::run_any("llama.cpp", &mut check)?;
    let reports = finished.output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let reports: Vec<Value> = reports.filter(|report| report["row"].is_string()).collect();
    reports.iter().for_each(show);
    let all =
        reports.len() == serde_json::from_slice::<Vec<Value>>(&fs::read(&file)?).map_or(0, |rows| rows.len());
    match finished.success && all {
        true => Ok(()),
        false => Err(Failure::failed(format!(
            "llama.cpp and the browser do not agree; all that it said is in {}",
            finished.log.display()
        ))),
    }
}

impl Trained<'_> {
    /// Writes every form, asks the tab, and lists what llama.cpp is to compare.
    fn rows(&self) -> Result<Vec<Value>> {
        let prompts: Vec<&str> = [self.first_prompt].into_iter().chain(PROMPTS).collect();
        let adapter = inputs::adapter(self.out)?;
        let mut job = Job::new(Device::Cpu.name(), self.model).adapter(&adapter).outputs(self.out);
        for prompt in &prompts {
            let request = json!({
                "adapter": true, "max_new_tokens": NEW_TOKENS, "temperature": 0.0,
                "messages": [{ "role": "user", "content": prompt }],
            });
            job = job.generate(prompt, request);
        }
        for Form { format, dtype, .. } in FORMS {
            job = job.export(format, Some(dtype));
        }
        let (mut answers, mut written) = (Vec::new(), Vec::new());
        job.run(|event| {
            match event["event"].as_str() {
                Some("generated") => {
                    answers.push(json!({ "prompt": event["label"], "text": event["report"]["text"] }));
                }
                Some("exported") => {
                    let name = event["manifest"]["files"][0]["name"].as_str().unwrap_or_default();
                    written.push(self.out.join(name));
                }
                _ => {}
            }
            Ok(())
        })?;
        let plain = self.base_in_f32()?;
        let own = self.model.files.iter().find(|(name, _)| name.ends_with(".gguf")).map(|(_, path)| path);
        let logits = self.out.join("logits.json");
        let mut rows = Vec::new();
        let mut row = |what: &str, model: &Path, adapter: Option<&PathBuf>, tolerance: f64| {
            let (of, answers) = match adapter.is_none() && what.contains("without") {
                true => ("base_logits", &[][..]),
                false => ("logits", &answers[..]),
            };
            rows.push(json!({
                "name": format!("{} {what}", self.name), "model": model, "adapter": adapter, "logits": logits, "of": of,
                "answers": answers, "tolerance": tolerance,
            }));
        };
        for (Form { format, dtype, tolerance }, file) in FORMS.iter().zip(&written) {
            if *format == "gguf-lora" {
                row("gguf-lora f16, base in f32", &plain, Some(file), 1e-2);
                if let Some(own) = own {
                    row("gguf-lora f16, base as it came", own, Some(file), *tolerance);
                    row("base as it came, without adapter", own, None, *tolerance);
                }
            } else {
                row(&format!("{format} {dtype}"), file, None, *tolerance);
            }
        }
        for place in [3, 4, 5] {
            rows.push(json!({
                "name": format!("{} {} by ggml", self.name, FORMS[place].dtype),
                "quantised": written[place], "merged": written[1],
            }));
        }
        Ok(rows)
    }

    /// The base as GGUF with the numbers that the tab computes with.
    fn base_in_f32(&self) -> Result<PathBuf> {
        let mut name = String::new();
        Job::new(Device::Cpu.name(), self.model).outputs(self.out).export("merged-gguf", Some("f32")).run(
            |event| {
                if event["event"] == "exported" {
                    name = event["manifest"]["files"][0]["name"].as_str().unwrap_or_default().into();
                }
                Ok(())
            },
        )?;
        Ok(self.out.join(name))
    }
}

fn show(report: &Value) {
    let name = report["row"].as_str().unwrap_or_default();
    let verdict = if report["ok"] == true { "ok" } else { "DIFFERENT" };
    if !report["forms"].is_null() {
        println!(
            "{name:<42} {} {} tensors with other bytes  {verdict}",
            report["forms"],
            report["other_bytes"].as_array().map_or(0, Vec::len)
        );
        return;
    }
    println!(
        "{name:<42} logits {:.2e}  answers {} of {} the same, others leave at a gap of {}  {verdict}",
        report["logits"].as_f64().unwrap_or(f64::NAN),
        report["same_answers"],
        report["answers"],
        report["gaps"]
    );
}
