//! Reading a prompt into the caches of keys and values.

use crate::error::Result;
use crate::kernels::readback::read;
use crate::models::Decoder;
use crate::models::layers::cache::LayerCache;
use burn::tensor::Tensor;

/// Tokens that go through the model together. What a layer computes of them fits into a binding of WebGPU's default limits up to
/// an MLP of 65,536 channels, and between two pieces a person can stop the answer.
pub const PIECE: usize = 256;

/// A prompt that has been read.
pub struct Prompt {
    /// One a block.
    pub caches: Vec<LayerCache>,
    /// The final hidden state of its last token, `[1, hidden]`.
    pub hidden: Tensor<2>,
}

/// Reads a prompt of at least one token, a piece at a time. `None` where `go_on`, which is asked between two pieces, says no.
///
/// # Errors
/// A device that stops answering; whatever `go_on` reports.
pub async fn read_prompt(
    model: &Decoder,
    prompt: &[u32],
    go_on: &mut impl AsyncFnMut() -> Result<bool>,
) -> Result<Option<Prompt>> {
    let mut caches = model.new_caches(prompt.len());
    let mut pieces = prompt.chunks(PIECE).peekable();
    loop {
        let piece = pieces.next().expect("the prompt has tokens");
        let hidden = model.forward_cached(piece, 1, &mut caches); // [piece, hidden]
        let hidden = hidden.narrow(0, piece.len() - 1, 1);
        if pieces.peek().is_none() {
            return Ok(Some(Prompt { caches, hidden }));
        }
        // Waits for the device: a piece that is launched cannot be stopped.
        read(hidden.narrow(1, 0, 1)).await?;
        if !go_on().await? {
            return Ok(None);
        }
    }
}
