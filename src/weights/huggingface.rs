//! A Hugging Face folder: `config.json`, the tokenizer's files, and safetensors, single or sharded.

use super::checkpoint::{Opened, SourceFormat, TensorInfo, TokenizerFiles};
use super::names::{RowOrder, unwrapped};
use super::quant::dequantize;
use super::safetensors::{read_header, storage_type};
use super::source::{ByteSource, read_text};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap, HashSet};

const INDEX: &str = "model.safetensors.index.json";

/// Reads all headers.
///
/// # Errors
/// A file that is needed is missing, damaged or of a kind that is not supported.
pub(super) fn open(files: &[Box<dyn ByteSource>]) -> Result<Opened> {
    let folder = Folder { files };
    let Some(mut config) = folder.json("config.json")? else {
        return Err(missing(
            "config.json",
            "choose one .gguf file, or all files of the model's Hugging Face folder together",
        ));
    };
    fill_defaults(&mut config);
    let generation_config = folder.json("generation_config.json")?.unwrap_or(Value::Null);
    let tokenizer = folder.tokenizer()?;
    let mut tensors = folder.tensors()?;
    folder.name_as_saved_alone(&mut tensors, config["model_type"] == "bert")?;
    if config["tie_word_embeddings"] == true {
        config["tie_word_embeddings"] = folder.tie(&mut tensors)?.into();
    }
    let end_token_ids = [&config["eos_token_id"], &generation_config["eos_token_id"]]
        .into_iter()
        .flat_map(token_ids)
        .collect();
    Ok(Opened { config, tokenizer, tensors, format: SourceFormat::Safetensors, end_token_ids })
}

/// A file's name without its folder.
pub(super) fn base_name(source: &dyn ByteSource) -> &str {
    source.name().rsplit(['/', '\\']).next().unwrap_or_default()
}

struct Folder<'a> {
    files: &'a [Box<dyn ByteSource>],
}

