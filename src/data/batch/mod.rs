//! From examples to batches: split, order, padding, packing.
//!
//! Every order comes from ChaCha8 and integer arithmetic, so that a browser and a native build with
//! the same seed see the same batches.

mod collate;
mod contrast;
mod order;
mod preference;
mod random;
mod split;

pub use collate::{Batch, collate};
pub use order::{BatchOptions, BatchRow, epoch_batches};
pub use split::{held_out, split};
