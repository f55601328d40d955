//! A node outside the group keeps a copy of the state (rules F1 to F4): it asks the leader, who answers as soon as there
//! is something new.
//!
//! - Whoever goes by a copy goes by nothing else: what its own log says, if it has one, is told to nobody. It goes by
//!   its log again when that has come at least as far, under a leader.
//! - A member that hears of no leader for a while follows, too: it may have been removed without being told.
//! - Who leads is learned from whoever is asked, and from a leader that says so when it begins.

use super::machine::{Action, Control};
use super::observation::HistoryObservation;
use super::wire::{Follow, Followed, Message};
use crate::control::commands::Way;
use crate::control::group;
use crate::control::state::{Conflict, Delta, DeltaRefused, Freshness, Lineage, SnapshotReader, State};
use crate::identity::NodeId;
use crate::machine::Sink;
use crate::time::{Duration, Time};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Nodes remembered that may know more.
const CONTACTS_MAX: usize = 8;
/// Where nobody knows of a group, the pause between two questions is doubled this often.
const DOUBLINGS_MAX: u32 = 10;

/// A snapshot that is being read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Reading {
    index: u64,
    next: u32,
    reader: SnapshotReader,
}

/// A request that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    number: u64,
    to: NodeId,
    until: Time,
}

/// How this node follows, when it does.
#[derive(Clone, Debug, Default)]
pub(super) struct Follower {
    /// What this node goes by, if not by its own log.
    copy: Option<State>,
    /// The copy took another turn than the log, or has not begun.
    is_void: bool,
    reading: Reading,
    freshness: Freshness,
    way: Way,
    contacts: VecDeque<NodeId>,
    asked: Option<Asked>,
    ask_at: Time,
    /// Answers in a row that led nowhere.
    in_vain: u32,
    /// The newest history that this node has heard of.
    heard_of: Option<Lineage>,
    /// Since when a member has heard of no leader.
    alone_since: Option<Time>,
}

impl Follower {
    pub(super) fn copy(&self) -> Option<&State> {
        self.copy.as_ref()
    }

    /// Another node may know more.
    fn meet(&mut self, node: NodeId) {
        if !self.contacts.contains(&node) {
            self.contacts.truncate(CONTACTS_MAX - 1);
            self.contacts.push_front(node);
        }
    }

    fn target(&mut self) -> Option<NodeId> {
        self.way.target().or_else(|| {
            let next = self.contacts.pop_front()?;
            self.contacts.push_back(next);
            Some(next)
        })
    }
}

impl Control {
    /// How stale this node's copy is at most: nothing while it goes by its own log, or does not know.
    pub(super) fn staleness(&self, now: Time) -> Option<Duration> {
        self.following.copy.as_ref().and_then(|_| self.following.freshness.staleness(now))
    }

    /// Whether the leader that this node knows of has been heard of lately.
    pub(super) fn hears_leader(&self, now: Time) -> bool {
        let patience = self.settings.follow_wait() + self.settings.follow_timeout();
        let is_fresh = self.following.freshness.staleness(now).is_some_and(|staleness| staleness <= patience);
        // Of one that has given it no copy yet nothing is known.
        self.leader.is_some() && (is_fresh || self.following.copy.is_none())
    }

    /// Looks up whether this process runs on a member, as far as its own log knows.
    pub(super) fn look_up_membership(&mut self) {
        let known = self.life.zip(self.group.status());
        self.is_member = known.is_some_and(|(life, status)| {
            status.members.iter().any(|(_, voter)| (voter.node, voter.store) == (life.node, life.store))
        });
    }

    /// A node is at a place where it can be spoken to. Call whenever one is met.
    pub fn meets(&mut self, now: Time, node: NodeId) {
        if self.life.is_some_and(|life| life.node != node) {
            self.following.meet(node);
            self.following.in_vain = 0;
            self.following.ask_at = self.following.ask_at.min(now + self.settings.follow_pause());
        }
    }

    /// Another leader, or none.
    pub(super) fn follow_leader(&mut self, now: Time, leader: Option<NodeId>) {
        self.following.alone_since = leader.is_none().then_some(now);
        if self.following.way.leads(leader) && self.follows(now) {
            (self.following.asked, self.following.ask_at) = (None, now);
        }
    }

    /// Whether there is a later history than what this node goes by.
    fn is_behind(&self) -> bool {
        let own = self.state().map(State::lineage);
        self.following.heard_of.zip(own).is_some_and(|(heard, own)| heard.is_later_than(own))
    }

    /// Whether this node has to follow.
    fn follows(&self, now: Time) -> bool {
        let patience = self.settings.follow_patience();
        let is_alone = self.following.alone_since.is_some_and(|since| now >= since.saturating_add(patience));
        let can_follow = self.life.is_some() && !self.is_too_old;
        can_follow && (!self.is_member || self.following.copy.is_some() || self.is_behind() || is_alone)
    }

