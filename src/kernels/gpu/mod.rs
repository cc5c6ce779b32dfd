//! The GPU's kernels, written once in CubeCL for WebGPU, Vulkan, Metal and DX12. They keep to
//! WebGPU's default limits and need no optional feature; where there are subgroups, some use them (`workgroup.rs`).

pub mod adamw;
pub mod attention;
pub mod bias;
pub mod blocks;
pub mod concat;
pub mod head_norm;
pub mod lora;
pub mod matmul;
pub mod norm;
pub mod rms_norm;
pub mod rotary;
pub mod running_softmax;
pub mod sample;
pub mod softmax;
pub mod swiglu;
mod workgroup;

use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{TensorMetadata, Wgpu};
use burn::cubecl;
use burn::tensor::{DType, FloatDType, Shape};
use cubecl::prelude::{BufferArg, Const, CubeCount, CubeDim, Vector};
use std::sync::atomic::{AtomicBool, Ordering};

pub type GpuTensor = FloatTensor<Wgpu>;
/// What memory is read and written in.
type Vec4 = Vector<f32, Const<4>>;

/// Units of one workgroup where they do not work together.
const UNITS: u32 = 64;
/// The most workgroups along one axis (<https://www.w3.org/TR/webgpu/#limits>).
const MOST_GROUPS: usize = 65_535;

/// Whether the adapter computes on the CPU: few units at a time, and each with many registers.
static ON_SOFTWARE_ADAPTER: AtomicBool = AtomicBool::new(false);

/// Tells the kernels whether the adapter is a software one; until then it is taken for a real one. What they compute does not
/// change.
pub fn set_software_adapter(is_software: bool) {
    ON_SOFTWARE_ADAPTER.store(is_software, Ordering::Relaxed);
}

fn on_software_adapter() -> bool {
    ON_SOFTWARE_ADAPTER.load(Ordering::Relaxed)
}

/// Whether the values lie in order.
fn is_contiguous(x: &GpuTensor) -> bool {
    let (shape, strides) = (x.meta.shape(), x.meta.strides());
    let mut stride = 1;
    for (&size, &actual) in shape.iter().zip(strides.iter()).rev() {
        if size != 1 && actual != stride {
            return false;
        }
        stride *= size;
    }
    x.dtype == DType::F32 && stride > 0
}

/// Whether the values lie in order and their last dimension is a whole number of fours.
fn is_aligned(x: &GpuTensor) -> bool {
    is_contiguous(x) && x.meta.shape().iter().next_back().is_some_and(|last| last % 4 == 0)
}

/// As many workgroups as give every unit of work one unit, and their size; `None` beyond the limits.
fn workgroups(units: usize) -> Option<(CubeCount, CubeDim)> {
    let groups = units.div_ceil(UNITS as usize);
    (groups <= MOST_GROUPS).then(|| (CubeCount::Static(groups as u32, 1, 1), CubeDim::new_1d(UNITS)))
}

/// The same over two axes, for more units than one has room for.
fn workgroups_in_rows(units: usize) -> (CubeCount, CubeDim) {
    let groups = units.div_ceil(UNITS as usize);
    let rows = groups.div_ceil(MOST_GROUPS);
    (CubeCount::Static(groups.div_ceil(rows) as u32, rows as u32, 1), CubeDim::new_1d(UNITS))
}

fn empty(shape: Shape, like: &GpuTensor) -> GpuTensor {
    Wgpu::float_empty(shape, &like.device(), FloatDType::F32)
}

/// A tensor's memory as a kernel's argument.
fn buffer(x: &GpuTensor) -> BufferArg {
    let shape_and_strides = x.meta.shape().iter().zip(x.meta.strides().iter());
    let last: usize = shape_and_strides.map(|(&size, &stride)| size.saturating_sub(1) * stride).sum();
    // SAFETY: the length is that of the tensor whose handle this is.
    unsafe { BufferArg::from_raw_parts(x.handle.clone(), (last + 1).div_ceil(4)) }
}
