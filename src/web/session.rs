//! A [`crate::session::Session`] for JavaScript.

use super::blob::BlobSource;
use super::device::{choose, take_gpu_error};
use super::person::Listener;
use super::{error, read_recipe, to_js};
use crate::error::Error;
use crate::export::{self, ExportRequest, OutputFile, Sink};
use crate::generate::Caller;
use crate::recipe::BaseDtype;
use crate::rewards::person::Person;
use crate::session::{
    DeviceReport, GenerateRequest, MemoryReport, PredictRequest, Session as Core, WorthRequest,
};
use crate::weights::source::ByteSource;
use js_sys::{Array, Function, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

type JsResult = Result<JsValue, JsValue>;

/// One person's work with one model; see [`crate::session::Session`].
#[wasm_bindgen]
pub struct Session {
    core: Core,
    device: DeviceReport,
    helper_bytes: u64,
}

#[wasm_bindgen]
impl Session {
    pub async fn create(
        #[wasm_bindgen(unchecked_param_type = "DeviceChoice")] device: String,
    ) -> Result<Session, JsValue> {
        let (device, limits, report) = choose(&device).await.map_err(error::to_js)?;
        Ok(Session { core: Core::new(device, limits), device: report, helper_bytes: limits.helper })
    }

    #[wasm_bindgen(unchecked_return_type = "DeviceReport")]
    pub fn device(&self) -> JsResult {
        to_js(&self.device)
    }

    #[wasm_bindgen(unchecked_return_type = "ModelReport")]
    pub async fn open_model(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "ModelFile[]")] files: Array,
        model_name: String,
        #[wasm_bindgen(unchecked_param_type = "BaseDtype")] base_dtype: JsValue,
        #[wasm_bindgen(unchecked_param_type = "OnProgress")] on_progress: Function,
    ) -> JsResult {
        let base_dtype: BaseDtype = serde_wasm_bindgen::from_value(base_dtype).map_err(|failure| {
            error::to_js(Error::InvalidRecipe { reason: format!("base_dtype: {failure}") })
        })?;
        let mut sources: Vec<Box<dyn ByteSource>> = Vec::new();
        for file in files.iter() {
            let name = get(&file, "name")?.as_string().unwrap_or_default();
            let blob: Blob = get(&file, "blob")?.dyn_into()?;
            sources.push(Box::new(BlobSource::new(name, blob).map_err(error::to_js)?));
        }
        let progress = |done: u64, total: u64| {
            // A listener that throws must not stop the load.
            let _ = on_progress.call2(&JsValue::NULL, &(done as f64).into(), &(total as f64).into());
        };
        to_js(&self.core.open_model(sources, &model_name, base_dtype, &progress).map_err(error::to_js)?)
    }

    #[wasm_bindgen(unchecked_return_type = "DataSummary")]
    pub fn open_data(
        &mut self,
        file_name: &str,
        bytes: &[u8],
        #[wasm_bindgen(unchecked_param_type = "Recipe")] recipe: JsValue,
    ) -> JsResult {
        let recipe = read_recipe(recipe)?;
        let summary = self.core.open_data(file_name, bytes, &recipe).map_err(error::to_js)?;
        to_js(&summary)
    }

    /// Measures forgetting by this file instead of the built-in text.
    #[wasm_bindgen(unchecked_return_type = "ProbeSummary")]
    pub fn open_probe(&mut self, file_name: &str, bytes: &[u8]) -> JsResult {
        to_js(&self.core.open_probe(file_name, bytes).map_err(error::to_js)?)
    }

    pub fn close_probe(&mut self) {
        self.core.close_probe();
    }

    /// `rate` is left out where nobody is there to rate.
    #[wasm_bindgen(unchecked_return_type = "Plan")]
    pub async fn begin(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "Recipe")] recipe: JsValue,
        #[wasm_bindgen(unchecked_param_type = "Rate | undefined")] rate: Option<Function>,
        #[wasm_bindgen(unchecked_param_type = "GoOn")] go_on: Function,
    ) -> JsResult {
        let recipe = read_recipe(recipe)?;
        self.set_listeners(rate, go_on);
        to_js(&self.core.begin(&recipe).map_err(error::to_js)?)
    }

    /// A report of each step that was done: at least one, and up to `most`.
    #[wasm_bindgen(unchecked_return_type = "StepReport[]")]
    pub async fn steps(&mut self, most: usize) -> JsResult {
        let reports = self.core.steps(most).await;
        self.gpu_error()?;
        to_js(&reports.map_err(error::to_js)?)
    }

    #[wasm_bindgen(unchecked_return_type = "Evaluation")]
    pub async fn evaluate(&self) -> JsResult {
        to_js(&self.core.evaluate().await.map_err(error::to_js)?)
    }

    /// Loss over the open data file, all of it or the rows that the recipe holds out, as the base or with the adapter.
    #[wasm_bindgen(unchecked_return_type = "Evaluation")]
    pub async fn score(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Recipe")] recipe: JsValue,
        adapter: bool,
        held_out: bool,
    ) -> JsResult {
        let recipe = read_recipe(recipe)?;
        let evaluation = match held_out {
            true => self.core.score_held_out(&recipe, adapter).await,
            false => self.core.score(&recipe, adapter).await,
        };
        to_js(&evaluation.map_err(error::to_js)?)
    }

    #[wasm_bindgen(unchecked_return_type = "Uint8Array<ArrayBuffer>")]
    pub async fn save_checkpoint(&self) -> Result<Uint8Array, JsValue> {
        let bytes = self.core.save_checkpoint().await.map_err(error::to_js)?;
        Ok(Uint8Array::from(bytes.as_slice()))
    }

    #[wasm_bindgen(unchecked_return_type = "Plan")]
    pub async fn resume(
        &mut self,
        checkpoint: Uint8Array,
        #[wasm_bindgen(unchecked_param_type = "Rate | undefined")] rate: Option<Function>,
        #[wasm_bindgen(unchecked_param_type = "GoOn")] go_on: Function,
    ) -> JsResult {
        self.set_listeners(rate, go_on);
        to_js(&self.core.resume(&checkpoint.to_vec()).map_err(error::to_js)?)
    }

    pub fn steps_done(&self) -> usize {
        self.core.steps_done()
    }

    #[wasm_bindgen(unchecked_return_type = "AdapterFile[]")]
    pub async fn adapter_files(&self) -> Result<Array, JsValue> {
        adapter_files(self.core.adapter_files().await.map_err(error::to_js)?)
    }

    /// A Python project that goes on with the open data, this recipe and the adapter on one GPU or many.
    #[wasm_bindgen(unchecked_return_type = "AdapterFile[]")]
    pub async fn graduate(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Recipe")] recipe: JsValue,
    ) -> Result<Array, JsValue> {
        let files = self.core.graduate_files(&read_recipe(recipe)?).await;
        self.gpu_error()?;
        adapter_files(files.map_err(error::to_js)?)
    }

    /// The same files as one zip.
    #[wasm_bindgen(unchecked_return_type = "Uint8Array<ArrayBuffer>")]
    pub async fn graduate_zip(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Recipe")] recipe: JsValue,
    ) -> Result<Uint8Array, JsValue> {
        let files = self.core.graduate_files(&read_recipe(recipe)?).await;
        self.gpu_error()?;
        let bytes = export::zip(&files.map_err(error::to_js)?).map_err(error::to_js)?;
        Ok(Uint8Array::from(bytes.as_slice()))
    }

    #[wasm_bindgen(unchecked_return_type = "Uint8Array<ArrayBuffer>")]
    pub async fn adapter_zip(&self) -> Result<Uint8Array, JsValue> {
        let files = self.core.adapter_files().await.map_err(error::to_js)?;
        let bytes = export::zip(&files).map_err(error::to_js)?;
        Ok(Uint8Array::from(bytes.as_slice()))
    }

    /// Names and sizes of the files that [`Session::export`] writes, and what to type to use them.
    #[wasm_bindgen(unchecked_return_type = "Manifest")]
    pub async fn export_manifest(
        &self,
        #[wasm_bindgen(unchecked_param_type = "ExportRequest")] request: JsValue,
    ) -> JsResult {
        let request = export_request(request)?;
        to_js(&self.core.export_manifest(&request).await.map_err(error::to_js)?)
    }

    /// What was trained in another tool's format, piece by piece: `write` gets the file's name and bytes.
    pub async fn export(
        &self,
        #[wasm_bindgen(unchecked_param_type = "ExportRequest")] request: JsValue,
        #[wasm_bindgen(unchecked_param_type = "(name: string, bytes: Uint8Array<ArrayBuffer>) => void")]
        write: Function,
    ) -> Result<(), JsValue> {
        let mut sink = FunctionSink { name: JsValue::NULL, write };
        let exported = self.core.export(&export_request(request)?, &mut sink).await;
        self.gpu_error()?;
        exported.map_err(error::to_js)
    }

    pub async fn load_adapter(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "AdapterFile[]")] files: Array,
    ) -> Result<(), JsValue> {
        self.core.load_adapter(&output_files(&files)?).map_err(error::to_js)
    }

    /// The files of an adapter that `grpo.reward` "reward_model" asks, or one zip of them.
    pub fn open_reward_model(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "AdapterFile[]")] files: Array,
    ) -> Result<(), JsValue> {
        self.core.open_reward_model(&output_files(&files)?).map_err(error::to_js)
    }

    pub fn close_reward_model(&mut self) {
        self.core.close_reward_model();
    }

    pub fn has_adapter(&self) -> bool {
        self.core.has_adapter()
    }

    #[wasm_bindgen(unchecked_return_type = "GenerateReport")]
    pub async fn generate(
        &self,
        #[wasm_bindgen(unchecked_param_type = "GenerateRequest")] request: JsValue,
        #[wasm_bindgen(unchecked_param_type = "OnText")] on_text: Function,
    ) -> JsResult {
        let request: GenerateRequest = serde_wasm_bindgen::from_value(request).map_err(|error| {
            error::to_js(Error::InvalidRecipe { reason: format!("the request cannot be read ({error})") })
        })?;
        let on_text = async |delta: &str| {
            let failed = |_| Error::Training { reason: "the listener of the answer failed".into() };
            let answer = on_text.call1(&JsValue::NULL, &delta.into()).map_err(failed)?;
            let go_on = JsFuture::from(js_sys::Promise::resolve(&answer)).await.map_err(failed)?;
            Ok(go_on.is_undefined() || go_on.is_truthy())
        };
        let answer = self.core.generate(&request, on_text).await;
        self.gpu_error()?;
        to_js(&answer.map_err(error::to_js)?)
    }

    /// Held-out rows answered by the base, by the base with examples in its prompt, and by the tuned model.
    #[wasm_bindgen(unchecked_return_type = "Worth")]
    pub async fn worth(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "Recipe")] recipe: JsValue,
        #[wasm_bindgen(unchecked_param_type = "WorthRequest")] request: JsValue,
        #[wasm_bindgen(unchecked_param_type = "OnAnswers")] on_progress: Function,
    ) -> JsResult {
        let recipe = read_recipe(recipe)?;
        let request: WorthRequest = serde_wasm_bindgen::from_value(request).map_err(|error| {
            error::to_js(Error::InvalidRecipe { reason: format!("the request cannot be read ({error})") })
        })?;
        let go_on = async |done: usize, total: usize| {
            let failed = |_| Error::Training { reason: "the listener of the measurement failed".into() };
            let answer = on_progress.call2(&JsValue::NULL, &done.into(), &total.into()).map_err(failed)?;
            let go_on = JsFuture::from(js_sys::Promise::resolve(&answer)).await.map_err(failed)?;
            Ok(go_on.is_undefined() || go_on.is_truthy())
        };
        let worth = self.core.worth(&request, &recipe, go_on).await;
        self.gpu_error()?;
        to_js(&worth.map_err(error::to_js)?)
    }

    /// The texts of the open data nearest to a query, by their embeddings.
    #[wasm_bindgen(unchecked_return_type = "Neighbour[]")]
    pub async fn search(&self, query: &str, adapter: bool) -> JsResult {
        let found = self.core.search(query, adapter).await;
        self.gpu_error()?;
        to_js(&found.map_err(error::to_js)?)
    }

    /// The likeliest next tokens after a text, and how likely the text's own tokens are.
    #[wasm_bindgen(unchecked_return_type = "Predictions")]
    pub async fn predict(
        &self,
        #[wasm_bindgen(unchecked_param_type = "PredictRequest")] request: JsValue,
    ) -> JsResult {
        let request: PredictRequest = serde_wasm_bindgen::from_value(request).map_err(|error| {
            error::to_js(Error::InvalidRecipe { reason: format!("the request cannot be read ({error})") })
        })?;
        let predictions = self.core.predict(&request).await;
        self.gpu_error()?;
        to_js(&predictions.map_err(error::to_js)?)
    }

    /// Logits `[seq, vocab]`, row-major, for comparing with other implementations.
    #[wasm_bindgen(unchecked_return_type = "Float32Array<ArrayBuffer>")]
    pub async fn logits(&self, input_ids: Vec<u32>, adapter: bool) -> Result<js_sys::Float32Array, JsValue> {
        let logits = self.core.logits(&input_ids, adapter).await.map_err(error::to_js)?;
        Ok(js_sys::Float32Array::from(logits.as_slice()))
    }

    #[wasm_bindgen(unchecked_return_type = "MemoryReport")]
    pub fn memory(&self) -> JsResult {
        let wasm_bytes = core::arch::wasm32::memory_size(0) as f64 * 65536.0;
        to_js(&MemoryReport {
            wasm_bytes,
            wasm_peak_bytes: wasm_bytes,
            helper_bytes: self.helper_bytes as f64,
            gpu_bytes: self.core.gpu_bytes().map(|b| b as f64),
        })
    }

    pub fn reset_training(&mut self) {
        self.core.reset_training();
    }

    fn set_listeners(&mut self, rate: Option<Function>, go_on: Function) {
        self.core.set_person(rate.map(|rate| Person::new(Listener(rate))));
        self.core.set_caller(Some(Caller::new(move || {
            let asked = go_on.call0(&JsValue::NULL);
            Box::pin(async move {
                let answer = match asked {
                    Ok(asked) => JsFuture::from(js_sys::Promise::resolve(&asked)).await,
                    failed => failed,
                };
                // A listener that throws must not stop the run.
                answer.map_or(true, |answer| answer.is_truthy())
            })
        })));
    }

    fn gpu_error(&self) -> Result<(), JsValue> {
        match take_gpu_error() {
            Some(reason) => {
                Err(error::to_js(Error::DeviceLost { reason: format!("it reported an error: {reason}") }))
            }
            None => Ok(()),
        }
    }
}

