//! Push/pull: two nodes compare digests of their views and send each other the rows that differ. It is how a node joins,
//! how two sides of a healed partition meet, and what repairs the rare rumor that gossip lost.
//!
//! Four steps on a stream; the side that is asked keeps nothing between them:
//! digests → rows of the differing digests, in short → opinions and descriptions the other lacks → those it wanted.

use super::clockwork::Due;
use super::description::Edition;
use super::judge::Word;
use super::machine::{Action, Membership};
use super::observation::MembershipObservation;
use super::table::Row;
use super::verdict::{Opinion, Status};
use super::wire::{MEMBERS_MAX, Member, Message, ROWS_MAX, RowSummary};
use crate::envelope::Class;
use crate::identity::NodeId;
use crate::machine::{Ctx, Sink};
use crate::time::Duration;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The exchanges that this node has opened and that are not over, with whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Exchanges {
    under_way: BTreeMap<u32, NodeId>,
    last: u32,
    /// Nodes that were answered somewhere else than where they say they live.
    detours: Vec<NodeId>,
    /// A member whose datagrams come from another store than the one that is known, so that they cannot be looked at: it
    /// has lost its disk, and the word of that has been lost, too.
    strange: Option<NodeId>,
    /// The last exchange was with such a one: whoever replays old datagrams does not choose the partners of all.
    was_strange: bool,
    /// Times in a row that nothing differed: the next exchange comes the later, the longer all was well.
    quiet: u8,
}

/// The pause between exchanges is doubled at most this often, and at most to the interval that is set.
const QUIET_MAX: u8 = 16;
/// Nodes answered on a detour, at most, until the detours are taken back.
const DETOURS_MAX: usize = 16;

impl Membership {
    /// It is time to compare views with somebody.
    pub(super) fn sync(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        self.sync_in_time(ctx);
        let strange = self.exchanges.strange.take().filter(|_| !self.exchanges.was_strange);
        self.exchanges.was_strange = strange.is_some();
        let peer = strange.filter(|node| self.table.row(*node).is_some_and(Row::is_reachable)).or_else(|| {
            let picked = self.pick_linked(ctx, 1, Row::is_reachable);
            picked.first().map(|slot| self.table.at(*slot).node)
        });
        if let Some(peer) = peer {
            self.open_exchange(ctx, peer, out);
        }
    }

    /// A datagram of a member came from a store that is not known.
    pub(super) fn is_strange(&mut self, node: NodeId) {
        self.exchanges.strange = Some(node);
    }

    /// The next exchange: soon after one that found a difference, rarely while there is none.
    fn sync_in_time(&mut self, ctx: &mut Ctx<'_>) {
        let grown = self.settings.probe_interval.saturating_mul(1 << self.exchanges.quiet);
        let pause = grown.min(self.settings.sync_interval);
        let half = Duration::from_nanos(pause.as_nanos() / 2);
        let wait = half + self.part_of(ctx, pause);
        self.exchanges.quiet = (self.exchanges.quiet + 1).min(QUIET_MAX);
        self.clockwork.set(Due::Sync, ctx.now + wait);
    }

    /// Something may have been missed: the next exchange comes soon.
    pub(super) fn sync_soon(&mut self, ctx: &mut Ctx<'_>) {
        let before = self.clockwork.due_at(Due::Sync);
        self.exchanges.quiet = 0;
        self.sync_in_time(ctx);
        // What comes again and again brings the next exchange forward, never back.
        if let Some((before, at)) = before.zip(self.clockwork.due_at(Due::Sync)) {
            self.clockwork.set(Due::Sync, before.min(at));
        }
    }

