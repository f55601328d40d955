//! The events of a worker, one by one.

use super::held;
use super::jobs::{Doing, Phase, Stage};
use super::posts::Posts;
use super::view::{Killed, Order, Reply, Request, RunEnd, RunKey};
use crate::control::state::{SessionId, State};
use crate::identity::{Incarnation, NodeId, RequestId};
use crate::machine::{Ctx, Sink};
use crate::shards::ShardId;
use crate::shards::host;
use crate::shards::state::task_command;
use crate::task::command::{AGENTS_MAX, Command, LABELS_MAX};
use crate::task::settings::Settings;
use crate::task::wire::{Beat, Held, Message, Offer, Progress, SHARDS_NAMED_MAX};
use crate::time::{Duration, Time};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

/// What the worker sees of its siblings.
#[derive(Clone, Copy, Debug)]
pub struct Sees<'a> {
    /// The node's copy of the control state.
    pub state: Option<&'a State>,
    /// The last instant of the node's view of its session; nothing while it is not valid. Then nothing is claimed: others may
    /// take the node for dead.
    pub view: Option<Time>,
    /// Which session that is.
    pub session: Option<SessionId>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask something of a shard, and say what it comes to.
    Ask {
        /// To be named then.
        ticket: u64,
        /// What.
        request: host::Request,
    },
    /// Tell an owner something.
    Send {
        /// Its node.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Answer the runner.
    Reply {
        /// Which question.
        id: RequestId,
        /// How.
        reply: Reply,
    },
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Event {
    /// The node may speak.
    Start(Incarnation),
    /// A deadline may have passed.
    Wake,
    /// The runner asks.
    Request(RequestId, Request),
    /// An owner says something.
    Heard(NodeId, Message),
    /// What was asked of a shard has come to that.
    Told {
        /// Which question.
        ticket: u64,
        /// What.
        reply: host::Reply,
    },
}

/// Beats to one owner that are not answered, and known: a slow one is asked often while others are quick.
const BEATS_MAX: usize = 32;

/// What was asked of a shard.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asking {
    Claim(ShardId),
    Job(RunKey, Stage),
}

/// Whoever runs agents.
#[derive(Clone, Debug)]
pub(super) struct Runner {
    pub(super) offer: Offer,
    capacity: u16,
    /// Its question for orders.
    waits: Option<RequestId>,
    pub(super) orders: VecDeque<Order>,
}

/// The worker of one node.
#[derive(Clone, Debug)]
pub struct Worker {
    pub(super) settings: Settings,
    pub(super) life: Option<Incarnation>,
    pub(super) runner: Option<Runner>,
    pub(super) posts: Posts,
    pub(super) jobs: BTreeMap<RunKey, Doing>,
    tickets: BTreeMap<u64, Asking>,
    last_ticket: u64,
    /// The newest beats to each owner that are not answered, and when each was sent.
    pub(super) beats: BTreeMap<NodeId, VecDeque<(u64, Time)>>,
    last_beat: u64,
    pub(super) beat_at: Option<Time>,
    /// When something is due, as of the last event: the driver asks more often than anything changes.
    due: Option<Time>,
}

