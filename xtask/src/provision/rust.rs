//! The wasm target of Rust, and wasm-bindgen.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::system::{apt_install, may_install, privileged};
use crate::error::{Context, Failure, Result};
use crate::progress::say;
use crate::{paths, process};

const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_PACKAGES: &[&str] =
    &["rustc-web", "cargo-web", "rust-web-src", "libstd-rust-web-dev", "lld-19", "gcc", "libc6-dev"];
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld-19";

/// What cargo needs in its environment to build for the browser.
#[derive(Default)]
pub struct Toolchain {
    path: Vec<PathBuf>,
    variables: Vec<(&'static str, OsString)>,
}

impl Toolchain {
    /// The program with this toolchain, and the given folders, on its PATH.
    pub fn command(&self, program: &str, tools: &[&Path]) -> Command {
        let first: Vec<PathBuf> =
            tools.iter().map(|dir| dir.to_path_buf()).chain(self.path.iter().cloned()).collect();
        let mut command = if program == "cargo" { cargo() } else { Command::new(program) };
        if let (true, Some(dir)) = (program == "cargo", self.path.first()) {
            command = Command::new(dir.join("cargo"));
        }
        command.current_dir(paths::root()).env("PATH", process::path_with(&first));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Cargo for native builds, in the repository.
pub fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(paths::root());
    command
}

/// The wasm target: rustup's, or one built from Debian's sources where rustup cannot download it.
pub fn wasm_toolchain() -> Result<Toolchain> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().expect("nothing panics here");
    let mut rustc = Command::new("rustc");
    let sysroot = process::stdout_of(rustc.args(["--print", "sysroot"]).current_dir(paths::root()));
    if sysroot.as_deref().is_some_and(|sysroot| has_std(Path::new(sysroot))) {
        say("wasm target", "installed");
        return Ok(Toolchain::default());
    }
    if has_std(Path::new("/usr")) && Path::new(DEBIAN_LINKER).is_file() {
        say("wasm target", "installed (Debian's toolchain)");
        return Ok(debian());
    }
    if process::which("rustup").is_some() {
        let mut add = Command::new("rustup");
        add.args(["target", "add", TARGET]).current_dir(paths::root());
        if process::run_any("rustup target add", &mut add)?.success {
            say("wasm target", "added with rustup");
            return Ok(Toolchain::default());
        }
        say("wasm target", "rustup cannot download it; building it with Debian's toolchain");
    }
    build_debian_std()?;
    say("wasm target", "built with Debian's toolchain");
    Ok(debian())
}

/// The folder that holds `wasm-bindgen` and its test runner, at the version of Cargo.lock: built into the cache by
/// `cargo install`, unless PATH has that very version.
pub fn wasm_bindgen() -> Result<PathBuf> {
    const PROGRAM: &str = "wasm-bindgen";
    let version = locked_version(PROGRAM)?;
    let root = paths::cache().join("tools");
    let bin = root.join("bin");
    let right = |file: &Path| {
        let found = process::stdout_of(Command::new(file).arg("--version"));
        found.is_some_and(|found| found.split_whitespace().nth(1) == Some(version.as_str()))
    };
    if right(&bin.join(PROGRAM)) {
        say(PROGRAM, format!("{version} up to date"));
        return Ok(bin);
    }
    if let Some(file) = process::which(PROGRAM).filter(|file| right(file)) {
        say(PROGRAM, format!("{version} at {}", file.display()));
        return Ok(file.parent().expect("a program lies in a folder").to_path_buf());
    }
    // It runs for seconds, so it is built for short compilation instead of speed; it talks only to a browser on this
    // machine, so it needs no TLS.
    let build = root.join("build");
    let install = |locked: bool| {
        let mut install = cargo();
        install.env("CARGO_TARGET_DIR", &build).env("RUSTFLAGS", "");
        install.args([
            "install",
            "wasm-bindgen-cli",
            "--version",
            &version,
            "--force",
            "--no-default-features",
        ]);
        install.arg("--root").arg(&root).args(locked.then_some("--locked"));
        for bin in ["wasm-bindgen", "wasm-bindgen-test-runner"] {
            install.args(["--bin", bin]);
        }
        for setting in ["opt-level=1", "lto=false", "codegen-units=16", "debug=false"] {
            install.arg("--config").arg(format!("profile.release.{setting}"));
        }
        install
    };
    let label = format!("cargo install wasm-bindgen-cli {version}");
    // A mirror may lack a version that the package's lock file names.
    if !process::run_any(&label, &mut install(true))?.success {
        process::run(&label, &mut install(false))?;
    }
    say(PROGRAM, format!("{version} installed in {}", bin.display()));
    Ok(bin)
}

fn debian() -> Toolchain {
    let linker = ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER.into());
    Toolchain { path: vec!["/usr/bin".into()], variables: vec![linker] }
}

fn has_std(sysroot: &Path) -> bool {
    let lib = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    let Ok(entries) = fs::read_dir(lib) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

/// Builds the standard library for wasm from Debian's sources and puts it where its rustc looks.
fn build_debian_std() -> Result<()> {
    apt_install("the wasm target of Rust", DEBIAN_PACKAGES)?;
    let empty = paths::cache().join("wasm-std");
    fs::create_dir_all(empty.join("src")).context(empty.display())?;
    fs::write(
        empty.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n",
    )?;
    fs::write(empty.join("src/lib.rs"), "#![no_std]\n")?;

    let target = empty.join("target");
    let mut build = Command::new("/usr/bin/cargo");
    build.current_dir(&empty).env("PATH", process::path_with(&["/usr/bin".into()]));
    build.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", &target).env_remove("RUSTUP_TOOLCHAIN");
    build.args(["build", "--release", "--target", TARGET]);
    build.args(["-Z", "build-std=std,panic_abort,proc_macro,test"]);
    process::run("standard library for wasm", &mut build)?;

    // Rlibs of a build with other crates in it could not be found by rustc (E0463), so only std's go.
    let built = target.join(TARGET).join("release/deps");
    let rlibs: Vec<PathBuf> = fs::read_dir(&built)
        .context(built.display())?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rlib"))
        .filter(|path| !path.file_name().unwrap_or_default().to_string_lossy().starts_with("libempty-"))
        .collect();
    let lib = format!("/usr/lib/rustlib/{TARGET}/lib");
    if !may_install() {
        let command = format!("sudo install -D -t {lib} {}/lib[!e]*.rlib", built.display());
        return Err(Failure::Missing { what: "the wasm target of Rust".into(), command });
    }
    process::run("copy of the standard library", privileged("install").args(["-D", "-t", &lib]).args(rlibs))?;
    Ok(())
}

fn locked_version(package: &str) -> Result<String> {
    let lock = paths::root().join("Cargo.lock");
    let text = fs::read_to_string(&lock).context(lock.display())?;
    let mut lines = text.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version
        .map(str::to_string)
        .ok_or_else(|| Failure::failed(format!("{} names no version of {package}", lock.display())))
}
