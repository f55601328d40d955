//! What is still to be passed on: the least told first, until each was told often enough.
//!
//! A rumor about the same thing replaces the one before, so the queue is bounded by the view.

use super::verdict::{Opinion, Status};
use super::wire::{News, Rumor};
use crate::identity::NodeId;
use crate::time::Time;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What two rumors must have in common for the newer one to replace the older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Topic {
    subject: NodeId,
    /// Suspicions of different accusers are different rumors: each counts.
    accuser: NodeId,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Member,
    Verdict,
    /// A suspicion, or an accusation that is passed on without being believed.
    Accusation,
}

/// A place in the queue: how often it was told by itself, less how often all were told before it came in; then the
/// newest first.
type Place = (i64, core::cmp::Reverse<u64>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    topic: Topic,
    news: News,
    wire_bytes: usize,
    /// When it arose, on this node's clock.
    arose: Time,
}

/// The rumors still to be passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Rumors {
    waiting: BTreeMap<Place, Waiting>,
    topics: BTreeMap<Topic, Place>,
    came_in: u64,
    /// How often all were told at once.
    all_told: i64,
    bytes: usize,
    /// Rumors kept at most; the most told gives way.
    limit: usize,
}

impl Rumors {
    /// None yet, and never more than `limit`.
    pub(super) fn bounded(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The bytes that all rumors take together, at most.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Something to be passed on. O(log n).
    pub(super) fn add(&mut self, news: News, arose: Time) {
        match &news {
            // Who is alive again, dead or gone is not suspected.
            News::Opinion(opinion) if opinion.verdict.status != Status::Suspect => self.drop_accusations(opinion.node),
            News::Member(member) => self.drop_accusations(member.node),
            News::Opinion(_) => {}
        }
        self.put(topic_of(&news), news, arose);
    }

    /// An accusation to be passed on without being believed, so that its subject hears of it.
    pub(super) fn pass_on(&mut self, opinion: Opinion, arose: Time) {
        let topic = Topic { subject: opinion.node, accuser: opinion.accuser, kind: Kind::Accusation };
        self.put(topic, News::Opinion(opinion), arose);
    }

    /// Something to be passed on, unless it is being passed on already. Whether it was added.
    pub(super) fn add_unless_told(&mut self, opinion: Opinion, arose: Time) -> bool {
        let news = News::Opinion(opinion);
        let is_new = !self.topics.contains_key(&topic_of(&news));
        if is_new {
            self.add(news, arose);
        }
        is_new
    }

    fn put(&mut self, topic: Topic, news: News, arose: Time) {
        self.drop_topic(&topic);
        if self.waiting.len() >= self.limit
            && let Some((_, most_told)) = self.waiting.pop_last()
        {
            self.bytes -= most_told.wire_bytes;
            self.topics.remove(&most_told.topic);
        }
        self.came_in += 1;
        let place = (-self.all_told, core::cmp::Reverse(self.came_in));
        let wire_bytes = news.wire_bytes();
        self.bytes += wire_bytes;
        self.topics.insert(topic, place);
        self.waiting.insert(place, Waiting { topic, news, wire_bytes, arose });
    }

    /// Appends to `out` what fits `bytes`, least told first, and counts it as told. What was told `limit` times is done.
    /// `first` is left out: it was said already.
    pub(super) fn tell(&mut self, now: Time, bytes: usize, limit: u32, first: Option<Opinion>, out: &mut Vec<Rumor>) {
        let mut room = bytes;
        let mut told: Vec<Place> = Vec::new();
        for (place, waiting) in &self.waiting {
            if first.is_some_and(|said| waiting.news == News::Opinion(said)) {
                continue;
            }
            let size = waiting.wire_bytes;
            if size > room {
                // Descriptions differ in size; a smaller rumor may still fit, but order matters more than a full packet.
                break;
            }
            room -= size;
            told.push(*place);
            let age_ms = u32::try_from(now.since(waiting.arose).as_nanos() / 1_000_000).unwrap_or(u32::MAX);
            out.push(Rumor { age_ms, news: waiting.news.clone() });
        }
        for place in told {
            let Some(waiting) = self.waiting.remove(&place) else { continue };
            let next = (place.0 + 1, place.1);
            if next.0 + self.all_told >= i64::from(limit) {
                self.bytes -= waiting.wire_bytes;
                self.topics.remove(&waiting.topic);
            } else {
                self.topics.insert(waiting.topic, next);
                self.waiting.insert(next, waiting);
            }
        }
    }

    /// Somebody has learned all of it in another way: every rumor was told once more. O(log n) on average.
    pub(super) fn told_all(&mut self, limit: u32) {
        self.all_told += 1;
        while let Some(entry) = self.waiting.last_entry()
            && entry.key().0 + self.all_told >= i64::from(limit)
        {
            let done = entry.remove();
            self.bytes -= done.wire_bytes;
            self.topics.remove(&done.topic);
        }
    }

    /// Nothing more is said of a member that was forgotten.
    pub(super) fn forget(&mut self, subject: NodeId) {
        for kind in [Kind::Member, Kind::Verdict] {
            self.drop_topic(&Topic { subject, accuser: subject, kind });
        }
        self.drop_accusations(subject);
    }

    fn drop_accusations(&mut self, subject: NodeId) {
        let lowest = Topic { subject, accuser: NodeId::from_bytes([0; 16]), kind: Kind::Member };
        let highest = Topic { subject, accuser: NodeId::from_bytes([0xFF; 16]), kind: Kind::Accusation };
        let all = self.topics.range(lowest..=highest);
        let of_accusers: Vec<Topic> =
            all.filter(|(topic, _)| topic.kind == Kind::Accusation).map(|(topic, _)| *topic).collect();
        of_accusers.iter().for_each(|topic| self.drop_topic(topic));
    }

    fn drop_topic(&mut self, topic: &Topic) {
        if let Some(place) = self.topics.remove(topic)
            && let Some(waiting) = self.waiting.remove(&place)
        {
            self.bytes -= waiting.wire_bytes;
        }
    }
}

fn topic_of(news: &News) -> Topic {
    match news {
        News::Member(member) => Topic { subject: member.node, accuser: member.node, kind: Kind::Member },
        News::Opinion(opinion) if opinion.verdict.status == Status::Suspect => {
            Topic { subject: opinion.node, accuser: opinion.accuser, kind: Kind::Accusation }
        }
        News::Opinion(opinion) => Topic { subject: opinion.node, accuser: opinion.node, kind: Kind::Verdict },
    }
}
