//! DoRA and LoRA+ against PEFT: logits, gradients and steps of the fixtures in `tests/fixtures/lora_variants`.

use super::*;

macro_rules! variant {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/lora_variants/", $path))
            .as_slice()
    };
}

/// An adapter that PEFT wrote gives PEFT's logits and gradients, and survives saving.
pub async fn dora_adapter(device: &Device, tolerance: f32, gradient_tolerance: f32) {
    let expected = tensors(variant!("expected.safetensors"));
    let base = random_llama(fixture!("random_llama/config.json"), false, device);
    let files = [
        ("adapter_config.json", variant!("dora/adapter_config.json")),
        ("adapter_model.safetensors", variant!("dora/adapter_model.safetensors")),
    ]
    .map(|(name, bytes)| OutputFile { name: name.into(), bytes: bytes.to_vec() });
    let adapter = peft::load(&files, &base).unwrap();
    let [_, seq] = dims(&expected, "input_ids");
    let (input_ids, positions) = (ids(&expected, "input_ids"), (0..seq as u32).collect::<Vec<_>>());
    let documents = vec![1; seq];
    let input =
        Input { input_ids: &input_ids, position_ids: &positions, document_ids: &documents, batch: 1, seq };
    close("dora.logits", &logits(&adapter.tuned(&base), &input).await, &expected["logits"].1, tolerance);

    let saved = peft::save(&adapter, "random_llama").await.unwrap();
    let again = peft::load(&saved, &base).unwrap();
    let (before, after) = (read(adapter.values.clone()).await.unwrap(), read(again.values).await.unwrap());
    assert_eq!(before, after);
    let names = |bytes: &[u8]| tensors(bytes).into_keys().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(names(&saved[1].bytes), names(variant!("dora/adapter_model.safetensors")));

    let (_, gradient) = loss_and_gradient(&base, &adapter, &first_batch()).await;
    let gradient = read(gradient).await.unwrap();
    let expected = tensors(variant!("dora_first_gradients.safetensors"));
    for parameter in &adapter.parameters {
        let expected = &expected[&format!("base_model.model.{}", parameter.name)].1;
        let ours = &gradient[parameter.offset..parameter.offset + parameter.len()];
        let largest = expected.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
        assert!(largest > 0.0, "{}: the reference is all zero", parameter.name);
        let apart = ours.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart <= gradient_tolerance * largest, "{}: {apart} apart of {largest}", parameter.name);
    }
}

/// Steps from a fresh DoRA adapter, whose magnitudes are the norms of the base's rows.
pub async fn dora_steps(device: &Device, tolerance: f64) {
    let recorded: Value = serde_json::from_slice(variant!("dora_steps.json")).unwrap();
    let lora = LoraRecipe { use_dora: true, ..recorded_lora(&recorded) };
    let base = random_llama(fixture!("random_llama/config.json"), false, device);
    let mut trainable = Trainable::new(&base, &Recipe { lora, ..Recipe::default() });
    let first = tensors(variant!("dora_first_values.safetensors"));
    let ours = read(trainable.values.clone()).await.unwrap();
    for parameter in trainable.parameters.iter().filter(|parameter| parameter.shape.len() == 1) {
        let expected = &first[&format!("base_model.model.{}", parameter.name)].1;
        close(&parameter.name, &ours[parameter.offset..][..parameter.len()], expected, 1e-4);
    }
    trainable.values = values_of(&trainable, &first, device);
    follow(&recorded, &batches(), &base, trainable, tolerance).await;
}

/// Steps with PEFT's LoRA+ optimizer.
pub async fn loraplus_steps(device: &Device, tolerance: f64) {
    let recorded: Value = serde_json::from_slice(variant!("loraplus_steps.json")).unwrap();
    let ratio = recorded["loraplus_lr_ratio"].as_f64().unwrap();
    let lora = LoraRecipe { loraplus_lr_ratio: ratio, ..recorded_lora(&recorded) };
    let base = random_llama(fixture!("random_llama/config.json"), false, device);
    let mut trainable = Trainable::new(&base, &Recipe { lora, ..Recipe::default() });
    trainable.values = values_of(&trainable, &tensors(fixture!("lora_init.safetensors")), device);
    let after = follow(&recorded, &batches(), &base, trainable, tolerance).await;
    let values = read(after.values.clone()).await.unwrap();
    let expected = tensors(variant!("loraplus_final.safetensors"));
    for parameter in &after.parameters {
        let expected = &expected[&format!("base_model.model.{}", parameter.name)].1;
        close(&parameter.name, &values[parameter.offset..][..parameter.len()], expected, tolerance as f32);
    }
}

fn recorded_lora(recorded: &Value) -> LoraRecipe {
    LoraRecipe {
        rank: recorded["rank"].as_u64().unwrap() as usize,
        alpha: recorded["alpha"].as_f64().unwrap(),
        ..LoraRecipe::default()
    }
}

/// The base's batches, which every recorded run has.
fn batches() -> Value {
    let recorded: Value = serde_json::from_slice(fixture!("lora_steps.json")).unwrap();
    recorded["batches"].clone()
}

fn first_batch() -> Vec<Batch> {
    batches()[0].as_array().unwrap().iter().map(batch).collect()
}