    /// First step: here are my digests. Whether it was taken: not one too many, nor a second one with the same peer.
    pub(super) fn open_exchange(&mut self, ctx: &mut Ctx<'_>, peer: NodeId, out: &mut impl Sink<Action>) -> bool {
        let is_full = self.exchanges.under_way.len() >= self.settings.bounds.exchanges as usize;
        let is_open = self.exchanges.under_way.values().any(|other| *other == peer);
        let Some(opener) = self.own_member().filter(|_| !is_full && !is_open) else { return false };
        self.exchanges.last = self.exchanges.last.wrapping_add(1);
        let exchange = self.exchanges.last;
        self.exchanges.under_way.insert(exchange, peer);
        self.clockwork.set(Due::ExchangeEnds(exchange), ctx.now + self.settings.sync_timeout);
        let digests = self.table.digests(self.table.depth());
        let message = Message::SyncDigests { exchange, opener, digests };
        out.push(Action::Send { to: peer, class: Class::Control, message });
        true
    }

    /// Whoever was answered on a detour has said by now where it lives, if it is who it says it is.
    pub(super) fn end_detours(&mut self, out: &mut impl Sink<Action>) {
        for node in core::mem::take(&mut self.exchanges.detours) {
            if let Some(description) = self.table.row(node).and_then(|row| row.description.as_ref()) {
                out.push(Action::Locate(node, description.endpoint));
            }
        }
    }

    /// No answer came in time.
    pub(super) fn exchange_ends(&mut self, ctx: &mut Ctx<'_>, exchange: u32) {
        let peer = self.exchanges.under_way.remove(&exchange);
        // A member that cannot be reached has told nothing; another one may have something to tell.
        if peer.and_then(|peer| self.table.row(peer)).is_some_and(Row::is_reachable) {
            self.sync_soon(ctx);
        }
    }

    /// Second step: these are my rows where we differ.
    pub(super) fn compare(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: NodeId,
        exchange: u32,
        opener: Member,
        digests: &[u64],
        out: &mut impl Sink<Action>,
    ) {
        let word = self.word_of_exchange(ctx);
        let endpoint = opener.description.endpoint;
        self.meet(ctx, opener, word, out);
        let known = self.table.row(from).and_then(|row| row.description.as_ref());
        if known.is_some_and(|description| description.endpoint != endpoint) {
            // A node that has lost its disk speaks below its former self; the answer must reach it where it is now.
            out.push(Action::Locate(from, endpoint));
            if self.exchanges.detours.len() < DETOURS_MAX && !self.exchanges.detours.contains(&from) {
                self.exchanges.detours.push(from);
            }
        }
        let depth = digests.len().ilog2() as u8;
        let own = self.table.digests(depth);
        let differs = |bucket: &u8| own[usize::from(*bucket)] != digests[usize::from(*bucket)];
        let differing: Vec<u8> = (0..=(digests.len() - 1) as u8).filter(differs).collect();
        let rows = self.table.of_digests(depth, &differing).take(ROWS_MAX).map(summary).collect();
        let message = Message::SyncRows { exchange, rows, differing, depth };
        out.push(Action::Send { to: from, class: Class::Control, message });
    }

