#![no_main]

use loralet_fuzz::{Bound, readers, within};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| within(
    1 << 20,
    Bound { times: 64, beside: 1 << 20 },
    readers::recipe,
    bytes
));