impl Folder<'_> {
    fn find(&self, name: &str) -> Option<usize> {
        self.files.iter().position(|file| base_name(file.as_ref()) == name)
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        self.find(name).map(|index| read_text(self.files[index].as_ref())).transpose()
    }

    fn json(&self, name: &str) -> Result<Option<Value>> {
        let parse = |text: String| {
            serde_json::from_str::<Value>(&text).ok().filter(Value::is_object).ok_or_else(|| {
                let reason = match serde_json::from_str::<Value>(&text) {
                    Err(error) => format!("is not valid JSON ({error}); download it again"),
                    Ok(_) => "is not a JSON object; download it again".into(),
                };
                Error::InvalidModelFile { file: name.into(), reason }
            })
        };
        self.text(name)?.map(parse).transpose()
    }

    fn tokenizer(&self) -> Result<TokenizerFiles> {
        let Some(tokenizer_json) = self.text("tokenizer.json")? else {
            let remedy = match self.find("tokenizer.model").or(self.find("vocab.json")) {
                Some(_) => {
                    "make it with transformers: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
                }
                None => "add it to the chosen files",
            };
            return Err(missing("tokenizer.json", remedy));
        };
        let mut settings = self.json("tokenizer_config.json")?.unwrap_or(Value::Null);
        let special = self.json("special_tokens_map.json")?.unwrap_or(Value::Null);
        let token = |key: &str| token_text(&settings[key]).or_else(|| token_text(&special[key]));
        let beside = self.json("chat_template.json")?.map(|mut file| file["chat_template"].take());
        let chat_template = match self.text("chat_template.jinja")? {
            Some(template) => Some(template),
            None => {
                template_text(&settings["chat_template"]).or_else(|| beside.as_ref().and_then(template_text))
            }
        };
        let (bos_token, eos_token) = (token("bos_token"), token("eos_token"));
        let (unk_token, pad_token) = (token("unk_token"), token("pad_token"));
        if chat_template.is_none() && settings["chat_template"].is_null() {
            let named = match beside {
                Some(templates) => templates,
                None => self.named_templates()?,
            };
            if named.is_array() {
                settings["chat_template"] = named;
            }
        }
        Ok(TokenizerFiles {
            tokenizer_json,
            chat_template,
            bos_token,
            eos_token,
            unk_token,
            pad_token,
            additional: settings,
        })
    }

    /// Templates in files of their own, `additional_chat_templates/NAME.jinja`, as `tokenizer_config.json` lists them; null where
    /// there are none.
    fn named_templates(&self) -> Result<Value> {
        let mut named = Vec::new();
        for file in self.files {
            if let Some(name) = base_name(file.as_ref()).strip_suffix(".jinja") {
                named.push(json!({ "name": name, "template": read_text(file.as_ref())? }));
            }
        }
        Ok(if named.is_empty() { Value::Null } else { named.into() })
    }

    /// Every tensor of the model, from `model.safetensors` or from all shards.
    fn tensors(&self) -> Result<Vec<TensorInfo>> {
        let shards = match self.find("model.safetensors") {
            Some(single) => vec![single],
            None => self.shards()?,
        };
        let mut tensors: Vec<TensorInfo> = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        for &file in &shards {
            let source = self.files[file].as_ref();
            for stored in read_header(source)? {
                // Buffers that old versions of transformers saved; they follow from the config.
                if stored.name.ends_with("rotary_emb.inv_freq") || stored.name.ends_with("position_ids") {
                    continue;
                }
                let dtype = storage_type(base_name(source), &stored.name, stored.dtype)?;
                if let Some(&first) = seen.get(&stored.name) {
                    return Err(Error::InvalidTensor {
                        file: base_name(source).into(),
                        tensor: stored.name,
                        reason: format!(
                            "is in {} as well; choose the files of one model only",
                            base_name(self.files[first].as_ref())
                        ),
                    });
                }
                seen.insert(stored.name.clone(), file);
                let (name, shape, offset) = (stored.name, stored.shape, stored.offset);
                tensors.push(TensorInfo { name, shape, dtype, file, offset, order: RowOrder::Same });
            }
        }
        if shards.len() > 1 || self.find("model.safetensors").is_none() {
            self.check_index(&seen)?;
        }
        Ok(tensors)
    }

    /// Gives tensors the names that they have in a model that is saved by itself, without what programs that held it put before
    /// them.
    ///
    /// # Errors
    /// An adapter within; two tensors of one name.
    fn name_as_saved_alone(&self, tensors: &mut [TensorInfo], is_bert: bool) -> Result<()> {
        let is_of_adapter = |tensor: &&TensorInfo| {
            let parts: Vec<&str> = tensor.name.split('.').collect();
            parts.iter().any(|part| part.starts_with("lora_") || *part == "base_layer")
        };
        if let Some(tensor) = tensors.iter().find(is_of_adapter) {
            return Err(self.invalid(
                tensor,
                "belongs to an adapter: the model was saved while PEFT held it; merge the adapter (merge_and_unload) and save the \
                 model again, or choose the base model and its adapter one by one",
            ));
        }
        for tensor in tensors.iter_mut() {
            tensor.name = unwrapped(&tensor.name);
        }
        let embedding = if is_bert { "embeddings.word_embeddings.weight" } else { "embed_tokens.weight" };
        // `model.` for a decoder, nothing for an encoder; where something is before it, that is the wrapper's, and a
        // decoder's trunk that was saved alone lacks it.
        let trunk = if is_bert { "" } else { "model." };
        let before = tensors.iter().find_map(|tensor| Some(tensor.name.strip_suffix(embedding)?.to_string()));
        match before.as_deref().map(|before| before.strip_suffix(trunk)) {
            Some(Some(wrapper)) if !wrapper.is_empty() => {
                for tensor in tensors.iter_mut() {
                    if let Some(name) = tensor.name.strip_prefix(wrapper) {
                        tensor.name = name.into();
                    }
                }
            }
            Some(None) if before.as_deref() == Some("") => {
                let is_outside = |name: &str| name.starts_with("lm_head.") || name.starts_with("score.");
                for tensor in tensors.iter_mut().filter(|tensor| !is_outside(&tensor.name)) {
                    tensor.name.insert_str(0, trunk);
                }
            }
            _ => {}
        }
        let mut seen = HashSet::new();
        match tensors.iter().find(|tensor| !seen.insert(tensor.name.as_str())) {
            Some(tensor) => Err(self.invalid(
                tensor,
                "is there twice, under its own name and under that of a program that held the model; save the model again",
            )),
            None => Ok(()),
        }
    }

    /// Whether the output projection of a model whose config ties it to the embedding is that one. As in transformers 5, a
    /// projection of its own, which the file holds beside the embedding, is used.
    fn tie(&self, tensors: &mut Vec<TensorInfo>) -> Result<bool> {
        let find = |name: &str| tensors.iter().position(|tensor| tensor.name == name);
        match (find("model.embed_tokens.weight"), find("lm_head.weight")) {
            (Some(embedding), Some(head)) if !self.are_alike(&tensors[embedding], &tensors[head])? => {
                Ok(false)
            }
            (Some(_), Some(head)) => {
                tensors.remove(head);
                Ok(true)
            }
            // A file may keep either of two names of one tensor.
            (None, Some(head)) => {
                tensors[head].name = "model.embed_tokens.weight".into();
                Ok(true)
            }
            (_, None) => Ok(true),
        }
    }

    /// Whether two tensors hold the same numbers.
    fn are_alike(&self, one: &TensorInfo, other: &TensorInfo) -> Result<bool> {
        /// Numbers that are compared at a time.
        const PIECE: usize = 1 << 18;
        if one.shape != other.shape {
            return Ok(false);
        }
        let numbers: usize = one.shape.iter().product();
        let read = |tensor: &TensorInfo, from: usize, count: usize| -> Result<Vec<f32>> {
            let bytes_of_number = tensor.dtype.block_bytes();
            let mut bytes = vec![0; count * bytes_of_number];
            let offset = tensor.offset + from as u64 * bytes_of_number as u64;
            self.files[tensor.file].read_at(offset, &mut bytes)?;
            let mut values = vec![0.0; count];
            dequantize(tensor.dtype, &bytes, &mut values);
            Ok(values)
        };
        for from in (0..numbers).step_by(PIECE) {
            let count = PIECE.min(numbers - from);
            if read(one, from, count)? != read(other, from, count)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn invalid(&self, tensor: &TensorInfo, reason: &str) -> Error {
        Error::InvalidTensor {
            file: base_name(self.files[tensor.file].as_ref()).into(),
            tensor: tensor.name.clone(),
            reason: reason.into(),
        }
    }

    fn shards(&self) -> Result<Vec<usize>> {
        let names: BTreeSet<String> = match self.index()? {
            Some(index) => index.into_values().collect(),
            None => self.shard_names_from_files()?,
        };
        let find = |name: &String| {
            self.find(name)
                .ok_or_else(|| missing(name, "choose all of the model's safetensors files together"))
        };
        names.iter().map(find).collect()
    }

    /// Without an index: every shard that the names of the present ones, `…-00001-of-00003.safetensors`, promise; or the only file there is.
    fn shard_names_from_files(&self) -> Result<BTreeSet<String>> {
        let present: Vec<&str> = self
            .files
            .iter()
            .map(|file| base_name(file.as_ref()))
            .filter(|name| name.ends_with(".safetensors"))
            .collect();
        let total_of = |name: &str| {
            name.strip_prefix("model-")?
                .strip_suffix(".safetensors")?
                .split_once("-of-")?
                .1
                .parse::<usize>()
                .ok()
        };
        if let Some(total) = present.iter().find_map(|name| total_of(name)) {
            return Ok((1..=total.min(10_000))
                .map(|shard| format!("model-{shard:05}-of-{total:05}.safetensors"))
                .collect());
        }
        match present[..] {
            ["adapter_model.safetensors"] => Err(Error::InvalidModelFile {
                file: "adapter_model.safetensors".into(),
                reason: "is an adapter, not a model; choose the base model's files".into(),
            }),
            [only] => Ok(BTreeSet::from([only.to_string()])),
            [] => Err(missing(
                "model.safetensors",
                match self.files.iter().any(|file| base_name(file.as_ref()).ends_with(".bin")) {
                    true => {
                        "PyTorch .bin files are not read: save the model as safetensors, or use a GGUF file"
                    }
                    false => "add it to the chosen files",
                },
            )),
            [..] => Err(missing(
                "model.safetensors",
                "several other safetensors files were chosen; choose the files of one model only",
            )),
        }
    }

    /// Tensor name to shard name.
    fn index(&self) -> Result<Option<HashMap<String, String>>> {
        let Some(index) = self.json(INDEX)? else { return Ok(None) };
        match serde_json::from_value(index["weight_map"].clone()) {
            Ok(map) => Ok(Some(map)),
            Err(_) => Err(Error::InvalidModelFile {
                file: INDEX.into(),
                reason: "has no \"weight_map\" from tensors to files; download it again".into(),
            }),
        }
    }

    fn check_index(&self, seen: &HashMap<String, usize>) -> Result<()> {
        for (tensor, shard) in self.index()?.unwrap_or_default() {
            let found = seen.get(&tensor).map(|&file| base_name(self.files[file].as_ref()));
            if found != Some(shard.as_str()) && !tensor.ends_with("rotary_emb.inv_freq") {
                return Err(Error::InvalidTensor {
                    file: shard,
                    tensor,
                    reason: format!("is listed in {INDEX} but is not in the file; download both again"),
                });
            }
        }
        Ok(())
    }
}

/// Writes out what a llama `config.json` may leave to its class's defaults, or keeps in `rope_parameters` since transformers 5.
fn fill_defaults(config: &mut Value) {
    if config["model_type"] != "llama" {
        return;
    }
    let rope = config["rope_parameters"].clone();
    let scaled = rope["rope_type"].as_str().is_some_and(|kind| kind != "default");
    let head_dim = match (config["hidden_size"].as_u64(), config["num_attention_heads"].as_u64()) {
        (Some(hidden), Some(heads @ 1..)) => json!(hidden / heads),
        _ => Value::Null,
    };
    let defaults = [
        ("num_key_value_heads", config["num_attention_heads"].clone()),
        ("head_dim", head_dim),
        ("rms_norm_eps", json!(1e-6)),
        (
            "rope_theta",
            if rope["rope_theta"].is_number() { rope["rope_theta"].clone() } else { json!(10_000.0) },
        ),
        ("rope_scaling", if scaled { rope } else { Value::Null }),
        ("hidden_act", json!("silu")),
        ("attention_bias", json!(false)),
        ("mlp_bias", json!(false)),
        ("tie_word_embeddings", json!(false)),
        ("max_position_embeddings", json!(2048)),
    ];
    for (key, default) in defaults {
        if config[key].is_null() {
            config[key] = default;
        }
    }
}

/// One id or a list of ids.
fn token_ids(value: &Value) -> Vec<u32> {
    let one = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::Array(values) => values.iter().filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    }
}

/// A special token is written as its text or as an object with its `content`.
fn token_text(value: &Value) -> Option<String> {
    value.as_str().or(value["content"].as_str()).map(str::to_string)
}

/// A chat template is written as its text or as a list of named ones.
fn template_text(value: &Value) -> Option<String> {
    let default =
        || value.as_array()?.iter().find(|template| template["name"] == "default")?["template"].as_str();
    value.as_str().or_else(default).map(str::to_string)
}

fn missing(file: &str, remedy: &str) -> Error {
    Error::MissingFile { file: file.into(), remedy: remedy.into() }
}
