//! The output projection and its loss, a part of the vocabulary at a time, so that neither the logits of a whole batch,
//! `[tokens, vocab]`, nor the numbers of a head that lies in blocks ever exist at once.

use super::int_tensor;
use crate::kernels::blocks::Matrix;
use crate::kernels::running_softmax::{Running, add_part};
use crate::kernels::{lora::times, matmul::matmul};
use burn::tensor::{Device, Int, Tensor};

/// Rows of hidden states whose losses are computed at a time with a frozen head.
const MOST_TOKENS: usize = 1024;

/// Negative log-likelihood of each target, with gradients for `hidden` and `head`.
///
/// For a frozen head the gradient of each row, (softmax − one-hot)·W, is formed with its
/// loss, part by part, and handed to autodiff as a constant; a head that is itself
/// trained goes through plain autodiff.
///
/// # Shapes
/// - hidden: `[tokens, hidden]`
/// - head: `[vocab, hidden]`
/// - targets: `[tokens]`, host values below vocab
/// - output: `[tokens]`
pub fn token_losses(hidden: Tensor<2>, head: &Matrix, targets: &[u32]) -> Tensor<1> {
    let targets = int_tensor(targets, &hidden.device().inner());
    let trained = head.is_trained().then(|| head.dense());
    let wants_gradient = hidden.is_autodiff() && hidden.is_tracked();
    let values = hidden.clone().inner();
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for (start, rows) in in_steps(hidden.dims()[0], rows_at_a_time(head)) {
        let targets = targets.clone().narrow(0, start, rows);
        match &trained {
            Some(head) => losses.push(plain_losses(hidden.clone().narrow(0, start, rows), head, targets)),
            None => {
                let some = values.clone().narrow(0, start, rows);
                let (loss, gradient) = frozen_head_losses(some, head, targets, wants_gradient);
                losses.push(loss);
                gradients.extend(gradient);
            }
        }
    }
    with_gradient(Tensor::cat(losses, 0), hidden, gradients)
}

/// KL(base ‖ tuned) of the next token's distribution at each position, with gradients for `hidden` and `head`.
///
/// As in [`token_losses`], the gradient for a frozen head, (softmax − base's softmax)·W, is formed part by part.
///
/// # Shapes
/// - hidden, base_hidden: `[tokens, hidden]`, the latter without gradients
/// - head, base_head: `[vocab, hidden]`
/// - output: `[tokens]`
pub fn token_divergences(
    hidden: Tensor<2>,
    head: &Matrix,
    base_hidden: Tensor<2>,
    base_head: &Matrix,
) -> Tensor<1> {
    let trained = head.is_trained().then(|| (head.dense(), base_head.dense()));
    let wants_gradient = hidden.is_autodiff() && hidden.is_tracked();
    let values = hidden.clone().inner();
    let (mut divergences, mut gradients) = (Vec::new(), Vec::new());
    for (start, rows) in in_steps(hidden.dims()[0], rows_at_a_time(head)) {
        let base = base_hidden.clone().narrow(0, start, rows);
        match &trained {
            Some((head, base_head)) => {
                let some = hidden.clone().narrow(0, start, rows);
                divergences.push(plain_divergences(some, head, base, base_head));
            }
            None => {
                let some = values.clone().narrow(0, start, rows);
                let (divergence, gradient) =
                    frozen_head_divergences(some, head, base, base_head, wants_gradient);
                divergences.push(divergence);
                gradients.extend(gradient);
            }
        }
    }
    with_gradient(Tensor::cat(divergences, 0), hidden, gradients)
}

/// # Shapes
/// - hidden: `[tokens, hidden]`
/// - output: `[tokens, vocab]`
pub fn logits(hidden: Tensor<2>, head: &Matrix) -> Tensor<2> {
    // A GPU's kernels write rows of whole fours.
    let vocab = head.dims()[0];
    let fours = vocab / 4 * 4;
    if fours == vocab || fours == 0 {
        return times(hidden, head, false);
    }
    let part = |first, count| times(hidden.clone(), &head.part(first, count), false);
    Tensor::cat(vec![part(0, fours), part(fours, vocab - fours)], 1)
}

