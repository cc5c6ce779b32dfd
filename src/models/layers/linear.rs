use crate::kernels::blocks::Matrix;
use crate::kernels::{bias::add_biases, lora::lora_linears, lora::times, matmul::matmul};
use crate::models::float_tensor;
use burn::tensor::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// `y = x·Wᵀ + b`, with a low-rank path beside the weight while an adapter is attached:
/// `y = x·Wᵀ + b + scale · (x·Aᵀ)·Bᵀ` (<https://arxiv.org/abs/2106.09685>).
#[derive(Debug, Clone)]
pub struct Linear {
    /// `model.layers.0.self_attn.q_proj`
    pub path: Arc<str>,
    /// `[out, in]`
    pub weight: Matrix,
    /// `[out]`
    pub bias: Option<Tensor<1>>,
    pub lora: Option<LoraPath>,
    /// Whether products with the weight are computed in 16 bits where it is frozen and the device can.
    pub fp16: bool,
}

/// The low-rank path of one linear layer.
#[derive(Debug, Clone)]
pub struct LoraPath {
    /// The values of all layers that read the same input, of each its A, `[rank, in]`, then its B, `[out, rank]`.
    pub values: Tensor<1>,
    /// Where this layer's A begins in `values`.
    pub start: usize,
    pub rank: usize,
    /// alpha / rank, or alpha / √rank for rsLoRA.
    pub scale: f64,
    /// DoRA's size of each output, `[out]` (<https://arxiv.org/abs/2402.09353>).
    pub magnitude: Option<Tensor<1>>,
    /// `None` outside training.
    pub dropout: Option<Dropout>,
}

/// Zeroes a share of the values and scales the rest so that the mean stays. The mask
/// follows from the seed alone, on every device.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    pub share: f64,
    pub seed: u64,
}

impl Linear {
    /// # Shapes
    /// - x: `[tokens, in]`
    /// - output: `[tokens, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        forward_together(&[self], x, None)
    }

    /// Without its bias.
    fn forward_alone(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.lora {
            None => times(x, &self.weight, self.fp16),
            Some(path) => path.beside(x, &self.weight, self.fp16),
        }
    }

    /// `[out, in]`
    pub fn dims(&self) -> [usize; 2] {
        self.weight.dims()
    }

    pub fn device(&self) -> Device {
        self.weight.device()
    }
}

/// The outputs of layers that read the same input, side by side; one operation where nothing but frozen weights and their
/// low-rank paths take part.
///
/// # Shapes
/// - x: `[tokens, in]`
/// - residual: `[tokens, Σ out]`, added to the output
/// - output: `[tokens, Σ out]`
pub fn forward_together(linears: &[&Linear], x: Tensor<2>, residual: Option<Tensor<2>>) -> Tensor<2> {
    if let Some((path, ranks)) = shared_path(linears) {
        let weights: Vec<&Matrix> = linears.iter().map(|linear| &linear.weight).collect();
        let (values, fp16) = (path.values.clone(), linears[0].fp16);
        return biased(lora_linears(x, &weights, Some(values), residual, ranks, path.scale, fp16), linears);
    }
    let mut outputs: Vec<_> = linears.iter().map(|linear| linear.forward_alone(x.clone())).collect();
    let output = if outputs.len() == 1 { outputs.remove(0) } else { Tensor::cat(outputs, 1) };
    let output = biased(output, linears);
    match residual {
        Some(residual) => residual + output,
        None => output,
    }
}

/// The outputs with the biases of those layers that have one: one operation for all.
fn biased(output: Tensor<2>, linears: &[&Linear]) -> Tensor<2> {
    if linears.iter().all(|linear| linear.bias.is_none()) {
        return output;
    }
    let bias = |linear: &&Linear| {
        let nothing = || Tensor::zeros([linear.dims()[0]], &output.device().inner());
        linear.bias.clone().unwrap_or_else(nothing)
    };
    let biases: Vec<Tensor<1>> = linears.iter().map(bias).collect();
    add_biases(output, &biases)
}

