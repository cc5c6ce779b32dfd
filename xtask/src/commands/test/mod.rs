//! `cargo xtask test`: every check there is, in stages that share their builds and run in two lanes.

mod checks;
mod commands;
mod counts;
mod failures;
mod margins;
mod stages;

use std::iter;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::error::{Failure, Result};
use crate::progress::duration;
use counts::Counts;
use stages::{Lane, Length, STAGES, Stage};

#[derive(Args)]
pub struct Test {
    /// Only these stages, separated by commas
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    only: Vec<String>,
    /// All but these stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    skip: Vec<String>,
    /// With long runs of what has a short form in the suite (CONTRIBUTING.md lists them)
    #[arg(long)]
    long: bool,
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

        let length = if self.long { Length::Long } else { Length::Short };
        let start = Instant::now();
        let done = Mutex::new(Vec::new());
        let of = |lane: Lane| STAGES.iter().filter(move |stage| stage.lane == lane).filter(&asked);
        let either = Mutex::new(of(Lane::Either));
        thread::scope(|scope| {
            for lane in [Lane::Native, Lane::Browser] {
                let (own, either, done) = (of(lane), &either, &done);
                let next = move || either.lock().expect("no stage panics").next();
                scope.spawn(move || {
                    for stage in own.chain(iter::from_fn(next)) {
                        let ended = stage.carry_out(length);
                        done.lock().expect("no stage panics").push(ended);
                    }
                });
            }
        });
        summarise(&done.into_inner().expect("no stage panics"), start.elapsed())
    }
}

impl Stage {
    fn carry_out(&self, length: Length) -> Done {
        let Stage { name, what, .. } = self;
        eprintln!("{name}: {what}");
        let start = Instant::now();
        let counts = (self.run)(length).unwrap_or_else(|failure| {
            eprintln!("error: {failure}");
            Counts::check(failure.to_string(), false)
        });
        let elapsed = start.elapsed();
        let Counts { passed, failed, .. } = counts;
        eprintln!("{name}: {passed} passed, {failed} failed, {}\n", duration(elapsed));
        Done { name, counts, elapsed }
    }
}

/// `time` is that of all stages together, which is less than their sum.
fn summarise(done: &[Done], time: Duration) -> Result<()> {
    println!("{:<12} {:>7} {:>7} {:>14}", "stage", "passed", "failed", "time");
    for stage in done {
        let Counts { passed, failed, .. } = stage.counts;
        println!("{:<12} {passed:>7} {failed:>7} {:>14}", stage.name, duration(stage.elapsed));
    }
    let total: Counts = done.iter().map(|stage| stage.counts.clone()).sum();
    println!("{:<12} {:>7} {:>7} {:>14}", "all", total.passed, total.failed, duration(time));
    println!();
    for stage in done {
        for failure in &stage.counts.failures {
            println!("failed in {}:\n{failure}\n", stage.name);
        }
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    let failed: Vec<&str> =
        done.iter().filter(|stage| stage.counts.failed > 0).map(|stage| stage.name).collect();
    if failed.is_empty() && total.passed > 0 {
        return Ok(());
    }
    Err(Failure::failed(format!("failed: {}", failed.join(", "))))
}
