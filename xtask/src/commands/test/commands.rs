//! The stage `commands`: runs this program as a user would, with the small model.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::checks::{Checks, Ended, text, xtask};
use super::counts::Counts;
use super::margins::every_objective_beats_its_base;
use super::stages::Length;
use crate::error::{Context, Result};
use crate::{paths, site};

pub fn run(length: Length) -> Result<Counts> {
    site::build()?;
    let dir = paths::root().join("out/test-commands");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).context(dir.display())?;
    let data = dir.join("data.jsonl");
    let row = |i: usize| {
        format!(
            "{{\"messages\":[{{\"role\":\"user\",\"content\":\"Number {i}?\"}},{{\"role\":\"assistant\",\"content\":\"It is {i}.\"}}]}}\n"
        )
    };
    fs::write(&data, (0..12).map(row).collect::<String>())?;

    let mut checks = Checks::default();
    trains_and_uses_the_adapter(&dir, &data, &mut checks)?;
    converts_to_gguf_and_back(&dir, &mut checks)?;
    resumes_to_the_same_losses(&dir, &data, &mut checks)?;
    measures_forgetting_and_mends_data(&dir, &mut checks)?;
    every_objective_beats_its_base(&dir, length, &mut checks)?;
    asks_models_that_judge(&dir, &mut checks)?;
    compares_lora_with_full(&dir, &data, &mut checks)?;
    sweeps(&dir, &data, &mut checks)?;
    rejects_bad_input(&dir, &data, &mut checks)?;
    Ok(checks.counts)
}

fn trains_and_uses_the_adapter(dir: &Path, data: &Path, checks: &mut Checks) -> Result<()> {
    let out = dir.join("run");
    let trained = xtask(&[
        "train",
        "--model",
        "tiny",
        "--device",
        "cpu",
        "--set",
        "train.max_steps=4",
        "--data",
        &text(data),
        "--out",
        &text(&out),
    ])?;
    checks.that("train ends with exit code 0", trained.code == Some(0), &trained);
    let lines = fs::read_to_string(out.join("metrics.jsonl")).unwrap_or_default();
    let finite = |line: &str| {
        serde_json::from_str::<Value>(line)
            .is_ok_and(|step| step["loss"].as_f64().is_some_and(f64::is_finite))
    };
    checks.that(
        "metrics.jsonl has a line a step",
        lines.lines().count() == 4 && lines.lines().all(finite),
        &trained,
    );
    for file in ["adapter/adapter_config.json", "adapter/adapter_model.safetensors", "run.json"] {
        checks.that(file, out.join(file).is_file(), &trained);
    }

    let adapter = text(&out);
    let answer = xtask(&[
        "generate",
        "--model",
        "tiny",
        "--device",
        "cpu",
        "--prompt",
        "Number 3?",
        "--adapter",
        &adapter,
        "--max-new-tokens",
        "8",
    ])?;
    checks.that(
        "generate prints an answer",
        answer.code == Some(0) && !answer.stdout.trim().is_empty(),
        &answer,
    );

    let loss = |adapter: &[&str]| -> Result<(Option<f64>, Ended)> {
        let ended = xtask(
            &[&["eval", "--model", "tiny", "--device", "cpu", "--data", &text(data)], adapter].concat(),
        )?;
        let loss =
            serde_json::from_str::<Value>(&ended.stdout).ok().and_then(|result| result["loss"].as_f64());
        Ok((loss, ended))
    };
    let (base, ended) = loss(&[])?;
    checks.that("eval prints a JSON object with the loss", base.is_some_and(f64::is_finite), &ended);
    let (tuned, ended) = loss(&["--adapter", &adapter])?;
    checks.that(
        "the adapter lowers the loss on its data",
        tuned.zip(base).is_some_and(|(tuned, base)| tuned < base),
        &ended,
    );
    Ok(())
}

