use crate::kernels::{lora::lora_linear, matmul::matmul};
use crate::models::float_tensor;
use burn::tensor::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `y = x·Wᵀ + b`, with a low-rank path beside the weight while an adapter is attached:
/// `y = x·Wᵀ + b + scale · (x·Aᵀ)·Bᵀ` (<https://arxiv.org/abs/2106.09685>).
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Tensor<2>,
    /// `[out]`
    pub bias: Option<Tensor<1>>,
    pub lora: Option<LoraPath>,
}

/// The low-rank path of one linear layer.
#[derive(Debug, Clone)]
pub struct LoraPath {
    /// `[rank, in]`
    pub lora_a: Tensor<2>,
    /// `[out, rank]`
    pub lora_b: Tensor<2>,
    /// alpha / rank, or alpha / √rank for rsLoRA.
    pub scale: f64,
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
    pub fn new(weight: Tensor<2>) -> Self {
        Linear { weight, bias: None, lora: None }
    }

    pub fn with_bias(weight: Tensor<2>, bias: Tensor<1>) -> Self {
        Linear { weight, bias: Some(bias), lora: None }
    }

    /// # Shapes
    /// - x: `[tokens, in]`
    /// - output: `[tokens, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let weight = self.weight.clone();
        let product = match &self.lora {
            None => matmul(x, weight.transpose()),
            Some(LoraPath { lora_a, lora_b, scale, dropout: None }) if !is_trained(&weight) => {
                lora_linear(x, weight, lora_a.clone(), lora_b.clone(), *scale)
            }
            Some(LoraPath { lora_a, lora_b, scale, dropout }) => {
                let dropped = dropout.map_or(x.clone(), |dropout| dropout.apply(x.clone()));
                let low = matmul(dropped, lora_a.clone().transpose()); // [tokens, rank]
                matmul(x, weight.transpose()) + matmul(low * *scale, lora_b.clone().transpose())
            }
        };
        match &self.bias {
            Some(bias) => product + bias.clone().unsqueeze(),
            None => product,
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

fn is_trained(weight: &Tensor<2>) -> bool {
    weight.is_autodiff() && weight.is_tracked()
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
