#![no_main]

use loralet_fuzz::{Bound, readers, within};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| within(
    64 << 10,
    Bound { times: 4, beside: 2 << 20 },
    readers::gguf_header,
    bytes
));
