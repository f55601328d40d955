//! No allocation per event in the steady state: neither the machines nor the world around them.
#![allow(clippy::disallowed_macros, reason = "the count belongs to the thread of the test")]
#![allow(unsafe_code, reason = "an allocator can only be counted by standing in its place")]

use relaymesh_sim::example::Example;
use relaymesh_sim::scenario::parse;
use relaymesh_sim::world::{Options, run};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract; the counter is a plain
// cell of the calling thread and allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, with the same layout, and so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as in `dealloc`; the caller's promise about `bytes` is passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of a run of that many events.
fn allocations(text: &str, events_max: u64) -> u64 {
    let scenario = parse(text).unwrap();
    let before = ALLOCATIONS.with(Cell::get);
    let report = run::<Example>(&scenario, 1, Options { events_max, ..Options::default() });
    assert_eq!(report.events, events_max, "the run was long enough");
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn the_echo_mesh_runs_without_allocating() {
    let text = "name = \"x\"\nabout = \"x\"\nnodes = 5\n[phases]\nsafety = \"1h\"\nliveness = \"1s\"\n\
                [echo]\nwindow = 4\npause = \"300us\"\npayload_bytes = 192\n[journal]\nclients = 0\n";
    let (warm, long) = (allocations(text, 50_000), allocations(text, 150_000));
    let extra = long - warm;
    assert!(extra < 100, "{extra} allocations in 100,000 events");
}
