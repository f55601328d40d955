//! What there is to do for one shard, as long as this node owns it under one epoch.

use super::courier::{Courier, Errand};
use super::recurring::Recurring;
use super::{Settings, Tasks};
use crate::control::state::{SessionId, State};
use crate::epoch::{Epoch, FenceToken};
use crate::identity::Incarnation;
use crate::shards::ShardId;
use crate::task::command::{Command, Ended};
use crate::task::id::StepKey;
use crate::task::tasks::WORK_MAX;
use crate::task::wire::{Held, PROGRESS_MAX, Progress};
use crate::time::{Duration, Time, WallTime};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// How long a wall clock is not looked at, though nothing is due before then: it may be set.
const LOOK_AT_MOST: Duration = Duration::from_secs(1);

/// An entry that nobody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Something is due, or goes on.
    Due,
    /// Claims end.
    End { worker: Incarnation, upto: u64, why: Ended },
    /// Words are handed to another shard.
    Say(Errand),
    /// A step that its worker does not have is given back (rule T2b).
    GiveBack { step: StepKey, fence: FenceToken },
    /// What has become due of a schedule is said.
    Fire { version: u64 },
}

/// The duty of an owner to one shard.
#[derive(Clone, Debug)]
pub(super) struct Duty {
    pub(super) epoch: Epoch,
    /// Until when claims of a worker live, and the number of its newest one when that was last looked at.
    leases: BTreeMap<Incarnation, (Time, u64)>,
    /// Workers whose session had ended when this began, and the newest claim of each then.
    gone: BTreeMap<Incarnation, u64>,
    /// Workers of whom an end was asked for, and not answered.
    ending: BTreeSet<Incarnation>,
    is_due_asked: bool,
    /// Steps that are being given back.
    giving_back: BTreeSet<(StepKey, FenceToken)>,
    /// How far runs say they are. Lost with the owner.
    progress: BTreeMap<StepKey, (FenceToken, Progress)>,
    /// What was ready, and who hungry, when workers were told last.
    pub(super) told: (u64, u64),
    /// When something is due, as far as the wall clock can be trusted.
    pub(super) due_at: Option<Time>,
    pub(super) courier: Courier,
    recurring: Recurring,
}

impl Duty {
    /// Each claim gets its time in full (rule T4a), unless its worker's session has ended.
    pub(super) fn new(epoch: Epoch, now: Time, settings: &Settings, tasks: &Tasks, state: Option<&State>) -> Self {
        let until = now.saturating_add(settings.ttl).saturating_add(settings.epsilon);
        // A session that this node's copy cannot know of yet is none that has ended.
        let is_newer = |state: &State, session: SessionId| session.0.log_index() > state.applied();
        let has_session = |worker: &Incarnation| {
            let is_later = |state| tasks.session_of(*worker).is_some_and(|session| is_newer(state, session));
            state.is_none_or(|state| state.own_session(*worker).is_some() || is_later(state))
        };
        Self {
            epoch,
            leases: tasks.workers().map(|(worker, number)| (worker, (until, number))).collect(),
            gone: tasks.workers().filter(|(worker, _)| !has_session(worker)).collect(),
            ending: BTreeSet::new(),
            is_due_asked: false,
            giving_back: BTreeSet::new(),
            progress: BTreeMap::new(),
            told: (0, 0),
            due_at: None,
            courier: Courier::default(),
            recurring: Recurring::default(),
        }
    }

    /// Whether something is due. O(1).
    pub(super) fn look(&mut self, now: Time, wall: WallTime, tasks: &Tasks, wishes: &mut Vec<Wish>) {
        self.due_at = None;
        if self.is_due_asked {
            return;
        }
        let Some(due) = tasks.next_due(wall) else { return };
        match due <= wall {
            true => {
                self.is_due_asked = true;
                wishes.push(Wish::Due);
            }
            false => {
                let left = Duration::from_nanos(due.as_unix_nanos() - wall.as_unix_nanos());
                self.due_at = Some(now.saturating_add(left.min(LOOK_AT_MOST)));
            }
        }
    }

    /// What is to be handed to other shards of a namespace that has so many.
    pub(super) fn send(
        &mut self,
        now: Time,
        own: ShardId,
        shards: u32,
        tasks: &Tasks,
    ) -> Vec<(Errand, ShardId, Command)> {
        let mut asks = Vec::new();
        let has_more = self.courier.look(now, own, shards, tasks, &mut asks);
        let again = self.courier.next_deadline().into_iter().chain(has_more.then_some(now));
        self.due_at = self.due_at.into_iter().chain(again).min();
        asks
    }

