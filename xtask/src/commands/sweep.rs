//! `cargo xtask sweep`: one run for each combination of values, ranked by the loss on held-out rows.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{ModelArguments, RecipeArguments, device_name};
use crate::browser::{Job, number};
use crate::error::{Context, Failure, Result};
use crate::progress::{Bar, duration, say};
use crate::recorder::{say_account, say_notes};
use crate::{inputs, paths, progress, site};

#[derive(Args)]
pub struct Sweep {
    #[command(flatten)]
    model: ModelArguments,
    /// The data: .jsonl, .json, .csv, .tsv, .parquet, .txt or .md
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    recipe: RecipeArguments,
    /// A setting and the values to try, such as train.learning_rate=1e-4,3e-4; may be repeated
    #[arg(long, value_name = "KEY=VALUE,VALUE…", required = true)]
    set_values: Vec<String>,
    #[arg(long, default_value = "grid")]
    strategy: Strategy,
    /// Say how long it would take, by a few measured steps, and stop
    #[arg(long)]
    estimate_only: bool,
    /// The folder for sweep.json: every run's settings, losses and end
    #[arg(long, value_name = "FOLDER", default_value = "out/sweep")]
    out: PathBuf,
    /// Print that JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Strategy {
    /// Every run to its end
    Grid,
    /// All runs a little way, then the better half as far again, and so on
    Halving,
}

impl Sweep {
    pub fn run(self) -> Result<()> {
        let data = inputs::file(&self.data, "data file")?;
        let recipe = inputs::recipe(self.recipe.recipe.as_deref(), &self.recipe.set)?;
        let settings = self.set_values.iter().map(|given| setting(given)).collect::<Result<Vec<_>>>()?;
        let strategy = match self.strategy {
            Strategy::Grid => "grid",
            Strategy::Halving => "halving",
        };
        progress::be_quiet();
        let model = inputs::model(&self.model.model)?;
        site::build()?;
        progress::be_loud();
        fs::create_dir_all(&self.out)
            .context(format_args!("cannot create the folder {}", self.out.display()))?;

        let mut table = Table::default();
        Job::new(&device_name(self.model.device, &recipe), &model)
            .data(&data)
            .recipe(recipe)
            .sweep(json!({ "settings": settings, "strategy": strategy }), self.estimate_only)
            .run(|event| {
                table.on_event(event);
                Ok(())
            })?;
        let result = table.finish(strategy);
        if self.estimate_only {
            if self.json {
                println!(
                    "{}",
                    json!({ "estimated_seconds": result["estimated_seconds"], "measured": result["measured"] })
                );
            }
            return Ok(());
        }
        let file = self.out.join("sweep.json");
        let text = serde_json::to_string_pretty(&result).context("sweep.json")?;
        fs::write(&file, text + "\n").context(file.display())?;
        if self.json {
            println!("{result}");
        } else {
            print(&result);
        }
        say("done", format!("every run is in {}", paths::shown(&file)));
        let trained =
            result["runs"].as_array().is_some_and(|runs| runs.iter().any(|run| run["end"] != "failed"));
        if trained { Ok(()) } else { Err(Failure::Input(first_error(&result))) }
    }
}

/// `key=values`; what they mean is the trainer's to check.
fn setting(given: &str) -> Result<Value> {
    match given.split_once('=') {
        Some((key, values)) => Ok(json!({ "key": key.trim(), "values": values })),
        None => Err(Failure::Input(format!(
            "--set-values {given} has no values: write it as --set-values train.learning_rate=1e-4,3e-4"
        ))),
    }
}

/// What the events of a sweep add up to.
#[derive(Default)]
struct Table {
    account: Value,
    estimate: Value,
    runs: Vec<Value>,
    started: Option<Instant>,
    bar: Option<Bar>,
}

impl Table {
    fn on_event(&mut self, event: &Value) {
        let place = number(&event["run"]) as usize;
        match event["event"].as_str().unwrap_or_default() {
            "model" => say_notes(&event["model"]),
            "data" => {
                say_account(&event["data"], |_| true);
                self.account = event["data"]["account"].clone();
            }
            "sweep" => self.planned(event),
            "sweep_run" => {
                let total = number(&event["plan"]["total_steps"]);
                let run = &mut self.runs[place];
                run["total_steps"] = total.into();
                run["trainable_parameters"] = event["plan"]["trainable_parameters"].clone();
                let label =
                    format!("run {} of {} ({})", place + 1, self.runs.len(), named(&self.runs[place]));
                self.bar = Some(Bar::new(&label, total));
            }
            "sweep_step" => self.step(place, &event["report"]),
            "sweep_evaluation" => {
                self.evaluated(place, &event["step"], &event["evaluation"]);
            }
            "sweep_end" => {
                self.bar = None;
                let run = &mut self.runs[place];
                run["end"] = event["how"].clone();
                run["error"] = event["error"].clone();
                if let Some(error) = event["error"].as_str() {
                    say("failed", format!("run {}: {error}", place + 1));
                }
            }
            _ => {}
        }
    }

    fn planned(&mut self, event: &Value) {
        self.estimate = event.clone();
        self.started = Some(Instant::now());
        let runs = event["plan"]["runs"].as_array().cloned().unwrap_or_default();
        let rungs = event["plan"]["rungs"].as_array().cloned().unwrap_or_default();
        let seconds = Duration::from_secs_f64(event["seconds"].as_f64().unwrap_or(0.0));
        let step = event["measured"][0]["step_seconds"].as_f64().unwrap_or(0.0);
        say(
            "estimate",
            format!("{} runs, about {}; a step takes {step:.2} s", runs.len(), duration(seconds)),
        );
        if rungs.len() > 1 {
            let rung = |rung: &Value| {
                format!("{} to {:.0} %", rung["runs"], rung["share"].as_f64().unwrap_or(1.0) * 100.0)
            };
            say("rungs", rungs.iter().map(rung).collect::<Vec<_>>().join(", then "));
        }
        let new = |run: &Value| json!({ "changes": run["changes"], "recipe": run["recipe"], "curve": [], "end": null, "error": null });
        self.runs = runs.iter().map(new).collect();
    }

