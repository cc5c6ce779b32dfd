//! A LoRA adapter as mlx-lm's folder: `adapters.safetensors` and `adapter_config.json`
//! (<https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/tuner/utils.py>). Both factors are turned, and one scale takes the place
//! of alpha and rank.

use super::adapter_config::CONFIG;
use super::{OutputFile, low_rank};
use crate::adapters::{Target, Trainable, lora};
use crate::error::{Error, Result};
use crate::kernels::readback::read;
use crate::models::{Model, float_tensor};
use crate::recipe::Method;
use crate::weights::safetensors::{self, NamedTensor};
use serde_json::{Value, json};
use std::collections::HashMap;

const WEIGHTS: &str = "adapters.safetensors";

/// The two files.
///
/// # Errors
/// An adapter that mlx-lm cannot hold: not plain LoRA, or with ranks, scales or kinds of layers that differ between layers. A
/// device that stops answering.
pub async fn save(trainable: &Trainable, base: &Model) -> Result<Vec<OutputFile>> {
    check(trainable)?;
    let first = &trainable.targets[0];
    let scale = trainable.lora.scale(first.rank, first.alpha);
    if trainable
        .targets
        .iter()
        .any(|target| target.rank != first.rank || trainable.lora.scale(target.rank, target.alpha) != scale)
    {
        return Err(unsupported(
            "layers of several ranks or scales",
            "mlx-lm has one rank and one scale for all",
        ));
    }
    // mlx-lm puts the same modules into each of the last layers.
    let blocks = format!("{}.", base.spec().blocks);
    let mut layers: Vec<(usize, Vec<&str>)> = Vec::new();
    for target in &trainable.targets {
        let within = target.path.strip_prefix(&blocks).and_then(|rest| rest.split_once('.'));
        let Some((layer, module)) = within.and_then(|(layer, module)| Some((layer.parse().ok()?, module)))
        else {
            return Err(unsupported("a layer outside of the blocks", "mlx-lm's adapters lie in the blocks"));
        };
        match layers.last_mut().filter(|(last, _)| *last == layer) {
            Some((_, modules)) => modules.push(module),
            None => layers.push((layer, vec![module])),
        }
    }
    let last = base.spec().num_hidden_layers;
    let keys = layers[0].1.clone();
    let is_whole = |(place, (layer, modules)): (usize, &(usize, Vec<&str>))| {
        *layer == last - layers.len() + place && *modules == keys
    };
    if !layers.iter().enumerate().all(is_whole) {
        return Err(unsupported(
            "an adapter of other modules in some layers than in others",
            "mlx-lm has the same modules in each of the last layers",
        ));
    }
    let values = read(trainable.values.clone()).await?;
    let mut tensors = Vec::new();
    for parameter in &trainable.parameters {
        let name = parameter.name.replace(".lora_A.weight", ".lora_a").replace(".lora_B.weight", ".lora_b");
        let values = &values[parameter.offset..][..parameter.len()];
        let &[rows, columns] = &parameter.shape[..] else { unreachable!("low-rank factors are matrices") };
        tensors.push((name, vec![columns, rows], turned(values, [rows, columns])));
    }
    let config = json!({
        "fine_tune_type": "lora",
        "num_layers": layers.len(),
        "lora_parameters": { "rank": first.rank, "scale": scale, "dropout": 0.0, "keys": keys },
    });
    Ok(vec![
        OutputFile { name: CONFIG.into(), bytes: serde_json::to_vec_pretty(&config).expect("plain JSON") },
        OutputFile { name: WEIGHTS.into(), bytes: safetensors::serialize(&tensors, &[("format", "mlx")])? },
    ])
}

/// Whether some files are such a folder.
pub fn is_mlx(files: &[OutputFile]) -> bool {
    find(files, WEIGHTS).is_some()
}

