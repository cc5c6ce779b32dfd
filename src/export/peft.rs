//! PEFT's adapter folder: `adapter_config.json` and `adapter_model.safetensors`
//! (<https://huggingface.co/docs/peft/developer_guides/checkpoint>).

use super::OutputFile;
use super::adapter_config::{self, AdapterConfig, CONFIG};
use crate::adapters::{Target, Trainable};
use crate::error::{Error, Result};
use crate::kernels::readback::read;
use crate::models::decoder::Head;
use crate::models::score::{self, Score};
use crate::models::{Model, float_tensor};
use crate::recipe::{LoraRecipe, Method, Recipe};
use crate::weights::names::unwrapped;
use crate::weights::safetensors::{self, NamedTensor};
use serde_json::{Value, json};

pub(super) const WEIGHTS: &str = "adapter_model.safetensors";
/// Not PEFT's: the head of an encoder, which transformers' BERT has no place for.
pub const HEAD: &str = "score.safetensors";
/// Not PEFT's: what names the classes of a `score` head.
const MODEL_CONFIG: &str = "config.json";
pub(super) const PREFIX: &str = "base_model.model.";

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
/// A missing file or tensor, a shape that does not fit the base, a value that is not finite, or a setting that Loralet does not
/// compute.
pub fn load(files: &[OutputFile], base: &Model) -> Result<Trainable> {
    let find = |name: &str| {
        files.iter().find(|file| file.name.rsplit('/').next() == Some(name)).ok_or_else(|| {
            Error::MissingFile { file: name.into(), remedy: "open the whole adapter folder".into() }
        })
    };
    let config: Value = serde_json::from_slice(&find(CONFIG)?.bytes)
        .map_err(|error| invalid(CONFIG, format!("it is not JSON ({error})")))?;
    let mut stored = safetensors::deserialize_f32(WEIGHTS, &find(WEIGHTS)?.bytes)?;
    if let (true, Ok(head)) = (base.is_encoder(), find(HEAD)) {
        stored.extend(safetensors::deserialize_f32(HEAD, &head.bytes)?);
    }
    for (name, _, values) in &mut stored {
        if values.iter().any(|value| !value.is_finite()) {
            return Err(invalid(
                WEIGHTS,
                format!(
                    "tensor \"{name}\" holds a value that is not finite (inf or nan); train the adapter again"
                ),
            ));
        }
        *name = parameter_name(name, base);
    }
    check_vocabulary(&stored, base)?;
    let score = stored.iter().find(|(name, ..)| name == score::WEIGHT);
    let base = match score {
        Some((_, shape, _)) => &with_head(base, shape, find(MODEL_CONFIG).ok())?,
        None => base,
    };
    let AdapterConfig { mut lora, targets } = adapter_config::read(&config, base, &stored)?;
    add_embeddings(&mut lora, &stored, base)?;
    let recipe = Recipe { method: Method::Lora, lora, ..Recipe::default() };
    let mut trainable = Trainable::with_targets(base, &recipe, targets);
    let mut values = Vec::new();
    for parameter in &trainable.parameters {
        let place = stored.iter().position(|(name, ..)| *name == parameter.name);
        let missing = || {
            let name = &parameter.name;
            invalid(WEIGHTS, format!("tensor \"{PREFIX}{name}\" is missing; save the adapter again, whole"))
        };
        let (name, shape, tensor) = stored.swap_remove(place.ok_or_else(missing)?);
        if shape != parameter.shape {
            let expected = &parameter.shape;
            return Err(invalid(
                WEIGHTS,
                format!(
                    "tensor \"{PREFIX}{name}\" is {shape:?} where this model needs {expected:?}; open the base it was trained on"
                ),
            ));
        }
        values.extend(tensor);
    }
    if let Some((name, ..)) = stored.first() {
        return Err(invalid(
            WEIGHTS,
            format!(
                "tensor \"{PREFIX}{name}\" has no place: {CONFIG} does not name its layer, or this model has none of that name; open \
                 the base it was trained on, or save the adapter again"
            ),
        ));
    }
    let total = values.len();
    trainable.values = float_tensor(values, [total], &base.device());
    Ok(trainable)
}

