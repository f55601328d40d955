//! Tables and plans of placement as they are agreed on, entry by entry: PLAC-1, PLAC-2, PLAC-3.

use super::super::{MeshChecks, PLAC_2, PLAC_3};
use super::agreed::Step;
use crate::check::Findings;
use alloc::collections::BTreeSet;
use alloc::format;
use relaymesh_core::control::state::{Command, Name, Placement, PlacementCommand, ShardCommand, State};
use relaymesh_core::identity::NodeId;
use relaymesh_core::shards::ShardId;

/// What there was before an entry about placement.
pub(super) struct Before {
    namespace: Name,
    version: u64,
    /// The version that the plan is made for, the checksum that it leads to, and whether it is carried out.
    plan: Option<(u64, Option<u64>, bool)>,
    /// A shard that moves, and is not where it ought to be.
    unsettled: Option<u32>,
}

impl MeshChecks {
    /// Looks at what the entry is about.
    pub(super) fn before_step(&self, state: &State, step: &Step) -> Option<Before> {
        let Some((_, Command::Placement(command))) = &step.command else { return None };
        let namespace = of(command)?;
        let placement = state.placement(&namespace)?;
        let plan = placement.plan().map(|plan| (plan.on, plan.checksum, plan.run.is_some()));
        let run = placement.plan().and_then(|plan| plan.run.as_ref());
        let moving = run.into_iter().flat_map(|run| run.wave.keys()).copied();
        let unsettled = match command {
            PlacementCommand::Advance { .. } => moving.into_iter().find(|shard| !is_there(state, placement, *shard)),
            _ => None,
        };
        Some(Before { namespace, version: placement.table().version(), plan, unsettled })
    }

    /// The entry has been applied. One that was logged twice has an effect once: the table, or the plan, has its index then.
    pub(super) fn table_stepped(&mut self, state: &State, step: &Step, before: Option<Before>, found: &mut Findings) {
        if let Some((_, Command::Shard(ShardCommand::Declare { .. }))) = &step.command {
            self.shards.placements.declared = step.index;
        }
        let Some(placement) = self.shards.namespace().and_then(|namespace| state.placement(&namespace)) else { return };
        let version = placement.table().version();
        if self.shards.placements.has_moved_on(version) {
            if !may_change_table(step) || version != step.index {
                let detail =
                    format!("entry {} puts the table into version {version}, and is none that may", step.index);
                found.fail(PLAC_2, &[], detail);
            }
            self.agreed_table(placement.table(), found);
        }
        let Some((before, Some((_, Command::Placement(command))))) = before.zip(Some(&step.command)) else { return };
        let Some(placement) = state.placement(&before.namespace) else { return };
        let (index, is_changed) = (step.index, placement.table().version() == step.index);
        match command {
            PlacementCommand::Draft { on, .. } if placement.plan().is_some_and(|plan| plan.id == index) => {
                self.exercised.plac_2 += 1;
                let is_carried_out = before.plan.is_some_and(|(_, _, is_carried_out)| is_carried_out);
                if is_carried_out || *on != before.version {
                    let detail =
                        format!("entry {index} begins a plan on version {on}; the table is in {}", before.version);
                    found.fail(PLAC_2, &[], detail);
                }
            }
            PlacementCommand::Approve { version, checksum, .. } if is_changed => {
                self.exercised.plac_2 += 1;
                let is_that = before.plan == Some((before.version, Some(*checksum), false));
                if !is_that || *version != before.version {
                    let detail = format!(
                        "entry {index} approves a plan for version {version} and {checksum:016x}, where the table is in {} and the plan is {:?}",
                        before.version, before.plan
                    );
                    found.fail(PLAC_2, &[], detail);
                }
            }
            PlacementCommand::Advance { .. } if is_changed => {
                self.exercised.plac_3 += 1;
                if let Some(shard) = before.unsettled {
                    let detail = format!("entry {index} moves the next shards, and shard {shard} moves still");
                    found.fail(PLAC_3, &[], detail);
                }
                let last = placement.past().next_back().filter(|past| past.is_whole && past.to == index);
                let leads = before.plan.and_then(|(_, checksum, _)| checksum);
                // Shards that were declared meanwhile are in no plan.
                let is_whole = |on: u64| self.shards.placements.declared <= on;
                if let Some(past) = last.filter(|past| is_whole(past.from) && Some(past.checksum) != leads) {
                    let detail =
                        format!("plan {} leads to {:016x}, and was sealed for {leads:016x?}", past.plan, past.checksum);
                    found.fail(PLAC_2, &[], detail);
                }
                let now = placement.plan().and_then(|plan| plan.run.as_ref().map(|run| (plan, run)));
                let is_too_many = now.filter(|(plan, run)| run.at.is_none() && run.wave.len() > plan.parallel.into());
                if let Some((plan, run)) = is_too_many {
                    let detail =
                        format!("entry {index} moves {} shards at once, {} may", run.wave.len(), plan.parallel);
                    found.fail(PLAC_3, &[], detail);
                }
            }
            _ => {}
        }
    }
}

/// Whether an entry of this kind makes the table another one.
fn may_change_table(step: &Step) -> bool {
    use PlacementCommand::{Advance, Approve, Cancel, Draft};
    match &step.command {
        Some((_, Command::Placement(command))) => {
            matches!(command, Draft { .. } | Approve { .. } | Advance { .. } | Cancel { .. })
        }
        Some((_, Command::Shard(command))) => matches!(command, ShardCommand::Declare { .. }),
        _ => false,
    }
}

/// Which namespace's table.
fn of(command: &PlacementCommand) -> Option<Name> {
    use PlacementCommand::{Advance, Approve, Cancel, Draft, Pause, Rows, Seal, Seat};
    match command {
        Draft { namespace, .. } | Rows { namespace, .. } | Seal { namespace, .. } | Approve { namespace, .. } => {
            Some(*namespace)
        }
        Advance { namespace, .. } | Cancel { namespace, .. } | Pause { namespace, .. } => Some(*namespace),
        Seat(_) => None,
    }
}

/// Whether a shard is owned by the first of its row, and on all of it and nowhere else.
fn is_there(state: &State, placement: &Placement, number: u32) -> bool {
    let row: BTreeSet<NodeId> = placement.table().copies(number).collect();
    let owner = placement.table().owner(number);
    let record = state.shard(&ShardId { namespace: placement.table().rule().namespace, number });
    record.is_some_and(|record| {
        let has: BTreeSet<NodeId> = record.in_sync.iter().map(|member| member.node).collect();
        !record.is_void && has == row && owner.is_some() && record.owner.map(|owner| owner.node) == owner
    })
}