/// With the adapter that was trained first.
fn converts_to_gguf_and_back(dir: &Path, checks: &mut Checks) -> Result<()> {
    let convert = |adapter: &Path, to: &[&str], out: &Path| {
        let (adapter, out) = (text(adapter), text(out));
        xtask(&[&["convert", "--model", "tiny", "--adapter", &adapter, "--out", &out, "--to"], to].concat())
    };
    let (run, gguf, peft) = (dir.join("run"), dir.join("gguf"), dir.join("peft"));
    let written = convert(&run, &["gguf-lora", "--dtype", "f32"], &gguf)?;
    let file = gguf.join("tiny-lora-f32.gguf");
    let listed = written.stdout.contains("tiny-lora-f32.gguf\t") && written.stdout.contains("Modelfile\t");
    checks.that("convert writes a GGUF adapter and lists it", written.code == Some(0) && listed, &written);
    let again = convert(&file, &["peft"], &peft)?;
    let weights = |dir: &Path| fs::read(dir.join("adapter_model.safetensors")).unwrap_or_default();
    let first = weights(&run.join("adapter"));
    checks.that("and PEFT's again, to the last bit", !first.is_empty() && weights(&peft) == first, &again);
    let refused = convert(&run, &["merged", "--dtype", "q4_0"], &peft)?;
    checks.that(
        "a storage that a format lacks is bad input",
        refused.code == Some(2) && refused.error().contains("f32, f16, bf16"),
        &refused,
    );
    Ok(())
}

