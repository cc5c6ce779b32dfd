//! The same training natively, without a browser.
//!
//! ```text
//! cargo run --release --example finetune -- --model <file.gguf | folder> --data <file> \
//!     [--recipe <json file>] [--set train.max_steps=20 …] [--device cpu|vulkan] [--resume <checkpoint>] [--probe <file>] [--reward-model <dir>] --out <dir>
//! cargo run --release --example finetune -- --model … [--adapter <dir>] --prompt TEXT
//! ```

use loralet::export::OutputFile;
use loralet::metrics::{Metrics, Rank};
use loralet::recipe::{DeviceChoice, Recipe};
use loralet::session::{GenerateRequest, Limits, Session};
use loralet::train::steps::MOST_STEPS;
use loralet::weights::source::{ByteSource, FileSource};
use loralet::{Error, Result, native};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Default)]
struct Arguments {
    model: Option<PathBuf>,
    data: Option<PathBuf>,
    recipe: Option<PathBuf>,
    set: Vec<(String, String)>,
    device: Option<String>,
    adapter: Option<PathBuf>,
    resume: Option<PathBuf>,
    probe: Option<PathBuf>,
    reward_model: Option<PathBuf>,
    prompt: Option<String>,
    raw: bool,
    max_new_tokens: Option<usize>,
    out: Option<PathBuf>,
}

const USAGE: &str = "finetune --model <file.gguf | folder> (--data <file> --out <dir> [--recipe <json file>] [--set key=value …] \
                     [--resume <checkpoint>] [--probe <file>] [--reward-model <dir>] | --prompt TEXT [--adapter <dir>] [--raw] [--max-new-tokens N]) [--device cpu|vulkan]";

