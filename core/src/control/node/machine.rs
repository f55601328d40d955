//! Events, actions, and the one dispatcher.

use super::backup::Backup;
use super::desk::{Asker, Desk};
use super::follow::Follower;
use super::forward::{Forwarded, Who};
use super::inbox::Inbox;
use super::observation::ControlObservation;
use super::operators::Waiting;
use super::own_gate::OwnGate;
use super::recover::Recovering;
use super::serve::Serving;
use super::settings::Settings;
use super::tend::Tending;
use super::versions::Builds;
use super::view::{Reply, Request};
use super::wire::{Message, Record};
use crate::codec::BodyVersion;
use crate::control::commands::{self, Commands};
use crate::control::group::{self, Group};
use crate::control::state::{Change, Command, Outcome, Scope, State};
use crate::envelope::Class;
use crate::epoch::{ClusterEpoch, FenceToken};
use crate::identity::{Incarnation, NodeId, RequestId};
use crate::lease::client::{CeaseCause, Holding};
use crate::lease::{Client, Keeper, client, keeper};
use crate::machine::{Ctx, Machine, Sink};
use crate::record::Sequence;
use crate::time::Time;
use alloc::boxed::Box;
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
        /// The newest version that its build understands, as its packet says.
        speaks: BodyVersion,
        /// What.
        message: Message,
    },
    /// Records up to this one are durable.
    Durable(Sequence),
    /// The records before this one are to be given up: what is needed of them is to be written again. Told as often as it
    /// takes.
    Checkpoint(Sequence),
    /// An operator or a sibling asks.
    Request(RequestId, Request),
    /// A sibling wants a command executed, once, in the name of this process.
    Submit {
        /// To be named when it is.
        ticket: u64,
        /// What.
        command: Box<Command>,
    },
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
    /// Tell every other member of the mesh.
    Announce(Message),
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
    /// This became of a sibling's command; nothing where that is not known.
    Executed {
        /// Which.
        ticket: u64,
        /// How it ended.
        outcome: Option<Outcome>,
    },
    /// Something is committed, as this node learns in the order of the log.
    Changed(Change),
    /// All that is committed may be different.
    Restated,
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
    /// Whether this process runs on a member of the group.
    pub(super) is_member: bool,
    /// Whether this process asks for a session.
    pub(super) has_session: bool,
    pub(super) following: Follower,
    pub(super) serving: Serving,
    pub(super) desk: Desk,
    pub(super) waiting: Waiting,
    pub(super) forwarded: Forwarded,
    pub(super) tending: Tending,
    pub(super) builds: Builds,
    /// What the cluster uses needs a newer build: this process takes no part any more.
    pub(super) is_too_old: bool,
    pub(super) inbox: Inbox,
    pub(super) own_gate: OwnGate,
    pub(super) backup: Backup,
    pub(super) recovering: Recovering,
    pub(super) scratch: Scratch,
}

/// What a machine asks for, while it is looked at. Empty between events; kept, so that none needs new memory.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) group: Vec<group::Action<State>>,
    pub(super) keeper: Vec<keeper::Action>,
    pub(super) client: Vec<client::Action>,
    pub(super) commands: Vec<commands::Action<Asker>>,
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
            is_member: false,
            has_session: false,
            following: Follower::default(),
            serving: Serving::default(),
            desk: Desk::default(),
            waiting: Waiting::default(),
            forwarded: Forwarded::default(),
            tending: Tending::default(),
            builds: Builds::default(),
            is_too_old: false,
            inbox: Inbox::default(),
            own_gate: OwnGate::default(),
            backup: Backup::default(),
            recovering: Recovering::default(),
            scratch: Scratch::default(),
            settings,
        }
    }

    /// Takes a record back after a restart.
    pub fn replay(&mut self, record: Record) {
        self.group.replay(record);
    }

    /// Whether everything that is needed of the records before `cut` was written again.
    pub fn has_checkpoint(&self, cut: Sequence) -> bool {
        self.group.has_checkpoint(cut)
    }

    /// What is committed, as far as this node knows. `None` where it knows of no group.
    pub fn state(&self) -> Option<&State> {
        self.following.copy().or(self.group.state())
    }

    /// Which scopes this node may act for: for siblings, who ask before each use.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How the group looks from here, on a member.
    pub fn group(&self) -> Option<group::Status> {
        self.group.status()
    }
}

impl Machine for Control {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Event, out: &mut impl Sink<Action>) {
        self.own_gate.wrote(ctx.next_record.before());
        match event {
            Event::Start { life } => {
                self.own_gate.begin(ctx.next_record.before());
                self.start(life);
            }
            Event::Wake => {
                self.wake(ctx.now, out);
                // Last: what this node goes by is another log from here on.
                self.end_survey(ctx, out);
            }
            Event::Message { from, speaks, message } if self.life.is_some() => {
                self.builds.hears(ctx.now, from.node, speaks);
                self.hear(ctx.now, from, message, out);
            }
            // Whoever does not speak yet need not listen.
            Event::Message { .. } => {}
            Event::Durable(upto) => {
                self.own_gate.durable(upto);
                self.inbox.group(group::Event::Durable(upto));
                self.let_own_through();
            }
            Event::Checkpoint(cut) => self.inbox.group(group::Event::Checkpoint(cut)),
            Event::Request(id, request) => self.request(ctx.now, Who::Here(id), request, out),
            Event::Submit { ticket, command } => {
                self.inbox.commands(commands::Event::Submit { ticket: Asker::Sibling(ticket), command: *command });
            }
        }
        self.open_session_for_shards();
        while let Some(local) = self.inbox.next() {
            self.hand_on(ctx, local, out);
        }
        self.serve_waiting(ctx.now, out);
    }

    fn next_deadline(&self) -> Option<Time> {
        let machines = [
            self.group.next_deadline(),
            self.keeper.next_deadline(),
            self.client.next_deadline(),
            self.commands.next_deadline(),
        ];
        machines
            .into_iter()
            .chain([
                self.tending.next_deadline(),
                self.forwarded.next_deadline(),
                self.serving.next_deadline(),
                self.recovering.next_deadline(),
                self.follow_deadline(),
            ])
            .flatten()
            .min()
    }
}
