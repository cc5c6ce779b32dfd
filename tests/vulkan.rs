//! The GPU's kernels natively, on whatever Vulkan offers: `cargo test --features vulkan --test vulkan`. Without a GPU that is
//! Mesa's lavapipe. `tests/browser.rs` runs the same checks on WebGPU.
#![cfg(feature = "vulkan")]

mod support;

use burn::tensor::Device;
use loralet::recipe::{BaseDtype, Recipe};
use loralet::session::{GenerateRequest, Limits, Session};
use loralet::weights::source::{ByteSource, FileSource};
use pollster::block_on;
use serde_json::json;
use std::path::{Path, PathBuf};

/// In one test, since a process sets its GPU runtime up once.
#[test]
fn vulkan_follows_the_references() {
    let device = Device::wgpu_options().init().expect("a Vulkan device");
    block_on(async {
        support::kernels::kernels(&device, 1e-4).await;
        // From here on with the tiles of a software adapter.
        loralet::kernels::set_software_adapter(true);
        support::kernels::kernels(&device, 1e-4).await;
        support::full_rows(&device, 1e-3).await;
        support::padded_and_packed(&device, 1e-3).await;
        support::peft_adapters(&device, 1e-3).await;
        support::lora_steps(&device, 1e-3).await;
        support::sample::sampled(&device).await;
        support::sampled_answers(&device).await;
        support::answers::cached_logits(&device, 1e-4).await;
        support::answers::long_prompt(&device, 1e-4).await;
        assert_eq!(tiny_answers(&device).await, tiny_answers(&Device::flex()).await);
        support::checkpointed_gradients(&device, 1e-4).await;
        support::gradients_above_a_trunk(&device, 1e-4).await;
        support::lora_variants::dora_adapter(&device, 1e-3, 1e-3).await;
        support::score::classify(&device, 1e-3, 1e-2).await;
        support::embedding::embeddings(&device, 1e-3).await;
        support::embedding::losses(&device, 1e-3, 1e-2).await;
        steps_in_a_row(&device).await;
    });
}

/// Steps that are launched without waiting for each other have the losses of steps one by one, take no more memory, and end
/// where the loss is no number.
async fn steps_in_a_row(device: &Device) {
    let mut session = tiny(device);
    let rows = std::fs::read(public("samples/tiny-duck.jsonl")).unwrap();
    let recipe = |learning_rate: f64, alpha: f64| {
        Recipe::from_json(&json!({
            "lora": { "alpha": alpha, "target_modules": ["gate_proj", "up_proj", "down_proj"] },
            "train": {
                "learning_rate": learning_rate, "max_steps": 24, "batch_size": 2, "max_seq_length": 64,
                "gradient_checkpointing": "on", "warmup_ratio": 0.2,
            },
            "eval": { "validation_fraction": 0.0, "probe": false },
        }))
        .unwrap()
    };
    session.open_data("tiny-duck.jsonl", &rows, &recipe(1e-3, 32.0)).unwrap();
    let mut run = async |learning_rate: f64, alpha: f64, most: usize| {
        session.begin(&recipe(learning_rate, alpha)).unwrap();
        let (mut losses, mut bytes) = (Vec::new(), Vec::new());
        let error = loop {
            match session.steps(most).await {
                Ok(reports) => losses.extend(reports.iter().map(|report| (report.loss, report.grad_norm))),
                Err(error) => break error.to_string(),
            }
            bytes.push(session.gpu_bytes().unwrap());
        };
        (losses, bytes, error, session.steps_done())
    };
    let (one_by_one, bytes, ..) = run(1e-3, 32.0, 1).await;
    let (in_a_row, more, ..) = run(1e-3, 32.0, 8).await;
    // The kernel that sums up the last numbers is chosen by its time, so their order may change from run to run.
    let near = |(a, b): (&(f64, f64), &(f64, f64))| (a.0 - b.0).abs() < 1e-4 && (a.1 - b.1).abs() < 1e-3;
    assert_eq!((one_by_one.len(), in_a_row.len()), (24, 24));
    assert!(one_by_one.iter().zip(&in_a_row).all(near), "{one_by_one:?}, then {in_a_row:?}");
    // Beyond it only the figures of eight steps, each in a place of its own.
    let [before, after] = [&bytes, &more].map(|bytes| *bytes.iter().max().unwrap());
    assert!(after <= before + 8 * 5120, "{bytes:?}, then {more:?}");
    let (.., error, done) = run(1.0, 1.6e18, 8).await;
    assert!(error.contains("stopped being a number at step 3"), "{error}");
    assert_eq!(done, 2);
}

/// What the bundled model says when it always takes the likeliest token.
async fn tiny_answers(device: &Device) -> Vec<String> {
    let session = tiny(device);
    let mut answers = Vec::new();
    for prompt in ["Tell me about Pip.", "Who are you?"] {
        let request = GenerateRequest {
            prompt: Some(prompt.into()),
            adapter: false,
            max_new_tokens: 24,
            ..Default::default()
        };
        let answer = session.generate(&request, async |_: &str| Ok(true)).await.unwrap();
        assert!(answer.tokens > 3, "{answer:?}");
        answers.push(answer.text);
    }
    answers
}

/// The bundled model, opened.
fn tiny(device: &Device) -> Session {
    const FILES: [&str; 5] = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "model.safetensors",
    ];
    let source = |name| -> Box<dyn ByteSource> {
        Box::new(FileSource::open(public("models/tiny").join(name)).unwrap())
    };
    let mut session = Session::new(device.clone(), Limits::default());
    session.open_model(FILES.map(source).into(), "tiny", BaseDtype::F32, &|_, _| {}).unwrap();
    session
}

fn public(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("www/public").join(path)
}
