//! What was trained in the browser, opened by llama.cpp: as an adapter beside its base, and merged into it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use super::Trained;
use crate::browser::Job;
use crate::commands::Device;
use crate::error::{Context, Failure, Result};
use crate::inputs;
use crate::{paths, process};

/// What a trained model is asked. The first is what the demo asks.
const PROMPTS: [&str; 4] = [
    "What is the capital of France?",
    "Write a short poem about the sea.",
    "How do I boil an egg?",
    "Tell me about yourself.",
];
const NEW_TOKENS: u32 = 40;

/// How far logits of up to 30 may be apart where both sides compute with the same numbers: sums of hundreds of products are
/// added in another order.
const SAME: f64 = 1e-2;
/// The same where f16 rounds the weights on one side.
const ROUNDED_WEIGHTS: f64 = 5e-2;

/// The forms that llama.cpp multiplies with activations of eight bits.
const IN_BLOCKS: [&str; 3] = ["q8_0", "q4_0", "q4_k_m"];

/// Which of them is asked for answers, too; of the others logits say enough.
const ANSWERED: &str = "q8_0";

/// What is compared of one model.
struct Comparison<'a> {
    trained: &'a Trained<'a>,
    sides: Map<String, Value>,
    rows: Vec<Value>,
}

/// Prints a row for each comparison.
pub fn check(python: &Path, trained: &Trained) -> Result<()> {
    let mut comparison = Comparison { trained, sides: Map::new(), rows: Vec::new() };
    comparison.fill()?;
    let case = json!({
        "probe": trained.out.join("logits.json"), "prompts": trained.prompts(),
        "sides": comparison.sides, "rows": comparison.rows,
    });
    let file = trained.out.join("rows.json");
    fs::write(&file, case.to_string()).context(file.display())?;
    let mut check = Command::new(python);
    check.arg(paths::root().join("tests/interop/check_llama_cpp.py")).arg(&file);
    let finished = process::run_any("llama.cpp", &mut check)?;
    let reports = finished.output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let reports: Vec<Value> = reports.filter(|report| report["row"].is_string()).collect();
    reports.iter().for_each(show);
    match finished.success && reports.len() == comparison.rows.len() {
        true => Ok(()),
        false => Err(Failure::failed(format!(
            "llama.cpp and the browser do not agree; all that it said is in {}",
            finished.log.display()
        ))),
    }
}

impl Trained<'_> {
    fn prompts(&self) -> Vec<&str> {
        [self.first_prompt].into_iter().chain(PROMPTS).collect()
    }
}

