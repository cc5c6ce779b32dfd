//! `cargo xtask graduate`: a run as a Python project that goes on with it on one GPU or many.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::browser::Job;
use crate::error::{Context, Failure, Result};
use crate::inputs::Model;
use crate::{inputs, paths, progress, site};

#[derive(Args)]
pub struct Graduate {
    /// The folder that train wrote, with adapter/ and run.json
    #[arg(long, value_name = "FOLDER")]
    run: PathBuf,
    /// The data that it was trained on
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The model that it was trained on, as train was given it [default: the one of that name, where it is smollm2 or tiny]
    #[arg(long, value_name = "FILE|FOLDER|NAME")]
    model: Option<String>,
    /// The folder for the project
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl Graduate {
    pub fn run(self) -> Result<()> {
        progress::be_quiet();
        let run = read(&self.run.join("run.json"))?;
        let data = inputs::file(&self.data, "data file")?;
        let adapter = inputs::adapter(&self.run)?;
        let model = match &self.model {
            Some(given) => inputs::model(given)?,
            None => named(run["model"]["name"].as_str().unwrap_or_default())?,
        };
        site::build()?;
        write(&model, &adapter, &data, run["plan"]["recipe"].clone(), &self.out)?;
        println!("{}", paths::shown(&self.out));
        eprintln!("  its README.md says what to type on one GPU, on eight and on a cluster");
        Ok(())
    }
}

/// Writes the project.
pub(super) fn write(
    model: &Model,
    adapter: &[(String, PathBuf)],
    data: &(String, PathBuf),
    recipe: Value,
    out: &Path,
) -> Result<()> {
    fs::create_dir_all(out).context(out.display())?;
    Job::new("cpu", model).adapter(adapter).data(data).recipe(recipe).outputs(out).graduate().run(|_| Ok(()))
}

fn read(file: &Path) -> Result<Value> {
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::Input(format!(
            "{} cannot be read ({error}): give the folder that train wrote",
            file.display()
        ))
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Input(format!("{} is not JSON: {error}", file.display())))
}

/// The model that a run's record names, where the name says which files those were.
fn named(name: &str) -> Result<Model> {
    let known = ["smollm2", "tiny"].into_iter().map(inputs::model);
    let known = known.filter_map(|model| model.ok()).find(|model| model.name == name);
    known.ok_or_else(|| {
        Failure::Input(format!(
            "the run was trained on {name}, whose files are not known: give them as --model"
        ))
    })
}
