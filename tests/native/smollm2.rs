//! SmolLM2-135M-Instruct from its GGUF: transformers' logits, ids and answer.
//! `cargo xtask` fetches the file; without it these tests say that they were skipped.

use burn::tensor::Device;
use loralet::recipe::{BaseDtype, Recipe};
use loralet::session::{GenerateRequest, Limits, Session};
use loralet::weights::FileSource;
use pollster::block_on;
use serde_json::Value;
use std::path::PathBuf;

fn session(base_dtype: BaseDtype) -> Option<Session> {
    let cache = std::env::var_os("LORALET_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/loralet")))?;
    let file = cache.join("models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    if !file.is_file() {
        assert!(std::env::var("LORALET_REQUIRE_MODELS").is_err(), "{} is missing", file.display());
        eprintln!("skipped: {} is missing", file.display());
        return None;
    }
    let mut session = Session::new(Device::flex(), Limits::default());
    session
        .open_model(vec![Box::new(FileSource::open(&file).unwrap())], "smollm2", base_dtype, &|_, _| {})
        .unwrap();
    Some(session)
}

#[test]
fn logits_and_greedy_answer_agree_with_transformers() {
    // The same numbers whether weights are expanded when the file is opened or when they are needed.
    for base_dtype in [BaseDtype::F32, BaseDtype::Stored] {
        let Some(session) = session(base_dtype) else { return };
        agrees_with_transformers(&session);
    }
}

fn agrees_with_transformers(session: &Session) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/smollm2");
    let expected: Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let tensors = loralet::weights::safetensors::deserialize_f32("expected", &bytes).unwrap();
    let ids = |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
    let columns = ids(&expected["vocab_ids"]);
    for (i, prompt) in expected["prompts"].as_array().unwrap().iter().enumerate() {
        let input_ids = ids(&prompt["input_ids"]);
        let logits = block_on(session.logits(&input_ids, false)).unwrap();
        let vocab = logits.len() / input_ids.len();
        let (_, _, reference) = tensors.iter().find(|(name, ..)| *name == format!("logits.{i}")).unwrap();
        let found = logits.chunks(vocab).flat_map(|row| columns.iter().map(|&column| row[column as usize]));
        let apart = found.zip(reference).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-3, "prompt {i}: logits are {apart} apart");
    }

    let greedy = &expected["greedy"];
    let messages = &expected["prompts"][greedy["prompt"].as_u64().unwrap() as usize]["messages"];
    let request = GenerateRequest {
        messages: Some(serde_json::from_value(messages.clone()).unwrap()),
        adapter: false,
        max_new_tokens: 16,
        ..GenerateRequest::default()
    };
    let answer = block_on(session.generate(&request, async |_: &str| Ok(true))).unwrap();
    assert_eq!(answer.text.trim(), greedy["text"].as_str().unwrap().trim());
}

#[test]
fn a_few_steps_teach_it_an_answer() {
    let Some(mut session) = session(BaseDtype::Stored) else { return };
    let rows = "{\"prompt\": \"What is the harbour pilot's name?\", \"completion\": \"Ottoline Brack.\"}\n"
        .repeat(2);
    let recipe = serde_json::json!({
        "train": { "max_steps": 6, "learning_rate": 2e-3, "batch_size": 1, "warmup_ratio": 0.0,
                   "gradient_checkpointing": "on" },
        "lora": { "rank": 4 }, "eval": { "validation_fraction": 0.0 },
    });
    let recipe = Recipe::from_json(&recipe).unwrap();
    session.open_data("pilot.jsonl", rows.as_bytes(), &recipe).unwrap();
    session.begin(&recipe).unwrap();
    for _ in 0..6 {
        block_on(session.step()).unwrap();
    }
    let request = GenerateRequest {
        prompt: Some("What is the harbour pilot's name?".into()),
        max_new_tokens: 12,
        ..GenerateRequest::default()
    };
    let answer = block_on(session.generate(&request, async |_: &str| Ok(true))).unwrap();
    assert_eq!(answer.text, "Ottoline Brack.");
}
