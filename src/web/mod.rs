//! The crate as JavaScript sees it. Nothing outside this folder knows JavaScript.

pub mod bench;
pub mod blob;
pub mod device;
pub mod error;
pub mod helper;
pub mod person;
pub mod relaxed;
pub mod session;
pub mod sweep;
mod types;

use crate::recipe::Recipe;
use serde::Serialize;
use wasm_bindgen::prelude::*;

unsafe extern "C" {
    /// Runs the constructors that register compute kernels; a wasm library has no `main` to do so.
    fn __wasm_call_ctors();
}

/// Prepares the module; call once after loading it.
#[wasm_bindgen]
pub fn start() {
    console_error_panic_hook::set_once();
    // SAFETY: the linker provides the symbol, and `start` is called once, before anything else.
    unsafe { __wasm_call_ctors() };
}

/// A recipe with every field filled.
#[wasm_bindgen(unchecked_return_type = "Recipe")]
pub fn default_recipe() -> Result<JsValue, JsValue> {
    to_js(&Recipe::default())
}

/// The recipe with defaults filled in.
///
/// # Errors
/// A `LoraletError` whose `key` is the setting.
#[wasm_bindgen(unchecked_return_type = "Recipe")]
pub fn validate_recipe(
    #[wasm_bindgen(unchecked_param_type = "unknown")] recipe: JsValue,
) -> Result<JsValue, JsValue> {
    to_js(&read_recipe(recipe)?)
}

fn read_recipe(recipe: JsValue) -> Result<Recipe, JsValue> {
    let value: serde_json::Value = serde_wasm_bindgen::from_value(recipe)
        .map_err(|error| error::to_js(crate::Error::InvalidRecipe { reason: error.to_string() }))?;
    Recipe::from_json(&value).map_err(error::to_js)
}

/// Plain JavaScript objects, with `null` for what is absent.
fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    value.serialize(&serializer).map_err(JsValue::from)
}
