//! What one machine means for another: kept in order, and done before the event is over.

use super::desk::Asker;
use super::wire::Message;
use crate::control::state::State;
use crate::control::{commands, group};
use crate::identity::Incarnation;
use crate::lease::{client, keeper};
use alloc::collections::VecDeque;

/// Steps within one event that do not come from the log. What comes from it is bounded by how much the group applies in
/// one step; any of these can lead to a few others and no more, so that reaching the limit is a defect here.
const STEPS_MAX: u32 = 1 << 16;

/// An event for a machine of this node.
pub(super) enum Local {
    Group(group::Event<State>),
    Keeper(keeper::Event),
    Client(client::Event),
    Commands(commands::Event<Asker>),
    /// A message, of this node or another.
    Heard(Incarnation, Message),
}

/// What is still to be done within this event. Empty between events.
#[derive(Default)]
pub(super) struct Inbox {
    locals: VecDeque<Local>,
    steps: u32,
}

impl Inbox {
    pub(super) fn push(&mut self, local: Local) {
        self.locals.push_back(local);
    }

    pub(super) fn group(&mut self, event: group::Event<State>) {
        self.push(Local::Group(event));
    }

    pub(super) fn keeper(&mut self, event: keeper::Event) {
        self.push(Local::Keeper(event));
    }

    pub(super) fn client(&mut self, event: client::Event) {
        self.push(Local::Client(event));
    }

    pub(super) fn commands(&mut self, event: commands::Event<Asker>) {
        self.push(Local::Commands(event));
    }

    /// What comes next; nothing when the event is over.
    pub(super) fn next(&mut self) -> Option<Local> {
        let Some(local) = self.locals.pop_front() else {
            self.steps = 0;
            return None;
        };
        let is_logged =
            matches!(local, Local::Keeper(keeper::Event::Changed(_)) | Local::Client(client::Event::Changed(_)));
        self.steps += u32::from(!is_logged);
        assert!(self.steps <= STEPS_MAX, "the machines of one node do not come to an end");
        Some(local)
    }
}
