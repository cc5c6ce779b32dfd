//! The native side: `examples/bench.rs`, kept running.

use std::process::Command;

use serde_json::Value;

use crate::driver::Driver;
use crate::error::{Failure, Result};
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
        let mut driver = Driver::start(&format!("the native {kind}"), command.arg(kind))?;
        let device = driver.next()?;
        let name = device.as_ref().and_then(|device| device["device"].as_str());
        let name = name.ok_or_else(|| {
            Failure::failed(format!("natively there is no {kind} on this machine; leave --native {kind} out"))
        })?;
        Ok(Self { kind, name: name.into(), driver })
    }

    pub fn ask(&mut self, request: &Value) -> Result<Value> {
        self.driver.ask(request)
    }
}
