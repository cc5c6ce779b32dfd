//! Parity checks that native and browser tests share: each takes the device to run on and
//! how far its numbers may be from the reference's.

// Each test binary uses its own part of this.
#![allow(dead_code)]

pub mod architectures;
pub mod attention;
pub mod blocks;
pub mod embedding;
pub mod encoder_score;
pub mod forgetting;
pub mod grpo;
pub mod hostile;
pub mod kernels;
pub mod preference;
#[cfg(not(target_arch = "wasm32"))]
pub mod readers;
pub mod sample;
pub mod score;

use burn::tensor::{Device, Tensor};
use loralet::adapters::{Parameter, Trainable, frozen_blocks};
use loralet::data::batch::Batch;
use loralet::export::{OutputFile, peft};
use loralet::generate::{Sampler, Sampling, group::sample_group};
use loralet::kernels::readback::read;
use loralet::models::{Input, Model, Tape, Trunk, head};
use loralet::objectives;
use loralet::recipe::{LoraRecipe, Method, Recipe, SchedulerType};
use loralet::train::optimizer::{AdamW, guarded};
use loralet::train::schedule::Schedule;
use loralet::weights::safetensors;
use serde_json::Value;
use std::collections::HashMap;

pub type Tensors = HashMap<String, (Vec<usize>, Vec<f32>)>;

macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/llama/", $path)).as_slice()
    };
}

pub mod answers;
pub mod lora_variants;
pub mod memory;

/// Logits of whole rows; `config.json` in both spellings of rope settings.
pub async fn full_rows(device: &Device, tolerance: f32) {
    let expected = tensors(fixture!("expected.safetensors"));
    let [batch, seq] = dims(&expected, "input_ids");
    let positions: Vec<u32> = (0..batch).flat_map(|_| 0..seq as u32).collect();
    let documents = vec![1; batch * seq];
    let input_ids = ids(&expected, "input_ids");
    let input =
        Input { input_ids: &input_ids, position_ids: &positions, document_ids: &documents, batch, seq };
    for config in [fixture!("random_llama/config.json"), fixture!("config_rope_parameters.json")] {
        let model = random_llama(config, false, device);
        close("logits", &logits(&model, &input).await, &expected["logits"].1, tolerance);
    }
}

/// Logits do not change when rows are padded, or packed with others into one sequence.
pub async fn padded_and_packed(device: &Device, tolerance: f32) {
    let expected = tensors(fixture!("expected.safetensors"));
    let model = random_llama(fixture!("random_llama/config.json"), false, device);

    let [batch, seq] = dims(&expected, "padded.input_ids");
    let attention = ids(&expected, "padded.attention_mask");
    let positions: Vec<u32> = (0..batch).flat_map(|_| 0..seq as u32).collect();
    let input_ids = ids(&expected, "padded.input_ids");
    let input =
        Input { input_ids: &input_ids, position_ids: &positions, document_ids: &attention, batch, seq };
    let real = |values: &[f32]| -> Vec<f32> {
        let rows = values.chunks(values.len() / attention.len()).zip(&attention);
        rows.filter(|(_, mask)| **mask == 1).flat_map(|(row, _)| row.to_vec()).collect()
    };
    close("padded", &real(&logits(&model, &input).await), &real(&expected["padded.logits"].1), tolerance);

    let [batch, seq] = dims(&expected, "packed.input_ids");
    let input_ids = ids(&expected, "packed.input_ids");
    let positions = ids(&expected, "packed.position_ids");
    let documents = ids(&expected, "packed.document_ids");
    let input =
        Input { input_ids: &input_ids, position_ids: &positions, document_ids: &documents, batch, seq };
    close("packed", &logits(&model, &input).await, &expected["packed.logits"].1, tolerance);
}

