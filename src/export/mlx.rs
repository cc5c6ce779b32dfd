//! A LoRA adapter as mlx-lm's folder: `adapters.safetensors` and `adapter_config.json`
//! (<https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/tuner/utils.py>). Both factors are turned, and one scale takes the place
//! of alpha and rank.

use super::OutputFile;
use crate::adapters::{Trainable, lora};
use crate::error::{Error, Result};
use crate::kernels::readback::read;
use crate::models::Model;
use crate::recipe::Method;
use crate::weights::safetensors;
use serde_json::json;

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
        let turned = (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column]));
        tensors.push((name, vec![columns, rows], turned.collect()));
    }
    let config = json!({
        "fine_tune_type": "lora",
        "num_layers": layers.len(),
        "lora_parameters": { "rank": first.rank, "scale": scale, "dropout": 0.0, "keys": keys },
    });
    Ok(vec![
        OutputFile {
            name: "adapter_config.json".into(),
            bytes: serde_json::to_vec_pretty(&config).expect("plain JSON"),
        },
        OutputFile {
            name: "adapters.safetensors".into(),
            bytes: safetensors::serialize(&tensors, &[("format", "mlx")])?,
        },
    ])
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

fn unsupported(what: &str, supported: &str) -> Error {
    Error::Unsupported { file: "MLX adapter".into(), what: what.into(), supported: supported.into() }
}
