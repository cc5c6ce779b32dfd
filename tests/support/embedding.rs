//! Sentence embeddings of a random BERT and their losses, against transformers, PEFT and sentence-transformers. The fixture
//! and the script that made it are in `tests/fixtures/bert`.

use super::{Tensors, close, tensors};
use burn::tensor::{Device, Tensor, TensorData};
use loralet::adapters::{Trainable, resolve_modules};
use loralet::data::{Batch, BatchOptions, BatchRow, Contrast, Example, collate};
use loralet::export::{OutputFile, peft};
use loralet::kernels::readback::read;
use loralet::metrics::Counts;
use loralet::models::{Input, Model};
use loralet::objectives::Loss;
use loralet::recipe::{Recipe, TargetModules};
use serde_json::{Value, json};

macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/bert/", $path)).as_slice()
    };
}

/// Embeddings of padded rows, plain and with the adapter that PEFT wrote, which is written again under the same names.
pub async fn embeddings(device: &Device, tolerance: f32) {
    let stored = tensors(fixture!("tensors.safetensors"));
    let base = random_bert(device);
    let batch = batches(&rows(false), false, usize::MAX).remove(0);
    let batch = batch.rows(0..batch.anchors);
    let of = async |model: &Model| read(model.embeddings(&input(&batch))).await.unwrap();
    close("embeddings", &of(&base).await, &stored["embeddings"].1, tolerance);

    let files = [
        ("adapter_config.json", fixture!("random_lora/adapter_config.json")),
        ("adapter_model.safetensors", fixture!("random_lora/adapter_model.safetensors")),
    ];
    let theirs = files.map(|(name, bytes)| OutputFile { name: name.into(), bytes: bytes.to_vec() });
    let adapter = peft::load(&theirs, &base).unwrap();
    close("with the adapter", &of(&adapter.tuned(&base)).await, &stored["embeddings.lora"].1, tolerance);
    let ours = peft::save(&adapter, "random_bert").await.unwrap();
    let config: Value = serde_json::from_slice(&ours[0].bytes).unwrap();
    assert_eq!(config["task_type"], "FEATURE_EXTRACTION");
    assert_eq!(config["target_modules"].as_array().unwrap().len(), 6);
    let sorted = |file: &OutputFile| {
        let mut names: Vec<String> = tensors(&file.bytes).into_keys().collect();
        names.sort();
        names
    };
    assert_eq!(sorted(&ours[1]), sorted(&theirs[1]));

    // A part of the layers, one of whose names is the end of another's; PEFT takes whole paths too.
    let mut recipe_of_some = recipe(20.0, "lora", &base);
    recipe_of_some.lora.target_modules =
        TargetModules::Named(vec!["query".into(), "attention.output.dense".into()]);
    let some = Trainable::new(&base, &recipe_of_some);
    let mut files = peft::save(&some, "random_bert").await.unwrap();
    assert_eq!(peft::load(&files, &base).unwrap().parameters, some.parameters);
    let mut config: Value = serde_json::from_slice(&files[0].bytes).unwrap();
    let paths = |path: &str| (0..2).map(|layer| format!("encoder.layer.{layer}.{path}")).collect::<Vec<_>>();
    config["target_modules"] =
        json!([paths("attention.self.query"), paths("attention.output.dense")].concat());
    files[0].bytes = config.to_string().into_bytes();
    assert_eq!(peft::load(&files, &base).unwrap().parameters, some.parameters);

    // A fresh adapter, whose B is zero, changes nothing.
    let fresh = Trainable::new(&base, &recipe(20.0, "lora", &base));
    assert_eq!(of(&base).await, of(&fresh.tuned(&base)).await);
}

/// Every loss, with the gradients of an adapter and of all weights.
pub async fn losses(device: &Device, loss_tolerance: f64, tolerance: f32) {
    let expected: Value = serde_json::from_slice(fixture!("expected.json")).unwrap();
    let stored = tensors(fixture!("tensors.safetensors"));
    let base = random_bert(device);
    for case in expected["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let method = if name == "full" { "full" } else { "lora" };
        let recipe = recipe(case["scale"].as_f64().unwrap(), method, &base);
        let mut trainable = Trainable::new(&base, &recipe);
        if method == "lora" {
            trainable.values = adapter_values(&trainable, &stored, case["adapter"] == "zero", device);
        }
        let rows = rows(case["scored"] == true);
        let with_negatives = case["columns"].as_array().unwrap().len() == 3;
        let loss = Loss::new(&recipe, &base);
        let batch = batches(&rows, with_negatives, usize::MAX).remove(0);
        let leaves = trainable.leaves(true);
        let model = trainable.attach(&base, &leaves, None);
        let share = loss.share(&model, &batch, &loss.counts(&batch)).unwrap().loss;
        let mut gradients = share.backward();
        let gradient = read(trainable.flat_gradient(&leaves, &mut gradients)).await.unwrap();
        let found = read(share.inner()).await.unwrap()[0] as f64;
        let wanted = case["loss"].as_f64().unwrap();
        let apart = (found - wanted).abs() / wanted;
        assert!(apart <= loss_tolerance, "{name}: the loss is {found}, sentence-transformers has {wanted}");
        if case["adapter"] != "zero" {
            compare_gradients(name, &trainable, &gradient, &stored, tolerance);
        }
    }
}

