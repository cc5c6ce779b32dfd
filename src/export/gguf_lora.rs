//! A LoRA adapter as one GGUF file, as llama.cpp, Ollama and LM Studio take it beside a base: `general.type` "adapter", and of each
//! layer `blk.N.attn_q.weight.lora_a` and `.lora_b`
//! (<https://github.com/ggml-org/llama.cpp/blob/master/convert_lora_to_gguf.py>).
//!
//! llama.cpp scales a path by `adapter.lora.alpha / rank`, with one alpha for all. Where layers have scales of their own, or √rank
//! divides (rsLoRA), the alpha is that of the first layer, and what another layer's scale differs by is multiplied into its B.

use super::low_rank;
use super::request::ExportDtype;
use super::sink::Sink;
use crate::adapters::{Parameter, Target, Trainable, lora};
use crate::error::{Error, Result};
use crate::kernels::readback::read;
use crate::models::{Model, float_tensor};
use crate::recipe::Method;
use crate::weights::StorageType;
use crate::weights::gguf::{Gguf, GgufTensor, read_f32};
use crate::weights::gguf_writer::GgufWriter;
use crate::weights::names::{self, Names, RowOrder};
use crate::weights::quantize::quantize;
use crate::weights::source::ByteSource;
use std::collections::{HashMap, HashSet};

const ALPHA: &str = "adapter.lora.alpha";

/// An adapter about to be written.
pub struct GgufLora {
    trainable: Trainable,
    names: &'static Names,
    heads: [usize; 2],
    alpha: f32,
    dtype: StorageType,
    header: GgufWriter,
}

impl GgufLora {
    /// `name` is the base's, `dtype` F32 or F16.
    ///
    /// # Errors
    /// What is trained is no plain low-rank adapter, or the base is none of llama.cpp's.
    pub fn new(trainable: &Trainable, base: &Model, name: &str, dtype: ExportDtype) -> Result<Self> {
        let dtype = dtype.storage();
        check(trainable)?;
        let spec = base.spec();
        let names = names::names_of(spec.architecture).ok_or_else(|| {
            unsupported(format!("the architecture \"{}\"", spec.architecture), names::SUPPORTED)
        })?;
        let first = &trainable.targets[0];
        let alpha = (scale(trainable, first) * first.rank as f64) as f32;
        let mut header = GgufWriter::default();
        header.text("general.architecture", spec.architecture);
        header.text("general.type", "adapter");
        header.text("general.name", &format!("LoRA adapter of {name}"));
        header.text("general.base_model.0.name", name);
        header.number("general.base_model.count", 1);
        header.number("general.file_type", u32::from(dtype == StorageType::F16));
        header.text("adapter.type", "lora");
        header.float(ALPHA, alpha);
        let heads = [spec.num_attention_heads, spec.num_key_value_heads];
        let mut lora = GgufLora { trainable: trainable.clone(), names, heads, alpha, dtype, header };
        for parameter in &trainable.parameters {
            let name = lora.tensor_name(parameter)?;
            lora.header.tensor(&name, &parameter.shape, dtype);
        }
        Ok(lora)
    }

    pub fn file_bytes(&self) -> u64 {
        self.header.file_bytes()
    }

    /// The file's bytes, to a file that has been begun.
    ///
    /// # Errors
    /// A device that stops answering; whatever the sink reports.
    pub async fn write(&self, sink: &mut dyn Sink) -> Result<()> {
        sink.write(&self.header.header())?;
        for (pair, target) in self.trainable.parameters.chunks_exact(2).zip(&self.trainable.targets) {
            for parameter in pair {
                let tensor = self.trainable.values.clone().narrow(0, parameter.offset, parameter.len());
                let mut values = read(tensor).await?;
                if parameter.name.ends_with(".lora_B.weight") {
                    self.fold_scale(target, &mut values);
                    values = self.in_file_order(&self.tensor_name(parameter)?, &parameter.shape, values);
                }
                let mut bytes = Vec::new();
                quantize(self.dtype, &values, &mut bytes);
                bytes.extend(GgufWriter::padding(bytes.len() as u64));
                sink.write(&bytes)?;
            }
        }
        Ok(())
    }

