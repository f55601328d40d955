//! What shards, the desk and the worker have for one another: worked off before the event is over, one after the other, so that
//! none of them is called while it is at something.

use super::node::MeshNode;
use super::wire::{Message, Reply};
use crate::control::node::Control;
use crate::control::state::{SHARDS, SessionId, State};
use crate::envelope::Class;
use crate::epoch::{Epoch, FenceToken};
use crate::identity::{Incarnation, NodeId, RequestId};
use crate::machine::{Ctx, Sink};
use crate::node::{Output, Route, Visible};
use crate::replication::Standing;
use crate::shards::ShardId;
use crate::shards::host::{self as shards, Host};
use crate::shards::state::ShardState;
use crate::task::desk;
use crate::task::id::StepKey;
use crate::task::tasks::Tasks;
use crate::task::wire;
use crate::task::worker;
use crate::task::worker::view::RunKey;
use crate::time::Time;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Whose question it is, by the last bit of its ticket.
const OF_WORKER: u64 = 1;

/// Something for a sibling.
#[derive(Debug)]
pub(super) enum Errand {
    /// A shard is asked something.
    Ask { ticket: u64, request: shards::Request },
    /// What that has come to.
    Told { ticket: u64, reply: shards::Reply },
    /// A worker or an owner says something.
    Heard { from: Incarnation, message: wire::Message },
    /// The session of a process has ended.
    Gone(Incarnation, SessionId),
    /// A deadline of the desk has passed.
    WakeDesk,
    /// A deadline of the worker has passed.
    WakeWorker,
}

/// What the desk sees.
struct DeskSees<'a> {
    shards: &'a Host<ShardState>,
    control: &'a Control,
    now: Time,
}

impl desk::Sees for DeskSees<'_> {
    fn serving(&self, shard: &ShardId) -> Option<(&Tasks, Epoch)> {
        let replica = self.shards.replica(shard)?;
        match replica.standing() {
            Standing::Serving(epoch) => Some((replica.service().service().tasks(), epoch)),
            _ => None,
        }
    }

    fn state(&self) -> Option<&State> {
        self.control.state()
    }

    fn view(&self) -> Option<Time> {
        self.control.client().not_after(self.now)
    }
}

impl MeshNode {
    /// Whose deadline has passed is woken.
    pub(super) fn wake_tasks(&mut self, ctx: &Ctx<'_>) {
        let is_due = |at: Option<Time>| at.is_some_and(|at| at <= ctx.now);
        self.errands.extend(is_due(self.desk.next_deadline()).then_some(Errand::WakeDesk));
        self.errands.extend(is_due(self.worker.next_deadline()).then_some(Errand::WakeWorker));
    }

    /// Works off what siblings have for one another.
    pub(super) fn run_errands(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Output<Self>>) {
        loop {
            if let Some(errand) = self.errands.pop_front() {
                self.run_errand(ctx, errand, out);
            } else if let Some(shard) = self.shards.next_touched() {
                self.at_desk(ctx, out, |desk, ctx, sees, sink| desk.look(ctx, sees, shard, sink));
            } else {
                return;
            }
        }
    }

    fn run_errand(&mut self, ctx: &mut Ctx<'_>, errand: Errand, out: &mut impl Sink<Output<Self>>) {
        match errand {
            Errand::Ask { ticket, request } => self.tell_shards(ctx, shards::Event::Ask { ticket, request }, out),
            Errand::Told { ticket, reply } if ticket & OF_WORKER == 0 => {
                self.at_desk(ctx, out, |desk, ctx, sees, sink| desk.told(ctx, sees, ticket >> 1, &reply, sink));
            }
            Errand::Told { ticket, reply } => {
                self.at_work(ctx, worker::Event::Told { ticket: ticket >> 1, reply }, out);
            }
            Errand::Heard { from, message: wire::Message::Beat(beat) } => {
                self.at_desk(ctx, out, |desk, ctx, sees, sink| desk.beat(ctx, sees, from, *beat, sink));
            }
            Errand::Heard { from, message: wire::Message::AskOffers { number, after } } => {
                self.at_desk(ctx, out, |desk, _, _, sink| desk.asks(from.node, number, after, sink));
            }
            Errand::Heard { message: wire::Message::Offers { number, offers, next }, .. } => {
                self.at_desk(ctx, out, |desk, _, _, sink| desk.tells(number, offers, next, sink));
            }
            Errand::Heard { from, message } => {
                self.at_work(ctx, worker::Event::Heard(from.node, message), out);
            }
            Errand::Gone(process, session) => {
                self.at_desk(ctx, out, |desk, _, sees, sink| desk.gone(sees, (process, session), sink));
            }
            Errand::WakeDesk => self.at_desk(ctx, out, |desk, ctx, sees, sink| desk.wake(ctx, sees, sink)),
            Errand::WakeWorker => self.at_work(ctx, worker::Event::Wake, out),
        }
    }

