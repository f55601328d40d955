//! An entry of a shard's log costs no allocation in the steady state; a block of them costs a few.
#![allow(clippy::disallowed_macros, reason = "the count belongs to the thread of the test")]
#![allow(unsafe_code, reason = "an allocator can only be counted by standing in its place")]

mod trio;

use relaymesh_core::replication::Settings;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use trio::{Carriage, Load, PaddedRegisters, Trio};

/// What a block may cost on all three replicas together: the ends of its entries, their bytes, and what shares the two; where
/// it is decoded, what it is first put into.
const ALLOCATIONS_PER_BLOCK: u64 = 3 + 2 * 4;
/// Queues grow now and then, to twice what they were.
const ALLOCATIONS_OF_QUEUES: u64 = 32;
/// Commands under way, and in one packet of the clients.
const WINDOW: u64 = 4_096;
const PACKET: u64 = 16;

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

/// Allocations and blocks that so many entries take, once everything runs.
fn costs(carriage: Carriage, entries: u64) -> (u64, u64) {
    let commands = PaddedRegisters::commands();
    let mut trio = Trio::<PaddedRegisters>::new(carriage, 3, Settings::default());
    trio.run(&commands, WINDOW, PACKET, 5 * WINDOW);
    let before = (ALLOCATIONS.with(Cell::get), trio.blocks());
    trio.run(&commands, WINDOW, PACKET, entries);
    (ALLOCATIONS.with(Cell::get) - before.0, trio.blocks() - before.1)
}

#[test]
fn an_entry_costs_no_allocation_and_a_block_a_few() {
    const ENTRIES: u64 = 50_000;
    for carriage in [Carriage::HandedOver, Carriage::Encoded] {
        let (allocations, blocks) = costs(carriage, ENTRIES);
        let bound = blocks * ALLOCATIONS_PER_BLOCK + ALLOCATIONS_OF_QUEUES;
        assert!(allocations <= bound, "{carriage:?}: {allocations} allocations in {blocks} blocks");
        // Fewer than one in twenty entries; with a block for each entry it would be eleven an entry.
        assert!(allocations * 20 < ENTRIES, "{carriage:?}: {allocations} allocations for {ENTRIES} entries");
    }
}