impl Comparison<'_> {
    fn fill(&mut self) -> Result<()> {
        let trained = self.trained;
        let out = trained.out;
        // The tab with the adapter, and every form of what it has learned.
        let adapter = inputs::adapter(out)?;
        let mut job = Job::new(Device::Cpu.name(), trained.model).adapter(&adapter).outputs(out);
        job = asked(job, &trained.prompts(), true).export("gguf-lora", Some("f16"));
        for dtype in ["f32", "f16"].into_iter().chain(IN_BLOCKS) {
            job = job.export("merged-gguf", Some(dtype));
        }
        let (answers, written) = ran(job, out)?;
        let [lora, f32, f16, in_blocks @ ..] = &written[..] else {
            return Err(Failure::failed("the browser did not write every form"));
        };
        self.side("tab", json!({ "logits": out.join("logits.json"), "of": "logits", "answers": answers }));
        self.side(
            "tab, base",
            json!({ "logits": out.join("logits.json"), "of": "base_logits", "answers": [] }),
        );

        // The adapter beside its base.
        let base = self.in_f32(trained.model, "base")?;
        self.llama("base in f32", &base, None);
        self.llama("adapter on the base in f32", &base, Some(lora));
        self.row("base in f32", "base in f32", "tab, base", SAME, None);
        self.row("adapter, base in f32", "adapter on the base in f32", "tab", SAME, None);
        if let Some((_, own)) = trained.model.files.iter().find(|(name, _)| name.ends_with(".gguf")) {
            self.expanded("base", own, &base);
            self.llama("base as it came", own, None);
            self.llama("adapter on the base as it came", own, Some(lora));
            self.row("base as it came", "base as it came", "tab, base", SAME, Some("base in f32"));
            let arithmetic = Some("adapter on the base in f32");
            self.row("adapter, base as it came", "adapter on the base as it came", "tab", SAME, arithmetic);
        }

        // Merged.
        for (dtype, file, tolerance) in [("f32", f32, SAME), ("f16", f16, ROUNDED_WEIGHTS)] {
            self.llama(dtype, file, None);
            self.row(&format!("merged {dtype}"), dtype, "tab", tolerance, None);
        }
        for (dtype, file) in IN_BLOCKS.into_iter().zip(in_blocks) {
            self.quantised(dtype, file, f32)?;
        }
        Ok(())
    }

    /// A merged model in blocks: its bytes beside ggml's; then the tab with the file open beside llama.cpp with the same numbers in
    /// f32, and beside llama.cpp with the file.
    fn quantised(&mut self, dtype: &str, file: &Path, merged: &Path) -> Result<()> {
        let name = format!("{} merged {dtype}, bytes", self.trained.name);
        self.rows.push(json!({ "name": name, "quantised": file, "merged": merged }));
        let model = inputs::Model {
            name: self.trained.model.name.clone(),
            files: vec![(format!("{dtype}.gguf"), file.to_path_buf())],
        };
        let in_f32 = self.in_f32(&model, dtype)?;
        self.expanded(&format!("merged {dtype}"), file, &in_f32);
        let out = self.trained.out.join(dtype);
        let (input_ids, vocab_ids) = self.trained.probe();
        let job = Job::new(Device::Cpu.name(), &model).outputs(&out).base_logits(&input_ids, &vocab_ids);
        let job = if dtype == ANSWERED { asked(job, &self.trained.prompts(), false) } else { job };
        let (answers, _) = ran(job, &out)?;
        let (tab, plain) = (format!("{dtype} in the tab"), format!("{dtype} in f32"));
        self.side(
            &tab,
            json!({ "logits": out.join("logits.json"), "of": "base_logits", "answers": answers }),
        );
        self.llama(dtype, file, None);
        self.llama(&plain, &in_f32, None);
        self.row(&format!("merged {dtype}, in f32"), &plain, &tab, SAME, None);
        self.row(&format!("merged {dtype}"), dtype, &tab, SAME, Some(&plain));
        Ok(())
    }

    fn side(&mut self, name: &str, side: Value) {
        self.sides.insert(name.into(), side);
    }

    fn llama(&mut self, name: &str, model: &Path, adapter: Option<&Path>) {
        let answers = adapter.is_some() || ["f32", "f16"].contains(&name) || name.starts_with(ANSWERED);
        self.side(name, json!({ "model": model, "adapter": adapter, "answers": answers }));
    }

    /// Whether the tab reads a file's blocks as llama.cpp does.
    fn expanded(&mut self, what: &str, file: &Path, in_f32: &Path) {
        let name = format!("{} {what}, blocks", self.trained.name);
        self.rows.push(json!({ "name": name, "quantised": file, "in_f32": in_f32 }));
    }

    fn row(&mut self, name: &str, left: &str, right: &str, tolerance: f64, arithmetic: Option<&str>) {
        self.rows.push(json!({
            "name": format!("{} {name}", self.trained.name), "left": left, "right": right, "tolerance": tolerance,
            "arithmetic": arithmetic,
        }));
    }

    /// A model as GGUF with the numbers that the tab computes with.
    fn in_f32(&self, model: &inputs::Model, folder: &str) -> Result<PathBuf> {
        let out = self.trained.out.join(folder);
        fs::create_dir_all(&out).context(out.display())?;
        let job = Job::new(Device::Cpu.name(), model).outputs(&out);
        let (_, mut written) = ran(job.export("merged-gguf", Some("f32")), &out)?;
        Ok(written.remove(0))
    }
}

fn asked(mut job: Job, prompts: &[&str], adapter: bool) -> Job {
    for prompt in prompts {
        let request = json!({
            "adapter": adapter, "max_new_tokens": NEW_TOKENS, "temperature": 0.0,
            "messages": [{ "role": "user", "content": prompt }],
        });
        job = job.generate(prompt, request);
    }
    job
}

/// The answers, and the first file of each export.
fn ran(job: Job, out: &Path) -> Result<(Vec<Value>, Vec<PathBuf>)> {
    let (mut answers, mut written) = (Vec::new(), Vec::new());
    job.run(|event| {
        match event["event"].as_str() {
            Some("generated") => answers.push(event["report"]["text"].clone()),
            Some("exported") => {
                let name = event["manifest"]["files"][0]["name"].as_str().unwrap_or_default();
                written.push(out.join(name));
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok((answers, written))
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
    if let Some(difference) = report["expanded"].as_f64() {
        println!("{name:<42} weights {difference:.1e}  {verdict}");
        return;
    }
    let rounding =
        report["rounding"].as_f64().map(|rounding| format!(" (llama.cpp's rounding {rounding:.1e})"));
    let answers = match report["answers"].as_u64() {
        Some(0) | None => String::new(),
        Some(answers) => {
            let gaps = report["gaps"].as_array().filter(|gaps| !gaps.is_empty());
            let gaps = gaps.map_or_else(String::new, |gaps| format!(", others leave at {gaps:?}"));
            format!("  answers {} of {answers} the same{gaps}", report["same_answers"])
        }
    };
    println!(
        "{name:<42} logits {:.1e}{}{answers}  {verdict}",
        report["logits"].as_f64().unwrap_or(f64::NAN),
        rounding.unwrap_or_default()
    );
}
