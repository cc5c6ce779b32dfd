//! The stage `commands`: runs this program as a user would, with the small model.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::counts::Counts;
use super::stages::this_program;
use crate::error::{Context, Result};
use crate::{paths, site};

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

pub fn run() -> Result<Counts> {
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
    resumes_to_the_same_losses(&dir, &data, &mut checks)?;
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

fn rejects_bad_input(dir: &Path, data: &Path, checks: &mut Checks) -> Result<()> {
    let file = |name: &str, bytes: &[u8]| -> Result<String> {
        fs::write(dir.join(name), bytes)?;
        Ok(text(&dir.join(name)))
    };
    let (data, out) = (text(data), text(&dir.join("bad")));
    let empty = file("empty.jsonl", b"")?;
    let broken = file("broken.jsonl", b"{\"text\": \"one\"}\n{\"text\": \"two\"\n{\"text\": \"three\"}\n")?;
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
    ];
    for (named, model, data, setting) in cases {
        let ended = xtask(&[
            "train", "--model", model, "--device", "cpu", "--data", data, "--set", setting, "--out", &out,
        ])?;
        let error = ended.stderr.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or_default();
        checks.that(
            &format!("bad input ({named}) has exit code 2 and a sentence"),
            ended.code == Some(2) && error.contains(named),
            &ended,
        );
    }
    Ok(())
}

#[derive(Default)]
struct Checks {
    counts: Counts,
}

impl Checks {
    fn that(&mut self, what: &str, holds: bool, ended: &Ended) {
        self.counts = [self.counts, Counts::check(holds)].into_iter().sum();
        eprintln!("  {} {what}", if holds { "ok    " } else { "FAILED" });
        if !holds {
            eprintln!("exit code {:?}\nstdout: {}\nstderr: {}", ended.code, ended.stdout, ended.stderr);
        }
    }
}

fn xtask(arguments: &[&str]) -> Result<Ended> {
    let output = this_program()?.args(arguments).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

fn text(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}
