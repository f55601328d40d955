//! The output-commit gate: nothing another party can see leaves before the writes it may rest on are durable.
//!
//! The node numbers its writes. Whatever is visible outside waits here until every write emitted up to the end of the
//! step that produced it is durable, also when that step wrote nothing itself: a reply to a read shows state that may
//! rest on an unsynced write. Release keeps the order. An action that depends on a lease carries `not_after`: one that
//! would leave later is handed back instead.
//!
//! Machines are written as if their writes were instantly durable; this is the one place that knows better. What is
//! absent: which messages may pass ungated (a property of the message's type, see
//! [`Message::gating`](crate::node::Message::gating)), and the syncing itself (the driver's).

use crate::time::Time;
use alloc::collections::VecDeque;
use core::fmt;

#[cfg(test)]
mod tests;

/// Counts the writes of one boot: records, objects and what takes either away alike. Zero is "none yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteNumber(pub u64);

impl WriteNumber {
    /// The write after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for WriteNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What became of an action at the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release<T> {
    /// It may leave now.
    Leave(T),
    /// Its `not_after` has passed: it was dropped, and its machine has to be told.
    Late(T),
}

/// Holds visible actions until what they rest on is durable.
#[derive(Clone, Debug)]
pub struct Gate<T> {
    held: VecDeque<Held<T>>,
    written: WriteNumber,
    durable: WriteNumber,
    /// Actions of the step under way: they stand at the end of `held` and wait for its last write.
    open: usize,
}

#[derive(Clone, Debug)]
struct Held<T> {
    rests_on: WriteNumber,
    not_after: Option<Time>,
    action: T,
}

impl<T> Gate<T> {
    /// A gate before the first write.
    pub const fn new() -> Self {
        Self { held: VecDeque::new(), written: WriteNumber(0), durable: WriteNumber(0), open: 0 }
    }

    /// Numbers one more write.
    pub fn wrote(&mut self) -> WriteNumber {
        self.written = self.written.next();
        self.written
    }

    /// Takes a visible action of the step under way. `not_after` is the last instant at which it may leave.
    pub fn hold(&mut self, not_after: Option<Time>, action: T) {
        self.held.push_back(Held { rests_on: WriteNumber(u64::MAX), not_after, action });
        self.open += 1;
    }

    /// Ends the step under way: its actions rest on every write emitted so far.
    pub fn close_step(&mut self) {
        let written = self.written;
        self.held.iter_mut().rev().take(self.open).for_each(|held| held.rests_on = written);
        self.open = 0;
    }

    /// Every write up to `upto` is durable.
    ///
    /// # Panics
    /// When `upto` was never written: the driver would vouch for bytes it was not given.
    pub fn persisted(&mut self, upto: WriteNumber) {
        assert!(upto <= self.written, "write {upto} was reported durable, but only {} were emitted", self.written);
        self.durable = self.durable.max(upto);
    }

    /// The next action that is done waiting, in order.
    pub fn release(&mut self, now: Time) -> Option<Release<T>> {
        if self.held.front()?.rests_on > self.durable {
            return None;
        }
        let Held { not_after, action, .. } = self.held.pop_front()?;
        Some(match not_after {
            Some(limit) if now > limit => Release::Late(action),
            _ => Release::Leave(action),
        })
    }

    /// Actions held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether no action is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The last write emitted.
    pub const fn written(&self) -> WriteNumber {
        self.written
    }

    /// The last write known durable.
    pub const fn durable(&self) -> WriteNumber {
        self.durable
    }
}

impl<T> Default for Gate<T> {
    fn default() -> Self {
        Self::new()
    }
}
