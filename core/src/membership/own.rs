//! This node's own row: its incarnations, what it refutes, and how it describes itself.
//!
//! Rule: an incarnation is durable before it is used, and used once, across restarts. Numbers are reserved in blocks, so
//! that a refutation needs no disk: a node whose disk is slow can still say that it is alive.

use super::clockwork::Due;
use super::description::{Description, Profile};
use super::machine::{Action, Identity, Membership};
use super::observation::MembershipObservation;
use super::table::Slot;
use super::verdict::{IncarnationNumber, Opinion, Status, Verdict};
use super::view::Reply;
use super::wire::{Member, News, Record};
use crate::envelope::KeyIds;
use crate::identity::{Incarnation, NodeId, RequestId};
use crate::machine::{Ctx, Sink};
use crate::record::Sequence;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Incarnations reserved at once.
const BLOCK: u64 = 64;
/// A new store begins at one of so many numbers.
const FIRST_NUMBERS: u64 = 32;
/// So many left, and the next block is reserved.
const LOW: u64 = 16;
/// Claims of another process to this identity after which one of the two yields.
const CLAIMS_MAX: u8 = 5;
/// How well a node fares is told in steps of this many percent.
const HEALTH_STEP: u32 = 25;

/// What a node is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// Before it may speak.
    Silent,
    /// One of the mesh, or about to be.
    Member,
    /// Saying good-bye.
    Leaving,
    /// Has said good-bye.
    Gone,
    /// Another process has the same identity, and keeps it.
    Yielded,
}

/// The node's own part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Own {
    identity: Identity,
    life: Option<Incarnation>,
    keys: KeyIds,
    pub(super) phase: Phase,
    slot: Slot,
    /// The last number used, for an incarnation or for a version of the description.
    used: IncarnationNumber,
    /// Numbers up to this one may be used.
    reserved: IncarnationNumber,
    /// The reservation under way: the record, and up to where.
    reserving: Option<(Sequence, IncarnationNumber)>,
    /// What waits for numbers.
    owed_refutation: bool,
    owed_description: bool,
    /// The local health multiplier less one: 0 is well (Lifeguard §IV-A).
    pub(super) ailing: u32,
    described_at: Time,
    claims: u8,
    claimed_at: Time,
    pub(super) leaving: Vec<RequestId>,
    /// Until the first exchange is done, what is learned is no news to others.
    pub(super) is_joining: bool,
    /// Members that died lately, since when: many at once mean that this node may be the one that is cut off.
    deaths: u32,
    deaths_since: Time,
    refuted_ahead: bool,
}

impl Own {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            life: None,
            keys: KeyIds::default(),
            phase: Phase::Silent,
            slot: 0,
            used: IncarnationNumber(0),
            reserved: IncarnationNumber(0),
            reserving: None,
            owed_refutation: false,
            owed_description: false,
            ailing: 0,
            described_at: Time::ZERO,
            claims: 0,
            claimed_at: Time::ZERO,
            leaving: Vec::new(),
            is_joining: true,
            deaths: 0,
            deaths_since: Time::ZERO,
            refuted_ahead: false,
        }
    }

    /// Every number up to `upto` may have been used by an earlier process.
    pub(super) fn recover(&mut self, upto: IncarnationNumber) {
        self.used = self.used.max(upto);
        self.reserved = self.used;
    }

    pub(super) fn node(&self) -> NodeId {
        self.identity.node
    }

    pub(super) fn slot(&self) -> Slot {
        self.slot
    }

    pub(super) fn keys(&self) -> KeyIds {
        self.keys
    }

    /// Whether the node says nothing: it may not yet, or no more.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.phase, Phase::Silent | Phase::Gone | Phase::Yielded)
    }

    /// Whether it has left or is about to.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Leaving | Phase::Gone | Phase::Yielded)
    }

    /// Whether it takes part as others do.
    pub(super) fn is_member(&self) -> bool {
        matches!(self.phase, Phase::Member)
    }
}

impl Membership {
    /// The node may speak, but has no number to speak under yet.
    pub(super) fn start(&mut self, ctx: &mut Ctx<'_>, life: Incarnation, keys: KeyIds, out: &mut impl Sink<Action>) {
        self.own.life = Some(life);
        self.own.keys = keys;
        if self.own.used == IncarnationNumber(0) {
            // The first numbers of two stores of one node should differ: of equal ones, chance decides which prevails.
            self.own.used = IncarnationNumber(life.store.0 % FIRST_NUMBERS);
        }
        self.reserve(ctx, self.own.used, out);
    }

    /// Asks for a block of numbers above `floor`.
    fn reserve(&mut self, ctx: &Ctx<'_>, floor: IncarnationNumber, out: &mut impl Sink<Action>) {
        // One at a time: the position of a second record of one event could not be told from the first one's. Whoever
        // falls short is owed, and asks again when this one is durable.
        if self.own.reserving.is_some() {
            return;
        }
        let upto = IncarnationNumber(floor.0.max(self.own.used.0) + BLOCK);
        self.own.reserving = Some((ctx.next_record, upto));
        out.push(Action::Write(Record::Reserved { upto }));
    }

