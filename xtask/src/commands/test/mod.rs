//! `cargo xtask test`: every check there is, in stages that share their builds.

mod checks;
mod commands;
mod counts;
mod margins;
mod stages;

use std::time::{Duration, Instant};

use clap::Args;

use crate::error::{Failure, Result};
use crate::progress::duration;
use counts::Counts;
use stages::{STAGES, Stage};

#[derive(Args)]
pub struct Test {
    /// Only these stages, separated by commas
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    only: Vec<String>,
    /// All but these stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    skip: Vec<String>,
}

struct Done {
    name: &'static str,
    counts: Counts,
    elapsed: Duration,
}

impl Test {
    pub fn run(self) -> Result<()> {
        let known = |name: &String| STAGES.iter().any(|stage| stage.name == name);
        if let Some(name) = self.only.iter().chain(&self.skip).find(|name| !known(name)) {
            let names: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
            return Err(Failure::Input(format!(
                "there is no stage {name}; the stages are {}",
                names.join(", ")
            )));
        }
        let asked = |stage: &&Stage| {
            let named = |names: &[String]| names.iter().any(|name| name == stage.name);
            (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
        };

        let mut done = Vec::new();
        for stage in STAGES.iter().filter(asked) {
            eprintln!("{}: {}", stage.name, stage.what);
            let start = Instant::now();
            let counts = (stage.run)().unwrap_or_else(|failure| {
                eprintln!("error: {failure}");
                Counts::check(false)
            });
            let elapsed = start.elapsed();
            eprintln!(
                "{}: {} passed, {} failed, {}\n",
                stage.name,
                counts.passed,
                counts.failed,
                duration(elapsed)
            );
            done.push(Done { name: stage.name, counts, elapsed });
        }
        summarise(&done)
    }
}

fn summarise(done: &[Done]) -> Result<()> {
    println!("{:<12} {:>7} {:>7} {:>14}", "stage", "passed", "failed", "time");
    for stage in done {
        let Counts { passed, failed } = stage.counts;
        println!("{:<12} {passed:>7} {failed:>7} {:>14}", stage.name, duration(stage.elapsed));
    }
    let total: Counts = done.iter().map(|stage| stage.counts).sum();
    let time: Duration = done.iter().map(|stage| stage.elapsed).sum();
    println!("{:<12} {:>7} {:>7} {:>14}", "all", total.passed, total.failed, duration(time));
    println!();
    println!("{} passed, {} failed", total.passed, total.failed);
    let failed: Vec<&str> =
        done.iter().filter(|stage| stage.counts.failed > 0).map(|stage| stage.name).collect();
    if failed.is_empty() && total.passed > 0 {
        return Ok(());
    }
    Err(Failure::failed(format!("failed: {}", failed.join(", "))))
}
