//! Numbers that need more than 32 bits, which `usize` has in a browser.

use super::*;
use loralet::memory::{Largest, estimate};
use loralet::recipe::GradientCheckpointing;
use serde_json::json;

/// Parameters and bytes of more than 2³² are what they are, and a rank of 2³² is not 0.
pub fn large_numbers(device: &Device) {
    let llama_3_70b = json!({
        "model_type": "llama", "hidden_size": 8192, "intermediate_size": 28_672, "num_hidden_layers": 80, "num_attention_heads": 64,
        "num_key_value_heads": 8, "vocab_size": 128_256,
    });
    let nothing = |_: &str, _: &[usize]| -> loralet::Result<Vec<f32>> { unreachable!("no values are read") };
    let outline = Model::outline(&llama_3_70b, &nothing).unwrap();
    assert_eq!(outline.parameters(), 70_553_706_496);

    let base = random_llama(fixture!("random_llama/config.json"), true, device);
    let of = |batch: u64, gradient_checkpointing: GradientCheckpointing| {
        let mut recipe = Recipe::default();
        recipe.train.gradient_checkpointing = gradient_checkpointing;
        let largest = Largest { batch, seq: 8192, targets: batch * 8192, ..Largest::default() };
        estimate(&base, 1000, &recipe, largest)
    };
    let (some, twice) = (of(1 << 14, GradientCheckpointing::Off), of(1 << 15, GradientCheckpointing::Off));
    // 2 layers of 2²⁷ tokens, each with 4 hidden states of 32 numbers and more.
    assert!(some.activations > (2 * 4 * 32 * 4) << 27, "{some:?}");
    let ratio = twice.total as f64 / some.total as f64;
    assert!((1.9..=2.1).contains(&ratio), "{ratio}");
    assert!(some.tensor > 1 << 32, "{some:?}");
    assert!(of(1 << 14, GradientCheckpointing::Auto).gradient_checkpointing);

    let mut config: Value = serde_json::from_slice(fixture!("random_lora/adapter_config.json")).unwrap();
    config["r"] = json!(4_294_967_296_u64);
    let files = [
        ("adapter_config.json", config.to_string().into_bytes()),
        ("adapter_model.safetensors", fixture!("random_lora/adapter_model.safetensors").to_vec()),
    ]
    .map(|(name, bytes)| OutputFile { name: name.into(), bytes });
    let refused = peft::load(&files, &base).unwrap_err().to_string();
    assert!(refused.contains("r is 4294967296"), "{refused}");
}
