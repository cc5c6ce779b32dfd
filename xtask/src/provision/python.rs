//! Python: to fetch the default model, and as the reference to compare with.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::system::apt_install;
use crate::error::{Context, Failure, Result};
use crate::progress::say;
use crate::{paths, process};

/// A Python 3.9 or newer that has pip.
pub(super) fn python() -> Result<PathBuf> {
    let found = || {
        ["python3", "python"].iter().filter_map(|name| process::which(name)).find(|path| {
            let check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))";
            process::stdout_of(Command::new(path).args(["-c", check])).is_some()
        })
    };
    if let Some(python) = found() {
        return with_pip(python);
    }
    apt_install("Python", &["python3", "python3-venv", "python3-pip"])?;
    found().ok_or_else(|| Failure::failed("Python 3.9 or newer with venv was not found")).and_then(with_pip)
}

/// The Python of an environment with PyTorch, transformers and PEFT at the pinned versions.
pub fn peers() -> Result<PathBuf> {
    let requirements = paths::root().join("tests/interop/requirements.txt");
    let wanted = fs::read_to_string(&requirements).context(requirements.display())?;
    let venv = paths::cache().join("python");
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let stamp = venv.join("requirements-installed.txt");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(wanted.as_str()) {
        if !python.is_file() {
            process::run(
                "Python environment",
                Command::new(self::python()?).args(["-m", "venv"]).arg(&venv),
            )?;
        }
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--progress-bar", "off", "--requirement"]).arg(&requirements);
        process::run("PyTorch, transformers and PEFT (5 GB, once)", &mut install)?;
        fs::write(&stamp, &wanted).context(stamp.display())?;
    }
    say("python peers", venv.display().to_string());
    Ok(python)
}

/// Debian's python3 has pip only inside environments, so one is made where pip is missing.
fn with_pip(python: PathBuf) -> Result<PathBuf> {
    if process::stdout_of(Command::new(&python).args(["-m", "pip", "--version"])).is_some() {
        return Ok(python);
    }
    let venv = paths::cache().join("pip");
    process::run("Python environment for pip", Command::new(&python).args(["-m", "venv"]).arg(&venv))?;
    Ok(venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" }))
}
