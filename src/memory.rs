//! How much memory a run takes: estimated before it begins, from the model, the recipe and the rows.

use crate::kernels::blocks::Matrix;
use crate::models::llama::Weight;
use crate::models::{Llama, LlamaConfig, Model, head};
use crate::recipe::{GradientCheckpointing, Method, Recipe};
use serde::{Deserialize, Serialize};

/// Above so many bytes of activations, blocks are computed again in the backward pass unless the recipe says otherwise.
const MOST_ACTIVATIONS: usize = 512 << 20;

/// The program, the tokenizer and the rows.
const OWN: usize = 6 << 20;

/// Bytes of a number.
const F32: usize = size_of::<f32>();

/// Bytes that a step holds at its peak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct MemoryEstimate {
    /// The base's weights.
    #[cfg_attr(test, ts(type = "number"))]
    pub weights: usize,
    /// What is trained, and the optimizer's moments.
    #[cfg_attr(test, ts(type = "number"))]
    pub trained: usize,
    /// What the forward pass keeps for the backward pass, and what both work with.
    #[cfg_attr(test, ts(type = "number"))]
    pub activations: usize,
    /// Logits, a piece at a time.
    #[cfg_attr(test, ts(type = "number"))]
    pub logits: usize,
    /// What a second thread works in.
    #[serde(default)]
    #[cfg_attr(test, ts(type = "number"))]
    pub helper: usize,
    /// Of everything at the moment that takes most; less than the sum, since not all is there at once.
    #[cfg_attr(test, ts(type = "number"))]
    pub total: usize,
    /// Whether blocks are computed again in the backward pass.
    pub gradient_checkpointing: bool,
}

/// The micro-batches that a run is made of, at their largest.
#[derive(Debug, Clone, Copy)]
pub struct Largest {
    pub batch: usize,
    pub seq: usize,
    /// Whether attention keeps its probabilities, as on the CPU.
    pub keeps_probabilities: bool,
}

/// What a run takes on one thread.
///
/// # Shapes
/// - trained: how many numbers are trained
pub fn estimate(base: &Model, trained: usize, recipe: &Recipe, largest: Largest) -> MemoryEstimate {
    let tokens = largest.batch * largest.seq;
    // What is kept of all blocks, what one block needs beside it in the backward pass, and the hidden states.
    let (kept, block, hidden, recomputes) = match base {
        Model::Llama(llama) => {
            let (block, layers) = (block(&llama.config, largest), llama.layers.len());
            let hidden = tokens * llama.config.hidden_size * F32;
            // Both factors of a product are copied into the order that it reads them in.
            let works = 2 * tokens * llama.config.intermediate_size * F32 + expanded(llama, recipe);
            match recomputes(&llama.config, recipe, largest) {
                true => (layers * hidden, block + block / 2 + works, hidden, true),
                false => (layers * block, block / 2 + works, hidden, false),
            }
        }
        Model::Bert(bert) => {
            let config = &bert.config;
            let of_token = 9 * config.hidden_size
                + 3 * config.intermediate_size
                + 2 * config.num_attention_heads * largest.seq;
            let block = tokens * of_token * F32;
            (config.num_hidden_layers * block, block / 2, tokens * config.hidden_size * F32, false)
        }
    };
    let logits = match base {
        Model::Llama(llama) if llama.score.is_none() => {
            let saved = recipe.lora.modules_to_save.iter().any(|module| module == "lm_head");
            let is_trained = recipe.method == Method::Full || recipe.method == Method::Lora && saved;
            head::bytes(tokens, llama.head(), is_trained)
        }
        _ => 0,
    };
    let weights = bytes(base);
    let numbers = trained * F32;
    // Of the loss, of the blocks' gradients, and of the update, the one that takes most.
    let of_loss = kept + 2 * hidden + logits;
    let of_blocks = kept + 2 * hidden + block + numbers;
    let of_update = 2 * numbers;
    // Values and two moments stay.
    let total = OWN + weights + 3 * numbers + of_loss.max(of_blocks).max(of_update);
    MemoryEstimate {
        weights,
        trained: 3 * numbers,
        activations: kept + block + 2 * hidden,
        logits,
        helper: 0,
        total,
        gradient_checkpointing: recomputes,
    }
}

/// Whether a micro-batch's blocks are computed again in its backward pass.
pub fn recomputes(config: &LlamaConfig, recipe: &Recipe, largest: Largest) -> bool {
    match recipe.train.gradient_checkpointing {
        GradientCheckpointing::On => true,
        GradientCheckpointing::Off => false,
        GradientCheckpointing::Auto => config.num_hidden_layers * block(config, largest) > MOST_ACTIVATIONS,
    }
}

/// Bytes that the forward pass of one block keeps.
fn block(config: &LlamaConfig, largest: Largest) -> usize {
    let queries = config.num_attention_heads * config.head_dim;
    let keys = config.num_key_value_heads * config.head_dim;
    // Half of the probabilities is left by the mask.
    let of_attention =
        if largest.keeps_probabilities { config.num_attention_heads * largest.seq.div_ceil(2) } else { 0 };
    // Inputs and outputs of both norms, queries, keys and values, attention's output, the gate and what it multiplies,
    // and their product.
    let of_token =
        4 * config.hidden_size + 2 * (queries + keys) + 3 * config.intermediate_size + of_attention;
    largest.batch * largest.seq * of_token * F32
}

/// Bytes of a weight in blocks that are numbers at the same time: DoRA takes the norm of each row, of the weight and its squares.
fn expanded(llama: &Llama, recipe: &Recipe) -> usize {
    match llama.layers.first().map(|layer| &layer.mlp.up_proj.weight) {
        Some(Matrix::Blocks(blocks)) if recipe.lora.use_dora => {
            2 * blocks.shape.iter().product::<usize>() * F32
        }
        _ => 0,
    }
}

/// Bytes of a model's weights as they lie on the device.
fn bytes(base: &Model) -> usize {
    let of_weight = |weight: Weight| match weight {
        Weight::Matrix(weight) => weight.dims().iter().product::<usize>() * F32,
        Weight::Linear(weight) => weight.bytes(),
        Weight::Vector(weight) => weight.dims()[0] * F32,
    };
    base.clone().weights_mut().into_iter().map(|(_, weight)| of_weight(weight)).sum()
}
