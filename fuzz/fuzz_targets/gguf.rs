#![no_main]

use loralet_fuzz::{readers, within};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| within(64, 16 << 20, readers::gguf, bytes));