/// Adapters that PEFT wrote give PEFT's logits, and survive saving.
pub async fn peft_adapters(device: &Device, tolerance: f32) {
    let expected = tensors(fixture!("expected.safetensors"));
    let base = random_llama(fixture!("random_llama/config.json"), false, device);
    let [_, seq] = dims(&expected, "input_ids");
    let input_ids = &ids(&expected, "input_ids")[..seq];
    let positions: Vec<u32> = (0..seq as u32).collect();
    let input = Input { input_ids, position_ids: &positions, document_ids: &vec![1; seq], batch: 1, seq };
    let folders = [
        (
            "lora.logits",
            fixture!("random_lora/adapter_config.json"),
            fixture!("random_lora/adapter_model.safetensors"),
        ),
        (
            "rslora.logits",
            fixture!("random_rslora/adapter_config.json"),
            fixture!("random_rslora/adapter_model.safetensors"),
        ),
    ];
    for (key, config, weights) in folders {
        let files = [("adapter_config.json", config), ("adapter_model.safetensors", weights)]
            .map(|(name, bytes)| OutputFile { name: name.into(), bytes: bytes.to_vec() });
        let adapter = peft::load(&files, &base).unwrap();
        close(key, &logits(&adapter.tuned(&base), &input).await, &expected[key].1, tolerance);
        let saved = peft::save(&adapter, "random_llama").await.unwrap();
        let again = peft::load(&saved, &base).unwrap();
        let (before, after) =
            (read(adapter.values.clone()).await.unwrap(), read(again.values).await.unwrap());
        assert_eq!(before, after);
    }
}

/// A fresh adapter, whose B is zero, changes nothing.
pub async fn zero_adapter(device: &Device) {
    let base = random_llama(fixture!("random_llama/config.json"), false, device);
    let adapter = Trainable::new(&base, &Recipe::default());
    let input_ids: Vec<u32> = (0..24).collect();
    let input =
        Input { input_ids: &input_ids, position_ids: &input_ids, document_ids: &[1; 24], batch: 1, seq: 24 };
    let (plain, tuned) = (logits(&base, &input).await, logits(&adapter.tuned(&base), &input).await);
    assert_eq!(plain, tuned);
}

/// Twenty LoRA steps of AdamW, accumulation and clipping: PyTorch's losses, norms and rates.
pub async fn lora_steps(device: &Device, tolerance: f64) {
    let recorded: Value = serde_json::from_slice(fixture!("lora_steps.json")).unwrap();
    let base = random_llama(fixture!("random_llama/config.json"), false, device);
    let lora = LoraRecipe {
        rank: recorded["rank"].as_u64().unwrap() as usize,
        alpha: recorded["alpha"].as_f64().unwrap(),
        ..LoraRecipe::default()
    };
    let recipe = Recipe { lora, ..Recipe::default() };
    let mut trainable = Trainable::new(&base, &recipe);
    let first = tensors(fixture!("lora_init.safetensors"));
    trainable.values = values_of(&trainable, &first, device);
    follow(&recorded, &recorded["batches"], &base, trainable, tolerance).await;
}

/// Five steps that train every weight, with the head untied and tied.
pub async fn full_steps(device: &Device, tolerance: f64) {
    let recorded: Value = serde_json::from_slice(fixture!("full_steps.json")).unwrap();
    let batches: Value = serde_json::from_slice(fixture!("lora_steps.json")).unwrap();
    for run in recorded["runs"].as_array().unwrap() {
        let tied = run["tie_word_embeddings"].as_bool().unwrap();
        let base = random_llama(fixture!("random_llama/config.json"), tied, device);
        let recipe = Recipe { method: Method::Full, ..Recipe::default() };
        let trainable = Trainable::new(&base, &recipe);
        follow(run, &batches["batches"], &base, trainable, tolerance).await;
    }
}

/// Stored tensors as one flat buffer.
fn values_of(trainable: &Trainable, stored: &Tensors, device: &Device) -> Tensor<1> {
    let named = |parameter: &Parameter| stored[&format!("base_model.model.{}", parameter.name)].1.clone();
    let values: Vec<f32> = trainable.parameters.iter().flat_map(named).collect();
    Tensor::from_data(burn::tensor::TensorData::new(values, [trainable.len()]), device)
}

