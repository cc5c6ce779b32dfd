#![no_main]

use loralet_fuzz::{Bound, readers, within};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| within(
    64 << 10,
    Bound { times: 32, beside: 128 << 10 },
    readers::zip,
    bytes
));
