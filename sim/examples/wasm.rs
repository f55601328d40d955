//! The simulator as a wasm module: scenario and seed in, trace hash out.
//!
//! `relaymesh sim check-determinism` runs it under node, to see that one seed gives the same hash there. A host calls
//! `input(length)`, writes the scenario's text to the address returned, calls `run(seed, keep_lines)`, and reads that
//! many bytes at `output()`: the hash, a line break, and the lines of the trace if they were to be kept.
#![allow(clippy::disallowed_macros, reason = "what the host wrote stays between its calls")]
#![allow(unsafe_code, reason = "a function that a host calls by name needs the unsafe attribute no_mangle")]

use relaymesh_sim::scenario::{self, Scenario};
use relaymesh_sim::subject::Subject;
use relaymesh_sim::subjects::{Visit, with_subject};
use relaymesh_sim::world::{Options, World};
use std::cell::RefCell;
use std::fmt::Write;

thread_local! {
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes room for a scenario of `length` bytes and returns its address.
// SAFETY: no other function of this module is called `input`.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: usize) -> *mut u8 {
    INPUT.with_borrow_mut(|input| {
        *input = vec![0; length];
        input.as_mut_ptr()
    })
}

/// Runs the scenario from `seed` and returns the length of the output.
// SAFETY: no other function of this module is called `run`.
#[unsafe(no_mangle)]
pub extern "C" fn run(seed: u64, keep_lines: u32) -> usize {
    let text = INPUT.with_borrow(|input| String::from_utf8_lossy(input).into_owned());
    let result = match scenario::parse(&text) {
        Ok(scenario) => {
            with_subject(scenario.subject, Trace { scenario: &scenario, seed, keep_lines: keep_lines != 0 })
        }
        Err(problem) => format!("not a scenario: {problem}\n"),
    };
    OUTPUT.with_borrow_mut(|output| {
        *output = result;
        output.len()
    })
}

/// The address of the output of the last run.
// SAFETY: no other function of this module is called `output`.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    OUTPUT.with_borrow(|output| output.as_ptr())
}

/// A run of which the trace is wanted.
struct Trace<'a> {
    scenario: &'a Scenario,
    seed: u64,
    keep_lines: bool,
}

impl Visit for Trace<'_> {
    type Out = String;

    fn visit<S: Subject>(self) -> String {
        let options = Options { keep_lines: self.keep_lines, ..Options::default() };
        let mut world = World::<S>::new(self.scenario, self.seed, options);
        world.run();
        let mut result = format!("{}\n", world.report().trace_hash);
        for line in world.take_lines() {
            // Writing to memory cannot fail.
            let _ = writeln!(result, "{line}");
        }
        result
    }
}
