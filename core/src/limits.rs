//! Every bound of the engine, in one place, with its unit.
//!
//! A bound is a setting with a safe default, never a number in the middle of a function. What a machine above the
//! engine bounds (view size, queue length) stands with that machine.

/// Bounds of one node's engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events that one step may cause among siblings, and rounds in which late actions may be answered. Reaching it is a defect of the wiring: asserted.
    pub steps_per_event: u32,
    /// Actions the gate holds before the node refuses requests and sheds packets. At twice as many it drops what comes
    /// next, as a network would.
    pub gate_actions: usize,
    /// Writes, of objects too, that may be waiting for the disk before the node refuses requests and sheds packets.
    pub unsynced_writes: u64,
    /// Bytes that may be waiting for the disk before the node refuses requests and sheds packets.
    pub unsynced_bytes: u64,
    /// Records by which the journal grows before it is trimmed; or as many as it held when it last was, if that is more.
    pub trim_records: u64,
    /// Bytes by which it grows before it is trimmed, likewise.
    pub trim_bytes: u64,
    /// Slots emptied with one sync.
    pub trim_slots: u64,
    /// Bytes of the encoded body of one journal record.
    pub record_bytes: usize,
    /// Bytes of one packet, header and authenticator included.
    pub packet_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps_per_event: 64,
            gate_actions: 4_096,
            unsynced_writes: 4_096,
            unsynced_bytes: 64 << 20,
            trim_records: 16_384,
            trim_bytes: 64 << 20,
            trim_slots: 1_024,
            record_bytes: 1 << 20,
            packet_bytes: 1 << 20,
        }
    }
}
