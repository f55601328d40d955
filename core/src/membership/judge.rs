//! What is made of what others say: believed, passed on without being believed, or ignored.
//!
//! - An opinion prevails by the order of [`verdict`](super::verdict) alone; nothing else brings a member back.
//! - Whoever is not in good standing accuses nobody here: its word is passed on, so that its subject can answer it, and
//!   may confirm what others say.
//! - A member loses its standing by dying, or by being suspected by several.
//! - Nobody's word kills by itself: that a suspect did not refute elsewhere only shortens the time it has to refute here.

use super::clockwork::Due;
use super::description::Description;
use super::machine::{Action, Membership};
use super::observation::MembershipObservation;
use super::suspicion::Suspicion;
use super::table::{Row, Slot};
use super::verdict::{IncarnationNumber, Opinion, Status, Verdict};
use super::wire::{Member, News, Rumor};
use crate::identity::NodeId;
use crate::machine::{Ctx, Sink};
use crate::time::{Duration, Time};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Of all who hear an accusation that they do not believe, so many tell its subject each time it goes round.
const MESSENGERS: u64 = 16;
/// Accusations remembered as passed on.
const PASSED_ON_MAX: usize = 512;

/// Which accusations were passed on without being believed, so that each is passed on once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct PassedOn {
    opinions: Vec<Opinion>,
    next: usize,
}

impl PassedOn {
    /// Whether it is new, which is remembered in the place of the oldest.
    fn is_new(&mut self, opinion: &Opinion) -> bool {
        if self.opinions.contains(opinion) {
            return false;
        }
        match self.opinions.get_mut(self.next) {
            Some(oldest) => *oldest = *opinion,
            None => self.opinions.push(*opinion),
        }
        self.next = (self.next + 1) % PASSED_ON_MAX;
        true
    }
}

/// How something was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// When it arose, on this node's clock.
    pub(super) arose: Time,
    /// Whether it is passed on when it is news here.
    pub(super) spreads: bool,
}

impl Membership {
    /// Takes the rumors of a packet. Accusations that were refuted since are answered: their teller has missed that.
    pub(super) fn hear(&mut self, ctx: &mut Ctx<'_>, from: NodeId, rumors: Vec<Rumor>, out: &mut impl Sink<Action>) {
        let mut missed = Vec::new();
        for rumor in rumors {
            let age = Duration::from_millis(u64::from(rumor.age_ms));
            let arose = Time::from_nanos(ctx.now.as_nanos().saturating_sub(age.as_nanos()));
            let word = Word { arose, spreads: true };
            match rumor.news {
                News::Opinion(opinion) => {
                    missed.extend(self.refutation_of(&opinion).filter(|held| !missed.contains(held)));
                    self.weigh(ctx, opinion, word, out);
                }
                News::Member(member) => self.meet(ctx, member, word, out),
            }
        }
        let can = self.own.is_member() && self.table.row(from).is_some_and(Row::is_reachable);
        if !missed.is_empty() && can {
            self.tell(ctx, from, missed, out);
        }
    }

    /// What is held here instead of an accusation, where that is newer.
    fn refutation_of(&self, opinion: &Opinion) -> Option<Opinion> {
        let row = self.table.row(opinion.node)?;
        let is_accusation = matches!(opinion.verdict.status, Status::Suspect | Status::Dead);
        let is_refuted = row.verdict.status == Status::Alive && opinion.verdict < row.verdict;
        let held = Opinion { node: row.node, verdict: row.verdict, accuser: row.node };
        (is_accusation && is_refuted).then_some(held)
    }

