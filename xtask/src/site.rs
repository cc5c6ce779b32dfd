//! Building what the browser loads: the wasm package and the page.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use crate::error::{Context, Failure, Result};
use crate::paths;
use crate::process::{self, run};
use crate::progress::{megabytes, say};
use crate::provision::{self, Toolchain};

const WASM: &str = "loralet_bg.wasm";

/// Sizes of the shipped wasm, in bytes.
pub struct WasmSize {
    pub raw: u64,
    pub gzipped: u64,
    /// Whether wasm-opt has been over it.
    pub optimised: bool,
}

/// Takes the wasm and the page as they are; for commands that are run by the stage that has just built them.
pub const NO_BUILD: &str = "LORALET_NO_BUILD";

/// Builds wasm and page where they are out of date.
pub fn build() -> Result<()> {
    if is_set(NO_BUILD) && paths::www().join("dist/headless.html").is_file() {
        return Ok(());
    }
    build_wasm()?;
    build_page()
}

/// `pkg/`: the crate as wasm with its JavaScript. `LORALET_FAST=1` leaves wasm-opt out.
pub fn build_wasm() -> Result<()> {
    let toolchain = provision::wasm_toolchain()?;
    let tools = [provision::wasm_bindgen()?, provision::wasm_pack()?, provision::wasm_opt()?];
    let tools: Vec<&Path> = tools.iter().map(PathBuf::as_path).collect();

    // The same build as wasm-pack's own, first, because wasm-opt takes minutes and is only worth
    // them when cargo's output has changed.
    run("cargo build (wasm)", &mut cargo_build(&toolchain))?;
    let stamp_file = paths::pkg().join(".built-from");
    let stamp = stamp(&cargo_output())?;
    let optimised = format!("{stamp} optimised");
    let built = fs::read_to_string(&stamp_file).unwrap_or_default();
    if built == optimised || (fast() && built == stamp) {
        say("wasm", format!("up to date, {}", shown_size()?));
        return Ok(());
    }

    let mut pack = toolchain.command("wasm-pack", &tools);
    pack.args(["--log-level", "warn", "build", "--target", "web", "--release"]);
    pack.args(["--out-dir", "pkg", "--out-name", "loralet"]);
    pack.args(fast().then_some("--no-opt"));
    run("wasm-pack build", &mut pack)?;
    fs::write(&stamp_file, if fast() { stamp } else { optimised }).context(stamp_file.display())?;
    say("wasm", format!("built, {}", shown_size()?));
    Ok(())
}

/// `www/dist/`: the page.
pub fn build_page() -> Result<()> {
    provision::node_modules()?;
    let www = paths::www();
    let newest_source = newest(&www, &["node_modules", "dist", "e2e", "test-results", "generated"])
        .max(newest(&paths::pkg(), &[]));
    let built = fs::metadata(www.join("dist/index.html")).and_then(|meta| meta.modified()).ok();
    if built >= newest_source && www.join("dist/headless.html").is_file() {
        say("page", "up to date");
        return Ok(());
    }
    run("npm run build", Command::new("npm").args(["run", "build"]).current_dir(&www))?;
    say("page", "built");
    Ok(())
}

/// How large the shipped wasm is.
pub fn wasm_size() -> Result<WasmSize> {
    let file = paths::pkg().join(WASM);
    let raw = fs::metadata(&file).context(file.display())?.len();
    let node = provision::node()?;
    // Node is here anyway, and brings zlib: level 9, as static hosts precompress.
    let script = "const {gzipSync} = require('zlib'), {readFileSync} = require('fs');\
                  console.log(gzipSync(readFileSync(process.argv[1]), {level: 9}).length)";
    let output = Command::new(node).arg("-e").arg(script).arg(&file).stderr(Stdio::inherit()).output()?;
    let gzipped = String::from_utf8_lossy(&output.stdout).trim().parse();
    let gzipped =
        gzipped.map_err(|_| Failure::failed(format!("{} could not be compressed", file.display())))?;
    let built = fs::read_to_string(paths::pkg().join(".built-from")).unwrap_or_default();
    Ok(WasmSize { raw, gzipped, optimised: built.ends_with(" optimised") })
}

fn shown_size() -> Result<String> {
    let size = wasm_size()?;
    let how = if size.optimised { "" } else { ", without wasm-opt" };
    Ok(format!("{}, {} gzipped{how}", megabytes(size.raw), megabytes(size.gzipped)))
}

fn cargo_build(toolchain: &Toolchain) -> Command {
    let mut build = toolchain.command("cargo", &[]);
    build.args(["build", "--lib", "--release", "--target", "wasm32-unknown-unknown"]);
    build
}

fn cargo_output() -> PathBuf {
    paths::target().join("wasm32-unknown-unknown/release/loralet.wasm")
}

fn fast() -> bool {
    is_set("LORALET_FAST")
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| value != "0" && !value.is_empty())
}

/// Changes when the package would: with cargo's output, the tools and their settings.
fn stamp(wasm: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    fs::read(wasm).context(wasm.display())?.hash(&mut hasher);
    for file in ["Cargo.toml", "xtask/tools/package-lock.json"] {
        fs::read(paths::root().join(file)).context(file)?.hash(&mut hasher);
    }
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