/// Bytes that [`token_losses`] takes beside its arguments.
pub fn bytes(tokens: u64, head: &Matrix, is_trained: bool) -> u64 {
    let [vocab, hidden] = head.dims();
    let some = tokens.min(MOST_TOKENS as u64);
    let part = part(vocab, hidden, some as usize, &head.device()) as u64;
    let [vocab, hidden] = [vocab, hidden].map(|size| size as u64);
    let numbers = match head {
        // Autodiff keeps the logits of all tokens.
        _ if is_trained => tokens.saturating_mul(vocab).saturating_mul(3),
        Matrix::Dense(_) => 2 * some * part,
        Matrix::Blocks(_) => (2 * some + hidden) * part,
    };
    numbers.saturating_mul(size_of::<f32>() as u64)
}

/// The exponentials of logits, summed up part by part.
struct Softmax {
    running: Running,
    /// Σ exponential·W, where it is asked for: `[tokens, hidden]`
    weighted: Option<Tensor<2>>,
}

impl Softmax {
    /// The next part, and its exponentials; `weights` are the rows of W that its logits belong to.
    fn add(before: Option<Softmax>, logits: Tensor<2>, weights: Option<&Tensor<2>>) -> (Softmax, Tensor<2>) {
        let (exponentials, running) = add_part(logits, before.as_ref().map(|before| &before.running));
        let own = weights.map(|weights| matmul(exponentials.clone(), weights.clone()));
        let weighted = match (before.and_then(|before| before.weighted), own) {
            (Some(before), Some(own)) => Some(before * running.rescaled.clone() + own),
            (_, own) => own,
        };
        (Softmax { running, weighted }, exponentials)
    }

    /// log Σ exp(logit): `[tokens, 1]`
    fn normaliser(&self) -> Tensor<2> {
        self.running.sum.clone().log() + self.running.top.clone()
    }

    /// softmax·W: `[tokens, hidden]`
    fn mean(self) -> Option<Tensor<2>> {
        self.weighted.map(|weighted| weighted / self.running.sum)
    }
}

/// First row and number of rows of each part of the vocabulary.
fn parts(head: &Matrix, tokens: usize) -> impl Iterator<Item = (usize, usize)> {
    let [vocab, hidden] = head.dims();
    in_steps(vocab, part(vocab, hidden, tokens, &head.device()))
}

/// Rows of the head whose logits are held at a time: on the CPU as many as stay in its caches, on a GPU what 8 MiB hold.
fn part(vocab: usize, hidden: usize, tokens: usize, device: &Device) -> usize {
    /// A GPU's buffers are bound from multiples of 256 bytes on.
    const ALIGNED: usize = 64;
    let numbers = if device.clone().inner() == Device::flex() { 1 << 20 } else { 1 << 21 };
    (numbers / tokens.max(hidden).max(1) / ALIGNED * ALIGNED).clamp(ALIGNED, vocab.max(ALIGNED))
}

/// Rows of hidden states whose losses are computed at a time. With a trained head their logits are whole: on the CPU, where
/// few rows would waste the packing of the head, of 256 rows; on a GPU of as many as 16 MiB hold.
fn rows_at_a_time(head: &Matrix) -> usize {
    const MOST: usize = 256;
    match head.is_trained() {
        false => MOST_TOKENS,
        true if head.device().inner() == Device::flex() => MOST,
        true => ((4 << 20) / head.dims()[0].max(1)).clamp(16, MOST),
    }
}

/// Start and length of steps of a range.
fn in_steps(whole: usize, step: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..whole).step_by(step).map(move |start| (start, step.min(whole - start)))
}

/// The plain form: what [`frozen_head_losses`] must agree with.
fn plain_losses(hidden: Tensor<2>, head: &Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let logits = matmul(hidden, head.clone().transpose());
    let top = logits.clone().detach().max_dim(1); // [tokens, 1]
    let normaliser = (logits.clone() - top.clone()).exp().sum_dim(1).log() + top;
    let target_logits = logits.gather(1, targets.unsqueeze_dim(1));
    (normaliser - target_logits).squeeze_dim(1)
}

