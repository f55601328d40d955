//! How much a node has to do as an owner of shards: measured on what its replicas have taken, in spans one after the other; and
//! asked of all nodes, by the one that looks after plans and for operators.

use super::machine::{Action, Host, Sees};
use super::observation::{HostObservation, ShardsObservation};
use super::strain::Strain;
use super::view::{NodeLoad, Refusal, Reply};
use super::wire::Message;
use crate::control::state::{SHARDS, State};
use crate::identity::{NodeId, RequestId};
use crate::machine::{Ctx, Sink};
use crate::record::Sequence;
use crate::replication::Service;
use crate::time::{Duration, Time};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Operators that may wait for one round.
const ASKERS_MAX: usize = 16;
/// So many times as rarely as namespaces are looked at, all nodes are asked.
const ROUND_OF_LOOKS: u64 = 10;

/// How much a node has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Load {
    /// Shards that it owns.
    pub owned: u32,
    /// Requests that its replicas have taken and not answered.
    pub under_way: u32,
    /// What waits in the states of the shards that it owns: steps that are ready, and that nobody runs.
    pub backlog: u64,
    /// Commands that were answered in the last span.
    pub answered: u32,
    /// Those that were refused for want of room, or of which the outcome is not known.
    pub failed: u32,
    /// How long a command took from being taken to being answered, on average: all that have to have it, and the way to them, are
    /// in that. In microseconds.
    pub latency_us: u32,
    /// Records that the own disk was timed with in that span.
    pub syncs: u32,
    /// How long one took to be durable here, on average. In microseconds.
    pub sync_us: u32,
}

/// What came of commands in one span.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    answered: u32,
    failed: u32,
    total_us: u64,
    syncs: u32,
    syncs_us: u64,
}

/// Measures what comes of commands: the span that goes on, and the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    since: Time,
    now: Span,
    last: Span,
    /// A record that is not durable yet, and when it was written: one at a time is timed.
    timed: Option<(Sequence, Time)>,
}

impl Meter {
    fn turn(&mut self, now: Time, span: Duration) {
        let passed = now.since(self.since);
        if passed < span {
            return;
        }
        let is_next = passed < span.saturating_mul(2);
        self.last = if is_next { self.now } else { Span::default() };
        (self.since, self.now) = (now, Span::default());
    }

    /// A command that was taken `since` then is answered; or nobody knows what became of it.
    pub(super) fn count(&mut self, (now, span): (Time, Duration), since: Time, is_well: bool) {
        self.turn(now, span);
        match is_well {
            true => {
                self.now.answered = self.now.answered.saturating_add(1);
                self.now.total_us = self.now.total_us.saturating_add(now.since(since).as_nanos() / 1_000);
            }
            false => self.now.failed = self.now.failed.saturating_add(1),
        }
    }

    /// A record was written.
    pub(super) fn wrote(&mut self, now: Time, at: Sequence) {
        self.timed.get_or_insert((at, now));
    }

    /// Records up to that one are durable.
    pub(super) fn durable(&mut self, (now, span): (Time, Duration), upto: Sequence) {
        if let Some((_, since)) = self.timed.take_if(|(at, _)| *at <= upto) {
            self.turn(now, span);
            self.now.syncs = self.now.syncs.saturating_add(1);
            self.now.syncs_us = self.now.syncs_us.saturating_add(now.since(since).as_nanos() / 1_000);
        }
    }

    fn shows(&mut self, now: Time, span: Duration) -> Load {
        self.turn(now, span);
        let Span { answered, failed, total_us, syncs, syncs_us } = self.last;
        let mean = |total: u64, of: u32| total.checked_div(u64::from(of)).unwrap_or(0).try_into().unwrap_or(u32::MAX);
        let (latency_us, sync_us) = (mean(total_us, answered), mean(syncs_us, syncs));
        Load { answered, failed, latency_us, syncs, sync_us, ..Load::default() }
    }
}

