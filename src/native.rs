//! The devices of a native program.

use crate::error::{Error, Result};
use burn::tensor::Device;

/// `cpu`, or `vulkan` in a build that has it; and what the device is.
///
/// # Errors
/// Another name, or a GPU that cannot be had.
pub fn device(name: &str) -> Result<(Device, String)> {
    match name {
        "cpu" => Ok((Device::flex(), "CPU, one thread".into())),
        #[cfg(feature = "vulkan")]
        "vulkan" => gpu(),
        #[cfg(not(feature = "vulkan"))]
        "vulkan" => Err(Error::Device {
            reason: "this build has no Vulkan; build with --features vulkan, or choose cpu".into(),
        }),
        _ => Err(Error::Device { reason: format!("natively \"{name}\" is no device; choose cpu or vulkan") }),
    }
}

#[cfg(feature = "vulkan")]
fn gpu() -> Result<(Device, String)> {
    use burn::tensor::wgpu::wgpu::DeviceType;

    let (device, setup) = Device::wgpu_options()
        .init_with_setup()
        .map_err(|error| Error::Device { reason: error.to_string() })?;
    let info = setup.adapter.get_info();
    crate::kernels::set_software_adapter(info.device_type == DeviceType::Cpu);
    Ok((device, format!("{} ({})", info.name, info.backend)))
}
