//! What was trained in the browser as folders: opened by mlx-lm and transformers, and read again by the browser itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Trained, show};
use crate::browser::Job;
use crate::commands::Device;
use crate::error::{Context, Failure, Result};
use crate::{inputs, paths};

/// mlx-lm opens the adapter beside `base`, a Hugging Face folder, and the merged model; so does transformers the latter.
pub fn check(python: &Path, trained: &Trained, base: Option<&Path>) -> Result<()> {
    let adapter = inputs::adapter(trained.out)?;
    let base = match base {
        Some(base) => base.to_path_buf(),
        None => export(trained, &[], "merged", "f32", "base-folder")?,
    };
    let mlx = export(trained, &adapter, "mlx", "f32", "mlx")?;
    let merged = export(trained, &adapter, "merged", "f32", "merged")?;
    let logits = trained.out.join("logits.json");
    let script = |name: &str, base: &Path| {
        let mut check = Command::new(python);
        check.arg(paths::root().join("tests/interop").join(name)).arg("--base").arg(base);
        check.arg("--logits").arg(&logits);
        check
    };
    println!("{}, mlx-lm, adapter", trained.name);
    let mut check = script("check_mlx.py", &base);
    show(check.arg("--adapter").arg(&mlx))?;
    println!("{}, mlx-lm, merged", trained.name);
    show(&mut script("check_mlx.py", &merged))?;
    println!("{}, transformers, merged", trained.name);
    show(&mut script("check_merged.py", &merged))
}

/// PEFT → another format → PEFT gives the file that it began with, to the last bit.
pub fn check_round_trips(trained: &Trained) -> Result<()> {
    let adapter = inputs::adapter(trained.out)?;
    let weights = |folder: &Path| {
        let file = folder.join("adapter_model.safetensors");
        fs::read(&file).context(file.display())
    };
    let before = weights(&trained.out.join("adapter"))?;
    for (format, folder) in [("gguf-lora", "round-trip/gguf"), ("mlx", "round-trip/mlx")] {
        let there = export(trained, &adapter, format, "f32", folder)?;
        let there = match format {
            "gguf-lora" => only_gguf(&there)?,
            _ => there,
        };
        let back = export(trained, &inputs::adapter(&there)?, "peft", "f32", &format!("{folder}-peft"))?;
        let same = weights(&back)? == before;
        println!(
            "{:<42} {}",
            format!("{} PEFT → {format} → PEFT", trained.name),
            if same { "ok" } else { "DIFFERENT" }
        );
        if !same {
            return Err(Failure::failed(format!("PEFT → {format} → PEFT does not give the same weights")));
        }
    }
    Ok(())
}

/// Writes a format into a folder of the run's, which it returns.
fn export(
    trained: &Trained,
    adapter: &[(String, PathBuf)],
    format: &str,
    dtype: &str,
    folder: &str,
) -> Result<PathBuf> {
    let out = trained.out.join(folder);
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).context(out.display())?;
    let job = Job::new(Device::Cpu.name(), trained.model).adapter(adapter).outputs(&out);
    job.export(format, Some(dtype)).run(|_| Ok(()))?;
    Ok(out)
}

fn only_gguf(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).context(folder.display())?.flatten().map(|entry| entry.path());
    let mut files = entries.filter(|path| path.extension().is_some_and(|extension| extension == "gguf"));
    files.next().ok_or_else(|| Failure::failed(format!("{} has no GGUF file", folder.display())))
}
