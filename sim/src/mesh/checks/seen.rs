//! What a node lets operators see, as it happens: MEMB-2, VIEW-1, VERD-1, HOLD-1.

use super::agreement::RELAPSES_MAX;
use super::{FORM_1, HOLD_1, MEMB_2, MeshChecks, VERD_1, VIEW_1};
use crate::check::Findings;
use crate::mesh::views::Held;
use crate::time::TrueTime;
use alloc::format;
use relaymesh_core::identity::NodeId;
use relaymesh_core::membership::{MembershipObservation as Seen, Status};
use relaymesh_core::time::Duration;

/// Whoever behaved for so many times what it must show has a relapse forgiven.
const FORGIVE_AFTER: u64 = 10;

impl MeshChecks {
    /// Membership lets operators see something.
    pub(super) fn membership_seen(&mut self, host: u32, seen: Seen, found: &mut Findings) {
        let is_news = matches!(
            seen,
            Seen::Joined { .. }
                | Seen::StatusChanged { .. }
                | Seen::Refuted { .. }
                | Seen::RumorHeard { .. }
                | Seen::Disbelieved { .. }
                | Seen::Exchanged { .. }
                | Seen::Held { .. }
        );
        if is_news {
            self.packets.news(found.now);
        }
        match seen {
            Seen::Joined { node, status, incarnation } => self.status_seen(host, node, status, incarnation, found),
            Seen::StatusChanged { node, status, incarnation, accuser } => {
                if let Some(subject) = self.number(node) {
                    self.check_accuser((host, subject), status, accuser, found);
                    self.suspicion_changes((host, subject), (status, incarnation), accuser, found);
                }
                self.status_seen(host, node, status, incarnation, found);
            }
            Seen::ProbeFailed { node, .. } => {
                if let Some(subject) = self.number(node) {
                    self.probe_failed(host, subject, found);
                    self.accuses_itself(host, subject, found.now);
                }
            }
            Seen::Forgotten { node } => self.forgotten(host, node, found.now),
            Seen::Held { node, .. } => self.suppressed(host, node, true, found),
            Seen::Recovered { node } => self.suppressed(host, node, false, found),
            Seen::Members { members, rows } => {
                self.suspicions.members_seen(host, members as u32);
                self.exercised.view_1 += 1;
                if rows > self.numbers.len() as u64 {
                    found.fail(VIEW_1, &[host], format!("n{host} holds {rows} rows"));
                }
            }
            Seen::Refused { node } => {
                let from = self.number(node);
                found.fail(FORM_1, &[host], format!("n{host} refuses what {from:?} says as malformed"));
            }
            Seen::IdentityConflict { claims } => {
                let detail = format!("n{host} takes {claims} words of earlier lives of it for another process");
                found.fail(FORM_1, &[host], detail);
            }
            _ => {}
        }
    }

    fn status_seen(&mut self, observer: u32, node: NodeId, status: Status, incarnation: u64, found: &mut Findings) {
        self.exercised.view_1 += 1;
        let is_member = |subject: &u32| self.truth.is_of_cluster(*subject) == self.truth.is_of_cluster(observer);
        let Some(subject) = self.number(node).filter(is_member) else {
            let detail = format!("n{observer} holds {node:?} to be {}, who is no member", status.name());
            return found.fail(VIEW_1, &[observer], detail);
        };
        let now = found.now;
        let before = self.views.get(observer, subject);
        self.check_order(observer, subject, before, (status, incarnation), found);
        if status == Status::Alive && before.status == Some(Status::Dead) {
            self.check_resurrection(observer, subject, before, found);
        }
        let unwell_at = if status == Status::Alive { before.unwell_at } else { Some(now) };
        // What ended now was so until now.
        let unwell_at = if before.status.is_some_and(|was| was != Status::Alive) { Some(now) } else { unwell_at };
        let was_dead = before.was_dead || status == Status::Dead;
        let fell = before.status == Some(Status::Alive) && status != Status::Alive;
        let falls = before.falls + u32::from(fell);
        let held = Held { status: Some(status), incarnation, since: now, unwell_at, was_dead, falls, ..before };
        self.change(observer, subject, held, now);
        self.dead_counted(observer, before.status == Some(Status::Dead), status == Status::Dead, now);
        if before.status.is_none() && self.record.is_kept {
            self.record.learned.push((now, observer, subject));
        }
        match status {
            Status::Dead => self.dead_seen(observer, subject, found),
            Status::Left if self.record.is_kept => self.record.left.push((now, observer, subject)),
            Status::Suspect if self.truth.is_up(subject) => self.exercised.memb_2 += 1,
            _ => {}
        }
    }

    fn check_order(&mut self, observer: u32, subject: u32, before: Held, after: (Status, u64), found: &mut Findings) {
        let Some(was) = before.status else { return };
        self.exercised.verd_1 += 1;
        let (status, incarnation) = after;
        if (incarnation, status) < (before.incarnation, was) {
            let detail = format!(
                "n{observer} held n{subject} {} at incarnation {}, and then {} at {incarnation}",
                was.name(),
                before.incarnation,
                status.name()
            );
            found.fail(VERD_1, &[observer, subject], detail);
        }
    }

    fn dead_seen(&mut self, observer: u32, subject: u32, found: &mut Findings) {
        let now = found.now;
        let is_false = self.truth.is_up(subject);
        self.record.false_deaths += u64::from(is_false);
        if self.record.is_kept {
            self.record.dead.push((now, observer, subject));
        }
        let since = self.before(now, self.grace);
        if self.truth.is_well_since(subject, since) && self.truth.is_well_since(observer, since) {
            let detail =
                format!("n{observer} holds n{subject} dead, which has been up and undisturbed for {}", self.grace);
            found.fail(MEMB_2, &[observer, subject], detail);
        }
    }

