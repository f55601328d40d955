//! Decodes bytes as bodies.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| relaymesh_fuzz::bodies::codec(input));
