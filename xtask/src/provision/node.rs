//! Node.js, the page's packages, and jax-js.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::system::apt_install;
use crate::error::{Context, Failure, Result};
use crate::progress::say;
use crate::{paths, process};

/// The oldest Node.js that Vite supports.
const OLDEST_NODE: (u32, u32) = (20, 19);

/// Node.js with npm.
pub fn node() -> Result<PathBuf> {
    if process::which("node").is_none() || process::which("npm").is_none() {
        apt_install("Node.js", &["nodejs", "npm"])?;
    }
    let node = process::which("node").ok_or_else(|| Failure::failed("node is not on PATH"))?;
    let version = process::stdout_of(Command::new(&node).arg("--version")).unwrap_or_default();
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    let found: (u32, u32) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < OLDEST_NODE {
        let (major, minor) = OLDEST_NODE;
        return Err(Failure::Input(format!(
            "Node.js {version} is too old: install {major}.{minor} or newer and put it on PATH"
        )));
    }
    Ok(node)
}

/// The page's npm packages, exactly as locked.
pub fn node_modules() -> Result<PathBuf> {
    node()?;
    npm_ci("npm packages of the page", &paths::www())
}

/// The folder of jax-js's package, at the version of its lock file.
pub fn jax_js() -> Result<PathBuf> {
    let source = paths::root().join("xtask/browser/peers/jax");
    Ok(npm_ci_in_cache("jax-js", &source, "peers/jax")?.join("@jax-js/jax"))
}

/// Installs what a package.json and its lock file name, without writing beside them.
fn npm_ci_in_cache(what: &str, source: &Path, folder: &str) -> Result<PathBuf> {
    node()?;
    let dir = paths::cache().join(folder);
    fs::create_dir_all(&dir).context(dir.display())?;
    for name in ["package.json", "package-lock.json"] {
        let content = fs::read(source.join(name)).context(source.join(name).display())?;
        if fs::read(dir.join(name)).ok().as_deref() != Some(&content) {
            fs::write(dir.join(name), content).context(dir.join(name).display())?;
        }
    }
    npm_ci(what, &dir)
}

fn npm_ci(what: &str, dir: &Path) -> Result<PathBuf> {
    let modules = dir.join("node_modules");
    // npm writes this file last, so its age says whether the lock file has been installed.
    let modified = |path: PathBuf| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let installed = modified(modules.join(".package-lock.json"));
    if installed.is_none() || installed < modified(dir.join("package-lock.json")) {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(dir);
        process::run(&format!("npm ci ({what})"), &mut npm)?;
        say("npm", format!("{what} installed"));
    } else {
        say("npm", format!("{what} up to date"));
    }
    Ok(modules)
}
