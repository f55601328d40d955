//! Rounds of gossip, and how much fits a packet.

use super::clockwork::Due;
use super::machine::{Action, Membership, Picks};
use super::table::{Row, Slot};
use super::verdict::{Opinion, Status};
use super::wire::{Message, News, Rumor};
use crate::envelope::{Class, HEADER_BYTES, TAG_BYTES};
use crate::identity::NodeId;
use crate::machine::{Ctx, Sink};
use crate::time::Time;
use alloc::vec::Vec;

/// Bytes of the headers below the envelope: UDP and IPv6.
const DATAGRAM_HEADER_BYTES: usize = 48;
/// Bytes of a message besides its rumors: kind, probe, coordinate, count.
const MESSAGE_BYTES: usize = 48;
/// Random draws for each peer wanted, before the view is searched in order.
const DRAWS_PER_PICK: u32 = 6;

/// What may still be sent in this second: a token bucket that holds one second's worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Bucket {
    /// In thousandths of a packet.
    used: u64,
    at: Time,
}

impl Bucket {
    /// Whether a packet may leave, which is counted.
    pub(super) fn take(&mut self, now: Time, per_second: u32) -> bool {
        let refilled = now.since(self.at).as_nanos() / 1_000 * u64::from(per_second) / 1_000;
        self.used = self.used.saturating_sub(refilled);
        self.at = now;
        let is_free = self.used + 1_000 <= u64::from(per_second) * 1_000;
        self.used += if is_free { 1_000 } else { 0 };
        is_free
    }

    /// Packets of this second that are used up.
    pub(super) fn used(&self) -> u64 {
        self.used / 1_000
    }
}

impl Membership {
    /// Something is to be passed on.
    pub(super) fn spread(&mut self, ctx: &mut Ctx<'_>, news: News, arose: Time) {
        self.rumors.add(news, arose);
        self.arm_gossip(ctx);
    }

    /// The next round comes within one interval; rounds of different nodes are not in step.
    pub(super) fn arm_gossip(&mut self, ctx: &mut Ctx<'_>) {
        if !self.clockwork.is_set(Due::Gossip) {
            let wait = self.part_of(ctx, self.settings.gossip_interval);
            self.clockwork.set(Due::Gossip, ctx.now + wait);
        }
    }

    /// A round: a few random peers are told what was told least. What does not fit a datagram is left to exchanges, in
    /// which nothing is told twice.
    pub(super) fn gossip(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        if self.rumors.is_empty() {
            return;
        }
        self.clockwork.set(Due::Gossip, ctx.now + self.settings.gossip_interval);
        let (now, quiet) = (ctx.now, self.settings.probe_interval.saturating_mul(10));
        let hears = move |row: &Row| {
            // The dead are told for a while: one that is not dead at all must be able to say so.
            let is_fresh = row.verdict.status == Status::Dead && now.since(row.since) < quiet;
            row.is_reachable() || (is_fresh && row.description.is_some())
        };
        let peers = self.pick(ctx, self.settings.fan_out, hears);
        let overflows = self.rumors.bytes() > 2 * self.datagram_room();
        for peer in peers {
            if !self.bucket.take(ctx.now, self.settings.bounds.packets_per_second) {
                return;
            }
            let row = self.table.at(peer);
            let (to, is_member) = (row.node, row.verdict.status.is_member());
            if overflows && is_member && self.own.is_member() && self.open_exchange(ctx, to, out) {
                self.rumors.told_all(self.tellings());
            } else {
                let rumors = self.rumors_for(ctx.now, to);
                if !rumors.is_empty() {
                    out.push(Action::Send { to, class: Class::Gossip, message: Message::Gossip { rumors } });
                }
            }
        }
    }