impl Worker {
    /// Of a process that has not begun.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            life: None,
            runner: None,
            posts: Posts::default(),
            jobs: BTreeMap::new(),
            tickets: BTreeMap::new(),
            last_ticket: 0,
            beats: BTreeMap::new(),
            last_beat: 0,
            beat_at: None,
            due: None,
        }
    }

    /// Takes one event.
    pub fn handle(&mut self, ctx: &Ctx<'_>, sees: Sees<'_>, event: Event, out: &mut impl Sink<Action>) {
        // Before anything is begun.
        self.end_what_is_limited(ctx.now, sees, out);
        match event {
            Event::Start(life) => self.life = Some(life),
            Event::Wake => self.wake(ctx, sees, out),
            Event::Request(id, request) => self.request(ctx, sees, id, request, out),
            Event::Heard(from, message) => self.hear(ctx, sees, from, message, out),
            Event::Told { ticket, reply } => self.told(ctx, sees, ticket, &reply, out),
        }
        let again = self.jobs.values().filter_map(|doing| doing.again_at).min();
        let view_ends = sees.view.filter(|_| self.jobs.values().any(Doing::may_run_limited));
        let view_ends = view_ends.map(|view| view.saturating_sub(self.settings.kill));
        self.due = [self.beat_at, self.posts.next_deadline(), again, view_ends].into_iter().flatten().min();
    }

    /// When this machine has to be woken.
    pub fn next_deadline(&self) -> Option<Time> {
        self.due
    }

    /// How far a run of this worker says it is.
    pub fn progress_of(&self, run: &RunKey) -> Option<&Progress> {
        self.jobs.get(run)?.progress.as_ref().map(|(progress, _)| progress)
    }

    fn wake(&mut self, ctx: &Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        self.end_what_is_over(ctx.now, out);
        let due = |doing: &Doing| doing.again_at.is_some_and(|at| at <= ctx.now);
        let again: Vec<RunKey> = self.jobs.iter().filter(|(_, doing)| due(doing)).map(|(key, _)| *key).collect();
        for key in again {
            self.go_on(key, out);
        }
        if self.beat_at.is_some_and(|at| at <= ctx.now) {
            self.beat(ctx.now, sees, out);
            // Whoever waits for orders hears that there are none, for now.
            self.give_orders(true, out);
        }
        self.claim(ctx.now, sees, out);
    }

    fn request(&mut self, ctx: &Ctx<'_>, sees: Sees<'_>, id: RequestId, request: Request, out: &mut impl Sink<Action>) {
        let reply = match request {
            Request::Attach { offer, .. } if offer.agents.len() > AGENTS_MAX || offer.labels.len() > LABELS_MAX => {
                Reply::TooMuch
            }
            Request::Attach { offer, capacity } => {
                self.attach(offer, capacity, out);
                self.beat(ctx.now, sees, out);
                Reply::Attached
            }
            Request::Next => match &mut self.runner {
                None => Reply::NotAttached,
                Some(runner) => {
                    let before = runner.waits.replace(id);
                    out_of_date(before, out);
                    return self.give_orders(false, out);
                }
            },
            Request::Ended { run, end } => {
                self.ended(run, end, out);
                self.claim(ctx.now, sees, out);
                Reply::Taken
            }
            Request::Progress { run, progress } => {
                let doing = self.jobs.get_mut(&run).filter(|doing| matches!(doing.phase, Phase::Running));
                if let Some(doing) = doing.filter(|_| progress.is_sound()) {
                    doing.progress = Some((progress, false));
                }
                Reply::Taken
            }
        };
        out.push(Action::Reply { id, reply });
    }

    /// Another runner than before. What that one had not been told of is given back. What it had may have begun, and may be why it
    /// is gone: an attempt that counts, or a step that kills whoever runs it would do so for ever.
    fn attach(&mut self, offer: Offer, capacity: u16, out: &mut impl Sink<Action>) {
        let capacity = capacity.min(self.settings.capacity_max);
        let before = self.runner.replace(Runner { offer, capacity, waits: None, orders: VecDeque::new() });
        let untold = |order: Order| match order {
            Order::Run(run) => Some(run.key),
            Order::Kill { .. } => None,
        };
        let untold: BTreeSet<RunKey> = before.into_iter().flat_map(|it| it.orders).filter_map(untold).collect();
        let running = self.jobs.iter().filter(|(_, doing)| matches!(doing.phase, Phase::Running));
        let running: Vec<RunKey> = running.map(|(key, _)| *key).collect();
        for key in running {
            let end = match untold.contains(&key) {
                true => RunEnd::NotRun,
                false => RunEnd::Failed { is_worth_retrying: true, words: "whoever ran it is gone".into() },
            };
            self.ended(key, end, out);
        }
    }

    fn give_orders(&mut self, is_empty_told: bool, out: &mut impl Sink<Action>) {
        let Some(runner) = &mut self.runner else { return };
        if runner.orders.is_empty() && !is_empty_told {
            return;
        }
        if let Some(id) = runner.waits.take() {
            let orders = runner.orders.drain(..).collect();
            out.push(Action::Reply { id, reply: Reply::Orders(orders) });
        }
    }

    pub(super) fn order(&mut self, order: Order, out: &mut impl Sink<Action>) {
        if let Some(runner) = &mut self.runner {
            runner.orders.push_back(order);
        }
        self.give_orders(false, out);
    }

    fn hear(&mut self, ctx: &Ctx<'_>, sees: Sees<'_>, from: NodeId, message: Message, out: &mut impl Sink<Action>) {
        match message {
            Message::Offer { shard } => {
                // Of those that are there, so that nobody can have this worker remember others.
                if sees.state.is_some_and(|state| state.shard(&shard).is_some()) {
                    self.posts.at(shard).may_have = true;
                    self.claim(ctx.now, sees, out);
                }
            }
            Message::Beaten { number, kept, ended, stop } => {
                let Some(beats) = self.beats.get_mut(&from) else { return };
                let Some(at) = beats.iter().position(|(sent, _)| *sent == number) else { return };
                // Those before it are answered by it, too.
                let Some((_, sent)) = beats.drain(..=at).next_back() else { return };
                let until = sent.saturating_add(self.life());
                for shard in kept {
                    if let Some(post) = self.posts.get_mut(&shard).filter(|post| post.until.is_some()) {
                        post.until = post.until.max(Some(until));
                    }
                }
                for shard in ended {
                    self.end_claims(shard, sent, out);
                }
                for (shard, step, fence) in stop {
                    self.give_up(RunKey { shard, step, fence }, Killed::Cancelled, out);
                }
            }
            // For the desk.
            Message::Beat(_) | Message::AskOffers { .. } | Message::Offers { .. } => {}
        }
    }

    fn told(&mut self, ctx: &Ctx<'_>, sees: Sees<'_>, ticket: u64, reply: &host::Reply, out: &mut impl Sink<Action>) {
        match self.tickets.remove(&ticket) {
            Some(Asking::Claim(shard)) => self.claim_answered(ctx.now, sees, shard, reply, out),
            Some(Asking::Job(key, stage)) => self.job_answered(ctx.now, (key, stage), reply, out),
            None => return,
        }
        self.claim(ctx.now, sees, out);
    }

    pub(super) fn ask(&mut self, asking: Asking, request: host::Request, out: &mut impl Sink<Action>) {
        self.last_ticket += 1;
        self.tickets.insert(self.last_ticket, asking);
        out.push(Action::Ask { ticket: self.last_ticket, request });
    }

    pub(super) fn submit(&mut self, asking: Asking, shard: ShardId, command: &Command, out: &mut impl Sink<Action>) {
        let Ok(command) = task_command(command) else { return };
        self.ask(asking, host::Request::Submit { shard, command }, out);
    }

    /// How long a claim is held without word from its owner: until then agents run, and then there is time to kill them.
    pub(super) fn life(&self) -> Duration {
        self.settings.ttl.saturating_sub(self.settings.kill)
    }

    /// Steps that could be taken: as many as have no agent, though no more than that wait for their reports to be answered. A
    /// claim that nobody has answered while it would have lived holds nothing up: what it gives is given back.
    pub(super) fn free(&self, now: Time, sees: Sees<'_>) -> u16 {
        let Some(runner) = self.runner.as_ref().filter(|_| sees.view.is_some()) else { return 0 };
        let (all, asked) = (self.jobs.len() as u64, u64::from(self.posts.asked(now, self.life())));
        let runs = self.jobs.values().filter(|doing| doing.phase.needs_claim()).count() as u64;
        let capacity = u64::from(runner.capacity);
        capacity.saturating_sub(runs + asked).min((2 * capacity).saturating_sub(all + asked)) as u16
    }

    /// Tells every owner that this worker is there.
    fn beat(&mut self, now: Time, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        self.beat_at = Some(now.saturating_add(self.settings.beat));
        let (Some(runner), Some(state)) = (&self.runner, sees.state) else { return };
        let (offer, free) = (runner.offer.clone(), self.free(now, sees));
        let mut holds: BTreeMap<NodeId, Vec<Held>> = BTreeMap::new();
        for (shard, record) in state.shards() {
            let Some(owner) = record.owner else { continue };
            let of_owner = holds.entry(owner.node).or_default();
            if let Some(post) = self.posts.get(shard).filter(|post| post.until.is_some())
                && of_owner.len() < SHARDS_NAMED_MAX
            {
                of_owner.push(held::held(&self.jobs, *shard, post.number));
            }
        }
        self.beats.retain(|node, _| holds.contains_key(node));
        for (to, mut holds) in holds {
            held::say_progress(&mut self.jobs, &mut holds);
            self.last_beat += 1;
            let over = now.saturating_sub(self.settings.ttl);
            let beats = self.beats.entry(to).or_default();
            beats.retain(|(_, sent)| *sent > over);
            // Answers come in order: the oldest ones are answered first.
            beats.truncate(BEATS_MAX - 1);
            beats.push_back((self.last_beat, now));
            let beat = Beat { number: self.last_beat, holds, offer: offer.clone(), free };
            out.push(Action::Send { to, message: Message::Beat(Box::new(beat)) });
        }
    }
}

/// A question for orders that another one has taken the place of.
fn out_of_date(id: Option<RequestId>, out: &mut impl Sink<Action>) {
    if let Some(id) = id {
        out.push(Action::Reply { id, reply: Reply::Orders(Vec::new()) });
    }
}
