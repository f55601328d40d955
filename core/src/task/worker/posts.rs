//! Claims with each shard: their numbers, and until when they live (rules T2a, T4b).

use crate::control::state::SessionId;
use crate::shards::ShardId;
use crate::time::{Duration, Time};
use alloc::collections::BTreeMap;

/// A claim that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) count: u16,
    /// When it was asked for first: what it gives lives from then.
    pub(super) since: Time,
    /// In which session.
    pub(super) session: Option<SessionId>,
    /// When it is asked for again; not before it was answered.
    pub(super) again_at: Option<Time>,
}

/// Claims with one shard.
#[derive(Clone, Debug, Default)]
pub(super) struct Post {
    /// The newest claim that was answered.
    pub(super) number: u64,
    pub(super) asked: Option<Asked>,
    /// Until when the claims live; nothing where there are none.
    pub(super) until: Option<Time>,
    /// There may be something for this worker.
    pub(super) may_have: bool,
    /// Steps that this worker has.
    pub(super) jobs: u32,
}

/// Claims with all shards.
#[derive(Clone, Debug, Default)]
pub(super) struct Posts {
    posts: BTreeMap<ShardId, Post>,
    /// The shard that was asked last: the next one is whichever follows.
    last: Option<ShardId>,
}

impl Posts {
    pub(super) fn at(&mut self, shard: ShardId) -> &mut Post {
        self.posts.entry(shard).or_default()
    }

    pub(super) fn get(&self, shard: &ShardId) -> Option<&Post> {
        self.posts.get(shard)
    }

    pub(super) fn get_mut(&mut self, shard: &ShardId) -> Option<&mut Post> {
        self.posts.get_mut(shard)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ShardId, &Post)> {
        self.posts.iter()
    }

    /// Steps that are asked for, and may come while they would live that long from when they were.
    pub(super) fn asked(&self, now: Time, life: Duration) -> u32 {
        let asked = self.posts.values().filter_map(|post| post.asked);
        asked.filter(|asked| asked.since.saturating_add(life) > now).map(|asked| u32::from(asked.count)).sum()
    }

    /// The next shard to claim from: each in its turn.
    pub(super) fn next(&mut self, now: Time) -> Option<ShardId> {
        let is_open = |post: &Post| match post.asked {
            Some(asked) => asked.again_at.is_some_and(|at| at <= now),
            None => post.may_have,
        };
        let open = |shard: &&ShardId| self.posts.get(shard).is_some_and(is_open);
        let behind = self.posts.keys().find(|shard| Some(**shard) > self.last && open(shard));
        let next = behind.or_else(|| self.posts.keys().find(open)).copied();
        self.last = next.or(self.last);
        next
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        let deadline = |post: &Post| post.until.into_iter().chain(post.asked.and_then(|it| it.again_at)).min();
        self.posts.values().filter_map(deadline).min()
    }
}
