//! Advantages, losses, figures and gradients of GRPO against TRL's. The fixture and the script that made it are in
//! `tests/fixtures/grpo`.

use super::{Tensors, random_llama, tensors};
use burn::tensor::{Device, Tensor, TensorData};
use loralet::adapters::Trainable;
use loralet::data::{Batch, BatchOptions, BatchRow, Example, collate};
use loralet::kernels::readback::read;
use loralet::metrics::{Counts, Metrics};
use loralet::models::Model;
use loralet::objectives::{Loss, Share, grpo};
use loralet::recipe::Recipe;
use serde_json::{Value, json};

macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/", $path)).as_slice()
    };
}

/// Every case of the fixture, on one batch and on three that are added up.
pub async fn losses(device: &Device, loss_tolerance: f64, gradient_tolerance: f32) {
    let fixture: Value = serde_json::from_slice(fixture!("grpo/losses.json")).unwrap();
    let stored = tensors(fixture!("grpo/gradients.safetensors"));
    let adapter = tensors(fixture!("preference/gradients.safetensors"));
    let base = random_llama(fixture!("llama/random_llama/config.json"), false, device);
    for case in fixture["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let keys = ["loss_type", "beta", "epsilon", "temperature"];
        let settings: serde_json::Map<String, Value> =
            keys.map(|key| (key.to_string(), case[key].clone())).into_iter().collect();
        let recipe = Recipe::from_json(&json!({
            "objective": "grpo", "grpo": settings, "lora": { "rank": fixture["rank"], "alpha": fixture["alpha"] },
        }))
        .unwrap();
        let mut trainable = Trainable::new(&base, &recipe);
        let values: Vec<f32> = trainable
            .parameters
            .iter()
            .flat_map(|p| adapter[&format!("adapter.base_model.model.{}", p.name)].1.clone())
            .collect();
        trainable.values = Tensor::from_data(TensorData::new(values, [trainable.len()]), device);
        let loss = Loss::new(&recipe, &base);
        let old = stored.get(&format!("{name}.old")).map(|(_, values)| values.as_slice());
        for groups_together in [3, 1] {
            let batches = batches(&fixture, case, old, groups_together);
            let whole: Counts = batches.iter().map(|batch| loss.counts(batch)).sum();
            let (figures, gradient) = total(&base, &trainable, &loss, &batches, &whole).await;
            near(name, "loss", figures[0], case["loss"].as_f64().unwrap(), loss_tolerance);
            let Metrics::Rollout(metrics) = loss.metrics(&figures[1..], &whole) else { panic!("no answers") };
            if let Some(kl) = case["metrics"]["kl"].as_f64() {
                near(name, "kl", metrics.kl.unwrap(), kl, loss_tolerance);
            }
            let clipped = case["metrics"]["clip_ratio/region_mean"].as_f64().unwrap();
            near(name, "clip ratio", metrics.clip_ratio.unwrap(), clipped, 1e-6);
            compare_gradients(name, &trainable, &gradient, &stored, gradient_tolerance);
        }
    }
}

/// Some groups a batch, with the advantages that TRL has, which must be ours.
fn batches(fixture: &Value, case: &Value, old: Option<&[f32]>, groups_together: usize) -> Vec<Batch> {
    let numbers = |value: &Value| -> Vec<f64> { serde_json::from_value(value.clone()).unwrap() };
    let expected = numbers(&case["advantages"]);
    let groups = fixture["groups"].as_array().unwrap();
    let found: Vec<f64> =
        groups.iter().flat_map(|group| grpo::advantages(&numbers(&group["rewards"]))).collect();
    let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(found.len() == expected.len() && apart < 1e-5, "{found:?}, TRL has {expected:?}");
    let options = BatchOptions { batch_size: 1, max_seq_length: 64, packing: false, pad_token_id: 2 };
    let (mut row, mut token) = (0, 0);
    groups
        .chunks(groups_together)
        .map(|groups| {
            let examples: Vec<Example> = groups.iter().flat_map(answers).collect();
            let rows: Vec<BatchRow> = (0..examples.len()).map(|i| BatchRow { examples: vec![i] }).collect();
            let mut batch = collate(&examples, &rows, &options);
            batch.advantages = found[row..row + batch.batch].iter().map(|&value| value as f32).collect();
            row += batch.batch;
            if let Some(old) = old {
                batch.old_log_probs = old[token..token + batch.supervised_tokens].to_vec();
                token += batch.supervised_tokens;
            }
            batch
        })
        .collect()
}

fn answers(group: &Value) -> Vec<Example> {
    let ids = |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
    let prompt = ids(&group["prompt"]);
    let completions = group["completions"].as_array().unwrap().iter();
    completions
        .map(|completion| {
            let completion = ids(completion);
            let loss_mask = [vec![false; prompt.len()], vec![true; completion.len()]].concat();
            Example { loss_mask, ..Example::of_text([prompt.clone(), completion].concat(), 0) }
        })
        .collect()
}

/// Loss and sums over all batches, and the gradient.
async fn total(
    base: &Model,
    trainable: &Trainable,
    loss: &Loss,
    batches: &[Batch],
    whole: &Counts,
) -> (Vec<f64>, Vec<f32>) {
    let leaves = trainable.leaves(true);
    let model = trainable.attach(base, &leaves, None);
    let (mut figures, mut total) = (Vec::new(), vec![0.0; trainable.len()]);
    for batch in batches {
        let Share { loss, figures: sums } = loss.share(&model, batch, whole).unwrap();
        let mut gradients = loss.backward();
        let gradient = read(trainable.flat_gradient(&leaves, &mut gradients)).await.unwrap();
        total.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
        let share = read(Tensor::cat(vec![loss.inner(), sums.unwrap()], 0)).await.unwrap();
        figures.resize(share.len(), 0.0);
        figures.iter_mut().zip(share).for_each(|(sum, value)| *sum += value as f64);
    }
    (figures, total)
}

/// The fixture holds every fourth row of each gradient.
fn compare_gradients(case: &str, trainable: &Trainable, gradient: &[f32], stored: &Tensors, tolerance: f32) {
    for parameter in &trainable.parameters {
        let name = format!("{case}.base_model.model.{}", parameter.name);
        let (_, expected) = &stored[&name];
        let values = &gradient[parameter.offset..parameter.offset + parameter.len()];
        let found = values.chunks(parameter.shape[1]).step_by(4).flatten();
        let largest = expected.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
        assert!(largest > 0.0, "{name}: the reference is all zero");
        let apart = found.zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart <= tolerance * largest, "{name}: {apart} apart, where the largest is {largest}");
    }
}

fn near(case: &str, what: &str, value: f64, expected: f64, tolerance: f64) {
    // The terms of a loss cancel, since the advantages of a group have a mean of 0.
    let terms = if what == "clip ratio" || what == "loss" { 1.0 } else { 0.0 };
    let allowed = tolerance * expected.abs().max(terms);
    assert!((value - expected).abs() <= allowed, "{case}: {what} is {value}, TRL has {expected}");
}