    /// `model.layers.0.self_attn.q_proj.lora_A.weight` → `blk.0.attn_q.weight.lora_a`
    fn tensor_name(&self, parameter: &Parameter) -> Result<String> {
        let split = |part: &str| Some(parameter.name.strip_suffix(part)?.to_string());
        let (path, part) = match (split(".lora_A.weight"), split(".lora_B.weight")) {
            (Some(path), _) => (path, "lora_a"),
            (_, Some(path)) => (path, "lora_b"),
            _ => return Err(unsupported(format!("the tensor \"{}\"", parameter.name), MERGE)),
        };
        let name = self.names.gguf_name(&format!("{path}.weight"));
        let name = name.ok_or_else(|| unsupported(format!("an adapter of the layer \"{path}\""), MERGE))?;
        Ok(format!("{name}.{part}"))
    }

    /// What llama.cpp's scale lacks.
    fn fold_scale(&self, target: &Target, lora_b: &mut [f32]) {
        let factor = scale(&self.trainable, target) * target.rank as f64 / f64::from(self.alpha);
        if (factor - 1.0).abs() > f64::from(f32::EPSILON) {
            lora_b.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
        }
    }

    /// The rows of B, `[out, rank]`, where the file has the rows of its layer.
    fn in_file_order(&self, name: &str, shape: &[usize], lora_b: Vec<f32>) -> Vec<f32> {
        let Some(heads) = interleaved(self.names, name, self.heads) else { return lora_b };
        let head_dim = shape[0] / heads;
        let row = |row| &lora_b[RowOrder::huggingface_row(row, head_dim) * shape[1]..][..shape[1]];
        (0..shape[0]).flat_map(row).copied().collect()
    }
}

/// Whether some bytes are such a file.
pub fn is_gguf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"GGUF")
}

