//! A limit, seen from the shard that it lives in: who has a permit of it, and who waits for one (rule T10).
//!
//! A permit is held from the moment it is given until the attempt that it was given for is known to be over. For a rate it
//! counts until the attempt has begun, and for the span of the rate afterwards; so no more attempts than the rate says begin
//! in any such span, whenever workers come to them.

use super::At;
use super::claim::order_of;
use super::tables::Tables;
use crate::task::limit::{Bounds, Declared, LimitName};
use crate::task::view::LimitView;
use crate::task::word::{Permit, Word};
use crate::task::workflow::Priority;
use crate::time::WallTime;
use alloc::collections::{BTreeMap, BTreeSet};
use serde::{Deserialize, Serialize};

/// A step of some shard.
pub(super) type Holder = (u32, Permit);

/// What is kept of a limit as long as somebody wants something of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct GateRow {
    /// What those who ask have said of it.
    pub(super) declared: Declared,
    /// Permits that were given: whose turn it is goes by that.
    pub(super) served: u64,
    /// The last place in the order of those who wait.
    pub(super) order: u64,
}

/// What a limit has of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct SlotRow {
    pub(super) priority: Priority,
    pub(super) state: Slot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Slot {
    /// It waits.
    Waits { order: u64 },
    /// It has a permit. Once it has begun under a rate, it counts for that as long as that says.
    Holds { has_begun: bool, counts: Option<Counts> },
    /// It is over, and counts for the rate.
    Over { counts: Counts },
}

/// As long as a beginning counts for a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Counts {
    since: WallTime,
    until: WallTime,
}

/// What follows from the rows of a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gate {
    queue: BTreeMap<(Priority, u64), Holder>,
    /// Permits that are held.
    held: u32,
    /// Permits that count for the rate.
    spent: u32,
}

/// What follows from the rows of all limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gates {
    gates: BTreeMap<LimitName, Gate>,
    /// Until when permits count for a rate.
    cooling: BTreeSet<(WallTime, LimitName, Holder)>,
    /// The same, by since when.
    counting: BTreeSet<(WallTime, LimitName, Holder)>,
    /// Limits that may have permits to give which nobody has been given yet, as that is too much for one entry.
    open: BTreeSet<LimitName>,
}

impl Gates {
    /// When something of a limit is due; the past where something is to be done at once.
    pub(super) fn next_due(&self) -> Option<WallTime> {
        match self.open.is_empty() {
            true => self.cooling.first().map(|(until, ..)| *until),
            false => Some(WallTime::from_unix_nanos(0)),
        }
    }

    /// Something began to count in the future: the clock was ahead, and is not any more.
    pub(super) fn is_ahead(&self, now: WallTime) -> bool {
        self.counting.last().is_some_and(|(since, ..)| *since > now)
    }

    fn add(&mut self, limit: &LimitName, holder: Holder, row: SlotRow) {
        let gate = self.gates.entry(limit.clone()).or_default();
        let counts = match row.state {
            Slot::Waits { order } => {
                gate.queue.insert((row.priority, order), holder);
                None
            }
            Slot::Holds { has_begun, counts } => {
                gate.held += 1;
                gate.spent += u32::from(!has_begun || counts.is_some());
                counts
            }
            Slot::Over { counts } => {
                gate.spent += 1;
                Some(counts)
            }
        };
        if let Some(Counts { since, until }) = counts {
            self.cooling.insert((until, limit.clone(), holder));
            self.counting.insert((since, limit.clone(), holder));
        }
    }

    fn remove(&mut self, limit: &LimitName, holder: Holder, row: SlotRow) {
        let Some(gate) = self.gates.get_mut(limit) else { return };
        let counts = match row.state {
            Slot::Waits { order } => {
                gate.queue.remove(&(row.priority, order));
                None
            }
            Slot::Holds { has_begun, counts } => {
                gate.held -= 1;
                gate.spent -= u32::from(!has_begun || counts.is_some());
                counts
            }
            Slot::Over { counts } => {
                gate.spent -= 1;
                Some(counts)
            }
        };
        if *gate == Gate::default() {
            self.gates.remove(limit);
        }
        if let Some(Counts { since, until }) = counts {
            self.cooling.remove(&(until, limit.clone(), holder));
            self.counting.remove(&(since, limit.clone(), holder));
        }
    }
}

impl Gate {
    fn has_room(&self, bounds: Bounds) -> bool {
        let is_below = |count: u32, bound: Option<u32>| bound.is_none_or(|bound| count < bound);
        is_below(self.held, bounds.at_once) && is_below(self.spent, bounds.rate.map(|rate| rate.count))
    }

    /// Who is served next, the how manieth of all: as workers serve a class.
    fn next(&self, served: u64) -> Option<Holder> {
        let first = |priority| self.queue.range((priority, 0)..=(priority, u64::MAX)).next();
        order_of(served).into_iter().find_map(first).map(|(_, holder)| *holder)
    }
}

impl Tables {
    /// A step wants to run.
    pub(super) fn asked_for(&mut self, limit: LimitName, holder: Holder, priority: Priority, declared: Declared) {
        let mut gate = self.gates.get(&limit).copied().unwrap_or_default();
        gate.declared = gate.declared.max(declared);
        gate.order += 1;
        self.gates.insert(limit.clone(), gate);
        self.set_slot(&limit, holder, Some(SlotRow { priority, state: Slot::Waits { order: gate.order } }));
        self.give_permits(&limit, &mut 1);
    }

    /// A step that has a permit has begun.
    pub(super) fn has_begun(&mut self, at: At, limit: LimitName, holder: Holder) {
        let Some(row) = self.slots.get(&(limit.clone(), holder)).copied() else { return };
        if let Slot::Holds { has_begun: false, .. } = row.state {
            let counts = self.counts_from(at, &limit);
            self.set_slot(&limit, holder, Some(SlotRow { state: Slot::Holds { has_begun: true, counts }, ..row }));
            self.give_permits(&limit, &mut 1);
        }
    }

