//! Loads the matrix kernel with relaxed SIMD where the browser has that: one fused instruction
//! in place of a multiplication and an addition.

use crate::kernels::gemm::{MicroKernel, use_micro_kernel};
use js_sys::{Object, Reflect, Uint8Array, WebAssembly};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Built by `build.rs` from `src/kernels/gemm/relaxed_module.rs`.
pub const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/relaxed.wasm"));

/// Whether products now use it.
pub async fn load() -> bool {
    instantiate().await.is_ok()
}

/// # Errors
/// What the browser says against the module.
async fn instantiate() -> Result<(), JsValue> {
    let bytes = Uint8Array::from(MODULE);
    if !WebAssembly::validate(&bytes)? {
        return Err("no relaxed SIMD".into());
    }
    let (imports, env) = (Object::new(), Object::new());
    Reflect::set(&env, &"memory".into(), &wasm_bindgen::memory())?;
    Reflect::set(&imports, &"env".into(), &env)?;
    let made = JsFuture::from(WebAssembly::instantiate_buffer(MODULE, &imports)).await?;
    let instance: WebAssembly::Instance = Reflect::get(&made, &"instance".into())?.dyn_into()?;
    let kernel: js_sys::Function = Reflect::get(&instance.exports(), &"micro_kernel".into())?.dyn_into()?;
    let table: WebAssembly::Table = wasm_bindgen::function_table().dyn_into()?;
    let index = table.grow(1)?;
    table.set(index, &kernel)?;
    // SAFETY: on wasm a function pointer is an index into the table, where the function of this
    // signature now stands; nothing ever removes it.
    unsafe { use_micro_kernel(std::mem::transmute::<usize, MicroKernel>(index as usize)) };
    Ok(())
}
