//! Loralet fine-tunes small language models with LoRA inside a browser tab.
//!
//! The way of the data: `weights` opens a model's files and `models` runs it;
//! `data` turns a file of examples into batches; `objectives` turns (model, batch)
//! into a loss; `train` owns the loop; `sweep` plans many runs; `generate` answers prompts; `export` writes
//! adapters for other tools; `web` is the only module that knows JavaScript.

pub mod adapters;
pub mod bench;
pub mod data;
pub mod error;
pub mod eval;
pub mod export;
pub mod generate;
pub mod kernels;
pub mod memory;
pub mod metrics;
pub mod models;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;
pub mod objectives;
pub mod recipe;
pub mod rewards;
pub mod session;
pub mod sweep;
pub mod train;
#[cfg(target_arch = "wasm32")]
pub mod web;
pub mod weights;

pub use error::{Error, ErrorKind, Result};
