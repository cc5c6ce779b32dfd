//! How much memory a run takes: estimated before it begins, from the model, the recipe and the rows. Bytes are counted in 64
//! bits, since a browser's `usize` has 32, and what is too large for those stays as large as it can be.

mod largest;

pub use largest::{Largest, Sampled};

use crate::adapters::frozen_blocks;
use crate::generate::PIECE;
use crate::kernels::blocks::Matrix;
use crate::models::block::Parts;
use crate::models::layers::cache::LayerCache;
use crate::models::{Model, Place, Weight, head};
use crate::recipe::{GradientCheckpointing, LoraRecipe, Method, Recipe, TargetModules};
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
    /// Everything at the moment that takes most; less than the sum, since not all is there at once.
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
    let block = sizes.block(largest.batch, largest);
    // Both factors of a product are copied into the order that it reads them in.
    let works = product(&[2, tokens, sizes.factor, F32]).saturating_add(expanded(base, recipe));
    let recomputes = recomputes(&sizes, recipe, largest);
    // What is kept of all blocks, for the backward pass and beside it until the loss, and what one block needs.
    let rows = product(&[largest.mismatched, largest.seq, sizes.hidden, F32]);
    let (kept, beside, block) = match (base, recomputes) {
        (Model::Decoder(_), true) => (
            product(&[sizes.layers, hidden]),
            product(&[sizes.layers, rows]),
            sum(&[block, block / 2, works]),
        ),
        (Model::Decoder(_), false) => (
            sizes.trained_blocks(largest.batch, largest),
            sizes.trained_blocks(largest.mismatched, largest),
            sum(&[block / 2, works]),
        ),
        // Scores before and after the mask.
        (Model::Encoder(_), _) => (
            sizes.trained_blocks(largest.batch, largest),
            0,
            product(&[2, tokens, sizes.heads, largest.seq, F32]),
        ),
    };
    let logits = match base {
        Model::Decoder(decoder) if decoder.score.is_none() => {
            let saved = recipe.lora.modules_to_save.iter().any(|module| module == "lm_head");
            let is_trained = recipe.method == Method::Full || recipe.method == Method::Lora && saved;
            head::bytes(largest.targets, decoder.head(), is_trained)
        }
        _ => 0,
    };
    let weights = bytes(base);
    let trunk = product(&[largest.trunk, sizes.hidden, F32]);
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
        activations: sum(&[kept, beside, block, product(&[2, hidden]), trunk]),
        logits,
        sampling,
        helper: 0,
        tensor: sizes.tensor(largest).max(numbers),
        total: sum(&[OWN, weights, stays, trunk, most]),
        gradient_checkpointing: recomputes,
    }
}

/// The most bytes of a tensor that every device with WebGPU takes (<https://www.w3.org/TR/webgpu/#limits>).
const DEFAULT_BINDING: u64 = 128 << 20;

/// How many rows of so many tokens can go through a model together, without gradients, on any device: at least one.
pub fn rows_at_once(base: &Model, seq: usize) -> usize {
    let of_row = Sizes::of_model(base).tensor(Largest { batch: 1, seq: seq as u64, ..Largest::default() });
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

/// What a model's blocks say that they take.
struct Sizes<'a> {
    parts: Vec<&'a dyn Parts>,
    layers: u64,
    hidden: u64,
    /// Attention heads, whose scores an encoder holds whole.
    heads: u64,
    /// The widest input or output of a linear layer.
    factor: u64,
    /// The widest output of layers that are computed together.
    widest: u64,
    /// Numbers that a block's low-rank paths keep of a token.
    low_rank: u64,
    /// Blocks whose activations are kept: those from the first on that is trained.
    trained_layers: u64,
    is_encoder: bool,
}

