//! A model that predicts the next token: an embedding, blocks, a norm, and an output projection or a `score` head.

use super::block::{AttentionType, Block, CachedContext, CachedView, Context, View};
use super::checkpointing::Tape;
use super::config::{Config, Spec};
use super::layers::attention::first_keys;
use super::layers::cache::LayerCache;
use super::layers::embedding::Embedding;
use super::layers::rms_norm::RmsNorm;
use super::loader::Loader;
use super::score::{self, Score};
use super::trunk::Trunk;
use super::unpad::Unpadded;
use super::visitor::{Place, Visitor, Weight};
use super::{Input, float_tensor};
use crate::error::Result;
use crate::kernels::blocks::Matrix;
use burn::tensor::{Device, Tensor};

/// A decoder of any architecture. Cloning is cheap: tensors are shared.
#[derive(Debug, Clone)]
pub struct Decoder {
    pub spec: Spec,
    /// `[vocab, hidden]`
    pub embedding: Embedding,
    pub blocks: Vec<Box<dyn Block>>,
    pub norm: RmsNorm,
    pub head: Head,
    /// What a sequence classifier or a reward model has in place of the output projection.
    pub score: Option<Score>,
    /// What the blocks' attention sees; a block knows its own by number.
    pub attention_types: Vec<AttentionType>,
    /// With block checkpointing, where forward passes leave what the backward pass needs.
    pub tape: Option<Tape>,
    /// What is known of the frozen blocks below all that is trained.
    pub trunk: Option<Trunk>,
}

/// The output projection.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a model has one")]
pub enum Head {
    /// The embedding, and the name that a projection of its own would have.
    Tied(&'static str),
    /// `[vocab, hidden]`
    Own(Embedding),
    /// None, in a sequence classifier.
    Absent,
}

impl Head {
    /// The path that it has in a checkpoint, or would have.
    pub fn path(&self) -> Option<&str> {
        match self {
            Head::Tied(path) => Some(path),
            Head::Own(head) => Some(&head.path),
            Head::Absent => None,
        }
    }
}

impl Decoder {
    /// The decoder around some blocks, under the names that most checkpoints have.
    ///
    /// # Errors
    /// Whatever the loader and `block` report.
    pub fn load(
        config: &Config,
        spec: Spec,
        weights: &Loader,
        attention_types: Vec<AttentionType>,
        block: impl Fn(usize, &Loader) -> Result<Box<dyn Block>>,
    ) -> Result<Decoder> {
        let (vocab, hidden, labels) = (spec.vocab_size, spec.hidden_size, config.decoder_labels());
        Ok(Decoder {
            embedding: weights.embedding("model.embed_tokens", vocab, hidden)?,
            blocks: weights.blocks(&spec.blocks, spec.num_hidden_layers, block)?,
            norm: weights.rms_norm("model.norm", hidden, config.number_or("rms_norm_eps", 1e-6))?,
            head: match spec.tie_word_embeddings {
                _ if labels.is_some() => Head::Absent,
                true => Head::Tied("lm_head"),
                false => Head::Own(weights.embedding("lm_head", vocab, hidden)?),
            },
            score: weights.score(labels, hidden)?,
            attention_types,
            tape: None,
            trunk: None,
            spec,
        })
    }

    /// A copy with this head in place of the output projection.
    pub fn with_score(&self, score: Score) -> Decoder {
        Decoder { head: Head::Absent, score: Some(score), ..self.clone() }
    }

    /// A copy whose output projection is a matrix of its own, if it was tied.
    pub fn untied(&self) -> Decoder {
        let mut decoder = self.clone();
        if let Head::Tied(path) = self.head {
            decoder.head = Head::Own(Embedding { path: path.into(), weight: self.embedding.weight.clone() });
        }
        decoder
    }

    /// The final hidden states of a micro-batch. Padding is not computed; its hidden states are those of some token.
    ///
    /// # Shapes
    /// - output: `[batch * seq, hidden]`
    pub fn forward(&self, input: &Input) -> Tensor<2> {
        match Unpadded::of(input) {
            Some(unpadded) => unpadded.pad(self.forward_whole(&unpadded.input())),
            None => self.forward_whole(input),
        }
    }

