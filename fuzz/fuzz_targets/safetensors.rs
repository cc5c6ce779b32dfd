#![no_main]

use loralet_fuzz::{readers, within};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| within(8, 64 << 10, readers::safetensors, bytes));
