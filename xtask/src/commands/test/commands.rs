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
    measures_forgetting_and_mends_data(&dir, &mut checks)?;
    trains_a_classifier(&dir, &mut checks)?;
    trains_embeddings(&dir, &mut checks)?;
    trains_by_a_reward(&dir, &mut checks)?;
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
    let result: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    let (tuned, base) = (result["probe_loss"].as_f64(), result["base"]["probe_loss"].as_f64());
    checks.that("eval prints the probe's loss of base and tuned", tuned.is_some() && base.is_some(), &ended);
    checks.that(
        "what train measured before is what eval measures of the base",
        base.zip(run["last_step"]["base_probe_loss"].as_f64()).is_some_and(|(a, b)| (a - b).abs() < 1e-6),
        &ended,
    );
    Ok(())
}

fn trains_a_classifier(dir: &Path, checks: &mut Checks) -> Result<()> {
    let data = dir.join("weather.csv");
    let row = |i: usize| match i % 2 {
        0 => format!("The sun shines on day {i}.,warm\n"),
        _ => format!("The snow falls on day {i}.,cold\n"),
    };
    fs::write(&data, "text,label\n".to_string() + &(0..24).map(row).collect::<String>())?;
    let (data, out) = (text(&data), dir.join("classifier"));
    let model = ["--model", "tiny", "--device", "cpu"];
    for (method, rate) in [("lora", "0.01"), ("last_layer", "0.05")] {
        let out = text(&out.join(method));
        let method_setting = format!("method={method}");
        let rate_setting = format!("train.learning_rate={rate}");
        let settings = ["objective=classify", &method_setting, &rate_setting, "train.max_steps=12"];
        let settings: Vec<&str> = settings.into_iter().flat_map(|setting| ["--set", setting]).collect();
        let trained =
            xtask(&[&["train"], &model[..], &["--data", &data, "--out", &out], &settings].concat())?;
        checks.that(&format!("a classifier trains ({method})"), trained.code == Some(0), &trained);
        let adapter = format!("{out}/adapter");
        let used = match method {
            "lora" => ["--model", "tiny", "--device", "cpu", "--adapter", &adapter],
            _ => ["--model", &adapter, "--device", "cpu", "--temperature", "0"],
        };
        let label = xtask(&[&["generate", "--prompt", "The snow falls."], &used[..]].concat())?;
        checks.that(
            &format!("generate prints the label alone ({method})"),
            label.stdout.trim() == "cold",
            &label,
        );
    }
    let adapter = text(&out.join("lora"));
    let ended = xtask(
        &[&["eval"], &model[..], &["--data", &data, "--objective", "classify", "--adapter", &adapter]]
            .concat(),
    )?;
    let result: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    let accuracy = |of: &Value| of["classification"]["accuracy"].as_f64();
    let (tuned, base) = (accuracy(&result), accuracy(&result["base"]));
    checks.that("eval prints the accuracy of base and tuned", tuned > Some(0.9) && base.is_some(), &ended);
    Ok(())
}

fn trains_embeddings(dir: &Path, checks: &mut Checks) -> Result<()> {
    let data = text(&paths::www().join("public/samples/harbour-slang.jsonl"));
    let out = text(&dir.join("embeddings"));
    let model = ["--model", "minilm", "--device", "cpu", "--data", &data];
    let settings =
        ["objective=contrastive", "train.learning_rate=0.001", "train.max_steps=16", "train.batch_size=16"];
    let settings: Vec<&str> = settings.into_iter().flat_map(|setting| ["--set", setting]).collect();
    let trained = xtask(&[&["train"], &model[..], &settings, &["--out", &out]].concat())?;
    checks.that("an encoder trains on pairs", trained.code == Some(0), &trained);
    let ended = xtask(&[&["eval"], &model[..], &settings, &["--adapter", &out]].concat())?;
    let result: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    let recall = |of: &Value| of["embedding"]["recall_at_1"].as_f64();
    let (tuned, base) = (recall(&result), recall(&result["base"]));
    checks.that(
        "eval prints recall@1 of base and tuned, which is better by 0.3",
        tuned.zip(base).is_some_and(|(tuned, base)| tuned > base + 0.3),
        &ended,
    );
    let chat = xtask(&["generate", "--model", "minilm", "--device", "cpu", "--prompt", "Hello"])?;
    checks.that(
        "an encoder is asked for no text",
        chat.code == Some(2) && chat.stderr.contains("an encoder, which writes no text"),
        &chat,
    );
    Ok(())
}

fn trains_by_a_reward(dir: &Path, checks: &mut Checks) -> Result<()> {
    let data = text(&paths::www().join("public/samples/tiny-brief.jsonl"));
    let out = text(&dir.join("brief"));
    let model = ["--model", "tiny", "--device", "cpu", "--data", &data];
    let grpo =
        ["objective=grpo", "grpo.reward=length", "grpo.target_length=12", "grpo.max_completion_length=48"];
    let train = ["train.learning_rate=0.0005", "train.max_steps=30", "eval.probe=false"];
    let settings: Vec<&str> = grpo.into_iter().chain(train).flat_map(|setting| ["--set", setting]).collect();
    let trained = xtask(&[&["train"], &model[..], &settings, &["--out", &out]].concat())?;
    checks.that("a model trains on answers of its own", trained.code == Some(0), &trained);
    let ended = xtask(&[&["eval"], &model[..], &settings, &["--adapter", &out]].concat())?;
    let result: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    let reward = |of: &Value| of["rollout"]["reward"].as_f64();
    let (tuned, base) = (reward(&result), reward(&result["base"]));
    checks.that(
        "eval prints the mean reward of base and tuned, which is better by 0.3",
        tuned.zip(base).is_some_and(|(tuned, base)| tuned > base + 0.3),
        &ended,
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
    let result: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    let figure = |method: &str, name: &str| result[method][name].as_f64().unwrap_or(f64::NAN);
    checks.that("compare trains both ways", ended.code == Some(0) && figure("full", "steps") == 3.0, &ended);
    checks.that(
        "LoRA of rank 2 has 90 % fewer parameters, less optimizer memory and a smaller file",
        result["fewer_trainable_parameters"].as_f64() > Some(0.9)
            && result["less_optimizer_memory"].as_f64() > Some(0.9)
            && figure("lora", "file_bytes") < figure("full", "file_bytes"),
        &ended,
    );
    checks.that(
        "both are below the loss that they began with",
        ["lora", "full"]
            .iter()
            .all(|method| figure(method, "validation_loss") < figure(method, "base_validation_loss"))
            && figure("lora", "base_validation_loss") == figure("full", "base_validation_loss"),
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
    let result: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
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
        let error = ended.stderr.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or_default();
        checks.that(
            &format!("a sweep over {setting} has exit code 2 and a sentence"),
            ended.code == Some(2) && error.contains(named),
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
