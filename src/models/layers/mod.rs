//! The parts that architectures share.

pub mod attention;
pub mod cache;
pub mod embedding;
pub mod layer_norm;
pub mod linear;
pub mod mlp;
pub mod pre_norm;
pub mod rms_norm;
pub mod rotary;
