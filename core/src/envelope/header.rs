//! The fixed part of a packet.
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 4 | magic `RMP1`, which is the envelope's own version too |
//! | 4 | 1 | class |
//! | 5 | 1 | TTL in hops |
//! | 6 | 2 | key id |
//! | 8 | 16 | cluster |
//! | 24 | 4 | gossip domain |
//! | 28 | 4 | tenant |
//! | 32 | 16 | source node |
//! | 48 | 16 | destination node |
//! | 64 | 16 | next hop |
//! | 80 | 8 | source's store incarnation |
//! | 88 | 8 | source's boot incarnation |
//! | 96 | 8 | packet sequence of that boot |
//! | 104 | 8 | cause id |
//! | 112 | 1 | version of the body |
//! | 113 | 1 | newest body version the source understands |
//! | 114 | 2 | zero |
//! | 116 | 4 | length of the body |
//! | 120 | n | body |
//! | 120 + n | 16 | authenticator: keyed BLAKE3 of all bytes before, first 128 bits |

use super::keyring::KeyId;
use crate::codec::BodyVersion;
use crate::identity::{BootIncarnation, ClusterId, GossipDomain, Incarnation, NodeId, StoreIncarnation, Tenant};
use crate::machine::CauseId;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Bytes before the body.
pub const HEADER_BYTES: usize = 120;
/// Bytes of the authenticator.
pub const TAG_BYTES: usize = 16;
pub(super) const MAGIC: [u8; 4] = *b"RMP1";

/// Which lane a packet takes. Classes never wait for one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// Keeps the mesh alive: votes, entries of the control group.
    Control,
    /// Small and urgent.
    Priority,
    /// Everything else.
    Bulk,
    /// Datagrams: gossip, heartbeats, renewals. They may be lost, doubled or overtaken, and fit one datagram. The other
    /// classes ride streams.
    Gossip,
}

impl Class {
    /// All classes: the streams, most urgent first, then the datagrams.
    pub const ALL: [Self; 4] = [Self::Control, Self::Priority, Self::Bulk, Self::Gossip];

    /// Whether packets of this class arrive once and in order, as long as the stream holds.
    pub const fn is_stream(self) -> bool {
        !matches!(self, Self::Gossip)
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Priority => 1,
            Self::Bulk => 2,
            Self::Gossip => 3,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Control),
            1 => Some(Self::Priority),
            2 => Some(Self::Bulk),
            3 => Some(Self::Gossip),
            _ => None,
        }
    }
}

/// What a packet says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// The gossip domain of its source.
    pub domain: GossipDomain,
    /// Whose traffic it is.
    pub tenant: Tenant,
    /// Who made it.
    pub source: Incarnation,
    /// Who it is for.
    pub destination: NodeId,
    /// Who gets it next on the way there.
    pub next_hop: NodeId,
    /// Hops it may still take.
    pub ttl: u8,
    /// Its lane.
    pub class: Class,
    /// Counts the packets of one boot of the source.
    pub sequence: u64,
    /// The event at the source that it follows from.
    pub cause: CauseId,
    /// Version of the body.
    pub version: BodyVersion,
    /// The newest body version the source understands: what may be sent back.
    pub speaks: BodyVersion,
}

impl Envelope {
    pub(super) fn write(&self, key: KeyId, out: &mut Vec<u8>) {
        let mut header = [0; HEADER_BYTES];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            header[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&MAGIC);
        put(&[self.class.byte(), self.ttl]);
        put(&key.0.to_le_bytes());
        put(self.cluster.as_bytes());
        put(&self.domain.0.to_le_bytes());
        put(&self.tenant.0.to_le_bytes());
        put(self.source.node.as_bytes());
        put(self.destination.as_bytes());
        put(self.next_hop.as_bytes());
        put(&self.source.store.0.to_le_bytes());
        put(&self.source.boot.0.to_le_bytes());
        put(&self.sequence.to_le_bytes());
        put(&self.cause.0.to_le_bytes());
        put(&[self.version.0, self.speaks.0, 0, 0]);
        out.extend_from_slice(&header);
    }

    /// Reads the header; the caller has checked magic and length. `None` when a field has a value no sender writes.
    pub(super) fn read(header: &[u8; HEADER_BYTES]) -> Option<Self> {
        if header[114..116] != [0, 0] {
            return None;
        }
        Some(Self {
            class: Class::from_byte(header[4])?,
            ttl: header[5],
            cluster: ClusterId::from_bytes(field(header, 8)),
            domain: GossipDomain(u32::from_le_bytes(field(header, 24))),
            tenant: Tenant(u32::from_le_bytes(field(header, 28))),
            source: Incarnation {
                node: NodeId::from_bytes(field(header, 32)),
                store: StoreIncarnation(u64::from_le_bytes(field(header, 80))),
                boot: BootIncarnation(u64::from_le_bytes(field(header, 88))),
            },
            destination: NodeId::from_bytes(field(header, 48)),
            next_hop: NodeId::from_bytes(field(header, 64)),
            sequence: u64::from_le_bytes(field(header, 96)),
            cause: CauseId(u64::from_le_bytes(field(header, 104))),
            version: BodyVersion(header[112]),
            speaks: BodyVersion(header[113]),
        })
    }
}

/// `N` bytes of the header from `at` on.
pub(super) fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&header[at..at + N]);
    value
}
