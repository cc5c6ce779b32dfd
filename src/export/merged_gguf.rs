//! A whole model as one GGUF file: the base with the adapter merged into it, or what was trained whole
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>). A base that is GGUF keeps its metadata, with tokenizer and chat
//! template; one in a Hugging Face folder gets what its config.json and tokenizer.json say.

use super::gguf_vocabulary;
use super::merge::MergedWeight;
use super::request::ExportDtype;
use super::sink::{PIECE, Sink};
use crate::data::Tokenizer;
use crate::error::{Error, Result};
use crate::models::Model;
use crate::models::config::Config;
use crate::models::layers::rotary::{self, RopeScaling};
use crate::weights::gguf::{Gguf, read_f32};
use crate::weights::gguf_writer::GgufWriter;
use crate::weights::names::{self, Names, RowOrder};
use crate::weights::quantize::quantize;
use crate::weights::{Checkpoint, StorageType};

/// A model about to be written.
pub struct MergedGguf {
    header: GgufWriter,
    tensors: Vec<Tensor>,
    /// The divisors of rotary frequencies, where there are any: `rope_freqs.weight`, `[head_dim / 2]`.
    rope_factors: Option<Vec<f32>>,
}

/// Where a weight goes.
struct Tensor {
    weight: MergedWeight,
    dtype: StorageType,
    /// Rows that alternate in the file, by heads.
    heads: Option<usize>,
}

const ROPE_FACTORS: &str = "rope_freqs.weight";

/// What the metadata is made of.
pub struct Source<'a> {
    pub name: &'a str,
    pub checkpoint: &'a Checkpoint,
    pub tokenizer: &'a Tokenizer,
    /// Ids that end an answer.
    pub end_ids: &'a [u32],
}

impl MergedGguf {
    /// `weights` are those of `tuned`, the adapter's part added.
    ///
    /// # Errors
    /// An encoder or a classifier; an architecture, a window or a tokenizer that cannot be written.
    pub fn new(
        tuned: &Model,
        weights: Vec<MergedWeight>,
        source: &Source,
        dtype: ExportDtype,
    ) -> Result<MergedGguf> {
        let spec = tuned.spec();
        let Some(names) = names::names_of(spec.architecture).filter(|_| !tuned.is_encoder()) else {
            return Err(unsupported(format!("the architecture \"{}\"", spec.architecture), names::SUPPORTED));
        };
        if tuned.score().is_some() {
            let remedy = "write its adapter or its model as safetensors, which transformers opens";
            return Err(unsupported("a model that judges texts".into(), remedy));
        }
        let mut header = GgufWriter::default();
        let rope_factors = match source.checkpoint.gguf()? {
            Some((gguf, file)) => {
                keep_metadata(&mut header, &gguf);
                let factors = gguf.tensors.iter().find(|tensor| tensor.name == ROPE_FACTORS);
                factors.map(|tensor| read_f32(file, tensor)).transpose()?
            }
            None => {
                let factors = describe(&mut header, tuned, &weights, source)?;
                let (files, end_ids) = (&source.checkpoint.tokenizer, source.end_ids);
                gguf_vocabulary::write(&mut header, files, source.tokenizer, end_ids, spec.vocab_size)?;
                factors
            }
        };
        header.number("general.file_type", file_type(dtype));
        header.number("general.quantization_version", 2);
        if let Some(factors) = &rope_factors {
            header.tensor(ROPE_FACTORS, &[factors.len()], StorageType::F32);
        }
        let tied = !weights.iter().any(|weight| weight.name == "lm_head.weight");
        let mut tensors = Vec::with_capacity(weights.len());
        for weight in weights {
            let name = gguf_name(names, &weight.name)?;
            let is_head = name == "output.weight" || tied && name == "token_embd.weight";
            let dtype = storage(dtype, &name, &weight.shape, is_head, spec.num_hidden_layers);
            header.tensor(&name, &weight.shape, dtype);
            let order = names.row_order(&name, spec.num_attention_heads, spec.num_key_value_heads);
            let heads = match order {
                RowOrder::Interleaved { heads } => Some(heads),
                RowOrder::Same => None,
            };
            tensors.push(Tensor { weight, dtype, heads });
        }
        Ok(MergedGguf { header, tensors, rope_factors })
    }

    pub fn file_bytes(&self) -> u64 {
        self.header.file_bytes()
    }

    /// The file's bytes, tensor by tensor, to a file that has been begun.
    ///
    /// # Errors
    /// A device that stops answering; whatever the sink reports.
    pub async fn write(&self, sink: &mut dyn Sink) -> Result<()> {
        sink.write(&self.header.header())?;
        if let Some(factors) = &self.rope_factors {
            let bytes: Vec<u8> = factors.iter().flat_map(|factor| factor.to_le_bytes()).collect();
            sink.write(&bytes)?;
            sink.write(GgufWriter::padding(bytes.len() as u64))?;
        }
        for tensor in &self.tensors {
            let values = tensor.weight.read().await?;
            tensor.write(&values, sink)?;
        }
        Ok(())
    }
}

impl Tensor {
    fn write(&self, values: &[f32], sink: &mut dyn Sink) -> Result<()> {
        let rows = self.weight.shape[0];
        let width = values.len() / rows;
        let (mut bytes, mut written) = (Vec::new(), 0);
        for row in 0..rows {
            let row = match self.heads {
                Some(heads) => RowOrder::huggingface_row(row, rows / heads),
                None => row,
            };
            // A vector is rows of one number, and those are never quantised.
            quantize(self.dtype, &values[row * width..][..width], &mut bytes);
            if bytes.len() >= PIECE {
                sink.write(&bytes)?;
                written += bytes.len() as u64;
                bytes.clear();
            }
        }
        written += bytes.len() as u64;
        bytes.extend(GgufWriter::padding(written));
        sink.write(&bytes)
    }
}

