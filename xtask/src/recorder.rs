//! What is kept of a training run: `metrics.jsonl`, a line a step, and `run.json`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::browser::number;
use crate::error::{Context, Result};
use crate::figures;
use crate::progress::{Bar, say};
use crate::site;

/// Collects the events of a run, shows its progress, writes its files.
pub struct Recorder {
    out: PathBuf,
    start: Instant,
    metrics: Option<File>,
    bar: Option<Bar>,
    /// The latest event of each kind that `run.json` keeps.
    kept: Map<String, Value>,
    /// Seconds since the page was opened, by event.
    times: Map<String, Value>,
    pub steps: Vec<Value>,
}

impl Recorder {
    pub fn new(out: &Path) -> Result<Self> {
        fs::create_dir_all(out).context(format_args!("cannot create the folder {}", out.display()))?;
        Ok(Self {
            out: out.into(),
            start: Instant::now(),
            metrics: None,
            bar: None,
            kept: Map::new(),
            times: Map::new(),
            steps: Vec::new(),
        })
    }

    pub fn on_event(&mut self, event: &Value) -> Result<()> {
        let kind = event["event"].as_str().unwrap_or_default();
        match kind {
            "browser" => self.keep("browser", &event["version"]),
            "device" => {
                let device = &event["device"];
                say("device", format!("{}: {}", text(&device["name"]), text(&device["reason"])));
                self.keep("device", device);
            }
            "model" => {
                let model = &event["model"];
                let millions = model["parameters"].as_f64().unwrap_or(0.0) / 1e6;
                say(
                    "model",
                    format!(
                        "{}, {millions:.1} M parameters, {}",
                        text(&model["name"]),
                        text(&model["stored_as"])
                    ),
                );
                say_notes(model);
                self.keep("model", model);
            }
            "data" => {
                let data = &event["data"];
                let (rows, tokens) = (&data["rows"], &data["tokens"]);
                let classes = data["classes"].as_array().map_or(0, Vec::len);
                let learned = match classes {
                    0 if data["shape"] == "prompts" => "answered by the model itself".into(),
                    0 if data["trained_tokens"] == 0 => "compared as whole texts".into(),
                    0 => format!("{} of them trained", data["trained_tokens"]),
                    _ => format!("{classes} classes"),
                };
                say(
                    "data",
                    format!(
                        "{}: {rows} {} of {}, {tokens} tokens, {learned}",
                        text(&data["file"]),
                        if *rows == 1 { "row" } else { "rows" },
                        text(&data["shape_label"])
                    ),
                );
                say_account(data, |_| true);
                self.keep("data", &without_texts(data));
            }
            "plan" => self.planned(&event["plan"]),
            "step" => self.step(&event["report"])?,
            "trained" => {
                self.bar = None;
                self.say_forgetting();
                let restored = self.steps.last().and_then(|step| step["restored_step"].as_u64());
                if let Some(step) = restored {
                    let ended = format!("the run ended after step {}", self.steps.len());
                    say(
                        "best",
                        format!(
                            "{ended}; the held-out loss was lowest at step {step}, whose values it took back"
                        ),
                    );
                }
                if let Some(note) = self.steps.last().and_then(|step| step["note"].as_str()) {
                    say("note", note);
                }
                self.keep("outcome", &event["outcome"]);
            }
            "memory" => self.keep("memory", &event["memory"]),
            _ => {}
        }
        let first_step = kind == "step" && !self.times.contains_key("first_step");
        if matches!(kind, "device" | "model" | "data" | "plan" | "trained") || first_step {
            let name = if first_step { "first_step" } else { kind };
            self.times.insert(name.into(), event["at"].clone());
        }
        Ok(())
    }

    /// Writes `run.json`; the run is complete only with it.
    pub fn finish(mut self) -> Result<Map<String, Value>> {
        let seconds: f64 = self.steps.iter().filter_map(|step| step["seconds"].as_f64()).sum();
        self.kept.insert("steps".into(), self.steps.len().into());
        self.kept.insert("last_step".into(), self.steps.last().cloned().unwrap_or(Value::Null));
        self.times.insert("all_steps".into(), json!(seconds));
        self.times.insert("command".into(), json!(self.start.elapsed().as_secs_f64()));
        self.kept.insert("seconds".into(), Value::Object(self.times));
        let browser = self.kept.remove("browser").unwrap_or_default();
        let versions =
            json!({ "loralet": env!("CARGO_PKG_VERSION"), "commit": site::commit(), "browser": browser });
        self.kept.insert("versions".into(), versions);
        let file = self.out.join("run.json");
        let text = serde_json::to_string_pretty(&self.kept).context("run.json")?;
        fs::write(&file, text + "\n").context(file.display())?;
        Ok(self.kept)
    }