    /// A member's own word that it is there.
    pub(super) fn meet(&mut self, ctx: &mut Ctx<'_>, member: Member, word: Word, out: &mut impl Sink<Action>) {
        if member.node == self.own.node() {
            return self.hear_own_member(ctx, &member, out);
        }
        let Member { node, incarnation, mut description } = member;
        let verdict = Verdict::alive(incarnation);
        let known = self.table.find(node);
        let opinion = Opinion { node, verdict, accuser: node };
        let Some(slot) = known.or_else(|| self.make_room(ctx, opinion, out)) else { return };
        let row = self.table.at(slot);
        let version = IncarnationNumber(row.edition().version.max(row.verdict.incarnation.0));
        let is_leap =
            row.verdict.incarnation.is_leap(incarnation) || version.is_leap(IncarnationNumber(description.version));
        if known.is_some() && is_leap {
            return;
        }
        let (is_newer, prevails) = (description.edition() > row.edition(), verdict > row.verdict);
        if is_newer {
            self.interner.intern(&mut description);
            self.take_description(slot, description, out);
            if self.interner.is_crowded(self.table.len()) {
                let rows = self.table.iter().filter_map(|(_, row)| row.description.as_ref());
                self.interner.keep(rows.map(|description| &description.profile));
            }
        }
        if prevails {
            self.adopt(ctx, slot, opinion, out);
        }
        if is_newer || prevails || known.is_none() {
            let age = ctx.now.since(word.arose).as_nanos();
            out.push(Action::Observe(MembershipObservation::RumorHeard { age }));
            if let Some(news) = self.table.at(slot).member().filter(|_| word.spreads) {
                self.spread(ctx, News::Member(Member { incarnation, ..news }), word.arose);
            }
        }
    }

    /// A row for a member never heard of, unless the view is full.
    fn make_room(&mut self, ctx: &mut Ctx<'_>, opinion: Opinion, out: &mut impl Sink<Action>) -> Option<Slot> {
        let Opinion { node, verdict, accuser } = opinion;
        if self.table.len() >= self.settings.bounds.members {
            match self.table.oldest_gone(self.own.slot()) {
                Some(oldest) => self.forget(oldest, out),
                None => {
                    out.push(Action::Observe(MembershipObservation::ViewFull { node }));
                    return None;
                }
            }
        }
        let slot = self.table.insert(node, verdict, accuser, ctx.now);
        if verdict.status.is_member() {
            self.probes.enlist(ctx, slot);
        }
        let (status, incarnation) = (verdict.status, verdict.incarnation.0);
        out.push(Action::Observe(MembershipObservation::Joined { node, status, incarnation }));
        self.observe_size(out);
        Some(slot)
    }

    fn take_description(&mut self, slot: Slot, description: Arc<Description>, out: &mut impl Sink<Action>) {
        let row = self.table.at(slot);
        let (node, before) = (row.node, row.description.clone());
        if before.as_ref().is_none_or(|before| before.endpoint != description.endpoint) {
            out.push(Action::Locate(node, description.endpoint));
        }
        if let Some(before) = &before {
            if before.endpoint != description.endpoint {
                out.push(Action::Observe(MembershipObservation::Moved { node }));
            }
            if before.store != description.store {
                out.push(Action::Observe(MembershipObservation::StoreReplaced { node }));
            }
        }
        let is_renamed = before.is_none_or(|before| before.name != description.name);
        if is_renamed
            && !description.name.is_empty()
            && let Some(other) = self.table.namesake(slot, &description.name)
        {
            out.push(Action::Observe(MembershipObservation::NameConflict { node, other }));
        }
        self.table.describe(slot, description);
    }

    /// An opinion of a member.
    pub(super) fn weigh(&mut self, ctx: &mut Ctx<'_>, opinion: Opinion, word: Word, out: &mut impl Sink<Action>) {
        if opinion.node == self.own.node() {
            return self.hear_of_self(ctx, &opinion, out);
        }
        // Whoever was never heard of is met by its own word, or not at all: without an endpoint it could not be probed.
        let Some(slot) = self.table.find(opinion.node) else { return };
        let row = self.table.at(slot);
        if row.verdict.incarnation.is_leap(opinion.verdict.incarnation) {
            return;
        }
        let is_accusation = matches!(opinion.verdict.status, Status::Suspect | Status::Dead);
        if opinion.verdict < row.verdict || (opinion.verdict == row.verdict && row.verdict.status != Status::Suspect) {
            if is_accusation && row.verdict.status == Status::Alive {
                self.say_again(ctx, slot);
            }
            return;
        }
        if is_accusation && !self.believes(slot, &opinion) {
            self.disbelieve(ctx, slot, opinion, word, out);
            return;
        }
        if opinion.verdict == row.verdict {
            return self.confirm(ctx, slot, opinion, word, out);
        }
        if opinion.verdict.status == Status::Dead && row.verdict.status.is_member() {
            return self.hear_of_death(ctx, slot, opinion, word, out);
        }
        let age = ctx.now.since(word.arose).as_nanos();
        out.push(Action::Observe(MembershipObservation::RumorHeard { age }));
        self.adopt(ctx, slot, opinion, out);
        if word.spreads {
            self.spread(ctx, News::Opinion(opinion), word.arose);
        }
        if opinion.verdict.status == Status::Suspect {
            self.serve_on_jury(ctx, slot, out);
        }
    }

