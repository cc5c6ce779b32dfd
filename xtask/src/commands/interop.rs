//! `cargo xtask interop`: an adapter trained in the browser, opened by PEFT on the same base; with `--classify` a
//! classifier's adapter, and one whose last layer was trained, of a decoder and of an encoder, opened by transformers; with `--embed` an encoder's, opened
//! by sentence-transformers.

use std::fs;
use std::process::Command;

use clap::Args;

use super::Device;
use super::train::{remove_outputs, require_outputs};
use crate::browser::Job;
use crate::error::{Context, Failure, Result};
use crate::recorder::Recorder;
use crate::{inputs, paths, process, progress, provision, site};
use serde_json::{Value, json};

#[derive(Args)]
pub struct Interop {
    /// Optimizer steps of the adapter
    #[arg(long, default_value_t = 8)]
    steps: u32,
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
        let model = inputs::model("smollm2")?;
        let (data, _) = super::demo::sample()?;
        let python = provision::peers()?;
        site::build()?;

        let out = paths::root().join("out/interop");
        let mut recorder = Recorder::new(&out)?;
        remove_outputs(&out)?;
        let recipe = json!({
            "train": { "max_steps": self.steps, "batch_size": 2, "max_seq_length": 96, "learning_rate": 1e-3 },
            "eval": { "validation_fraction": 0.0 },
        });
        // Ids from all over the vocabulary, as inputs and as outputs.
        let spread =
            |count: u32, stride: u32| (0..count).map(|i| (i * stride + 11) % VOCABULARY).collect::<Vec<_>>();
        let (input_ids, vocab_ids) = (spread(48, 7919), spread(1024, 48));
        Job::new(Device::Cpu.name(), &model)
            .data(&data)
            .recipe(recipe)
            .outputs(&out)
            .train(None, None, None)
            .save_adapter()
            .logits(&input_ids, &vocab_ids)
            .run(|event| recorder.on_event(event))?;
        recorder.finish()?;
        require_outputs(
            &out,
            &["adapter/adapter_config.json", "adapter/adapter_model.safetensors", "logits.json"],
        )?;

        let script = paths::root().join("tests/interop/check_peft.py");
        let mut check = Command::new(python);
        check.arg(&script).arg("--base").arg(&model.files[0].1).arg("--adapter").arg(out.join("adapter"));
        check.arg("--logits").arg(out.join("logits.json"));
        show(&mut check)?;
        progress::say("adapter", paths::shown(&out.join("adapter")));
        Ok(())
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
                "train": { "max_steps": self.steps, "batch_size": 8, "max_seq_length": 96, "learning_rate": 5e-3 },
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
                "train": { "max_steps": self.steps, "batch_size": 16, "max_seq_length": 64, "learning_rate": rate },
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
