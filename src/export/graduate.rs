//! A package with which a run goes on outside of the browser, on one GPU or many: a Python project on TRL and Accelerate
//! (<https://huggingface.co/docs/trl/sft_trainer>). The rows are in it as the tab encoded them, so that TRL learns the same tokens
//! and no others.

use super::OutputFile;
use super::card::is_repository;
use crate::data::Example;
use crate::error::{Error, Result};
use crate::recipe::{Method, Objective, Recipe, SchedulerType};
use serde_json::{Value, json};

/// What the package is made of.
pub struct Run<'a> {
    pub recipe: &'a Recipe,
    /// The base's, as PEFT has it.
    pub base: &'a str,
    /// Whether the base's weights were quantised where it was trained.
    pub from_gguf: bool,
    /// The adapter's, with its tokenizer.
    pub adapter: Vec<OutputFile>,
    pub train: &'a [Example],
    pub validation: &'a [Example],
}

/// The package's files.
///
/// # Errors
/// A run that TRL's trainer of this package cannot go on with.
pub fn files(run: Run) -> Result<Vec<OutputFile>> {
    check(run.recipe)?;
    let text = |name: &str, text: String| OutputFile { name: name.into(), bytes: text.into_bytes() };
    let mut files = vec![
        text("README.md", readme(&run)),
        text("config.yaml", config(&run)),
        text("train.py", include_str!("graduate/train.py").into()),
        text("pyproject.toml", include_str!("graduate/pyproject.toml").into()),
        text("multi_gpu.yaml", include_str!("graduate/multi_gpu.yaml").into()),
        text("fsdp.yaml", include_str!("graduate/fsdp.yaml").into()),
        text("data/train.jsonl", rows(run.train)),
    ];
    if !run.validation.is_empty() {
        files.push(text("data/validation.jsonl", rows(run.validation)));
    }
    let adapter = run.adapter.into_iter();
    files.extend(
        adapter.map(|OutputFile { name, bytes }| OutputFile { name: format!("adapter/{name}"), bytes }),
    );
    Ok(files)
}

fn check(recipe: &Recipe) -> Result<()> {
    let unsupported = |what: String, supported: &str| {
        Err(Error::Unsupported { file: "package for TRL".into(), what, supported: supported.into() })
    };
    if !matches!(recipe.objective, Objective::Text | Objective::Sft) {
        return unsupported(
            format!("the objective \"{}\"", recipe.objective.name()),
            "it goes on with \"sft\" and \"text\"; take the PEFT adapter and TRL's trainer of that objective",
        );
    }
    match recipe.method {
        Method::Lora => Ok(()),
        Method::Full | Method::LastLayer => unsupported(
            "a model that was trained whole or in its last layer".into(),
            "it goes on with an adapter (method \"lora\"); write the tuned model and train that as any other",
        ),
    }
}

/// A row a line: `input_ids`, and `labels` that are -100 where a token is no target.
fn rows(examples: &[Example]) -> String {
    let row = |example: &Example| {
        let label = |(id, is_target): (&u32, &bool)| if *is_target { i64::from(*id) } else { -100 };
        let labels: Vec<i64> = example.input_ids.iter().zip(&example.loss_mask).map(label).collect();
        format!("{}\n", json!({ "input_ids": example.input_ids, "labels": labels }))
    };
    examples.iter().map(row).collect()
}

/// Numbers are written without an exponent, which YAML would take for text.
fn config(run: &Run) -> String {
    let train = &run.recipe.train;
    let scheduler = match train.lr_scheduler_type {
        SchedulerType::Linear => "linear",
        SchedulerType::Cosine => "cosine",
        SchedulerType::Constant => "constant",
        SchedulerType::ConstantWithWarmup => "constant_with_warmup",
    };
    let evaluated = if run.validation.is_empty() { "\"no\"" } else { "epoch" };
    let max_steps = train.max_steps.map_or("-1".into(), |steps| steps.to_string());
    let settings = [
        // JSON's texts are YAML's.
        ("model_name_or_path", Value::from(run.base).to_string()),
        ("dataset_name", "data".into()),
        ("output_dir", "trained".into()),
        ("learning_rate", train.learning_rate.to_string()),
        ("lr_scheduler_type", scheduler.into()),
        ("warmup_steps", train.warmup_ratio.to_string()),
        ("num_train_epochs", train.epochs.to_string()),
        ("max_steps", max_steps),
        ("per_device_train_batch_size", train.batch_size.to_string()),
        ("per_device_eval_batch_size", train.batch_size.to_string()),
        ("gradient_accumulation_steps", train.gradient_accumulation_steps.to_string()),
        ("max_length", train.max_seq_length.to_string()),
        ("optim", "adamw_torch".into()),
        ("weight_decay", train.weight_decay.to_string()),
        ("max_grad_norm", train.max_grad_norm.to_string()),
        ("seed", train.seed.to_string()),
        ("bf16", "true".into()),
        ("eval_strategy", evaluated.into()),
        ("save_strategy", "epoch".into()),
        ("logging_steps", "1".into()),
        ("report_to", "none".into()),
    ];
    let lines = settings.map(|(key, value)| format!("{key}: {value}\n")).concat();
    format!("# The run's recipe in TRL's words; `python train.py --help` lists every setting.\n{lines}")
}

fn readme(run: &Run) -> String {
    let Recipe { train, lora, data, .. } = run.recipe;
    let base_note = match (is_repository(run.base), run.from_gguf) {
        (false, _) => " No repository of the Hub has that name: give the model's folder there.",
        (true, true) => {
            " The tab trained beside the weights of a GGUF file, which are nearly those on the Hub, so that the first loss may differ a \
             little."
        }
        (true, false) => "",
    };
    let left_out = [
        (
            train.packing,
            "`packing`: the tab put several rows into one sequence, here each is one of its own.",
        ),
        (train.kl_to_base > 0.0, "`kl_to_base`: nothing holds the model near its base here."),
        (data.general_fraction > 0.0, "`general_fraction`: no general text is mixed into the rows here."),
        (lora.loraplus_lr_ratio != 1.0, "`loraplus_lr_ratio`: A and B have one learning rate here."),
        (lora.dropout > 0.0, "`dropout` is the adapter's (`adapter/adapter_config.json`) and stays."),
        (
            run.recipe.eval.early_stopping_patience.is_some(),
            "`early_stopping_patience`: the run goes on to its last step here.",
        ),
    ];
    let notes = left_out.into_iter().filter(|(is_set, _)| *is_set).map(|(_, note)| format!("- {note}\n"));
    let name = run.base.rsplit('/').next().unwrap_or(run.base);
    include_str!("graduate/README.md")
        .replace("{notes}", &notes.collect::<String>())
        .replace("{base_note}", base_note)
        .replace("{name}", name)
        .replace("{base}", run.base)
}
