//! Model files: opening a GGUF file or a Hugging Face folder and reading its tensors.
//!
//! [`Checkpoint`] is the way in. It reads headers only; a tensor is read, in f32 and in
//! Hugging Face layout, when it is asked for, so that a file never lies whole in memory.

pub mod checkpoint;
pub mod gguf;
pub mod gguf_config;
pub mod gguf_metadata;
mod gguf_reader;
pub mod gguf_tokenizer;
mod gguf_vocabulary;
pub mod gguf_writer;
mod huggingface;
pub mod names;
pub mod quant;
mod quant_k;
pub mod quantize;
mod quantize_k;
pub(crate) mod rows;
pub mod safetensors;
pub mod safetensors_header;
pub mod source;

pub use checkpoint::{Checkpoint, SourceFormat, TensorInfo, TokenizerFiles};
pub use quant::StorageType;
#[cfg(not(target_arch = "wasm32"))]
pub use source::FileSource;
pub use source::{ByteSource, MemorySource};
