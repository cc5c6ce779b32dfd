//! How much memory a run takes: estimated before it begins, from the model, the recipe and the rows. Bytes are counted in 64
//! bits, since a browser's `usize` has 32, and what is too large for those stays as large as it can be.

mod largest;

pub use largest::{Largest, Sampled};

use crate::generate::PIECE;
use crate::kernels::blocks::Matrix;
use crate::models::layers::attention::KeyValueCache;
use crate::models::llama::Weight;
use crate::models::{BertConfig, Llama, LlamaConfig, Model, head};
use crate::recipe::{GradientCheckpointing, LoraRecipe, Method, Recipe};
use serde::{Deserialize, Serialize};

/// Above so many bytes of activations, blocks are computed again in the backward pass unless the recipe says otherwise.
const MOST_ACTIVATIONS: u64 = 512 << 20;

/// The program, the tokenizer and the rows.
const OWN: u64 = 6 << 20;

/// Bytes that a step holds at its peak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct MemoryEstimate {
    /// The base's weights.
    #[cfg_attr(test, ts(type = "number"))]
    pub weights: u64,
    /// What is trained, and the optimizer's moments.
    #[cfg_attr(test, ts(type = "number"))]
    pub trained: u64,
    /// What the forward pass keeps for the backward pass, and what both work with.
    #[cfg_attr(test, ts(type = "number"))]
    pub activations: u64,
    /// Logits, a piece at a time.
    #[cfg_attr(test, ts(type = "number"))]
    pub logits: u64,
    /// What the objective `grpo` samples with: keys and values of the answers that are sampled together, and the like.
    #[serde(default)]
    #[cfg_attr(test, ts(type = "number"))]
    pub sampling: u64,
    /// What a second thread works in.
    #[serde(default)]
    #[cfg_attr(test, ts(type = "number"))]
    pub helper: u64,
    /// The largest tensor that is computed.
    #[serde(default)]
    #[cfg_attr(test, ts(type = "number"))]
    pub tensor: u64,
    /// Of everything at the moment that takes most; less than the sum, since not all is there at once.
    #[cfg_attr(test, ts(type = "number"))]
    pub total: u64,
    /// Whether blocks are computed again in the backward pass.
    pub gradient_checkpointing: bool,
}

/// What a run takes on one thread.
///
/// # Shapes
/// - trained: how many numbers are trained
pub fn estimate(base: &Model, trained: usize, recipe: &Recipe, largest: Largest) -> MemoryEstimate {
    let tokens = largest.tokens();
    let sizes = Sizes::of(base, recipe);
    let hidden = product(&[tokens, sizes.hidden, F32]);
    let (block, mismatched) = (sizes.block(largest.batch, largest), sizes.block(largest.mismatched, largest));
    // Both factors of a product are copied into the order that it reads them in.
    let works = product(&[2, tokens, sizes.inner, F32]).saturating_add(expanded(base, recipe));
    let recomputes = recomputes(&sizes, recipe, largest);
    // What is kept of all blocks, for the backward pass and beside it until the loss, and what one block needs.
    let rows = product(&[largest.mismatched, largest.seq, sizes.hidden, F32]);
    let (kept, beside, block) = match (base, recomputes) {
        (Model::Llama(_), true) => (
            product(&[sizes.layers, hidden]),
            product(&[sizes.layers, rows]),
            sum(&[block, block / 2, works]),
        ),
        (Model::Llama(_), false) => (
            product(&[sizes.trained_layers, block]),
            product(&[sizes.trained_layers, mismatched]),
            sum(&[block / 2, works]),
        ),
        // Scores before and after the mask.
        (Model::Bert(_), _) => {
            (product(&[sizes.trained_layers, block]), 0, product(&[2, tokens, sizes.heads, largest.seq, F32]))
        }
    };
    let logits = match base {
        Model::Llama(llama) if llama.score.is_none() => {
            let saved = recipe.lora.modules_to_save.iter().any(|module| module == "lm_head");
            let is_trained = recipe.method == Method::Full || recipe.method == Method::Lora && saved;
            head::bytes(largest.targets, llama.head(), is_trained)
        }
        _ => 0,
    };
    let weights = bytes(base);
    let numbers = product(&[trained as u64, F32]);
    let accumulated = if largest.accumulates { numbers } else { 0 };
    let sampling = largest.sampled.map_or(0, |sampled| sampling(base, &sizes, sampled, largest));
    // The part that takes most: what is computed without gradients, the loss, the blocks' gradients, the update, or sampling.
    // A tape keeps the mismatched rows until all blocks are computed again.
    let unseen = Largest { keeps_probabilities: false, ..largest };
    let without_gradients = sizes.block(largest.reference.max(largest.mismatched), unseen);
    let kept_beside = if recomputes { beside } else { 0 };
    let of_reference = match largest.reference {
        0 => 0,
        _ => sum(&[kept, beside, product(&[2, hidden]), without_gradients, accumulated]),
    };
    let of_loss = sum(&[kept, beside, product(&[2, hidden]), logits, accumulated]);
    // With the gradients of each micro-batch there are those before, and their sum.
    let accumulated = product(&[2, accumulated]);
    let of_blocks = sum(&[kept, kept_beside, product(&[2, hidden]), block, numbers, accumulated]);
    let of_update = product(&[2, numbers]);
    let most = [of_reference, of_loss, of_blocks, of_update, sampling].into_iter().max().unwrap_or(0);
    // Values and two moments stay.
    let stays = product(&[3, numbers]);
    MemoryEstimate {
        weights,
        trained: stays,
        activations: sum(&[kept, beside, block, product(&[2, hidden])]),
        logits,
        sampling,
        helper: 0,
        tensor: sizes.tensor(largest).max(numbers),
        total: sum(&[OWN, weights, stays, most]),
        gradient_checkpointing: recomputes,
    }
}