/// Trains as recorded, and gives what was trained.
async fn follow(
    run: &Value,
    batches: &Value,
    base: &Model,
    mut trainable: Trainable,
    tolerance: f64,
) -> Trainable {
    let number = |key: &str| run[key].as_f64().unwrap_or_else(|| panic!("the fixture lacks {key}"));
    let mut optimizer = AdamW::new(trainable.len(), number("weight_decay"), &base.device());
    optimizer.rates = trainable.learning_rate_factors();
    optimizer.max_grad_norm = number("max_grad_norm");
    let schedule = Schedule {
        kind: SchedulerType::Linear,
        peak: number("learning_rate"),
        warmup_steps: (number("warmup_ratio") * number("total_steps")).ceil() as usize,
        total_steps: number("total_steps") as usize,
    };
    for (done, step) in run["steps"].as_array().unwrap().iter().enumerate() {
        let micro: Vec<Batch> =
            batches[step["batch"].as_u64().unwrap() as usize].as_array().unwrap().iter().map(batch).collect();
        let (loss, gradient) = loss_and_gradient(base, &trainable, &micro).await;
        let norm = read(gradient.clone().square().sum().sqrt()).await.unwrap()[0] as f64;
        let rate = schedule.learning_rate(done);
        for (key, value, tolerance) in
            [("loss", loss, tolerance), ("grad_norm", norm, tolerance * 10.0), ("learning_rate", rate, 1e-9)]
        {
            let expected = step[key].as_f64().unwrap();
            let apart = (value - expected).abs();
            assert!(
                apart <= tolerance * expected.abs(),
                "step {done}: {key} is {value}, the reference has {expected}"
            );
        }
        let guard = guarded(Tensor::from_floats([loss as f32], &base.device()), gradient.clone(), None);
        trainable.values = optimizer.update(trainable.values, gradient, guard, rate);
    }
    let micro: Vec<Batch> = batches[0].as_array().unwrap().iter().map(batch).collect();
    let (after, _) = loss_and_gradient(base, &trainable, &micro).await;
    let expected = number("loss_after");
    assert!(
        (after - expected).abs() <= tolerance * expected,
        "loss after: {after}, the reference has {expected}"
    );
    trainable
}

async fn loss_and_gradient(base: &Model, trainable: &Trainable, micro: &[Batch]) -> (f64, Tensor<1>) {
    let supervised: usize = micro.iter().map(|batch| batch.supervised_tokens).sum();
    let leaves = trainable.leaves(true);
    let model = trainable.attach(base, &leaves, Some(0));
    let mut total = (0.0, Tensor::zeros([trainable.len()], &base.device()));
    for batch in micro {
        let loss = objectives::sft::loss(model.decoder().unwrap(), batch) / supervised as f64;
        let mut gradients = loss.backward();
        let gradient = trainable.flat_gradient(&leaves, &mut gradients);
        total = (total.0 + read(loss.inner()).await.unwrap()[0] as f64, total.1 + gradient);
    }
    total
}

