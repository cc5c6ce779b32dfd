//! Random numbers that are the same in a browser and in a native build: ChaCha8 and integer arithmetic.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

pub(super) const SPLIT_STREAM: u64 = 0;
pub(super) const FIRST_EPOCH_STREAM: u64 = 1;

pub(super) fn rng(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// Fisher-Yates with 64-bit numbers: the same on 32-bit wasm as on a 64-bit machine.
pub(super) fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        let pick = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        items.swap(last, pick as usize);
    }
}
