//! What the state has of each task, step, class and worker.

use crate::control::state::SessionId;
use crate::epoch::{Epoch, FenceToken};
use crate::identity::Incarnation;
use crate::replication::once::SubmissionId;
use crate::task::answer::Status;
use crate::task::command::CancelMode;
use crate::task::id::StepKey;
use crate::task::payload::Payload;
use crate::task::view::{Happened, Moment};
use crate::task::workflow::{Graph, Name, Priority, Retry, Step, StepIndex, Workflow};
use crate::time::{Duration, WallTime};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Moments of one step that are kept: the first ones and the newest.
pub(super) const HISTORY_MAX: usize = 24;
/// Of these, the first ones.
const HISTORY_FIRST: usize = 4;

/// Labels, in order.
pub(super) type Labels = Vec<(Name, Box<str>)>;

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct TaskRow {
    pub(super) id: SubmissionId,
    pub(super) priority: Priority,
    pub(super) created: WallTime,
    pub(super) ended: Option<Ending>,
    pub(super) generation: u32,
    /// Steps and instances.
    pub(super) rows: u32,
    /// Of these, not succeeded.
    pub(super) left: u32,
    /// Of these, to be waited for: they are not done, and need no other step to go on. Chores of the task count, too.
    pub(super) active: u32,
    /// Steps of a workflow, and who waits for whom.
    #[serde(with = "shared")]
    pub(super) flow: Option<Arc<Flow>>,
    pub(super) input: Option<Payload>,
    pub(super) rest: Option<Box<Rest>>,
}

/// A workflow that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    pub(super) workflow: Workflow,
    pub(super) graph: Graph,
}

impl From<Workflow> for Flow {
    fn from(workflow: Workflow) -> Self {
        Self { graph: workflow.graph(), workflow }
    }
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Ending {
    pub(super) at: WallTime,
    pub(super) how: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum End {
    Succeeded,
    Dead,
    Cancelled,
}

/// What few tasks have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Rest {
    pub(super) cancel: Option<(CancelMode, Box<str>)>,
    pub(super) labels: Labels,
    pub(super) principal: Option<Box<str>>,
    pub(super) traceparent: Option<Box<str>>,
    pub(super) retention: Option<Duration>,
    /// Of the one step of a task that is no workflow.
    pub(super) timeout: Option<Duration>,
    pub(super) retry: Option<Retry>,
    pub(super) unique: Option<Name>,
    pub(super) concurrency_key: Option<Name>,
}

impl TaskRow {
    pub(super) fn cancel(&self) -> Option<CancelMode> {
        self.rest.as_ref().and_then(|rest| rest.cancel.as_ref()).map(|(mode, _)| *mode)
    }

    pub(super) fn unique(&self) -> Option<&Name> {
        self.rest.as_ref()?.unique.as_ref()
    }

    pub(super) fn retention(&self) -> Duration {
        self.rest.as_ref().and_then(|rest| rest.retention).unwrap_or(super::RETENTION)
    }

    /// What the workflow says of that row; nothing of a task that is no workflow.
    pub(super) fn definition(&self, row: &StepRow, number: u32) -> Option<&Step> {
        self.flow.as_ref()?.workflow.steps.get(row.defined_at(number) as usize)
    }

    pub(super) fn status(&self) -> Status {
        match (self.ended, self.cancel()) {
            (Some(Ending { how: End::Succeeded, .. }), _) => Status::Succeeded,
            (Some(Ending { how: End::Dead, .. }), _) => Status::Dead,
            (Some(Ending { how: End::Cancelled, .. }), _) => Status::Cancelled,
            (None, Some(_)) => Status::Cancelling,
            (None, None) => Status::Open,
        }
    }
}

/// A step, or an instance of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct StepRow {
    pub(super) state: StepState,
    pub(super) class: ClassId,
    pub(super) priority: Priority,
    /// Attempts that count.
    pub(super) attempts: u16,
    /// Of an instance: which step it is one of, and for which item.
    pub(super) instance: Option<(StepIndex, u32)>,
    /// Of a step that is there once for each item.
    pub(super) each: Option<Box<Each>>,
    pub(super) history: Vec<Moment>,
    /// What went wrong last.
    pub(super) words: Option<Box<str>>,
    /// Of the attempt whose report was committed last.
    pub(super) settled: Option<Epoch>,
}

/// The instances of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Each {
    /// The row of the first one; the others follow.
    pub(super) first: u32,
    pub(super) count: u32,
    /// Those that are there already.
    pub(super) made: u32,
    pub(super) succeeded: u32,
    /// Those that are dead or cancelled, or will never be made.
    pub(super) lost: u32,
}

