//! Every wire between the machines, on one page.

use super::desk::{Asker, Purpose};
use super::inbox::Local;
use super::machine::{Action, Control};
use super::observation::ControlObservation;
use super::wire::Message;
use crate::control::commands;
use crate::control::group::{self, Role};
use crate::control::state::{Change, SHARDS, State};
use crate::identity::{Incarnation, NodeId};
use crate::lease::{self, client, keeper};
use crate::machine::{Ctx, Machine, Sink};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Control {
    pub(super) fn start(&mut self, life: Incarnation) {
        self.life = Some(life);
        self.inbox.group(group::Event::Start { life });
        self.inbox.commands(commands::Event::Start { life });
    }

    /// Wakes whoever is due, the group first.
    pub(super) fn wake(&mut self, now: Time, out: &mut impl Sink<Action>) {
        let is_due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        if is_due(self.group.next_deadline()) {
            self.inbox.group(group::Event::Wake);
        }
        if is_due(self.keeper.next_deadline()) {
            self.inbox.keeper(keeper::Event::Wake);
        }
        if is_due(self.client.next_deadline()) {
            self.inbox.client(client::Event::Wake);
        }
        if is_due(self.commands.next_deadline()) {
            self.inbox.commands(commands::Event::Wake);
        }
        self.give_up_forwarded(now, out);
        self.serve_waiting(now, out);
        self.follow(now, out);
        self.tend(now, out);
    }

    /// A message, to the machine that it is for.
    pub(super) fn hear(&mut self, now: Time, from: Incarnation, message: Message, out: &mut impl Sink<Action>) {
        match message {
            Message::Group(message) => self.inbox.group(group::Event::Message { from, message }),
            Message::Lease(lease::Message::Renew(renew)) => self.inbox.keeper(keeper::Event::Renewal { from, renew }),
            Message::Lease(message) => self.inbox.client(client::Event::Message { from: from.node, message }),
            Message::Commands(commands::Message::Propose { number, entry }) => {
                self.take_entry(from, number, entry);
            }
            Message::Commands(message) => {
                self.inbox.commands(commands::Event::Message { from: from.node, message });
            }
            Message::Follow(follow) => self.asked_to_follow(from.node, follow, out),
            Message::Followed { number, what } => self.followed(now, from.node, number, what, out),
            Message::Leads { voters, lineage } => self.hears_of_leader(now, from.node, voters, lineage, out),
            Message::Later { lineage } => self.hears_of_history(now, from.node, lineage),
            Message::Ask { number, request } => self.asked(now, from.node, number, *request, out),
            Message::Survey { number } => self.asked_for_survey(now, from.node, number, out),
            Message::Surveyed { number, survey } => self.surveyed(from.node, number, survey),
            Message::Answer { number, reply } => self.leader_answered(from.node, number, *reply, out),
        }
    }

    /// From now on this process has a session: whoever votes, to be handed something, and whoever wants something.
    pub(super) fn open_session(&mut self) {
        if let Some(life) = self.life.filter(|_| !core::mem::replace(&mut self.has_session, true)) {
            self.inbox.client(client::Event::Start { life });
        }
    }

    /// Whoever may be given a shard has a session: everybody, once commands about shards may be used.
    pub(super) fn open_session_for_shards(&mut self) {
        if !self.has_session && self.state().is_some_and(|state| state.activated() >= SHARDS) {
            self.open_session();
        }
    }

    /// Tells another node something, or this one.
    pub(super) fn send(&mut self, to: NodeId, message: Message, out: &mut impl Sink<Action>) {
        match self.life.filter(|life| life.node == to) {
            Some(life) => {
                if let Some(message) = self.own_gate.pass(message) {
                    self.inbox.push(Local::Heard(life, message));
                }
            }
            None => out.push(Action::Send { to, class: message.class(), message }),
        }
    }

    /// What this node has said to itself, and the disk has caught up with.
    pub(super) fn let_own_through(&mut self) {
        let Some(life) = self.life else { return };
        while let Some(message) = self.own_gate.next() {
            self.inbox.push(Local::Heard(life, message));
        }
    }

    /// Hands the group an event. What came with a new state is part of it; what its log says while this node goes by a
    /// copy is told to nobody.
    fn hand_to_group(&mut self, ctx: &mut Ctx<'_>, event: group::Event<State>, out: &mut impl Sink<Action>) {
        let had_state = self.group.state().is_some();
        let mut actions = core::mem::take(&mut self.scratch.group);
        self.group.handle(ctx, event, &mut actions);
        let is_restated = actions.iter().any(|action| matches!(action, group::Action::Restated));
        let is_first = !had_state && self.group.state().is_some();
        let returns = self.returns_to_its_log();
        let is_own = self.following.copy().is_none();
        let halts = actions.iter().any(|action| matches!(action, group::Action::Halted));
        let is_new = !halts && (returns || (is_own && (is_restated || is_first)));
        if is_new {
            self.restate(out);
        }
        for action in actions.drain(..) {
            self.group_asks(ctx, action, is_new || !is_own, out);
        }
        self.scratch.group = actions;
    }

    /// Another state than before: whoever knows of changes only is told what it amounts to.
    pub(super) fn restate(&mut self, out: &mut impl Sink<Action>) {
        let mut changes = Vec::new();
        if let Some(state) = self.state() {
            state.restate(&mut changes);
            out.push(Action::Epoch(state.cluster_epoch()));
        }
        out.push(Action::Restated);
        let changes: Box<[Change]> = changes.into();
        self.inbox.keeper(keeper::Event::Restated(changes.clone()));
        self.inbox.client(client::Event::Restated(changes));
        self.tell_voters();
    }

    fn group_asks(
        &mut self,
        ctx: &mut Ctx<'_>,
        action: group::Action<State>,
        is_known: bool,
        out: &mut impl Sink<Action>,
    ) {
        match action {
            group::Action::Send { to, class, message } => {
                out.push(Action::Send { to, class, message: Message::Group(message) });
            }
            group::Action::Write(record) => {
                self.own_gate.wrote(ctx.next_record);
                ctx.next_record = ctx.next_record.next();
                out.push(Action::Write(record));
            }
            group::Action::Reply(ticket, answer) => self.answered(ctx, ticket, answer, out),
            group::Action::Changed(_) if is_known => {}
            group::Action::Changed(change) => self.changed(change, out),
            // Done before all else.
            group::Action::Restated => {}
            group::Action::Members => self.tell_voters(),
            group::Action::Role(Role::Led { term }) => self.inbox.keeper(keeper::Event::Led { term }),
            group::Action::Role(Role::Ready { term }) => {
                self.inbox.keeper(keeper::Event::Ready { term });
                self.tending.begin(ctx.now, term);
                self.announce_leader(out);
            }
            group::Action::Role(Role::Deposed) => {
                self.inbox.keeper(keeper::Event::Deposed { leader: None });
                self.tending.end();
                self.stop_serving(out);
                self.give_up_waiting(out);
            }
            group::Action::Leader(leader) => {
                self.follow_leader(ctx.now, leader);
                self.tell_leader(leader);
                self.give_up_forwarded(ctx.now, out);
            }
            group::Action::Halted => self.stop_too_old(out),
            group::Action::Observe(observation) => out.push(Action::Observe(ControlObservation::Group(observation))),
        }
    }

    /// Something is committed, as this node learns in the order of the log.
    pub(super) fn changed(&mut self, change: Change, out: &mut impl Sink<Action>) {
        self.inbox.keeper(keeper::Event::Changed(change));
        self.inbox.client(client::Event::Changed(change));
        out.push(Action::Changed(change));
        if let Change::Epoch { lineage } = change {
            out.push(Action::Epoch(lineage.epoch));
            if self.tending.term().is_some() {
                self.announce_leader(out);
            }
        }
    }

    pub(super) fn tell_leader(&mut self, leader: Option<NodeId>) {
        self.leader = leader;
        if leader.is_none() || leader != self.life.map(|life| life.node) {
            self.inbox.keeper(keeper::Event::Deposed { leader });
        }
        self.inbox.client(client::Event::Leader(leader));
        self.inbox.commands(commands::Event::Leader(leader));
    }

    /// Who votes: as the group knows where this node is a member, else as the state has it on record.
    pub(super) fn voters(&self) -> Box<[NodeId]> {
        match (self.following.copy(), self.group.status()) {
            (None, Some(status)) => status.members.voters().map(|(_, voter)| voter.node).collect(),
            (copy, _) => copy.map(|copy| copy.voters().members.keys().copied().collect()).unwrap_or_default(),
        }
    }

    pub(super) fn tell_voters(&mut self) {
        self.look_up_membership();
        if self.is_member {
            self.open_session();
        }
        let voters = self.voters();
        self.inbox.client(client::Event::Voters(voters.clone()));
        self.inbox.commands(commands::Event::Voters(voters));
        self.tending.hurry();
    }

    fn keeper_asks(&mut self, action: keeper::Action, out: &mut impl Sink<Action>) {
        match action {
            // The group begins its round after it was asked; that its term is the keeper's, the keeper looks at.
            keeper::Action::BeginRound { term: _, round } => {
                self.ask_group(Purpose::Round(round), group::Request::Confirm);
            }
            keeper::Action::Propose { term, command } => {
                let ticket = self.desk.nobodys();
                self.propose(term, command, ticket);
            }
            keeper::Action::Send { to, message } => self.send(to, Message::Lease(message), out),
            keeper::Action::EpochKnown { epoch } => self.epoch_known(epoch, out),
            keeper::Action::Observe(observation) => out.push(Action::Observe(ControlObservation::Lease(observation))),
        }
    }

    fn client_asks(&mut self, action: client::Action, out: &mut impl Sink<Action>) {
        match action {
            client::Action::Send { to, mut message } => {
                if let lease::Message::Renew(renew) = &mut message {
                    renew.epoch = self.own_gate.settle(renew.epoch);
                }
                self.send(to, Message::Lease(message), out);
            }
            client::Action::Submit { ticket, command } => {
                self.inbox.commands(commands::Event::Submit { ticket: Asker::Client(ticket), command });
            }
            client::Action::Became { holding } => out.push(Action::Became(holding)),
            client::Action::Reissued { holding } => out.push(Action::Reissued(holding)),
            client::Action::Ceased { scope, token, cause } => out.push(Action::Ceased { scope, token, cause }),
            client::Action::Suspended => out.push(Action::Suspended),
            client::Action::Resumed { not_after } => out.push(Action::Resumed { not_after }),
            client::Action::Observe(observation) => out.push(Action::Observe(ControlObservation::Lease(observation))),
        }
    }

    fn commands_ask(&mut self, action: commands::Action<Asker>, out: &mut impl Sink<Action>) {
        match action {
            commands::Action::Send { to, message } => self.send(to, Message::Commands(message), out),
            commands::Action::Answered { ticket: Asker::Client(ticket), outcome } => {
                self.inbox.client(client::Event::Answered { ticket, outcome });
            }
            commands::Action::Answered { ticket: Asker::Sibling(ticket), outcome } => {
                out.push(Action::Executed { ticket, outcome });
            }
            commands::Action::Answered { ticket: Asker::Operator(who), outcome } => self.executed(who, outcome, out),
            commands::Action::Answered { ticket: Asker::Bump(who), outcome } => self.bumped(who, outcome, out),
        }
    }

    pub(super) fn hand_on(&mut self, ctx: &mut Ctx<'_>, local: Local, out: &mut impl Sink<Action>) {
        match local {
            Local::Heard(from, message) => self.hear(ctx.now, from, message, out),
            Local::Group(event) => self.hand_to_group(ctx, event, out),
            Local::Keeper(event) => {
                let mut actions = core::mem::take(&mut self.scratch.keeper);
                self.keeper.handle(ctx, event, &mut actions);
                actions.drain(..).for_each(|action| self.keeper_asks(action, out));
                self.scratch.keeper = actions;
            }
            Local::Client(event) => {
                let mut actions = core::mem::take(&mut self.scratch.client);
                self.client.handle(ctx, event, &mut actions);
                actions.drain(..).for_each(|action| self.client_asks(action, out));
                self.scratch.client = actions;
            }
            Local::Commands(event) => {
                let mut actions = core::mem::take(&mut self.scratch.commands);
                self.commands.handle(ctx, event, &mut actions);
                actions.drain(..).for_each(|action| self.commands_ask(action, out));
                self.scratch.commands = actions;
            }
        }
    }
}
