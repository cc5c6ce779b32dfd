//! The crate outside of the browser: its examples, built for speed.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;

use crate::error::Result;
use crate::{paths, process, provision};

/// Builds `finetune` and `bench`, with Vulkan or without.
pub fn build(vulkan: bool) -> Result<()> {
    let mut build = provision::cargo();
    build.args(["build", "--package", "loralet", "--release", "--example", "finetune", "--example", "bench"]);
    build.args(vulkan.then_some("--features=vulkan"));
    process::run("cargo build (native)", &mut build)?;
    Ok(())
}

/// The program of an example that has been built.
pub fn example(name: &str) -> PathBuf {
    paths::target().join("release/examples").join(format!("{name}{EXE_SUFFIX}"))
}