    /// Third step: this is what you lack, and what I want.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn answer_rows(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: NodeId,
        exchange: u32,
        mut rows: Vec<RowSummary>,
        differing: &[u8],
        depth: u8,
        out: &mut impl Sink<Action>,
    ) {
        let is_sorted = differing.is_sorted_by(|one, next| one < next);
        if self.exchanges.under_way.get(&exchange) != Some(&from) || !is_sorted {
            return;
        }
        self.exchanges.under_way.remove(&exchange);
        self.clockwork.clear(Due::ExchangeEnds(exchange));
        rows.sort_unstable_by_key(|row| row.node);
        rows.dedup_by_key(|row| row.node);
        let (mut opinions, mut members, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        let mut news = 0;
        for row in &rows {
            let mine = self.table.row(row.node);
            let edition = mine.map_or(Edition::default(), Row::edition);
            match mine {
                Some(mine) if mine.verdict > row.verdict => opinions.push(opinion_of(mine)),
                _ => {}
            }
            let is_member = row.verdict.status.is_member();
            if mine.is_some_and(|mine| mine.is_led_astray_by(row)) && row.node != self.own.node() {
                continue;
            }
            news += usize::from(mine.map_or(is_member, |mine| row.verdict > mine.verdict));
            if row.edition > edition && is_member {
                wanted.push(row.node);
            } else if row.edition < edition {
                members.extend(mine.and_then(Row::member));
            }
        }
        for mine in self.table.of_digests(depth, differing) {
            if mine.verdict.status.is_member() && rows.binary_search_by_key(&mine.node, |row| row.node).is_err() {
                members.extend(mine.member());
                if mine.verdict.status != Status::Alive {
                    opinions.push(opinion_of(mine));
                }
            }
        }
        let differ = (news + opinions.len() + members.len() + wanted.len()) as u64;
        if differ > 0 {
            self.sync_soon(ctx);
            out.push(Action::Observe(MembershipObservation::Exchanged { peer: from, rows: differ }));
        }
        self.answer(from, exchange, opinions, members, wanted, out);
        let word = self.word_of_exchange(ctx);
        for row in rows {
            let opinion = Opinion { node: row.node, verdict: row.verdict, accuser: row.accuser.unwrap_or(row.node) };
            self.weigh(ctx, opinion, word, out);
        }
        self.own.is_joining = false;
    }

    fn answer(
        &mut self,
        to: NodeId,
        exchange: u32,
        mut opinions: Vec<Opinion>,
        members: Vec<Member>,
        mut wanted: Vec<NodeId>,
        out: &mut impl Sink<Action>,
    ) {
        opinions.truncate(ROWS_MAX);
        wanted.truncate(ROWS_MAX);
        if opinions.is_empty() && members.is_empty() && wanted.is_empty() {
            return;
        }
        let mut parts = members.chunks(MEMBERS_MAX);
        let members = parts.next().unwrap_or_default().to_vec();
        let message = Message::SyncAnswer { exchange, opinions, members, wanted };
        out.push(Action::Send { to, class: Class::Control, message });
        for part in parts {
            let message = Message::SyncMembers { exchange, members: part.to_vec() };
            out.push(Action::Send { to, class: Class::Control, message });
        }
    }

    /// Last step: here is what you wanted.
    pub(super) fn take_answer(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: NodeId,
        exchange: u32,
        (opinions, members): (Vec<Opinion>, Vec<Member>),
        wanted: &[NodeId],
        out: &mut impl Sink<Action>,
    ) {
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let found: Vec<Member> =
            wanted.iter().filter_map(|node| self.table.row(*node)).filter_map(Row::member).collect();
        for part in found.chunks(MEMBERS_MAX) {
            let message = Message::SyncMembers { exchange, members: part.to_vec() };
            out.push(Action::Send { to: from, class: Class::Control, message });
        }
        self.take_members(ctx, members, out);
        let word = self.word_of_exchange(ctx);
        for opinion in opinions {
            self.weigh(ctx, opinion, word, out);
        }
    }

    /// Descriptions of members.
    pub(super) fn take_members(&mut self, ctx: &mut Ctx<'_>, members: Vec<Member>, out: &mut impl Sink<Action>) {
        let word = self.word_of_exchange(ctx);
        members.into_iter().for_each(|member| self.meet(ctx, member, word, out));
    }

    /// What a newcomer learns, everybody else knows already.
    fn word_of_exchange(&self, ctx: &Ctx<'_>) -> Word {
        Word { arose: ctx.now, spreads: !self.own.is_joining }
    }
}

fn summary(row: &Row) -> RowSummary {
    let is_accused = row.accuser != row.node;
    let accuser = is_accused.then_some(row.accuser);
    RowSummary { node: row.node, verdict: row.verdict, accuser, edition: row.edition() }
}

fn opinion_of(row: &Row) -> Opinion {
    Opinion { node: row.node, verdict: row.verdict, accuser: row.accuser }
}
