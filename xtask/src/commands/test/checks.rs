//! What the checks of the stage `commands` share: this program run from outside, and what held of it.

use std::mem;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::counts::Counts;
use super::stages::this_program;
use crate::error::Result;

/// A command that has ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
}

impl Ended {
    /// The JSON object that it printed; null where it printed none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_default()
    }

    /// The sentence of the error that it ended with.
    pub fn error(&self) -> &str {
        self.stderr.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or_default()
    }
}

#[derive(Default)]
pub struct Checks {
    pub counts: Counts,
}

impl Checks {
    pub fn that(&mut self, what: &str, holds: bool, ended: &Ended) {
        let check = Counts::check(format!("{what} {}", ended.error()), holds);
        self.counts = [mem::take(&mut self.counts), check].into_iter().sum();
        eprintln!("  {} {what}", if holds { "ok    " } else { "FAILED" });
        if !holds {
            eprintln!("exit code {:?}\nstdout: {}\nstderr: {}", ended.code, ended.stdout, ended.stderr);
        }
    }
}

pub fn xtask(arguments: &[&str]) -> Result<Ended> {
    let started = Instant::now();
    let output = this_program()?.args(arguments).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ended {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
        elapsed: started.elapsed(),
    })
}

pub fn text(path: &Path) -> String {
    path.display().to_string()
}