/// An adapter that was trained after tokens were added carries embeddings of that size.
fn check_vocabulary(stored: &[NamedTensor], base: &Model) -> Result<()> {
    let [vocab, hidden] = [base.vocab_size(), base.hidden_size()];
    let ends = base.vocabulary_paths().map(|path| format!("{path}.weight"));
    let ends: Vec<String> = ends.collect();
    let is_other = |(name, shape, _): &&NamedTensor| {
        ends.iter().any(|end| name.ends_with(end)) && shape[..] != [vocab, hidden]
    };
    let Some((name, shape, _)) = stored.iter().find(is_other) else { return Ok(()) };
    let reason = match shape[..] {
        [rows, columns] if columns == hidden => format!(
            "tensor \"{PREFIX}{name}\" has {rows} rows where this base has {vocab}: the adapter was trained with {} {} tokens; open the \
             base that has them, or merge the adapter into it with PEFT and open that",
            rows.abs_diff(vocab),
            if rows > vocab { "more" } else { "fewer" }
        ),
        _ => format!(
            "tensor \"{PREFIX}{name}\" is {shape:?} where this model needs {:?}; open the base it was trained on",
            [vocab, hidden]
        ),
    };
    Err(invalid(WEIGHTS, reason))
}

/// Embeddings that PEFT saved beside the paths, although `modules_to_save` does not name them, are the base's of the time: they
/// take the place of this one's. Where they are tied, PEFT saves both uses.
fn add_embeddings(lora: &mut LoraRecipe, stored: &[NamedTensor], base: &Model) -> Result<()> {
    let Model::Decoder(decoder) = base else { return Ok(()) };
    let has = |name: &str| stored.iter().any(|(stored, ..)| stored == name);
    let names = base.vocabulary_paths().map(|path| format!("{path}.weight"));
    let modules: Vec<(&str, String)> = ["embed_tokens", "lm_head"].into_iter().zip(names).collect();
    let beside: Vec<&(&str, String)> = modules
        .iter()
        .filter(|(module, name)| has(name) && !lora.modules_to_save.iter().any(|saved| saved == module))
        .collect();
    let tied = matches!(decoder.head, Head::Tied(_));
    if let ([(module, name)], true) = (&beside[..], tied && lora.modules_to_save.is_empty()) {
        return Err(invalid(
            WEIGHTS,
            format!(
                "tensor \"{PREFIX}{name}\" is there, but modules_to_save in {CONFIG} does not name {module}, which this base uses \
                 twice; name it there, or merge the adapter into its base with PEFT and open that"
            ),
        ));
    }
    lora.modules_to_save.extend(beside.into_iter().map(|(module, _)| module.to_string()));
    Ok(())
}

/// The base with room for an adapter's `score` head, whose classes a `config.json` beside it may name.
fn with_head(base: &Model, shape: &[usize], config: Option<&OutputFile>) -> Result<Model> {
    let hidden = base.hidden_size();
    let rows = match shape {
        &[rows, columns] if rows > 0 && columns == hidden => rows,
        _ => {
            return Err(invalid(
                WEIGHTS,
                format!(
                    "tensor \"{PREFIX}{}\" is {shape:?} where this model needs a row of {hidden} numbers a class; open the base it \
                     was trained on",
                    score::WEIGHT
                ),
            ));
        }
    };
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
        "lora_alpha": number(lora.alpha),
        "lora_dropout": lora.dropout,
        "target_modules": lora.target_modules,
        "bias": "none",
        "fan_in_fan_out": false,
        "use_rslora": lora.use_rslora,
        "use_dora": lora.use_dora,
        "modules_to_save": if modules_to_save.is_empty() { Value::Null } else { json!(modules_to_save) },
        "layers_to_transform": null,
        "layers_pattern": null,
        "rank_pattern": pattern(trainable, |target| (target.rank != lora.rank).then(|| json!(target.rank))),
        "alpha_pattern": pattern(trainable, |target| (target.alpha != lora.alpha).then(|| number(target.alpha))),
        "init_lora_weights": true,
        "inference_mode": true,
    })
}

/// What some targets have otherwise than the others, by their paths.
fn pattern(trainable: &Trainable, of: impl Fn(&Target) -> Option<Value>) -> Value {
    let own = |target: &Target| Some((target.path.clone(), of(target)?));
    Value::Object(trainable.targets.iter().filter_map(own).collect())
}

/// Whole numbers without a point, as PEFT writes them.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 { json!(value as i64) } else { json!(value) }
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

/// A stored tensor's name as this crate's parameters have it, without what wrappers put before it.
fn parameter_name(name: &str, base: &Model) -> String {
    let name = unwrapped(name);
    let name = name.strip_prefix(PREFIX).unwrap_or(&name);
    let trunk = trunk(base);
    name.strip_prefix(trunk.as_str()).unwrap_or(name).to_string()
}

/// What transformers' classes with a head put before the names of an encoder, and an encoder alone does not.
pub(super) fn trunk(base: &Model) -> String {
    if base.is_encoder() { format!("{}.", base.spec().architecture) } else { String::new() }
}

fn invalid(file: &str, reason: String) -> Error {
    Error::InvalidAdapter { file: file.into(), reason }
}
