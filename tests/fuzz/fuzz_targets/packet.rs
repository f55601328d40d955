//! Opens bytes as a packet.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| relaymesh_fuzz::bodies::packet(input));
