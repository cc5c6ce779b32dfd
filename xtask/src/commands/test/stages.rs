//! The stages of `cargo xtask test`, cheapest and most telling first where builds allow it.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::super::bench::{self, flat};
use super::counts::Counts;
use crate::error::{Context, Failure, Result};
use crate::process::{self, last_lines, run_any};
use crate::progress::{megabytes, say};
use crate::server::{JobFiles, Server};
use crate::{paths, provision, site};

pub struct Stage {
    pub name: &'static str,
    pub what: &'static str,
    pub lane: Lane,
    pub run: fn(Length) -> Result<Counts>,
}

/// Stages of one lane follow one another; the lanes run side by side, since each waits for a single core now and then.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Native,
    Browser,
    /// What needs the built page and compiles nothing else: for the lane that is free first, the longest stage first.
    Either,
}

/// `cargo xtask test`, or `cargo xtask test --long`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Length {
    Short,
    Long,
}

#[rustfmt::skip]
pub const STAGES: &[Stage] = &[
    Stage { name: "format", what: "rustfmt", lane: Lane::Native, run: format },
    Stage { name: "xtask", what: "tests of these commands", lane: Lane::Native, run: xtask },
    Stage { name: "native", what: "native tests, with parity and real models", lane: Lane::Native, run: native },
    Stage { name: "types", what: "committed TypeScript types are those of the Rust types", lane: Lane::Native, run: types },
    Stage { name: "lint", what: "clippy for native and wasm, documentation", lane: Lane::Native, run: lint },
    Stage { name: "setup", what: "tools, browser and models", lane: Lane::Browser, run: setup },
    Stage { name: "wasm", what: "the wasm package and its size", lane: Lane::Browser, run: wasm },
    Stage { name: "www", what: "the page: types, lint, tests of its stores, build", lane: Lane::Browser, run: www },
    Stage { name: "browser", what: "wasm tests in headless Chromium", lane: Lane::Browser, run: browser },
    Stage { name: "mishaps", what: "the page where storage, network, devices or tabs fail, and its manners", lane: Lane::Either, run: mishaps },
    Stage { name: "e2e", what: "the page in headless Chromium, on CPU and on software WebGPU", lane: Lane::Either, run: e2e },
    Stage { name: "memory", what: "memory over many steps, and at its peak beside the estimate", lane: Lane::Either, run: memory },
    Stage { name: "commands", what: "train, generate and eval from the command line", lane: Lane::Either, run: super::commands::run },
];

/// The shipped wasm may be this large, gzipped.
const WASM_LIMIT: u64 = 4_500_000;

/// And the page before its trainer this large, gzipped.
const SHELL_LIMIT: u64 = 120_000;

/// What is downloaded; the next stage compiles its tool beside the crate.
fn setup(_: Length) -> Result<Counts> {
    provision::wasm_toolchain()?;
    process::side_by_side(vec![
        Box::new(|| provision::node_modules().map(drop)),
        Box::new(|| {
            provision::chromium()?;
            provision::chromedriver().map(drop)
        }),
        Box::new(models),
    ])?;
    Ok(Counts::check("setup", true))
}

fn models() -> Result<()> {
    provision::default_model()?;
    provision::minilm().map(drop)
}

fn format(_: Length) -> Result<Counts> {
    check("cargo fmt", provision::cargo().args(["fmt", "--all", "--check"]))
}

fn xtask(_: Length) -> Result<Counts> {
    cargo_tests(
        "cargo test (xtask)",
        provision::cargo().args(["test", "--profile", "xtask", "--package", "xtask"]),
    )
}

/// The native tests also write the TypeScript types, which the next stage looks at.
fn native(_: Length) -> Result<Counts> {
    models()?;
    let before = generated_types();
    let mut test = provision::cargo();
    test.args(["test", "--package", "loralet", "--no-fail-fast"]).env("LORALET_REQUIRE_MODELS", "1");
    let counts = cargo_tests("cargo test (native)", &mut test)?;
    let stale = paths::target().join("types-were-stale");
    match before == generated_types() {
        true => drop(fs::remove_file(&stale)),
        false => fs::write(&stale, "")?,
    }
    Ok(counts)
}

const STALE_TYPES: &str = "the types in www/src/engine/generated have been written anew: commit them";