fn main() {
    let done = arguments().and_then(|arguments| pollster::block_on(run(arguments)));
    if let Err(error) = done {
        eprintln!("error: {error}");
        std::process::exit(2);
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let recipe = recipe(&arguments)?;
    let choice = match recipe.device {
        DeviceChoice::Auto | DeviceChoice::Cpu => "cpu",
        DeviceChoice::Vulkan => "vulkan",
        DeviceChoice::Webgpu => "webgpu",
    };
    let (device, _) = native::device(arguments.device.as_deref().unwrap_or(choice))?;
    // A GPU goes on with the next step while we write down the last.
    let most = if device == burn::tensor::Device::flex() { 1 } else { MOST_STEPS };
    let mut session = Session::new(device, Limits::default());
    let model = arguments.model.as_deref().ok_or_else(|| usage("--model is missing"))?;
    let name = model.file_stem().map_or("model".into(), |name| name.to_string_lossy().into_owned());
    let report = session.open_model(sources(model)?, &name, recipe.base_dtype, &|_, _| {})?;
    eprintln!("{}: {} parameters, stored as {}", report.name, report.parameters, report.stored_as);

    if let Some(prompt) = &arguments.prompt {
        if let Some(folder) = &arguments.adapter {
            session.load_adapter(&read_folder(folder)?)?;
        }
        let request = GenerateRequest {
            prompt: Some(prompt.clone()),
            raw: arguments.raw,
            adapter: arguments.adapter.is_some(),
            max_new_tokens: arguments.max_new_tokens.unwrap_or(128),
            ..GenerateRequest::default()
        };
        let answer = session.generate(&request, async |_| Ok(true)).await?;
        println!("{}", answer.text);
        return Ok(());
    }

    let data = arguments.data.as_deref().ok_or_else(|| usage("--data or --prompt is missing"))?;
    let out = arguments.out.as_deref().ok_or_else(|| usage("--out is missing"))?;
    let summary = session.open_data(&data.to_string_lossy(), &read(data)?, &recipe)?;
    eprintln!(
        "{}: {} rows, {} tokens",
        summary.report.shape_label, summary.report.rows, summary.report.tokens
    );
    summary.report.account.iter().for_each(|said| eprintln!("note: {}", said.sentence));
    if let Some(probe) = &arguments.probe {
        session.open_probe(&probe.to_string_lossy(), &read(probe)?)?;
    }
    if let Some(folder) = &arguments.reward_model {
        session.open_reward_model(&read_folder(folder)?)?;
    }
    let plan = match &arguments.resume {
        Some(checkpoint) => session.resume(&read(checkpoint)?)?,
        None => session.begin(&recipe)?,
    };
    plan.notes.iter().for_each(|note| eprintln!("note: {note}"));
    eprintln!(
        "{} steps, {} of {} parameters trained",
        plan.total_steps, plan.trainable_parameters, plan.total_parameters
    );
    let write =
        |path: &Path, bytes: &[u8]| std::fs::write(path, bytes).map_err(|error| unreadable(path, error));
    std::fs::create_dir_all(out.join("adapter")).map_err(|error| unreadable(out, error))?;
    let metrics = out.join("metrics.jsonl");
    let mut metrics = std::fs::File::create(&metrics).map_err(|error| unreadable(&metrics, error))?;
    let mut finished = session.steps_done() >= plan.total_steps;
    while !finished {
        for step in session.steps(most).await? {
            finished = step.finished;
            let line = serde_json::to_string(&step).expect("plain JSON");
            writeln!(metrics, "{line}").map_err(|error| unreadable(out, error))?;
            let probe = step.probe_loss.map(|loss| format!("  probe {loss:.4}")).unwrap_or_default();
            let validation = step.evaluation.map_or(String::new(), |evaluation| {
                format!("  validation {:.4}{}", evaluation.loss, shown(&evaluation.metrics, Rank::First))
            });
            let learned = shown(&step.metrics, Rank::Loss);
            eprintln!(
                "step {}/{}  loss {:.4}{learned}  lr {:.2e}  norm {:.3}  {:.0} tokens/s{validation}{probe}",
                step.step,
                step.total_steps,
                step.loss,
                step.learning_rate,
                step.grad_norm,
                step.tokens_per_second
            );
            step.note.iter().for_each(|note| eprintln!("note: {note}"));
        }
    }
    for file in session.adapter_files().await? {
        write(&out.join("adapter").join(&file.name), &file.bytes)?;
    }
    write(&out.join("checkpoint.bin"), &session.save_checkpoint().await?)?;
    write(&out.join("run.json"), serde_json::to_string_pretty(&plan).expect("plain JSON").as_bytes())
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        if flag == "--raw" {
            arguments.raw = true;
            continue;
        }
        let value = words.next().ok_or_else(|| usage(&format!("{flag} needs a value")))?;
        match flag.as_str() {
            "--model" => arguments.model = Some(value.into()),
            "--data" => arguments.data = Some(value.into()),
            "--recipe" => arguments.recipe = Some(value.into()),
            "--device" => arguments.device = Some(value),
            "--adapter" => arguments.adapter = Some(value.into()),
            "--resume" => arguments.resume = Some(value.into()),
            "--reward-model" => arguments.reward_model = Some(value.into()),
            "--probe" => arguments.probe = Some(value.into()),
            "--prompt" => arguments.prompt = Some(value),
            "--max-new-tokens" => arguments.max_new_tokens = value.parse().ok(),
            "--out" => arguments.out = Some(value.into()),
            "--set" => {
                let (key, value) = value.split_once('=').ok_or_else(|| usage("--set takes key=value"))?;
                arguments.set.push((key.into(), value.into()));
            }
            _ => return Err(usage(&format!("{flag} is not an option"))),
        }
    }
    Ok(arguments)
}

fn recipe(arguments: &Arguments) -> Result<Recipe> {
    let mut value = match &arguments.recipe {
        Some(path) => serde_json::from_slice(&read(path)?).map_err(|error| Error::InvalidRecipe {
            reason: format!("{} is not JSON ({error})", path.display()),
        })?,
        None => Value::Object(Default::default()),
    };
    for (key, text) in &arguments.set {
        Recipe::set(&mut value, key, text)?;
    }
    Recipe::from_json(&value)
}

/// What the objective measures, up to this rank.
fn shown(metrics: &Metrics, rank: Rank) -> String {
    let rows = metrics.rows().into_iter().filter(|row| row.rank <= rank);
    rows.map(|row| format!(", {} {:.3}", row.name, row.value)).collect()
}

fn sources(model: &Path) -> Result<Vec<Box<dyn ByteSource>>> {
    let paths = match model.is_dir() {
        true => files(model)?,
        false => vec![model.to_path_buf()],
    };
    paths.iter().map(|path| Ok(Box::new(FileSource::open(path)?) as Box<dyn ByteSource>)).collect()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
    Ok(entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_file())
        .collect())
}

fn read_folder(folder: &Path) -> Result<Vec<OutputFile>> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files(folder)?.iter().map(|path| Ok(OutputFile { name: name(path), bytes: read(path)? })).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::Unreadable { file: path.display().to_string(), reason: error.to_string() }
}

fn usage(what: &str) -> Error {
    Error::InvalidRecipe { reason: format!("{what}; usage: {USAGE}") }
}
