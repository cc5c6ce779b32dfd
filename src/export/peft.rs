//! PEFT's adapter folder: `adapter_config.json` and `adapter_model.safetensors`
//! (<https://huggingface.co/docs/peft/developer_guides/checkpoint>).

use super::OutputFile;
use crate::adapters::Trainable;
use crate::error::{Error, Result};
use crate::eval::read;
use crate::models::score::{self, Score};
use crate::models::{Model, float_tensor};
use crate::recipe::{LoraRecipe, Method, Recipe};
use crate::weights::safetensors;
use serde_json::{Value, json};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// Not PEFT's: the head of an encoder, which transformers' BERT has no place for.
pub const HEAD: &str = "score.safetensors";
/// Not PEFT's: what names the classes of a `score` head.
const MODEL_CONFIG: &str = "config.json";
const PREFIX: &str = "base_model.model.";

/// The two files that PEFT reads; of an encoder with a `score` head the head as a third, since PEFT knows no module for it.
///
/// # Errors
/// A device that stops answering.
pub async fn save(trainable: &Trainable, base_model_name: &str) -> Result<Vec<OutputFile>> {
    let values = read(trainable.values.clone()).await?;
    let (mut tensors, mut head) = (Vec::new(), Vec::new());
    for parameter in &trainable.parameters {
        let slice = values[parameter.offset..parameter.offset + parameter.len()].to_vec();
        match trainable.is_encoder && parameter.name == score::WEIGHT {
            true => head.push((parameter.name.clone(), parameter.shape.clone(), slice)),
            false => tensors.push((format!("{PREFIX}{}", parameter.name), parameter.shape.clone(), slice)),
        }
    }
    let config = serde_json::to_vec_pretty(&config(trainable, base_model_name)).expect("plain JSON");
    let stored =
        |tensors: &[(String, Vec<usize>, Vec<f32>)]| safetensors::serialize(tensors, &[("format", "pt")]);
    let mut files = vec![
        OutputFile { name: CONFIG.into(), bytes: config },
        OutputFile { name: WEIGHTS.into(), bytes: stored(&tensors)? },
    ];
    if !head.is_empty() {
        files.push(OutputFile { name: HEAD.into(), bytes: stored(&head)? });
    }
    Ok(files)
}

/// Reads an adapter folder for a base model.
///
/// # Errors
/// A missing file or tensor, a shape that does not fit the base, or an adapter kind that
/// Loralet does not compute.
pub fn load(files: &[OutputFile], base: &Model) -> Result<Trainable> {
    let find = |name: &str| {
        files.iter().find(|file| file.name.rsplit('/').next() == Some(name)).ok_or_else(|| {
            Error::MissingFile { file: name.into(), remedy: "open the whole adapter folder".into() }
        })
    };
    let config: Value = serde_json::from_slice(&find(CONFIG)?.bytes)
        .map_err(|error| invalid(CONFIG, format!("it is not JSON ({error})")))?;
    let lora = read_config(&config, base.linear_modules())?;
    let mut stored = safetensors::deserialize_f32(WEIGHTS, &find(WEIGHTS)?.bytes)?;
    if let (true, Ok(head)) = (base.is_encoder(), find(HEAD)) {
        stored.extend(safetensors::deserialize_f32(HEAD, &head.bytes)?);
    }
    let score = stored.iter().find(|(name, ..)| stored_name(name) == score::WEIGHT);
    let base = match score {
        Some((_, shape, _)) => {
            &with_head(base, shape.first().copied().unwrap_or(0), find(MODEL_CONFIG).ok())?
        }
        None => base,
    };
    let recipe = Recipe { method: Method::Lora, lora, ..Recipe::default() };
    let mut trainable = Trainable::new(base, &recipe);
    let mut values = Vec::new();
    for parameter in &trainable.parameters {
        let place = stored.iter().position(|(name, ..)| stored_name(name) == parameter.name);
        let missing = || invalid(WEIGHTS, format!("tensor \"{PREFIX}{}\" is missing", parameter.name));
        let (name, shape, tensor) = stored.swap_remove(place.ok_or_else(missing)?);
        if shape != parameter.shape {
            let expected = &parameter.shape;
            return Err(invalid(
                WEIGHTS,
                format!("tensor \"{name}\" is {shape:?} where this model needs {expected:?}"),
            ));
        }
        values.extend(tensor);
    }
    if let Some((name, ..)) = stored.first() {
        return Err(invalid(
            WEIGHTS,
            format!("tensor \"{name}\" has no place in this model; open the base it was trained on"),
        ));
    }
    let total = values.len();
    trainable.values = float_tensor(values, [total], &base.device());
    Ok(trainable)
}

