//! The choice of the next token from its logits, on the device, so that only the chosen ids are read back.

use super::contiguous;
use burn::backend::ops::IntTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Int, Tensor, TensorData};

/// What a token is chosen from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// 0 takes the likeliest token every time, of equals the one of the lowest id.
    pub temperature: f64,
    /// Keep only this many of the likeliest tokens.
    pub top_k: Option<usize>,
    /// Then keep the likeliest whose probabilities reach this sum (<https://arxiv.org/abs/1904.09751>).
    pub top_p: Option<f64>,
}

impl Choice {
    pub fn is_greedy(&self) -> bool {
        self.temperature <= 0.0
    }
}

/// The id of a token for each row: the one in which the row's random number falls when the probabilities of all kept
/// tokens are laid side by side. A greedy choice ignores the numbers.
///
/// Devices lay the tokens in an order of their own, so that the same numbers give other ids on another device, equally often.
/// Where several tokens are equally likely and only some of them are kept, the CPU keeps those of the lowest ids, a GPU all.
///
/// # Shapes
/// - logits: `[rows, vocab]`, or `[1, vocab]` where all rows have the same
/// - uniforms: `[rows]`, host values from 0 to below 1
/// - output: `[rows]`, of 32 bits
///
/// # Panics
/// When there are no numbers or tokens, or rows of logits that are neither one nor as many as the numbers.
pub fn sample(logits: Tensor<2>, uniforms: Vec<f64>, choice: Choice) -> Tensor<1, Int> {
    let [rows, vocab] = logits.dims();
    assert!((rows == 1 || rows == uniforms.len()) && !uniforms.is_empty() && vocab > 0);
    let logits = logits.inner().into_dispatch();
    Tensor::from_dispatch(<Dispatch as Sample>::sample(logits, uniforms, choice))
}

#[backend_extension(Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Sample: Backend {
    fn sample(logits: FloatTensor<Self>, uniforms: Vec<f64>, choice: Choice) -> IntTensor<Self>;
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Sample for burn::backend::Wgpu {
    fn sample(logits: FloatTensor<Self>, uniforms: Vec<f64>, choice: Choice) -> IntTensor<Self> {
        super::gpu::sample::sample(&logits, &uniforms, choice)
    }
}

impl Sample for Flex {
    fn sample(logits: FloatTensor<Self>, uniforms: Vec<f64>, choice: Choice) -> IntTensor<Self> {
        let (vocab, logits) = (logits.shape()[1], contiguous(logits));
        let rows = logits.storage::<f32>().chunks_exact(vocab).cycle();
        let ids: Vec<i32> =
            rows.zip(&uniforms).map(|(row, &uniform)| choose(row, uniform, choice) as i32).collect();
        Flex::int_from_data(TensorData::new(ids, [uniforms.len()]), &Default::default())
    }
}

/// The token of one row, with the likeliest laid first where only some are kept.
fn choose(logits: &[f32], uniform: f64, choice: Choice) -> u32 {
    let likeliest = || {
        let better = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
        (0..logits.len()).reduce(better).unwrap_or(0) as u32
    };
    if choice.is_greedy() {
        return likeliest();
    }
    let mut ranked: Vec<(u32, f64)> =
        logits.iter().enumerate().map(|(id, &logit)| (id as u32, logit as f64)).collect();
    // A vocabulary of 49k takes longer to sort than to sum.
    if choice.top_k.is_some() || choice.top_p.is_some() {
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.truncate(choice.top_k.unwrap_or(usize::MAX).max(1));
    }
    let top = ranked.iter().fold(f64::NEG_INFINITY, |top, (_, logit)| top.max(*logit));
    for (_, weight) in &mut ranked {
        *weight = ((*weight - top) / choice.temperature).exp();
    }
    let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
    if let Some(top_p) = choice.top_p {
        let mut reached = 0.0;
        let kept = ranked.iter().take_while(|(_, weight)| {
            let below = reached < top_p * total;
            reached += weight;
            below
        });
        let kept = kept.count().max(1);
        ranked.truncate(kept);
    }
    let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
    let mut point = uniform * total;
    for (id, weight) in &ranked {
        point -= weight;
        if point < 0.0 {
            return *id;
        }
    }
    likeliest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// The ids for 400 numbers evenly spread.
    fn spread(logits: &[f32], choice: Choice) -> Vec<i32> {
        let logits = Tensor::<1>::from_floats(logits, &Device::flex()).unsqueeze_dim::<2>(0);
        let uniforms = (0..400).map(|i| (i as f64 + 0.5) / 400.0).collect();
        sample(logits, uniforms, choice).into_data().try_into_vec::<i32>().unwrap()
    }

    #[test]
    fn limits_keep_only_the_likeliest() {
        let logits = [1.0, 3.0, 2.0, -5.0];
        let ids = |temperature, top_k, top_p| {
            let mut ids = spread(&logits, Choice { temperature, top_k, top_p });
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        assert_eq!(ids(0.0, None, None), [1]);
        assert_eq!(ids(1.0, Some(1), None), [1]);
        assert_eq!(ids(1.0, Some(2), None), [1, 2]);
        // Probabilities are .66, .24, .09: two of them reach 0.8.
        assert_eq!(ids(1.0, None, Some(0.8)), [1, 2]);
        // With two tokens the first has .73.
        assert_eq!(ids(1.0, Some(2), Some(0.7)), [1]);
        assert_eq!(ids(1.0, None, None), [0, 1, 2]);
        assert_eq!(ids(9.0, None, None), [0, 1, 2, 3]);
    }

    #[test]
    fn frequencies_follow_the_probabilities() {
        let choice = Choice { temperature: 0.5, top_k: None, top_p: None };
        let ones = spread(&[0.0, 3f32.sqrt().ln()], choice).iter().filter(|&&id| id == 1).count();
        assert_eq!(ones, 300);
    }
}
