//! One machine that hears what the story tells it. The others are only names.
//!
//! Packets are handed over as they are: what is admitted is a matter of [`super::bounds`].

use super::world::envelope;
use super::*;
use crate::envelope::Class;
use crate::identity::{Incarnation, RequestId};
use crate::machine::{CauseId, Ctx, Machine, Seeded};
use crate::record::Sequence;
use crate::time::{Time, WallTime};
use alloc::vec;

/// The machine under test is always node 0.
pub(super) const ME: usize = 0;

pub(super) struct Solo {
    me: usize,
    pub(super) machine: Membership,
    pub(super) now: Time,
    pub(super) written: u64,
    serial: u64,
    chance: Seeded,
}

impl Solo {
    /// Before its first number is durable.
    pub(super) fn silent(settings: Settings) -> Self {
        Self::silent_as(ME, settings)
    }

    fn silent_as(me: usize, settings: Settings) -> Self {
        let identity = Identity {
            node: node(me),
            endpoint: endpoint(me),
            speaks: 1,
            name: alloc::format!("node-{me}").into(),
            profile: Arc::new(Profile::default()),
        };
        let machine = Membership::new(settings, identity);
        Self { me, machine, now: Time::from_nanos(1_000_000_000), written: 0, serial: 0, chance: Seeded::new(1, 1) }
    }

    pub(super) fn started(settings: Settings) -> Self {
        Self::started_as(ME, settings)
    }

    pub(super) fn started_as(me: usize, settings: Settings) -> Self {
        let mut solo = Self::silent_as(me, settings);
        solo.begin();
        solo.sync();
        solo
    }

    /// Knows nodes 1 to `peers`, each alive at incarnation 1.
    pub(super) fn among(peers: usize) -> Self {
        Self::among_with(peers, Settings::default())
    }

    pub(super) fn among_with(peers: usize, settings: Settings) -> Self {
        let mut solo = Self::started(settings);
        for chunk in (1..=peers).collect::<Vec<_>>().chunks(1_000) {
            solo.hears(1, introduction(chunk.iter().map(|index| member(*index, 1, 1))));
        }
        solo
    }

    pub(super) fn begin(&mut self) -> Vec<Action> {
        let life = life_of(self.me);
        self.handle(Event::Start { life, keys: keys(&[1]) })
    }

    /// What was written so far is to be given up.
    pub(super) fn checkpoint(&mut self) -> Vec<Action> {
        self.handle(Event::Checkpoint)
    }

    /// Everything written is durable.
    pub(super) fn sync(&mut self) -> Vec<Action> {
        self.sync_upto(self.written)
    }

    pub(super) fn sync_upto(&mut self, record: u64) -> Vec<Action> {
        self.handle(Event::Durable(Sequence(record)))
    }

    /// Hears a datagram of node `from`.
    pub(super) fn hears(&mut self, from: usize, message: Message) -> Vec<Action> {
        self.hears_by(from, Class::Gossip, message)
    }

    pub(super) fn hears_by(&mut self, from: usize, class: Class, message: Message) -> Vec<Action> {
        self.serial += 1;
        let envelope = envelope(life_of(from), node(self.me), class, self.serial);
        self.handle(Event::Message { envelope, message })
    }

    pub(super) fn asks(&mut self, request: Request) -> Reply {
        self.serial += 1;
        let id = RequestId(self.serial);
        let mut replies = self.handle(Event::Request(id, request)).into_iter().filter_map(|action| match action {
            Action::Reply(_, reply) => Some(reply),
            _ => None,
        });
        replies.next().expect("an answer at once")
    }

    /// Time passes; the driver is on time. What the machine asked for meanwhile.
    pub(super) fn wait(&mut self, span: Duration) -> Vec<Action> {
        let end = self.now + span;
        let mut actions = vec![];
        while let Some(due) = self.machine.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            actions.extend(self.handle(Event::Wake));
        }
        self.now = end;
        actions
    }

    /// Time passes, and everybody answers pings, but for those in `silent`.
    pub(super) fn lives_on(&mut self, span: Duration, silent: &[usize]) -> Vec<Action> {
        let end = self.now + span;
        let mut all = vec![];
        while let Some(due) = self.machine.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let actions = self.handle(Event::Wake);
            let asked: Vec<(NodeId, Message)> = sent(&actions).map(|(to, message)| (to, message.clone())).collect();
            all.extend(actions);
            for (to, message) in asked {
                let Some(from) = (1..=self.machine.table.len() as usize).find(|index| node(*index) == to) else {
                    continue;
                };
                let answer = match message {
                    Message::Ping { probe, .. } => {
                        Message::Ack { probe, coordinate: Default::default(), rumors: Vec::new() }
                    }
                    Message::PingRequest { probe, .. } => Message::Nack { probe },
                    _ => continue,
                };
                if !silent.contains(&from) {
                    all.extend(self.hears(from, answer));
                }
            }
        }
        self.now = end;
        all
    }

    /// Hears of a death, and of no refutation for as long as it waits for one.
    pub(super) fn hears_of_death(&mut self, from: usize, opinion: Opinion) -> Vec<Action> {
        let mut actions = self.hears(from, gossip([opinion]));
        while self.machine.status(opinion.node) == Some(Status::Suspect) {
            actions.extend(self.lives_on(ms(10), &[]));
        }
        actions
    }

    /// Time passes, and nobody wakes the machine.
    pub(super) fn oversleeps(&mut self, span: Duration) -> Vec<Action> {
        self.now = self.now + span;
        self.handle(Event::Wake)
    }

    /// As if it had drawn that peer.
    pub(super) fn opens_exchange_with(&mut self, peer: usize) -> Vec<Action> {
        let mut ctx = Ctx::new(self.now, WallTime::default(), CauseId(0), &mut self.chance);
        let mut actions = vec![];
        self.machine.open_exchange(&mut ctx, node(peer), &mut actions);
        actions
    }

    pub(super) fn handle(&mut self, event: Event) -> Vec<Action> {
        let mut ctx = Ctx::new(self.now, WallTime::default(), CauseId(0), &mut self.chance);
        ctx.next_record = Sequence(self.written + 1);
        let mut actions = vec![];
        self.machine.handle(&mut ctx, event, &mut actions);
        self.written += actions.iter().filter(|action| matches!(action, Action::Write(_))).count() as u64;
        actions
    }

    pub(super) fn status(&self, index: usize) -> Option<Status> {
        self.machine.status(node(index))
    }

    pub(super) fn counts(&self, index: usize) -> bool {
        self.machine.counts(node(index))
    }

    pub(super) fn incarnation(&self, index: usize) -> u64 {
        self.machine.table.row(node(index)).map_or(0, |row| row.verdict.incarnation.0)
    }

    pub(super) fn view(&self, index: usize) -> MemberView {
        let seen = self.machine.members_seen(self.now);
        seen.into_iter().find(|member| member.node == node(index)).expect("known")
    }
}

pub(super) fn life_of(index: usize) -> Incarnation {
    Incarnation { node: node(index), store: StoreIncarnation(1_000 + index as u64), boot: BootIncarnation(1) }
}

/// The messages among actions.
pub(super) fn sent(actions: &[Action]) -> impl Iterator<Item = (NodeId, &Message)> {
    actions.iter().filter_map(|action| match action {
        Action::Send { to, message, .. } => Some((*to, message)),
        _ => None,
    })
}

pub(super) fn observed(actions: &[Action]) -> impl Iterator<Item = &MembershipObservation> {
    actions.iter().filter_map(|action| match action {
        Action::Observe(observation) => Some(observation),
        _ => None,
    })
}