/// The most bytes of a tensor that every device with WebGPU takes (<https://www.w3.org/TR/webgpu/#limits>).
const DEFAULT_BINDING: u64 = 128 << 20;

/// How many rows of so many tokens can go through a model together, without gradients, on any device: at least one.
pub fn rows_at_once(base: &Model, seq: usize) -> usize {
    let of_row =
        Sizes::of_architecture(base).tensor(Largest { batch: 1, seq: seq as u64, ..Largest::default() });
    (DEFAULT_BINDING / of_row.max(1)).max(1).try_into().unwrap_or(usize::MAX)
}

/// Bytes of a number.
const F32: u64 = size_of::<f32>() as u64;

/// A product of sizes, or what is most where it is more.
pub(crate) fn product(sizes: &[u64]) -> u64 {
    sizes.iter().fold(1, |product, &size| product.saturating_mul(size))
}

fn sum(sizes: &[u64]) -> u64 {
    sizes.iter().fold(0, |sum, &size| sum.saturating_add(size))
}

/// The widths that decide what a block takes.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    layers: u64,
    hidden: u64,
    inner: u64,
    heads: u64,
    /// Numbers of a token's queries, and of its keys; 0 of an encoder, whose blocks are counted otherwise.
    queries: u64,
    keys: u64,
    /// Numbers that a block's low-rank paths keep of a token.
    low_rank: u64,
    /// Blocks whose activations are kept: those from the first on that is trained.
    trained_layers: u64,
    is_encoder: bool,
}

impl Sizes {
    fn of(base: &Model, recipe: &Recipe) -> Sizes {
        let mut sizes = Sizes::of_architecture(base);
        match recipe.method {
            Method::Lora => sizes.low_rank = sizes.low_rank(&recipe.lora),
            Method::Full => {}
            // The last block, or a head alone.
            Method::LastLayer => sizes.trained_layers = u64::from(base.score().is_none()),
        }
        sizes
    }

    /// The middle of each path; with DoRA what its magnitude multiplies, with dropout the masks and what they leave.
    fn low_rank(&self, lora: &LoraRecipe) -> u64 {
        let modules = lora.target_modules.len() as u64;
        let (inputs, outputs) = match self.is_encoder {
            true => (5 * self.hidden + self.inner, 5 * self.hidden + self.inner),
            false => (
                5 * self.hidden + self.queries + self.inner,
                self.queries + 2 * self.keys + 2 * self.hidden + 2 * self.inner,
            ),
        };
        let magnitudes = if lora.use_dora { outputs } else { 0 };
        let masks = if lora.dropout > 0.0 { inputs + inputs / 2 } else { 0 };
        sum(&[product(&[modules, lora.rank as u64]), magnitudes, masks])
    }

