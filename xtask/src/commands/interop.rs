//! `cargo xtask interop`: adapters trained in the browser, opened by PEFT on the same base and, as GGUF, by llama.cpp; with `--classify` a
//! classifier's adapter, and one whose last layer was trained, of a decoder and of an encoder, opened by transformers; with `--embed` an encoder's, opened
//! by sentence-transformers.

mod llama_cpp;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use super::Device;
use super::train::{remove_outputs, require_outputs};
use crate::browser::Job;
use crate::error::{Context, Failure, Result};
use crate::inputs::{self, Model};
use crate::recorder::Recorder;
use crate::{paths, process, provision, site};
use llama_cpp::Trained;
use serde_json::{Value, json};

#[derive(Args)]
pub struct Interop {
    /// Optimizer steps of the adapters [default: 30, with --classify or --embed 8]
    #[arg(long)]
    steps: Option<u32>,
    /// Train `tiny` and MiniLM to classify the sample of moods instead of SmolLM2 to talk
    #[arg(long)]
    classify: bool,
    /// Train MiniLM on the sample of harbour slang, compare embeddings with sentence-transformers'
    #[arg(long, conflicts_with = "classify")]
    embed: bool,
}

/// SmolLM2's.
const VOCABULARY: u32 = 49_152;

impl Interop {
    pub fn run(self) -> Result<()> {
        if self.classify {
            return self.classifiers();
        }
        if self.embed {
            return self.encoders();
        }
        let models = [inputs::model("smollm2")?, inputs::model("tiny")?];
        let (data, prompt) = super::demo::sample()?;
        let python = provision::peers()?;
        site::build()?;

        let root = paths::root().join("out/interop");
        let outs = ["smollm2", "tiny"].map(|name| root.join(name));
        for (model, out) in models.iter().zip(&outs) {
            self.train(model, &data, out)?;
        }
        let [smollm2, tiny] = &models;
        let script = paths::root().join("tests/interop/check_peft.py");
        for (base, out) in
            [(&smollm2.files[0].1, &outs[0]), (&paths::www().join("public/models/tiny"), &outs[1])]
        {
            let mut check = Command::new(&python);
            check.arg(&script).arg("--base").arg(base).arg("--adapter").arg(out.join("adapter"));
            check.arg("--logits").arg(out.join("logits.json"));
            println!("PEFT, {}", paths::shown(&out.join("adapter")));
            show(&mut check)?;
        }
        println!();
        let trained = |name, model, out| Trained { name, model, out, first_prompt: &prompt };
        llama_cpp::check(&python, &[trained("tiny", tiny, &outs[1]), trained("smollm2", smollm2, &outs[0])])
    }

    /// As `cargo xtask demo` trains, with logits of tokens from all over the vocabulary.
    fn train(&self, model: &Model, data: &(String, PathBuf), out: &Path) -> Result<()> {
        let vocabulary = if model.name.contains("SmolLM2") { VOCABULARY } else { 1024 };
        let mut recorder = Recorder::new(out)?;
        remove_outputs(out)?;
        let spread =
            |count: u32, stride: u32| (0..count).map(|i| (i * stride + 11) % vocabulary).collect::<Vec<_>>();
        let (input_ids, vocab_ids) = (spread(48, 7919), spread(1024, (vocabulary / 1024).max(1)));
        Job::new(Device::Cpu.name(), model)
            .data(data)
            .recipe(super::demo::recipe(self.steps.unwrap_or(30)))
            .outputs(out)
            .train(None, None, None)
            .save_adapter()
            .logits(&input_ids, &vocab_ids)
            .run(|event| recorder.on_event(event))?;
        recorder.finish()?;
        let files = ["adapter/adapter_config.json", "adapter/adapter_model.safetensors", "logits.json"];
        require_outputs(out, &files)
    }

