//! Seeds and reunions, forgetting, key coverage, capacity, and what operators see.

use super::clockwork::Due;
use super::machine::{Action, Membership};
use super::observation::MembershipObservation;
use super::table::{Row, Slot};
use super::verdict::Status;
use super::view::{Link, MemberView, Refusal, Reply};
use crate::endpoint::Endpoint;
use crate::envelope::{KeyChange, KeyId};
use crate::identity::{NodeId, RequestId};
use crate::machine::{Ctx, Sink};
use crate::time::{Duration, Time};
use alloc::vec::Vec;

/// So many nodes look for the missing as often as the settings say; in a larger mesh each does so more rarely.
pub(super) const SEEKERS: u32 = 16;
/// A bound counts as nearly reached at this many percent.
const CAPACITY_PERCENT: u64 = 80;

impl Membership {
    /// Looks for the seeds: often while alone, rarely otherwise.
    pub(super) fn seek(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        let wait = self.seek_pause(ctx);
        self.clockwork.set(Due::Seek, ctx.now + wait);
        out.push(Action::Seek);
    }

    /// Somebody was lost: it may be back, at another endpoint, and know nobody.
    pub(super) fn seek_sooner(&mut self, ctx: &mut Ctx<'_>) {
        let at = ctx.now + self.seek_pause(ctx);
        if self.clockwork.due_at(Due::Seek).is_some_and(|due| due > at) {
            self.clockwork.set(Due::Seek, at);
        }
    }

    /// Often while alone; otherwise so often that the mesh as a whole asks at a constant rate, a higher one while members
    /// are missing.
    fn seek_pause(&mut self, ctx: &mut Ctx<'_>) -> Duration {
        let settings = &self.settings;
        let share = u64::from(self.table.members() / SEEKERS + 1);
        let pause = match (self.is_alone(), self.table.gone()) {
            (true, _) => settings.seek_interval,
            // The other half of the mesh may know as little of this one, if all started anew while they were cut apart.
            (false, 0) => settings.seek_interval.saturating_mul(30 * share).min(settings.reseek_interval),
            (false, _) => settings.seek_interval.saturating_mul(10 * share).min(settings.reseek_interval),
        };
        Duration::from_nanos(pause.as_nanos() / 2) + self.part_of(ctx, pause)
    }

    fn is_alone(&self) -> bool {
        self.table.members() <= 1
    }

    /// A node listens at the endpoint of a seed.
    pub(super) fn found(&mut self, ctx: &mut Ctx<'_>, node: NodeId, endpoint: Endpoint, out: &mut impl Sink<Action>) {
        if node == self.own.node() || !self.own.is_member() {
            return;
        }
        // A member says itself where it lives; a seed's place may be another way to it.
        if self.table.row(node).is_some_and(Row::is_reachable) && !self.own.is_joining {
            return;
        }
        out.push(Action::Locate(node, endpoint));
        self.open_exchange(ctx, node, out);
    }

    /// Whoever speaks is there. If it is held dead here, each side has news for the other.
    pub(super) fn heard_from(&mut self, ctx: &mut Ctx<'_>, from: NodeId, out: &mut impl Sink<Action>) {
        let Some(slot) = self.table.find(from).filter(|_| self.own.is_member()) else { return };
        let row = self.table.at(slot);
        // One that cannot refute now, for want of a disk perhaps, is not asked at the pace at which it speaks.
        let is_lately = |at: Time| ctx.now.since(at) < self.settings.probe_timeout;
        if row.verdict.status == Status::Dead && !row.reunited_at.is_some_and(is_lately) {
            self.open_exchange(ctx, from, out);
            self.table.local(slot).reunited_at = Some(ctx.now);
        }
    }

    /// Forgets what is old, tells how the node fares, and looks at how full things are.
    pub(super) fn upkeep(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        self.clockwork.set(Due::Upkeep, ctx.now + self.settings.sync_interval);
        self.forget_old(ctx.now, out);
        self.end_detours(out);
        self.tell_health(ctx, out);
        self.observe_capacity(out);
    }

    fn forget_old(&mut self, now: Time, out: &mut impl Sink<Action>) {
        let settings = &self.settings;
        let is_old = |row: &Row| match row.verdict.status {
            Status::Dead => now.since(row.since) >= settings.dead_retention,
            Status::Left => now.since(row.since) >= settings.left_retention,
            Status::Alive | Status::Suspect => false,
        };
        if self.table.gone() == 0 {
            return;
        }
        let own = self.own.slot();
        let others = || self.table.iter().filter(move |(slot, _)| *slot != own);
        let mut old: Vec<Slot> = others().filter(|(_, row)| is_old(row)).map(|(slot, _)| slot).collect();
        let excess = (self.table.gone() as usize - old.len()).saturating_sub(settings.bounds.dead as usize);
        if excess > 0 {
            let kept = others().filter(|(_, row)| row.verdict.status >= Status::Dead && !is_old(row));
            let mut kept: Vec<(Time, NodeId, Slot)> = kept.map(|(slot, row)| (row.since, row.node, slot)).collect();
            kept.sort_unstable();
            old.extend(kept.into_iter().take(excess).map(|(.., slot)| slot));
        }
        old.into_iter().for_each(|slot| self.forget(slot, out));
    }

