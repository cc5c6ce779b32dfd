//! Each architecture against transformers and PEFT, on a tiny random checkpoint; the fixtures and the scripts that made them are
//! in `tests/fixtures`, a folder an architecture.

use crate::decoder_fixture;
use crate::support::architectures::{agrees_with_transformers, trains_and_answers, variant_agrees};
use burn::tensor::Device;
use pollster::block_on;
use serde_json::json;

#[test]
fn qwen2_is_that_of_transformers() {
    let fixture = decoder_fixture!("qwen2");
    block_on(agrees_with_transformers(&fixture, &Device::flex()));
    block_on(trains_and_answers(&fixture, &Device::flex()));
    // A window in the last block, as configs say it now and as they did.
    let window = json!({ "use_sliding_window": true, "sliding_window": 8, "max_window_layers": 2, "layer_types": null });
    block_on(variant_agrees(&fixture, "window", window, &Device::flex()));
    let types = ["full_attention", "full_attention", "sliding_attention"];
    let window = json!({ "sliding_window": 8, "layer_types": types });
    block_on(variant_agrees(&fixture, "window", window, &Device::flex()));
}

#[test]
fn qwen3_is_that_of_transformers() {
    let fixture = decoder_fixture!("qwen3");
    block_on(agrees_with_transformers(&fixture, &Device::flex()));
    block_on(trains_and_answers(&fixture, &Device::flex()));
}