    /// Scores of token ids and labels of texts, by both ways of training a head.
    fn classifiers(&self) -> Result<()> {
        let data = inputs::file(&paths::www().join("public/samples/tiny-moods.jsonl"), "data file")?;
        let python = provision::peers()?;
        let bases = [("tiny", paths::www().join("public/models/tiny")), ("minilm", provision::minilm()?)];
        site::build()?;
        let runs = bases.iter().flat_map(|base| ["lora", "last_layer"].map(|method| (base, method)));
        for ((name, base), method) in runs {
            let model = inputs::model(name)?;
            let out = paths::root().join("out/interop").join(format!("{name}-{method}"));
            let mut recorder = Recorder::new(&out)?;
            remove_outputs(&out)?;
            let recipe = json!({
                "objective": "classify", "method": method,
                "train": { "max_steps": self.steps.unwrap_or(8), "batch_size": 8, "max_seq_length": 96, "learning_rate": 5e-3 },
                "eval": { "validation_fraction": 0.0 },
            });
            let input_ids: Vec<u32> = (0..24).map(|i| (i * 37 + 11) % 1000).collect();
            let texts =
                ["Mia lost her red kite.", " Tom  laughed,\nand \u{201c}Pip\u{201d} ran away. Caf\u{e9}!"];
            let mut job = Job::new(Device::Cpu.name(), &model)
                .data(&data)
                .recipe(recipe)
                .outputs(&out)
                .train(None, None, None)
                .save_adapter()
                .logits(&input_ids, &[]);
            for text in texts {
                job = job.generate(text, json!({ "prompt": text, "adapter": true }));
            }
            let mut judged = Vec::new();
            job.run(|event| {
                if event["event"] == "generated" {
                    judged.push(json!({ "text": event["label"], "labels": event["report"]["labels"] }));
                }
                recorder.on_event(event)
            })?;
            recorder.finish()?;
            let labels = out.join("labels.json");
            fs::write(&labels, Value::from(judged).to_string()).context(labels.display())?;
            let mut check = Command::new(&python);
            check.arg(paths::root().join("tests/interop/check_score.py"));
            check.arg("--base").arg(base);
            check.arg("--trained").arg(out.join("adapter"));
            check.arg("--scores").arg(out.join("logits.json")).arg("--labels").arg(&labels);
            show(&mut check)?;
        }
        Ok(())
    }
}

impl Interop {
    /// The embedding of token ids, by every way of training an encoder.
    fn encoders(&self) -> Result<()> {
        let model = inputs::model("minilm")?;
        let folder = provision::minilm()?;
        let data = inputs::file(&paths::www().join("public/samples/harbour-slang.jsonl"), "data file")?;
        let python = provision::peers()?;
        site::build()?;
        for (method, rate) in [("lora", 1e-3), ("full", 1e-4), ("last_layer", 5e-4)] {
            let out = paths::root().join("out/interop").join(format!("embed-{method}"));
            let mut recorder = Recorder::new(&out)?;
            remove_outputs(&out)?;
            let recipe = json!({
                "objective": "contrastive", "method": method,
                "train": { "max_steps": self.steps.unwrap_or(8), "batch_size": 16, "max_seq_length": 64, "learning_rate": rate },
                "eval": { "validation_fraction": 0.0 },
            });
            // [CLS], words from all over the vocabulary, [SEP].
            let words = (0..30).map(|i| 2_000 + (i * 941) % 28_000);
            let input_ids: Vec<u32> = [101].into_iter().chain(words).chain([102]).collect();
            Job::new(Device::Cpu.name(), &model)
                .data(&data)
                .recipe(recipe)
                .outputs(&out)
                .train(None, None, None)
                .save_adapter()
                .logits(&input_ids, &[])
                .run(|event| recorder.on_event(event))?;
            recorder.finish()?;
            let mut check = Command::new(&python);
            check.arg(paths::root().join("tests/interop/check_embeddings.py"));
            check.arg("--base").arg(&folder).arg("--trained").arg(out.join("adapter"));
            check.arg("--embedding").arg(out.join("logits.json"));
            show(&mut check)?;
        }
        Ok(())
    }
}

/// Prints a script's figures; its exit code says whether they agree.
fn show(check: &mut Command) -> Result<()> {
    let finished = process::run_any("the comparison", check)?;
    let report = finished.output.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
    let Some(Value::Object(report)) = report else {
        return Err(Failure::failed(format!("the comparison printed no figures:\n{}", finished.output)));
    };
    for (name, value) in report {
        println!("{name:<20} {value}");
    }
    if finished.success { Ok(()) } else { Err(Failure::failed("the reference and the browser do not agree")) }
}
