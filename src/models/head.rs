//! The output projection and its loss, computed in chunks so that the logits of a whole
//! batch, `[tokens, vocab]`, never exist at once.

use super::int_tensor;
use crate::kernels::{exp::exp, matmul::matmul};
use burn::tensor::{Device, Int, Tensor};

/// Rows of logits held at a time: on the CPU, where few rows would waste the packing of the head, 256, which of a 49k
/// vocabulary are 50 MB; on a GPU as many as 16 MiB hold.
pub fn chunk(vocab: usize, device: &Device) -> usize {
    const MOST: usize = 256;
    if *device == Device::flex() { MOST } else { ((4 << 20) / vocab.max(1)).clamp(16, MOST) }
}

/// Negative log-likelihood of each target, with gradients for `hidden` and `head`.
///
/// For a frozen head the gradient of each row, (softmax − one-hot)·W, is formed with its
/// loss, chunk by chunk, and handed to autodiff as a constant; a head that is itself
/// trained goes through plain autodiff.
///
/// # Shapes
/// - hidden: `[tokens, hidden]`
/// - head: `[vocab, hidden]`
/// - targets: `[tokens]`, host values below vocab
/// - output: `[tokens]`
pub fn token_losses(hidden: Tensor<2>, head: &Tensor<2>, targets: &[u32]) -> Tensor<1> {
    let tokens = targets.len();
    let device = hidden.device().inner();
    let targets = int_tensor(targets, &device);
    let chunk = chunk(head.dims()[0], &device);
    let mut losses = Vec::new();
    let mut start = 0;
    while start < tokens {
        let rows = chunk.min(tokens - start);
        let hidden = hidden.clone().narrow(0, start, rows);
        let targets = targets.clone().narrow(0, start, rows);
        losses.push(match head.is_autodiff() && head.is_tracked() {
            true => plain_losses(hidden, head, targets),
            false => frozen_head_losses(hidden, head, targets),
        });
        start += rows;
    }
    Tensor::cat(losses, 0)
}

/// KL(base ‖ tuned) of the next token's distribution at each position, with gradients for `hidden` and `head`.
///
/// As in [`token_losses`], the gradient for a frozen head, (softmax − base's softmax)·W, is formed chunk by chunk.
///
/// # Shapes
/// - hidden, base_hidden: `[tokens, hidden]`, the latter without gradients
/// - head, base_head: `[vocab, hidden]`
/// - output: `[tokens]`
pub fn token_divergences(
    hidden: Tensor<2>,
    head: &Tensor<2>,
    base_hidden: Tensor<2>,
    base_head: &Tensor<2>,
) -> Tensor<1> {
    let tokens = hidden.dims()[0];
    let chunk = chunk(head.dims()[0], &hidden.device().inner());
    let mut divergences = Vec::new();
    for start in (0..tokens).step_by(chunk) {
        let rows = chunk.min(tokens - start);
        let base_logits = logits(base_hidden.clone().narrow(0, start, rows), base_head);
        let hidden = hidden.clone().narrow(0, start, rows);
        divergences.push(match head.is_autodiff() && head.is_tracked() {
            true => plain_divergences(hidden, head, base_logits),
            false => frozen_head_divergences(hidden, head, base_logits),
        });
    }
    Tensor::cat(divergences, 0)
}

/// # Shapes
/// - hidden: `[tokens, hidden]`
/// - output: `[tokens, vocab]`
pub fn logits(hidden: Tensor<2>, head: &Tensor<2>) -> Tensor<2> {
    matmul(hidden, head.clone().transpose())
}

/// The plain form: what [`frozen_head_losses`] must agree with.
fn plain_losses(hidden: Tensor<2>, head: &Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let logits = logits(hidden, head);
    let top = logits.clone().detach().max_dim(1); // [tokens, 1]
    let normaliser = (logits.clone() - top.clone()).exp().sum_dim(1).log() + top;
    let target_logits = logits.gather(1, targets.unsqueeze_dim(1));
    (normaliser - target_logits).squeeze_dim(1)
}

fn frozen_head_losses(hidden: Tensor<2>, head: &Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let head = head.clone().inner();
    let values = hidden.clone().inner();
    let logits = logits(values, &head); // [tokens, vocab]
    let top = logits.clone().max_dim(1);
    let columns = targets.clone().unsqueeze_dim(1);
    let target_logits = logits.clone().gather(1, columns);
    let exponentials = exp(logits - top.clone());
    let sums = exponentials.clone().sum_dim(1);
    let losses = (sums.clone().log() + top - target_logits).squeeze_dim(1); // [tokens]
    if !(hidden.is_autodiff() && hidden.is_tracked()) {
        return losses;
    }
    let softmax_part = matmul(exponentials, head.clone()) / sums; // Σ softmax·W: [tokens, hidden]
    let gradient = softmax_part - head.select(0, targets);
    with_gradient(losses, hidden, gradient)
}