/// The same gradients with blocks computed again in the backward pass, whatever is trained.
pub async fn checkpointed_gradients(device: &Device, tolerance: f32) {
    let base = random_llama(fixture!("random_llama/config.json"), true, device);
    let (batch, seq) = (2, 9);
    let input_ids: Vec<u32> = (0..batch * seq).map(|i| (i * 37 % 61) as u32).collect();
    let batch = Batch {
        targets: input_ids.iter().map(|id| (id * 5 + 1) % 61).collect(),
        targets_mask: (0..batch * seq).map(|i| i % 4 != 3).collect(),
        position_ids: (0..batch).flat_map(|_| 0..seq as u32).collect(),
        document_ids: (0..batch * seq).map(|i| if i % seq < 4 { 1 } else { 2 }).collect(),
        supervised_tokens: 1,
        tokens: batch * seq,
        packed: true,
        input_ids,
        batch,
        seq,
        ..Batch::default()
    };
    for (method, use_dora) in
        [(Method::Lora, false), (Method::Lora, true), (Method::Full, false), (Method::LastLayer, false)]
    {
        let lora = LoraRecipe { rank: 4, use_dora, ..LoraRecipe::default() };
        let mut trainable = Trainable::new(&base, &Recipe { method, lora, ..Recipe::default() });
        // B begins as zero, which would hide what goes through it.
        trainable.values = trainable.values.clone() + trainable.values.clone().ones_like() * 0.01;
        let leaves = trainable.leaves(true);
        let model = trainable.attach(&base, &leaves, None);
        let mut plain = objectives::sft::loss(model.decoder().unwrap(), &batch).backward();
        let plain = trainable.flat_gradient(&leaves, &mut plain);
        let plain = read(plain).await.unwrap();
        assert!(plain.iter().any(|value| value.abs() > 1e-3));
        let tape = Tape::new(4);
        let model = model.checkpointed(&tape);
        // The second time in the memory of the first.
        for _ in 0..2 {
            let loss = objectives::sft::loss(model.decoder().unwrap(), &batch);
            let start = (0, Tensor::zeros([trainable.len()], device));
            let (parts, again) = tape.backward(loss.backward(), start, |(parts, sum), mut gradients| {
                (parts + 1, trainable.add_gradients(&leaves, &mut gradients, sum))
            });
            assert!(parts > 1, "blocks have gradients of their own");
            let again = read(again).await.unwrap();
            close(&format!("{method:?}, DoRA {use_dora}"), &again, &plain, tolerance);
        }
    }
}

/// The same gradients where the frozen blocks below the last one are computed once, in another micro-batch too.
pub async fn gradients_above_a_trunk(device: &Device, tolerance: f32) {
    let base = random_llama(fixture!("random_llama/config.json"), true, device);
    let seq = 9;
    let batch = |rows: &[u32]| {
        let ids = |row: &u32| (0..seq).map(move |i| (row * 11 + i * 37) % 61).collect::<Vec<u32>>();
        let input_ids: Vec<u32> = rows.iter().flat_map(ids).collect();
        let length = input_ids.len();
        Batch {
            targets: input_ids.iter().map(|id| (id * 5 + 1) % 61).collect(),
            targets_mask: (0..length).map(|i| i % 4 != 3).collect(),
            position_ids: rows.iter().flat_map(|_| 0..seq).collect(),
            document_ids: vec![1; length],
            supervised_tokens: 1,
            tokens: length,
            input_ids,
            batch: rows.len(),
            seq: seq as usize,
            ..Batch::default()
        }
    };
    let recipe = Recipe { method: Method::LastLayer, ..Recipe::default() };
    let trainable = Trainable::new(&base, &recipe);
    let leaves = trainable.leaves(true);
    let plain = trainable.attach(&base, &leaves, None);
    let trunk = Trunk::new(frozen_blocks(&base, recipe.method), 100);
    let above = plain.with_trunk(&trunk);
    let gradient = async |model: &Model, batch: &Batch| {
        let mut gradients = objectives::sft::loss(model.decoder().unwrap(), batch).backward();
        read(trainable.flat_gradient(&leaves, &mut gradients)).await.unwrap()
    };
    for rows in [[1, 2].as_slice(), &[3], &[3, 1, 2], &[2]] {
        let batch = batch(rows);
        let expected = gradient(&plain, &batch).await;
        assert!(expected.iter().any(|value| value.abs() > 1e-3));
        close(&format!("rows {rows:?}"), &gradient(&above, &batch).await, &expected, tolerance);
    }
}

