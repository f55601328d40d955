//! The leader keeps those up to date who follow: with entries while it has them, else with a snapshot.
//!
//! A question is answered after a quorum round that began when it had arrived (rules R2 and F3); where there is nothing
//! new, it waits here until there is, or for as long as the one who asks is patient. A snapshot is cut piece by piece as
//! the pieces are asked for, and kept while entries lead on from it.

use super::desk::Purpose;
use super::machine::{Action, Control};
use super::wire::{Follow, Followed, Message};
use crate::control::group;
use crate::control::group::wire::Blob;
use crate::control::state::limits::{DELTA_ENTRIES, SESSIONS_MAX};
use crate::control::state::{Chain, Delta, Lineage, LoggedEntry, Piece, SnapshotWriter};
use crate::identity::NodeId;
use crate::machine::Sink;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

/// Bytes of entries in one delta: it has to fit a packet.
const DELTA_BYTES: usize = 512 << 10;

/// Entries between two places at which a delta may end, at least.
const MARKS_APART: u64 = DELTA_ENTRIES as u64 / 4;

/// A place in the log, and the hash over all entries up to there: where a delta may end, since its receiver compares.
type Mark = (u64, Chain);

/// A snapshot that is handed out.
#[derive(Clone, Debug)]
struct Served {
    index: u64,
    lineage: Lineage,
    writer: SnapshotWriter,
    pieces: Vec<Piece>,
}

/// Those who follow, and what they get.
#[derive(Clone, Debug, Default)]
pub(super) struct Serving {
    /// Who waits for something new: the question, and until when it waits.
    waiting: BTreeMap<NodeId, (Follow, Time)>,
    /// The same by time.
    order: BTreeSet<(Time, NodeId)>,
    snapshot: Option<Served>,
    /// What was applied when those who wait were last looked at.
    seen: u64,
    /// Ascending, as far back as the log goes.
    marks: VecDeque<Mark>,
}

impl Serving {
    fn wait(&mut self, node: NodeId, follow: Follow, until: Time) {
        self.remove(node);
        self.waiting.insert(node, (follow, until));
        self.order.insert((until, node));
    }

    fn remove(&mut self, node: NodeId) -> Option<Follow> {
        let (follow, until) = self.waiting.remove(&node)?;
        self.order.remove(&(until, node));
        Some(follow)
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.order.first().map(|(until, _)| *until)
    }
}

impl Control {
    /// A node wants to follow.
    pub(super) fn asked_to_follow(&mut self, from: NodeId, follow: Follow, out: &mut impl Sink<Action>) {
        if self.tending.term().is_none() {
            return self.send_elsewhere(from, follow.number, out);
        }
        self.ask_group(Purpose::Follow(from, follow), group::Request::Confirm);
    }

    /// This node led after the question had come, and has applied all that was committed then; or it did not.
    pub(super) fn may_serve(&mut self, now: Time, to: NodeId, follow: Follow, led: bool, out: &mut impl Sink<Action>) {
        let applied = self.group.state().map_or(0, |state| state.applied());
        match follow.applied {
            _ if !led => self.send_elsewhere(to, follow.number, out),
            Some(has) if has == applied && self.serving.waiting.len() < SESSIONS_MAX => {
                let until = now + self.settings.follow_wait();
                self.serving.wait(to, follow, until);
            }
            _ => self.serve(to, follow, out),
        }
    }

    /// Notes where deltas may end, while this node leads.
    fn mark(&mut self) {
        let Some(state) = self.group.state().filter(|_| self.tending.term().is_some()) else { return };
        let marks = &mut self.serving.marks;
        if marks.back().is_none_or(|(last, _)| last + MARKS_APART <= state.applied()) {
            marks.push_back((state.applied(), state.chain()));
            while marks.pop_front_if(|(index, _)| !self.group.leads_on_from(*index)).is_some() {}
        }
    }

    /// Answers those for whom there is something new, and those who have waited for long enough.
    pub(super) fn serve_waiting(&mut self, now: Time, out: &mut impl Sink<Action>) {
        self.mark();
        let applied = self.group.state().map_or(0, |state| state.applied());
        let has_news = core::mem::replace(&mut self.serving.seen, applied) != applied;
        if self.serving.waiting.is_empty() {
            return;
        }
        while let Some((until, node)) = self.serving.order.first().copied()
            && (has_news || until <= now)
        {
            if let Some(follow) = self.serving.remove(node) {
                self.serve(node, follow, out);
            }
        }
    }

    /// This node leads no more.
    pub(super) fn stop_serving(&mut self, out: &mut impl Sink<Action>) {
        self.serving.snapshot = None;
        self.serving.marks.clear();
        while let Some((_, node)) = self.serving.order.first().copied() {
            if let Some(follow) = self.serving.remove(node) {
                self.send_elsewhere(node, follow.number, out);
            }
        }
    }

    fn serve(&mut self, to: NodeId, follow: Follow, out: &mut impl Sink<Action>) {
        let what = follow.applied.and_then(|applied| self.delta(applied)).or_else(|| self.piece(follow.piece));
        if let Some(what) = what {
            self.send(to, Message::Followed { number: follow.number, what }, out);
        }
    }

    /// All entries behind `applied`, or as many of them as fit.
    fn delta(&self, applied: u64) -> Option<Followed> {
        let state = self.group.state().filter(|_| self.group.leads_on_from(applied))?;
        let end = (state.applied(), state.chain());
        let fits = |(upto, _): &Mark| *upto >= applied && upto - applied <= DELTA_ENTRIES as u64;
        let places = core::iter::once(end).chain(self.serving.marks.iter().rev().copied()).filter(fits);
        places.filter(|(upto, _)| *upto > applied || *upto == end.0).find_map(|(upto, chain)| {
            let entries = self.group.applied_between(applied, upto, DELTA_BYTES)?;
            let entries = entries.into_iter().map(|(term, bytes)| LoggedEntry { term, bytes }).collect();
            let delta = Delta { lineage: state.lineage(), applied, entries, chain };
            Some(if upto == end.0 { Followed::Delta(delta) } else { Followed::Part(delta) })
        })
    }

    /// The piece that is wanted, or the first one of a snapshot from which entries lead on.
    fn piece(&mut self, (index, number): (u64, u32)) -> Option<Followed> {
        let state = self.group.state()?;
        // Under an older epoch it might be taken for another history of that epoch.
        let leads_on =
            |served: &&mut Served| served.lineage == state.lineage() && self.group.leads_on_from(served.index);
        if self.serving.snapshot.as_mut().filter(leads_on).is_none() {
            let writer = SnapshotWriter::new(state.clone());
            self.serving.snapshot =
                Some(Served { index: state.applied(), lineage: state.lineage(), writer, pieces: Vec::new() });
        }
        let served = self.serving.snapshot.as_mut()?;
        let number = if served.index == index && number as usize <= served.pieces.len() { number } else { 0 };
        if number as usize == served.pieces.len() {
            served.pieces.push(served.writer.next_piece()?);
        }
        let bytes = Blob(served.pieces.get(number as usize)?.as_slice().into());
        Some(Followed::Piece { index: served.index, number, bytes })
    }

    fn send_elsewhere(&mut self, to: NodeId, number: u64, out: &mut impl Sink<Action>) {
        let leader = self.leader.filter(|leader| Some(*leader) != self.life.map(|life| life.node));
        let voters: Box<[NodeId]> =
            self.state().map(|state| state.voters().members.keys().copied().collect()).unwrap_or_default();
        self.send(to, Message::Followed { number, what: Followed::Elsewhere { leader, voters } }, out);
    }
}