    fn step(&mut self, place: usize, report: &Value) {
        let run = &mut self.runs[place];
        run["steps"] = report["step"].clone();
        run["training_loss"] = report["loss"].clone();
        run["seconds"] =
            json!(run["seconds"].as_f64().unwrap_or(0.0) + report["seconds"].as_f64().unwrap_or(0.0));
        if let Some(curve) = run["curve"].as_array_mut() {
            curve.push(json!({ "step": report["step"], "loss": report["loss"], "validation": null }));
        }
        if !report["evaluation"].is_null() {
            self.evaluated(place, &report["step"], &report["evaluation"]);
        }
        if let Some(bar) = &mut self.bar {
            bar.set(
                number(&report["step"]),
                format!("loss {:.4}", report["loss"].as_f64().unwrap_or(f64::NAN)),
            );
        }
    }

    fn evaluated(&mut self, place: usize, step: &Value, evaluation: &Value) {
        let run = &mut self.runs[place];
        run["evaluation"] = evaluation.clone();
        run["validation_loss"] = evaluation["loss"].clone();
        for point in run["curve"].as_array_mut().into_iter().flatten().filter(|point| &point["step"] == step)
        {
            point["validation"] = evaluation["loss"].clone();
        }
    }

    /// All of it, the runs with the lowest validation loss first.
    fn finish(mut self, strategy: &str) -> Value {
        self.bar = None;
        // A run that was stopped early is behind those that went further.
        let rank = |run: &Value| {
            let loss = run["validation_loss"].as_f64().unwrap_or(f64::INFINITY);
            (run["end"] != "finished", if run["end"] == "failed" { f64::INFINITY } else { loss })
        };
        self.runs.sort_by(|a, b| {
            let (a, b) = (rank(a), rank(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        json!({
            "strategy": strategy,
            "account": self.account,
            "rungs": self.estimate["plan"]["rungs"],
            "measured": self.estimate["measured"],
            "estimated_seconds": self.estimate["seconds"],
            "seconds": self.started.map(|started| started.elapsed().as_secs_f64()),
            "runs": self.runs,
        })
    }
}

fn print(result: &Value) {
    let runs = result["runs"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(first) = runs.first() else { return };
    let changes = |run: &Value| run["changes"].as_array().cloned().unwrap_or_default();
    let loss = |value: &Value| value.as_f64().map_or("–".into(), |loss| format!("{loss:.4}"));
    let mut rows: Vec<Vec<String>> =
        vec![changes(first).iter().map(|change| word(&change["key"])).collect::<Vec<_>>()];
    rows[0].extend(["validation loss", "training loss", "steps", "end"].map(String::from));
    for run in runs {
        let mut row: Vec<String> = changes(run).iter().map(|change| word(&change["value"])).collect();
        row.push(loss(&run["validation_loss"]));
        row.push(loss(&run["training_loss"]));
        row.push(format!("{} of {}", number(&run["steps"]), number(&run["total_steps"])));
        row.push(match run["end"].as_str() {
            Some("outdone") => "stopped early".into(),
            end => end.unwrap_or("?").into(),
        });
        rows.push(row);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

/// `train.learning_rate 0.0003, lora.rank 16`
fn named(run: &Value) -> String {
    let change = |change: &Value| format!("{} {}", word(&change["key"]), word(&change["value"]));
    run["changes"].as_array().into_iter().flatten().map(change).collect::<Vec<_>>().join(", ")
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), String::from)
}

fn first_error(result: &Value) -> String {
    let runs = result["runs"].as_array().into_iter().flatten();
    let error = runs.filter_map(|run| run["error"].as_str()).next().unwrap_or("no run could begin");
    format!("no run of the sweep could be trained: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_ranked_by_what_they_reached_and_failures_come_last() {
        let mut table = Table::default();
        let run =
            |rate: f64| json!({ "changes": [{ "key": "train.learning_rate", "value": rate }], "recipe": {} });
        table.on_event(&json!({ "event": "sweep", "seconds": 1.0, "measured": [], "plan": { "runs": [run(1e-4), run(1e-3), run(1.0)], "rungs": [] } }));
        for (place, loss, how) in [(0, 2.0, "finished"), (1, 1.0, "outdone"), (2, 0.5, "failed")] {
            table.on_event(&json!({ "event": "sweep_run", "run": place, "plan": { "total_steps": 2 } }));
            let report = json!({ "step": 1, "loss": 3.0, "seconds": 0.5, "evaluation": null });
            table.on_event(&json!({ "event": "sweep_step", "run": place, "report": report }));
            table.on_event(&json!({ "event": "sweep_evaluation", "run": place, "step": 1, "evaluation": { "loss": loss } }));
            table.on_event(&json!({ "event": "sweep_end", "run": place, "how": how, "error": null }));
        }
        let result = table.finish("halving");
        let ends: Vec<&str> =
            result["runs"].as_array().unwrap().iter().map(|run| run["end"].as_str().unwrap()).collect();
        assert_eq!(ends, ["finished", "outdone", "failed"]);
        assert_eq!(result["runs"][0]["curve"][0]["validation"], 2.0);
    }
}
