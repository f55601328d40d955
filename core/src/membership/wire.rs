//! What nodes say to one another about who is there, and what a node must not forget.

use super::coordinate::Coordinate;
use super::description::{Description, DescriptionError, Edition};
use super::verdict::{IncarnationNumber, Opinion, Status, Verdict};
use crate::identity::NodeId;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Rumors in one message, at most.
pub const RUMORS_MAX: usize = 4_096;
/// Rows in one message, at most.
pub const ROWS_MAX: usize = 8_192;
/// Descriptions in one message of an exchange, at most.
pub const MEMBERS_MAX: usize = 256;
/// Digests of an exchange, at most: two to the power of this.
pub const DEPTH_MAX: u8 = 8;

/// Something that is passed on until enough have heard it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rumor {
    /// How long ago it arose, as far as its bearers know: what convergence is measured by. In milliseconds.
    pub age_ms: u32,
    /// What it says.
    pub news: News,
}

/// What a rumor says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum News {
    /// An opinion of a member that is known already.
    Opinion(Opinion),
    /// A member says that it is alive, and who it is.
    Member(Member),
}

impl News {
    /// Whom it is about.
    pub fn subject(&self) -> NodeId {
        match self {
            Self::Opinion(opinion) => opinion.node,
            Self::Member(member) => member.node,
        }
    }

    /// The bytes it takes on the wire, at most.
    pub fn wire_bytes(&self) -> usize {
        // Age, kind, node, incarnation.
        let fixed = 5 + 1 + 16 + 5;
        match self {
            Self::Opinion(_) => fixed + 1 + 16,
            Self::Member(member) => fixed + member.description.wire_bytes(),
        }
    }
}

/// A member's word that it is alive, with its description.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub node: NodeId,
    /// Alive at this incarnation.
    pub incarnation: IncarnationNumber,
    /// What it says about itself.
    pub description: Arc<Description>,
}

/// A row in short: enough to see who has the newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RowSummary {
    /// Whose.
    pub node: NodeId,
    /// What is held of it.
    pub verdict: Verdict,
    /// Who says so, where it is suspected or dead.
    pub accuser: Option<NodeId>,
    /// Which description is held; zeros for none.
    pub edition: Edition,
}

/// What nodes say to one another. None of it shows state that a crash could undo: a node's own incarnation is durable
/// before it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Are you there? On a stream it is the fallback for a network that loses datagrams.
    Ping {
        /// To be named in the answer.
        probe: u32,
        /// By the way.
        rumors: Vec<Rumor>,
    },
    /// I am.
    Ack {
        /// Of the ping.
        probe: u32,
        /// Where the answering node stands in the space of delays.
        coordinate: Coordinate,
        /// By the way.
        rumors: Vec<Rumor>,
    },
    /// Please ping another one for me (SWIM §3.1).
    PingRequest {
        /// To be named in the answer.
        probe: u32,
        /// Whom.
        target: NodeId,
        /// By the way.
        rumors: Vec<Rumor>,
    },
    /// It has answered me.
    Vouch {
        /// Of the request.
        probe: u32,
    },
    /// It has not answered me yet, but you see that I am well (Lifeguard §IV-A).
    Nack {
        /// Of the request.
        probe: u32,
    },
    /// A round of gossip.
    Gossip {
        /// What is said.
        rumors: Vec<Rumor>,
    },
    /// Let us compare what we hold: the first step of an exchange. Also how a node joins.
    SyncDigests {
        /// To be named in the other steps.
        exchange: u32,
        /// The opener, so that the other can answer one it does not know yet.
        opener: Member,
        /// Digests of the opener's rows, by the leading bits of their node ids; two to the power of something.
        digests: Vec<u64>,
    },
    /// The rows in which we may differ, in short: the second step.
    SyncRows {
        /// Of the exchange.
        exchange: u32,
        /// The rows.
        rows: Vec<RowSummary>,
        /// Which digests differed, so that the opener knows which rows the other lacks.
        differing: Vec<u8>,
        /// How many digests the opener had sent, as a power of two.
        depth: u8,
    },
    /// What you lack, and what I lack: the third step.
    SyncAnswer {
        /// Of the exchange.
        exchange: u32,
        /// Opinions that prevail over yours.
        opinions: Vec<Opinion>,
        /// Newer descriptions.
        members: Vec<Member>,
        /// Whose descriptions are wanted.
        wanted: Vec<NodeId>,
    },
    /// What you wanted: the last step.
    SyncMembers {
        /// Of the exchange.
        exchange: u32,
        /// The members.
        members: Vec<Member>,
    },
}