    /// Writes again up to where numbers may have been used.
    pub(super) fn remember(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        let reserving = self.own.reserving.map_or(IncarnationNumber(0), |(_, upto)| upto);
        let upto = self.own.reserved.max(reserving);
        if upto > IncarnationNumber(0) {
            // A reservation that follows in the same event stands behind this record.
            ctx.next_record = ctx.next_record.next();
            out.push(Action::Write(Record::Reserved { upto }));
        }
    }

    /// Numbers that were reserved may be used.
    pub(super) fn durable(&mut self, ctx: &mut Ctx<'_>, record: Sequence, out: &mut impl Sink<Action>) {
        let Some((_, upto)) = self.own.reserving.take_if(|(reserving, _)| *reserving <= record) else { return };
        self.own.reserved = self.own.reserved.max(upto);
        if self.own.phase == Phase::Silent && self.own.life.is_some() {
            return self.enter(ctx, out);
        }
        if !self.own.is_member() {
            return;
        }
        if core::mem::take(&mut self.own.owed_refutation) {
            self.raise(ctx, out);
        }
        if core::mem::take(&mut self.own.owed_description) {
            self.describe_own(ctx, out);
        }
    }

    /// The next number, if one is reserved.
    fn number(&mut self, ctx: &Ctx<'_>, out: &mut impl Sink<Action>) -> Option<IncarnationNumber> {
        let next = self.own.used.next();
        if next.0 + BLOCK >= IncarnationNumber::MAX.0 {
            // Nobody gets here by itself. To say more would make every message of this node malformed.
            return None;
        }
        if next.0 + LOW > self.own.reserved.0 {
            self.reserve(ctx, next, out);
        }
        if next > self.own.reserved {
            return None;
        }
        self.own.used = next;
        Some(next)
    }

    /// The node becomes a member: of a mesh of its own, until it finds others.
    fn enter(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        let Some(incarnation) = self.number(ctx, out) else { return };
        let node = self.own.node();
        self.own.phase = Phase::Member;
        self.own.slot = self.table.insert(node, Verdict::alive(incarnation), node, ctx.now);
        self.describe_own(ctx, out);
        let settings = &self.settings;
        let (probe, sync, dead) = (settings.probe_interval, settings.sync_interval, settings.dead_probe_interval);
        for (due, span) in [(Due::Probe, probe), (Due::Sync, probe), (Due::DeadProbe, dead), (Due::Upkeep, sync)] {
            let at = ctx.now + self.part_of(ctx, span);
            self.clockwork.set(due, at);
        }
        self.clockwork.set(Due::Seek, ctx.now);
    }

    /// The node's own word that it is alive.
    pub(super) fn own_member(&self) -> Option<Member> {
        self.table.get(self.own.slot).and_then(|row| row.member())
    }

    /// Somebody says something of this node. It knows better.
    pub(super) fn hear_of_self(&mut self, ctx: &mut Ctx<'_>, opinion: &Opinion, out: &mut impl Sink<Action>) {
        let own = self.table.at(self.own.slot).verdict;
        if !self.own.is_member() || self.is_lie(opinion.verdict.incarnation) {
            return;
        }
        if opinion.verdict <= own {
            if matches!(opinion.verdict.status, Status::Suspect | Status::Dead) {
                self.say_again(ctx, self.own.slot);
            }
            return;
        }
        self.own.used = self.own.used.max(opinion.verdict.incarnation);
        if matches!(opinion.verdict.status, Status::Suspect | Status::Dead) {
            self.worsen_health(ctx, 1);
        }
        self.raise(ctx, out);
    }

    /// Whether nobody can have heard that number of this node. Before the first exchange it does not know its former life.
    fn is_lie(&self, said: IncarnationNumber) -> bool {
        !self.own.is_joining && self.own.used.is_leap(said)
    }

