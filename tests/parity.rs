//! The same numbers as transformers, PEFT and TRL, natively on the CPU. The fixtures and the
//! scripts that made them are in `tests/fixtures/llama` and `tests/fixtures/preference`;
//! `tests/browser.rs` runs the same checks in the browser.

mod support;

use burn::tensor::Device;
use pollster::block_on;

#[test]
fn logits_of_full_rows_agree_with_transformers() {
    block_on(support::full_rows(&Device::flex(), 1e-4));
}

#[test]
fn padding_and_packing_change_no_logits() {
    block_on(support::padded_and_packed(&Device::flex(), 1e-4));
}

#[test]
fn peft_adapters_load_and_give_the_same_logits() {
    block_on(support::peft_adapters(&Device::flex(), 1e-4));
}

#[test]
fn a_fresh_adapter_changes_nothing() {
    block_on(support::zero_adapter(&Device::flex()));
}

#[test]
fn lora_steps_follow_pytorch() {
    block_on(support::lora_steps(&Device::flex(), 1e-4));
}

#[test]
fn full_fine_tuning_steps_follow_pytorch() {
    block_on(support::full_steps(&Device::flex(), 1e-4));
}

#[test]
fn preference_losses_and_gradients_are_those_of_trl() {
    block_on(support::preference::losses(&Device::flex(), 1e-5, 1e-4));
}

#[test]
fn the_first_dpo_loss_is_ln_2() {
    block_on(support::preference::first_dpo_loss(&Device::flex()));
}
