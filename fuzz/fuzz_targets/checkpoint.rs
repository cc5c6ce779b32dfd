#![no_main]

use loralet_fuzz::{readers, within};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| within(4, 64 << 10, readers::checkpoint, bytes));
