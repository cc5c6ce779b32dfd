//! The browser in which everything trains, and the driver with which wasm tests start it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use super::system::apt_install;
use crate::error::{Failure, Result};
use crate::process::{stdout_of, which};
use crate::progress::say;

const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const MAC: &[&str] = &[
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/// Chromium or Chrome: `$CHROMIUM`, an installed one, or apt's.
pub fn chromium() -> Result<PathBuf> {
    if let Some(path) = env::var_os("CHROMIUM").map(PathBuf::from) {
        return if path.is_file() {
            Ok(path)
        } else {
            Err(Failure::Input(format!(
                "the variable CHROMIUM names {}, which is not a file",
                path.display()
            )))
        };
    }
    let path = match find() {
        Some(path) => path,
        None if cfg!(target_os = "macos") => {
            let command = "brew install --cask google-chrome".into();
            return Err(Failure::Missing { what: "Chromium or Chrome".into(), command });
        }
        None => {
            apt_install("Chromium", &["chromium"])?;
            find().ok_or_else(|| Failure::failed("apt installed chromium, but it is not on PATH"))?
        }
    };
    let version = stdout_of(Command::new(&path).arg("--version")).unwrap_or_default();
    say("browser", format!("{} ({})", version.split(" built on").next().unwrap_or_default(), path.display()));
    Ok(path)
}

/// ChromeDriver: `$CHROMEDRIVER`, an installed one, or apt's.
pub fn chromedriver() -> Result<PathBuf> {
    let named = env::var_os("CHROMEDRIVER").map(PathBuf::from);
    if let Some(path) = named.filter(|path| path.is_file()).or_else(|| which("chromedriver")) {
        return Ok(path);
    }
    if cfg!(target_os = "macos") {
        let command = "brew install --cask chromedriver".into();
        return Err(Failure::Missing { what: "ChromeDriver".into(), command });
    }
    apt_install("ChromeDriver", &["chromium-driver"])?;
    which("chromedriver")
        .ok_or_else(|| Failure::failed("apt installed chromium-driver, but it is not on PATH"))
}

fn find() -> Option<PathBuf> {
    let on_mac = || MAC.iter().map(PathBuf::from).find(|path| path.is_file());
    NAMES.iter().find_map(|name| which(name)).or_else(on_mac)
}
