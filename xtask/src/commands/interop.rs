//! `cargo xtask interop`: an adapter trained in the browser, opened by PEFT on the same base.

use std::process::Command;

use clap::Args;

use super::Device;
use super::train::{remove_outputs, require_outputs};
use crate::browser::Job;
use crate::error::{Failure, Result};
use crate::recorder::Recorder;
use crate::{inputs, paths, process, progress, provision, site};
use serde_json::{Value, json};

#[derive(Args)]
pub struct Interop {
    /// Optimizer steps of the adapter
    #[arg(long, default_value_t = 8)]
    steps: u32,
}

/// SmolLM2's.
const VOCABULARY: u32 = 49_152;

impl Interop {
    pub fn run(self) -> Result<()> {
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
        let finished = process::run_any("PEFT", &mut check)?;
        let report = finished.output.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
        let Some(Value::Object(report)) = report else {
            return Err(Failure::failed(format!("check_peft.py printed no figures:\n{}", finished.output)));
        };
        for (name, value) in report {
            println!("{name:<20} {value}");
        }
        progress::say("adapter", paths::shown(&out.join("adapter")));
        if finished.success { Ok(()) } else { Err(Failure::failed("PEFT and the browser do not agree")) }
    }
}
