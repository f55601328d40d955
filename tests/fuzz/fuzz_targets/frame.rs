//! Reads bytes as a journal frame, and as the slots of a journal.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| relaymesh_fuzz::bodies::frame(input));
