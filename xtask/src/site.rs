//! Building what the browser loads: the wasm package and the page.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::error::{Context, Failure, Result};
use crate::paths;
use crate::process::{self, run};
use crate::progress::{megabytes, say};
use crate::provision;

const WASM: &str = "loralet_bg.wasm";

/// Sizes of the shipped wasm, in bytes.
pub struct WasmSize {
    pub raw: u64,
    pub gzipped: u64,
}

/// Takes the wasm and the page as they are; for commands that are run by the stage that has just built them.
pub const NO_BUILD: &str = "LORALET_NO_BUILD";

/// The names of functions, which only a debugger reads, would be a quarter of the download.
const WASM_BINDGEN: &[&str] = &[
    "--target",
    "web",
    "--typescript",
    "--out-name",
    "loralet",
    "--remove-name-section",
    "--remove-producers-section",
];

/// Builds wasm and page where they are out of date.
pub fn build() -> Result<()> {
    if is_set(NO_BUILD) && paths::tool_pages().join("headless.html").is_file() {
        return Ok(());
    }
    process::side_by_side(vec![Box::new(build_wasm), Box::new(|| provision::node_modules().map(drop))])?;
    build_page()
}

/// `pkg/`: the crate as wasm with its JavaScript.
pub fn build_wasm() -> Result<()> {
    let _turn = turn();
    let stamp = build_package()?;
    if fs::read_to_string(stamp_file()).is_ok_and(|built| built == stamp) {
        say("wasm", format!("up to date, {}", shown_size()?));
        return Ok(());
    }
    bind(&stamp)?;
    say("wasm", format!("built, {}", shown_size()?));
    Ok(())
}

/// Compiles the crate and, beside it, the tools that it needs next; the stamp of what they make together.
fn build_package() -> Result<String> {
    let toolchain = provision::wasm_toolchain()?;
    process::side_by_side(vec![
        Box::new(|| provision::wasm_bindgen().map(drop)),
        Box::new(|| {
            let mut build = toolchain.command("cargo", &[]);
            build.args(["build", "--lib", "--release", "--target", "wasm32-unknown-unknown"]);
            run("cargo build (wasm)", &mut build).map(drop)
        }),
    ])?;
    stamp(&cargo_output())
}

/// Writes `pkg/` anew from what cargo built.
fn bind(stamp: &str) -> Result<()> {
    let _ = fs::remove_dir_all(paths::pkg());
    let mut bindgen = Command::new(provision::wasm_bindgen()?.join("wasm-bindgen"));
    bindgen.arg(cargo_output()).args(WASM_BINDGEN).arg("--out-dir").arg(paths::pkg());
    run("wasm-bindgen", &mut bindgen)?;
    fs::write(stamp_file(), stamp).context(stamp_file().display())
}

/// `www/dist/`: the page, and `www/dist-tools/`: the pages that commands and tests drive.
pub fn build_page() -> Result<()> {
    let _turn = turn();
    provision::node_modules()?;
    let www = paths::www();
    let newest_source = newest(
        &www,
        &[
            "node_modules",
            "dist",
            "dist-package",
            "dist-tools",
            "docs",
            "e2e",
            "test",
            "test-results",
            "generated",
        ],
    )
    .max(newest(&paths::pkg(), &[]));
    let built = fs::metadata(www.join("dist/index.html")).and_then(|meta| meta.modified()).ok();
    if built >= newest_source && paths::tool_pages().join("headless.html").is_file() {
        say("page", "up to date");
        return Ok(());
    }
    // The page is built last: by its age it is known whether both are up to date.
    for script in ["build:tools", "build"] {
        run(&format!("npm run {script}"), Command::new("npm").args(["run", script]).current_dir(&www))?;
    }
    say("page", "built");
    Ok(())
}

/// Stages of two lanes may want the same build.
fn turn() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How large the shipped wasm is.
pub fn wasm_size() -> Result<WasmSize> {
    let file = paths::pkg().join(WASM);
    let raw = fs::metadata(&file).context(file.display())?.len();
    Ok(WasmSize { raw, gzipped: gzipped(&[file])? })
}

/// What a visitor loads before asking for anything: `index.html` with the scripts and styles that it names, gzipped, in bytes.
pub fn shell_size() -> Result<u64> {
    let dist = paths::www().join("dist");
    let index = dist.join("index.html");
    let html = fs::read_to_string(&index).context(index.display())?;
    let named = html.split('"').filter(|text| text.starts_with("./assets/")).map(|name| dist.join(name));
    gzipped(&iter::once(index).chain(named).collect::<Vec<_>>())
}

fn gzipped(files: &[PathBuf]) -> Result<u64> {
    let node = provision::node()?;
    // Node is here anyway, and brings zlib: level 9, as static hosts precompress.
    let script = "const {gzipSync} = require('zlib'), {readFileSync} = require('fs');\
                  const size = (file) => gzipSync(readFileSync(file), {level: 9}).length;\
                  console.log(process.argv.slice(1).map(size).reduce((sum, size) => sum + size))";
    let output = Command::new(node).arg("-e").arg(script).args(files).stderr(Stdio::inherit()).output()?;
    let sum = String::from_utf8_lossy(&output.stdout).trim().parse();
    sum.map_err(|_| Failure::failed(format!("{} could not be compressed", files[0].display())))
}

fn shown_size() -> Result<String> {
    let size = wasm_size()?;
    Ok(format!("{}, {} gzipped", megabytes(size.raw), megabytes(size.gzipped)))
}

fn cargo_output() -> PathBuf {
    paths::target().join("wasm32-unknown-unknown/release/loralet.wasm")
}

fn stamp_file() -> PathBuf {
    paths::pkg().join(".built-from")
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| value != "0" && !value.is_empty())
}

/// Changes when the package would: with cargo's output, the tools and their settings.
fn stamp(wasm: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    fs::read(wasm).context(wasm.display())?.hash(&mut hasher);
    WASM_BINDGEN.hash(&mut hasher);
    fs::read(paths::root().join("Cargo.lock")).context("Cargo.lock")?.hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

/// When the latest file below `dir` was written.
fn newest(dir: &Path, except: &[&str]) -> Option<SystemTime> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| !except.contains(&entry.file_name().to_string_lossy().as_ref()))
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            if meta.is_dir() { newest(&entry.path(), except) } else { meta.modified().ok() }
        })
        .max()
}

/// The commit that is checked out, for records of runs.
pub fn commit() -> Option<String> {
    process::stdout_of(Command::new("git").args(["rev-parse", "HEAD"]).current_dir(paths::root()))
}
