//! What can be said only at the end: MEMB-3, HOLD-2, PROB-1.

use super::{HOLD_2, MEMB_3, MeshChecks, PROB_1};
use crate::check::Findings;
use crate::time::TrueTime;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::membership::Status;
use relaymesh_core::time::Duration;

/// Relapses after which a hold is not doubled again.
pub(super) const RELAPSES_MAX: u32 = 6;
/// Meshes of up to so many nodes are watched probe by probe.
pub(super) const PROBES_WATCHED_MAX: u32 = 256;

/// When each node last asked each other whether it is there.
#[derive(Clone, Debug)]
pub(super) struct Probed {
    nodes: u32,
    at: Vec<TrueTime>,
}

impl Probed {
    pub(super) fn new(nodes: u32) -> Self {
        let watched = if nodes <= PROBES_WATCHED_MAX { nodes as usize } else { 0 };
        Self { nodes, at: vec![TrueTime(0); watched * watched] }
    }

    pub(super) fn asked(&mut self, host: u32, to: u32, now: TrueTime) {
        if let Some(at) = self.at.get_mut((host * self.nodes + to) as usize) {
            *at = now;
        }
    }

    fn is_since(&self, host: u32, to: u32, since: TrueTime) -> Option<bool> {
        self.at.get((host * self.nodes + to) as usize).map(|at| *at >= since)
    }
}

impl MeshChecks {
    /// MEMB-3: everybody who is there holds everybody who is there alive, and nobody else.
    pub(super) fn check_agreement(&mut self, found: &mut Findings) {
        let there: Vec<u32> = (0..self.truth.members()).filter(|host| self.truth.is_up(*host)).collect();
        for observer in &there {
            for subject in 0..self.truth.members() {
                let held = self.views.get(*observer, subject).status;
                self.exercised.memb_3 += 1;
                let is_right = match there.binary_search(&subject) {
                    _ if subject == *observer => true,
                    Ok(_) => held == Some(Status::Alive),
                    Err(_) => held.is_none_or(|held| !held.is_member()),
                };
                if !is_right {
                    let (seen, truth) = (held.map_or("unknown", Status::name), there.contains(&subject));
                    let detail = format!(
                        "n{observer} holds n{subject} {seen} at the end, which is {}",
                        if truth { "there" } else { "not there" }
                    );
                    return found.miss(MEMB_3, &[*observer, subject], detail);
                }
            }
        }
        self.check_answers(found);
        self.check_standing(&there, found);
        self.check_probes(&there, found);
    }

    /// HOLD-2: whoever has been healthy for long enough counts again.
    fn check_standing(&mut self, there: &[u32], found: &mut Findings) {
        for observer in there {
            for subject in there {
                let held = self.views.get(*observer, *subject);
                if !held.is_suppressed || held.status != Some(Status::Alive) {
                    self.exercised.hold_2 += u64::from(held.relapses > 0);
                    continue;
                }
                let dwell = self.dwell(held);
                let doubled =
                    dwell.saturating_mul(1 << held.falls.max(held.relapses).saturating_sub(1).min(RELAPSES_MAX));
                let most = self.truth.at_most(*observer, doubled, self.clock_ppb) + self.settings.probe_interval;
                let unhealthy = held.suppressed_at.max(held.unwell_at.unwrap_or_default());
                if found.now.since(unhealthy) > most && self.truth.is_well_since(*observer, unhealthy) {
                    let detail = format!(
                        "n{observer} has held n{subject} alive for {}, and does not count it",
                        found.now.since(unhealthy)
                    );
                    return found.miss(HOLD_2, &[*observer, *subject], detail);
                }
            }
        }
    }

    /// Within which everybody who is well asks everybody who is well: two laps, and the rounds in which a node that
    /// fared badly asked less often.
    pub(super) fn probe_bound(&self) -> Duration {
        let slow = u64::from(self.settings.health_max * (self.settings.health_max + 1) / 2);
        let rounds = u64::from(2 * self.truth.members()) + slow + 10;
        self.settings.probe_interval.saturating_mul(rounds)
    }

    /// PROB-1: nobody is left out of the rounds.
    fn check_probes(&mut self, there: &[u32], found: &mut Findings) {
        let since = self.before(found.now, self.probe_bound());
        // What befalls others makes a node doubt its own health, and probe less often.
        if since == TrueTime(0) || !self.truth.is_calm_since(since) {
            return;
        }
        let well: Vec<u32> = there.iter().copied().filter(|host| self.truth.is_well_since(*host, since)).collect();
        for observer in &well {
            for subject in well.iter().filter(|subject| *subject != observer) {
                let Some(is_asked) = self.probed.is_since(*observer, *subject, since) else { return };
                self.exercised.prob_1 += 1;
                if !is_asked {
                    let detail =
                        format!("n{observer} has not asked n{subject} for {}, and both are well", self.probe_bound());
                    return found.miss(PROB_1, &[*observer, *subject], detail);
                }
            }
        }
    }
}