    fn planned(&mut self, plan: &Value) {
        let counted = |key: &str, name: &str| {
            let count = number(&plan[key]);
            if count == 1 { format!("1 {name}") } else { format!("{count} {name}s") }
        };
        let (steps, rows) = (counted("total_steps", "step"), counted("train_examples", "row"));
        let trainable = counted("trainable_parameters", "trainable parameter");
        say("plan", format!("{steps}, {trainable}, {rows} to train on"));
        say_notes(plan);
        self.bar = Some(Bar::new("training", number(&plan["total_steps"])));
        self.keep("plan", plan);
    }

    /// How the loss on general text has moved.
    fn say_forgetting(&self) {
        let base = self.steps.iter().find_map(|step| step["base_probe_loss"].as_f64());
        let now = self.steps.iter().rev().find_map(|step| step["probe_loss"].as_f64());
        if let (Some(base), Some(now)) = (base, now) {
            let moved = format!("loss on general text {base:.4} before, {now:.4} after ({:+.4})", now - base);
            say("forgetting", moved);
        }
    }

    fn step(&mut self, report: &Value) -> Result<()> {
        let step = number(&report["step"]);
        if self.metrics.is_none() {
            self.metrics = Some(self.open_metrics(step)?);
        }
        if let Some(file) = &mut self.metrics {
            writeln!(file, "{report}").context("metrics.jsonl")?;
        }
        if let Some(bar) = &mut self.bar {
            let decimal = |name: &str| report[name].as_f64().unwrap_or(f64::NAN);
            let speed = decimal("tokens_per_second");
            let evaluation = &report["evaluation"];
            let mut validation = match evaluation["loss"].as_f64() {
                Some(loss) => {
                    format!(", validation {loss:.4}{}", figures::shown("evaluation", evaluation, "first"))
                }
                None => String::new(),
            };
            if let Some(probe) = report["probe_loss"].as_f64() {
                validation += &format!(", probe {probe:.4}");
            }
            let learned = format!("loss {:.4}{}", decimal("loss"), figures::shown("step", report, "loss"));
            bar.set(step, format!("{learned}{validation}, {speed:.0} tokens/s"));
        }
        self.steps.push(report.clone());
        Ok(())
    }

    /// A resumed run goes on in the same file: what comes after its first step is replaced.
    fn open_metrics(&self, first_step: u64) -> Result<File> {
        let path = self.out.join("metrics.jsonl");
        let old = fs::read_to_string(&path).unwrap_or_default();
        let earlier = |line: &&str| {
            let step = serde_json::from_str::<Value>(line).map(|line| number(&line["step"]));
            step.is_ok_and(|step| step < first_step)
        };
        let kept: String = old.lines().filter(earlier).map(|line| format!("{line}\n")).collect();
        fs::write(&path, kept).context(path.display())?;
        OpenOptions::new().append(true).open(&path).context(path.display())
    }

    fn keep(&mut self, name: &str, value: &Value) {
        self.kept.insert(name.into(), value.clone());
    }
}

/// What of a model's files, or of a plan, is to be said.
pub fn say_notes(of: &Value) {
    for note in of["notes"].as_array().into_iter().flatten() {
        say("note", text(note));
    }
}

/// What the trainer says of the data, as the page shows it; `is_said` chooses by what a statement is about.
pub fn say_account(data: &Value, is_said: impl Fn(&str) -> bool) {
    for statement in data["account"].as_array().into_iter().flatten() {
        let about = text(&statement["about"]);
        let label = match about {
            "finding" => "finding",
            "change" => "changed",
            _ => "note",
        };
        if is_said(about) {
            say(label, text(&statement["sentence"]));
        }
    }
}

/// The rows' own words do not belong into a run's record; their lines do.
fn without_texts(data: &Value) -> Value {
    let mut data = data.clone();
    for finding in data["findings"].as_array_mut().into_iter().flatten() {
        for row in finding["rows"].as_array_mut().into_iter().flatten() {
            *row = row["line"].clone();
        }
    }
    data
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