/// What nodes say of how much they have to do, a round at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Loads {
    /// The number of the round, and until when it goes on.
    round: Option<(u64, Time)>,
    /// It is one of those that nodes are judged by: those that operators ask for may come in any number.
    is_judged: bool,
    next: Option<Time>,
    waiting: BTreeSet<NodeId>,
    heard: BTreeMap<NodeId, Load>,
    askers: Vec<RequestId>,
    pub(super) strain: Strain,
}

impl Loads {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.round.map(|(_, until)| until).into_iter().chain(self.next).min()
    }
}

impl<S: Service> Host<S> {
    /// How much this node has to do. O(owned shards).
    pub(super) fn own_load(&mut self, now: Time) -> Load {
        let owned = self.slots.owned().count() as u32;
        let states = self.slots.owned().filter_map(|shard| self.slots.replica(&shard));
        let backlog = states.map(|replica| replica.service().backlog()).sum();
        let under_way = self.tickets.len() as u32;
        Load { owned, under_way, backlog, ..self.meter.shows(now, self.settings.grace) }
    }

    /// An operator asks how much nodes have to do.
    ///
    /// # Errors
    /// [`Refusal::Busy`] where many do already.
    pub(super) fn ask_loads(
        &mut self,
        ctx: &Ctx<'_>,
        state: &State,
        asker: RequestId,
        out: &mut impl Sink<Action>,
    ) -> Result<(), Refusal> {
        if self.loads.askers.len() >= ASKERS_MAX {
            return Err(Refusal::Busy);
        }
        self.loads.askers.push(asker);
        self.begin_round(ctx, state, out);
        Ok(())
    }

    fn begin_round(&mut self, ctx: &Ctx<'_>, state: &State, out: &mut impl Sink<Action>) {
        let Some(life) = self.life.filter(|_| self.loads.round.is_none()) else { return };
        let number = self.asks.next_number();
        self.loads.round = Some((number, ctx.now.saturating_add(self.settings.keep_wait)));
        self.loads.heard = BTreeMap::from([(life.node, self.own_load(ctx.now))]);
        // Who knows nothing of shards would not understand.
        let nodes = state.sessions().filter(|_| state.activated() >= SHARDS).map(|(_, session)| session.owner.node);
        self.loads.waiting = nodes.filter(|node| *node != life.node).collect();
        for to in &self.loads.waiting {
            out.push(Action::Send { to: *to, message: Message::Load { number }, not_after: None });
        }
    }

    /// Another node says how much it has to do.
    pub(super) fn load_is(
        &mut self,
        ctx: &Ctx<'_>,
        sees: Sees<'_>,
        (from, number): (NodeId, u64),
        load: Load,
        out: &mut impl Sink<Action>,
    ) {
        let is_of_round = self.loads.round.is_some_and(|(round, _)| round == number);
        if is_of_round && self.loads.waiting.remove(&from) {
            self.loads.heard.insert(from, load);
            if self.loads.waiting.is_empty() {
                self.end_round(ctx, sees, out);
            }
        }
    }

    /// Begins a round where it is time, and ends one that has gone on for long enough.
    pub(super) fn wake_loads(&mut self, ctx: &Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        if self.loads.round.is_some_and(|(_, until)| until <= ctx.now) {
            self.end_round(ctx, sees, out);
        }
        let judges = sees.state.filter(|state| self.life.is_some_and(|life| super::plans::looks_after(state, life)));
        let Some(state) = judges else {
            // What others have to do is for another to judge.
            (self.loads.next, self.loads.strain) = (None, Strain::default());
            return;
        };
        if self.loads.next.is_none_or(|at| at <= ctx.now) {
            let pause = self.settings.plans.every.saturating_mul(ROUND_OF_LOOKS);
            self.loads.next = Some(ctx.now.saturating_add(pause));
            self.loads.is_judged = true;
            self.begin_round(ctx, state, out);
        }
    }

