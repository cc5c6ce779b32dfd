//! The GPU's kernels natively, on whatever Vulkan offers: `cargo test --features vulkan --test vulkan`. Without a GPU that is
//! Mesa's lavapipe. `tests/browser.rs` runs the same checks on WebGPU.
#![cfg(feature = "vulkan")]

mod support;

use burn::tensor::Device;
use loralet::recipe::BaseDtype;
use loralet::session::{GenerateRequest, Limits, Session};
use loralet::weights::source::{ByteSource, FileSource};
use pollster::block_on;
use std::path::Path;

/// In one test, since a process sets its GPU runtime up once.
#[test]
fn vulkan_follows_the_references() {
    let device = Device::wgpu_options().init().expect("a Vulkan device");
    block_on(async {
        support::kernels::kernels(&device, 1e-4).await;
        // From here on with the tiles of a software adapter.
        loralet::kernels::set_software_adapter();
        support::kernels::kernels(&device, 1e-4).await;
        support::full_rows(&device, 1e-3).await;
        support::padded_and_packed(&device, 1e-3).await;
        support::peft_adapters(&device, 1e-3).await;
        support::lora_steps(&device, 1e-3).await;
        support::sample::sampled(&device).await;
        support::sampled_answers(&device).await;
        assert_eq!(tiny_answers(&device).await, tiny_answers(&Device::flex()).await);
        support::checkpointed_gradients(&device, 1e-4).await;
        support::lora_variants::dora_adapter(&device, 1e-3, 1e-3).await;
        support::score::classify(&device, 1e-3, 1e-2).await;
        support::embedding::embeddings(&device, 1e-3).await;
        support::embedding::losses(&device, 1e-3, 1e-2).await;
    });
}

/// What the bundled model says when it always takes the likeliest token.
async fn tiny_answers(device: &Device) -> Vec<String> {
    const FILES: [&str; 5] = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "model.safetensors",
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("www/public/models/tiny");
    let mut session = Session::new(device.clone(), Limits::default());
    let source = |file| -> Box<dyn ByteSource> { Box::new(FileSource::open(folder.join(file)).unwrap()) };
    session.open_model(FILES.map(source).into(), "tiny", BaseDtype::F32, &|_, _| {}).unwrap();
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
