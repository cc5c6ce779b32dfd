//! Running a job in headless Chromium, through the page's own worker.
//!
//! Three parties: a server of this process, a Node script that drives Chromium, and the page
//! `headless.html`, which reports back in events. The types of jobs and events are in `www/tools/headless.ts`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::driver::Driver;
use crate::error::{Failure, Result};
use crate::inputs::Model;
use crate::progress::Bar;
use crate::server::{JobFiles, Server};
use crate::{paths, provision};

/// Kinds of errors that are the program's fault rather than that of its input.
const OUR_FAULT: &[&str] = &["unexpected", "crashed", "worker", "browser", "device_lost"];

/// Bytes of a model that take long enough to load for a progress bar.
const WORTH_A_BAR: u64 = 100_000_000;

/// What to run in the browser.
#[derive(Default)]
pub struct Job {
    device: String,
    model: Option<Value>,
    adapter: Vec<Value>,
    data: Option<Value>,
    probe: Option<Value>,
    reward_model: Vec<Value>,
    recipe: Value,
    tasks: Vec<Value>,
    default_limits: bool,
    files: JobFiles,
}

impl Job {
    pub fn new(device: &str, model: &Model) -> Self {
        let mut job = Self { device: device.into(), recipe: json!({}), ..Self::default() };
        let files: Vec<Value> = model.files.iter().map(|file| job.input(file)).collect();
        job.model = Some(json!({ "name": model.name, "files": files }));
        job
    }

    pub fn adapter(mut self, files: &[(String, PathBuf)]) -> Self {
        self.adapter = files.iter().map(|file| self.input(file)).collect();
        self
    }

    pub fn data(mut self, file: &(String, PathBuf)) -> Self {
        self.data = Some(self.input(file));
        self
    }

    /// A file to measure forgetting by, in place of the built-in text.
    pub fn probe(mut self, file: Option<&(String, PathBuf)>) -> Self {
        self.probe = file.map(|file| self.input(file));
        self
    }

    /// An adapter that sampled answers are rewarded by.
    pub fn reward_model(mut self, files: &[(String, PathBuf)]) -> Self {
        self.reward_model = files.iter().map(|file| self.input(file)).collect();
        self
    }

    pub fn recipe(mut self, recipe: Value) -> Self {
        self.recipe = recipe;
        self
    }

    /// On WebGPU with the default limits and without any optional feature, whatever the adapter offers.
    pub fn default_limits(mut self) -> Self {
        self.default_limits = true;
        self
    }

    /// Where the page's outputs go.
    pub fn outputs(mut self, dir: &Path) -> Self {
        self.files.outputs = Some(dir.into());
        self
    }

    pub fn generate(self, label: &str, request: Value) -> Self {
        self.task(json!({ "task": "generate", "label": label, "request": request }))
    }

    pub fn train(
        mut self,
        resume: Option<&(String, PathBuf)>,
        checkpoint_every: Option<u64>,
        stop_after: Option<u64>,
    ) -> Self {
        let resume = resume.map(|file| self.input(file));
        self.task(json!({
            "task": "train", "resume": resume, "checkpoint_every": checkpoint_every, "stop_after": stop_after,
            "evaluate_base": false, "memory_after": [],
        }))
    }

    /// A run that tells, in events `memory_after`, what it occupies after some of its steps; it ends with the last of them.
    pub fn train_watched(self, memory_after: &[u64]) -> Self {
        self.task(json!({
            "task": "train", "resume": null, "checkpoint_every": null, "stop_after": memory_after.iter().max(),
            "evaluate_base": false, "memory_after": memory_after,
        }))
    }

    /// A whole run that also scores the base on the held-out rows before its first step.
    pub fn train_measured(self) -> Self {
        self.task(json!({
            "task": "train", "resume": null, "checkpoint_every": null, "stop_after": null, "evaluate_base": true,
            "memory_after": [],
        }))
    }

    /// Loss over every row of the data, or over those that a run with the recipe holds out.
    pub fn score(self, adapter: bool, held_out: bool) -> Self {
        self.task(json!({ "task": "score", "adapter": adapter, "held_out": held_out }))
    }

    /// Asks held-out rows of the base, of the base with examples in its prompt, and of the tuned model.
    pub fn worth(self, rows: u64, examples: u64) -> Self {
        self.task(json!({ "task": "worth", "request": { "rows": rows, "examples": examples } }))
    }

    /// Writes some logits of every position, with and without the adapter, to `logits.json`.
    pub fn logits(self, input_ids: &[u32], vocab_ids: &[u32]) -> Self {
        self.task(
            json!({ "task": "logits", "input_ids": input_ids, "vocab_ids": vocab_ids, "adapter": true }),
        )
    }

    /// The same of a model without an adapter.
    pub fn base_logits(self, input_ids: &[u32], vocab_ids: &[u32]) -> Self {
        self.task(
            json!({ "task": "logits", "input_ids": input_ids, "vocab_ids": vocab_ids, "adapter": false }),
        )
    }

