//! The echo machine's state and how it reacts.

use super::super::node::ExampleObservation;
use super::super::wire::{Message, OLDEST_VERSION};
use super::{ANSWER_WITHIN_MAX, Action, Event, Settings, payload_of};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::envelope::{Class, Envelope};
use relaymesh_core::identity::NodeId;
use relaymesh_core::machine::{Ctx, Machine, Sink};
use relaymesh_core::node::{Delivery, Route};
use relaymesh_core::time::Time;

/// One node's part of the echo mesh.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Echo {
    me: NodeId,
    speaks: BodyVersion,
    settings: Settings,
    /// Ascending, so that a peer is found in O(log n).
    peers: Vec<Peer>,
    last_sequence: u64,
    under_way: BTreeMap<u64, Ping>,
    deadlines: BTreeSet<(Time, Due)>,
    journal_entries: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Peer {
    id: NodeId,
    /// The newest version it has said it understands; the oldest one until it has said something.
    speaks: BodyVersion,
    full: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Ping {
    peer: usize,
    sent_again: u8,
    due: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Due {
    /// The ping is to be sent again.
    Answer(u64),
    /// The pause after that ping is over.
    Next(u64),
}

impl Echo {
    /// The machine of node `me`, which understands versions up to `speaks`, among `peers`.
    pub fn new(me: NodeId, speaks: BodyVersion, peers: Vec<NodeId>, settings: Settings) -> Self {
        let mut peers: Vec<_> = peers.into_iter().map(|id| Peer { id, speaks: OLDEST_VERSION, full: false }).collect();
        peers.sort_unstable_by_key(|peer| peer.id);
        Self {
            me,
            speaks,
            settings,
            peers,
            last_sequence: 0,
            under_way: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            journal_entries: 0,
        }
    }

    /// Sends a new ping to a peer that has room, or pauses when none has.
    fn ping_someone(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        if self.peers.is_empty() {
            return;
        }
        let start = ctx.below(self.peers.len() as u64) as usize;
        let around = (start..self.peers.len()).chain(0..start);
        match around.into_iter().find(|at| !self.peers[*at].full) {
            Some(peer) => {
                self.under_way.insert(sequence, Ping { peer, sent_again: 0, due: Time::ZERO });
                self.send_ping(ctx, sequence, out);
            }
            None => {
                let later = ctx.now.saturating_add(self.settings.timeout);
                self.deadlines.insert((later, Due::Next(sequence)));
            }
        }
    }

    fn send_ping(&mut self, ctx: &Ctx<'_>, sequence: u64, out: &mut impl Sink<Action>) {
        let Some(ping) = self.under_way.get_mut(&sequence) else { return };
        ping.due = ctx.now.saturating_add(self.settings.timeout);
        self.deadlines.insert((ping.due, Due::Answer(sequence)));
        let peer = &self.peers[ping.peer];
        let payload = payload_of(self.me, sequence, usize::from(self.settings.payload_bytes));
        out.push(Action::Send {
            route: Route::direct(peer.id, Class::Priority),
            version: peer.speaks.min(self.speaks),
            message: Message::Ping { sequence, answer_within: self.settings.answer_within, payload },
            not_after: None,
        });
    }

    /// Takes a ping off the books; its place in the window is free after the pause.
    fn settle(&mut self, ctx: &mut Ctx<'_>, sequence: u64, out: &mut impl Sink<Action>) -> Option<Ping> {
        let ping = self.under_way.remove(&sequence)?;
        self.deadlines.remove(&(ping.due, Due::Answer(sequence)));
        match self.settings.pause.as_nanos() {
            0 => self.ping_someone(ctx, out),
            _ => {
                let next = ctx.now.saturating_add(self.settings.pause);
                self.deadlines.insert((next, Due::Next(sequence)));
            }
        }
        Some(ping)
    }

    fn message(&mut self, ctx: &mut Ctx<'_>, delivery: Delivery<Message>, out: &mut impl Sink<Action>) {
        let Envelope { source, class, speaks, .. } = delivery.envelope;
        let from = source.node;
        let Ok(peer) = self.peers.binary_search_by_key(&from, |peer| peer.id) else { return };
        self.peers[peer].speaks = speaks;
        match delivery.message {
            Message::Ping { sequence, answer_within, payload } => {
                let not_after = ctx.now.saturating_add(answer_within.min(ANSWER_WITHIN_MAX));
                out.push(Action::Send {
                    route: Route::direct(from, class),
                    version: speaks.min(self.speaks),
                    message: Message::Pong { sequence, entries: self.journal_entries, not_after, payload },
                    not_after: Some(not_after),
                });
            }
            Message::Pong { sequence, payload, .. } => {
                let is_mine = self.under_way.get(&sequence).is_some_and(|ping| ping.peer == peer);
                if is_mine && payload == payload_of(self.me, sequence, usize::from(self.settings.payload_bytes)) {
                    self.settle(ctx, sequence, out);
                    out.push(Action::Observe(ExampleObservation::Answered { sequence, peer: from }));
                }
            }
            Message::Sorry { sequence } => {
                if self.under_way.get(&sequence).is_some_and(|ping| ping.peer == peer) {
                    self.try_again(ctx, sequence, out);
                }
            }
        }
    }

    fn try_again(&mut self, ctx: &mut Ctx<'_>, sequence: u64, out: &mut impl Sink<Action>) {
        let Some(ping) = self.under_way.get_mut(&sequence) else { return };
        self.deadlines.remove(&(ping.due, Due::Answer(sequence)));
        if ping.sent_again < self.settings.retries {
            ping.sent_again += 1;
            self.send_ping(ctx, sequence, out);
        } else if let Some(ping) = self.settle(ctx, sequence, out) {
            let peer = self.peers[ping.peer].id;
            out.push(Action::Observe(ExampleObservation::Unanswered { sequence, peer }));
        }
    }

    fn wake(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        while let Some(due) = self.deadlines.first().copied().filter(|(at, _)| *at <= ctx.now) {
            self.deadlines.remove(&due);
            match due.1 {
                Due::Answer(sequence) => self.try_again(ctx, sequence, out),
                Due::Next(_) => self.ping_someone(ctx, out),
            }
        }
    }

    fn set_full(&mut self, peer: NodeId, full: bool) {
        if let Ok(at) = self.peers.binary_search_by_key(&peer, |peer| peer.id) {
            self.peers[at].full = full;
        }
    }
}

impl Machine for Echo {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Event, out: &mut impl Sink<Action>) {
        match event {
            Event::Start => (0..self.settings.window).for_each(|_| self.ping_someone(ctx, out)),
            Event::Wake => self.wake(ctx, out),
            Event::Message(delivery) => self.message(ctx, delivery, out),
            Event::Late(to, Message::Pong { sequence, .. }) => self.apologise(to, sequence, out),
            Event::Late(..) => {}
            Event::Full(peer) => self.set_full(peer, true),
            Event::Room(peer) => self.set_full(peer, false),
            Event::JournalGrew(entries) => self.journal_entries = entries,
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }
}

impl Echo {
    /// Tells a peer that understands it that no answer will come, so that it need not wait.
    fn apologise(&self, to: NodeId, sequence: u64, out: &mut impl Sink<Action>) {
        let Ok(peer) = self.peers.binary_search_by_key(&to, |peer| peer.id) else { return };
        let version = self.peers[peer].speaks.min(self.speaks);
        if version >= super::super::NEWEST_VERSION {
            let (route, message) = (Route::direct(to, Class::Priority), Message::Sorry { sequence });
            out.push(Action::Send { route, version, message, not_after: None });
        }
    }
}