fn types(_: Length) -> Result<Counts> {
    if generated_types().is_empty() {
        return Err(Failure::failed(
            "www/src/engine/generated is empty: the native tests write the types there",
        ));
    }
    let stale = paths::target().join("types-were-stale").exists();
    let changed = process::stdout_of(
        Command::new("git")
            .args(["status", "--porcelain", "www/src/engine/generated"])
            .current_dir(paths::root()),
    );
    let fresh = !stale && changed.is_none_or(|changed| changed.is_empty());
    if !fresh {
        eprintln!("{STALE_TYPES}");
    }
    Ok(Counts::check(STALE_TYPES, fresh))
}

fn wasm(_: Length) -> Result<Counts> {
    site::build_wasm()?;
    let size = site::wasm_size()?;
    let small = size.gzipped <= WASM_LIMIT;
    let large =
        format!("the wasm is {} gzipped, more than {}", megabytes(size.gzipped), megabytes(WASM_LIMIT));
    if !small {
        eprintln!("{large}");
    }
    Ok([Counts::check("build", true), Counts::check(large, small)].into_iter().sum())
}

/// In the release profile, so that the dependencies are those of the wasm package.
fn browser(_: Length) -> Result<Counts> {
    let tests = wasm_tests()?;
    let toolchain = provision::wasm_toolchain()?;
    let bin = provision::wasm_bindgen()?;
    let capabilities = paths::target().join("webdriver.json");
    let options = json!({
        "binary": provision::chromium()?,
        "args": [
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-quic",
            "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
        ],
    });
    fs::write(&capabilities, json!({ "goog:chromeOptions": options }).to_string())?;

    let mut test = toolchain.command("cargo", &[&bin]);
    test.args(["test", "--release", "--target", "wasm32-unknown-unknown", "--no-fail-fast"]);
    test.args(tests.iter().flat_map(|name| ["--test", name.as_str()]));
    test.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", bin.join("wasm-bindgen-test-runner"));
    test.env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", &capabilities).env("WASM_BINDGEN_TEST_TIMEOUT", "600");
    test.env("CHROMEDRIVER", provision::chromedriver()?);
    cargo_tests("cargo test (wasm, in Chromium)", &mut test)
}

fn www(_: Length) -> Result<Counts> {
    provision::node_modules()?;
    let npm = |script: &str| {
        check(
            &format!("npm run {script}"),
            Command::new("npm").args(["run", script]).current_dir(paths::www()),
        )
    };
    let checked = [npm("typecheck")?, npm("lint")?];
    let stores = node_tests("npm test", Command::new("npm").args(["test"]).current_dir(paths::www()))?;
    let page = match site::build_page().and_then(|()| site::shell_size()) {
        Ok(bytes) => {
            let shell = format!("{:.1} kB gzipped come before the trainer", bytes as f64 / 1e3);
            say("page", &shell);
            [Counts::check("npm run build", true), Counts::check(shell, bytes <= SHELL_LIMIT)]
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            [Counts::check(failure.to_string(), false), Counts::default()]
        }
    };
    Ok(checked.into_iter().chain([stores]).chain(page).sum())
}

fn e2e(length: Length) -> Result<Counts> {
    let uses = page_tests("e2e:uses")?;
    let long = if length == Length::Long { page_tests("e2e:long")? } else { Counts::default() };
    Ok([uses, long].into_iter().sum())
}

fn mishaps(_: Length) -> Result<Counts> {
    page_tests("e2e:mishaps")
}

/// Runs a script of `www/package.json` whose tests open the page.
fn page_tests(script: &str) -> Result<Counts> {
    site::build()?;
    models()?;
    let server = Server::start(0, JobFiles::default())?;
    let mut test = Command::new("npm");
    test.args(["run", script]).current_dir(paths::www());
    test.env("LORALET_URL", server.url()).env("CHROMIUM", provision::chromium()?);
    node_tests(&format!("npm run {script}"), &mut test)
}

