//! The parts that architectures share.

pub mod attention;
pub mod layer_norm;
pub mod linear;
pub mod rms_norm;
pub mod rotary;
