//! The same numbers as transformers, PEFT and TRL, natively on the CPU. The fixtures and the
//! scripts that made them are in `tests/fixtures/llama`, `tests/fixtures/preference` and
//! `tests/fixtures/score` and others beside them; `tests/browser.rs` runs the same checks in the browser.

use crate::support;
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
fn tokens_are_chosen_as_often_as_their_probabilities_say() {
    block_on(support::sample::sampled(&Device::flex()));
}

#[test]
fn checkpointing_changes_no_gradient() {
    block_on(support::checkpointed_gradients(&Device::flex(), 1e-5));
}

#[test]
fn a_trunk_changes_no_gradient() {
    block_on(support::gradients_above_a_trunk(&Device::flex(), 1e-5));
}

#[test]
fn full_fine_tuning_steps_follow_pytorch() {
    block_on(support::full_steps(&Device::flex(), 1e-4));
}

#[test]
fn divergence_from_the_base_is_that_of_pytorch() {
    block_on(support::forgetting::kl_to_base(&Device::flex(), 1e-5, 1e-4));
}

#[test]
fn preference_losses_and_gradients_are_those_of_trl() {
    block_on(support::preference::losses(&Device::flex(), 1e-5, 1e-4));
}

#[test]
fn grpo_advantages_losses_and_gradients_are_those_of_trl() {
    block_on(support::grpo::losses(&Device::flex(), 1e-5, 1e-4));
}

#[test]
fn the_first_dpo_loss_is_ln_2() {
    block_on(support::preference::first_dpo_loss(&Device::flex()));
}

#[test]
fn a_classifier_has_the_loss_and_gradients_of_transformers() {
    block_on(support::score::classify(&Device::flex(), 1e-5, 1e-4));
}

#[test]
fn a_reward_model_has_the_loss_and_gradients_of_trl() {
    block_on(support::score::reward(&Device::flex(), 1e-5, 1e-4));
}

#[test]
fn a_classifier_is_trained_as_by_pytorch() {
    block_on(support::score::steps(&Device::flex(), 1e-4));
}

#[test]
fn a_classifier_adapter_goes_to_peft_and_back() {
    block_on(support::score::peft_classifier(&Device::flex(), 1e-4));
}

#[test]
fn modules_saved_by_peft_give_the_same_logits() {
    block_on(support::score::peft_modules_to_save(&Device::flex(), 1e-4));
}

#[test]
fn macro_f1_is_that_of_scikit_learn() {
    support::score::metrics();
}

#[test]
fn embeddings_of_a_bert_are_those_of_sentence_transformers() {
    block_on(support::embedding::embeddings(&Device::flex(), 1e-5));
}

#[test]
fn contrastive_losses_and_gradients_are_those_of_sentence_transformers() {
    block_on(support::embedding::losses(&Device::flex(), 1e-5, 1e-4));
    block_on(support::embedding::batches_add_up(&Device::flex()));
}

#[test]
fn a_classifier_on_an_encoder_has_the_loss_and_gradients_of_pytorch() {
    block_on(support::encoder_score::classify(&Device::flex(), 1e-5, 1e-4));
    block_on(support::encoder_score::saved_and_opened(&Device::flex()));
}

#[test]
fn dora_agrees_with_peft() {
    block_on(support::lora_variants::dora_adapter(&Device::flex(), 1e-4, 1e-4));
    block_on(support::lora_variants::dora_steps(&Device::flex(), 1e-4));
}

#[test]
fn numbers_of_more_than_32_bits_are_counted_whole() {
    support::memory::large_numbers(&Device::flex());
}

#[test]
fn loraplus_steps_follow_peft() {
    block_on(support::lora_variants::loraplus_steps(&Device::flex(), 1e-5));
}
