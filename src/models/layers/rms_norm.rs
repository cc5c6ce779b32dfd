use burn::tensor::Tensor;

/// Root-mean-square normalisation (<https://arxiv.org/abs/1910.07467>).
#[derive(Debug, Clone)]
pub struct RmsNorm {
    /// `[hidden]`
    pub weight: Tensor<1>,
    pub eps: f64,
}

impl RmsNorm {
    /// # Shapes
    /// - x: `[tokens, hidden]`
    /// - output: `[tokens, hidden]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let mean_square = x.clone().square().mean_dim(1); // [tokens, 1]
        let inverse = (mean_square + self.eps).sqrt().recip();
        x * inverse * self.weight.clone().unsqueeze::<2>()
    }
}