/// Two batches together weigh as many rows as each has.
pub async fn batches_add_up(device: &Device) {
    let base = random_bert(device);
    let loss = Loss::new(&recipe(20.0, "lora", &base), &base);
    let batches = batches(&rows(false), true, 3);
    let whole: Counts = batches.iter().map(|batch| loss.counts(batch)).sum();
    let mut sum = 0.0;
    let mut wanted = 0.0;
    for batch in &batches {
        sum += read(loss.share(&base, batch, &whole).unwrap().loss).await.unwrap()[0];
        let alone = read(loss.share(&base, batch, &loss.counts(batch)).unwrap().loss).await.unwrap()[0];
        wanted += alone * batch.anchors as f32 / 5.0;
    }
    assert_eq!((batches.len(), batches[0].batch, batches[1].batch), (2, 9, 6));
    assert!((sum - wanted).abs() < 1e-6, "{sum} {wanted}");
}

pub(super) fn random_bert(device: &Device) -> Model {
    let config: Value = serde_json::from_slice(fixture!("random_bert/config.json")).unwrap();
    let weights = tensors(fixture!("random_bert/model.safetensors"));
    let read = |name: &str, shape: &[usize]| {
        let (stored, values) = &weights[name];
        assert_eq!(stored, shape, "{name}");
        Ok(values.clone())
    };
    let model = Model::load(&config, &read, device).unwrap();
    let numbers = weights.values().map(|(_, values)| values.len() as u64).sum::<u64>();
    assert_eq!(model.parameters(), numbers);
    assert_eq!(Model::outline(&config, &read).unwrap().parameters(), numbers);
    model
}

fn recipe(scale: f64, method: &str, base: &Model) -> Recipe {
    let recipe = json!({
        "objective": "contrastive", "method": method, "contrastive": { "scale": scale },
        "lora": { "rank": 4, "alpha": 8 },
    });
    resolve_modules(&Recipe::from_json(&recipe).unwrap(), base).unwrap()
}

/// The fixture's adapter; what is trained whole beside it has its own name there.
pub(super) fn adapter_values(
    trainable: &Trainable,
    stored: &Tensors,
    zero: bool,
    device: &Device,
) -> Tensor<1> {
    let values = trainable.parameters.iter().flat_map(|parameter| {
        let adapter = stored.get(&format!("adapter.base_model.model.{}", parameter.name));
        let values = adapter.unwrap_or_else(|| &stored[&parameter.name]).1.clone();
        if zero && parameter.name.contains("lora_B") { vec![0.0; values.len()] } else { values }
    });
    let values: Vec<f32> = values.collect();
    Tensor::from_data(TensorData::new(values, [trainable.len()]), device)
}

/// The fixture holds every other row, or value of a vector, of each gradient, and all of a head's.
pub(super) fn compare_gradients(
    case: &str,
    trainable: &Trainable,
    gradient: &[f32],
    stored: &Tensors,
    tolerance: f32,
) {
    let largest = gradient.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
    for parameter in &trainable.parameters {
        let is_head = parameter.name == "score.weight";
        let prefix = if case == "full" || is_head { "" } else { "base_model.model." };
        let name = format!("{case}.{prefix}{}", parameter.name);
        let (_, expected) = &stored[&name];
        let values = &gradient[parameter.offset..parameter.offset + parameter.len()];
        let width = parameter.shape.get(1).copied().unwrap_or(1);
        let found = values.chunks(width).step_by(if is_head { 1 } else { 2 }).flatten();
        let apart = found.zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // A key's bias has no gradient, for it moves all of a query's scores alike: only rounding is left of it.
        let own = expected.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
        let largest = if name.ends_with("key.bias") { largest } else { own };
        assert!(largest > 0.0, "{name}: the reference is all zero");
        assert!(apart <= tolerance * largest, "{name}: {apart} apart, where the largest is {largest}");
    }
}

fn rows(scored: bool) -> Vec<Example> {
    let expected: Value = serde_json::from_slice(fixture!("expected.json")).unwrap();
    let rows = expected["rows"].as_array().unwrap().iter();
    rows.map(|row| {
        let ids = |name: &str| -> Vec<u32> { serde_json::from_value(row[name].clone()).unwrap() };
        let contrast = match scored {
            true => Contrast::Scored { other: ids("positive"), score: row["score"].as_f64().unwrap() as f32 },
            false => Contrast::Pair { positive: ids("positive"), negative: Some(ids("negative")) },
        };
        Example { contrast: Some(contrast), ..Example::of_text(ids("anchor"), 0) }
    })
    .collect()
}

fn batches(rows: &[Example], with_negatives: bool, size: usize) -> Vec<Batch> {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        if let Some(Contrast::Pair { negative, .. }) = row.contrast.as_mut().filter(|_| !with_negatives) {
            *negative = None;
        }
    }
    let options = BatchOptions { batch_size: 8, max_seq_length: 64, packing: false, pad_token_id: 0 };
    let all: Vec<BatchRow> = (0..rows.len()).map(|index| BatchRow { examples: vec![index] }).collect();
    all.chunks(size.min(all.len())).map(|part| collate(&rows, part, &options)).collect()
}

pub(super) fn input(batch: &Batch) -> Input<'_> {
    Input {
        input_ids: &batch.input_ids,
        position_ids: &batch.position_ids,
        document_ids: &batch.document_ids,
        batch: batch.batch,
        seq: batch.seq,
    }
}
