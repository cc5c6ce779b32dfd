//! How much memory a step takes.

use crate::models::LlamaConfig;

/// Above so many bytes of activations, blocks are checkpointed unless the recipe says otherwise.
pub const MOST_ACTIVATIONS: usize = 512 << 20;

/// Bytes that the forward pass of a micro-batch keeps for the backward pass without block checkpointing.
pub fn activations(config: &LlamaConfig, batch: usize, seq: usize) -> usize {
    let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
    let queries = config.num_attention_heads * config.head_dim;
    let keys = config.num_key_value_heads * config.head_dim;
    // Inputs and outputs of both norms, queries, keys and values, attention's output, the gate and what it multiplies,
    // their product; and the probabilities that the CPU keeps, half of which the mask leaves.
    let of_token = 4 * hidden + 2 * (queries + keys) + 3 * ffn + config.num_attention_heads * seq / 2;
    batch * seq * config.num_hidden_layers * of_token * size_of::<f32>()
}
