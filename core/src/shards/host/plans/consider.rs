//! What to do about the placement of one namespace: decided on the agreed state, and on how long things have been as they are.

use super::draft::{Wanted, drains, strayed};
use super::{Host, Sees};
use crate::control::state::{Cause, Name, Placement, PlacementCommand, Plan, Run, State};
use crate::identity::NodeId;
use crate::replication::Service;
use crate::shards::ShardId;
use crate::shards::placement::{Site, Sites, Standing, Table};
use crate::time::{Duration, Time, WallTime};
use alloc::vec::Vec;

/// What is to be done.
pub(super) enum Next {
    /// Nothing, until something changes.
    Nothing,
    /// Nothing yet.
    Later,
    /// A plan is to be made.
    Draft(Wanted),
    /// The cluster is to be asked for that.
    Command(PlacementCommand),
}

impl<S: Service> Host<S> {
    /// What is to be done about a namespace. O(shards), and O(n log n) of nodes.
    pub(super) fn consider(
        &mut self,
        (now, wall): (Time, WallTime),
        sees: Sees<'_>,
        state: &State,
        namespace: Name,
    ) -> Next {
        let Some(placement) = state.placement(&namespace) else { return Next::Nothing };
        self.plans.track(now, state, namespace, placement, self.settings.plans.cool_down);
        if state.is_quarantined() {
            return Next::Later;
        }
        if let Some(plan) = placement.plan() {
            if let Some(run) = &plan.run {
                return self.carry_on((now, wall), state, placement, plan, run);
            }
            if let Some(next) = self.unapproved(now, state, plan, placement.table().version()) {
                return next;
            }
        }
        let aside = (sees.doubtful(), self.strained(state));
        let forced = self.forced(now, state, placement);
        let Some(cause) = forced else { return self.unforced(now, state, placement, aside) };
        if self.is_fine(state, placement, &state.sites(&aside.0, &aside.1)) || !self.has_room_for_all(state, namespace)
        {
            return Next::Later;
        }
        Next::Draft(Wanted::of(placement.table().rule(), cause, 0, aside))
    }

    /// A plan that is not carried out yet: given up with its author, or where that has forgotten it; approved where something
    /// forces it.
    fn unapproved(&self, now: Time, state: &State, plan: &Plan, version: u64) -> Option<Next> {
        let (namespace, id) = (plan.rule.namespace, plan.id);
        let is_automatic = plan.cause.is_forced() || (plan.cause == Cause::Balance && self.settings.plans.is_automatic);
        let patience = self.settings.ask_timeout.saturating_mul(2);
        let open = self.plans.known.get(&namespace).and_then(|known| known.open);
        let has_author = open.is_none_or(|(_, since)| since.saturating_add(patience) > now)
            && state.own_session(plan.by).is_some()
            && (Some(plan.by) != self.life || self.plans.drafts.contains_key(&namespace));
        let cancel = PlacementCommand::Cancel { namespace, plan: id };
        match plan.checksum {
            None if has_author => Some(Next::Later),
            None => Some(Next::Command(cancel)),
            Some(_) if plan.on != version => Some(Next::Command(cancel)),
            Some(checksum) if is_automatic => {
                Some(Next::Command(PlacementCommand::Approve { namespace, plan: id, version, checksum, at: None }))
            }
            Some(_) => None,
        }
    }

    /// The next shards, once the last ones are where they are to be; or it is given up.
    fn carry_on(
        &mut self,
        (now, wall): (Time, WallTime),
        state: &State,
        placement: &Placement,
        plan: &Plan,
        run: &Run,
    ) -> Next {
        let namespace = plan.rule.namespace;
        let is_in_the_way = !plan.cause.is_forced() && self.forced(now, state, placement).is_some();
        let mut moving = run.wave.keys().filter(|shard| !state.is_settled(namespace, **shard)).peekable();
        if moving.peek().is_none() && !is_in_the_way {
            return Next::Command(PlacementCommand::Advance { namespace, plan: plan.id, last: run.last });
        }
        let settings = self.settings.plans;
        // Until a set time nothing has to have moved, and who is not there may come back.
        let due = run.at.map(|at| self.reference.due((now, wall), at));
        let is_far = due.is_some_and(|due| due > now.saturating_add(settings.wave_max));
        if let Some((at, _)) = run.at.zip(due).filter(|(_, due)| *due > now) {
            self.reference.want(now, at);
        }
        let patience = if is_far { settings.gone_after } else { settings.settle };
        let is_lost = |node: NodeId| {
            let is_gone = self.plans.absent.get(&node).is_some_and(|since| since.saturating_add(patience) <= now);
            is_gone || drains(state, node)
        };
        let is_hopeless = is_in_the_way || moving.any(|shard| placement.table().copies(*shard).any(is_lost));
        let since = self.plans.known.get(&namespace).and_then(|known| known.wave).map_or(now, |(_, _, since)| since);
        let is_late = due.unwrap_or(since).max(since).saturating_add(settings.wave_max) <= now;
        match is_hopeless || is_late {
            true => Next::Command(PlacementCommand::Cancel { namespace, plan: plan.id }),
            false => Next::Later,
        }
    }

