//! How a disk behaves, and how often it has misbehaved.

use relaymesh_core::time::Duration;

/// How the disk behaves now. Faults change it for a while.
#[derive(Clone, Debug)]
pub struct DiskCondition {
    /// Shortest and longest time a sync takes.
    pub sync: (Duration, Duration),
    /// Shortest and longest time a read takes.
    pub read: (Duration, Duration),
    /// Every time is multiplied by this.
    pub slowdown: u64,
    /// Millionths of the writes torn by a power loss, of those that survive it.
    pub torn: u64,
    /// Millionths of the writes that fail.
    pub write_fails: u64,
    /// Millionths of the syncs that fail.
    pub sync_fails: u64,
    /// Millionths of the reads that return changed bytes.
    pub read_corrupts: u64,
    /// Whether no room is left.
    pub full: bool,
}

/// How often each thing went wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFaults {
    /// Unsynced writes lost by a power loss.
    pub lost_unsynced: u64,
    /// Unsynced writes torn by a power loss.
    pub torn: u64,
    /// Unsynced erasures torn by a power loss: the slot holds neither what it did nor nothing.
    pub torn_erasures: u64,
    /// Writes that failed.
    pub failed_writes: u64,
    /// Syncs that failed.
    pub failed_syncs: u64,
    /// Writes refused for lack of room.
    pub full: u64,
    /// Reads that returned changed bytes.
    pub corrupt_reads: u64,
    /// Slots whose durable bytes were changed.
    pub bit_rot: u64,
    /// Objects whose durable bytes were changed.
    pub rotten_objects: u64,
    /// Durable objects that are gone.
    pub gone_objects: u64,
}
