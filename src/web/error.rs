use super::device::lost;
use crate::Error;
use wasm_bindgen::JsValue;

/// A JavaScript `Error` named `LoraletError`, with the sentence and its `kind`.
pub fn to_js(error: Error) -> JsValue {
    let error = match error {
        // What failed first is of no use to anyone once the GPU itself is gone.
        Error::DeviceLost { .. } => lost().unwrap_or(error),
        error => error,
    };
    let js = js_sys::Error::new(&error.to_string());
    js.set_name("LoraletError");
    let js = JsValue::from(js);
    // Setting a property of a fresh Error object cannot fail.
    let _ = js_sys::Reflect::set(&js, &"kind".into(), &error.kind().into());
    js
}