/// Reads an adapter for a base model.
///
/// # Errors
/// Another GGUF file, an adapter of another model, or a tensor that is missing, not finite or without a place.
pub fn load(source: &dyn ByteSource, base: &Model) -> Result<Trainable> {
    let gguf = Gguf::open(source)?;
    let invalid = |reason: String| Error::InvalidAdapter { file: gguf.file.clone(), reason };
    for (key, wanted) in [("general.type", "adapter"), ("adapter.type", "lora")] {
        if gguf.text(key)? != Some(wanted) {
            return Err(invalid(format!(
                "its \"{key}\" is not \"{wanted}\", so it is no LoRA adapter; a model is opened as one, by itself"
            )));
        }
    }
    let spec = base.spec();
    let architecture = gguf.text("general.architecture")?.unwrap_or_default();
    let names = names::names_of(architecture).filter(|_| architecture == spec.architecture).ok_or_else(|| {
        invalid(format!(
            "it is for a model of the architecture \"{architecture}\", and this one is \"{}\"; open the base it was trained on",
            spec.architecture
        ))
    })?;
    let alpha = gguf.number(ALPHA)?.unwrap_or(0.0);
    if !(alpha as f32).is_finite() || alpha < 0.0 {
        return Err(invalid(format!("its \"{ALPHA}\" is {alpha}; it must be a number from 0 on")));
    }
    let tensors: HashMap<&str, &GgufTensor> =
        gguf.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let mut targets = Vec::new();
    for linear in base.clone().linears_mut() {
        let (path, [out, input]) = (linear.path.to_string(), linear.dims());
        let Some(name) = names.gguf_name(&format!("{path}.weight")) else { continue };
        let pair = ["lora_a", "lora_b"].map(|part| format!("{name}.{part}"));
        let shape = |name: &String| tensors.get(name.as_str()).map(|tensor| &tensor.shape[..]);
        let rank = match pair.each_ref().map(shape) {
            [None, None] => continue,
            [Some(&[rank, columns]), Some(&[rows, columns_of_b])]
                if [columns, rows, columns_of_b] == [input, out, rank] =>
            {
                rank
            }
            [Some(lora_a), Some(lora_b)] => {
                return Err(invalid(format!(
                    "tensors \"{}\" and \"{}\" are {lora_a:?} and {lora_b:?} where this model needs [rank, {input}] and \
                     [{out}, rank]; open the base it was trained on",
                    pair[0], pair[1]
                )));
            }
            [lora_a, _] => {
                let missing = if lora_a.is_none() { &pair[0] } else { &pair[1] };
                return Err(invalid(format!("tensor \"{missing}\" is missing; make the file again")));
            }
        };
        // Without an alpha llama.cpp does not scale.
        targets.push(Target { path, rank, alpha: if alpha == 0.0 { rank as f64 } else { alpha } });
    }
    let mut trainable = low_rank::untrained(base, targets, &invalid)?;
    let heads = [spec.num_attention_heads, spec.num_key_value_heads];
    let (mut values, mut used) = (Vec::new(), HashSet::new());
    for parameter in &trainable.parameters {
        let (path, part) = parameter.name.rsplit_once(".lora_").unwrap_or((&parameter.name, ""));
        let part = if part.starts_with('A') { "lora_a" } else { "lora_b" };
        let module = names.gguf_name(&format!("{path}.weight")).unwrap_or_default();
        let name = format!("{module}.{part}");
        let tensor = tensors[name.as_str()];
        let stored = read_f32(source, tensor)?;
        match interleaved(names, &name, heads).filter(|_| part == "lora_b") {
            None => values.extend(stored),
            Some(heads) => {
                let (head_dim, rank) = (tensor.shape[0] / heads, tensor.shape[1]);
                let row = |row| &stored[RowOrder::gguf_row(row, head_dim) * rank..][..rank];
                values.extend((0..tensor.shape[0]).flat_map(row));
            }
        }
        used.insert(name);
    }
    if let Some(stray) = gguf.tensors.iter().find(|tensor| !used.contains(&tensor.name)) {
        return Err(invalid(format!(
            "tensor \"{}\" has no place in this model; open the base it was trained on",
            stray.name
        )));
    }
    let total = values.len();
    trainable.values = float_tensor(values, [total], &base.device());
    Ok(trainable)
}

/// How many heads' rows alternate in the file; `None` where they are in Hugging Face's order.
fn interleaved(names: &Names, tensor: &str, [heads, kv_heads]: [usize; 2]) -> Option<usize> {
    let module = tensor.strip_suffix(".lora_b")?;
    match names.row_order(module, heads, kv_heads) {
        RowOrder::Interleaved { heads } => Some(heads),
        RowOrder::Same => None,
    }
}

fn scale(trainable: &Trainable, target: &Target) -> f64 {
    trainable.lora.scale(target.rank, target.alpha)
}

const MERGE: &str = "llama.cpp's adapters are low-rank pairs of the blocks' linear layers and nothing else; write the merged model (merged-gguf) instead";

fn check(trainable: &Trainable) -> Result<()> {
    if trainable.is_encoder {
        return Err(unsupported(
            "an encoder's adapter".into(),
            "llama.cpp has adapters for language models only; take the PEFT adapter",
        ));
    }
    if trainable.method != Method::Lora {
        return Err(unsupported("weights that were trained whole".into(), MERGE));
    }
    if trainable.lora.use_dora {
        return Err(unsupported("DoRA".into(), MERGE));
    }
    match trainable.parameters.iter().find(|parameter| !lora::is_part(&parameter.name)) {
        Some(whole) => Err(unsupported(format!("\"{}\", which was trained whole,", whole.name), MERGE)),
        None => Ok(()),
    }
}

fn unsupported(what: String, supported: &str) -> Error {
    Error::Unsupported { file: "GGUF adapter".into(), what, supported: supported.into() }
}
