//! The machine that figures were measured on.

use std::process::Command;
use std::{env, fs, thread};

use serde_json::{Value, json};

use crate::process::stdout_of;

/// Processor, cores, memory and system; `null` for what the system does not say.
pub fn describe() -> Value {
    let sysctl = |key: &str| stdout_of(Command::new("sysctl").args(["-n", key]));
    let cpu = field("/proc/cpuinfo", "model name").or_else(|| sysctl("machdep.cpu.brand_string"));
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| Some(text.split_whitespace().next()?.parse::<u64>().ok()? * 1024))
        .or_else(|| sysctl("hw.memsize")?.parse().ok());
    json!({
        "cpu": cpu, "cores": thread::available_parallelism().ok().map(|cores| cores.get()), "memory_bytes": memory,
        "system": format!("{} {}", env::consts::OS, env::consts::ARCH),
    })
}

/// The value of the first line `name : value`.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().into())
}
