//! The native side: `examples/bench.rs`, kept running.

use std::process::Command;

use serde_json::Value;

use crate::driver::Driver;
use crate::error::Result;
use crate::native;

pub struct Native {
    /// `cpu` or `vulkan`
    pub kind: &'static str,
    /// What the device calls itself.
    pub name: String,
    driver: Driver,
}

impl Native {
    pub fn start(kind: &'static str) -> Result<Self> {
        let mut command = Command::new(native::example("bench"));
        let mut driver = Driver::start(&format!("examples/bench.rs on {kind}"), command.arg(kind))?;
        let device = driver.answer()?;
        Ok(Self { kind, name: device["device"].as_str().unwrap_or(kind).into(), driver })
    }

    pub fn ask(&mut self, request: &Value) -> Result<Value> {
        self.driver.ask(request)
    }
}
