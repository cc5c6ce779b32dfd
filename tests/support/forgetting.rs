//! Cross-entropy with KL(base ‖ tuned), and its gradients, against PyTorch's. The fixture and the script that made it are in
//! `tests/fixtures/forgetting`.

use super::{Tensors, random_llama, tensors};
use burn::tensor::{Device, Tensor, TensorData};
use loralet::adapters::Trainable;
use loralet::data::{Batch, BatchOptions, BatchRow, Example, collate};
use loralet::kernels::readback::read;
use loralet::models::Model;
use loralet::objectives::{Loss, Share};
use loralet::recipe::Recipe;
use serde_json::{Value, json};

macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/", $path)).as_slice()
    };
}

/// Every case of the fixture, on one batch and on micro-batches that are added up.
pub async fn kl_to_base(device: &Device, loss_tolerance: f64, gradient_tolerance: f32) {
    let fixture: Value = serde_json::from_slice(fixture!("forgetting/losses.json")).unwrap();
    let stored = tensors(fixture!("forgetting/gradients.safetensors"));
    let base = random_llama(fixture!("llama/random_llama/config.json"), false, device);
    let examples = examples(&fixture);
    for case in fixture["cases"].as_array().unwrap() {
        let coefficient = case["kl_to_base"].as_f64().unwrap();
        let recipe = Recipe::from_json(&json!({
            "train": { "kl_to_base": coefficient },
            "lora": { "rank": fixture["rank"], "alpha": fixture["alpha"] },
        }))
        .unwrap();
        let trainable = adapter(&base, &recipe, device);
        for batch_size in [examples.len(), 2] {
            let (figures, gradient) =
                figures(&Loss::new(&recipe, &base), &base, &trainable, &examples, batch_size).await;
            let expected = [
                case["loss"].as_f64().unwrap() + coefficient * case["divergence"].as_f64().unwrap(),
                case["divergence"].as_f64().unwrap(),
            ];
            for (found, expected) in figures.iter().zip(expected) {
                let apart = (found - expected).abs() / expected;
                assert!(apart <= loss_tolerance, "{coefficient}: {found}, PyTorch has {expected}");
            }
            compare_gradients(coefficient, &trainable, &gradient, &stored, gradient_tolerance);
        }
    }
}

/// The mean of both together, the divergence alone, and the gradient.
async fn figures(
    loss: &Loss,
    base: &Model,
    trainable: &Trainable,
    examples: &[Example],
    batch_size: usize,
) -> (Vec<f64>, Vec<f32>) {
    let options = BatchOptions { batch_size, max_seq_length: 64, packing: false, pad_token_id: 2 };
    let rows: Vec<BatchRow> = (0..examples.len()).map(|index| BatchRow { examples: vec![index] }).collect();
    let batches: Vec<Batch> = rows.chunks(batch_size).map(|rows| collate(examples, rows, &options)).collect();
    let whole = batches.iter().map(|batch| loss.counts(batch)).sum();
    let leaves = trainable.leaves(true);
    let model = trainable.attach(base, &leaves, None);
    let (mut figures, mut total) = (vec![0.0; 2], vec![0.0; trainable.len()]);
    for batch in &batches {
        let Share { loss, figures: divergence } = loss.share(&model, batch, &whole).unwrap();
        let mut gradients = loss.backward();
        let gradient = read(trainable.flat_gradient(&leaves, &mut gradients)).await.unwrap();
        total.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
        let share = read(Tensor::cat(vec![loss.inner(), divergence.unwrap()], 0)).await.unwrap();
        figures.iter_mut().zip(share).for_each(|(sum, value)| *sum += value as f64);
    }
    (figures, total)
}

fn compare_gradients(
    coefficient: f64,
    trainable: &Trainable,
    gradient: &[f32],
    stored: &Tensors,
    tolerance: f32,
) {
    for parameter in &trainable.parameters {
        let name = format!("{coefficient:.1}.base_model.model.{}", parameter.name);
        let (_, expected) = &stored[&name];
        let values = &gradient[parameter.offset..parameter.offset + parameter.len()];
        let found = values.chunks(parameter.shape[1]).step_by(4).flatten();
        let largest = expected.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
        assert!(largest > 0.0, "{name}: the reference is all zero");
        let apart = found.zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart <= tolerance * largest, "{name}: {apart} apart, where the largest is {largest}");
    }
}

fn adapter(base: &Model, recipe: &Recipe, device: &Device) -> Trainable {
    let stored = tensors(fixture!("preference/gradients.safetensors"));
    let mut trainable = Trainable::new(base, recipe);
    let values: Vec<f32> = trainable
        .parameters
        .iter()
        .flat_map(|parameter| stored[&format!("adapter.base_model.model.{}", parameter.name)].1.clone())
        .collect();
    trainable.values = Tensor::from_data(TensorData::new(values, [trainable.len()]), device);
    trainable
}

fn examples(fixture: &Value) -> Vec<Example> {
    let ids = |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
    let example = |row: &Value| {
        let (prompt, completion) = (ids(&row["prompt"]), ids(&row["completion"]));
        let loss_mask = [vec![false; prompt.len()], vec![true; completion.len()]].concat();
        let input_ids = [prompt, completion].concat();
        Example {
            input_ids,
            loss_mask,
            row: 0,
            truncated: false,
            preference: None,
            class: None,
            contrast: None,
            task: None,
        }
    };
    fixture["rows"].as_array().unwrap().iter().map(example).collect()
}
