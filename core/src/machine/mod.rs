//! The contract between a machine and whoever drives it.
//!
//! A machine is plain data. It is handed one event with a [`Ctx`], changes its state, and pushes actions; it never
//! does anything itself. Deadlines are polled, so cancelling is overwriting and a spurious wake is harmless.
//! What belongs here is the contract alone; the node that composes machines is in [`node`](crate::node).
//!
//! Rules every implementation keeps:
//! - validate an event wholly before the first action; peer input never panics;
//! - bounded work per event, no allocation per event in the steady state;
//! - no clock, no entropy, no hash order: time and chance come from [`Ctx`].

mod chance;

pub use chance::{Chooser, Scripted, Seeded};

use crate::record::Sequence;
use crate::time::{Time, WallTime};
use core::fmt;
use serde::{Deserialize, Serialize};

/// A pure state machine.
pub trait Machine {
    /// What can happen to it.
    type Event;
    /// What it asks for.
    type Action;

    /// Takes one event, changes state, and pushes what follows from it.
    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Self::Event, out: &mut impl Sink<Self::Action>);

    /// When the machine wants to be woken next, on the node's monotonic clock. O(1): polled after every event.
    fn next_deadline(&self) -> Option<Time>;
}

/// Where a machine's actions go. A parent passes its child a sink that lifts the child's actions ([`Lift`]).
pub trait Sink<A> {
    /// Takes one action. Actions keep their order.
    fn push(&mut self, action: A);
}

impl<A> Sink<A> for alloc::vec::Vec<A> {
    fn push(&mut self, action: A) {
        alloc::vec::Vec::push(self, action);
    }
}

/// A sink that turns each action of a child into one of its parent.
pub struct Lift<'a, S, F> {
    parent: &'a mut S,
    lift: F,
}

impl<'a, S, F> Lift<'a, S, F> {
    /// A sink that passes `lift(action)` on to `parent`.
    pub fn new(parent: &'a mut S, lift: F) -> Self {
        Self { parent, lift }
    }
}

impl<A, B, S: Sink<B>, F: FnMut(A) -> B> Sink<A> for Lift<'_, S, F> {
    fn push(&mut self, action: A) {
        self.parent.push((self.lift)(action));
    }
}

/// Names the event that an action follows from. Every action inherits it, envelopes carry it across nodes.
///
/// Unique within the driver that assigned it; zero means "no cause known".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CauseId(pub u64);

impl fmt::Display for CauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What a machine may know besides its own state while it handles one event.
pub struct Ctx<'a> {
    /// The node's monotonic time, sampled after the event was taken.
    pub now: Time,
    /// The node's wall time: for stamps and due times, never for leases.
    pub wall: WallTime,
    /// The event being handled.
    pub cause: CauseId,
    /// The journal sequence that the next `Write` takes; the one after takes the following, and so on.
    pub next_record: Sequence,
    chooser: &'a mut dyn Chooser,
}

impl<'a> Ctx<'a> {
    /// The context of one event. `next_record` is set by the node.
    pub fn new(now: Time, wall: WallTime, cause: CauseId, chooser: &'a mut dyn Chooser) -> Self {
        Self { now, wall, cause, next_record: Sequence::default(), chooser }
    }

    /// A number in `0..bound`, each as likely as the others.
    ///
    /// # Panics
    /// When `bound` is zero, which is a defect of the caller.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a choice needs at least one alternative");
        self.chooser.below(bound)
    }
}