    /// A run for each combination of values, each setting with its values as text.
    pub fn sweep(self, sweep: Value, estimate_only: bool) -> Self {
        self.task(json!({ "task": "sweep", "sweep": sweep, "estimate_only": estimate_only }))
    }

    /// Writes the adapter, or the model with it, in another tool's format.
    pub fn export(self, format: &str, dtype: Option<&str>) -> Self {
        self.export_at(format, dtype, 1.0)
    }

    /// The same with the adapter at `strength`.
    pub fn export_at(self, format: &str, dtype: Option<&str>, strength: f64) -> Self {
        let request = json!({ "format": format, "dtype": dtype, "strength": strength });
        self.task(json!({ "task": "export", "request": request }))
    }

    /// Writes the data, the recipe and the adapter as a Python project.
    pub fn graduate(self) -> Self {
        self.task(json!({ "task": "graduate" }))
    }

    pub fn save_adapter(self) -> Self {
        self.task(json!({ "task": "save_adapter" }))
    }

    /// Runs the job; `on_event` sees each event of the page. The last words of a failed page are the error.
    pub fn run(self, mut on_event: impl FnMut(&Value) -> Result<()>) -> Result<()> {
        let chromium = provision::chromium()?;
        let server = Server::start(0, self.files)?;
        let job = json!({
            "device": self.device, "model": self.model, "adapter": self.adapter, "data": self.data, "probe": self.probe,
            "reward_model": self.reward_model,
            "recipe": self.recipe, "tasks": self.tasks, "default_limits": self.default_limits,
        });
        let call = json!({ "url": server.url(), "chromium": chromium, "modules": modules(), "job": job });

        let mut driver = Driver::script("run.mjs", &call)?;
        let mut loading: Option<Bar> = None;
        let mut console = Vec::new();
        while let Some(event) = driver.next()? {
            match event["event"].as_str().unwrap_or_default() {
                "done" => return Ok(()),
                "failed" => return Err(failure(&event, &console)),
                "console" => console.push(event["text"].as_str().unwrap_or_default().to_string()),
                "model_progress" if number(&event["total"]) >= WORTH_A_BAR => {
                    let (done, total) = (number(&event["done"]), number(&event["total"]));
                    let bar =
                        loading.get_or_insert_with(|| Bar::new("loading the model (MB)", total / 1_000_000));
                    bar.set(done / 1_000_000, String::new());
                }
                kind => {
                    if kind == "model" {
                        loading = None;
                    }
                    on_event(&event)?;
                }
            }
        }
        Err(Failure::failed(format!("the browser ended without a result\n{}", console.join("\n"))))
    }

    fn task(mut self, task: Value) -> Self {
        self.tasks.push(task);
        self
    }

    /// Lets the page fetch the file; its name for the page is its own, its address a number.
    fn input(&mut self, (name, path): &(String, PathBuf)) -> Value {
        let inputs: &mut BTreeMap<String, PathBuf> = &mut self.files.inputs;
        let key = inputs.len().to_string();
        inputs.insert(key.clone(), path.clone());
        json!({ "name": name, "url": format!("/job/in/{key}") })
    }
}

/// Another library's page with the interface of `bench.html`.
pub struct PeerPage {
    /// Its address on the server, below `/peers/`.
    pub page: &'static str,
    /// The folder that the page sees as `/peers/package/`.
    pub package: PathBuf,
}

/// `bench.html`, kept open in a browser with a software WebGPU adapter; `xtask/browser/bench.mjs` says what it can be asked.
pub struct BenchPages {
    driver: Driver,
    _server: Server,
}

impl BenchPages {
    pub fn open(peer: Option<&PeerPage>) -> Result<Self> {
        let server = Server::start(0, JobFiles::default())?;
        let peer = peer.map(|peer| json!({ "page": peer.page, "package": peer.package }));
        let call = json!({
            "url": server.url(), "chromium": provision::chromium()?, "modules": modules(), "peer": peer,
        });
        Ok(Self { driver: Driver::script("bench.mjs", &call)?, _server: server })
    }

    pub fn ask(&mut self, request: &Value) -> Result<Value> {
        self.driver.ask(request)
    }
}

/// Where the scripts find the packages of the page.
fn modules() -> String {
    format!("{}/", paths::www().join("node_modules").display())
}

/// A count out of an event; JavaScript knows only floating-point numbers.
pub fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_f64().map(|number| number as u64)).unwrap_or(0)
}

fn failure(event: &Value, console: &[String]) -> Failure {
    let kind = event["kind"].as_str().unwrap_or("unexpected");
    let message = event["message"].as_str().unwrap_or("the page failed without a message").to_string();
    if !OUR_FAULT.contains(&kind) {
        return Failure::Input(message);
    }
    if kind == "device_lost" {
        return Failure::Failed(format!("{message}; run it again, with --device cpu if that does not help"));
    }
    let said = if console.is_empty() {
        String::new()
    } else {
        format!("\nthe browser's console:\n{}", console.join("\n"))
    };
    Failure::Failed(format!("{message}{said}"))
}
