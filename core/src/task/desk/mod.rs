//! Who gives work out: for each shard that this node owns, when an entry is to be written that nobody asks for, who is told
//! that there is something to do, and which claims live.
//!
//! What is here is the owner's alone, and lost with it: a successor gives each claim its time in full (rule T4a), looks at what
//! is due, and hears from each worker within a beat. All that must not be lost is in the log.
//!
//! | file | holds |
//! | --- | --- |
//! | `duty` | what there is to do for one shard |
//! | `courier` | what one shard says to others |
//! | `recurring` | what has become due of one shard's schedules |
//! | `wants` | workers that could do more |
//! | `asked` | who they are, when people ask |
//!
//! Absent on purpose: what is given to whom, which is decided where the claim is applied ([`tasks`](crate::task::tasks)).

mod asked;
mod courier;
mod duty;
mod recurring;
#[cfg(test)]
mod tests;
mod wants;

pub use self::asked::{Reply as Told, Request as Question};

use self::duty::{Duty, Wish};
use self::wants::Wants;
use super::answer::Answer;
use super::command::{Claim, Command, Ended, Outcome};
use super::id::StepKey;
use super::settings::Settings;
use super::tasks::Tasks;
use super::wire::{Beat, Message, Progress};
use crate::codec::decode_value;
use crate::control::state::{SessionId, State};
use crate::epoch::{Epoch, FenceToken};
use crate::identity::{Incarnation, NodeId, RequestId};
use crate::machine::{Ctx, Sink};
use crate::shards::ShardId;
use crate::shards::host::{Reply, Request};
use crate::shards::state::task_command;
use crate::time::{Duration, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// What the desk sees of its siblings.
pub trait Sees {
    /// The tasks of a shard that this node owns and serves, and under which epoch.
    fn serving(&self, shard: &ShardId) -> Option<(&Tasks, Epoch)>;
    /// The node's copy of the control state.
    fn state(&self) -> Option<&State>;
    /// The last instant of the node's view of its session.
    fn view(&self) -> Option<Time>;
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask something of a shard, and say what it comes to.
    Ask {
        /// To be named then.
        ticket: u64,
        /// What.
        request: Request,
    },
    /// Tell a worker something.
    Send {
        /// The node of the worker.
        to: NodeId,
        /// What.
        message: Message,
        /// The last instant at which it may leave.
        not_after: Option<Time>,
    },
    /// Answer people.
    Reply {
        /// Which question.
        id: RequestId,
        /// How.
        reply: Told,
    },
}

/// The desk of one node.
#[derive(Clone, Debug)]
pub struct Desk {
    settings: Settings,
    duties: BTreeMap<ShardId, Duty>,
    /// When something is due in a shard, in order.
    due: BTreeSet<(Time, ShardId)>,
    wants: Wants,
    /// What was asked, for which shard, and under which epoch of it.
    tickets: BTreeMap<u64, (ShardId, Epoch, Wish)>,
    last_ticket: u64,
    /// When all shards are looked at next.
    look_at: Option<Time>,
    /// Questions of people to other nodes, and until when they wait.
    asked: BTreeMap<u64, (RequestId, Time)>,
    last_asked: u64,
}

impl Desk {
    /// Of a process that owns nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            duties: BTreeMap::new(),
            due: BTreeSet::new(),
            wants: Wants::default(),
            tickets: BTreeMap::new(),
            last_ticket: 0,
            look_at: None,
            asked: BTreeMap::new(),
            last_asked: 0,
        }
    }

    /// When this machine has to be woken.
    pub fn next_deadline(&self) -> Option<Time> {
        let asked = self.asked.first_key_value().map(|(_, (_, until))| *until);
        self.due.first().map(|(at, _)| *at).into_iter().chain(self.look_at).chain(asked).min()
    }

    /// Something has happened in a shard: it was told something, or its owner is another.
    pub fn look(&mut self, ctx: &Ctx<'_>, sees: &impl Sees, shard: ShardId, out: &mut impl Sink<Action>) {
        let Some((tasks, epoch)) = sees.serving(&shard) else { return self.forget(shard) };
        if self.duties.get(&shard).is_none_or(|duty| duty.epoch != epoch) {
            let duty = Duty::new(epoch, ctx.now, &self.settings, tasks, sees.state());
            self.forget(shard);
            self.duties.insert(shard, duty);
            self.look_at.get_or_insert(ctx.now);
        }
        let Some(duty) = self.duties.get_mut(&shard) else { return };
        let (mut wishes, was_due) = (Vec::new(), duty.due_at);
        duty.look(ctx.now, ctx.wall, tasks, &mut wishes);
        let shards = sees.state().and_then(|state| state.shard(&shard)).map(|record| record.of);
        let errands = shards.map(|shards| duty.send(ctx.now, shard, shards, tasks)).unwrap_or_default();
        let fires = duty.recur(ctx.now, ctx.wall, tasks);
        let due_at = duty.due_at;
        // Nobody else has become hungry, and nothing else is ready: there is nothing new to tell.
        let news = (tasks.newest_ready(), self.wants.version());
        if core::mem::replace(&mut duty.told, news) != news {
            self.wants.offer(shard, tasks, out);
        }
        self.is_due(shard, was_due, due_at);
        self.ask(shard, wishes, out);
        for (errand, to, command) in errands {
            self.submit((shard, Wish::Say(errand)), to, &command, out);
        }
        for (version, command) in fires {
            self.submit((shard, Wish::Fire { version }), shard, &command, out);
        }
    }

    /// This node gives nothing of the shard out any more.
    fn forget(&mut self, shard: ShardId) {
        if let Some(duty) = self.duties.remove(&shard) {
            self.is_due(shard, duty.due_at, None);
        }
    }

    fn is_due(&mut self, shard: ShardId, before: Option<Time>, now: Option<Time>) {
        if before != now {
            before.map(|at| self.due.remove(&(at, shard)));
            self.due.extend(now.map(|at| (at, shard)));
        }
    }

    /// A deadline may have passed.
    pub fn wake(&mut self, ctx: &Ctx<'_>, sees: &impl Sees, out: &mut impl Sink<Action>) {
        self.give_up(ctx, out);
        let is_time = self.look_at.is_some_and(|at| at <= ctx.now);
        let shards: Vec<ShardId> = match is_time {
            true => self.duties.keys().copied().collect(),
            false => self.due.iter().take_while(|(at, _)| *at <= ctx.now).map(|(_, shard)| *shard).collect(),
        };
        for shard in shards {
            if let (true, Some((tasks, _))) = (is_time, sees.serving(&shard)) {
                self.look_at_leases(ctx.now, shard, tasks, out);
            }
            self.look(ctx, sees, shard, out);
        }
        if is_time {
            self.wants.forget(ctx.now);
            self.look_at = (!self.duties.is_empty()).then(|| ctx.now.saturating_add(self.settings.beat));
        }
    }

    fn look_at_leases(&mut self, now: Time, shard: ShardId, tasks: &Tasks, out: &mut impl Sink<Action>) {
        let Some(duty) = self.duties.get_mut(&shard) else { return };
        let mut wishes = Vec::new();
        duty.look_at_leases(now, &self.settings, tasks, &mut wishes);
        self.ask(shard, wishes, out);
    }

    /// The session of a process has ended: so have its claims.
    pub fn gone(&mut self, sees: &impl Sees, (worker, session): (Incarnation, SessionId), out: &mut impl Sink<Action>) {
        self.wants.remove(worker);
        let shards: Vec<ShardId> = self.duties.keys().copied().collect();
        for shard in shards {
            // One that it made since, in another session, which this node may not have heard of yet, is not meant.
            let is_meant = |tasks: &Tasks| tasks.session_of(worker) <= Some(session);
            let tasks = sees.serving(&shard).map(|(tasks, _)| tasks).filter(|tasks| is_meant(tasks));
            let number = tasks.and_then(|tasks| tasks.claim_of(worker));
            let (Some(upto), Some(duty)) = (number, self.duties.get_mut(&shard)) else { continue };
            let mut wishes = Vec::new();
            duty.end(worker, upto, Ended::Gone, &mut wishes);
            self.ask(shard, wishes, out);
        }
    }

    /// A worker speaks.
    pub fn beat(
        &mut self,
        ctx: &Ctx<'_>,
        sees: &impl Sees,
        from: Incarnation,
        beat: Beat,
        out: &mut impl Sink<Action>,
    ) {
        let Beat { number, holds, offer, free } = beat;
        if !self.wants.hear(ctx.now, &self.settings, from, offer, free) {
            return;
        }
        // Once the session has ended another owner may end these claims (rule T4): who does not know that it lives says nothing.
        let Some(view) = sees.view() else { return };
        let until = ctx.now.saturating_add(self.life());
        let (mut kept, mut ended, mut stop) = (Vec::new(), Vec::new(), Vec::new());
        for held in holds {
            let shard = held.shard;
            // Who does not serve it says nothing of it.
            let Some((tasks, _)) = sees.serving(&shard) else { continue };
            let Some(duty) = self.duties.get_mut(&shard) else { continue };
            match tasks.claim_of(from) {
                None => ended.push(shard),
                Some(number) => {
                    duty.renew(from, until, number);
                    let mut wishes = Vec::new();
                    duty.give_back(from, &held, tasks, &mut wishes);
                    duty.hear_progress(held, tasks);
                    self.ask(shard, wishes, out);
                    kept.push(shard);
                    stop.extend(tasks.to_stop(from).map(|(step, fence)| (shard, step, fence)));
                }
            }
        }
        let message = Message::Beaten { number, kept, ended, stop };
        out.push(Action::Send { to: from.node, message, not_after: Some(view) });
        let shards: Vec<ShardId> = self.duties.keys().copied().collect();
        for shard in shards {
            let Some((tasks, _)) = sees.serving(&shard) else { continue };
            match self.wants.is_hungry(from) {
                true => self.wants.offer(shard, tasks, out),
                false => self.wants.offer_later(from, shard, tasks, out),
            }
        }
    }

    /// How far an attempt says it is, as far as the owner of its shard has heard.
    pub fn progress_of(&self, shard: &ShardId, step: StepKey, fence: FenceToken) -> Option<&Progress> {
        self.duties.get(shard)?.progress_of(step, fence)
    }

    /// What was asked has come to that.
    pub fn told(&mut self, ctx: &Ctx<'_>, sees: &impl Sees, ticket: u64, reply: &Reply, out: &mut impl Sink<Action>) {
        let Some((shard, epoch, wish)) = self.tickets.remove(&ticket) else { return };
        let answer = match reply {
            Reply::Done(bytes) => decode_value::<Answer>(&bytes.0).ok(),
            _ => None,
        };
        let has_more = matches!(answer, Some(Answer::Done { has_more: true }));
        // What was asked under another epoch is no business of this one.
        let Some(duty) = self.duties.get_mut(&shard).filter(|duty| duty.epoch == epoch) else { return };
        if let Wish::Say(errand) = wish {
            let is_done = matches!(answer, Some(Answer::Done { .. }));
            duty.courier.told(errand, (!is_done).then(|| ctx.now.saturating_add(self.settings.retry)));
            return self.look(ctx, sees, shard, out);
        }
        duty.done(&wish, answer.is_some());
        if answer.is_none() {
            let again = Some(ctx.now.saturating_add(self.settings.retry));
            let before = core::mem::replace(&mut duty.due_at, again);
            return self.is_due(shard, before, again);
        }
        if let (true, Wish::End { worker, upto, why }) = (has_more, wish) {
            let mut wishes = Vec::new();
            duty.end(worker, upto, why, &mut wishes);
            self.ask(shard, wishes, out);
        }
        self.look(ctx, sees, shard, out);
    }

    fn ask(&mut self, shard: ShardId, wishes: Vec<Wish>, out: &mut impl Sink<Action>) {
        for wish in wishes {
            let command = match wish {
                Wish::Due => Command::Due,
                Wish::End { worker, upto, why } => Command::End { worker, upto, why },
                // As its worker would: no attempt counts, and the fence says which one is meant.
                Wish::GiveBack { step, fence } => Command::Report { step, fence, outcome: Outcome::GivenBack },
                Wish::Say(_) | Wish::Fire { .. } => continue,
            };
            self.submit((shard, wish), shard, &command, out);
        }
    }

    /// Submits what one shard wishes, to that one or to another.
    fn submit(&mut self, (of, wish): (ShardId, Wish), to: ShardId, command: &Command, out: &mut impl Sink<Action>) {
        let (Some(duty), Ok(command)) = (self.duties.get(&of), task_command(command)) else { return };
        self.last_ticket += 1;
        self.tickets.insert(self.last_ticket, (of, duty.epoch, wish));
        out.push(Action::Ask { ticket: self.last_ticket, request: Request::Submit { shard: to, command } });
    }

    /// How long a claim lives without word from its worker, by the owner's clock (rule T4b).
    fn life(&self) -> Duration {
        self.settings.ttl.saturating_add(self.settings.epsilon)
    }
}

/// A claim as a worker of that offer makes it.
pub(super) fn claim_of(worker: Incarnation, offer: &super::wire::Offer) -> Claim {
    Claim { worker, session: None, number: 0, agents: offer.agents.clone(), labels: offer.labels.clone(), count: 0 }
}
