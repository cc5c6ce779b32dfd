//! `cargo xtask package`: the npm package, and the page with its documentation for any static host.

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Args;

use crate::error::{Context, Failure, Result};
use crate::{paths, process, provision, site};

#[derive(Args)]
pub struct Package {}

impl Package {
    pub fn run(self) -> Result<()> {
        site::build()?;
        provision::node_modules()?;
        let packed = process::run("npm run package", &mut npm("package"))?;
        let site = paths::root().join("out/site");
        // What an earlier build left there is of no use to anybody.
        let _ = fs::remove_dir_all(&site);
        copy(&paths::www().join("dist"), &site)?;
        // Its live parts are the package, and learn from the page's samples.
        let mut docs = npm("docs");
        docs.arg("--").arg(site.join("docs"));
        process::run("npm run docs", &mut docs)?;
        println!("The npm package is {}", tarball(&packed.output)?);
        println!("The site is in {}", paths::shown(&site));
        Ok(())
    }
}

fn npm(script: &str) -> Command {
    let mut npm = Command::new("npm");
    npm.args(["run", "--silent", script]).current_dir(paths::www());
    npm
}

fn tarball(output: &str) -> Result<&str> {
    let line = output.lines().rev().find(|line| line.contains(".tgz"));
    line.ok_or_else(|| Failure::failed("npm run package did not say where the package is"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).context(to.display())?;
    for entry in fs::read_dir(from).context(from.display())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).context(target.display())?;
        }
    }
    Ok(())
}