/// The base with room for an adapter's `score` head, whose classes a `config.json` beside it may name.
fn with_head(base: &Model, rows: usize, config: Option<&OutputFile>) -> Result<Model> {
    if rows == 0 {
        return Err(invalid(WEIGHTS, format!("tensor \"{PREFIX}{}\" has no rows", score::WEIGHT)));
    }
    let config: Value = match config {
        Some(file) => serde_json::from_slice(&file.bytes)
            .map_err(|error| invalid(MODEL_CONFIG, format!("it is not JSON ({error})")))?,
        None => Value::Null,
    };
    let labels = score::label_names(&config, rows);
    let shape = [rows, base.hidden_size()];
    let weight = float_tensor(vec![0.0; shape[0] * shape[1]], shape, &base.device());
    Ok(base.with_score(Score { weight, labels }))
}

fn config(trainable: &Trainable, base_model_name: &str) -> Value {
    let lora = &trainable.lora;
    let mut modules_to_save: Vec<&str> = lora.modules_to_save.iter().map(String::as_str).collect();
    modules_to_save.retain(|module| *module != "score");
    if trainable.labels.is_some() && !trainable.is_encoder {
        modules_to_save.push("score");
    }
    json!({
        "peft_type": "LORA",
        "task_type": task_type(trainable),
        "base_model_name_or_path": base_model_name,
        "revision": null,
        "r": lora.rank,
        "lora_alpha": if lora.alpha.fract() == 0.0 { json!(lora.alpha as i64) } else { json!(lora.alpha) },
        "lora_dropout": lora.dropout,
        "target_modules": lora.target_modules,
        "bias": "none",
        "fan_in_fan_out": false,
        "use_rslora": lora.use_rslora,
        "use_dora": lora.use_dora,
        "modules_to_save": if modules_to_save.is_empty() { Value::Null } else { json!(modules_to_save) },
        "layers_to_transform": null,
        "layers_pattern": null,
        "rank_pattern": {},
        "alpha_pattern": {},
        "init_lora_weights": true,
        "inference_mode": true,
    })
}

/// What PEFT is to make of the base. Of an encoder it is to give the hidden states, which embeddings are made of and a head is
/// put on.
fn task_type(trainable: &Trainable) -> &'static str {
    match &trainable.labels {
        _ if trainable.is_encoder => "FEATURE_EXTRACTION",
        Some(_) => "SEQ_CLS",
        None => "CAUSAL_LM",
    }
}

fn read_config(config: &Value, modules: &[&str]) -> Result<LoraRecipe> {
    let kind = config["peft_type"].as_str().unwrap_or("(none)");
    if kind != "LORA" {
        return Err(invalid(CONFIG, format!("peft_type is \"{kind}\", supported is \"LORA\"")));
    }
    for key in ["fan_in_fan_out", "lora_bias"] {
        if config[key].as_bool() == Some(true) {
            return Err(invalid(CONFIG, format!("{key} is true, which Loralet does not compute")));
        }
    }
    for key in ["rank_pattern", "alpha_pattern"] {
        if config[key].as_object().is_some_and(|map| !map.is_empty()) {
            return Err(invalid(CONFIG, format!("{key} is set, which Loralet does not compute")));
        }
    }
    let rank = config["r"].as_u64().filter(|rank| *rank > 0);
    let rank = rank.ok_or_else(|| invalid(CONFIG, "\"r\" must be a whole number above 0".into()))? as usize;
    let alpha = config["lora_alpha"].as_f64().unwrap_or(rank as f64);
    let names = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|name| name.as_str().map(String::from)).collect()
    };
    let named = names(&config["target_modules"]);
    let all = config["target_modules"].as_str() == Some("all-linear");
    // PEFT also takes full paths, which name the one module with the longest end in common, and the ends of our names.
    let is_end =
        |end: &str, of: &str| of.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let of_path =
        |path: &str| modules.iter().filter(|module| is_end(module, path)).max_by_key(|module| module.len());
    let means = |name: &str, module: &str| is_end(name, module) || of_path(name) == Some(&module);
    if let Some(unknown) = named.iter().find(|name| !modules.iter().any(|module| means(name, module))) {
        return Err(invalid(
            CONFIG,
            format!("target module \"{unknown}\" is not a linear layer of this model"),
        ));
    }
    let is_target = |module: &&&str| all || named.iter().any(|name| means(name, module));
    let target_modules = modules.iter().filter(is_target).map(|module| module.to_string()).collect();
    Ok(LoraRecipe {
        rank,
        alpha,
        target_modules,
        modules_to_save: names(&config["modules_to_save"])
            .into_iter()
            .filter(|module| module == "embed_tokens" || module == "lm_head")
            .collect(),
        use_rslora: config["use_rslora"].as_bool().unwrap_or(false),
        use_dora: config["use_dora"].as_bool().unwrap_or(false),
        ..LoraRecipe::default()
    })
}

fn stored_name(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

fn invalid(file: &str, reason: String) -> Error {
    Error::InvalidAdapter { file: file.into(), reason }
}
