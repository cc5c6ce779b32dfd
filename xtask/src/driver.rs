//! Programs that are driven by lines of JSON: requests on their stdin, answers and events on their stdout.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::error::{Context, Failure, Result};
use crate::{paths, provision};

/// A running program; dropped, its stdin ends and it is waited for.
pub struct Driver {
    name: String,
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Driver {
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(format_args!("cannot start {name}"))?;
        let stdout = process.stdout.take().expect("stdout is piped");
        Ok(Self { name: name.into(), process, lines: BufReader::new(stdout).lines() })
    }

    /// A script of `xtask/browser`, which drives a browser and is told what to do in a first line.
    pub fn script(script: &str, call: &Value) -> Result<Self> {
        let mut command = Command::new(provision::node()?);
        command.arg(paths::root().join("xtask/browser").join(script));
        let mut driver = Self::start("the browser", &mut command)?;
        driver.send(call)?;
        Ok(driver)
    }

    pub fn send(&mut self, request: &Value) -> Result<()> {
        let stdin = self.process.stdin.as_mut().expect("stdin is piped");
        writeln!(stdin, "{request}").context(format_args!("{} did not take its task", self.name))
    }

    /// The next line, `None` when the program has ended.
    pub fn next(&mut self) -> Result<Option<Value>> {
        let Some(line) = self.lines.next() else { return Ok(None) };
        let line = line.context(format_args!("what {} says cannot be read", self.name))?;
        serde_json::from_str(&line).map(Some).context(format_args!("{} said {line}", self.name))
    }

    /// The answer to a request.
    pub fn ask(&mut self, request: &Value) -> Result<Value> {
        self.send(request)?;
        self.answer()
    }

    /// The next line, where there must be one; `{ "failed": why }` is an error.
    pub fn answer(&mut self) -> Result<Value> {
        let next = self.next()?;
        let answer = next.ok_or_else(|| Failure::failed(format!("{} ended without an answer", self.name)))?;
        match answer["failed"].as_str() {
            Some(why) => Err(Failure::failed(format!("{} failed: {why}", self.name))),
            None => Ok(answer),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The end of stdin lets a script close its browser before it ends itself.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
