//! What a disk draws its misfortunes from.

use crate::streams::{Stream, Streams};
use alloc::format;

/// One stream for each kind of decision, so that none changes another.
#[derive(Debug)]
pub(super) struct Draws {
    pub(super) sync_time: Stream,
    pub(super) read_time: Stream,
    pub(super) write_fails: Stream,
    pub(super) sync_fails: Stream,
    pub(super) lost_in_failed_sync: Stream,
    pub(super) shown_after_failed_sync: Stream,
    pub(super) lost_with_power: Stream,
    pub(super) torn: Stream,
    pub(super) torn_erasures: Stream,
    pub(super) sectors: Stream,
    pub(super) read_corrupts: Stream,
    pub(super) read_bit: Stream,
    pub(super) rot: Stream,
    pub(super) rot_objects: Stream,
}

impl Draws {
    /// The streams of the disk of `host`.
    pub(super) fn open(streams: &mut Streams, host: u32) -> Self {
        let mut open = |purpose: &str| streams.open(format!("disk {host} {purpose}"));
        Self {
            sync_time: open("time of syncs"),
            read_time: open("time of reads"),
            write_fails: open("failing writes"),
            sync_fails: open("failing syncs"),
            lost_in_failed_sync: open("writes lost in failed syncs"),
            shown_after_failed_sync: open("cache after failed syncs"),
            lost_with_power: open("writes lost with power"),
            torn: open("torn writes"),
            torn_erasures: open("torn erasures"),
            sectors: open("torn sectors"),
            read_corrupts: open("corrupt reads"),
            read_bit: open("bits of corrupt reads"),
            rot: open("rot"),
            rot_objects: open("rot of objects"),
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> [&Stream; 14] {
        let it = &self;
        [
            &it.sync_time,
            &it.read_time,
            &it.write_fails,
            &it.sync_fails,
            &it.lost_in_failed_sync,
            &it.shown_after_failed_sync,
            &it.lost_with_power,
            &it.torn,
            &it.torn_erasures,
            &it.sectors,
            &it.read_corrupts,
            &it.read_bit,
            &it.rot,
            &it.rot_objects,
        ]
    }
}