    pub(super) fn forgotten(&mut self, observer: u32, node: NodeId, now: TrueTime) {
        let Some(subject) = self.number(node) else { return };
        let was_dead = self.views.get(observer, subject).status == Some(Status::Dead);
        self.count_wrong(observer, subject, -1);
        self.views.forget(observer, subject);
        self.count_wrong(observer, subject, 1);
        self.note_agreement(now);
        self.packets.forgotten(observer, subject);
        self.dead_counted(observer, was_dead, false, now);
        self.suspicions.forgotten(observer, subject);
    }

    // --- agreement over time, for figures -----------------------------------------------------------------------

    fn change(&mut self, observer: u32, subject: u32, held: Held, now: TrueTime) {
        self.count_wrong(observer, subject, -1);
        self.views.set(observer, subject, held);
        self.count_wrong(observer, subject, 1);
        self.note_agreement(now);
    }

    fn count_wrong(&mut self, observer: u32, subject: u32, sign: i64) {
        let is_pair = observer != subject && self.truth.is_up(observer) && self.truth.is_up(subject);
        if is_pair && self.views.get(observer, subject).status != Some(Status::Alive) {
            self.record.wrong += sign;
        }
    }

    pub(super) fn count_all_wrong(&mut self, host: u32, sign: i64) {
        for other in 0..self.truth.members() {
            self.count_wrong(host, other, sign);
            if other != host {
                self.count_wrong(other, host, sign);
            }
        }
    }

    pub(super) fn note_agreement(&mut self, now: TrueTime) {
        if self.record.wrong == 0 && self.record.first_across.is_some() && self.record.reunited_at.is_none() {
            self.record.reunited_at = Some(now);
        }
        match (self.record.wrong, self.record.agreed_at) {
            (0, None) => {
                self.record.agreed_at = Some(now);
                let there = (0..self.truth.members()).filter(|host| self.truth.is_up(*host)).count() as u32;
                if self.record.formed_at.is_none() && there >= self.expected {
                    self.record.formed_at = Some(now);
                }
            }
            (0, Some(_)) => {}
            _ => self.record.agreed_at = None,
        }
    }

    // --- who counts for placement -------------------------------------------------------------------------------

    pub(super) fn suppressed(&mut self, observer: u32, node: NodeId, is_suppressed: bool, found: &mut Findings) {
        let Some(subject) = self.number(node) else { return };
        let now = found.now;
        let before = self.views.get(observer, subject);
        if !is_suppressed {
            self.exercised.hold_1 += 1;
            self.check_hold(observer, subject, before, found);
        }
        let held = Held { is_suppressed, suppressed_at: now, ..before };
        let held = match is_suppressed && !before.is_suppressed {
            true => {
                let (relapses, was_dead) = (before.relapses + 1, before.status == Some(Status::Dead));
                self.suspicions.ceases(observer, subject, now);
                let doublings = self.doublings_at_least(observer, before, now);
                Held { held_at: now, relapses, doublings, was_dead, ..held }
            }
            false => held,
        };
        self.views.set(observer, subject, held);
        if self.record.is_kept {
            self.record.placement.push((now, observer, subject, !is_suppressed));
        }
    }

    /// How long the member must be healthy at first.
    pub(super) fn dwell(&self, held: Held) -> Duration {
        match held.was_dead {
            true => self.settings.dead_recover_min,
            false => self.settings.suspect_recover_min,
        }
    }

    /// A relapse doubles the healthy while, unless the member behaved for ten of the last ones: each ten are forgiven one.
    /// Counted from when it stopped to count, which is no later than when it was last unwell.
    fn doublings_at_least(&self, observer: u32, before: Held, now: TrueTime) -> u32 {
        if before.relapses == 0 {
            return 0;
        }
        let forgiven_after = self.dwell(before).saturating_mul(FORGIVE_AFTER << before.doublings);
        let forgiven_after = self.truth.at_least(observer, forgiven_after, self.clock_ppb).as_nanos();
        match now.since(before.held_at).as_nanos() / forgiven_after.max(1) {
            0 => (before.doublings + 1).min(RELAPSES_MAX),
            forgiven => before.doublings.saturating_sub(forgiven.min(u64::from(RELAPSES_MAX)) as u32),
        }
    }

    /// Counted on the observer's own clock, which may be fast.
    fn check_hold(&mut self, observer: u32, subject: u32, before: Held, found: &mut Findings) {
        let dwell = self.dwell(before).saturating_mul(1 << before.doublings);
        let least = self.truth.at_least(observer, dwell, self.clock_ppb);
        let healthy = before.unwell_at.map(|at| found.now.since(at));
        if healthy.is_some_and(|healthy| healthy < least) {
            let detail = format!("n{observer} counts n{subject} as alive again after less than {least} of health");
            found.fail(HOLD_1, &[observer, subject], detail);
        }
    }

    /// Whoever was dead does not count at once.
    fn check_resurrection(&mut self, observer: u32, subject: u32, before: Held, found: &mut Findings) {
        self.exercised.hold_1 += 1;
        if !before.is_suppressed {
            let detail = format!("n{observer} counts n{subject} as alive at once, which it held dead");
            found.fail(HOLD_1, &[observer, subject], detail);
        }
    }
}