    /// Somebody describes this node: an earlier life of it whose disk is lost, or another process with its identity.
    pub(super) fn hear_own_member(&mut self, ctx: &mut Ctx<'_>, member: &Member, out: &mut impl Sink<Action>) {
        let Some(life) = self.own.life else { return };
        let row = self.table.at(self.own.slot);
        let other = &member.description;
        let claims_as_much = member.incarnation >= row.verdict.incarnation || other.version >= row.edition().version;
        let theirs = (other.store, other.boot, other.endpoint);
        let own = (life.store, life.boot, self.own.identity.endpoint);
        let is_leap = self.is_lie(member.incarnation) || self.is_lie(IncarnationNumber(other.version));
        if !self.own.is_member() || !claims_as_much || is_leap || theirs == own {
            return;
        }
        if self.own.owed_refutation || self.own.owed_description {
            // The same claim again, before this node could answer it.
            self.own.used = self.own.used.max(member.incarnation).max(IncarnationNumber(other.version));
            return;
        }
        let claims = if ctx.now.since(self.own.claimed_at) > self.settings.sync_interval { 0 } else { self.own.claims };
        (self.own.claims, self.own.claimed_at) = (claims.saturating_add(1), ctx.now);
        // The first word of an earlier life is news; one that outbids this life again and again is alive itself.
        if self.own.claims >= CLAIMS_MAX {
            out.push(Action::Observe(MembershipObservation::IdentityConflict { claims: u64::from(self.own.claims) }));
            if theirs > own {
                self.own.phase = Phase::Yielded;
                self.clockwork.clear_all();
                return;
            }
        }
        self.own.used = self.own.used.max(member.incarnation).max(IncarnationNumber(other.version));
        self.raise(ctx, out);
        self.describe_own(ctx, out);
    }

    /// Takes the next incarnation, which refutes whatever was said before, and says so.
    fn raise(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        let Some(incarnation) = self.number(ctx, out) else {
            self.own.owed_refutation = true;
            return;
        };
        let (node, verdict) = (self.own.node(), Verdict::alive(incarnation));
        self.table.judge(self.own.slot, verdict, node, ctx.now);
        out.push(Action::Observe(MembershipObservation::Refuted { incarnation: incarnation.0 }));
        self.spread(ctx, News::Opinion(Opinion { node, verdict, accuser: node }), ctx.now);
    }

    /// A member died. When many do at once, this node may be the one that was cut off, and held dead by the others: it
    /// refutes that ahead, so that its row needs no second round when the two sides meet.
    pub(super) fn count_death(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        let window = self.settings.probe_interval.saturating_mul(30);
        if ctx.now.since(self.own.deaths_since) > window {
            (self.own.deaths, self.own.deaths_since, self.own.refuted_ahead) = (0, ctx.now, false);
        }
        self.own.deaths += 1;
        let many = (self.table.len() / 16).max(2);
        if self.own.deaths >= many && !self.own.refuted_ahead && self.own.is_member() {
            self.own.refuted_ahead = true;
            self.raise(ctx, out);
        }
    }

    /// Says who this node is, anew.
    pub(super) fn describe_own(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        let Some(life) = self.own.life else { return };
        let Some(version) = self.number(ctx, out) else {
            self.own.owed_description = true;
            return;
        };
        let (version, health, keys) = (version.0, self.health(), self.own.keys);
        let described = self.own.identity.describe(life.store, life.boot);
        let mut description = Arc::new(Description { version, health, keys, ..described });
        self.interner.intern(&mut description);
        self.own.described_at = ctx.now;
        self.table.describe(self.own.slot, description);
        if let Some(member) = self.own_member() {
            self.spread(ctx, News::Member(member), ctx.now);
        }
    }

    /// An operator describes this node anew.
    pub(super) fn redescribe(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: RequestId,
        name: Box<str>,
        profile: Profile,
        out: &mut impl Sink<Action>,
    ) {
        let identity = Identity { name, profile: Arc::new(profile), ..self.own.identity.clone() };
        if let Err(error) = identity.check() {
            return out.push(Action::Reply(id, Reply::Refused(error.into())));
        }
        self.own.identity = identity;
        if self.own.is_member() {
            self.describe_own(ctx, out);
        }
        out.push(Action::Reply(id, Reply::Described));
    }

    /// The keyring has changed: others must know what this node can open.
    pub(super) fn rekeyed(&mut self, ctx: &mut Ctx<'_>, keys: KeyIds, out: &mut impl Sink<Action>) {
        let changed = self.own.keys != keys;
        self.own.keys = keys;
        if changed && self.own.is_member() {
            self.describe_own(ctx, out);
        }
    }

    /// The node's own health in percent, in steps.
    fn health(&self) -> u8 {
        let lost = 100 * self.own.ailing / self.settings.health_max.max(1);
        (100 - lost.div_ceil(HEALTH_STEP).saturating_mul(HEALTH_STEP).min(100)) as u8
    }

    /// Something went wrong that may be this node's own fault.
    pub(super) fn worsen_health(&mut self, _: &Ctx<'_>, by: u32) {
        self.own.ailing = (self.own.ailing + by).min(self.settings.health_max);
    }

    /// Something went well.
    pub(super) fn mend_health(&mut self) {
        self.own.ailing = self.own.ailing.saturating_sub(1);
    }

    /// Tells the others how the node fares, if that has changed and was not told lately.
    pub(super) fn tell_health(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        let told = self.table.get(self.own.slot).and_then(|row| row.description.as_ref()).map(|told| told.health);
        let is_due = ctx.now.since(self.own.described_at) >= self.settings.sync_interval;
        if is_due && told != Some(self.health()) && self.own.is_member() {
            self.describe_own(ctx, out);
        }
    }
}
