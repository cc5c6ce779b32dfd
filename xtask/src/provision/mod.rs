//! Set-up: each function makes sure that one thing is there, says so in a line, and returns where it is.
//!
//! All of it is idempotent. What is installed goes to the user's cache (`paths::cache`) or into
//! the checkout; the system is changed only through apt, and only where that needs no password.

mod chromium;
mod model;
mod node;
mod python;
mod rust;
mod system;

pub use chromium::{chromedriver, chromium};
pub use model::{default_model, default_model_dir, minilm, minilm_dir};
pub use node::{jax_js, node, node_modules};
pub use python::peers;
pub use rust::{cargo, wasm_bindgen, wasm_toolchain};
