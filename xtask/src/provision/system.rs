//! Installing system packages, where that is allowed without a password.

use std::process::Command;
use std::sync::Mutex;

use crate::error::{Failure, Result};
use crate::process;

/// Installs Debian packages; where that is not possible the error holds the command to run.
pub fn apt_install(what: &str, packages: &[&str]) -> Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().expect("nothing panics here");
    let by_hand = by_hand(packages);
    let missing = || Failure::Missing { what: what.into(), command: by_hand.clone() };
    if process::which("apt-get").is_none() || !may_install() {
        return Err(missing());
    }
    let install = || {
        let mut command = privileged("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command.args(["install", "--yes", "--no-install-recommends"]).args(packages);
        process::run_any(&format!("apt-get install {what}"), &mut command)
    };
    // A fresh machine has no package lists yet, an old one has stale ones.
    if install()?.success {
        return Ok(());
    }
    process::run_any("apt-get update", privileged("apt-get").arg("update"))?;
    if install()?.success { Ok(()) } else { Err(missing()) }
}

/// The program, run as root.
pub fn privileged(program: &str) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["--non-interactive", program]);
    command
}

pub fn may_install() -> bool {
    is_root() || process::stdout_of(Command::new("sudo").args(["--non-interactive", "true"])).is_some()
}

fn is_root() -> bool {
    process::stdout_of(Command::new("id").arg("-u")).as_deref() == Some("0")
}

fn by_hand(packages: &[&str]) -> String {
    if cfg!(target_os = "macos") {
        return format!("brew install {}", packages.join(" "));
    }
    let sudo = if is_root() { "" } else { "sudo " };
    format!("{sudo}apt-get install --no-install-recommends {}", packages.join(" "))
}