    fn end_round(&mut self, ctx: &Ctx<'_>, sees: Sees<'_>, out: &mut impl Sink<Action>) {
        self.loads.round = None;
        let heard = core::mem::take(&mut self.loads.heard);
        let Some((state, life)) = sees.state.zip(self.life) else {
            let unknown = |id| Action::Reply { id, reply: Reply::Unknown, not_after: None };
            return self.loads.askers.drain(..).for_each(|id| out.push(unknown(id)));
        };
        let weighed: Vec<(NodeId, u16, Load)> =
            heard.iter().map(|(node, load)| (*node, state.seat(*node).weight, *load)).collect();
        let levels = Strain::levels(&weighed);
        let level = |node: NodeId| levels.get(&node).copied().unwrap_or(0);
        if core::mem::take(&mut self.loads.is_judged) && super::plans::looks_after(state, life) {
            self.loads.strain.begin(counted_half(state));
            let before = self.loads.strain.strained();
            if self.loads.strain.judge(&levels, |node| state.has_node(node)) {
                self.plans.everything(ctx.now);
            }
            for node in self.loads.strain.strained().into_iter().filter(|node| !before.contains(node)) {
                let observation = HostObservation::Strained { node, level: level(node).into() };
                out.push(Action::Observe(ShardsObservation::Host(observation)));
            }
        }
        if self.loads.askers.is_empty() {
            return;
        }
        let strained = self.strained(state);
        let nodes: BTreeSet<NodeId> = state.sessions().map(|(_, session)| session.owner.node).collect();
        let shown = |node: NodeId| {
            let is_strained = strained.contains(&node);
            NodeLoad { node, load: heard.get(&node).copied(), level_percent: level(node), is_strained }
        };
        let shown: Vec<NodeLoad> = nodes.into_iter().map(shown).collect();
        for id in self.loads.askers.drain(..) {
            out.push(Action::Reply { id, reply: Reply::Loads(shown.clone()), not_after: None });
        }
    }

    /// Nodes that have more to do than they can, in order: as this node has found, or as plans have it where another finds that.
    pub(super) fn strained(&self, state: &State) -> Vec<NodeId> {
        match self.loads.strain.has_begun() {
            true => self.loads.strain.strained(),
            false => counted_half(state).collect::<BTreeSet<_>>().into_iter().collect(),
        }
    }
}

/// Nodes that some table takes for half of what they say.
fn counted_half(state: &State) -> impl Iterator<Item = NodeId> {
    state.placements().flat_map(|(_, placement)| placement.strained().iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_span_is_shown_and_none_that_is_long_over() {
        let (mut meter, span, at) =
            (Meter::default(), Duration::from_secs(10), |n: u64| Time::from_nanos(n * 1_000_000_000));
        for n in 0..4 {
            meter.count((at(n), span), at(n), true);
        }
        meter.count((at(5), span), at(3), true);
        meter.count((at(6), span), at(3), false);
        assert_eq!(meter.shows(at(9), span), Load::default(), "the first span goes on");
        let shown = meter.shows(at(11), span);
        assert_eq!((shown.answered, shown.failed, shown.latency_us), (5, 1, 400_000));
        assert_eq!(meter.shows(at(40), span), Load::default());
    }

    #[test]
    fn the_own_disk_is_timed_with_one_record_after_the_other() {
        let (mut meter, span, at) =
            (Meter::default(), Duration::from_secs(10), |n: u64| Time::from_nanos(n * 1_000_000_000));
        for (sequence, wrote) in [(1, 1), (2, 2)] {
            meter.wrote(at(wrote), Sequence(sequence));
        }
        meter.durable((at(4), span), Sequence(2));
        meter.durable((at(5), span), Sequence(2));
        meter.wrote(at(6), Sequence(3));
        meter.durable((at(7), span), Sequence(3));
        let shown = meter.shows(at(12), span);
        assert_eq!((shown.syncs, shown.sync_us), (2, 2_000_000), "three seconds and one");
    }
}