    fn forward_whole(&self, input: &Input) -> Tensor<2> {
        let device = self.device();
        let view = |kind: &AttentionType| View {
            rotation: kind.rotary.rotation(input.position_ids, &device),
            first_keys: first_keys(input, kind.window, &device),
        };
        let at = Context { seq: input.seq, views: self.attention_types.iter().map(view).collect() };
        let frozen = self.trunk.as_ref().map_or(0, |trunk| trunk.blocks);
        let (below, blocks) = self.blocks.split_at(frozen);
        let run = |blocks: &[Box<dyn Block>], x| blocks.iter().fold(x, |x, block| block.forward(x, &at));
        let embed = || self.embedding.forward(input.input_ids);
        let x = match &self.trunk {
            Some(trunk) => trunk.forward(input, || run(below, embed())),
            None => embed(),
        };
        let x = match &self.tape {
            Some(tape) => tape.forward(blocks, x, &at),
            None => run(blocks, x),
        };
        self.norm.forward(x)
    }

    /// Continues sequences of the same length, whose earlier tokens are in `caches`, one a block.
    ///
    /// # Shapes
    /// - input_ids: `[batch * seq]`
    /// - output: `[batch * seq, hidden]`
    pub fn forward_cached(&self, input_ids: &[u32], batch: usize, caches: &mut [LayerCache]) -> Tensor<2> {
        let (past, seq) = (caches[0].len(), input_ids.len() / batch);
        let room = caches[0].room_with(seq);
        let device = self.device();
        let positions: Vec<u32> =
            (0..batch).flat_map(|_| past..past + seq).map(|position| position as u32).collect();
        let view = |kind: &AttentionType| {
            let first = kind.window.map_or(0, |window| (past + 1).saturating_sub(window));
            // It hides from a single token the places of the cache that are still empty, and those before its window.
            let mask = (seq == 1 && (room > past + 1 || first > 0)).then(|| {
                let hides = |place: usize| place > past || place < first;
                let mask = (0..room).map(|place| if hides(place) { -1e9 } else { 0.0 });
                float_tensor(mask.collect(), [1, 1, 1, room], &device)
            });
            CachedView { rotation: kind.rotary.rotation(&positions, &device), mask, window: kind.window }
        };
        let at = CachedContext { batch, views: self.attention_types.iter().map(view).collect() };
        let mut x = self.embedding.forward(input_ids);
        for (block, cache) in self.blocks.iter().zip(caches) {
            x = block.decode(x, &at, cache);
        }
        self.norm.forward(x)
    }

    /// Empty caches, one a block, for sequences that will have so many tokens, or more.
    pub fn new_caches(&self, expected: usize) -> Vec<LayerCache> {
        self.blocks.iter().map(|block| block.new_cache(expected)).collect()
    }

    /// The output projection `[vocab, hidden]`: one of its own, or the embedding.
    pub fn head(&self) -> &Matrix {
        match &self.head {
            Head::Own(head) => &head.weight,
            Head::Tied(_) | Head::Absent => &self.embedding.weight,
        }
    }

    pub fn device(&self) -> Device {
        self.embedding.weight.device().inner()
    }

    /// Hands out every part, in checkpoint order.
    pub fn visit<'a>(&'a mut self, visitor: &mut dyn Visitor<'a>) {
        visitor.place(Place::Embedding);
        self.embedding.visit(visitor);
        for (i, block) in self.blocks.iter_mut().enumerate() {
            visitor.place(Place::Block(i));
            block.visit(visitor);
        }
        visitor.place(Place::FinalNorm);
        self.norm.visit(visitor);
        if let Head::Own(head) = &mut self.head {
            visitor.place(Place::Head);
            head.visit(visitor);
        }
        if let Some(score) = &mut self.score {
            visitor.place(Place::Score);
            visitor.weight(score::WEIGHT.into(), Weight::Matrix(&mut score.weight));
        }
    }
}
