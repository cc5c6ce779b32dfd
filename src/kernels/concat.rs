//! Vectors one after the other.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

/// The values of all parts in order, without gradients.
///
/// # Shapes
/// - parts: `[length]` each
/// - output: `[Σ length]`
pub fn concat(mut parts: Vec<Tensor<1>>) -> Tensor<1> {
    while parts.len() > 1 {
        parts = parts.chunks(AT_ONCE).map(concat_few).collect();
    }
    parts.pop().expect("there is a part")
}

/// Vectors copied at once on a GPU: with the output they are the eight buffers that every one has.
const AT_ONCE: usize = 7;

fn concat_few(parts: &[Tensor<1>]) -> Tensor<1> {
    if let [only] = parts {
        return only.clone();
    }
    let [p0, p1, p2, p3, p4, p5, p6] =
        std::array::from_fn(|i| parts.get(i).unwrap_or(&parts[0]).clone().into_dispatch());
    Tensor::from_dispatch(<Dispatch as Concat>::concat(p0, p1, p2, p3, p4, p5, p6, parts.len()))
}

#[backend_extension(Flex, Cube: cfg(any(target_arch = "wasm32", feature = "vulkan")))]
pub trait Concat: Backend {
    /// The first `count` of these vectors.
    #[allow(clippy::too_many_arguments, reason = "tensors cross to a device one by one")]
    fn concat(
        p0: FloatTensor<Self>,
        p1: FloatTensor<Self>,
        p2: FloatTensor<Self>,
        p3: FloatTensor<Self>,
        p4: FloatTensor<Self>,
        p5: FloatTensor<Self>,
        p6: FloatTensor<Self>,
        count: usize,
    ) -> FloatTensor<Self> {
        Self::float_cat([p0, p1, p2, p3, p4, p5, p6].into_iter().take(count).collect(), 0)
    }
}

#[cfg(any(target_arch = "wasm32", feature = "vulkan"))]
impl Concat for burn::backend::Wgpu {
    fn concat(
        p0: FloatTensor<Self>,
        p1: FloatTensor<Self>,
        p2: FloatTensor<Self>,
        p3: FloatTensor<Self>,
        p4: FloatTensor<Self>,
        p5: FloatTensor<Self>,
        p6: FloatTensor<Self>,
        count: usize,
    ) -> FloatTensor<Self> {
        use burn::backend::ops::FloatTensorOps;
        let parts = [p0, p1, p2, p3, p4, p5, p6];
        super::gpu::concat::concat(&parts, count)
            .unwrap_or_else(|| Self::float_cat(parts.into_iter().take(count).collect(), 0))
    }
}

impl Concat for Flex {}