    /// Somebody else has waited for a refutation in vain. So does this node before it believes that, but not for long:
    /// whoever comes back from behind a cut link may have missed what everybody else has heard.
    fn hear_of_death(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: Slot,
        opinion: Opinion,
        word: Word,
        out: &mut impl Sink<Action>,
    ) {
        let incarnation = opinion.verdict.incarnation;
        let suspected = Opinion { verdict: Verdict { incarnation, status: Status::Suspect }, ..opinion };
        if suspected.verdict != self.table.at(slot).verdict {
            self.weigh(ctx, suspected, word, out);
        }
        if let Some(suspicion) = self.suspicions.get_mut(&slot) {
            suspicion.is_overdue_elsewhere = true;
            self.suspicion_ends_in_time(ctx, slot);
        }
    }

    /// Somebody still says what was refuted since: it may have missed the refutation, however often that was told.
    pub(super) fn say_again(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        let row = self.table.at(slot);
        let opinion = Opinion { node: row.node, verdict: row.verdict, accuser: row.node };
        if self.own.is_member() && self.rumors.add_unless_told(opinion, ctx.now) {
            self.arm_gossip(ctx);
        }
    }

    /// Whether an accusation counts here. An accuser that lost its own standing may be the one with the bad link.
    fn believes(&self, subject: Slot, opinion: &Opinion) -> bool {
        if opinion.accuser == self.own.node() {
            return true;
        }
        let Some(slot) = self.table.find(opinion.accuser) else { return false };
        if self.is_in_good_standing(slot) {
            return true;
        }
        // It is alive at least: what others have begun it may confirm.
        let is_begun = self.table.at(subject).verdict.incarnation == opinion.verdict.incarnation
            && self.suspicions.contains_key(&subject);
        self.table.at(slot).verdict.status == Status::Alive && is_begun
    }

    /// What an accuser without standing says is for its subject to refute, and for a few to look into.
    fn disbelieve(&mut self, ctx: &mut Ctx<'_>, slot: Slot, opinion: Opinion, word: Word, out: &mut impl Sink<Action>) {
        let Opinion { node, accuser, .. } = opinion;
        if self.table.find(accuser).is_none() || !self.own.is_member() {
            return;
        }
        if self.passed_on.is_new(&opinion) {
            out.push(Action::Observe(MembershipObservation::Disbelieved { node, accuser }));
            self.rumors.pass_on(opinion, word.arose);
            self.arm_gossip(ctx);
            self.serve_on_jury(ctx, slot, out);
        }
        // Gossip may miss the one whom it concerns; and who insists on it may be heard by few.
        let is_drawn = ctx.below(u64::from(self.table.members().max(1))) < MESSENGERS;
        if is_drawn {
            self.tell(ctx, node, [opinion].into(), out);
        }
    }

    /// One more member suspects a suspect.
    fn confirm(&mut self, ctx: &mut Ctx<'_>, slot: Slot, opinion: Opinion, word: Word, out: &mut impl Sink<Action>) {
        let Some(suspicion) = self.suspicions.get_mut(&slot) else { return };
        if suspicion.confirm(opinion.accuser, &self.settings) {
            self.suspicion_ends_in_time(ctx, slot);
            self.hold_if_corroborated(ctx, slot, out);
            if word.spreads {
                self.spread(ctx, News::Opinion(opinion), word.arose);
            }
        }
    }

    /// This node has seen for itself that a member does not answer.
    pub(super) fn accuse(&mut self, ctx: &mut Ctx<'_>, slot: Slot, out: &mut impl Sink<Action>) {
        let row = self.table.at(slot);
        if !row.verdict.status.is_member() || !self.own.is_member() {
            return;
        }
        let verdict = Verdict { incarnation: row.verdict.incarnation, status: Status::Suspect };
        let opinion = Opinion { node: row.node, verdict, accuser: self.own.node() };
        let word = Word { arose: ctx.now, spreads: true };
        if row.verdict.status == Status::Suspect {
            return self.confirm(ctx, slot, opinion, word, out);
        }
        self.adopt(ctx, slot, opinion, out);
        self.spread(ctx, News::Opinion(opinion), ctx.now);
    }

