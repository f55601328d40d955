//! What is on the wire, however it is meant: REPL-1, PACK-1, and how much of it there is in calm times (RATE-1, GOSS-1).

use super::{DATAGRAM_HEADER_BYTES, GOSS_1, MeshChecks, PACK_1, RATE_1, REPL_1};
use crate::check::Findings;
use crate::time::TrueTime;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::envelope::Envelope;
use relaymesh_core::membership::wire::Message as Said;
use relaymesh_core::mesh::AdmissionObservation;
use relaymesh_core::time::Duration;

/// A stream that cannot get across breaks after this time.
const STREAM_PATIENCE: Duration = Duration::from_secs(15);

/// Messages that a node may send in calm times for each interval of probing: its own probe, answers to those of others,
/// and now and then, at the loss that the mesh must bear, an indirect probe.
const CALM_MESSAGES_MAX: u64 = 10;
/// Intervals of probing after which the average means something.
const CALM_ROUNDS_MIN: u64 = 30;

/// A packet that was taken: by whom, from whom, in which lives, of which store, under which number.
type Taken = (u32, u32, u64, u64, u64);

/// Packets, as far as they must be remembered.
#[derive(Clone, Debug, Default)]
pub(super) struct Packets {
    /// Whether packets may arrive more than once.
    pub(super) are_kept: bool,
    taken: BTreeSet<Taken>,
    /// The last that was remembered for the first time: its node may still say that it refuses it.
    latest: Option<Taken>,
    replayed: Option<(u32, u32, u64)>,
    oversized: Option<(u32, usize)>,
    /// When anything happened last from outside: a fault, a process, an operator.
    touched_at: TrueTime,
    /// When there was last anything to be told.
    news_at: TrueTime,
    /// Messages sent in calm times, by sender, and since when.
    calm: Vec<u64>,
    calm_since: Option<TrueTime>,
}

impl Packets {
    pub(super) fn new(nodes: u32, are_kept: bool) -> Self {
        Self { are_kept, calm: vec![0; nodes as usize], ..Self::default() }
    }

    /// `host` remembers nothing of `from`.
    pub(super) fn forgotten(&mut self, host: u32, from: u32) {
        self.taken.retain(|(by, of, ..)| (*by, *of) != (host, from));
    }

    /// The node has refused the packet that arrived last. If that was its first copy, none has been taken yet.
    pub(super) fn refused(&mut self) {
        self.replayed = None;
        if let Some(packet) = self.latest.take() {
            self.taken.remove(&packet);
        }
    }

    /// A datagram was handed to the network.
    pub(super) fn sized(&mut self, host: u32, bytes: usize, limit: u32) {
        if bytes + DATAGRAM_HEADER_BYTES > limit as usize {
            self.oversized = Some((host, bytes));
        }
    }

    /// Something happens from outside.
    pub(super) fn touched(&mut self, now: TrueTime) {
        (self.touched_at, self.news_at, self.calm_since) = (now, now, None);
    }

    /// There is something to be told.
    pub(super) fn news(&mut self, now: TrueTime) {
        self.news_at = now;
    }
}

impl MeshChecks {
    /// What was noted where nothing could be reported.
    pub(super) fn report_noted(&mut self, found: &mut Findings) {
        if let Some((host, bytes)) = self.packets.oversized.take() {
            let limit = self.settings.bounds.datagram_bytes;
            let detail = format!("n{host} sends a datagram of {bytes} bytes, where {limit} may be on the wire");
            found.fail(PACK_1, &[host], detail);
        }
        if let Some((host, from, sequence)) = self.packets.replayed.take() {
            let detail = format!("n{host} has taken packet {sequence} of n{from} twice");
            found.fail(REPL_1, &[host, from], detail);
        }
    }

    /// REPL-1. Who is not in the view yet has no window there; its word is idempotent.
    pub(super) fn packet_taken(&mut self, host: u32, from: u32, envelope: &Envelope) {
        self.packets.latest = None;
        if !self.packets.are_kept || self.views.get(host, from).status.is_none() {
            return;
        }
        let (source, life) = (envelope.source, self.lives[host as usize]);
        let packet = (host, from, life << 32 | source.boot.0, source.store.0, envelope.sequence);
        if self.packets.taken.insert(packet) {
            self.packets.latest = Some(packet);
        } else {
            self.exercised.repl_1 += 1;
            // Unless it says that it refuses it, which follows at once.
            self.packets.replayed = Some((host, from, envelope.sequence));
        }
    }

    /// The node does not look at the packet that arrived last.
    pub(super) fn packet_refused(&mut self, host: u32, refusal: &AdmissionObservation) {
        if matches!(refusal, AdmissionObservation::Replayed { .. }) {
            self.packets.refused();
        }
        if self.is_latest_of_membership {
            self.suspicions.refused(host);
            self.probes.refused();
            self.exchanges.refused();
        }
    }

    /// After so long without a touch from outside, what is said is only what probes and comparisons need.
    fn calms_down_in(&self) -> Duration {
        self.grace.saturating_mul(4)
    }

    pub(super) fn check_traffic(&mut self, host: u32, said: &Said, found: &mut Findings) {
        if matches!(said, Said::Gossip { .. }) {
            self.exercised.goss_1 += 1;
            let quiet = found.now.since(self.packets.news_at);
            // An old word may still come out of a stream that was cut, and is answered.
            if quiet > self.grace + STREAM_PATIENCE {
                let detail = format!("n{host} still passes something on, where nothing was new to anybody for {quiet}");
                found.fail(GOSS_1, &[host], detail);
            }
        }
        if !self.truth.is_calm() || found.now.since(self.packets.touched_at) < self.calms_down_in() {
            return;
        }
        let since = *self.packets.calm_since.get_or_insert(found.now);
        if since == found.now {
            self.packets.calm.fill(0);
        }
        self.packets.calm[host as usize] += 1;
        let rounds = found.now.since(since).as_nanos() / self.settings.probe_interval.as_nanos();
        self.exercised.rate_1 += u64::from(rounds >= CALM_ROUNDS_MIN);
        let sent = self.packets.calm[host as usize];
        if sent > CALM_MESSAGES_MAX * rounds.max(CALM_ROUNDS_MIN) {
            let detail = format!("n{host} has sent {sent} messages in {rounds} rounds in which nothing happened");
            found.fail(RATE_1, &[host], detail);
            self.packets.calm_since = None;
        }
    }
}