    /// Why something has to move, if it has to: a node with places drains, or is gone for good.
    fn forced(&self, now: Time, state: &State, placement: &Placement) -> Option<Cause> {
        let table = placement.table();
        let has_places =
            |node: NodeId| (0..table.rule().shards).any(|shard| table.copies(shard).any(|placed| placed == node));
        let is_gone = |node: &NodeId| {
            self.plans.absent.get(node).is_some_and(|since| since.saturating_add(self.settings.plans.gone_after) <= now)
        };
        let nodes = || table.sites().iter().map(|(_, site)| site.node);
        let has_strayed_to = |node: NodeId| strayed(state, table).any(|(_, owner)| owner == node);
        let mut draining = state.cordons().map(|(node, _)| node).filter(|node| drains(state, *node));
        let drained = draining.any(|node| has_places(node) || has_strayed_to(node)).then_some(Cause::Drain);
        drained.or_else(|| nodes().filter(is_gone).any(has_places).then_some(Cause::Gone))
    }

    /// Whether it was found that with these sites nothing is to be moved, and still nobody owns what another ought to.
    fn is_fine(&self, state: &State, placement: &Placement, sites: &[Site]) -> bool {
        let table = placement.table();
        let fine = self.plans.known.get(&table.rule().namespace).and_then(|known| known.is_fine.as_ref());
        let is_found = fine.is_some_and(|(version, found)| *version == table.version() && found == sites);
        is_found && !has_strayed(state, table)
    }

    /// Whether there are as many nodes that take something as a shard needs: what cannot come to an end is not begun.
    fn has_room_for_all(&self, state: &State, namespace: Name) -> bool {
        let open = state.sites(&[], &[]).iter().filter(|site| site.standing == Standing::Open).count();
        let first = state.shard(&ShardId { namespace, number: 0 });
        first.is_some_and(|record| usize::from(record.minimum) <= open)
    }

    /// A plan that nothing forces: once nodes have settled, and all that there is, is whole.
    fn unforced(&self, now: Time, state: &State, placement: &Placement, aside: (Vec<NodeId>, Vec<NodeId>)) -> Next {
        let (table, settings) = (placement.table(), self.settings.plans);
        let namespace = table.rule().namespace;
        let sites = state.sites(&aside.0, &aside.1);
        let has_same = |of: &Sites| of.iter().map(|(_, site)| *site).eq(sites.iter().copied());
        let is_restless = self.plans.restless.saturating_add(settings.settle) > now;
        let is_idle = |plan: &&Plan| plan.run.is_none() && plan.cause == Cause::Balance;
        if let Some(plan) = placement.plan().filter(is_idle).filter(|plan| !has_same(&plan.sites)) {
            // It waits for an operator, and is for what is no more.
            let cancel = PlacementCommand::Cancel { namespace, plan: plan.id };
            return if is_restless { Next::Later } else { Next::Command(cancel) };
        }
        let is_planned = placement.plan().is_some_and(|plan| has_same(&plan.sites));
        let is_as_it_was = has_same(table.sites()) && !has_strayed(state, table);
        if is_as_it_was || is_planned || self.is_fine(state, placement, &sites) {
            return if self.plans.absent.is_empty() { Next::Nothing } else { Next::Later };
        }
        let known = self.plans.known.get(&namespace);
        let is_early = is_restless || known.is_some_and(|known| known.cool_until > now);
        let is_whole = |number: u32| {
            let record = state.shard(&ShardId { namespace, number });
            record.is_some_and(|record| {
                record.owner.is_some() && record.in_sync.len() >= usize::from(record.copies).min(sites.len())
            })
        };
        if is_early || placement.plan().is_some() || !(0..table.rule().shards).all(is_whole) {
            return Next::Later;
        }
        let moves = (table.rule().shards * settings.moves_percent).div_ceil(100).max(1);
        Next::Draft(Wanted::of(table.rule(), Cause::Balance, moves, aside))
    }
}

/// Whether there is a shard that another owns than ought to, and could.
fn has_strayed(state: &State, table: &Table) -> bool {
    strayed(state, table).any(|(shard, _)| table.owner(shard).is_some_and(|node| state.has_node(node)))
}

impl super::Plans {
    /// How long things have been as they are.
    fn track(&mut self, now: Time, state: &State, namespace: Name, placement: &Placement, cool_down: Duration) {
        let nodes: Vec<NodeId> = placement.table().sites().iter().map(|(_, site)| site.node).collect();
        for node in nodes {
            match state.has_node(node) {
                true => drop(self.absent.remove(&node)),
                false => drop(self.absent.entry(node).or_insert(now)),
            }
        }
        let known = self.known.entry(namespace).or_default();
        let plan = placement.plan();
        if known.plan.is_some() && plan.is_none_or(|plan| Some(plan.id) != known.plan) {
            known.cool_until = now.saturating_add(cool_down);
        }
        let open = plan.filter(|plan| plan.checksum.is_none()).map(|plan| plan.id);
        if known.open.map(|(id, _)| id) != open {
            known.open = open.map(|id| (id, now));
        }
        known.plan = plan.filter(|plan| plan.run.is_some()).map(|plan| plan.id);
        let wave = plan.and_then(|plan| plan.run.as_ref().map(|run| (plan.id, run.last)));
        if known.wave.map(|(id, last, _)| (id, last)) != wave {
            known.wave = wave.map(|(id, last)| (id, last, now));
        }
    }
}