    /// A suspect has not refuted in time.
    pub(super) fn suspicion_ends(&mut self, ctx: &mut Ctx<'_>, slot: Slot, out: &mut impl Sink<Action>) {
        let Some(suspicion) = self.suspicions.get(&slot) else { return };
        if suspicion.ends(self.table.members(), &self.settings) > ctx.now {
            return self.suspicion_ends_in_time(ctx, slot);
        }
        if !suspicion.is_overdue_elsewhere && suspicion.asked_until.is_none() && self.ask_for_last_word(ctx, slot, out)
        {
            return;
        }
        let row = self.table.at(slot);
        let verdict = Verdict { incarnation: row.verdict.incarnation, status: Status::Dead };
        let opinion = Opinion { node: row.node, verdict, accuser: self.own.node() };
        self.adopt(ctx, slot, opinion, out);
        self.spread(ctx, News::Opinion(opinion), ctx.now);
    }

    /// Says for the last time who is suspected; whoever knows better answers at once. Whether there was anybody to ask.
    fn ask_for_last_word(&mut self, ctx: &mut Ctx<'_>, slot: Slot, out: &mut impl Sink<Action>) -> bool {
        let row = self.table.at(slot);
        let (subject, opinion) = (row.node, Opinion { node: row.node, verdict: row.verdict, accuser: row.accuser });
        let is_well = |row: &Row| row.node != subject && row.is_reachable() && row.verdict.status == Status::Alive;
        let peers = self.pick_linked(ctx, self.settings.fan_out, is_well);
        for peer in &peers {
            self.tell(ctx, self.table.at(*peer).node, [opinion].into(), out);
        }
        let until = ctx.now + self.settings.gossip_interval;
        if let Some(suspicion) = self.suspicions.get_mut(&slot).filter(|_| !peers.is_empty()) {
            suspicion.asked_until = Some(until);
            self.suspicion_ends_in_time(ctx, slot);
        }
        !peers.is_empty()
    }

    /// Takes over an opinion that prevails, with everything that follows from the change.
    fn adopt(&mut self, ctx: &mut Ctx<'_>, slot: Slot, opinion: Opinion, out: &mut impl Sink<Action>) {
        let before = self.table.at(slot).verdict.status;
        let Opinion { node, verdict, accuser } = opinion;
        self.table.judge(slot, verdict, accuser, ctx.now);
        if verdict.status != Status::Suspect && self.suspicions.remove(&slot).is_some() {
            self.clockwork.clear(Due::Suspicion(slot));
        }
        match verdict.status {
            Status::Suspect => {
                self.table.local(slot).hold.prolong(ctx.now);
                self.begin_suspicion(ctx, slot, accuser);
                self.hold_if_corroborated(ctx, slot, out);
            }
            Status::Dead => {
                self.hold(ctx, slot, self.settings.dead_recover_min, out);
                self.count_death(ctx, out);
                self.seek_sooner(ctx);
            }
            Status::Alive if before != Status::Alive => {
                self.recovering(ctx, slot);
                if !before.is_member() {
                    self.probes.enlist(ctx, slot);
                }
            }
            Status::Alive | Status::Left => {}
        }
        if before != verdict.status {
            let (status, incarnation) = (verdict.status, verdict.incarnation.0);
            out.push(Action::Observe(MembershipObservation::StatusChanged { node, status, incarnation, accuser }));
            self.observe_size(out);
        }
    }

    fn begin_suspicion(&mut self, ctx: &mut Ctx<'_>, slot: Slot, accuser: NodeId) {
        // If it refutes, and gossip does not bring that here, an exchange must, before the suspicion ends.
        self.sync_soon(ctx);
        self.suspicions.insert(slot, Suspicion::new(ctx.now, accuser));
        self.suspicion_ends_in_time(ctx, slot);
    }

    /// One more accuser may have put the end into the past. It is due now, then: a deadline that is long past when the
    /// node looks at it means that the process was stopped.
    pub(super) fn suspicion_ends_in_time(&mut self, ctx: &Ctx<'_>, slot: Slot) {
        if let Some(suspicion) = self.suspicions.get(&slot) {
            let ends = suspicion.ends(self.table.members(), &self.settings);
            self.clockwork.set(Due::Suspicion(slot), ends.max(ctx.now));
        }
    }
}