/// Reads an adapter folder for a base model.
///
/// # Errors
/// A missing file or tensor, a shape that does not fit the base, a value that is not finite, or a kind of fine-tuning that is not
/// plain LoRA.
pub fn load(files: &[OutputFile], base: &Model) -> Result<Trainable> {
    let missing =
        |name: &str| Error::MissingFile { file: name.into(), remedy: "open the whole adapter folder".into() };
    let config = find(files, CONFIG).ok_or_else(|| missing(CONFIG))?;
    let scale = scale(&config.bytes)?;
    let weights = find(files, WEIGHTS).ok_or_else(|| missing(WEIGHTS))?;
    let stored = safetensors::deserialize_f32(WEIGHTS, &weights.bytes)?;
    let is_finite = |(_, _, values): &&NamedTensor| values.iter().all(|value| value.is_finite());
    if let Some((name, ..)) = stored.iter().find(|tensor| !is_finite(tensor)) {
        return Err(invalid(format!(
            "tensor \"{name}\" holds a value that is not finite (inf or nan); train the adapter again"
        )));
    }
    let mut tensors: HashMap<&str, &NamedTensor> =
        stored.iter().map(|tensor| (tensor.0.as_str(), tensor)).collect();
    let mut targets = Vec::new();
    for linear in base.clone().linears_mut() {
        let (path, [out, input]) = (linear.path.to_string(), linear.dims());
        let pair = ["lora_a", "lora_b"].map(|part| format!("{path}.{part}"));
        let rank = match pair
            .each_ref()
            .map(|name| tensors.get(name.as_str()).map(|(_, shape, _)| &shape[..]))
        {
            [None, None] => continue,
            [Some(&[rows, rank]), Some(&[rank_of_b, columns])]
                if [rows, rank_of_b, columns] == [input, rank, out] && rank > 0 =>
            {
                rank
            }
            [Some(lora_a), Some(lora_b)] => {
                return Err(invalid(format!(
                    "tensors \"{}\" and \"{}\" are {lora_a:?} and {lora_b:?} where this model needs [{input}, rank] and \
                     [rank, {out}]; open the base it was trained on",
                    pair[0], pair[1]
                )));
            }
            [lora_a, _] => {
                let missing = if lora_a.is_none() { &pair[0] } else { &pair[1] };
                return Err(invalid(format!(
                    "tensor \"{missing}\" is missing; save the adapter again, whole"
                )));
            }
        };
        targets.push(Target { path, rank, alpha: alpha(scale, rank) });
    }
    let mut trainable = low_rank::untrained(base, targets, &invalid)?;
    let mut values = Vec::new();
    for parameter in &trainable.parameters {
        let name = parameter.name.replace(".lora_A.weight", ".lora_a").replace(".lora_B.weight", ".lora_b");
        let &[rows, columns] = &parameter.shape[..] else { unreachable!("low-rank factors are matrices") };
        let (_, _, tensor) = tensors.remove(name.as_str()).expect("each target has its pair");
        values.extend(turned(tensor, [columns, rows]));
    }
    if let Some(stray) = tensors.keys().min() {
        return Err(invalid(format!(
            "tensor \"{stray}\" has no place in this model; open the base it was trained on"
        )));
    }
    let total = values.len();
    trainable.values = float_tensor(values, [total], &base.device());
    Ok(trainable)
}

fn find<'a>(files: &'a [OutputFile], name: &str) -> Option<&'a OutputFile> {
    files.iter().find(|file| file.name.rsplit('/').next() == Some(name))
}

/// The factor on all paths.
fn scale(config: &[u8]) -> Result<f64> {
    let invalid = |reason: String| Error::InvalidAdapter { file: CONFIG.into(), reason };
    let config: Value =
        serde_json::from_slice(config).map_err(|error| invalid(format!("it is not JSON ({error})")))?;
    match &config["fine_tune_type"] {
        Value::Null => {}
        Value::String(kind) if kind == "lora" => {}
        kind => {
            return Err(invalid(format!(
                "fine_tune_type is {kind}, and Loralet reads mlx-lm's \"lora\" only; fuse it into its base with mlx_lm.fuse and \
                 open that"
            )));
        }
    }
    let scale = &config["lora_parameters"]["scale"];
    scale
        .as_f64()
        .filter(|scale| scale.is_finite() && *scale >= 0.0)
        .ok_or_else(|| invalid(format!("lora_parameters.scale is {scale}; it must be a number from 0 on")))
}

/// What divided by the rank gives the scale: a whole number where only the division's rounding keeps it from being one.
fn alpha(scale: f64, rank: usize) -> f64 {
    let alpha = scale * rank as f64;
    if alpha.round() / rank as f64 == scale { alpha.round() } else { alpha }
}

/// A matrix `[rows, columns]` as `[columns, rows]`.
fn turned(values: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

fn check(trainable: &Trainable) -> Result<()> {
    let merged = "write the merged model (merged), which mlx-lm opens";
    if trainable.is_encoder {
        return Err(unsupported(
            "an encoder's adapter",
            "mlx-lm has adapters for language models; take the PEFT adapter",
        ));
    }
    if trainable.method != Method::Lora {
        return Err(unsupported("weights that were trained whole", merged));
    }
    if trainable.lora.use_dora {
        return Err(unsupported("DoRA", merged));
    }
    match trainable.parameters.iter().find(|parameter| !lora::is_part(&parameter.name)) {
        Some(whole) => Err(unsupported(&format!("\"{}\", which was trained whole,", whole.name), merged)),
        None => Ok(()),
    }
}

fn invalid(reason: String) -> Error {
    Error::InvalidAdapter { file: WEIGHTS.into(), reason }
}

fn unsupported(what: &str, supported: &str) -> Error {
    Error::Unsupported { file: "MLX adapter".into(), what: what.into(), supported: supported.into() }
}
