#![no_main]

use loralet_fuzz::{readers, within};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| within(1024, 64 << 20, readers::data, bytes));
