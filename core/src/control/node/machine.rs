//! Events, actions, and every wire between the machines, on one page.

use super::desk::{Asker, Desk, Purpose};
use super::inbox::{Inbox, Local};
use super::observation::ControlObservation;
use super::operators::Waiting;
use super::settings::Settings;
use super::tend::Tending;
use super::view::{Reply, Request};
use super::wire::{Message, Record};
use crate::control::commands::{self, Commands};
use crate::control::group::{self, Group, Role, Voter};
use crate::control::state::{Change, Scope, State};
use crate::envelope::Class;
use crate::epoch::{ClusterEpoch, FenceToken};
use crate::identity::{Incarnation, NodeId, RequestId};
use crate::lease::client::{CeaseCause, Holding};
use crate::lease::{self, Client, Keeper, client, keeper};
use crate::machine::{Ctx, Machine, Sink};
use crate::record::Sequence;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// What can happen.
#[derive(Clone, Debug)]
pub enum Event {
    /// The node may speak.
    Start {
        /// The life that begins.
        life: Incarnation,
    },
    /// A deadline may have passed.
    Wake,
    /// Another node says something.
    Message {
        /// Who, as its packet names it.
        from: Incarnation,
        /// What.
        message: Message,
    },
    /// Records up to this one are durable.
    Durable(Sequence),
    /// An operator or a sibling asks.
    Request(RequestId, Request),
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell another node something. [`Message::gating`] says whether the gate holds it.
    Send {
        /// Whom.
        to: NodeId,
        /// On which lane.
        class: Class,
        /// What.
        message: Message,
    },
    /// Remember something.
    Write(Record),
    /// Answer a request.
    Reply(RequestId, Reply),
    /// This node holds a scope from now on.
    Became(Holding),
    /// It holds it under a newer token: nothing more is to be written under the one before.
    Reissued(Holding),
    /// It does not hold a scope any more.
    Ceased {
        /// Which.
        scope: Scope,
        /// Under which token it did.
        token: FenceToken,
        /// Why.
        cause: CeaseCause,
    },
    /// Whether its session lives is not known: nothing is to be done under any lease.
    Suspended,
    /// It lives.
    Resumed {
        /// The last instant, as known now.
        not_after: Time,
    },
    /// The cluster's epoch: acceptors accept nothing under an older one.
    Epoch(ClusterEpoch),
    /// Let operators see something.
    Observe(ControlObservation),
}

/// The control group on one node.
pub struct Control {
    pub(super) settings: Settings,
    pub(super) life: Option<Incarnation>,
    pub(super) leader: Option<NodeId>,
    pub(super) group: Group<State>,
    pub(super) keeper: Keeper,
    pub(super) client: Client,
    pub(super) commands: Commands<Asker>,
    /// Members of the group, as applied here.
    pub(super) seats: BTreeSet<Voter>,
    pub(super) desk: Desk,
    pub(super) waiting: Waiting,
    pub(super) tending: Tending,
    pub(super) inbox: Inbox,
}