    pub(super) fn follow_deadline(&self) -> Option<Time> {
        let it = &self.following;
        self.life.filter(|_| !self.is_too_old)?;
        if !self.is_member || it.copy.is_some() || self.is_behind() {
            let knows_anybody = it.asked.is_some() || !it.contacts.is_empty() || it.way.knows_anybody();
            return knows_anybody.then(|| it.asked.map_or(it.ask_at, |asked| asked.until));
        }
        // A member begins when it has been alone for long enough.
        let since = it.alone_since?;
        Some(since.saturating_add(self.settings.follow_patience()).max(it.asked.map_or(it.ask_at, |asked| asked.until)))
    }

    /// Asks, if that is due.
    pub(super) fn follow(&mut self, now: Time, out: &mut impl Sink<Action>) {
        if !self.follows(now) {
            return;
        }
        if self.following.asked.take_if(|asked| asked.until <= now).is_some() {
            self.following.way.timed_out();
            self.following.ask_at = now;
        }
        if self.following.asked.is_some() || self.following.ask_at > now {
            return;
        }
        if self.following.copy.is_none()
            && !self.is_behind()
            && let Some(own) = self.group.state()
        {
            // What was a member goes on from where it was.
            (self.following.copy, self.following.is_void) = (Some(own.clone()), false);
        }
        let voters = self.state().map(|state| state.voters().members.keys().copied().collect::<Box<[NodeId]>>());
        if let Some(voters) = voters.filter(|_| !self.is_behind()) {
            self.following.way.vote(voters);
        }
        self.ask_to_follow(now, out);
    }

    fn ask_to_follow(&mut self, now: Time, out: &mut impl Sink<Action>) {
        let own = self.life.map(|life| life.node);
        let target = (0..=CONTACTS_MAX).find_map(|_| self.following.target().filter(|to| Some(*to) != own));
        let pause = self.settings.follow_pause();
        let Some(to) = target else {
            self.following.way.timed_out();
            self.following.ask_at = now + pause;
            return;
        };
        let it = &mut self.following;
        let number = it.freshness.ask(now);
        let applied = it.copy.as_ref().filter(|_| !it.is_void).map(State::applied);
        let follow = Follow { number, applied, piece: (it.reading.index, it.reading.next) };
        it.asked = Some(Asked { number, to, until: now + self.settings.follow_timeout() });
        it.ask_at = now + pause;
        self.send(to, Message::Follow(follow), out);
    }

    /// An answer. One that was not asked for is dropped.
    pub(super) fn followed(
        &mut self,
        now: Time,
        from: NodeId,
        number: u64,
        what: Followed,
        out: &mut impl Sink<Action>,
    ) {
        let is_awaited = |asked: &mut Asked| (asked.number, asked.to) == (number, from);
        if self.following.asked.take_if(is_awaited).is_none() {
            return;
        }
        match what {
            Followed::Elsewhere { leader, voters } => self.sent_elsewhere(now, from, leader, voters),
            Followed::Delta(delta) => {
                self.answered_by_leader(from);
                if let Some(applied) = self.take_delta(from, &delta, out) {
                    self.following.freshness.answer(number, applied, applied);
                }
            }
            // How much more there is it does not say: the copy is as old as it was.
            Followed::Part(delta) => {
                self.answered_by_leader(from);
                self.take_delta(from, &delta, out);
            }
            Followed::Piece { index, number, bytes } => {
                self.answered_by_leader(from);
                self.take_piece(from, (index, number), &bytes.0, out);
            }
        }
    }

    fn answered_by_leader(&mut self, from: NodeId) {
        self.following.in_vain = 0;
        self.following.way.answered(from);
        if self.leader != Some(from) {
            self.tell_leader(Some(from));
        }
    }

    fn sent_elsewhere(&mut self, now: Time, from: NodeId, leader: Option<NodeId>, voters: Box<[NodeId]>) {
        let it = &mut self.following;
        let knows = leader.is_some() || !voters.is_empty();
        if it.copy.is_none() && !voters.is_empty() {
            it.way.vote(voters);
        }
        it.in_vain = it.in_vain.saturating_add(1);
        if it.way.redirected(from, leader) {
            return it.ask_at = now;
        }
        it.way.timed_out();
        // Where there is a group it is looked for at once; where nobody knows of one there may be none for years.
        let doublings = if knows { 0 } else { it.in_vain.min(DOUBLINGS_MAX) };
        it.ask_at = now + self.settings.follow_pause().saturating_mul(1 << doublings);
    }

    /// Where the copy ends then, if it was of use.
    fn take_delta(&mut self, from: NodeId, delta: &Delta, out: &mut impl Sink<Action>) -> Option<u64> {
        let mut changes = Vec::new();
        let it = &mut self.following;
        let copy = it.copy.as_mut().filter(|_| !it.is_void)?;
        match copy.follow(delta, self.settings.group.speaks, &mut changes) {
            Ok(()) => {
                let applied = copy.applied();
                let has_new_voters = !delta.entries.is_empty();
                changes.into_iter().for_each(|change| self.changed(change, out));
                if has_new_voters {
                    self.tell_voters();
                }
                return Some(applied);
            }
            // It is late, or something is missing: the next question says where the copy ends.
            Err(DeltaRefused::Known | DeltaRefused::Gap { .. } | DeltaRefused::TooLarge { .. }) => {}
            Err(DeltaRefused::OtherLog) => (it.is_void, it.reading) = (true, Reading::default()),
            Err(DeltaRefused::OtherHistory(conflict)) => self.meets_other_history(from, conflict, out),
            Err(DeltaRefused::CannotApply(_)) => self.stop_too_old(out),
        }
        None
    }

