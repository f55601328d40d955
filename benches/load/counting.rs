//! Counts the bytes that the thread has in use, from the allocator's place.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

/// Counts the bytes that are in use.
pub(crate) struct Counting;

fn count(bytes: i64) {
    // A thread that ends frees after its cells are gone.
    let _ = BYTES.try_with(|count| count.set(count.get() + bytes));
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract; the counter is a plain
// cell of the calling thread and allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: `pointer` came from `alloc` above, with the same layout, and so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(bytes as i64 - layout.size() as i64);
        // SAFETY: as in `dealloc`; the caller's promise about `bytes` is passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

/// Bytes in use.
pub(crate) fn bytes_in_use() -> i64 {
    BYTES.with(Cell::get)
}
