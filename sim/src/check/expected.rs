//! What the world expects of a packet, which it knows better than anybody who opens it.

/// What must become of a packet that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is as it was sealed, for this node, with a key that this node holds.
    Accepted,
    /// Bits of it were flipped.
    Changed,
    /// Somebody without a key has made it.
    Forged,
    /// Its sender belongs to another cluster.
    ForeignCluster,
    /// It was sealed with a key that this node does not hold.
    UnknownKey,
    /// It is for another node.
    Misdelivered,
}

impl Expected {
    pub(super) const fn subject(self) -> &'static str {
        match self {
            Self::Accepted => "an unchanged packet",
            Self::Changed => "a packet with flipped bits",
            Self::Forged => "a packet of somebody without a key",
            Self::ForeignCluster => "a packet of another cluster",
            Self::UnknownKey => "a packet sealed with a key that the node does not hold",
            Self::Misdelivered => "a packet for another node",
        }
    }
}
