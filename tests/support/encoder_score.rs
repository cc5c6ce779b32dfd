//! A classifier on a random BERT, a head on the mean of its tokens, against PyTorch. The fixture and the script that made it are
//! in `tests/fixtures/bert_score`.

use super::embedding::{adapter_values, compare_gradients, input, random_bert};
use super::{close, tensors};
use burn::tensor::{Device, Tensor, TensorData};
use loralet::adapters::{Trainable, resolve_modules};
use loralet::data::{Batch, BatchOptions, BatchRow, Example, collate};
use loralet::export::{OutputFile, model_config, peft};
use loralet::kernels::readback::read;
use loralet::metrics::Counts;
use loralet::models::{Model, Score};
use loralet::objectives::Loss;
use loralet::recipe::Recipe;
use serde_json::{Value, json};

macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/", $path)).as_slice()
    };
}

/// Scores, loss and gradients, on one batch and on two that are added up: with an adapter, of all weights, of the head alone.
pub async fn classify(device: &Device, loss_tolerance: f64, tolerance: f32) {
    let expected: Value = serde_json::from_slice(fixture!("bert_score/expected.json")).unwrap();
    let stored = tensors(fixture!("bert_score/tensors.safetensors"));
    for (method, case) in [("lora", "lora"), ("full", "full"), ("last_layer", "full")] {
        let (base, trainable, recipe) = classifier(method, device);
        let wanted = &expected[case];
        let loss = Loss::new(&recipe, &base);
        let all = batches(usize::MAX).remove(0);
        let scores = read(trainable.tuned(&base).scores(&input(&all))).await.unwrap();
        let rows: Vec<Vec<f32>> = serde_json::from_value(wanted["scores"].clone()).unwrap();
        close(method, &scores, &rows.concat(), tolerance);
        for size in [usize::MAX, 3] {
            let batches = batches(size);
            let whole: Counts = batches.iter().map(|batch| loss.counts(batch)).sum();
            let leaves = trainable.leaves(true);
            let model = trainable.attach(&base, &leaves, None);
            let (mut sum, mut gradient) = (0.0, vec![0.0; trainable.len()]);
            for batch in &batches {
                let share = loss.share(&model, batch, &whole).unwrap().loss;
                let mut gradients = share.backward();
                let part = read(trainable.flat_gradient(&leaves, &mut gradients)).await.unwrap();
                gradient.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
                sum += read(share.inner()).await.unwrap()[0] as f64;
            }
            let apart = (sum - wanted["loss"].as_f64().unwrap()).abs() / sum;
            assert!(apart <= loss_tolerance, "{method}: the loss is {sum}, PyTorch has {}", wanted["loss"]);
            compare_gradients(case, &trainable, &gradient, &stored, tolerance);
        }
    }
}

/// An adapter with a head is saved as PEFT's files and a third, and is opened again.
pub async fn saved_and_opened(device: &Device) {
    let (base, trainable, _) = classifier("lora", device);
    let mut files = peft::save(&trainable, "random_bert").await.unwrap();
    let config: Value = serde_json::from_slice(&files[0].bytes).unwrap();
    assert_eq!(
        (&config["task_type"], &config["modules_to_save"]),
        (&json!("FEATURE_EXTRACTION"), &Value::Null)
    );
    // PEFT's file has what PEFT's own adapter of this encoder has, and no more.
    let names = |bytes: &[u8]| {
        let mut names: Vec<String> = tensors(bytes).into_keys().collect();
        names.sort();
        names
    };
    assert_eq!(names(&files[1].bytes), names(fixture!("bert/random_lora/adapter_model.safetensors")));
    assert_eq!(
        (files[2].name.as_str(), names(&files[2].bytes)),
        ("score.safetensors", vec!["score.weight".into()])
    );
    let own: Value = serde_json::from_slice(fixture!("bert/random_bert/config.json")).unwrap();
    files.extend(model_config(&trainable, &own, 0));
    let plain = random_bert(device);
    let again = peft::load(&files, &plain).unwrap();
    assert_eq!(again.labels, trainable.labels);
    let all = batches(usize::MAX).remove(0);
    let of = async |model: Model| read(model.scores(&input(&all))).await.unwrap();
    assert_eq!(of(again.tuned(&plain)).await, of(trainable.tuned(&base)).await);
    // Without its head it is an adapter for embeddings.
    let without: Vec<OutputFile> =
        files.into_iter().filter(|file| file.name != "score.safetensors").collect();
    assert_eq!(peft::load(&without, &plain).unwrap().labels, None);
}

/// The encoder with the fixture's head, what is trained of it, with the fixture's adapter, and the recipe.
fn classifier(method: &str, device: &Device) -> (Model, Trainable, Recipe) {
    let stored = tensors(fixture!("bert_score/tensors.safetensors"));
    let expected: Value = serde_json::from_slice(fixture!("bert_score/expected.json")).unwrap();
    let (shape, values) = &stored["score.weight"];
    let weight: Tensor<2> = Tensor::from_data(TensorData::new(values.clone(), [shape[0], shape[1]]), device);
    let labels: Vec<String> = serde_json::from_value(expected["labels"].clone()).unwrap();
    let base = random_bert(device).with_score(Score { weight, labels });
    let recipe = json!({ "objective": "classify", "method": method, "lora": { "rank": 4, "alpha": 8 } });
    let recipe = resolve_modules(&Recipe::from_json(&recipe).unwrap(), &base).unwrap();
    let mut trainable = Trainable::new(&base, &recipe);
    if method == "lora" {
        let adapter = tensors(fixture!("bert/tensors.safetensors"));
        let head = [("score.weight".to_string(), stored["score.weight"].clone())];
        trainable.values =
            adapter_values(&trainable, &adapter.into_iter().chain(head).collect(), false, device);
    }
    (base, trainable, recipe)
}

fn batches(size: usize) -> Vec<Batch> {
    let expected: Value = serde_json::from_slice(fixture!("bert_score/expected.json")).unwrap();
    let texts = expected["texts"].as_array().unwrap().iter();
    let texts: Vec<Example> = texts
        .map(|text| {
            let ids: Vec<u32> = serde_json::from_value(text["ids"].clone()).unwrap();
            Example { class: text["class"].as_u64().map(|class| class as u32), ..Example::of_text(ids, 0) }
        })
        .collect();
    let options = BatchOptions { batch_size: 8, max_seq_length: 64, packing: false, pad_token_id: 0 };
    let all: Vec<BatchRow> = (0..texts.len()).map(|index| BatchRow { examples: vec![index] }).collect();
    all.chunks(size.min(all.len())).map(|rows| collate(&texts, rows, &options)).collect()
}
