//! Who lists whom, and what was sent: the only place where anything is measured, whoever the contender is.

use crate::figures::{Detection, Figures, Rates};
use crate::schedule::{END, LOSS_BEGINS, victims};
use relaymesh_sim::scenario::Scenario;
use relaymesh_sim::time::TrueTime;
use std::collections::BTreeSet;

/// What was sent in a span of the run.
#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    bytes: u64,
    messages: u64,
}

/// Told of everything by whoever drives a contender, at true time.
///
/// *Listed* is what the node's own interface calls a live member: one under suspicion still is.
#[derive(Debug)]
pub(crate) struct Watch {
    nodes: usize,
    victims: BTreeSet<u32>,
    /// By observer and subject.
    listed: Vec<bool>,
    /// Pairs that are not listed.
    unlisted: usize,
    /// When the last node started.
    started_at: TrueTime,
    formed_at: Option<TrueTime>,
    unlisted_at_loss: Option<usize>,
    /// By subject.
    crashed_at: Vec<Option<TrueTime>>,
    /// Since when the observer no longer lists the crashed subject; by observer and subject.
    dead_since: Vec<Option<TrueTime>>,
    false_deaths: u64,
    falsely_dead: BTreeSet<u32>,
    forming: Traffic,
    steady: Traffic,
}

impl Watch {
    /// Nobody lists anybody.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let nodes = scenario.nodes as usize;
        Self {
            nodes,
            victims: victims(scenario),
            listed: vec![false; nodes * nodes],
            unlisted: nodes * (nodes - 1),
            started_at: TrueTime(0),
            formed_at: None,
            unlisted_at_loss: None,
            crashed_at: vec![None; nodes],
            dead_since: vec![None; nodes * nodes],
            false_deaths: 0,
            falsely_dead: BTreeSet::new(),
            forming: Traffic::default(),
            steady: Traffic::default(),
        }
    }

    fn pair(&self, observer: u32, subject: u32) -> usize {
        observer as usize * self.nodes + subject as usize
    }

    /// Whether `observer` lists `subject`.
    pub(crate) fn lists(&self, observer: u32, subject: u32) -> bool {
        self.listed[self.pair(observer, subject)]
    }

    /// A node has started.
    pub(crate) fn started(&mut self, now: TrueTime) {
        self.started_at = now;
    }

    /// Nothing was lost so far; now it begins.
    pub(crate) fn loss_begins(&mut self) {
        self.unlisted_at_loss = Some(self.unlisted);
    }

    /// `observer` has come to list `subject`.
    pub(crate) fn up(&mut self, now: TrueTime, observer: u32, subject: u32) {
        let pair = self.pair(observer, subject);
        if observer == subject || self.listed[pair] {
            return;
        }
        self.listed[pair] = true;
        self.dead_since[pair] = None;
        self.unlisted -= 1;
        if self.unlisted == 0 {
            self.formed_at.get_or_insert(now);
        }
    }

    /// `observer` has declared `subject` dead, or heard and believed that it is.
    pub(crate) fn down(&mut self, now: TrueTime, observer: u32, subject: u32) {
        let pair = self.pair(observer, subject);
        if observer == subject || !self.listed[pair] {
            return;
        }
        self.listed[pair] = false;
        self.unlisted += 1;
        if self.crashed_at[subject as usize].is_some() {
            self.dead_since[pair] = Some(now);
        } else {
            self.false_deaths += 1;
            self.falsely_dead.insert(subject);
        }
    }

    /// `node` is no more.
    pub(crate) fn crashed(&mut self, now: TrueTime, node: u32) {
        self.crashed_at[node as usize] = Some(now);
    }

    /// A message was sent: so many bytes on the wire, all headers counted.
    pub(crate) fn sent(&mut self, now: TrueTime, bytes: u64) {
        let traffic = self.traffic(now);
        traffic.bytes += bytes;
        traffic.messages += 1;
    }

    /// What it took besides the message itself, such as opening a connection.
    pub(crate) fn overhead(&mut self, now: TrueTime, bytes: u64) {
        self.traffic(now).bytes += bytes;
    }

    fn traffic(&mut self, now: TrueTime) -> &mut Traffic {
        if now < LOSS_BEGINS { &mut self.forming } else { &mut self.steady }
    }

    /// What the run came to. `suspicions` is how often a live node was suspected, `rejoins` how often one was told that it
    /// is dead and came back.
    pub(crate) fn figures(&self, suspicions: u64, rejoins: u64) -> Figures {
        let crashes = (0..).zip(&self.crashed_at).filter_map(|(node, at)| at.map(|at| (node, at)));
        let pairs = self.survivors().flat_map(|one| self.survivors().map(move |other| (one, other)));
        Figures {
            formed: self.formed_at.map(|at| at.since(self.started_at).as_secs_f64()),
            apart_at_loss: self.unlisted_at_loss.unwrap_or(self.unlisted) as u64,
            detections: crashes.map(|(node, at)| self.detection(node, at)).collect(),
            suspicions,
            rejoins,
            false_deaths: self.false_deaths,
            falsely_dead: self.falsely_dead.len() as u64,
            apart_at_end: pairs.filter(|(one, other)| one != other && !self.lists(*one, *other)).count() as u64,
            forming: self.rates(self.forming, TrueTime(0), LOSS_BEGINS),
            steady: self.rates(self.steady, LOSS_BEGINS, END),
        }
    }

    fn survivors(&self) -> impl Iterator<Item = u32> {
        (0..self.nodes as u32).filter(|node| !self.victims.contains(node))
    }

    fn detection(&self, subject: u32, crashed_at: TrueTime) -> Detection {
        let mut times = Vec::new();
        let (mut missed, mut unaware) = (0, 0);
        for observer in self.survivors() {
            match self.dead_since[self.pair(observer, subject)] {
                Some(at) => times.push(at.since(crashed_at).as_secs_f64()),
                None if self.lists(observer, subject) => missed += 1,
                None => unaware += 1,
            }
        }
        times.sort_by(f64::total_cmp);
        let aware = times.len() + missed as usize;
        let after = |count: usize| times.get(count.saturating_sub(1)).copied();
        Detection { first: after(1), half: after(aware.div_ceil(2)), all: after(aware), missed, unaware }
    }

    fn rates(&self, traffic: Traffic, from: TrueTime, to: TrueTime) -> Rates {
        let lived = |crashed_at: &Option<TrueTime>| crashed_at.unwrap_or(to).clamp(from, to).since(from).as_secs_f64();
        let node_seconds: f64 = self.crashed_at.iter().map(lived).sum();
        Rates { bytes: traffic.bytes as f64 / node_seconds, messages: traffic.messages as f64 / node_seconds }
    }
}
