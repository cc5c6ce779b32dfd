//! `cargo xtask fixtures`: writes the tests' reference files anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::error::{Failure, Result};
use crate::progress::say;
use crate::{paths, process, provision};

#[derive(Args)]
pub struct Fixtures {
    /// Only the fixtures in these folders of tests/fixtures
    names: Vec<String>,
}

impl Fixtures {
    pub fn run(self) -> Result<()> {
        let scripts = self.scripts()?;
        let python = provision::peers()?;
        let (model, minilm) = (provision::default_model()?, provision::minilm()?);
        for script in scripts {
            let shown = paths::shown(&script);
            let mut command = Command::new(&python);
            command.arg(&script).current_dir(script.parent().unwrap_or(paths::root()));
            let finished =
                process::run(&shown, command.env("LORALET_SMOLLM2", &model).env("LORALET_MINILM", &minilm))?;
            say("written", format!("{shown} ({:.1} s)", finished.elapsed.as_secs_f64()));
        }
        Ok(())
    }

    fn scripts(&self) -> Result<Vec<PathBuf>> {
        let fixtures = paths::root().join("tests/fixtures");
        let mut folders = if self.names.is_empty() {
            fs::read_dir(&fixtures)?
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.is_dir())
                .collect()
        } else {
            self.names.iter().map(|name| fixtures.join(name)).collect::<Vec<_>>()
        };
        folders.sort();
        for (name, folder) in self.names.iter().zip(&folders) {
            if !folder.is_dir() {
                return Err(Failure::Input(format!("there are no fixtures {name} in tests/fixtures")));
            }
        }
        Ok(folders.iter().flat_map(|folder| scripts_in(folder)).collect())
    }
}

/// Each fixture lies beside the `make*.py` that made it.
fn scripts_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut scripts: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("make") && name.ends_with(".py")
        })
        .collect();
    scripts.sort();
    scripts
}
