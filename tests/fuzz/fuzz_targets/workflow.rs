//! Reads bytes as a workflow: refused with an explanation, or shown and read again to the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| relaymesh_fuzz::bodies::workflow(input));
