//! Hands to other shards what this one says to them (rule T11).
//!
//! For each of them one thing at a time: some words, in the order of their numbers, and when these are taken the entry that
//! says so. Who is not answered asks again: what comes twice is taken once. An owner that follows begins with the first word
//! that nobody is known to have taken.

#[cfg(test)]
mod tests;

use super::Tasks;
use crate::shards::ShardId;
use crate::task::command::Command;
use crate::task::word::WORDS_MAX;
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

/// Words that are sorted at once.
const SORTED_MAX: usize = 4_096;

/// What is asked of a shard for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// That one is to take words.
    Take { to: u32 },
    /// This one is to forget that it said them.
    Forget { to: u32 },
}

#[derive(Clone, Debug, Default)]
struct Route {
    /// Numbers of words that are not under way.
    waiting: VecDeque<u64>,
    /// Numbers of those that are.
    under_way: Vec<u64>,
    /// They are known to have been taken.
    are_taken: bool,
    /// Something was asked, and not answered.
    is_asked: bool,
    /// What was not answered well is asked again then.
    again_at: Option<Time>,
}

/// What one shard has for others.
#[derive(Clone, Debug, Default)]
pub(super) struct Courier {
    /// Words up to this one are sorted.
    sorted: u64,
    routes: BTreeMap<u32, Route>,
    /// Routes on which something is to be asked.
    idle: BTreeSet<u32>,
    again: BTreeSet<(Time, u32)>,
}

impl Courier {
    /// When this has to be looked at again.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.again.first().map(|(at, _)| *at)
    }

    /// What is to be asked, and of which shard. The namespace has so many of them. Whether there are words left that were not
    /// looked at. O(what is new).
    pub(super) fn look(
        &mut self,
        now: Time,
        own: ShardId,
        shards: u32,
        tasks: &Tasks,
        asks: &mut Vec<(Errand, ShardId, Command)>,
    ) -> bool {
        let mut left = SORTED_MAX;
        for (number, word) in tasks.words(self.sorted + 1).take(SORTED_MAX) {
            let to = word.to(own.namespace, shards);
            let route = self.routes.entry(to).or_default();
            route.waiting.push_back(number);
            if !route.is_asked && route.again_at.is_none() {
                self.idle.insert(to);
            }
            (self.sorted, left) = (number, left - 1);
        }
        while let Some((at, to)) = self.again.first().copied().filter(|(at, _)| *at <= now) {
            self.again.remove(&(at, to));
            if let Some(route) = self.routes.get_mut(&to) {
                route.again_at = None;
                self.idle.insert(to);
            }
        }
        while let Some(to) = self.idle.pop_first() {
            let Some(route) = self.routes.get_mut(&to) else { continue };
            match route.next(own, to, tasks) {
                Some(ask) => asks.push(ask),
                None => drop(self.routes.remove(&to)),
            }
        }
        left == 0
    }

    /// What was asked was done, or it is not known to be, and is to be asked again.
    pub(super) fn told(&mut self, errand: Errand, again_at: Option<Time>) {
        let (Errand::Take { to } | Errand::Forget { to }) = errand;
        let Some(route) = self.routes.get_mut(&to) else { return };
        route.is_asked = false;
        match (again_at, errand) {
            (Some(at), _) => {
                route.again_at = Some(at);
                self.again.insert((at, to));
                return;
            }
            (None, Errand::Take { .. }) => route.are_taken = true,
            (None, Errand::Forget { .. }) => {
                route.under_way.clear();
                route.are_taken = false;
            }
        }
        self.idle.insert(to);
    }
}

impl Route {
    fn next(&mut self, own: ShardId, to: u32, tasks: &Tasks) -> Option<(Errand, ShardId, Command)> {
        if self.under_way.is_empty() {
            self.load(tasks);
        }
        if self.under_way.is_empty() {
            return None;
        }
        self.is_asked = true;
        if self.are_taken {
            return Some((Errand::Forget { to }, own, Command::Taken { numbers: self.under_way.clone() }));
        }
        let words = self.under_way.iter().filter_map(|number| Some((*number, tasks.word(*number)?.clone()))).collect();
        Some((Errand::Take { to }, ShardId { number: to, ..own }, Command::Take { from: own.number, words }))
    }

    /// The next words: as many as may go together.
    fn load(&mut self, tasks: &Tasks) {
        while let Some(number) = self.waiting.front().copied()
            && self.under_way.len() < WORDS_MAX
        {
            let stands_alone = tasks.word(number).is_some_and(|word| word.stands_alone());
            if stands_alone && !self.under_way.is_empty() {
                return;
            }
            self.waiting.pop_front();
            // One that an earlier owner has handed over since is there no more.
            self.under_way.extend(tasks.word(number).map(|_| number));
            if stands_alone {
                return;
            }
        }
    }
}
