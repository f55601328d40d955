//! The way to the leader: whoever answered last, or was named; else each voter in turn.

use crate::identity::NodeId;
use alloc::boxed::Box;

/// Rounds without an answer before the next voter is asked.
const TRIES_MAX: u32 = 2;

/// Whom to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Way {
    leader: Option<NodeId>,
    voters: Box<[NodeId]>,
    tries: u32,
    /// Another voter was named since the last round: two that name each other are asked at the pace of the timer.
    is_redirected: bool,
}

impl Way {
    /// Whom to ask now, if anybody is known.
    pub fn target(&mut self) -> Option<NodeId> {
        if self.tries >= TRIES_MAX || self.leader.is_none() {
            let at = self.voters.iter().position(|voter| Some(*voter) == self.leader);
            let next = at.map_or(0, |at| (at + 1) % self.voters.len());
            self.leader = self.voters.get(next).copied().or(self.leader);
            self.tries = 0;
        }
        self.leader
    }

    /// Whether there is anybody to ask.
    pub fn knows_anybody(&self) -> bool {
        self.leader.is_some() || !self.voters.is_empty()
    }

    /// Who votes.
    pub fn vote(&mut self, voters: Box<[NodeId]>) {
        self.voters = voters;
    }

    /// Somebody is said to lead; whether that is news.
    pub fn leads(&mut self, leader: Option<NodeId>) -> bool {
        let is_news = leader.is_some() && leader != self.leader;
        if is_news {
            (self.leader, self.tries) = (leader, 0);
        }
        is_news
    }

    /// A round has had no answer.
    pub fn timed_out(&mut self) {
        self.tries += 1;
        self.is_redirected = false;
    }

    /// Somebody answered as leaders do.
    pub fn answered(&mut self, by: NodeId) {
        (self.leader, self.tries) = (Some(by), 0);
    }

    /// `by` does not lead, but perhaps `hint` does; whether to ask at once.
    pub fn redirected(&mut self, by: NodeId, hint: Option<NodeId>) -> bool {
        if self.leader != Some(by) || hint == Some(by) {
            return false;
        }
        match hint {
            Some(_) => (self.leader, self.tries) = (hint, 0),
            // The next one in turn.
            None => self.tries = TRIES_MAX,
        }
        !core::mem::replace(&mut self.is_redirected, true)
    }
}