/// What has become of a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum StepState {
    Waiting {
        left: u16,
    },
    Delayed {
        due: WallTime,
        /// Since when, if it is a span that is waited for, and not a time.
        since: Option<WallTime>,
    },
    /// A person is waited for, until then if not for ever.
    Asking {
        until: Option<WallTime>,
    },
    Ready {
        order: u64,
    },
    Running(Box<Running>),
    Expanded,
    Succeeded(Option<Payload>),
    Dead,
    Cancelled,
    /// Waits for limits.
    Limited,
}

/// The attempt that runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Running {
    pub(super) fence: FenceToken,
    pub(super) worker: Incarnation,
    /// The number of the worker's claim.
    pub(super) number: u64,
}

impl StepState {
    /// Waits for so long from now on.
    pub(super) fn delayed(now: WallTime, span: Duration) -> Self {
        Self::Delayed { due: now.saturating_add(span), since: Some(now) }
    }

    /// It is to be waited for, and needs no other step to go on.
    pub(super) const fn is_active(&self) -> bool {
        match self {
            Self::Delayed { .. } | Self::Asking { .. } | Self::Limited | Self::Ready { .. } => true,
            Self::Running(_) | Self::Expanded => true,
            Self::Waiting { .. } | Self::Succeeded(_) | Self::Dead | Self::Cancelled => false,
        }
    }

    /// It is to begin, and a chore has not come to it yet.
    pub(super) const fn waits_for_nothing(&self) -> bool {
        matches!(self, Self::Waiting { left: 0 })
    }
}

impl StepRow {
    pub(super) fn new(state: StepState, class: ClassId, priority: Priority) -> Self {
        Self {
            state,
            class,
            priority,
            attempts: 0,
            instance: None,
            each: None,
            history: Vec::new(),
            words: None,
            settled: None,
        }
    }

    pub(super) fn happened(&mut self, at: WallTime, what: Happened) {
        if self.history.len() >= HISTORY_MAX {
            self.history.remove(HISTORY_FIRST);
        }
        // Most steps have few moments, and there are many steps.
        if self.history.len() == self.history.capacity() {
            self.history.reserve_exact(self.history.len().max(1));
        }
        self.history.push(Moment { at, what });
    }

    /// The place of its definition in the workflow.
    pub(super) fn defined_at(&self, row: u32) -> u32 {
        self.instance.map_or(row, |(step, _)| u32::from(step.0))
    }

    /// The list that it is to be repeated for has so many items.
    pub(super) fn counted(&mut self, count: u32) {
        self.each = Some(Box::new(Each { count, ..Each::default() }));
    }

    /// The attempt that runs.
    pub(super) fn running(&self) -> Option<&Running> {
        match &self.state {
            StepState::Running(running) => Some(running),
            _ => None,
        }
    }
}

/// Names a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct ClassId(pub(super) u32);

impl ClassId {
    /// Of what needs no worker.
    pub(super) const NONE: Self = Self(0);
}

/// Steps that need the same agent and the same labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct ClassRow {
    pub(super) agent: Name,
    pub(super) needs: Labels,
    /// Steps of it, whatever has become of them.
    pub(super) steps: u64,
    /// Claims it was served in: what is served next goes by that.
    pub(super) served: u64,
    /// When it was served last, in the order of all.
    pub(super) turn: u64,
}

/// A worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct WorkerRow {
    /// The newest claim that was taken.
    pub(super) number: u64,
    /// In which session.
    pub(super) session: Option<SessionId>,
    /// What it was given.
    pub(super) given: Vec<StepKey>,
}

/// What is done piece by piece.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Chore {
    /// Instances are to be made of a step.
    Expand,
    /// What has not begun is to be cancelled, from that row on.
    Cancel { next: u32 },
    /// What is dead is to wait again, from that row on. Nothing of the task runs meanwhile.
    Replay { next: u32 },
    /// What waits for nothing is to begin, from that row on, of those that were there when the replay was.
    Begin { next: u32, upto: u32 },
    /// The task goes, from that row on.
    Purge { next: u32 },
}

/// Names a chore: a step that is expanded, or the task, by a row that no step has.
pub(super) const OF_TASK: u32 = u32::MAX;

/// For a definition that is shared in memory and not in a snapshot.
mod shared {
    use super::{Arc, Flow, Workflow};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(flow: &Option<Arc<Flow>>, to: S) -> Result<S::Ok, S::Error> {
        flow.as_ref().map(|flow| &flow.workflow).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<Flow>>, D::Error> {
        Ok(Option::<Workflow>::deserialize(from)?.map(|workflow| Arc::new(workflow.into())))
    }
}