    fn take_piece(&mut self, from: NodeId, (index, number): (u64, u32), bytes: &[u8], out: &mut impl Sink<Action>) {
        let reading = &mut self.following.reading;
        if number == 0 {
            *reading = Reading { index, ..Reading::default() };
        }
        if (reading.index, reading.next) != (index, number) {
            return;
        }
        match reading.reader.take(bytes) {
            Ok(None) => reading.next += 1,
            Err(_) => *reading = Reading::default(),
            Ok(Some(state)) if state.activated() > self.settings.group.speaks => self.stop_too_old(out),
            Ok(Some(state)) => {
                *reading = Reading::default();
                let it = &mut self.following;
                let known = it.copy.as_ref().or(self.group.state());
                if let Some(Err(conflict)) = known.map(|known| known.lineage().meets(state.lineage())) {
                    return self.meets_other_history(from, conflict, out);
                }
                // One that is older than what was told already would bring back what is over.
                let place = |state: &State| (state.lineage().epoch, state.applied());
                if it.is_void || known.is_none_or(|known| place(known) < place(&state)) {
                    (it.copy, it.is_void) = (Some(state), false);
                    self.give_up_old_seat(out);
                    self.restate(out);
                }
            }
        }
    }

    /// Two recoveries of one cluster came to the same epoch (rule C5): nothing of the other is looked at.
    fn meets_other_history(&mut self, node: NodeId, conflict: Conflict, out: &mut impl Sink<Action>) {
        let Conflict { own, other } = conflict;
        let (epoch, own, other) = (own.epoch.0, own.recovery.0, other.recovery.0);
        out.push(Action::Observe(HistoryObservation::Other { node, epoch, own, other }.into()));
        self.following.way.timed_out();
    }

    /// Whoever goes by a later history takes no part in the one before (rule C7).
    fn give_up_old_seat(&mut self, out: &mut impl Sink<Action>) {
        let (Some(copy), Some(own)) = (self.following.copy(), self.group.state()) else { return };
        let (copy, own) = (copy.lineage(), own.lineage());
        if copy.is_later_than(own) {
            out.push(Action::Observe(HistoryObservation::GaveUpSeat { epoch: copy.epoch.0 }.into()));
            self.inbox.group(group::Event::Superseded);
        }
    }

    /// This node goes by nothing else than its own log from now on, if by anything.
    pub(super) fn stop_following(&mut self) {
        let it = &mut self.following;
        (it.copy, it.is_void, it.asked, it.reading) = (None, false, None, Reading::default());
    }

    /// A leader says so.
    pub(super) fn hears_of_leader(
        &mut self,
        now: Time,
        from: NodeId,
        voters: Box<[NodeId]>,
        lineage: Lineage,
        out: &mut impl Sink<Action>,
    ) {
        if let Some(own) = self.state().map(State::lineage).filter(|own| own.is_later_than(lineage)) {
            return self.send(from, Message::Later { lineage: own }, out);
        }
        self.hears_of_history(now, from, lineage);
        if !self.follows(now) {
            return;
        }
        if self.following.copy.is_none() {
            self.following.way.vote(voters);
        }
        self.following.in_vain = 0;
        if self.following.way.leads(Some(from)) {
            (self.following.asked, self.following.ask_at) = (None, now);
        }
    }

    /// Another node goes by that history. If it is a later one than that of this node's log, this node has to follow, even
    /// while it leads: it gives up its seat when it has a copy (rule C7).
    pub(super) fn hears_of_history(&mut self, now: Time, from: NodeId, lineage: Lineage) {
        if self.state().is_some_and(|own| lineage.is_later_than(own.lineage())) {
            self.following.heard_of = Some(lineage);
            // Those who voted in this one know nothing of the later one.
            self.following.way = Way::default();
            self.following.way.leads(Some(from));
            (self.following.asked, self.following.ask_at) = (None, now);
        }
    }

    /// Whether this node's own log has come as far as what it goes by, so that it goes by that again.
    pub(super) fn returns_to_its_log(&mut self) -> bool {
        let (Some(copy), Some(own)) = (&self.following.copy, self.group.state()) else { return false };
        let has_leader = self.group.status().is_some_and(|status| status.leader.is_some());
        let place = |state: &State| (state.lineage().epoch, state.applied());
        let returns = self.is_member && has_leader && place(own) >= place(copy);
        if returns {
            self.following.copy = None;
            self.following.asked = None;
        }
        returns
    }
}
