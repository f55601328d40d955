//! Reads text as a scenario: refused with an explanation or accepted, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| {
    let _scenario_or_refusal = relaymesh_sim::scenario::parse(input);
});
