//! `cargo xtask interop`: an adapter trained in the browser, opened by PEFT on the same base.

use std::process::Command;

use clap::Args;

use super::Device;
use super::train::{remove_outputs, require_outputs};
use crate::browser::Job;
use crate::error::{Failure, Result};
use crate::recorder::Recorder;
use crate::{inputs, paths, process, progress, provision, site};
use serde_json::json;

#[derive(Args)]
pub struct Interop {
    /// Optimizer steps of the adapter
    #[arg(long, default_value_t = 8)]
    steps: u32,
}

impl Interop {
    pub fn run(self) -> Result<()> {
        let model = inputs::model("smollm2")?;
        let data = super::demo::sample()?;
        let python = provision::peers()?;
        site::build()?;

        let out = paths::root().join("out/interop");
        let mut recorder = Recorder::new(&out)?;
        remove_outputs(&out)?;
        let recipe = json!({
            "train": { "max_steps": self.steps, "batch_size": 2, "max_seq_length": 96, "learning_rate": 1e-3 },
            "eval": { "validation_fraction": 0.0 },
        });
        Job::new(Device::Cpu.name(), &model)
            .data(&data)
            .recipe(recipe)
            .outputs(&out)
            .train(None, None, None)
            .save_adapter()
            .run(|event| recorder.on_event(event))?;
        recorder.finish()?;
        require_outputs(&out, &["adapter/adapter_config.json", "adapter/adapter_model.safetensors"])?;

        let script = paths::root().join("tests/interop/check_peft.py");
        let mut check = Command::new(python);
        check.arg(&script).arg("--model").arg(&model.files[0].1).arg("--adapter").arg(out.join("adapter"));
        let finished = process::run_any("PEFT", &mut check)?;
        println!("{}", finished.output.trim_end());
        progress::say("adapter", paths::shown(&out.join("adapter")));
        if finished.success { Ok(()) } else { Err(Failure::failed("PEFT and the browser do not agree")) }
    }
}
