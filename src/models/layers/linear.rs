use burn::tensor::{Device, Distribution, Tensor};

/// `y = x·Wᵀ`, with a low-rank path beside the weight while an adapter is attached:
/// `y = x·Wᵀ + scale · (x·Aᵀ)·Bᵀ` (<https://arxiv.org/abs/2106.09685>).
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Tensor<2>,
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
    /// Share of the path's inputs zeroed; 0 outside training.
    pub dropout: f64,
}

impl Linear {
    pub fn new(weight: Tensor<2>) -> Self {
        Linear { weight, lora: None }
    }

    /// # Shapes
    /// - x: `[tokens, in]`
    /// - output: `[tokens, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let Some(lora) = &self.lora else {
            return x.matmul(self.weight.clone().transpose());
        };
        let base = x.clone().matmul(self.weight.clone().transpose());
        let x = dropout(x, lora.dropout);
        let low = x.matmul(lora.lora_a.clone().transpose()); // [tokens, rank]
        let path = (low * lora.scale).matmul(lora.lora_b.clone().transpose());
        base + path
    }

    /// `[out, in]`
    pub fn dims(&self) -> [usize; 2] {
        self.weight.dims()
    }

    pub fn device(&self) -> Device {
        self.weight.device()
    }
}

/// Zeroes a share of the values and scales the rest so that the mean stays.
fn dropout(x: Tensor<2>, share: f64) -> Tensor<2> {
    if share == 0.0 {
        return x;
    }
    let keep = Tensor::<2>::random(x.dims(), Distribution::Bernoulli(1.0 - share), &x.device().inner());
    x * (keep / (1.0 - share))
}
