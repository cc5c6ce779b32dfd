//! Sums and maxima over the units that share a row: a workgroup of their own. Where the device has subgroups, the workgroup is
//! one, and they need neither workgroup memory nor a barrier.

use super::{GpuTensor, on_software_adapter};
use burn::cubecl;
use cubecl::ir::features::Plane;
use cubecl::prelude::*;

/// Units that share a row where there are no subgroups.
const WIDTH: u32 = 32;

/// The fewest lanes of a subgroup that are worth a workgroup of their own. A software adapter has four, which are the lanes of a
/// register.
const FEWEST_LANES: u32 = 16;

/// Units that share a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Workgroup {
    pub width: u32,
    pub is_subgroup: bool,
}

impl Workgroup {
    /// For kernels on the device of this tensor.
    pub fn of(x: &GpuTensor) -> Workgroup {
        let properties = x.client.properties();
        let lanes = properties.hardware.plane_size_min;
        let is_subgroup = properties.features.plane.contains(Plane::Ops)
            && (lanes >= FEWEST_LANES || on_software_adapter() && lanes > 1);
        Workgroup { width: if is_subgroup { lanes.min(WIDTH) } else { WIDTH }, is_subgroup }
    }
}

/// The sum of a number of each unit, for each unit.
#[cube]
pub fn sum(value: f32, #[comptime] workgroup: Workgroup) -> f32 {
    let mut sum = 0.0f32;
    if comptime!(workgroup.is_subgroup) {
        sum = plane_sum(value);
    } else {
        let mut values = Shared::<[f32]>::new_slice(comptime!(workgroup.width as usize));
        values[UNIT_POS_X as usize] = value;
        sync_cube();
        for i in 0..workgroup.width {
            sum += values[i as usize];
        }
    }
    sum
}

/// The largest number of all units, for each unit.
#[cube]
pub fn max(value: f32, #[comptime] workgroup: Workgroup) -> f32 {
    let mut top = value;
    if comptime!(workgroup.is_subgroup) {
        top = plane_max(value);
    } else {
        let mut values = Shared::<[f32]>::new_slice(comptime!(workgroup.width as usize));
        values[UNIT_POS_X as usize] = value;
        sync_cube();
        for i in 0..workgroup.width {
            top = select(values[i as usize] > top, values[i as usize], top);
        }
    }
    top
}
