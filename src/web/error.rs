use crate::Error;
use wasm_bindgen::JsValue;

/// A JavaScript `Error` named `LoraletError`, with the sentence and its `kind`.
pub fn to_js(error: Error) -> JsValue {
    let js = js_sys::Error::new(&error.to_string());
    js.set_name("LoraletError");
    let js = JsValue::from(js);
    // Setting a property of a fresh Error object cannot fail.
    let _ = js_sys::Reflect::set(&js, &"kind".into(), &error.kind().into());
    js
}