    /// What is to be written of schedules, and when they are to be looked at again.
    pub(super) fn recur(&mut self, now: Time, wall: WallTime, tasks: &Tasks) -> Vec<(u64, Command)> {
        let asks = self.recurring.look(wall, tasks);
        let left = |due: WallTime| Duration::from_nanos(due.as_unix_nanos() - wall.as_unix_nanos()).min(LOOK_AT_MOST);
        let next = tasks.next_recurring(wall).map(|due| now.saturating_add(left(due)));
        self.due_at = self.due_at.into_iter().chain(next).min();
        asks
    }

    /// Who has claims, and of whom too long nothing was heard. A claim is word from its worker: one that was taken since has its
    /// time from now on, which is later than when it was asked for (rule T4b). O(workers).
    pub(super) fn look_at_leases(&mut self, now: Time, settings: &Settings, tasks: &Tasks, wishes: &mut Vec<Wish>) {
        let until = now.saturating_add(settings.ttl).saturating_add(settings.epsilon);
        self.leases.retain(|worker, _| tasks.claim_of(*worker).is_some());
        self.progress.retain(|step, (fence, _)| tasks.runs(*step, *fence));
        for (worker, upto) in tasks.workers() {
            let lease = self.leases.entry(worker).or_insert((until, upto));
            if lease.1 != upto {
                *lease = (until.max(lease.0), upto);
            }
            let is_gone = self.gone.get(&worker).is_some_and(|newest| upto <= *newest);
            match (is_gone, lease.0 < now) {
                (true, _) => self.end(worker, upto, Ended::Gone, wishes),
                (false, true) => self.end(worker, upto, Ended::Silent, wishes),
                (false, false) => {}
            }
        }
    }

    /// Claims of a worker end, unless that is asked for already.
    pub(super) fn end(&mut self, worker: Incarnation, upto: u64, why: Ended, wishes: &mut Vec<Wish>) {
        if self.ending.insert(worker) {
            wishes.push(Wish::End { worker, upto, why });
        }
    }

    /// A worker was heard of, whose newest claim has that number.
    pub(super) fn renew(&mut self, worker: Incarnation, until: Time, number: u64) {
        self.leases.insert(worker, (until, number));
        self.gone.remove(&worker);
    }

    /// What the worker was given by claims whose answers it has, and does not have, is nobody's: it was given to a late copy of a
    /// claim (rule T2b). O(steps of the worker).
    pub(super) fn give_back(&mut self, worker: Incarnation, held: &Held, tasks: &Tasks, wishes: &mut Vec<Wish>) {
        let has: BTreeSet<&(StepKey, FenceToken)> = held.steps.iter().collect();
        let lost = tasks.given_to(worker, held.upto).filter(|it| !has.contains(it) && !self.giving_back.contains(it));
        let lost: Vec<_> = lost.take(WORK_MAX).collect();
        for (step, fence) in lost {
            self.giving_back.insert((step, fence));
            wishes.push(Wish::GiveBack { step, fence });
        }
    }

    /// A worker says how far its runs are.
    pub(super) fn hear_progress(&mut self, held: Held, tasks: &Tasks) {
        for (step, fence, progress) in held.progress.into_iter().take(PROGRESS_MAX) {
            if progress.is_sound() && tasks.runs(step, fence) {
                self.progress.insert(step, (fence, progress));
            }
        }
    }

    /// How far an attempt says it is.
    pub(super) fn progress_of(&self, step: StepKey, fence: FenceToken) -> Option<&Progress> {
        self.progress.get(&step).filter(|(of, _)| *of == fence).map(|(_, progress)| progress)
    }

    /// An entry that was asked for is there, or may not be.
    pub(super) fn done(&mut self, wish: &Wish, is_there: bool) {
        match wish {
            Wish::Due => self.is_due_asked = false,
            Wish::Say(_) => {}
            Wish::Fire { version } => self.recurring.done(*version),
            // So is the lease: what the worker claims from now on has its time in full, though its number be the same.
            Wish::End { worker, .. } => {
                self.ending.remove(worker);
                if is_there {
                    self.leases.remove(worker);
                }
            }
            Wish::GiveBack { step, fence } => {
                self.giving_back.remove(&(*step, *fence));
            }
        }
    }
}