    fn of_architecture(base: &Model) -> Sizes {
        match base {
            Model::Llama(llama) => Sizes::of_llama(&llama.config),
            Model::Bert(bert) => {
                let BertConfig { hidden_size, intermediate_size, num_hidden_layers, .. } = bert.config;
                Sizes {
                    layers: num_hidden_layers as u64,
                    hidden: hidden_size as u64,
                    inner: intermediate_size as u64,
                    heads: bert.config.num_attention_heads as u64,
                    queries: 0,
                    keys: 0,
                    low_rank: 0,
                    trained_layers: num_hidden_layers as u64,
                    is_encoder: true,
                }
            }
        }
    }

    fn of_llama(config: &LlamaConfig) -> Sizes {
        let heads = config.num_attention_heads as u64;
        Sizes {
            layers: config.num_hidden_layers as u64,
            hidden: config.hidden_size as u64,
            inner: config.intermediate_size as u64,
            heads,
            queries: product(&[heads, config.head_dim as u64]),
            keys: product(&[config.num_key_value_heads as u64, config.head_dim as u64]),
            low_rank: 0,
            trained_layers: config.num_hidden_layers as u64,
            is_encoder: false,
        }
    }

    /// Bytes that the forward pass of one block keeps of so many rows.
    fn block(&self, batch: u64, largest: Largest) -> u64 {
        let seq = largest.seq;
        let of_token = if self.is_encoder {
            // Probabilities, the inputs of each linear layer and norm, queries, keys and values, and both sides of the GELU.
            sum(&[8 * self.hidden, 2 * self.inner, product(&[self.heads, seq]), self.low_rank])
        } else {
            // Half of the probabilities is left by the mask.
            let of_attention =
                if largest.keeps_probabilities { product(&[self.heads, seq.div_ceil(2)]) } else { 0 };
            // Inputs and outputs of both norms, queries, keys and values, attention's output, the gate and what it multiplies,
            // and their product.
            sum(&[
                4 * self.hidden,
                2 * (self.queries + self.keys),
                3 * self.inner,
                of_attention,
                self.low_rank,
            ])
        };
        product(&[batch, seq, of_token, F32])
    }

    /// Bytes of the largest tensor of a micro-batch: the gate beside what it multiplies, the hidden states, or an encoder's scores.
    fn tensor(&self, largest: Largest) -> u64 {
        let (seq, rows) = (largest.seq, largest.batch.max(largest.mismatched).max(largest.reference));
        let widest = match self.is_encoder {
            true => self.inner.max(product(&[self.heads, seq])),
            false => (2 * self.inner).max(self.queries + 2 * self.keys),
        };
        product(&[rows, seq, widest.max(self.hidden), F32])
    }
}

/// Whether a micro-batch's blocks are computed again in its backward pass.
fn recomputes(sizes: &Sizes, recipe: &Recipe, largest: Largest) -> bool {
    match recipe.train.gradient_checkpointing {
        _ if sizes.is_encoder => false,
        GradientCheckpointing::On => true,
        GradientCheckpointing::Off => false,
        GradientCheckpointing::Auto => {
            product(&[sizes.trained_layers, sizes.block(largest.batch + largest.mismatched, largest)])
                > MOST_ACTIVATIONS
        }
    }
}

