//! A model that embeds a text: embeddings and blocks in which every token sees the whole text, and maybe a `score` head.

use super::Input;
use super::block::EncoderBlock;
use super::config::Spec;
use super::layers::attention::padding_mask;
use super::layers::embedding::Embedding;
use super::layers::layer_norm::LayerNorm;
use super::score::{self, Score};
use super::visitor::{Place, Visitor, Weight};
use burn::tensor::{Device, Tensor};

/// An encoder of any architecture. Cloning is cheap: tensors are shared.
#[derive(Debug, Clone)]
pub struct Encoder {
    pub spec: Spec,
    pub embeddings: Embeddings,
    pub blocks: Vec<Box<dyn EncoderBlock>>,
    /// What tells the classes of a text apart.
    pub score: Option<Score>,
}

/// Word, position and token type, added up.
#[derive(Debug, Clone)]
pub struct Embeddings {
    /// `[vocab, hidden]`
    pub words: Embedding,
    /// `[positions, hidden]`
    pub positions: Embedding,
    /// `[types, hidden]`; a text alone is of type 0.
    pub token_types: Embedding,
    pub norm: LayerNorm,
}

impl Encoder {
    /// A copy with this head.
    pub fn with_score(&self, score: Score) -> Encoder {
        Encoder { score: Some(score), ..self.clone() }
    }

    /// The final hidden states of a micro-batch.
    ///
    /// # Shapes
    /// - output: `[batch * seq, hidden]`
    pub fn forward(&self, input: &Input) -> Tensor<2> {
        let mask = padding_mask(input, &self.device());
        let x = self.embeddings.forward(input);
        self.blocks.iter().fold(x, |x, block| block.forward(x, input.batch, &mask))
    }

    pub fn device(&self) -> Device {
        self.embeddings.words.weight.device().inner()
    }

    /// Hands out every part, in checkpoint order.
    pub fn visit<'a>(&'a mut self, visitor: &mut dyn Visitor<'a>) {
        visitor.place(Place::Embedding);
        let Embeddings { words, positions, token_types, norm } = &mut self.embeddings;
        words.visit(visitor);
        positions.visit(visitor);
        token_types.visit(visitor);
        norm.visit(visitor);
        for (i, block) in self.blocks.iter_mut().enumerate() {
            visitor.place(Place::Block(i));
            block.visit(visitor);
        }
        if let Some(score) = &mut self.score {
            visitor.place(Place::Score);
            visitor.weight(score::WEIGHT.into(), Weight::Matrix(&mut score.weight));
        }
    }
}

impl Embeddings {
    /// # Shapes
    /// - output: `[batch * seq, hidden]`
    fn forward(&self, input: &Input) -> Tensor<2> {
        let words = self.words.forward(input.input_ids);
        let positions = self.positions.forward(input.position_ids);
        let first_type = self.token_types.weight.rows(0, 1); // [1, hidden]
        self.norm.forward(words + positions + first_type)
    }
}