    /// Nothing is known of the member any more.
    pub(super) fn forget(&mut self, slot: Slot, out: &mut impl Sink<Action>) {
        let node = self.table.at(slot).node;
        self.suspicions.remove(&slot);
        self.clockwork.clear(Due::Suspicion(slot));
        self.clockwork.clear(Due::Recovery(slot));
        self.rumors.forget(node);
        self.table.remove(slot);
        out.push(Action::Forget(node));
        out.push(Action::Observe(MembershipObservation::Forgotten { node }));
    }

    fn observe_capacity(&self, out: &mut impl Sink<Action>) {
        let bounds = &self.settings.bounds;
        let uses = [
            ("members", u64::from(self.table.len()), bounds.members),
            ("dead members", u64::from(self.table.gone()), bounds.dead),
            ("rumors", self.rumors.len() as u64, bounds.members),
            ("packets per second", self.bucket.used(), bounds.packets_per_second),
        ];
        for (what, used, limit) in uses {
            let limit = u64::from(limit);
            if used * 100 >= limit * CAPACITY_PERCENT {
                out.push(Action::Observe(MembershipObservation::Capacity { used, limit, what }));
            }
        }
    }

    pub(super) fn observe_size(&self, out: &mut impl Sink<Action>) {
        let (members, rows) = (u64::from(self.table.members()), u64::from(self.table.len()));
        out.push(Action::Observe(MembershipObservation::Members { members, rows }));
    }

    // --- keys ---------------------------------------------------------------------------------------------------

    /// Seals with another key once everybody can open what it seals. The unreachable count: they would be lost.
    pub(super) fn use_key(&mut self, id: RequestId, key: KeyId, force: bool, out: &mut impl Sink<Action>) {
        if !self.own.keys().opens(key) {
            return out.push(Action::Reply(id, Reply::Refused(Refusal::UnknownKey(key))));
        }
        let missing = self.count_present(|row| row.description.as_ref().is_none_or(|it| !it.keys.opens(key)));
        if missing > 0 && !force {
            return out.push(Action::Reply(id, Reply::Refused(Refusal::NotCovered { id: key, missing })));
        }
        out.push(Action::Keyring(KeyChange::Use(key)));
        out.push(Action::Reply(id, Reply::KeyChanged));
    }

    /// Drops a key once nobody seals with it.
    pub(super) fn remove_key(&mut self, id: RequestId, key: KeyId, force: bool, out: &mut impl Sink<Action>) {
        if !self.own.keys().opens(key) {
            return out.push(Action::Reply(id, Reply::Refused(Refusal::UnknownKey(key))));
        }
        let seals = |row: &Row| row.description.as_ref().is_none_or(|it| it.keys.sealing() == Some(key));
        let users = self.count_present(seals);
        let is_own = self.own.keys().sealing() == Some(key);
        if is_own || (users > 0 && !force) {
            return out.push(Action::Reply(id, Reply::Refused(Refusal::InUse { id: key, users: users.max(1) })));
        }
        out.push(Action::Keyring(KeyChange::Remove(key)));
        out.push(Action::Reply(id, Reply::KeyChanged));
    }

    fn count_present(&self, holds: impl Fn(&Row) -> bool) -> u32 {
        let present = self.table.iter().filter(|(_, row)| row.verdict.status != Status::Left);
        present.filter(|(_, row)| holds(row)).count() as u32
    }

    // --- view ---------------------------------------------------------------------------------------------------

    /// Everyone, as operators see them. O(n).
    pub(super) fn members_seen(&self, now: Time) -> Vec<MemberView> {
        self.table.iter().map(|(slot, row)| self.member_seen(slot, row, now)).collect()
    }

    fn member_seen(&self, slot: Slot, row: &Row, now: Time) -> MemberView {
        let is_own = slot == self.own.slot();
        let is_member = row.verdict.status.is_member();
        let in_good_standing = self.is_in_good_standing(slot);
        let link = match (is_own, row.unanswered, row.round_trip) {
            (true, ..) => Link::Own,
            (_, 0, None) => Link::Untried,
            (_, 0, Some(_)) => Link::Direct,
            _ => Link::Indirect,
        };
        MemberView {
            node: row.node,
            status: row.verdict.status,
            incarnation: row.verdict.incarnation,
            since: now.since(row.since),
            in_good_standing,
            counts_in: row.hold.until().filter(|_| is_member).map(|until| until.since(now)),
            link,
            round_trip: row.round_trip,
            predicted: row.coordinate.filter(|_| !is_own).map(|other| self.coordinate.distance(&other)),
            description: row.description.clone(),
        }
    }
}
