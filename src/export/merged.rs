//! A whole model as a Hugging Face folder: `model.safetensors` with the adapter merged in, config.json and the tokenizer's files.

use super::OutputFile;
use super::merge::MergedWeight;
use super::request::ExportDtype;
use super::sink::{PIECE, Sink};
use crate::error::Result;
use crate::models::decoder::Head;
use crate::models::{Model, score};
use crate::weights::quantize::quantize;
use serde_json::{Map, Value, json};

/// The weights about to be written.
pub struct Merged {
    weights: Vec<MergedWeight>,
    dtype: ExportDtype,
    /// The length of the header's text, then the text.
    header: Vec<u8>,
}

pub const WEIGHTS: &str = "model.safetensors";

impl Merged {
    /// `dtype` is F32, F16 or BF16.
    pub fn new(weights: Vec<MergedWeight>, dtype: ExportDtype) -> Merged {
        let mut header = Map::from_iter([("__metadata__".to_string(), json!({ "format": "pt" }))]);
        let mut end = 0;
        for MergedWeight { name, shape, .. } in &weights {
            let start = end;
            end +=
                shape.iter().map(|&size| size as u64).product::<u64>() * dtype.storage().block_bytes() as u64;
            let entry =
                json!({ "dtype": dtype.storage().name(), "shape": shape, "data_offsets": [start, end] });
            header.insert(name.clone(), entry);
        }
        let mut text = Value::Object(header).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let header = [&(text.len() as u64).to_le_bytes()[..], &text].concat();
        Merged { weights, dtype, header }
    }

    pub fn file_bytes(&self) -> u64 {
        let numbers = |weight: &MergedWeight| weight.shape.iter().map(|&size| size as u64).product::<u64>();
        let numbers = self.weights.iter().map(numbers).sum::<u64>();
        self.header.len() as u64 + numbers * self.dtype.storage().block_bytes() as u64
    }

    /// The file's bytes, tensor by tensor, to a file that has been begun.
    ///
    /// # Errors
    /// A device that stops answering; whatever the sink reports.
    pub async fn write(&self, sink: &mut dyn Sink) -> Result<()> {
        sink.write(&self.header)?;
        let mut bytes = Vec::new();
        for weight in &self.weights {
            for piece in weight.read().await?.chunks(PIECE / 4) {
                bytes.clear();
                quantize(self.dtype.storage(), piece, &mut bytes);
                sink.write(&bytes)?;
            }
        }
        Ok(())
    }
}

/// `config.json` of the tuned model.
pub fn config(tuned: &Model, base_config: &Value, pad_token_id: u32, dtype: ExportDtype) -> OutputFile {
    let mut config = match tuned.labels() {
        Some(labels) => score::with_labels(base_config, labels, pad_token_id, tuned.is_encoder()),
        None => base_config.clone(),
    };
    let name = match dtype {
        ExportDtype::F16 => "float16",
        ExportDtype::Bf16 => "bfloat16",
        _ => "float32",
    };
    config["torch_dtype"] = name.into();
    if !config["dtype"].is_null() {
        config["dtype"] = name.into();
    }
    if tuned.decoder().is_ok_and(|decoder| matches!(decoder.head, Head::Own(_))) {
        config["tie_word_embeddings"] = false.into();
    }
    let bytes = serde_json::to_vec_pretty(&config).expect("plain JSON");
    OutputFile { name: "config.json".into(), bytes }
}