/// The plain form: what [`frozen_head_divergences`] must agree with.
fn plain_divergences(hidden: Tensor<2>, head: &Tensor<2>, base_logits: Tensor<2>) -> Tensor<1> {
    let log_softmax = |logits: Tensor<2>| {
        let top = logits.clone().detach().max_dim(1); // [tokens, 1]
        let normaliser = (logits.clone() - top.clone()).exp().sum_dim(1).log() + top;
        logits - normaliser
    };
    let base = log_softmax(base_logits); // [tokens, vocab]
    let apart = base.clone() - log_softmax(logits(hidden, head));
    (base.exp() * apart).sum_dim(1).squeeze_dim(1)
}

fn frozen_head_divergences(hidden: Tensor<2>, head: &Tensor<2>, base_logits: Tensor<2>) -> Tensor<1> {
    let head = head.clone().inner();
    // The logarithms and the values of both distributions.
    let distribution = |logits: Tensor<2>| {
        let centred = logits.clone() - logits.max_dim(1);
        let exponentials = exp(centred.clone());
        let sums = exponentials.clone().sum_dim(1); // [tokens, 1]
        (centred - sums.clone().log(), exponentials / sums)
    };
    let (base_log, base) = distribution(base_logits); // [tokens, vocab]
    let (tuned_log, tuned) = distribution(logits(hidden.clone().inner(), &head));
    let divergences = (base.clone() * (base_log - tuned_log)).sum_dim(1).squeeze_dim(1); // [tokens]
    if !(hidden.is_autodiff() && hidden.is_tracked()) {
        return divergences;
    }
    let gradient = matmul(tuned - base, head);
    with_gradient(divergences, hidden, gradient)
}

/// `values` with a known gradient for `hidden`.
///
/// # Shapes
/// - values: `[tokens]`
/// - hidden, gradient: `[tokens, hidden]`
fn with_gradient(values: Tensor<1>, hidden: Tensor<2>, gradient: Tensor<2>) -> Tensor<1> {
    // The value of the surrogate cancels; its gradient for `hidden` stays.
    let surrogate = (hidden * gradient).sum_dim(1).squeeze_dim::<1>(1);
    let zero = surrogate.clone() - surrogate.detach();
    zero + values
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn frozen_head_agrees_with_plain_autodiff_forward_and_backward() {
        let device = Device::flex();
        device.seed(7);
        let tokens = chunk(61, &device) + 37;
        let hidden = Tensor::<2>::random([tokens, 24], Distribution::Normal(0.0, 2.0), &device);
        let head = Tensor::<2>::random([61, 24], Distribution::Normal(0.0, 1.0), &device);
        let targets: Vec<u32> = (0..tokens as u32).map(|i| i * 31 % 61).collect();
        let weights = Tensor::<1>::random([tokens], Distribution::Uniform(0.0, 1.0), &device);

        let run = |plain: bool| {
            let x = hidden.clone().autodiff().require_grad();
            let losses = match plain {
                true => plain_losses(x.clone(), &head, int_tensor(&targets, &device)),
                false => token_losses(x.clone(), &head, &targets),
            };
            // Unequal weights show that each row's gradient is its own.
            let gradients = (losses.clone() * weights.clone()).sum().backward();
            (losses.inner().to_data(), x.grad(&gradients).unwrap().to_data())
        };
        let (plain, fast) = (run(true), run(false));
        let close = |a: &burn::tensor::TensorData, b: &burn::tensor::TensorData| {
            let pairs = a.iter::<f32>().zip(b.iter::<f32>());
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        assert!(close(&plain.0, &fast.0) < 1e-5);
        assert!(close(&plain.1, &fast.1) < 1e-5);
    }

    #[test]
    fn divergence_of_a_frozen_head_agrees_with_plain_autodiff_forward_and_backward() {
        let device = Device::flex();
        device.seed(8);
        let tokens = chunk(61, &device) + 37;
        let random = |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let (hidden, base_hidden) = (random([tokens, 24]), random([tokens, 24]));
        let (head, base_head) = (random([61, 24]), random([61, 24]));
        let weights = Tensor::<1>::random([tokens], Distribution::Uniform(0.0, 1.0), &device);
        let run = |plain: bool| {
            let x = hidden.clone().autodiff().require_grad();
            let divergences = match plain {
                true => plain_divergences(x.clone(), &head, logits(base_hidden.clone(), &base_head)),
                false => token_divergences(x.clone(), &head, base_hidden.clone(), &base_head),
            };
            let gradients = (divergences.clone() * weights.clone()).sum().backward();
            (divergences.inner().to_data(), x.grad(&gradients).unwrap().to_data())
        };
        let (plain, fast) = (run(true), run(false));
        let values = |data: &burn::tensor::TensorData| data.iter::<f32>().collect::<Vec<_>>();
        let pairs = [(values(&plain.0), values(&fast.0)), (values(&plain.1), values(&fast.1))];
        for (a, b) in pairs {
            assert!(a.iter().any(|value| value.abs() > 0.1));
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4));
        }
        let same = token_divergences(hidden.clone(), &head, hidden, &head);
        assert!(values(&same.to_data()).iter().all(|value| *value == 0.0));
    }
}
