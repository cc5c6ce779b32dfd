//! `cargo xtask convert`: an adapter, or a model with it merged in, in the format of another tool.

use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::StrengthArgument;
use crate::browser::{Job, number};
use crate::error::{Context, Failure, Result};
use crate::progress::megabytes;
use crate::{inputs, progress, site};

#[derive(Args)]
pub struct Convert {
    /// A .gguf file, a folder with config.json, tokenizer.json and *.safetensors, `smollm2` or `tiny`
    #[arg(long, value_name = "FILE|FOLDER|NAME")]
    model: String,
    /// A folder in PEFT's or mlx-lm's layout, or a GGUF adapter; left out, the model alone is written
    #[arg(long, value_name = "FOLDER|FILE")]
    adapter: Option<PathBuf>,
    #[command(flatten)]
    strength: StrengthArgument,
    /// What to write
    #[arg(long, value_enum)]
    to: Format,
    /// What weights are stored in [default: f32 for peft and mlx, f16 for gguf-lora and merged, q8_0 for merged-gguf]
    #[arg(long, value_enum)]
    dtype: Option<Dtype>,
    /// The folder for the files
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Format {
    /// PEFT's adapter folder
    Peft,
    /// The adapter as one GGUF file, for llama.cpp, Ollama and LM Studio
    GgufLora,
    /// The adapter as mlx-lm's folder
    Mlx,
    /// The model with the adapter merged in, as a Hugging Face folder
    Merged,
    /// The same as one GGUF file
    MergedGguf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Dtype {
    F32,
    F16,
    Bf16,
    #[value(name = "q8_0")]
    Q80,
    #[value(name = "q4_0")]
    Q40,
    #[value(name = "q4_k_m")]
    Q4KM,
}

impl Convert {
    pub fn run(self) -> Result<()> {
        progress::be_quiet();
        let format = name(self.to);
        if self.adapter.is_none() && !matches!(self.to, Format::Merged | Format::MergedGguf) {
            return Err(Failure::Input(format!("--to {format} writes an adapter: give it as --adapter")));
        }
        let adapter = self.adapter.as_deref().map(inputs::adapter).transpose()?.unwrap_or_default();
        let model = inputs::model(&self.model)?;
        fs::create_dir_all(&self.out).context(self.out.display())?;
        site::build()?;

        // As the files have them, so that large models have room.
        Job::new("cpu", &model)
            .adapter(&adapter)
            .recipe(json!({ "base_dtype": "stored" }))
            .outputs(&self.out)
            .export_at(&format, self.dtype.map(name).as_deref(), self.strength.strength)
            .run(|event| {
                if event["event"] == "exported" {
                    say(&event["manifest"]);
                }
                Ok(())
            })
    }
}

/// The files and their sizes on stdout, what to type on stderr.
fn say(manifest: &Value) {
    for file in manifest["files"].as_array().into_iter().flatten() {
        println!("{}\t{}", file["name"].as_str().unwrap_or_default(), megabytes(number(&file["bytes"])));
    }
    let usage = manifest["usage"].as_array().into_iter().flatten().filter_map(Value::as_str);
    usage.for_each(|line| eprintln!("  {line}"));
}

/// A value as it is typed.
fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().expect("no value is hidden").get_name().to_string()
}