/// The first of the low-rank paths that [`lora_linears`] computes together, which share values and scale, and the rank of each.
fn shared_path<'a>(linears: &[&'a Linear]) -> Option<(&'a LoraPath, Vec<usize>)> {
    let path = linears.iter().find_map(|linear| linear.lora.as_ref())?;
    let (mut end, scale) = (0, path.scale);
    let mut ranks = Vec::with_capacity(linears.len());
    for linear in linears {
        let plain = !linear.weight.is_trained();
        let of_path = |path: &LoraPath| {
            let simple = path.dropout.is_none() && path.magnitude.is_none();
            let simple = simple && path.start == end && path.scale == scale;
            let [out, input] = linear.dims();
            end += path.rank * (input + out);
            simple.then_some(path.rank)
        };
        ranks.push(linear.lora.as_ref().map_or(Some(0), of_path).filter(|_| plain)?);
    }
    (path.values.dims() == [end]).then_some((path, ranks))
}

impl LoraPath {
    /// A, `[rank, in]`, and B, `[out, rank]`, of a layer of this size.
    pub fn factors(&self, [out, input]: [usize; 2]) -> [Tensor<2>; 2] {
        let matrix = |start: usize, [rows, columns]: [usize; 2]| {
            self.values.clone().narrow(0, start, rows * columns).reshape([rows, columns])
        };
        [matrix(self.start, [self.rank, input]), matrix(self.start + self.rank * input, [out, self.rank])]
    }

    /// `x·Wᵀ` and the path together; `weight` is W, `[out, in]`.
    fn beside(&self, x: Tensor<2>, weight: &Matrix, fp16: bool) -> Tensor<2> {
        let ([lora_a, lora_b], scale) = (self.factors(weight.dims()), self.scale);
        let gain = self.magnitude.clone().map(|magnitude| {
            // As in the paper's 4.3 and in PEFT, the norm is a constant for the gradient.
            let norm = weight_norm(&weight.dense(), Some((&lora_a, &lora_b, scale)));
            (magnitude / norm).unsqueeze::<2>() // [1, out]
        });
        let Some(dropout) = self.dropout else {
            let low = matmul(x.clone(), lora_a.transpose()); // [tokens, rank]
            let sum = times(x, weight, fp16) + matmul(low * scale, lora_b.transpose());
            return match gain {
                Some(gain) => sum * gain,
                None => sum,
            };
        };
        let dropped = dropout.apply(x.clone());
        let low = matmul(dropped.clone(), lora_a.transpose());
        let path = matmul(low * scale, lora_b.transpose());
        let base = times(x, weight, fp16);
        match gain {
            // What the gain adds sees the dropout, the base alone does not.
            Some(gain) => base + times(dropped, weight, fp16) * (gain.clone() - 1.0) + path * gain,
            None => base + path,
        }
    }
}

/// The norm of each row of `W + scale·B·A`, without gradients and without forming the sum: `[out]`.
///
/// # Shapes
/// - weight: `[out, in]`
/// - path: `lora_a` `[rank, in]`, `lora_b` `[out, rank]` and the scale
pub fn weight_norm(weight: &Tensor<2>, path: Option<(&Tensor<2>, &Tensor<2>, f64)>) -> Tensor<1> {
    let weight = weight.clone().inner();
    let squares = weight.clone().square().sum_dim(1); // [out, 1]
    let squares = match path {
        None => squares,
        Some((lora_a, lora_b, scale)) => {
            let (a, b) = (lora_a.clone().inner(), lora_b.clone().inner());
            let crossed = matmul(weight, a.clone().transpose()); // [out, rank]
            let own = matmul(b.clone(), matmul(a.clone(), a.transpose()));
            squares + (b * (crossed * (2.0 * scale) + own * (scale * scale))).sum_dim(1)
        }
    };
    squares.sqrt().squeeze_dim(1)
}

impl Dropout {
    /// # Shapes
    /// - x: `[tokens, in]`
    /// - output: the same
    fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let [tokens, width] = x.dims();
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let kept = (1.0 / (1.0 - self.share)) as f32;
        let mask =
            (0..tokens * width).map(|_| if random.random_bool(self.share) { 0.0 } else { kept }).collect();
        let device = x.device().inner();
        x * float_tensor(mask, [tokens, width], &device)
    }
}
