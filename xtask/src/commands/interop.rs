//! `cargo xtask interop`: what was trained in the browser, opened by the tools that people use elsewhere. Language models by PEFT,
//! llama.cpp, mlx-lm and transformers, their run gone on with by TRL; classifiers by transformers; encoders by
//! sentence-transformers.

mod folders;
mod llama_cpp;
mod trl;

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
use serde_json::{Value, json};

#[derive(Args)]
pub struct Interop {
    /// Optimizer steps of the adapters [default: 30, of classifiers and encoders 8]
    #[arg(long)]
    steps: Option<u32>,
    /// This language model only
    #[arg(long, value_name = "tiny|smollm2", value_parser = ["tiny", "smollm2"], conflicts_with_all = ["classify", "embed"])]
    model: Option<String>,
    /// Classifiers only: `tiny` and MiniLM on the sample of moods
    #[arg(long)]
    classify: bool,
    /// Encoders only: MiniLM on the sample of harbour slang
    #[arg(long, conflicts_with = "classify")]
    embed: bool,
}

/// SmolLM2's.
const VOCABULARY: u32 = 49_152;

/// An adapter that was trained.
struct Trained<'a> {
    name: &'a str,
    model: &'a Model,
    /// With `adapter/` and `logits.json` in it.
    out: &'a Path,
    first_prompt: &'a str,
}

impl Trained<'_> {
    /// Token ids from all over the vocabulary, and which logits of each are written.
    fn probe(&self) -> (Vec<u32>, Vec<u32>) {
        let vocabulary = if self.model.name.contains("SmolLM2") { VOCABULARY } else { 1024 };
        let spread =
            |count: u32, stride: u32| (0..count).map(|i| (i * stride + 11) % vocabulary).collect::<Vec<_>>();
        (spread(48, 7919), spread(1024, (vocabulary / 1024).max(1)))
    }
}

impl Interop {
    pub fn run(self) -> Result<()> {
        let python = provision::peers()?;
        site::build()?;
        // All is tried, whatever fails.
        let mut failed = Vec::new();
        let mut tried = |result: Result<()>| {
            if let Err(failure) = result {
                println!("{failure}");
                failed.push(failure);
            }
        };
        if !self.classify && !self.embed {
            self.language_models(&python, &mut tried)?;
        }
        if !self.embed && self.model.is_none() {
            self.classifiers(&python, &mut tried)?;
        }
        if !self.classify && self.model.is_none() {
            self.encoders(&python, &mut tried)?;
        }
        match failed.len() {
            0 => Ok(()),
            count => Err(Failure::failed(format!("{count} of the comparisons above do not agree"))),
        }
    }

    fn language_models(&self, python: &Path, tried: &mut dyn FnMut(Result<()>)) -> Result<()> {
        let models = [inputs::model("tiny")?, inputs::model("smollm2")?];
        let (data, prompt) = super::demo::sample()?;
        let script = paths::root().join("tests/interop/check_peft.py");
        for (model, name) in models.iter().zip(["tiny", "smollm2"]) {
            if self.model.as_ref().is_some_and(|chosen| chosen != name) {
                continue;
            }
            let out = paths::root().join("out/interop").join(name);
            let trained = Trained { name, model, out: &out, first_prompt: &prompt };
            self.train(&trained, &data)?;
            let folder = (name == "tiny").then(|| paths::www().join("public/models/tiny"));
            println!("{name}, PEFT");
            let mut check = Command::new(python);
            check.arg(&script).arg("--base").arg(folder.as_ref().unwrap_or(&model.files[0].1));
            check.arg("--adapter").arg(out.join("adapter")).arg("--logits").arg(out.join("logits.json"));
            tried(show(&mut check));
            tried(folders::check_round_trips(&trained));
            tried(llama_cpp::check(python, &trained));
            tried(folders::check(python, &trained, folder.as_deref()));
            if let Some(folder) = &folder {
                tried(trl::check(python, &trained, &data.1, folder));
            }
        }
        Ok(())
    }

    /// As `cargo xtask demo` trains, with logits of tokens from all over the vocabulary.
    fn train(&self, trained: &Trained, data: &(String, PathBuf)) -> Result<()> {
        let out = trained.out;
        let mut recorder = Recorder::new(out)?;
        remove_outputs(out)?;
        let (input_ids, vocab_ids) = trained.probe();
        Job::new(Device::Cpu.name(), trained.model)
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
    fn classifiers(&self, python: &Path, tried: &mut dyn FnMut(Result<()>)) -> Result<()> {
        let data = inputs::file(&paths::www().join("public/samples/tiny-moods.jsonl"), "data file")?;
        let bases = [("tiny", paths::www().join("public/models/tiny")), ("minilm", provision::minilm()?)];
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
            println!("{name}, transformers, a classifier by {method}");
            let mut check = Command::new(python);
            check.arg(paths::root().join("tests/interop/check_score.py"));
            check.arg("--base").arg(base);
            check.arg("--trained").arg(out.join("adapter"));
            check.arg("--scores").arg(out.join("logits.json")).arg("--labels").arg(&labels);
            tried(show(&mut check));
        }
        Ok(())
    }

    /// The embedding of token ids, by every way of training an encoder.
    fn encoders(&self, python: &Path, tried: &mut dyn FnMut(Result<()>)) -> Result<()> {
        let model = inputs::model("minilm")?;
        let folder = provision::minilm()?;
        let data = inputs::file(&paths::www().join("public/samples/harbour-slang.jsonl"), "data file")?;
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
            println!("minilm, sentence-transformers, an encoder by {method}");
            let mut check = Command::new(python);
            check.arg(paths::root().join("tests/interop/check_embeddings.py"));
            check.arg("--base").arg(&folder).arg("--trained").arg(out.join("adapter"));
            check.arg("--embedding").arg(out.join("logits.json"));
            tried(show(&mut check));
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
