//! What only a browser can show: the parity checks in wasm, on the CPU and on WebGPU.
#![cfg(target_arch = "wasm32")]

mod support;

use burn::tensor::Device;
use loralet::kernels::gemm;
use loralet::web::{device::choose, relaxed};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

#[wasm_bindgen_test]
async fn cpu_logits_agree_with_transformers() {
    support::full_rows(&Device::flex(), 1e-4).await;
    support::padded_and_packed(&Device::flex(), 1e-4).await;
    support::peft_adapters(&Device::flex(), 1e-4).await;
}

#[wasm_bindgen_test]
async fn cpu_lora_steps_follow_pytorch() {
    support::lora_steps(&Device::flex(), 1e-4).await;
}

#[wasm_bindgen_test]
async fn cpu_full_fine_tuning_steps_follow_pytorch() {
    support::full_steps(&Device::flex(), 1e-4).await;
}

#[wasm_bindgen_test]
fn numbers_of_more_than_32_bits_are_counted_whole() {
    support::memory::large_numbers(&Device::flex());
}

/// In one test, since the faster kernel stays once it is loaded.
#[wasm_bindgen_test]
async fn both_matrix_kernels_compute_products() {
    gemm::self_test().unwrap();
    assert!(relaxed::load().await, "this browser has relaxed SIMD");
    gemm::self_test().unwrap();
    support::full_rows(&Device::flex(), 1e-4).await;
    support::lora_steps(&Device::flex(), 1e-4).await;
}

#[wasm_bindgen_test]
async fn cpu_preference_losses_are_those_of_trl() {
    support::preference::losses(&Device::flex(), 1e-4, 1e-3).await;
}

#[wasm_bindgen_test]
async fn cpu_grpo_losses_are_those_of_trl() {
    support::grpo::losses(&Device::flex(), 1e-4, 1e-3).await;
}

#[wasm_bindgen_test]
async fn cpu_classifiers_are_trained_as_by_pytorch() {
    support::score::classify(&Device::flex(), 1e-4, 1e-3).await;
    support::score::reward(&Device::flex(), 1e-4, 1e-3).await;
    support::score::steps(&Device::flex(), 1e-4).await;
}

#[wasm_bindgen_test]
async fn cpu_embeddings_are_those_of_sentence_transformers() {
    support::embedding::embeddings(&Device::flex(), 1e-4).await;
    support::embedding::losses(&Device::flex(), 1e-4, 1e-3).await;
    support::encoder_score::classify(&Device::flex(), 1e-4, 1e-3).await;
}

#[wasm_bindgen_test]
async fn cpu_cached_logits_are_those_of_whole_sequences() {
    support::answers::cached_logits(&Device::flex(), 1e-4).await;
}

/// One test, since a page can set up its GPU runtime once. The weakest adapter that WebGPU allows must do.
#[wasm_bindgen_test]
async fn webgpu_follows_the_references() {
    js_sys::eval(include_str!("support/default_limits.js")).unwrap();
    loralet::web::start();
    let (device, _, report) = choose("webgpu").await.unwrap();
    assert_eq!(report.kind, loralet::session::DeviceKind::Webgpu, "{}", report.reason);
    support::kernels::kernels(&device, 1e-4).await;
    support::full_rows(&device, 1e-3).await;
    support::padded_and_packed(&device, 1e-3).await;
    support::peft_adapters(&device, 1e-3).await;
    support::lora_steps(&device, 1e-3).await;
    support::sample::sampled(&device).await;
    support::sampled_answers(&device).await;
    support::answers::cached_logits(&device, 1e-4).await;
    support::answers::long_prompt(&device, 1e-4).await;
    support::checkpointed_gradients(&device, 1e-4).await;
    support::gradients_above_a_trunk(&device, 1e-4).await;
    support::lora_variants::dora_adapter(&device, 1e-3, 1e-3).await;
    support::score::classify(&device, 1e-3, 1e-2).await;
    support::embedding::embeddings(&device, 1e-3).await;
    support::embedding::losses(&device, 1e-3, 1e-2).await;
    // With the tiles that a real GPU gets.
    loralet::kernels::set_software_adapter(false);
    support::kernels::kernels(&device, 1e-4).await;
}