/// Bytes of sampling a prompt's answers: keys and values of all, and one of their layers while it grows; while the prompt is read
/// one block of a piece of it; the logits; and where a reward model reads the answers, one of its blocks.
fn sampling(base: &Model, sizes: &Sizes, sampled: Sampled, largest: Largest) -> u64 {
    let room = |tokens: u64| KeyValueCache::room(tokens as usize) as u64;
    let layer = |answers: u64, tokens: u64| product(&[2, answers, sizes.keys, room(tokens), F32]);
    let caches = |answers: u64, tokens: u64| product(&[sizes.layers, layer(answers, tokens)]);
    let piece = Largest { seq: sampled.prompt.min(PIECE as u64), keeps_probabilities: false, ..largest };
    let reads = sum(&[caches(1, sampled.prompt), sizes.block(1, piece)]);
    let logits = product(&[2, sampled.answers, base.vocab_size() as u64, F32]);
    let writes =
        sum(&[caches(sampled.answers, sampled.whole), layer(sampled.answers, sampled.whole), logits]);
    let whole = Largest { seq: sampled.whole.next_multiple_of(8), keeps_probabilities: false, ..largest };
    let judges = if sampled.judged { sizes.block(sampled.answers, whole) } else { 0 };
    reads.max(writes).max(judges)
}

/// Bytes of a weight in blocks that are numbers at the same time: DoRA takes the norm of each row, of the weight and its squares.
fn expanded(base: &Model, recipe: &Recipe) -> u64 {
    let Model::Llama(Llama { layers, .. }) = base else { return 0 };
    match layers.first().map(|layer| &layer.mlp.up_proj.weight) {
        Some(Matrix::Blocks(blocks)) if recipe.lora.use_dora => {
            product(&[2, blocks.shape[0] as u64, blocks.shape[1] as u64, F32])
        }
        _ => 0,
    }
}

/// Bytes of a model's weights as they lie on the device.
fn bytes(base: &Model) -> u64 {
    let of_shape = |shape: &[usize]| shape.iter().fold(F32, |bytes, &size| bytes.saturating_mul(size as u64));
    let of_weight = |weight: Weight| match weight {
        Weight::Matrix(weight) => of_shape(&weight.dims()),
        Weight::Linear(weight) => weight.bytes(),
        Weight::Vector(weight) => of_shape(&weight.dims()),
    };
    base.clone().weights_mut().into_iter().map(|(_, weight)| of_weight(weight)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn smollm2() -> LlamaConfig {
        LlamaConfig::from_json(&json!({
            "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
            "num_key_value_heads": 3, "head_dim": 64, "vocab_size": 49152, "tie_word_embeddings": true,
        }))
        .unwrap()
    }

    /// 4,298,342,400 bytes are 3,375,104 in 32 bits.
    #[test]
    fn activations_of_more_than_four_gigabytes_are_counted_whole() {
        let sizes = Sizes::of_llama(&smollm2());
        let largest = Largest { batch: 8, seq: 530, ..Largest::default() };
        let all = 30 * sizes.block(8, largest);
        assert_eq!(all, 4_298_342_400);
        let mut recipe = Recipe::default();
        assert!(recomputes(&sizes, &recipe, largest));
        recipe.train.gradient_checkpointing = GradientCheckpointing::Off;
        assert!(!recomputes(&sizes, &recipe, largest));
        // On the CPU, 8 rows of 440 tokens.
        let on_cpu = Largest { batch: 8, seq: 440, keeps_probabilities: true, ..Largest::default() };
        assert!(30 * sizes.block(8, on_cpu) > 1 << 32);
        assert!(recomputes(&sizes, &Recipe::default(), on_cpu));
    }

    #[test]
    fn what_no_number_can_hold_is_as_much_as_one_can() {
        assert_eq!(product(&[1 << 40, 1 << 40]), u64::MAX);
        let largest =
            Largest { batch: 65_536, seq: 1 << 20, keeps_probabilities: true, ..Largest::default() };
        let sizes = Sizes::of_llama(&smollm2());
        assert!(product(&[30, sizes.block(u64::MAX / 2, largest)]) == u64::MAX);
    }

    #[test]
    fn parameters_of_large_configs_are_counted_in_64_bits() {
        assert_eq!(smollm2().parameters(), 134_515_008);
        let large = LlamaConfig {
            hidden_size: 16_384,
            intermediate_size: 53_248,
            num_hidden_layers: 126,
            ..smollm2()
        };
        assert!(large.parameters() > 1 << 38);
        let absurd = LlamaConfig { hidden_size: usize::MAX, ..smollm2() };
        assert_eq!(absurd.parameters(), u64::MAX);
    }
}
