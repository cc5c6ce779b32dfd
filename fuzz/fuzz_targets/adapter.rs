#![no_main]

use loralet_fuzz::{Bound, readers, within};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| within(
    4 << 20,
    Bound { times: 64, beside: 16 << 20 },
    readers::adapter,
    bytes
));
