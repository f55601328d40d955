//! What members say to one another, and what they store.
//!
//! Typed: what a correct member never says cannot be said. Whether it is true is looked at in `check`.

use super::members::{Members, Voter, VoterId};
pub use crate::bytes::Blob;
use crate::envelope::Class;
use crate::identity::StoreIncarnation;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Names a group, so that two of them cannot mix: a cluster that was recovered or restored has a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId(pub u128);

impl GroupId {
    /// The group of these founders. Founders that were told different lists are of different groups, and do not meet.
    pub fn of(nonce: u128, voters: &BTreeSet<Voter>) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("relaymesh 2026 control group of founders");
        hasher.update(&nonce.to_le_bytes());
        for Voter { node, store } in voters {
            hasher.update(node.as_bytes());
            hasher.update(&store.0.to_le_bytes());
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(u128::from_le_bytes(id))
    }
}

/// One change of the members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A new member, which gets the log and has no vote.
    Learn {
        /// Its id: the next one.
        id: VoterId,
        /// Who it is.
        voter: Voter,
    },
    /// A learner is no member any more.
    Forget {
        /// Which.
        id: VoterId,
    },
    /// From now on two majorities are needed: of the voters before, and of those after.
    Enter {
        /// Learners that get a vote.
        add: Vec<VoterId>,
        /// Voters that lose theirs.
        remove: Vec<VoterId>,
    },
    /// From now on the voters before are not asked any more.
    Leave,
}

/// One entry of the log. Its index follows from where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The term of the leader that made it.
    pub term: u64,
    /// What it says.
    pub payload: Payload,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// A leader begins.
    Empty,
    /// Something to be applied; never empty.
    Command(Blob),
    /// The members change.
    Change(Change),
}

/// What a snapshot stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotMeta {
    /// The last entry it holds.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// The members after that entry.
    pub members: Members,
    /// Its pieces; known only to who has them all. Zero while it is being made.
    pub pieces: u32,
}

/// From one member to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The group.
    pub group: GroupId,
    /// The sender.
    pub from: VoterId,
    /// The receiver,
    pub to: VoterId,
    /// which is nobody else than the member on this store.
    pub store: StoreIncarnation,
    /// The term.
    pub term: u64,
    /// What is said.
    pub body: Body,
}

/// What a message says. Of the names of Raft's own paper where it has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A leader: these entries follow (`index`, `log_term`).
    Append {
        /// The entry before them.
        index: u64,
        /// Its term; zero only at index zero.
        log_term: u64,
        /// The last committed entry.
        commit: u64,
        /// The entries.
        entries: Vec<Entry>,
    },
    /// A member has everything up to `index`, on its disk.
    Appended {
        /// The last entry.
        index: u64,
        /// The last it knows to be committed.
        commit: u64,
    },
    /// A member does not have the entry before the ones sent.
    Rejected {
        /// Which it was offered.
        index: u64,
        /// Where its log may still agree.
        hint: u64,
        /// The term there.
        hint_term: u64,
        /// The last it knows to be committed.
        commit: u64,
    },
    /// May this member lead?
    RequestVote(Candidacy),
    /// The answer.
    Vote(Ballot),
    /// Would it have a chance? Nobody's term changes.
    RequestPreVote(Candidacy),
    /// The answer.
    PreVote(Ballot),
    /// A leader is there.
    Heartbeat {
        /// The last committed entry that the receiver has.
        commit: u64,
        /// The quorum round to be confirmed, if not zero.
        round: u64,
    },
    /// A member has heard it.
    Heard {
        /// The last it knows to be committed.
        commit: u64,
        /// The round, as it was.
        round: u64,
    },
    /// A leader: stand for election at once.
    TimeoutNow,
    /// A leader: one piece of a snapshot.
    Piece {
        /// Of which.
        meta: SnapshotMeta,
        /// Counts from zero.
        number: u32,
        /// Its bytes.
        bytes: Blob,
    },
    /// A member wants this piece next.
    Wants {
        /// Of the snapshot up to this entry.
        index: u64,
        /// Which.
        number: u32,
    },
}

/// Why somebody might lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidacy {
    /// Its last entry.
    pub index: u64,
    /// That entry's term.
    pub log_term: u64,
    /// The last entry it knows to be committed.
    pub commit: u64,
    /// That entry's term.
    pub commit_term: u64,
    /// Whether the leader itself asked for it.
    pub transfer: bool,
}

/// The answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// Yes or no.
    pub granted: bool,
    /// The last entry that the voter knows to be committed.
    pub commit: u64,
    /// That entry's term.
    pub commit_term: u64,
}

impl Message {
    /// The lane it takes. Pieces of snapshots must not delay anything else; and a heartbeat, of which the next one says
    /// the same, must not wait until a stream has repeated what was lost before it (rule 10 of ADR 3).
    pub const fn class(&self) -> Class {
        match self.body {
            Body::Piece { .. } => Class::Bulk,
            Body::Heartbeat { .. } | Body::Heard { .. } => Class::Gossip,
            _ => Class::Control,
        }
    }
}

/// What a member stores. Each record alone is enough to know what it replaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// This store is that member from now on; all records before are void.
    Joined {
        /// Of which group.
        group: GroupId,
        /// Under which id.
        id: VoterId,
    },
    /// Term, vote, and the last entry known to be committed.
    Hard {
        /// The term.
        term: u64,
        /// Who has this member's vote in it.
        vote: Option<VoterId>,
        /// The commit.
        commit: u64,
    },
    /// Entries from `first` on, in place of all that stood there.
    Entries {
        /// The first one's index.
        first: u64,
        /// The last entry known to be committed when these came.
        commit: u64,
        /// The entries.
        entries: Vec<Entry>,
    },
    /// One piece of a snapshot up to `index`, of which nothing is known before its [`Record::Base`].
    Piece {
        /// The last entry it holds.
        index: u64,
        /// Counts from zero, with which an earlier snapshot of the same origin is given up.
        number: u32,
        /// Its bytes.
        bytes: Blob,
        /// Whether it comes from a leader.
        is_installed: bool,
    },
    /// The last pieces of that origin are what the log stands on.
    Base {
        /// What they are.
        meta: SnapshotMeta,
        /// Entries up to this one are gone. Where it came from a leader, later ones too.
        dropped: u64,
        /// Whether it came from a leader.
        is_installed: bool,
    },
    /// This store is that member of that group from now on, and stands on the pieces before, which are of no leader; all
    /// other records before are void.
    Founded {
        /// Of which group.
        group: GroupId,
        /// Under which id.
        id: VoterId,
        /// What the pieces are.
        meta: SnapshotMeta,
    },
    /// What this store is and was, written again at the end of a checkpoint. Voids nothing; of what came before the
    /// checkpoint nothing is needed any more.
    Standing {
        /// The last member that it has been of each group.
        seats: Vec<(GroupId, VoterId)>,
        /// The member that it is.
        member: Option<Standing>,
    },
}

/// A member without its log and state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Of which group.
    pub group: GroupId,
    /// Under which id.
    pub id: VoterId,
    /// Its term.
    pub term: u64,
    /// Who has its vote in it.
    pub vote: Option<VoterId>,
    /// The last entry known to be committed.
    pub commit: u64,
    /// The entry before the first one of its log: index and term. Those up to there are not among the records kept.
    pub dropped: (u64, u64),
}
