//! What the kernels' tests share.

use burn::tensor::{Device, Distribution, Tensor};

pub fn random<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    device.seed(seed);
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}

/// # Panics
/// When a value differs by more than `tolerance`, or is not a number.
#[track_caller]
pub fn close<const D: usize>(ours: Tensor<D>, theirs: Tensor<D>, tolerance: f32) {
    assert_eq!(ours.dims(), theirs.dims());
    let (ours, theirs) = (ours.to_data(), theirs.to_data());
    for (i, (a, b)) in ours.iter::<f32>().zip(theirs.iter::<f32>()).enumerate() {
        assert!((a - b).abs() <= tolerance, "value {i} is {a} where {b} is expected");
    }
}
