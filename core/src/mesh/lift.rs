//! What the machines ask for, as what the driver is asked for, or what siblings are told.

use super::errands::Errand;
use super::node::{Local, MeshNode};
use super::observation::MeshObservation;
use super::wire::{Message, OLDEST_VERSION, Record, Reply};
use crate::control::node as control;
use crate::epoch::ClusterEpoch;
use crate::machine::Sink;
use crate::membership;
use crate::node::{Output, Route, Visible};
use crate::shards::host as shards;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

pub(super) fn from_membership(action: membership::Action) -> Output<MeshNode> {
    match action {
        membership::Action::Send { to, class, message } => {
            Output::message(Route::direct(to, class), OLDEST_VERSION, Message::Membership(message))
        }
        membership::Action::Write(record) => {
            Output::Write { version: OLDEST_VERSION, record: Record::Membership(record) }
        }
        membership::Action::Reply(id, reply) => Output::reply(id, Reply::Membership(reply)),
        membership::Action::Seek => Output::Seek,
        membership::Action::Locate(node, endpoint) => Output::Locate { node, endpoint },
        membership::Action::Forget(node) => Output::Forget(node),
        membership::Action::Keyring(change) => Output::Keyring(change),
        membership::Action::Observe(observation) => Output::Observe(MeshObservation::Membership(observation)),
    }
}

/// Takes what shards ask for.
pub(super) struct ShardsSink<'a, S> {
    pub(super) out: &'a mut S,
    pub(super) errands: &'a mut VecDeque<Errand>,
}

impl<S: Sink<Output<MeshNode>>> Sink<shards::Action> for ShardsSink<'_, S> {
    fn push(&mut self, action: shards::Action) {
        self.out.push(match action {
            shards::Action::Send { to, message, not_after } => {
                let (route, message) = (Route::direct(to, message.class()), Message::Shards(message));
                let version = message.version();
                Output::Show { what: Visible::Message { route, version, message }, not_after }
            }
            shards::Action::Write(record) => {
                let record = Record::Shards(record);
                Output::Write { version: record.version(), record }
            }
            shards::Action::Reply { id, reply, not_after } => {
                Output::Show { what: Visible::Reply { id, reply: Reply::Shards(reply) }, not_after }
            }
            shards::Action::Told { ticket, reply } => return self.errands.push_back(Errand::Told { ticket, reply }),
            shards::Action::Command { ticket, command } => Output::Local(Local::Command { ticket, command }),
            shards::Action::Observe(observation) => Output::Observe(MeshObservation::Shards(observation)),
            shards::Action::Keep { object, bytes } => Output::Keep { object, bytes },
            shards::Action::Fetch { object } => Output::Fetch { object },
            shards::Action::Discard { object } => Output::Discard { object },
            shards::Action::ListObjects { after } => Output::ListObjects { after },
        });
    }
}

/// Takes what the control group asks for. Its epoch is for the fence, once the group has written all it has to; who is
/// there to be told something, membership knows.
pub(super) struct ControlSink<'a, S> {
    pub(super) out: &'a mut S,
    pub(super) epoch: Option<ClusterEpoch>,
    /// For every other member.
    pub(super) announced: Option<control::Message>,
    pub(super) for_shards: &'a mut Vec<shards::Event>,
}

impl<S: Sink<Output<MeshNode>>> Sink<control::Action> for ControlSink<'_, S> {
    fn push(&mut self, action: control::Action) {
        self.out.push(match action {
            control::Action::Send { to, class, message } => {
                Output::message(Route::direct(to, class), OLDEST_VERSION, Message::Control(message))
            }
            control::Action::Write(record) => {
                Output::Write { version: OLDEST_VERSION, record: Record::Control(record) }
            }
            control::Action::Reply(id, reply) => Output::reply(id, Reply::Control(reply)),
            control::Action::Observe(observation) => Output::Observe(MeshObservation::Control(observation)),
            control::Action::Epoch(epoch) => {
                self.epoch = self.epoch.max(Some(epoch));
                return;
            }
            control::Action::Announce(message) => {
                self.announced = Some(message);
                return;
            }
            control::Action::Executed { ticket, outcome } => {
                return self.for_shards.push(shards::Event::Executed { ticket, outcome });
            }
            control::Action::Changed(change) => {
                if shards::Event::concerns(&change) {
                    self.for_shards.push(shards::Event::Changed(change));
                }
                return;
            }
            control::Action::Restated => return self.for_shards.push(shards::Event::Restated),
            // For siblings that act under leases. The fence asks by itself.
            control::Action::Became(_)
            | control::Action::Reissued(_)
            | control::Action::Ceased { .. }
            | control::Action::Suspended
            | control::Action::Resumed { .. } => return,
        });
    }
}