impl<'a> Sizes<'a> {
    fn of(base: &'a Model, recipe: &Recipe) -> Sizes<'a> {
        let mut sizes = Sizes::of_model(base);
        match recipe.method {
            Method::Lora => sizes.low_rank = low_rank(base, &recipe.lora),
            Method::Full => {}
            Method::LastLayer => sizes.trained_layers -= frozen_blocks(base, recipe.method) as u64,
        }
        sizes
    }

    fn of_model(base: &'a Model) -> Sizes<'a> {
        let (parts, spec, mut model) = (base.parts(), base.spec(), base.clone());
        let groups = model.linear_groups_mut();
        let dims = groups.iter().flatten().flat_map(|linear| linear.dims());
        let factor = dims.max().unwrap_or(0) as u64;
        let widths = groups.iter().map(|group| group.iter().map(|linear| linear.dims()[0] as u64).sum());
        Sizes {
            layers: parts.len() as u64,
            hidden: spec.hidden_size as u64,
            heads: spec.num_attention_heads as u64,
            factor,
            widest: widths.max().unwrap_or(0),
            low_rank: 0,
            trained_layers: parts.len() as u64,
            is_encoder: base.is_encoder(),
            parts,
        }
    }

    /// Bytes that the forward pass of the block that keeps most keeps of so many rows.
    fn block(&self, batch: u64, largest: Largest) -> u64 {
        self.parts.iter().map(|part| self.kept(*part, batch, largest)).max().unwrap_or(0)
    }

    /// Bytes that the forward passes of all blocks keep whose activations are kept.
    fn trained_blocks(&self, batch: u64, largest: Largest) -> u64 {
        let trained = self.parts.iter().rev().take(self.trained_layers as usize);
        trained.map(|part| self.kept(*part, batch, largest)).fold(0, u64::saturating_add)
    }

    fn kept(&self, part: &dyn Parts, batch: u64, largest: Largest) -> u64 {
        let of_token =
            part.kept_floats(largest.seq, largest.keeps_probabilities).saturating_add(self.low_rank);
        product(&[batch, largest.seq, of_token, F32])
    }

    /// Bytes of the largest tensor of a micro-batch: the gate beside what it multiplies, the hidden states, or an encoder's scores.
    fn tensor(&self, largest: Largest) -> u64 {
        let (seq, rows) = (largest.seq, largest.batch.max(largest.mismatched).max(largest.reference));
        let scores = if self.is_encoder { product(&[self.heads, seq]) } else { 0 };
        product(&[rows, seq, self.widest.max(scores).max(self.hidden), F32])
    }
}

/// Numbers of a token that the low-rank paths of a block keep: the middle of each path; with DoRA what its magnitude multiplies,
/// with dropout the masks and what they leave.
fn low_rank(base: &Model, lora: &LoraRecipe) -> u64 {
    let modules = match &lora.target_modules {
        TargetModules::AllLinear => base.linear_modules().len(),
        TargetModules::Named(names) => names.len(),
    };
    let (mut inputs, mut outputs) = (0, 0);
    for linear in base.clone().linears_mut() {
        let [out, input] = linear.dims().map(|size| size as u64);
        (inputs, outputs) = (inputs + input, outputs + out);
    }
    let layers = base.spec().num_hidden_layers.max(1) as u64;
    let (inputs, outputs) = (inputs / layers, outputs / layers);
    let magnitudes = if lora.use_dora { outputs } else { 0 };
    let masks = if lora.dropout > 0.0 { inputs + inputs / 2 } else { 0 };
    sum(&[product(&[modules as u64, lora.rank as u64]), magnitudes, masks])
}

/// Whether a micro-batch's blocks are computed again in its backward pass.
fn recomputes(sizes: &Sizes, recipe: &Recipe, largest: Largest) -> bool {
    match recipe.train.gradient_checkpointing {
        _ if sizes.is_encoder => false,
        GradientCheckpointing::On => true,
        GradientCheckpointing::Off => false,
        GradientCheckpointing::Auto => {
            sizes.trained_blocks(largest.batch.saturating_add(largest.mismatched), largest) > MOST_ACTIVATIONS
        }
    }
}

/// Bytes of sampling a prompt's answers: keys and values of all, and one of their layers while it grows; while the prompt is read
/// one block of a piece of it; the logits; and where a reward model reads the answers, one of its blocks.
fn sampling(base: &Model, sizes: &Sizes, sampled: Sampled, largest: Largest) -> u64 {
    let room = |tokens: u64| LayerCache::room(tokens as usize) as u64;
    let of_token: Vec<u64> = match base {
        Model::Decoder(decoder) => decoder.blocks.iter().map(|block| block.cached_floats()).collect(),
        Model::Encoder(_) => Vec::new(),
    };
    let held = |floats: u64, answers: u64, tokens: u64| product(&[answers, floats, room(tokens), F32]);
    let layer = |answers, tokens| held(of_token.iter().copied().max().unwrap_or(0), answers, tokens);
    let caches = |answers, tokens| held(sum(&of_token), answers, tokens);
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
    if !recipe.lora.use_dora {
        return 0;
    }
    let mut base = base.clone();
    let in_blocks = base.weights_mut().into_iter().filter_map(|named| match (named.place, named.weight) {
        (Place::Block(_), Weight::Linear(Matrix::Blocks(blocks))) => Some(blocks.shape),
        _ => None,
    });
    in_blocks.map(|[out, input]| product(&[2, out as u64, input as u64, F32])).max().unwrap_or(0)
}

/// Bytes of a model's weights as they lie on the device.
fn bytes(base: &Model) -> u64 {
    let of_weight = |weight: Weight| match weight {
        Weight::Linear(weight) => weight.bytes(),
        weight => weight.shape().iter().fold(F32, |bytes, &size| bytes.saturating_mul(size as u64)),
    };
    base.clone().weights_mut().into_iter().map(|named| of_weight(named.weight)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use serde_json::json;

    /// A block of SmolLM2's sizes.
    fn block_of_smollm2() -> Model {
        let config = json!({
            "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 1,
            "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64, "vocab_size": 8,
            "tie_word_embeddings": true,
        });
        let zeros = |_: &str, shape: &[usize]| Ok(vec![0.0; shape.iter().product()]);
        Model::load(&config, &zeros, &Device::flex()).unwrap()
    }

    /// 4,298,342,400 bytes are 3,375,104 in 32 bits.
    #[test]
    fn activations_of_more_than_four_gigabytes_are_counted_whole() {
        let model = block_of_smollm2();
        let sizes = Sizes::of_model(&model);
        let largest = Largest { batch: 240, seq: 530, ..Largest::default() };
        assert_eq!(sizes.block(240, largest), 4_298_342_400);
        assert_eq!(sizes.trained_blocks(240, largest), 4_298_342_400);
        let mut recipe = Recipe::default();
        assert!(recomputes(&sizes, &recipe, largest));
        recipe.train.gradient_checkpointing = GradientCheckpointing::Off;
        assert!(!recomputes(&sizes, &recipe, largest));
        // On the CPU, 240 rows of 440 tokens.
        let on_cpu = Largest { batch: 240, seq: 440, keeps_probabilities: true, ..Largest::default() };
        assert!(sizes.block(240, on_cpu) > 1 << 32);
        assert!(recomputes(&sizes, &Recipe::default(), on_cpu));
    }

    #[test]
    fn what_no_number_can_hold_is_as_much_as_one_can() {
        assert_eq!(product(&[1 << 40, 1 << 40]), u64::MAX);
        let largest =
            Largest { batch: 65_536, seq: 1 << 20, keeps_probabilities: true, ..Largest::default() };
        let model = block_of_smollm2();
        assert_eq!(Sizes::of_model(&model).block(u64::MAX / 2, largest), u64::MAX);
    }
}
