//! Reads bytes as a message, record, request or reply of the mesh.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| relaymesh_fuzz::bodies::mesh_body(input));