/// Losses, `[tokens]`, and their gradients for `hidden`, `[tokens, hidden]`.
fn frozen_head_losses(
    hidden: Tensor<2>,
    head: &Matrix,
    targets: Tensor<1, Int>,
    wants_gradient: bool,
) -> (Tensor<1>, Option<Tensor<2>>) {
    let head = head.clone().inner();
    let mut softmax = None;
    for (first, count) in parts(&head, hidden.dims()[0]) {
        let weights = head.rows(first, count);
        let logits = matmul(hidden.clone(), weights.clone().transpose()); // [tokens, part]
        softmax = Some(Softmax::add(softmax, logits, wants_gradient.then_some(&weights)).0);
    }
    let softmax = softmax.expect("a vocabulary has tokens");
    let of_targets = head.select(targets); // [tokens, hidden]
    let target_logits = (hidden * of_targets.clone()).sum_dim(1);
    let losses = (softmax.normaliser() - target_logits).squeeze_dim(1);
    (losses, softmax.mean().map(|mean| mean - of_targets))
}

/// The plain form: what [`frozen_head_divergences`] must agree with.
fn plain_divergences(
    hidden: Tensor<2>,
    head: &Tensor<2>,
    base_hidden: Tensor<2>,
    base_head: &Tensor<2>,
) -> Tensor<1> {
    let log_softmax = |hidden: Tensor<2>, head: &Tensor<2>| {
        let logits = matmul(hidden, head.clone().transpose());
        let top = logits.clone().detach().max_dim(1); // [tokens, 1]
        let normaliser = (logits.clone() - top.clone()).exp().sum_dim(1).log() + top;
        logits - normaliser
    };
    let base = log_softmax(base_hidden, base_head); // [tokens, vocab]
    let apart = base.clone() - log_softmax(hidden, head);
    (base.exp() * apart).sum_dim(1).squeeze_dim(1)
}

/// Divergences, `[tokens]`, and their gradients for `hidden`, `[tokens, hidden]`.
fn frozen_head_divergences(
    hidden: Tensor<2>,
    head: &Matrix,
    base_hidden: Tensor<2>,
    base_head: &Matrix,
    wants_gradient: bool,
) -> (Tensor<1>, Option<Tensor<2>>) {
    let (head, base_head) = (head.clone().inner(), base_head.clone().inner());
    let (mut tuned, mut base, mut apart) = (None, None, None::<Tensor<2>>);
    for (first, count) in parts(&head, hidden.dims()[0]) {
        let (weights, base_weights) = (head.rows(first, count), base_head.rows(first, count));
        let logits = matmul(hidden.clone(), weights.clone().transpose()); // [tokens, part]
        let base_logits = matmul(base_hidden.clone(), base_weights.transpose());
        let differences = base_logits.clone() - logits.clone();
        let weights = wants_gradient.then_some(&weights);
        tuned = Some(Softmax::add(tuned, logits, weights).0);
        let (softmax, exponentials) = Softmax::add(base, base_logits, weights);
        // Σ exp(base logit)·(base logit − logit), relative to the largest base logit so far: [tokens, 1]
        let own = (exponentials * differences).sum_dim(1);
        apart = Some(match apart {
            Some(before) => before * softmax.running.rescaled.clone() + own,
            None => own,
        });
        base = Some(softmax);
    }
    let has_tokens = "a vocabulary has tokens";
    let (tuned, base, apart) = (tuned.expect(has_tokens), base.expect(has_tokens), apart.expect(has_tokens));
    let divergences = apart / base.running.sum.clone() - base.normaliser() + tuned.normaliser();
    let gradient = tuned.mean().zip(base.mean()).map(|(tuned, base)| tuned - base);
    (divergences.squeeze_dim(1), gradient)
}