/// Several answers sampled together: the likeliest tokens are the CPU's, random ones the same every time.
pub async fn sampled_answers(device: &Device) {
    // Every fourth id ends a random answer, so that they have different lengths.
    let ends: Vec<u32> = (0..256).step_by(4).collect();
    let answers = async |device: &Device, temperature: f64, ends: &[u32]| {
        let model = random_llama(fixture!("random_llama/config.json"), false, device);
        let sampling = Sampling { temperature, top_k: Some(20), ..Sampling::default() };
        let mut samplers: Vec<Sampler> =
            (0..5).map(|stream| Sampler::on_stream(sampling.clone(), stream)).collect();
        let go_on = async || Ok(true);
        let answers =
            sample_group(model.decoder().unwrap(), &[3, 14, 15, 9, 26], ends, 12, &mut samplers, go_on).await;
        answers.unwrap().unwrap().into_iter().map(|answer| answer.ids).collect::<Vec<_>>()
    };
    let greedy = answers(device, 0.0, &[]).await;
    assert!(greedy.iter().all(|ids| *ids == greedy[0] && ids.len() == 12));
    assert_eq!(greedy, answers(&Device::flex(), 0.0, &[]).await);
    let random = answers(device, 1.0, &ends).await;
    assert!(random.iter().any(|ids| ids.len() != random[0].len()), "{random:?}");
    assert_eq!(random, answers(device, 1.0, &ends).await);
}

/// A recorded micro-batch: labels are −100 or the token itself, predicted by the position before it.
fn batch(recorded: &Value) -> Batch {
    let rows = |key: &str| -> Vec<Vec<i64>> { serde_json::from_value(recorded[key].clone()).unwrap() };
    let (input_ids, attention, labels) = (rows("input_ids"), rows("attention_mask"), rows("labels"));
    let (batch, seq) = (input_ids.len(), input_ids[0].len());
    let next: Vec<i64> =
        labels.iter().flat_map(|row| row[1..].iter().copied().chain([-100]).collect::<Vec<_>>()).collect();
    let flat = |rows: Vec<Vec<i64>>| -> Vec<u32> { rows.into_iter().flatten().map(|id| id as u32).collect() };
    let targets_mask: Vec<bool> = next.iter().map(|&label| label != -100).collect();
    Batch {
        input_ids: flat(input_ids),
        targets: next.iter().map(|&label| label.max(0) as u32).collect(),
        supervised_tokens: targets_mask.iter().filter(|mask| **mask).count(),
        targets_mask,
        position_ids: (0..batch).flat_map(|_| 0..seq as u32).collect(),
        tokens: attention.iter().flatten().filter(|mask| **mask == 1).count(),
        document_ids: flat(attention),
        batch,
        seq,
        ..Batch::default()
    }
}

fn random_llama(config: &[u8], tied: bool, device: &Device) -> Model {
    let mut config: Value = serde_json::from_slice(config).unwrap();
    config["tie_word_embeddings"] = tied.into();
    let weights = tensors(fixture!("random_llama/model.safetensors"));
    let read = |name: &str, shape: &[usize]| {
        let (stored, values) = &weights[name];
        assert_eq!(stored, shape, "{name}");
        Ok(values.clone())
    };
    Model::load(&config, &read, device).unwrap()
}

pub async fn logits(model: &Model, input: &Input<'_>) -> Vec<f32> {
    read(head::logits(model.forward(input), model.decoder().unwrap().head())).await.unwrap()
}

fn tensors(bytes: &[u8]) -> Tensors {
    let tensors = safetensors::deserialize_f32("fixture", bytes).unwrap();
    tensors.into_iter().map(|(name, shape, values)| (name, (shape, values))).collect()
}

fn ids(tensors: &Tensors, name: &str) -> Vec<u32> {
    tensors[name].1.iter().map(|&id| id as u32).collect()
}

fn dims(tensors: &Tensors, name: &str) -> [usize; 2] {
    tensors[name].0[..].try_into().unwrap()
}

pub fn close(what: &str, values: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(values.len(), expected.len(), "{what}");
    let apart = values.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart <= tolerance, "{what}: {apart} apart from the reference, at most {tolerance} is allowed");
}
