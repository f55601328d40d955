//! Lets a member that holds the key say anything to nodes that run.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| relaymesh_fuzz::bodies::mesh(input));