    fn at_desk<S: Sink<Output<Self>>>(
        &mut self,
        ctx: &mut Ctx<'_>,
        out: &mut S,
        act: impl FnOnce(&mut desk::Desk, &Ctx<'_>, &DeskSees<'_>, &mut TasksSink<'_, S>),
    ) {
        let sees = DeskSees { shards: &self.shards, control: &self.control, now: ctx.now };
        act(&mut self.desk, ctx, &sees, &mut TasksSink { out, errands: &mut self.errands, own: self.life });
    }

    /// How far attempts say they are, as far as this node knows.
    pub(super) fn progress_of(
        &self,
        shard: ShardId,
        attempts: &[(StepKey, FenceToken)],
    ) -> Vec<Option<wire::Progress>> {
        let known = |(step, fence): &(StepKey, FenceToken)| {
            let (step, fence) = (*step, *fence);
            let own = || self.worker.progress_of(&RunKey { shard, step, fence });
            self.desk.progress_of(&shard, step, fence).or_else(own).cloned()
        };
        attempts.iter().take(wire::PROGRESS_MAX).map(known).collect()
    }

    /// People ask the desk something.
    pub(super) fn ask_desk(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: RequestId,
        request: desk::Question,
        out: &mut impl Sink<Output<Self>>,
    ) {
        self.at_desk(ctx, out, |desk, ctx, _, sink| desk.request(ctx, id, request, sink));
    }

    /// Tells the worker something.
    pub(super) fn at_work(&mut self, ctx: &mut Ctx<'_>, event: worker::Event, out: &mut impl Sink<Output<Self>>) {
        let client = self.control.client();
        let (view, session) = (client.not_after(ctx.now), client.session());
        let sees = worker::Sees { state: self.control.state(), view, session };
        self.worker.handle(ctx, sees, event, &mut TasksSink { out, errands: &mut self.errands, own: self.life });
    }
}

/// Takes what the desk and the worker ask for.
struct TasksSink<'a, S> {
    out: &'a mut S,
    errands: &'a mut VecDeque<Errand>,
    own: Option<Incarnation>,
}

impl<S: Sink<Output<MeshNode>>> TasksSink<'_, S> {
    /// To another node; or to a sibling, where that is meant.
    fn send(&mut self, to: NodeId, message: wire::Message, not_after: Option<Time>) {
        if let Some(from) = self.own.filter(|own| own.node == to) {
            return self.errands.push_back(Errand::Heard { from, message });
        }
        let (route, message) = (Route::direct(to, Class::Control), Message::Tasks(message));
        self.out.push(Output::Show { what: Visible::Message { route, version: SHARDS, message }, not_after });
    }
}

impl<S: Sink<Output<MeshNode>>> Sink<desk::Action> for TasksSink<'_, S> {
    fn push(&mut self, action: desk::Action) {
        match action {
            desk::Action::Ask { ticket, request } => {
                self.errands.push_back(Errand::Ask { ticket: ticket << 1, request });
            }
            desk::Action::Reply { id, reply } => self.out.push(Output::reply(id, Reply::Desk(reply))),
            desk::Action::Send { to, message, not_after } => self.send(to, message, not_after),
        }
    }
}

impl<S: Sink<Output<MeshNode>>> Sink<worker::Action> for TasksSink<'_, S> {
    fn push(&mut self, action: worker::Action) {
        match action {
            worker::Action::Ask { ticket, request } => {
                self.errands.push_back(Errand::Ask { ticket: ticket << 1 | OF_WORKER, request });
            }
            worker::Action::Send { to, message } => self.send(to, message, None),
            worker::Action::Reply { id, reply } => self.out.push(Output::reply(id, Reply::Work(reply))),
        }
    }
}
