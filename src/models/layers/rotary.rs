use crate::kernels::rotary::rotate;
use crate::models::float_tensor;
use burn::tensor::{Device, Tensor};

/// How a checkpoint stretches its rotary frequencies beyond the trained length.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    None,
    /// Positions divided by a factor.
    Linear {
        factor: f64,
    },
    /// Llama 3.1's smooth split between long and short wavelengths.
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_max_position: f64,
    },
    /// Divisors given one by one, as GGUF files store them: `[head_dim / 2]`.
    Factors(Vec<f32>),
}

/// Rotary position embedding (<https://arxiv.org/abs/2104.09864>), in the half-split
/// layout of Hugging Face checkpoints: channel `i` turns with channel `i + rotary_dim / 2`. Where `rotary_dim` is less than
/// `head_dim`, the channels behind stay as they are.
#[derive(Debug, Clone)]
pub struct RotaryEmbedding {
    inverse_frequencies: Vec<f64>,
}

/// Cosines and sines of one micro-batch, each `[tokens, rotary_dim / 2]`.
#[derive(Debug, Clone)]
pub struct Rotation {
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl RotaryEmbedding {
    pub fn new(rotary_dim: usize, theta: f64, scaling: &RopeScaling) -> Self {
        let mut inverse_frequencies: Vec<f64> =
            (0..rotary_dim / 2).map(|i| theta.powf(-2.0 * i as f64 / rotary_dim as f64)).collect();
        for (i, frequency) in inverse_frequencies.iter_mut().enumerate() {
            *frequency = scaled(*frequency, i, scaling);
        }
        RotaryEmbedding { inverse_frequencies }
    }

    /// For blocks that know no positions: nothing turns.
    pub fn none(head_dim: usize) -> Self {
        RotaryEmbedding { inverse_frequencies: vec![0.0; head_dim / 2] }
    }

    /// The rotation of each token.
    pub fn rotation(&self, position_ids: &[u32], device: &Device) -> Rotation {
        let shape = [position_ids.len(), self.inverse_frequencies.len()];
        let angles = || {
            position_ids
                .iter()
                .flat_map(|&position| self.inverse_frequencies.iter().map(move |f| position as f64 * f))
        };
        let cos = angles().map(|angle| angle.cos() as f32).collect();
        let sin = angles().map(|angle| angle.sin() as f32).collect();
        Rotation { cos: float_tensor(cos, shape, device), sin: float_tensor(sin, shape, device) }
    }
}

/// What each frequency is divided by, as GGUF files store a scaling: `[rotary_dim / 2]`.
pub fn divisors(rotary_dim: usize, theta: f64, scaling: &RopeScaling) -> Vec<f32> {
    let plain = RotaryEmbedding::new(rotary_dim, theta, &RopeScaling::None).inverse_frequencies;
    let divisor = |(i, frequency): (usize, f64)| (frequency / scaled(frequency, i, scaling)) as f32;
    plain.into_iter().enumerate().map(divisor).collect()
}

impl Rotation {
    /// Turns queries and keys, and multiplies the queries with attention's scale on the way.
    ///
    /// # Shapes
    /// - qkv, output: `[tokens, heads + 2 * kv_heads, head_dim]`
    pub fn apply(&self, qkv: Tensor<3>, heads: usize, kv_heads: usize, scale: f64) -> Tensor<3> {
        rotate(qkv, self.cos.clone(), self.sin.clone(), heads, kv_heads, scale)
    }
}

fn scaled(frequency: f64, index: usize, scaling: &RopeScaling) -> f64 {
    match scaling {
        RopeScaling::None => frequency,
        RopeScaling::Linear { factor } => frequency / factor,
        RopeScaling::Factors(factors) => frequency / factors[index] as f64,
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position } => {
            let wavelength = 2.0 * std::f64::consts::PI / frequency;
            if wavelength > original_max_position / low_freq_factor {
                return frequency / factor;
            }
            if wavelength < original_max_position / high_freq_factor {
                return frequency;
            }
            let smooth =
                (original_max_position / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
            (1.0 - smooth) * frequency / factor + smooth * frequency
        }
    }
}