/// `values` with known gradients for `hidden`, if there are any.
///
/// # Shapes
/// - values: `[tokens]`
/// - hidden: `[tokens, hidden]`
/// - gradients: of some rows after the other, all together as hidden
fn with_gradient(values: Tensor<1>, hidden: Tensor<2>, gradients: Vec<Tensor<2>>) -> Tensor<1> {
    if gradients.is_empty() {
        return values;
    }
    // The value of the surrogate cancels; its gradient for `hidden` stays.
    let surrogate = (hidden * Tensor::cat(gradients, 0)).sum_dim(1).squeeze_dim::<1>(1);
    let zero = surrogate.clone() - surrogate.detach();
    zero + values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::blocks::{Blocks, Form, HostBlocks};
    use burn::tensor::Distribution;

    #[test]
    fn frozen_head_agrees_with_plain_autodiff_forward_and_backward() {
        let device = Device::flex();
        device.seed(7);
        let tokens = MOST_TOKENS + 37;
        let vocab = 2 * part(usize::MAX, 24, MOST_TOKENS, &device) + 61;
        let hidden = Tensor::<2>::random([tokens, 24], Distribution::Normal(0.0, 2.0), &device);
        let head = Tensor::<2>::random([vocab, 24], Distribution::Normal(0.0, 1.0), &device);
        let targets: Vec<u32> = (0..tokens as u32).map(|i| i * 31 % vocab as u32).collect();
        let weights = Tensor::<1>::random([tokens], Distribution::Uniform(0.0, 1.0), &device);

        let run = |plain: bool| {
            let x = hidden.clone().autodiff().require_grad();
            let losses = match plain {
                true => plain_losses(x.clone(), &head, int_tensor(&targets, &device)),
                false => token_losses(x.clone(), &Matrix::Dense(head.clone()), &targets),
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
        assert!(close(&plain.0, &fast.0) < 2e-5);
        assert!(close(&plain.1, &fast.1) < 1e-5);
    }

    #[test]
    fn a_head_in_blocks_gives_the_losses_and_logits_of_its_numbers() {
        let (device, vocab, width) = (Device::flex(), 40_000, 32);
        let words = (0..vocab).flat_map(|i| {
            let head = [(i % 7) as f32 * 1e-3, 0.1].map(|number| number.to_bits() as i32);
            head.into_iter().chain((0..8).map(move |j| ((i * 8 + j) as u32).wrapping_mul(0x9e37_79b9) as i32))
        });
        let host = HostBlocks { form: Form::Q8, words: words.collect() };
        let blocks = Matrix::Blocks(Blocks::new(host, [vocab, width], &device));
        let dense = Matrix::Dense(blocks.dense());
        assert!(parts(&blocks, 3).count() > 1);
        let hidden = Tensor::<2>::random([3, width], Distribution::Normal(0.0, 2.0), &device);
        let run = |head: &Matrix| {
            let x = hidden.clone().autodiff().require_grad();
            let losses = token_losses(x.clone(), head, &[7, 39_999, 20_000]);
            let gradients = losses.clone().sum().backward();
            let logits = logits(hidden.clone(), head);
            [losses.inner().to_data(), x.grad(&gradients).unwrap().to_data(), logits.to_data()]
        };
        for (a, b) in run(&blocks).iter().zip(&run(&dense)) {
            assert!(a.iter::<f32>().zip(b.iter::<f32>()).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }

    #[test]
    fn divergence_of_a_frozen_head_agrees_with_plain_autodiff_forward_and_backward() {
        let device = Device::flex();
        device.seed(8);
        let tokens = MOST_TOKENS + 37;
        let vocab = part(usize::MAX, 24, MOST_TOKENS, &device) + 61;
        let random = |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let (hidden, base_hidden) = (random([tokens, 24]), random([tokens, 24]));
        let (head, base_head) = (random([vocab, 24]), random([vocab, 24]));
        let matrix = |head: &Tensor<2>| Matrix::Dense(head.clone());
        let weights = Tensor::<1>::random([tokens], Distribution::Uniform(0.0, 1.0), &device);
        let run = |plain: bool| {
            let x = hidden.clone().autodiff().require_grad();
            let divergences = match plain {
                true => plain_divergences(x.clone(), &head, base_hidden.clone(), &base_head),
                false => {
                    token_divergences(x.clone(), &matrix(&head), base_hidden.clone(), &matrix(&base_head))
                }
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
        let same = token_divergences(hidden.clone(), &matrix(&head), hidden, &matrix(&head));
        assert!(values(&same.to_data()).iter().all(|value| *value == 0.0));
    }
}
