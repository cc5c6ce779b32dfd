//! AdamW (<https://arxiv.org/abs/1711.05101>) over one flat buffer, with PyTorch's numbers.

use crate::kernels::adamw::{Factors, adamw};
use crate::kernels::norm::sum_of_squares;
use crate::kernels::persistent;
use burn::tensor::{Device, Tensor, s};

pub const BETA1: f64 = 0.9;
pub const BETA2: f64 = 0.999;
pub const EPSILON: f64 = 1e-8;

/// First and second moments, each `[total]`, and how many updates they hold.
#[derive(Debug, Clone)]
pub struct AdamW {
    pub first_moment: Tensor<1>,
    pub second_moment: Tensor<1>,
    pub updates: usize,
    pub weight_decay: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// The norm that a larger gradient is brought down to, as by `torch.nn.utils.clip_grad_norm_`; 0 for none.
    pub max_grad_norm: f64,
    /// What the learning rate of each value is multiplied with, `[total]`; `None` for 1.
    pub rates: Option<Tensor<1>>,
}

impl AdamW {
    pub fn new(total: usize, weight_decay: f64, device: &Device) -> Self {
        AdamW {
            first_moment: Tensor::zeros([total], device),
            second_moment: Tensor::zeros([total], device),
            updates: 0,
            weight_decay,
            beta1: BETA1,
            beta2: BETA2,
            epsilon: EPSILON,
            max_grad_norm: 0.0,
            rates: None,
        }
    }

    /// The values after one update; values and moments as they were where the guard's gate is not finite, though the update
    /// is counted.
    ///
    /// # Shapes
    /// - values, gradient, output: `[total]`
    /// - guard: `[2]` or more, as [`guarded`] makes it
    pub fn update(
        &mut self,
        values: Tensor<1>,
        gradient: Tensor<1>,
        guard: Tensor<1>,
        learning_rate: f64,
    ) -> Tensor<1> {
        self.updates += 1;
        let (beta1, beta2) = (self.beta1, self.beta2);
        let correction1 = 1.0 - beta1.powi(self.updates as i32);
        let correction2 = 1.0 - beta2.powi(self.updates as i32);
        let factors = Factors {
            max_grad_norm: self.max_grad_norm as f32,
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            rest1: (1.0 - beta1) as f32,
            rest2: (1.0 - beta2) as f32,
            kept: (1.0 - learning_rate * self.weight_decay) as f32,
            step: (learning_rate / correction1) as f32,
            root: (1.0 / correction2.sqrt()) as f32,
            epsilon: self.epsilon as f32,
        };
        // Nothing else holds the moments, so that they are updated in place.
        let nothing = || Tensor::empty([0], &values.device());
        let first = std::mem::replace(&mut self.first_moment, nothing());
        let second = std::mem::replace(&mut self.second_moment, nothing());
        let before = self.rates.is_some().then(|| values.clone());
        let (values, first, second) = adamw(values, gradient, first, second, guard, factors);
        (self.first_moment, self.second_moment) = (first, second);
        match (before, &self.rates) {
            // Both the step and the decay are in proportion to the learning rate.
            (Some(before), Some(rates)) => before.clone() + (values - before) * rates.clone(),
            _ => values,
        }
    }
}

/// A step's figures, of which the first is its loss, behind what its update goes by: a gate, and the sum of the gradient's
/// squares. The gate is their sum with the gate of the step before, so that from the first loss or gradient that is not finite
/// on no update changes anything.
///
/// # Shapes
/// - figures: `[figures]`
/// - gradient: `[total]`
/// - before, output: `[at least 2 + figures]`
pub fn guarded(figures: Tensor<1>, gradient: Tensor<1>, before: Option<&Tensor<1>>) -> Tensor<1> {
    let first = |figures: &Tensor<1>| figures.clone().narrow(0, 0, 1);
    let squares = sum_of_squares(gradient);
    let gate = squares.clone() + first(&figures);
    let gate = match before {
        Some(before) => gate + first(before),
        None => gate,
    };
    // They wait until the figures of several steps are read, and must not hold a large buffer meanwhile. Every later tensor of
    // a size that has once been made to last gets a buffer of its own, so theirs is one that hardly any other has.
    const BEHIND: usize = 1217;
    let (count, device) = (2 + figures.dims()[0], figures.device());
    let place = persistent(&device, (), |()| Tensor::<1>::empty([count + BEHIND], &device));
    place.slice_assign(s![0..count], Tensor::cat(vec![gate, squares, figures], 0))
}
