//! The GPU's kernels natively, on whatever Vulkan offers: `cargo test --features vulkan --test vulkan`. Without a GPU that is
//! Mesa's lavapipe. `tests/browser.rs` runs the same checks on WebGPU.
#![cfg(feature = "vulkan")]

mod support;

use burn::tensor::Device;
use pollster::block_on;

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
        support::checkpointed_gradients(&device, 1e-4).await;
        support::lora_variants::dora_adapter(&device, 1e-3, 1e-3).await;
        support::score::classify(&device, 1e-3, 1e-2).await;
        support::embedding::embeddings(&device, 1e-3).await;
        support::embedding::losses(&device, 1e-3, 1e-2).await;
    });
}