    /// A step that had a permit, or wanted one, does so no more.
    pub(super) fn is_over(&mut self, at: At, limit: LimitName, holder: Holder, has_begun: bool) {
        let Some(row) = self.slots.get(&(limit.clone(), holder)).copied() else { return };
        let counts = match row.state {
            Slot::Holds { counts: Some(counts), .. } => Some(counts),
            // Nobody said when it began: at the latest, now.
            Slot::Holds { has_begun: false, counts: None } if has_begun => self.counts_from(at, &limit),
            _ => None,
        };
        let over = counts.map(|counts| SlotRow { state: Slot::Over { counts }, ..row });
        self.set_slot(&limit, holder, over);
        self.give_permits(&limit, &mut 1);
    }

    /// Something was said of a limit.
    pub(super) fn is_declared(&mut self, limit: &LimitName) {
        self.give_permits(limit, &mut 1);
    }

    /// Permits that count for a rate no more, and limits that have more to give than one entry gives.
    pub(super) fn due_of_limits(&mut self, at: At, room: &mut usize) {
        while *room > 0
            && self.opened.is_ahead(at.wall)
            && let Some((_, limit, holder)) = self.opened.counting.last().cloned()
        {
            *room -= 1;
            let (row, counts) = (self.slots.get(&(limit.clone(), holder)).copied(), self.counts_from(at, &limit));
            // The span begins anew, as that of a step that is delayed.
            let again = row.and_then(|row| match (row.state, counts) {
                (Slot::Over { .. }, counts) => Some(SlotRow { state: Slot::Over { counts: counts? }, ..row }),
                (_, counts) => Some(SlotRow { state: Slot::Holds { has_begun: true, counts }, ..row }),
            });
            self.set_slot(&limit, holder, again);
            self.give_permits(&limit, &mut 1);
        }
        while *room > 0
            && let Some((until, limit, holder)) = self.opened.cooling.first().cloned()
            && until <= at.wall
        {
            *room -= 1;
            let row = self.slots.get(&(limit.clone(), holder)).copied();
            let cooled = row.and_then(|row| match row.state {
                Slot::Holds { .. } => Some(SlotRow { state: Slot::Holds { has_begun: true, counts: None }, ..row }),
                _ => None,
            });
            self.set_slot(&limit, holder, cooled);
            self.give_permits(&limit, &mut 1);
        }
        while *room > 0
            && let Some(limit) = self.opened.open.first().cloned()
        {
            self.give_permits(&limit, room);
        }
    }

    /// Gives permits to those who wait, so many at most; what is left is for an entry of its own.
    fn give_permits(&mut self, limit: &LimitName, room: &mut usize) {
        self.opened.open.remove(limit);
        let bounds = self.bounds(limit);
        while let Some(gate) = self.opened.gates.get(limit)
            && gate.has_room(bounds)
            && let Some(row) = self.gates.get_mut(limit)
            && let Some(holder) = gate.next(row.served)
        {
            if *room == 0 {
                self.opened.open.insert(limit.clone());
                return;
            }
            *room -= 1;
            row.served += 1;
            let Some(slot) = self.slots.get(&(limit.clone(), holder)).copied() else { return };
            self.set_slot(
                limit,
                holder,
                Some(SlotRow { state: Slot::Holds { has_begun: false, counts: None }, ..slot }),
            );
            self.post(Word::Given { to: holder.0, limit: limit.clone(), permit: holder.1 });
        }
    }

    /// As long as what begins now counts for a rate, if there is one.
    fn counts_from(&self, at: At, limit: &LimitName) -> Option<Counts> {
        let rate = self.bounds(limit).rate?;
        Some(Counts { since: at.wall, until: at.wall.saturating_add(rate.per) })
    }

    /// What a limit allows, by the newest that anybody has said of it.
    fn bounds(&self, limit: &LimitName) -> Bounds {
        let asked = self.gates.get(limit).map(|gate| gate.declared).unwrap_or_default();
        asked.max(self.declared(limit)).bounds(limit)
    }

    /// The one place where a slot changes.
    fn set_slot(&mut self, limit: &LimitName, holder: Holder, row: Option<SlotRow>) {
        let key = (limit.clone(), holder);
        if let Some(before) = self.slots.remove(&key) {
            self.opened.remove(limit, holder, before);
        }
        match row {
            Some(row) => {
                self.opened.add(limit, holder, row);
                self.slots.insert(key, row);
            }
            None if !self.opened.gates.contains_key(limit) => drop(self.gates.remove(limit)),
            None => {}
        }
    }

    /// What follows from a slot's row: also that its limit has something to give, as far as its slots are there.
    pub(super) fn index_slot(&mut self, (limit, holder): &(LimitName, Holder), row: SlotRow) {
        self.opened.add(limit, *holder, row);
        let bounds = self.bounds(limit);
        let gate = self.opened.gates.get(limit);
        match gate.is_some_and(|gate| !gate.queue.is_empty() && gate.has_room(bounds)) {
            true => self.opened.open.insert(limit.clone()),
            false => self.opened.open.remove(limit),
        };
    }

    /// A limit, for people.
    pub(super) fn limit_view(&self, limit: &LimitName) -> LimitView {
        let gate = self.opened.gates.get(limit);
        LimitView {
            bounds: self.bounds(limit),
            held: gate.map_or(0, |gate| gate.held),
            spent: gate.map_or(0, |gate| gate.spent),
            waiting: gate.map_or(0, |gate| gate.queue.len() as u64),
        }
    }
}