    /// The rumors that fit a datagram to `to`. What is said of itself a member hears first (Lifeguard §IV-C).
    pub(super) fn rumors_for(&mut self, now: Time, to: NodeId) -> Vec<Rumor> {
        let mut rumors = Vec::new();
        let mut room = self.datagram_room();
        let first = self.accusation_of(to);
        if let Some(opinion) = first {
            let news = News::Opinion(opinion);
            room = room.saturating_sub(news.wire_bytes());
            rumors.push(Rumor { age_ms: 0, news });
        }
        if !self.rumors.is_empty() {
            self.rumors.tell(now, room, self.tellings(), first, &mut rumors);
        }
        rumors
    }

    /// Tells one member something that concerns it, besides what is held against it, and no rumors.
    pub(super) fn tell(&mut self, ctx: &Ctx<'_>, to: NodeId, opinions: Vec<Opinion>, out: &mut impl Sink<Action>) {
        if self.bucket.take(ctx.now, self.settings.bounds.packets_per_second) {
            let first = self.accusation_of(to).filter(|held| !opinions.contains(held));
            let said = first.into_iter().chain(opinions);
            let rumors = said.map(|opinion| Rumor { age_ms: 0, news: News::Opinion(opinion) }).collect();
            out.push(Action::Send { to, class: Class::Gossip, message: Message::Gossip { rumors } });
        }
    }

    /// What is held against a member.
    pub(super) fn accusation_of(&self, node: NodeId) -> Option<Opinion> {
        let row = self.table.row(node).filter(|row| matches!(row.verdict.status, Status::Suspect | Status::Dead))?;
        Some(Opinion { node, verdict: row.verdict, accuser: row.accuser })
    }

    fn datagram_room(&self) -> usize {
        let fixed = DATAGRAM_HEADER_BYTES + HEADER_BYTES + TAG_BYTES + MESSAGE_BYTES;
        (self.settings.bounds.datagram_bytes as usize).saturating_sub(fixed)
    }

    /// How often a rumor is told (SWIM §4.1).
    pub(super) fn tellings(&self) -> u32 {
        let digits = (self.table.members() + 1).ilog10() + u32::from(!is_power_of_ten(self.table.members() + 1));
        // In a small mesh one digit would leave out one member in a hundred.
        self.settings.retransmit * digits.max(2)
    }

    /// As [`pick`](Self::pick), those first whose link to this node is not known to be down.
    pub(super) fn pick_linked(&self, ctx: &mut Ctx<'_>, count: u32, suits: impl Fn(&Row) -> bool) -> Picks {
        let mut picks = self.pick(ctx, count, |row| row.unanswered == 0 && suits(row));
        let missing = count.saturating_sub(picks.len() as u32);
        if missing > 0 {
            picks.extend(self.pick(ctx, missing, |row| row.unanswered > 0 && suits(row)));
        }
        picks
    }

    /// Up to `count` random peers for which `suits` holds, this node excepted. O(count) on average while most suit.
    pub(super) fn pick(&self, ctx: &mut Ctx<'_>, count: u32, suits: impl Fn(&Row) -> bool) -> Picks {
        let (own, slots) = (self.own.slot(), self.table.slots());
        let mut picks = Picks::new();
        let fits = |slot: Slot, picks: &Picks| {
            slot != own && !picks.contains(&slot) && self.table.get(slot).is_some_and(&suits)
        };
        for _ in 0..count * DRAWS_PER_PICK {
            if picks.len() as u32 >= count.min(slots) || slots == 0 {
                return picks;
            }
            let slot = ctx.below(u64::from(slots)) as Slot;
            if fits(slot, &picks) {
                picks.push(slot);
            }
        }
        // Few suit: look at all, from a random one on.
        let start = if slots == 0 { 0 } else { ctx.below(u64::from(slots)) as Slot };
        for slot in (start..slots).chain(0..start) {
            if picks.len() as u32 >= count {
                break;
            }
            if fits(slot, &picks) {
                picks.push(slot);
            }
        }
        picks
    }
}

fn is_power_of_ten(number: u32) -> bool {
    10u32.checked_pow(number.ilog10()) == Some(number)
}
