//! Who gives to whom, so that nobody carries too much or too little, with as few moves as that takes.
//!
//! Whoever carries less than the least it may is filled up to its share; whoever carries more than the most gives until it
//! does not. Between the bounds nothing moves: a table that is good enough stays as it is.

use super::share::{self, Share};
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

/// A site, or a zone, that carries something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) load: u32,
    pub(super) weight: u64,
    pub(super) share: Share,
    /// Whether it takes part: it may be given something, and gives.
    pub(super) is_open: bool,
}

impl Member {
    fn ratio(&self) -> u64 {
        share::ratio(self.load, self.weight)
    }
}

/// Members, by how much they carry for their weight.
#[derive(Clone, Debug)]
pub(super) struct Even {
    members: Vec<Member>,
    by_ratio: BTreeSet<(u64, usize)>,
    filling: BTreeSet<(u64, usize)>,
    shedding: BTreeSet<(u64, usize)>,
    /// Pairs between which nothing can move.
    barred: BTreeSet<(usize, usize)>,
    /// Of each, with how many others it was tried in vain.
    tries: Vec<u8>,
}

/// With so many others in vain, a member stays as it is: to try every pair would grow with their number's square.
const TRIES_MAX: u8 = 16;

impl Even {
    /// O(n log n).
    pub(super) fn new(members: Vec<Member>) -> Self {
        let of = |is: fn(&Member) -> bool| {
            let some = members.iter().enumerate().filter(|(_, member)| is(member));
            some.map(|(at, member)| (member.ratio(), at)).collect()
        };
        Self {
            by_ratio: of(|_| true),
            filling: of(|member| member.is_open && member.load < member.share.least),
            shedding: of(|member| member.is_open && member.load > member.share.most),
            barred: BTreeSet::new(),
            tries: vec![0; members.len()],
            members,
        }
    }

    /// Who is to give something, and to whom; nothing once that is done.
    pub(super) fn next(&mut self) -> Option<(usize, usize)> {
        while let Some((key, to)) = self.filling.first().copied() {
            let is_short = self.members[to].load < self.members[to].share.fill && self.tries[to] < TRIES_MAX;
            match self.giver_for(to).filter(|_| is_short) {
                Some(from) => return Some((from, to)),
                None => self.filling.remove(&(key, to)),
            };
        }
        while let Some((key, from)) = self.shedding.last().copied() {
            let is_over = self.members[from].load > self.members[from].share.most && self.tries[from] < TRIES_MAX;
            match self.taker_of(from).filter(|_| is_over) {
                Some(to) => return Some((from, to)),
                None => self.shedding.remove(&(key, from)),
            };
        }
        None
    }

    /// Whoever carries the most for its weight, and more than its share.
    fn giver_for(&self, to: usize) -> Option<usize> {
        let can = |from: &usize| {
            let member = &self.members[*from];
            *from != to && member.is_open && member.load > member.share.fill && !self.barred.contains(&(*from, to))
        };
        self.by_ratio.iter().rev().map(|(_, from)| *from).find(can)
    }

    /// Whoever carries the least for its weight, and has room.
    fn taker_of(&self, from: usize) -> Option<usize> {
        let can = |to: &usize| {
            let member = &self.members[*to];
            let has_room = member.is_open && member.load < member.share.most;
            *to != from && has_room && !self.barred.contains(&(from, *to))
        };
        self.by_ratio.iter().map(|(_, to)| *to).find(can)
    }

    /// It was done.
    pub(super) fn moved(&mut self, from: usize, to: usize) {
        self.loads(from, self.members[from].load - 1);
        self.loads(to, self.members[to].load + 1);
    }

    /// There is nothing that the one could give to the other.
    pub(super) fn bar(&mut self, from: usize, to: usize) {
        self.barred.insert((from, to));
        let is_filled = self.filling.contains(&(self.members[to].ratio(), to));
        let tried = if is_filled { to } else { from };
        self.tries[tried] += 1;
    }

    fn loads(&mut self, at: usize, load: u32) {
        let before = (self.members[at].ratio(), at);
        self.members[at].load = load;
        let now = (self.members[at].ratio(), at);
        for set in [&mut self.by_ratio, &mut self.filling, &mut self.shedding] {
            if set.remove(&before) {
                set.insert(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::share::OF_SITES;
    use super::*;

    fn evened(loads: &[u32], weights: &[u64]) -> (Vec<u32>, u32) {
        let (total, all) = (loads.iter().sum::<u32>(), weights.iter().sum());
        let member = |(load, weight): (&u32, &u64)| {
            let share = Share::of(u64::from(total), *weight, all, OF_SITES);
            Member { load: *load, weight: *weight, share, is_open: true }
        };
        let mut even = Even::new(loads.iter().zip(weights).map(member).collect());
        let mut moves = 0;
        while let Some((from, to)) = even.next() {
            even.moved(from, to);
            moves += 1;
        }
        (even.members.iter().map(|member| member.load).collect(), moves)
    }

    #[test]
    fn a_newcomer_is_filled_up_by_whoever_has_the_most_and_nothing_else_moves() {
        assert_eq!(evened(&[10, 12, 10, 0], &[1; 4]), ([8, 8, 8, 8].into(), 8));
        assert_eq!(evened(&[9, 10, 11, 10], &[1; 4]), ([9, 10, 11, 10].into(), 0));
    }

    #[test]
    fn whoever_has_too_much_gives_no_more_than_it_must() {
        assert_eq!(evened(&[16, 8, 8, 8], &[1; 4]).1, 4, "12 is a quarter above 10");
        assert_eq!(evened(&[20, 20], &[3, 1]), ([30, 10].into(), 10));
    }

    #[test]
    fn where_nothing_can_move_it_ends() {
        let share = Share { least: 5, fill: 5, most: 5 };
        let member = |load| Member { load, weight: 1, share, is_open: true };
        let mut even = Even::new([member(10), member(0)].into());
        assert_eq!(even.next(), Some((0, 1)));
        even.bar(0, 1);
        assert_eq!(even.next(), None);
    }
}