impl Control {
    /// A process that has not read its journal yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            life: None,
            leader: None,
            group: Group::new(settings.group.clone()),
            keeper: Keeper::new(settings.lease),
            client: Client::new(settings.lease),
            commands: Commands::new(settings.command_retry()),
            seats: BTreeSet::new(),
            desk: Desk::default(),
            waiting: Waiting::default(),
            tending: Tending::default(),
            inbox: Inbox::default(),
            settings,
        }
    }

    /// Takes a record back after a restart.
    pub fn replay(&mut self, record: Record) {
        self.group.replay(record);
    }

    /// What is committed, as of the last entry applied here. `None` on a node that has no copy.
    pub fn state(&self) -> Option<&State> {
        self.group.state()
    }

    /// Which scopes this node may act for: for siblings, who ask before each use.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How the group looks from here, on a member.
    pub fn group(&self) -> Option<group::Status> {
        self.group.status()
    }

    fn start(&mut self, life: Incarnation) {
        self.life = Some(life);
        self.inbox.group(group::Event::Start { life });
        self.inbox.client(client::Event::Start { life });
        self.inbox.commands(commands::Event::Start { life });
    }

    /// Wakes whoever is due, the group first.
    fn wake(&mut self, now: Time) {
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
        self.tend(now);
    }

    /// A message, to the machine that it is for.
    fn hear(&mut self, from: Incarnation, message: Message, out: &mut impl Sink<Action>) {
        match message {
            Message::Group(message) => self.inbox.group(group::Event::Message { from, message }),
            Message::Lease(lease::Message::Renew(_)) if !self.may_hold(from) => {}
            Message::Lease(lease::Message::Renew(renew)) => self.inbox.keeper(keeper::Event::Renewal { from, renew }),
            Message::Lease(message) => self.inbox.client(client::Event::Message { from: from.node, message }),
            Message::Commands(commands::Message::Propose { number, entry }) => {
                self.take_entry(from, number, entry, out);
            }
            Message::Commands(message) => {
                self.inbox.commands(commands::Event::Message { from: from.node, message });
            }
        }
    }

    /// Tells another node something, or this one.
    pub(super) fn send(&mut self, to: NodeId, message: Message, out: &mut impl Sink<Action>) {
        match self.life.filter(|life| life.node == to) {
            Some(life) => self.inbox.push(Local::Heard(life, message)),
            None => out.push(Action::Send { to, class: Class::Control, message }),
        }
    }

    /// Hands the group an event. What came with a new state is part of it.
    fn to_group(&mut self, ctx: &mut Ctx<'_>, event: group::Event<State>, out: &mut impl Sink<Action>) {
        let had_state = self.group.state().is_some();
        let mut actions = Vec::new();
        self.group.handle(ctx, event, &mut actions);
        let is_restated = actions.iter().any(|action| matches!(action, group::Action::Restated));
        let is_new = is_restated || (!had_state && self.group.state().is_some());
        if is_new {
            self.restate(out);
        }
        for action in actions {
            self.from_group(ctx, action, is_new, out);
        }
    }

    /// Another state than before: whoever knows of changes only is told what it amounts to.
    fn restate(&mut self, out: &mut impl Sink<Action>) {
        let mut changes = Vec::new();
        if let Some(state) = self.group.state() {
            state.restate(&mut changes);
            out.push(Action::Epoch(state.cluster_epoch()));
        }
        let changes: Box<[Change]> = changes.into();
        self.inbox.keeper(keeper::Event::Restated(changes.clone()));
        self.inbox.client(client::Event::Restated(changes));
        self.tell_voters();
    }

    fn from_group(
        &mut self,
        ctx: &mut Ctx<'_>,
        action: group::Action<State>,
        is_new: bool,
        out: &mut impl Sink<Action>,
    ) {
        match action {
            group::Action::Send { to, class, message } => {
                out.push(Action::Send { to, class, message: Message::Group(message) });
            }
            group::Action::Write(record) => {
                ctx.next_record = ctx.next_record.next();
                out.push(Action::Write(record));
            }
            group::Action::Reply(ticket, answer) => self.answered(ctx, ticket, answer, out),
            group::Action::Changed(_) if is_new => {}
            group::Action::Changed(change) => {
                self.inbox.keeper(keeper::Event::Changed(change));
                self.inbox.client(client::Event::Changed(change));
                if let Change::Epoch { lineage } = change {
                    out.push(Action::Epoch(lineage.epoch));
                }
            }
            // Done before all else.
            group::Action::Restated => {}
            group::Action::Members => self.tell_voters(),
            group::Action::Role(Role::Led { term }) => self.inbox.keeper(keeper::Event::Led { term }),
            group::Action::Role(Role::Ready { term }) => {
                self.inbox.keeper(keeper::Event::Ready { term });
                self.tending.begin(ctx.now, term);
            }
            group::Action::Role(Role::Deposed) => {
                self.inbox.keeper(keeper::Event::Deposed { leader: None });
                self.tending.end();
                self.give_up_waiting(out);
            }
            group::Action::Leader(leader) => self.tell_leader(leader),
            group::Action::Observe(observation) => out.push(Action::Observe(ControlObservation::Group(observation))),
        }
    }

    fn tell_leader(&mut self, leader: Option<NodeId>) {
        self.leader = leader;
        if leader.is_none() || leader != self.life.map(|life| life.node) {
            self.inbox.keeper(keeper::Event::Deposed { leader });
        }
        self.inbox.client(client::Event::Leader(leader));
        self.inbox.commands(commands::Event::Leader(leader));
    }

    fn tell_voters(&mut self) {
        let Some(status) = self.group.status() else { return };
        self.seats = status.members.iter().map(|(_, voter)| voter).collect();
        if self.life.is_some_and(|life| !self.is_seated(life)) {
            // From here on it learns of no grant: it stops for good, and holds again as another process.
            self.inbox.client(client::Event::Ask(client::Ask::Close));
        }
        let voters: Box<[NodeId]> = status.members.voters().map(|(_, voter)| voter.node).collect();
        self.inbox.client(client::Event::Voters(voters.clone()));
        self.inbox.commands(commands::Event::Voters(voters));
        self.tending.hurry();
    }

    fn from_keeper(&mut self, action: keeper::Action, out: &mut impl Sink<Action>) {
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

    fn from_client(&mut self, action: client::Action, out: &mut impl Sink<Action>) {
        match action {
            client::Action::Send { to, message } => self.send(to, Message::Lease(message), out),
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

    fn from_commands(&mut self, action: commands::Action<Asker>, out: &mut impl Sink<Action>) {
        match action {
            commands::Action::Send { to, message } => self.send(to, Message::Commands(message), out),
            commands::Action::Answered { ticket: Asker::Client(ticket), outcome } => {
                self.inbox.client(client::Event::Answered { ticket, outcome });
            }
            commands::Action::Answered { ticket: Asker::Operator(id), outcome } => executed(id, outcome, out),
            commands::Action::Answered { ticket: Asker::Bump(id), outcome } => self.bumped(id, outcome, out),
        }
    }

    fn to_sibling(&mut self, ctx: &mut Ctx<'_>, local: Local, out: &mut impl Sink<Action>) {
        match local {
            Local::Heard(from, message) => self.hear(from, message, out),
            Local::Group(event) => self.to_group(ctx, event, out),
            Local::Keeper(event) => {
                let mut actions = Vec::new();
                self.keeper.handle(ctx, event, &mut actions);
                actions.into_iter().for_each(|action| self.from_keeper(action, out));
            }
            Local::Client(event) => {
                let mut actions = Vec::new();
                self.client.handle(ctx, event, &mut actions);
                actions.into_iter().for_each(|action| self.from_client(action, out));
            }
            Local::Commands(event) => {
                let mut actions = Vec::new();
                self.commands.handle(ctx, event, &mut actions);
                actions.into_iter().for_each(|action| self.from_commands(action, out));
            }
        }
    }
}

/// Tells an operator what became of a command.
pub(super) fn executed(id: RequestId, outcome: Option<crate::control::state::Outcome>, out: &mut impl Sink<Action>) {
    let reply = outcome.map_or(Reply::Refused(super::Refusal::Unknown), Reply::Executed);
    out.push(Action::Reply(id, reply));
}

impl Machine for Control {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Event, out: &mut impl Sink<Action>) {
        match event {
            Event::Start { life } => self.start(life),
            Event::Wake => self.wake(ctx.now),
            Event::Message { from, message } if self.life.is_some() => self.hear(from, message, out),
            // Whoever does not speak yet need not listen.
            Event::Message { .. } => {}
            Event::Durable(upto) => self.inbox.group(group::Event::Durable(upto)),
            Event::Request(id, request) => self.request(id, request, out),
        }
        while let Some(local) = self.inbox.next() {
            self.to_sibling(ctx, local, out);
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        let machines = [
            self.group.next_deadline(),
            self.keeper.next_deadline(),
            self.client.next_deadline(),
            self.commands.next_deadline(),
        ];
        machines.into_iter().chain([self.tending.next_deadline()]).flatten().min()
    }
}
