use super::device::lost;
use crate::Error;
use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// A JavaScript `Error` named `LoraletError`, with what [`Error::report`] has: `kind`, `key`, `args`, `message`.
pub fn to_js(error: Error) -> JsValue {
    let error = match error {
        // What failed first is of no use to anyone once the GPU itself is gone.
        Error::DeviceLost { .. } => lost().unwrap_or(error),
        error => error,
    };
    let report = error.report();
    let js = js_sys::Error::new(&report.message);
    js.set_name("LoraletError");
    let js = JsValue::from(js);
    // Plain strings can be written, and a property of a fresh Error object be set.
    if let Ok(report) = super::to_js(&report) {
        for name in ["kind", "key", "args"].map(JsValue::from) {
            let _ = Reflect::get(&report, &name).and_then(|value| Reflect::set(&js, &name, &value));
        }
    }
    js
}