/// Hands files to JavaScript, which keeps them outside of wasm's memory.
struct FunctionSink {
    /// The file's that is being written.
    name: JsValue,
    write: Function,
}

impl Sink for FunctionSink {
    fn begin(&mut self, name: &str) -> crate::Result<()> {
        self.name = name.into();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> crate::Result<()> {
        let written = self.write.call2(&JsValue::NULL, &self.name, &Uint8Array::from(bytes));
        written.map(drop).map_err(|_| Error::Training { reason: "the file could not be written".into() })
    }
}

fn export_request(request: JsValue) -> Result<ExportRequest, JsValue> {
    serde_wasm_bindgen::from_value(request).map_err(|error| {
        error::to_js(Error::InvalidRecipe {
            reason: format!("the request for an export cannot be read ({error})"),
        })
    })
}

/// Files as JavaScript has them.
fn adapter_files(files: Vec<OutputFile>) -> Result<Array, JsValue> {
    let entries = Array::new();
    for file in files {
        let entry = Object::new();
        Reflect::set(&entry, &"name".into(), &file.name.into())?;
        Reflect::set(&entry, &"bytes".into(), &Uint8Array::from(file.bytes.as_slice()))?;
        entries.push(&entry);
    }
    Ok(entries)
}

fn output_files(files: &Array) -> Result<Vec<OutputFile>, JsValue> {
    let read = |file: JsValue| -> Result<OutputFile, JsValue> {
        let name = get(&file, "name")?.as_string().unwrap_or_default();
        Ok(OutputFile { name, bytes: Uint8Array::new(&get(&file, "bytes")?).to_vec() })
    };
    files.iter().map(read).collect()
}

fn get(object: &JsValue, key: &str) -> JsResult {
    Reflect::get(object, &key.into())
}
