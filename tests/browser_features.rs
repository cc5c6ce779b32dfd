//! The kernels on WebGPU with the optional features that the browser offers; `browser.rs` runs without them.
#![cfg(target_arch = "wasm32")]

mod support;

use loralet::web::device::choose;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

#[wasm_bindgen_test]
async fn webgpu_with_its_features_follows_the_references() {
    loralet::web::start();
    let (device, _, report) = choose("webgpu").await.unwrap();
    assert_eq!(report.kind, loralet::session::DeviceKind::Webgpu, "{}", report.reason);
    support::kernels::kernels(&device, 1e-4).await;
    support::lora_steps(&device, 1e-3).await;
    support::sampled_answers(&device).await;
}