/// On WebGPU in software a thousand steps would take too long: `cargo xtask bench --flat 1000` does them.
fn memory(length: Length) -> Result<Counts> {
    let (cpu_steps, webgpu_steps) = match length {
        Length::Short => (300, 100),
        Length::Long => (1000, 200),
    };
    site::build()?;
    let out = paths::root().join("out/test-memory");
    let measured = flat::measure(cpu_steps, webgpu_steps, &out)?;
    let flat = |device: &str| {
        let is_flat = measured[device]["flat"] == true;
        let found = format!("{}: {}", if is_flat { "flat" } else { "it grows" }, measured[device]);
        say(device, &found);
        Counts::check(format!("{device} {found}"), is_flat)
    };
    let flat: Counts = ["cpu", "webgpu"].into_iter().map(flat).sum();
    let runs = bench::memory::measure(&bench::text(&out, 4)?, &["cpu"])?;
    let objectives = bench::memory::measure_objectives(&out, &["cpu", "webgpu"])?;
    let near = |run: &Value, margin: f64| {
        let ratio = run["estimate_over_peak"].as_f64().unwrap_or(f64::NAN);
        let found = format!("{ratio:.2} of the peak: {run}");
        say("estimate", &found);
        // A ratio that is not a number must not pass.
        Counts::check(format!("estimate {found}"), (ratio - 1.0).abs() <= margin)
    };
    let runs = runs.as_array().into_iter().flatten().map(|run| near(run, 0.15));
    let objectives = objectives.as_array().into_iter().flatten().map(|run| near(run, 0.2));
    Ok(runs.chain(objectives).chain([flat]).sum())
}

fn lint(_: Length) -> Result<Counts> {
    const CLIPPY: &[&str] = &["clippy", "--workspace", "--all-targets"];
    let native = check("clippy", provision::cargo().args(CLIPPY).args(["--", "-D", "warnings"]))?;
    let mut doc = provision::cargo();
    doc.args(["doc", "--package", "loralet", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    let doc = check("cargo doc", &mut doc)?;
    let mut wasm = provision::wasm_toolchain()?.command("cargo", &[]);
    wasm.args(["clippy", "--lib", "--target", "wasm32-unknown-unknown", "--", "-D", "warnings"]);
    Ok([native, doc, check("clippy (wasm)", &mut wasm)?].into_iter().sum())
}

/// The integration tests that are written for wasm-bindgen's runner.
fn wasm_tests() -> Result<Vec<String>> {
    let dir = paths::root().join("tests");
    let mut names: Vec<String> = fs::read_dir(&dir)
        .context(dir.display())?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| fs::read_to_string(path).is_ok_and(|source| source.contains("wasm_bindgen_test")))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    if names.is_empty() { Err(Failure::failed("there are no wasm tests in tests/")) } else { Ok(names) }
}

fn check(label: &str, command: &mut Command) -> Result<Counts> {
    let finished = run_any(label, command)?;
    let counts = Counts::check(format!("{label}\n{}", last_lines(&finished.output, 20)), finished.success);
    show_failure(label, &finished, &counts);
    Ok(counts)
}

fn cargo_tests(label: &str, command: &mut Command) -> Result<Counts> {
    let finished = run_any(label, command)?;
    let counts = Counts::of_cargo(&finished.output).with_success(finished.success);
    show_failure(label, &finished, &counts);
    Ok(counts)
}

fn node_tests(label: &str, command: &mut Command) -> Result<Counts> {
    let finished = run_any(label, command)?;
    let counts = Counts::of_node(&finished.output).with_success(finished.success);
    show_failure(label, &finished, &counts);
    Ok(counts)
}

/// The end of the output has the reasons; a log in continuous integration has nothing else.
fn show_failure(label: &str, finished: &process::Finished, counts: &Counts) {
    if counts.failed > 0 {
        eprintln!("{}", last_lines(&finished.output, 80));
        eprintln!("{label} failed; all of its output is in {}", finished.log.display());
    }
}

fn generated_types() -> BTreeMap<PathBuf, String> {
    fn add(dir: &Path, files: &mut BTreeMap<PathBuf, String>) {
        for path in fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                add(&path, files);
            } else if let Ok(text) = fs::read_to_string(&path) {
                files.insert(path, text);
            }
        }
    }
    let mut files = BTreeMap::new();
    add(&paths::www().join("src/engine/generated"), &mut files);
    files
}

/// This very program, for the stage that tests it from outside.
pub fn this_program() -> Result<Command> {
    let mut command = Command::new(env::current_exe().context("this program's own path")?);
    command.current_dir(paths::root()).env(site::NO_BUILD, "1");
    Ok(command)
}
