//! What operators ask about placement: how it stands, for a plan, and for it to be carried out or given up.

use super::Host;
use super::draft::{Step, Wanted};
use crate::control::state::{self, Cause, Name, PARALLEL_MAX, PAUSED_AT_ONCE, Placement, PlacementCommand, State};
use crate::identity::{NodeId, RequestId};
use crate::machine::{Ctx, Sink};
use crate::replication::Service;
use crate::shards::host::machine::{Action, Sees};
use crate::shards::host::plan_view::{
    MOVES_SHOWN_MAX, PastView, PlacementView, PlanAsked, PlanStage, PlanView, ROWS_SHOWN_MAX,
};
use crate::shards::host::view::{Refusal, Reply};
use crate::shards::placement::{Moved, Site};
use crate::time::{Duration, Time};
use alloc::boxed::Box;
use alloc::vec::Vec;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How far ahead a time may be set.
const AHEAD_MAX: Duration = DAY.saturating_mul(7);

impl<S: Service> Host<S> {
    /// Answers what an operator asks about placement.
    ///
    /// # Errors
    /// [`Refusal`] where that cannot be.
    pub(in crate::shards::host) fn ask_placement(
        &mut self,
        ctx: &Ctx<'_>,
        sees: Sees<'_>,
        id: RequestId,
        (namespace, asked): (Name, PlanAsked),
        out: &mut impl Sink<Action>,
    ) -> Result<(), Refusal> {
        let (Some(state), Some(_)) = (sees.state, self.life) else { return Err(Refusal::NotStarted) };
        let now = ctx.now;
        let placement = state.placement(&namespace).ok_or(Refusal::NoShard)?;
        let reply = |reply| Action::Reply { id, reply, not_after: None };
        match asked {
            PlanAsked::Show { after } => {
                out.push(reply(Reply::Placement(Box::new(self.shown(now, sees, state, placement, after)))));
            }
            PlanAsked::Moves { plan, after } => out.push(reply(Reply::Moves(moves(placement, plan, after)?))),
            PlanAsked::Draft { strategy, seed, moves_max, parallel, is_back } => {
                let rule = placement.table().rule();
                let cause = if is_back { Cause::Back } else { Cause::Operator };
                let percent = rule.shards * self.settings.plans.moves_percent;
                let moves_max = moves_max.unwrap_or(percent.div_ceil(100).max(1));
                let mut wanted = Wanted::of(rule, cause, moves_max, (sees.doubtful(), self.strained(state)));
                wanted.strategy = strategy.unwrap_or(rule.strategy);
                wanted.seed = seed.unwrap_or(rule.seed);
                wanted.parallel = parallel;
                if self.plans.drafts.contains_key(&namespace) || !(1..=PARALLEL_MAX).contains(&parallel.unwrap_or(1)) {
                    return Err(Refusal::Busy);
                }
                self.begin_draft(now, state, namespace, wanted, Some(id));
            }
            PlanAsked::Approve { plan, version, checksum, at } => {
                if at.is_some_and(|at| at.since(ctx.wall) > AHEAD_MAX) {
                    return Err(Refusal::TooFarAhead { days: AHEAD_MAX.as_nanos() / DAY.as_nanos() });
                }
                let command = PlacementCommand::Approve { namespace, plan, version, checksum, at };
                self.commands.place(Some((namespace, Step::Asked(id))), command);
            }
            PlanAsked::Cancel { plan } => {
                let command = PlacementCommand::Cancel { namespace, plan };
                self.commands.place(Some((namespace, Step::Asked(id))), command);
            }
            PlanAsked::Pause { shards, .. } if shards.len() > PAUSED_AT_ONCE => {
                return Err(Refusal::Control(state::Refusal::BadPlan));
            }
            PlanAsked::Pause { shards, is_paused } => {
                let command = PlacementCommand::Pause { namespace, shards, is_paused };
                self.commands.place(Some((namespace, Step::Asked(id))), command);
            }
        }
        Ok(())
    }

    fn shown(
        &self,
        now: Time,
        sees: Sees<'_>,
        state: &State,
        placement: &Placement,
        after: Option<u32>,
    ) -> PlacementView {
        let (table, doubtful, strained) = (placement.table(), sees.doubtful(), self.strained(state));
        let first = after.map_or(0, |after| after.saturating_add(1));
        let row = |shard| {
            table.copies(shard).filter_map(|node| table.sites().of_node(node)).map(|site| site.number()).collect()
        };
        let rows: Vec<Vec<u16>> = (first..table.rule().shards).take(ROWS_SHOWN_MAX).map(row).collect();
        let sites = |sites: Vec<Site>| if after.is_none() { sites } else { Vec::new() };
        let namespace = table.rule().namespace;
        let strayed = |shard: &u32| !state.is_settled(namespace, *shard);
        let plan = placement.plan().map(|plan| {
            let run = plan.run.as_ref();
            PlanView {
                id: plan.id,
                by: plan.by.node,
                cause: plan.cause,
                on: plan.on,
                strategy: plan.rule.strategy,
                parallel: plan.parallel,
                checksum: plan.checksum,
                moves: plan.moves.len() as u64,
                moved: run.map_or(0, |run| run.done.len() as u64),
                moving: run.map_or(Vec::new(), |run| run.wave.keys().copied().collect()),
                strayed: run.map_or(Vec::new(), |run| run.done.keys().copied().filter(strayed).collect()),
                is_approved: run.is_some(),
                at: run.and_then(|run| run.at),
            }
        });
        let past = placement.past().map(|past| PastView {
            plan: past.plan,
            cause: past.cause,
            from: past.from,
            to: past.to,
            checksum: past.checksum,
            is_whole: past.is_whole,
            moves: past.moved.len() as u64,
        });
        let cools = self.plans.known.get(&namespace).is_some_and(|known| known.cool_until > now);
        PlacementView {
            version: table.version(),
            checksum: table.checksum(),
            rule: *table.rule(),
            stage: PlanStage::of(placement, cools),
            sites: sites(table.sites().iter().map(|(_, site)| *site).collect()),
            open_sites: sites(state.sites(&doubtful, &strained)),
            doubtful,
            strained,
            elsewhere: (0..table.rule().shards).filter(strayed).count() as u32,
            paused: placement.paused().iter().copied().filter(|_| after.is_none()).collect(),
            first,
            rows,
            plan,
            past: past.collect(),
        }
    }
}

/// What a plan moves, or has moved, behind a shard.
fn moves(placement: &Placement, plan: u64, after: Option<u32>) -> Result<Vec<Moved>, Refusal> {
    let is_behind = |shard: u32| after.is_none_or(|after| shard > after);
    if let Some(plan) = placement.plan().filter(|found| found.id == plan) {
        let from = |shard: u32| -> Vec<NodeId> {
            let run = plan.run.as_ref();
            let before = run.and_then(|run| run.done.get(&shard).or_else(|| run.wave.get(&shard)));
            before.cloned().unwrap_or_else(|| placement.table().copies(shard).collect())
        };
        let moves = plan.moves.iter().filter(|(shard, _)| is_behind(**shard)).take(MOVES_SHOWN_MAX);
        return Ok(moves.map(|(shard, to)| Moved { shard: *shard, from: from(*shard), to: to.clone() }).collect());
    }
    let past = placement.past().find(|past| past.plan == plan);
    let past = past.ok_or(Refusal::Control(crate::control::state::Refusal::NoPlan))?;
    Ok(past.moved.iter().filter(|moved| is_behind(moved.shard)).take(MOVES_SHOWN_MAX).cloned().collect())
}
