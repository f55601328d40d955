//! What siblings and operators ask of the group, and what they are told.

use super::At;
use super::members::{Members, Voter, VoterId};
use super::wire::GroupId;
use crate::identity::NodeId;
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Names one request of a sibling. It is answered once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Append this entry. Answered when it was applied here.
    Propose {
        /// The entry; not empty.
        entry: Box<[u8]>,
        /// Refuse it unless this node leads exactly this term.
        term: Option<u64>,
    },
    /// Make sure that this node leads, by a round that begins now, and has applied all that was committed then.
    Confirm,
    /// Add voters and remove those of some nodes, in one change. Done already is done.
    Change {
        /// Who is to vote.
        add: Vec<Voter>,
        /// Nodes that are not to vote any more, except as those added.
        remove: Vec<NodeId>,
    },
    /// Let this node's member lead, if it has the log.
    Transfer {
        /// Which.
        to: NodeId,
    },
    /// How the group looks from here.
    Status,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<O> {
    /// The entry was committed and applied.
    Done {
        /// Where.
        at: At,
        /// What became of it.
        outcome: O,
    },
    /// This node led after the request had come, and has applied all that was committed then.
    Confirmed {
        /// The term.
        term: u64,
        /// The last entry applied.
        applied: u64,
    },
    /// This node is one of the group's founders.
    Founded(GroupId),
    /// The voters are those asked for.
    Changed(Members),
    /// The transfer has begun. Whether it succeeds is seen by who leads.
    Transferring,
    /// How the group looks from here.
    Status(Box<Status>),
}

/// Why not. Unless said otherwise nothing changed, and asking again is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// This node does not lead, or not in that term.
    #[error("this node does not lead the control group; ask the one that does")]
    NotLeader {
        /// Who may.
        hint: Option<NodeId>,
    },
    /// This node is no member, or has no log yet.
    #[error("this node does not belong to the control group")]
    NotMember,
    /// Too much is under way.
    #[error("the control group has too much to do; try again in a moment")]
    Overloaded,
    /// The entry is empty, too large, or of an unknown kind.
    #[error("the entry is empty, too large, or of a kind that this build does not know")]
    BadEntry,
    /// The leadership was lost before the outcome was known: **it may yet take effect**, or not.
    #[error("the leader was deposed before the outcome was known; ask the new one under the same number")]
    Lost {
        /// Who may lead now.
        hint: Option<NodeId>,
    },
    /// The members are being changed already, or leadership is being transferred.
    #[error("another change is under way; try again when it is done")]
    Busy,
    /// There would be another number of voters than 1, 3, 5 or 7, or one store would vote twice.
    #[error("a control group has 1, 3, 5 or 7 voters on different stores")]
    BadVoters,
    /// Those to be added did not catch up in time. They stay members without a vote until they are asked for again.
    #[error("the nodes to be added did not catch up in time; see whether they are reachable and ask again")]
    TooSlow,
    /// This node is a member of another group already.
    #[error("this node belongs to another control group")]
    OtherGroup,
    /// This member stopped, since what is committed or stored needs a newer build.
    #[error("this node cannot apply a committed entry; start a newer build")]
    Halted,
}

/// What this node is to the group, whenever it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It leads this term, and may not have applied all that was committed before.
    Led {
        /// The term.
        term: u64,
    },
    /// It has applied an entry of its own term, and with it all that was committed before.
    Ready {
        /// The term.
        term: u64,
    },
    /// It leads no more.
    Deposed,
}

/// How the group looks from one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// This member's id.
    pub id: VoterId,
    /// The term.
    pub term: u64,
    /// Who leads it, as far as known.
    pub leader: Option<NodeId>,
    /// Whether this member does.
    pub is_leader: bool,
    /// The first entry that is still in the log.
    pub first: u64,
    /// The last entry of the log.
    pub last: u64,
    /// The last entry known to be committed.
    pub committed: u64,
    /// The last entry applied.
    pub applied: u64,
    /// The members, as applied.
    pub members: Members,
}