/// All of the base's metadata but what is said of its storage.
fn keep_metadata(header: &mut GgufWriter, gguf: &Gguf) {
    const OWN: [&str; 3] = ["general.alignment", "general.file_type", "general.quantization_version"];
    for (key, value) in &gguf.metadata {
        if !OWN.contains(&&**key) && !key.starts_with("quantize.") && !key.starts_with("split.") {
            header.value(key, value);
        }
    }
}

/// What llama.cpp reads of a model's shape, from its config.json; the divisors of its rotary frequencies.
fn describe(
    header: &mut GgufWriter,
    model: &Model,
    weights: &[MergedWeight],
    source: &Source,
) -> Result<Option<Vec<f32>>> {
    let (spec, config) = (model.spec(), Config(&source.checkpoint.config));
    if config.windows(spec.num_hidden_layers)?.iter().any(Option::is_some) {
        let remedy =
            "llama.cpp computes this architecture without them; write the model as safetensors (merged)";
        return Err(unsupported("attention with sliding windows".into(), remedy));
    }
    let heads = (spec.num_attention_heads, spec.num_key_value_heads);
    let rows = |module: &str| {
        weights.iter().find(|weight| weight.name.ends_with(module)).map_or(0, |weight| weight.shape[0])
    };
    let head_dim = rows("self_attn.q_proj.weight") / heads.0;
    let (theta, scaling) = config.rope(head_dim)?;
    let a = spec.architecture;
    header.text("general.architecture", a);
    header.text("general.type", "model");
    header.text("general.name", source.name);
    let numbers = [
        ("vocab_size", spec.vocab_size),
        ("context_length", spec.max_position_embeddings),
        ("embedding_length", spec.hidden_size),
        ("block_count", spec.num_hidden_layers),
        ("feed_forward_length", spec.intermediate_size),
        ("attention.head_count", heads.0),
        ("attention.head_count_kv", heads.1),
        ("attention.key_length", head_dim),
        ("attention.value_length", head_dim),
        ("rope.dimension_count", head_dim),
    ];
    for (key, number) in numbers {
        header.number(&format!("{a}.{key}"), number as u32);
    }
    header.float(&format!("{a}.rope.freq_base"), theta as f32);
    let eps = config.number_or("rms_norm_eps", 1e-6);
    header.float(&format!("{a}.attention.layer_norm_rms_epsilon"), eps as f32);
    if let RopeScaling::Linear { factor } = scaling {
        header.text(&format!("{a}.rope.scaling.type"), "linear");
        header.float(&format!("{a}.rope.scaling.factor"), factor as f32);
    }
    Ok(match &scaling {
        RopeScaling::None | RopeScaling::Linear { .. } => None,
        RopeScaling::Factors(_) | RopeScaling::Llama3 { .. } => {
            Some(rotary::divisors(head_dim, theta, &scaling))
        }
    })
}

fn gguf_name(names: &Names, name: &str) -> Result<String> {
    names.gguf_name(name).ok_or_else(|| {
        unsupported(format!("the tensor \"{name}\""), "write the model as safetensors (merged)")
    })
}

/// How a tensor is stored, as llama.cpp's own quantisation does it: vectors stay f32; the output projection, and with Q4_K_M the
/// values' and the last projection of some blocks, get more bits.
fn storage(dtype: ExportDtype, name: &str, shape: &[usize], is_head: bool, blocks: usize) -> StorageType {
    let gets_more = name.ends_with(".attn_v.weight") || name.ends_with(".ffn_down.weight");
    let wanted = match dtype {
        _ if shape.len() < 2 => StorageType::F32,
        ExportDtype::Q4_0 | ExportDtype::Q4_K_M if is_head => StorageType::Q6_K,
        ExportDtype::Q4_K_M if gets_more && is_among_more_bits(name, blocks) => StorageType::Q6_K,
        dtype => dtype.storage(),
    };
    let fits = |form: &StorageType| shape.last().is_some_and(|width| width.is_multiple_of(form.block_size()));
    let smaller = match wanted {
        StorageType::Q4_K => StorageType::Q5_0,
        StorageType::Q6_K => StorageType::Q8_0,
        form => form,
    };
    [wanted, smaller].into_iter().find(fits).unwrap_or(StorageType::F16)
}

/// The first and the last eighth of the blocks, and every third between.
fn is_among_more_bits(name: &str, blocks: usize) -> bool {
    let block = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')?.0.parse::<usize>().ok());
    block.is_some_and(|block| block < blocks / 8 || block >= 7 * blocks / 8 || (block - blocks / 8) % 3 == 2)
}

/// llama.cpp's `llama_ftype`.
fn file_type(dtype: ExportDtype) -> u32 {
    match dtype {
        ExportDtype::F32 => 0,
        ExportDtype::F16 => 1,
        ExportDtype::Q4_0 => 2,
        ExportDtype::Q8_0 => 7,
        ExportDtype::Q4_K_M => 15,
        ExportDtype::Bf16 => 32,
    }
}

fn unsupported(what: String, supported: &str) -> Error {
    Error::Unsupported { file: "merged GGUF".into(), what, supported: supported.into() }
}
