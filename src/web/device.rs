//! Chooses where to run: probes WebGPU first, trusts it only after a gradient self-test,
//! and says in words what was chosen and why.

use crate::error::{Error, Result, last_cause};
use crate::kernels::matmul::matmul;
use crate::kernels::readback::read;
use crate::kernels::set_software_adapter;
use crate::session::{DeviceKind, DeviceReport, Limits};
use burn::tensor::{Device, Tensor};
use js_sys::{Object, Reflect};
use std::cell::RefCell;
use std::sync::Arc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Wasm addresses reach 4 GiB; activations and the optimizer need the rest.
const CPU_LIMIT: u64 = 3 << 30;

/// Kernels that go to the GPU in one submission at most. A longer queue holds more buffers alive.
const MOST_TASKS: usize = 512;

/// What the browser says of its GPU, before any is claimed.
struct Probe {
    name: String,
    is_fallback: bool,
}

#[wasm_bindgen(module = "/src/web/timestamps.js")]
extern "C" {
    fn do_without_timestamps();
}

thread_local! {
    /// The first error that the GPU reported outside any call of ours.
    static GPU_ERROR: RefCell<Option<String>> = const { RefCell::new(None) };
    /// What the browser said when it took the GPU away, after which nothing can be computed on it.
    static LOST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Picks the device for `auto`, `webgpu` or `cpu`.
///
/// # Errors
/// An unknown choice, or `webgpu` where it cannot be had.
pub async fn choose(choice: &str) -> Result<(Device, Limits, DeviceReport)> {
    match choice {
        "cpu" => Ok(cpu("chosen by hand").await),
        "webgpu" => webgpu(&probe().await.map_err(device_error)?, "chosen by hand").await,
        "auto" => match probe().await {
            Err(why) => Ok(cpu(&why).await),
            Ok(gpu) if gpu.is_fallback => {
                Ok(cpu("the browser's GPU is emulated in software, which is slower than the CPU path").await)
            }
            Ok(gpu) => match webgpu(&gpu, "the browser offers a GPU").await {
                Ok(chosen) => Ok(chosen),
                Err(error) => Ok(cpu(&error.to_string()).await),
            },
        },
        other => Err(device_error(format!("\"{other}\" is not a device; choose auto, webgpu or cpu"))),
    }
}

/// Takes the error that the GPU reported since the last call, if any.
pub fn take_gpu_error() -> Option<String> {
    GPU_ERROR.with(|slot| slot.borrow_mut().take())
}

/// What is wrong with the GPU where an operation on it failed: that it is lost, if the browser has said so.
pub fn lost() -> Option<Error> {
    LOST.with(|slot| slot.borrow().clone()).map(|reason| Error::DeviceLost { reason })
}

async fn cpu(reason: &str) -> (Device, Limits, DeviceReport) {
    let fused = super::relaxed::load().await;
    let name = if fused { ", fused multiply-add" } else { "" };
    let helper = super::helper::bytes();
    let threads = if helper > 0 { "two threads" } else { "one thread" };
    let report = DeviceReport {
        kind: DeviceKind::Cpu,
        name: format!("CPU, {threads}, 128-bit SIMD{name}"),
        reason: reason.into(),
        is_fallback: false,
    };
    (Device::flex(), Limits { total: Some(CPU_LIMIT), tensor: None, helper, lacks_fp16: true }, report)
}

async fn webgpu(gpu: &Probe, reason: &str) -> Result<(Device, Limits, DeviceReport)> {
    do_without_timestamps();
    set_software_adapter(gpu.is_fallback);
    // A step is submitted whole, where the default would cut it after every 32 kernels.
    let options = Device::wgpu_options().tasks_max(MOST_TASKS);
    let (device, setup) =
        options.init_with_setup_async().await.map_err(|error| device_error(error.to_string()))?;
    setup.device.on_uncaptured_error(Arc::new(|error| {
        GPU_ERROR.with(|slot| {
            slot.borrow_mut().get_or_insert_with(|| last_cause(&error.to_string()).to_string());
        });
    }));
    setup.device.set_device_lost_callback(|_, message| {
        LOST.with(|slot| slot.replace(Some(last_cause(&message).to_string())));
    });
    let limits: wgpu::Limits = setup.device.limits();
    self_test(&device).await?;
    let tensor = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let report = DeviceReport {
        kind: DeviceKind::Webgpu,
        name: gpu.name.clone(),
        reason: format!("{reason}, and a gradient self-test agrees with the CPU"),
        is_fallback: gpu.is_fallback,
    };
    let lacks_fp16 = !setup.device.features().contains(wgpu::Features::SHADER_F16);
    Ok((device, Limits { total: None, tensor: Some(tensor), helper: 0, lacks_fp16 }, report))
}

async fn probe() -> std::result::Result<Probe, String> {
    let missing = || "this browser has no WebGPU".to_string();
    let get = |object: &JsValue, key: &str| Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED);
    let navigator = get(&js_sys::global(), "navigator");
    let gpu = get(&navigator, "gpu");
    if gpu.is_falsy() {
        return Err(missing());
    }
    let request: js_sys::Function = get(&gpu, "requestAdapter").dyn_into().map_err(|_| missing())?;
    let options = Object::new();
    let _ = Reflect::set(&options, &"powerPreference".into(), &"high-performance".into());
    let promise = request.call1(&gpu, &options).map_err(|_| missing())?;
    let adapter = JsFuture::from(js_sys::Promise::resolve(&promise)).await.map_err(|_| missing())?;
    if adapter.is_falsy() {
        return Err("this browser has WebGPU but no GPU for it".into());
    }
    let info = get(&adapter, "info");
    let text = |key: &str| get(&info, key).as_string().filter(|text| !text.is_empty());
    let name = [text("vendor"), text("architecture"), text("description")];
    let name = name.into_iter().flatten().collect::<Vec<_>>().join(" ");
    // The flag moved from the adapter to its info between versions of the standard.
    let is_fallback =
        [get(&info, "isFallbackAdapter"), get(&adapter, "isFallbackAdapter")].iter().any(JsValue::is_truthy);
    Ok(Probe { name: if name.is_empty() { "GPU".into() } else { name }, is_fallback })
}

/// A product, a softmax and their gradient, on both devices.
async fn self_test(device: &Device) -> Result<()> {
    let run = async |device: &Device| -> Result<Vec<f32>> {
        let values =
            |n: usize, scale: f32| (0..n).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * scale).collect();
        let x = crate::models::float_tensor(values(24 * 40, 1.0), [24, 40], device);
        let w = crate::models::float_tensor(values(40 * 16, 0.5), [40, 16], device).autodiff().require_grad();
        let y = burn::tensor::activation::softmax(matmul(x, w.clone()), 1).square().sum();
        let gradients = y.backward();
        let gradient = w.grad(&gradients).map(Tensor::inner);
        read(gradient.ok_or_else(|| device_error("it computes no gradients".into()))?).await
    };
    let (on_cpu, on_gpu) = (run(&Device::flex()).await?, run(device).await?);
    // A difference that is not a number must not pass.
    let agrees = on_cpu.iter().zip(&on_gpu).all(|(a, b)| (a - b).abs() < 1e-3);
    if let Some(error) = take_gpu_error() {
        return Err(device_error(format!("the GPU refused a kernel ({error}); choose the CPU")));
    }
    if !agrees {
        return Err(device_error("the GPU's gradients differ from the CPU's; choose the CPU".into()));
    }
    Ok(())
}

fn device_error(reason: String) -> Error {
    Error::Device { reason }
}
