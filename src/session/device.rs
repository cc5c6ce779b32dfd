//! What a program is told of the device that a session runs on.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub enum DeviceKind {
    Webgpu,
    Cpu,
}

#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct DeviceReport {
    pub kind: DeviceKind,
    pub name: String,
    /// Why this device, in a sentence.
    pub reason: String,
    /// A GPU that is emulated in software.
    pub is_fallback: bool,
}

/// What is occupied, in bytes; JavaScript's numbers hold them exactly.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct MemoryReport {
    pub wasm_bytes: f64,
    /// Wasm memory never shrinks, so this equals `wasm_bytes`.
    pub wasm_peak_bytes: f64,
    /// What the second thread works in, beside the wasm memory; 0 without one.
    pub helper_bytes: f64,
    pub gpu_bytes: Option<f64>,
}