fn resumes_to_the_same_losses(dir: &Path, data: &Path, checks: &mut Checks) -> Result<()> {
    let out = dir.join("resumed");
    let all = [
        "train",
        "--model",
        "tiny",
        "--device",
        "cpu",
        "--set",
        "train.max_steps=4",
        "--data",
        &text(data),
        "--out",
        &text(&out),
    ]
    .map(String::from);
    let with = |more: &[&str]| {
        xtask(&all.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let interrupted = with(&["--stop-after", "2"])?;
    let checkpoint = text(&out.join("checkpoint.bin"));
    checks.that(
        "an interrupted run leaves a checkpoint",
        interrupted.code == Some(0) && Path::new(&checkpoint).is_file(),
        &interrupted,
    );
    let resumed = with(&["--resume", &checkpoint])?;
    let losses = |run: &str| -> Vec<Option<f64>> {
        let text = fs::read_to_string(dir.join(run).join("metrics.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str::<Value>(line).ok()?["loss"].as_f64()).collect()
    };
    checks.that(
        "resumed, it has the losses of a run that was not interrupted",
        !losses("run").is_empty() && losses("run") == losses("resumed"),
        &resumed,
    );
    Ok(())
}

fn measures_forgetting_and_mends_data(dir: &Path, checks: &mut Checks) -> Result<()> {
    let data = dir.join("mail.jsonl");
    let row = |i: usize| {
        format!("{{\"prompt\": \"Who is {i}?\", \"completion\": \"Ask number{i}@mail.example.org.\"}}\n")
    };
    fs::write(&data, (0..12).map(row).collect::<String>())?;
    let probe = dir.join("probe.txt");
    fs::write(&probe, "Mia lives in the red house.\n")?;
    let (data, probe, out) = (text(&data), text(&probe), dir.join("mended"));
    let model = ["--model", "tiny", "--device", "cpu", "--data", &data, "--probe", &probe];
    let settings = ["--set", "train.max_steps=2", "--set", "data.fix=redact", "--out", &text(&out)];
    let trained = xtask(&[&["train"], &model[..], &settings].concat())?;
    checks.that(
        "train says what it found and what it mended",
        trained.code == Some(0) && trained.stderr.contains("redact: 12 of 12 rows changed"),
        &trained,
    );
    let run: Value =
        serde_json::from_slice(&fs::read(out.join("run.json")).unwrap_or_default()).unwrap_or_default();
    checks.that(
        "run.json logs the changes and holds no text of the rows",
        run["data"]["changes"][0]["lines"].as_array().is_some_and(|lines| lines.len() == 12)
            && !run.to_string().contains("mail.example.org"),
        &trained,
    );
    checks.that("run.json names the probe", run["plan"]["probe"]["name"] == "probe.txt", &trained);
    let ended = xtask(&[&["eval"], &model[..], &["--adapter", &text(&out)]].concat())?;
    let result = ended.json();
    let (tuned, base) = (result["probe_loss"].as_f64(), result["base"]["probe_loss"].as_f64());
    checks.that("eval prints the probe's loss of base and tuned", tuned.is_some() && base.is_some(), &ended);
    checks.that(
        "what train measured before is what eval measures of the base",
        base.zip(run["last_step"]["base_probe_loss"].as_f64()).is_some_and(|(a, b)| (a - b).abs() < 1e-6),
        &ended,
    );
    Ok(())
}

/// With the adapters that the margins were measured of.
fn asks_models_that_judge(dir: &Path, checks: &mut Checks) -> Result<()> {
    let model = ["--model", "tiny", "--device", "cpu"];
    let lost = "Pip lost his green ball and could not find it.";
    let (classifier, judge) = (text(&dir.join("classify")), text(&dir.join("reward")));
    let label = xtask(&[&["generate", "--prompt", lost, "--adapter", &classifier], &model[..]].concat())?;
    checks.that("generate prints a classifier's label alone", label.stdout.trim() == "sad", &label);
    let reward = |answer: &str| -> Result<(Option<f64>, Ended)> {
        let asked = ["generate", "--prompt", "Who is Pip?", "--answer", answer, "--adapter", &judge];
        let ended = xtask(&[&asked[..], &model].concat())?;
        Ok((ended.stdout.trim().parse().ok(), ended))
    };
    let (kind, _) = reward("Thank you for asking! Pip is a cat.")?;
    let (rude, ended) = reward("Go away! Pip is a cat.")?;
    checks.that(
        "a reward model gives a kind answer more than a rude one",
        kind.zip(rude).is_some_and(|(kind, rude)| kind > rude),
        &ended,
    );

    let (data, out) =
        (text(&paths::www().join("public/samples/tiny-moods.jsonl")), text(&dir.join("last_layer")));
    let settings =
        ["objective=classify", "method=last_layer", "train.learning_rate=0.02", "train.max_steps=20"];
    let settings: Vec<&str> = settings.into_iter().flat_map(|setting| ["--set", setting]).collect();
    let trained = xtask(&[&["train"], &model[..], &["--data", &data, "--out", &out], &settings].concat())?;
    checks.that("a classifier's head trains alone", trained.code == Some(0), &trained);
    let whole = format!("{out}/adapter");
    let label = xtask(&["generate", "--prompt", lost, "--model", &whole, "--device", "cpu"])?;
    let classes = ["afraid", "happy", "hungry", "sad"];
    checks.that(
        "and is opened as a model that prints a label",
        classes.contains(&label.stdout.trim()),
        &label,
    );

    let chat = xtask(&["generate", "--model", "minilm", "--device", "cpu", "--prompt", "Hello"])?;
    checks.that(
        "an encoder is asked for no text",
        chat.code == Some(2) && chat.stderr.contains("an encoder, which writes no text"),
        &chat,
    );
    Ok(())
}

fn compares_lora_with_full(dir: &Path, data: &Path, checks: &mut Checks) -> Result<()> {
    let out = dir.join("compare");
    let ended = xtask(&[
        "compare",
        "--model",
        "tiny",
        "--device",
        "cpu",
        "--data",
        &text(data),
        "--set",
        "train.max_steps=3",
        "--set",
        "lora.rank=2",
        "--out",
        &text(&out),
        "--json",
    ])?;
    let result = ended.json();
    let figure = |method: &str, name: &str| result[method][name].as_f64().unwrap_or(f64::NAN);
    checks.that("compare trains both ways", ended.code == Some(0) && figure("full", "steps") == 3.0, &ended);
    checks.that(
        "LoRA of rank 2 has 90 % fewer parameters, less optimizer memory and a smaller file",
        result["fewer_trainable_parameters"].as_f64() > Some(0.9)
            && result["less_optimizer_memory"].as_f64() > Some(0.9)
            && figure("lora", "file_bytes") < figure("full", "file_bytes"),
        &ended,
    );
    let falls = |method: &str| figure(method, "validation_loss") < figure(method, "base_validation_loss");
    // The two sum up in different orders.
    let apart = figure("lora", "base_validation_loss") - figure("full", "base_validation_loss");
    checks.that(
        "both are below the loss that they began with",
        falls("lora") && falls("full") && apart.abs() < 1e-5,
        &ended,
    );
    Ok(())
}

fn sweeps(dir: &Path, data: &Path, checks: &mut Checks) -> Result<()> {
    let (data, out) = (text(data), text(&dir.join("sweep")));
    let model = ["sweep", "--model", "tiny", "--device", "cpu", "--data", &data, "--out", &out];
    let settings = [
        "--set",
        "train.max_steps=4",
        "--set",
        "train.warmup_ratio=0",
        "--set-values",
        "train.learning_rate=1e-6,1e-5,3e-3",
    ];
    let ended = xtask(&[&model[..], &settings, &["--strategy", "halving", "--json"]].concat())?;
    let result = ended.json();
    let runs = result["runs"].as_array().cloned().unwrap_or_default();
    let steps: Vec<u64> =
        runs.iter().filter_map(|run| run["steps"].as_f64().map(|steps| steps as u64)).collect();
    checks.that(
        "sweep halves: one run to the end, one half way, one a quarter",
        ended.code == Some(0) && steps == [4, 2, 1],
        &ended,
    );
    checks.that(
        "the winner has the rate that learns",
        runs.first().is_some_and(|run| run["changes"][0]["value"] == 3e-3 && run["end"] == "finished"),
        &ended,
    );
    checks.that(
        "the time is said first",
        ended.stderr.contains("estimate") && result["estimated_seconds"].as_f64() > Some(0.0),
        &ended,
    );
    for (named, setting) in [
        ("did you mean \"train.learning_rate\"", "optim.learning_rate=1e-4"),
        ("train.learning_rate is \"fast\"", "train.learning_rate=1e-4,fast"),
        ("lora.rank has no values", "lora.rank="),
        ("--set-values lora.rank has no values", "lora.rank"),
        ("objective cannot be swept", "objective=text,sft"),
    ] {
        let ended = xtask(&[&model[..], &["--set-values", setting]].concat())?;
        checks.that(
            &format!("a sweep over {setting} has exit code 2 and a sentence"),
            ended.code == Some(2) && ended.error().contains(named),
            &ended,
        );
    }
    Ok(())
}

fn rejects_bad_input(dir: &Path, data: &Path, checks: &mut Checks) -> Result<()> {
    let file = |name: &str, bytes: &[u8]| -> Result<String> {
        fs::write(dir.join(name), bytes)?;
        Ok(text(&dir.join(name)))
    };
    let (data, out) = (text(data), text(&dir.join("bad")));
    let empty = file("empty.jsonl", b"")?;
    let broken = file("broken.jsonl", b"{\"text\": \"one\"}\n{\"text\": \"two\"\n{\"text\": \"three\"}\n")?;
    let one_class = file("one-class.csv", b"text,label\nIt is hot.,warm\nIt is sunny.,warm\n")?;
    let fractions = file("fractions.tsv", b"text\tlabel\nIt is hot.\t0.5\n")?;
    let prompts = file("prompts.jsonl", b"{\"prompt\": \"Who is Pip?\"}\n{\"prompt\": \"Who is Mia?\"}\n")?;
    let corrupt = file("corrupt.gguf", b"GGUF\x03\x00\x00\x00 and then nothing of the kind")?;
    // What the sentence must name, the model, the data, a setting.
    let cases: &[(&str, &str, &str, &str)] = &[
        ("no-such-model", "no-such-model", &data, "train.max_steps=1"),
        ("no-such.jsonl", "tiny", "no-such.jsonl", "train.max_steps=1"),
        ("corrupt.gguf", &corrupt, &data, "train.max_steps=1"),
        ("empty.jsonl", "tiny", &empty, "train.max_steps=1"),
        ("2", "tiny", &broken, "train.max_steps=1"),
        ("rank", "tiny", &data, "lora.rank=0"),
        ("learning_rate", "tiny", &data, "train.learning_rat=1"),
        ("only the label", "tiny", &one_class, "objective=classify"),
        ("line 2", "tiny", &fractions, "objective=classify"),
        ("no \"answer\"", "tiny", &prompts, "objective=grpo"),
    ];
    for (named, model, data, setting) in cases {
        let ended = xtask(&[
            "train", "--model", model, "--device", "cpu", "--data", data, "--set", setting, "--out", &out,
        ])?;
        checks.that(
            &format!("bad input ({named}) has exit code 2 and a sentence"),
            ended.code == Some(2) && ended.error().contains(named),
            &ended,
        );
    }
    Ok(())
}