/// Why a message is refused before anything changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More than one message may hold.
    #[error("more entries than one message may hold")]
    TooMany,
    /// An incarnation that no node gets to.
    #[error("an incarnation beyond the highest possible one")]
    Incarnation,
    /// An opinion that only the member itself may give, in another's name.
    #[error("an opinion in the name of another")]
    Impersonated,
    /// A description beyond its bounds.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// Digests that do not come in a power of two.
    #[error("a number of digests that is no power of two up to {}", 1u32 << DEPTH_MAX)]
    Digests,
}

impl Message {
    /// Whether it belongs to an exchange, which takes place on a stream or not at all.
    pub fn needs_stream(&self) -> bool {
        matches!(
            self,
            Self::SyncDigests { .. } | Self::SyncRows { .. } | Self::SyncAnswer { .. } | Self::SyncMembers { .. }
        )
    }

    /// Looks at everything that the types leave open.
    ///
    /// # Errors
    /// [`Malformed`]; a message with one bad entry is refused as a whole.
    pub fn check(&self) -> Result<(), Malformed> {
        match self {
            Self::Ping { rumors, .. }
            | Self::Ack { rumors, .. }
            | Self::PingRequest { rumors, .. }
            | Self::Gossip { rumors } => {
                at_most(rumors.len(), RUMORS_MAX)?;
                rumors.iter().try_for_each(|rumor| match &rumor.news {
                    News::Opinion(opinion) => opinion.check(),
                    News::Member(member) => member.check(),
                })
            }
            Self::Vouch { .. } | Self::Nack { .. } => Ok(()),
            Self::SyncDigests { opener, digests, .. } => {
                let is_power = digests.len().is_power_of_two() && digests.len() <= 1 << DEPTH_MAX;
                if is_power { opener.check() } else { Err(Malformed::Digests) }
            }
            Self::SyncRows { rows, differing, depth, .. } => {
                at_most(rows.len(), ROWS_MAX)?;
                at_most(differing.len(), 1 << DEPTH_MAX)?;
                if *depth > DEPTH_MAX {
                    return Err(Malformed::Digests);
                }
                rows.iter().try_for_each(RowSummary::check)
            }
            Self::SyncAnswer { opinions, members, wanted, .. } => {
                at_most(opinions.len().max(wanted.len()), ROWS_MAX)?;
                at_most(members.len(), MEMBERS_MAX)?;
                opinions.iter().try_for_each(Opinion::check)?;
                members.iter().try_for_each(Member::check)
            }
            Self::SyncMembers { members, .. } => {
                at_most(members.len(), MEMBERS_MAX)?;
                members.iter().try_for_each(Member::check)
            }
        }
    }
}

fn at_most(count: usize, limit: usize) -> Result<(), Malformed> {
    if count <= limit { Ok(()) } else { Err(Malformed::TooMany) }
}

impl Verdict {
    fn check(&self) -> Result<(), Malformed> {
        if self.incarnation < IncarnationNumber::MAX { Ok(()) } else { Err(Malformed::Incarnation) }
    }
}

impl Opinion {
    fn check(&self) -> Result<(), Malformed> {
        let by_itself = self.accuser == self.node;
        let must_be = matches!(self.verdict.status, Status::Alive | Status::Left);
        if by_itself == must_be { self.verdict.check() } else { Err(Malformed::Impersonated) }
    }
}

impl RowSummary {
    fn check(&self) -> Result<(), Malformed> {
        if self.edition.version >= IncarnationNumber::MAX.0 {
            return Err(Malformed::Incarnation);
        }
        let accuser = self.accuser.unwrap_or(self.node);
        Opinion { node: self.node, verdict: self.verdict, accuser }.check()
    }
}

impl Member {
    fn check(&self) -> Result<(), Malformed> {
        Verdict::alive(self.incarnation).check()?;
        if self.description.version >= IncarnationNumber::MAX.0 {
            return Err(Malformed::Incarnation);
        }
        Ok(self.description.check()?)
    }
}

/// What membership keeps in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Incarnations up to this one may have been used: the next process begins above it.
    Reserved {
        /// The last one.
        upto: IncarnationNumber,
    },
}
