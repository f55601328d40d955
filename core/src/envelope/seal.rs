//! From a typed message to an authenticated packet, and back.

use super::header::{Envelope, HEADER_BYTES, MAGIC, TAG_BYTES, field};
use super::keyring::{KeyId, Keyring};
use crate::codec::{Body, BodyVersion, DecodeError, EncodeError};
use crate::identity::{ClusterId, NodeId};
use alloc::vec::Vec;

/// A packet that was found authentic, with its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<M> {
    /// What the packet says about itself.
    pub envelope: Envelope,
    /// What it carries.
    pub message: M,
}

/// Why a packet was refused. Nothing was taken over from it, and nobody is told: the sender cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Shorter or longer than its header says. How much is received at all, the driver's buffer bounds.
    #[error("{length} bytes cannot be a packet")]
    Length {
        /// Bytes received.
        length: usize,
    },
    /// Not a packet of this format.
    #[error("not a packet of a known format")]
    Format,
    /// A packet of another cluster.
    #[error("the packet belongs to cluster {0}")]
    ForeignCluster(ClusterId),
    /// Sealed with a key this node does not hold.
    #[error("the packet was sealed with key {0}, which is not in the keyring")]
    UnknownKey(KeyId),
    /// Changed on the way, or forged.
    #[error("the packet's authenticator does not match")]
    Forged,
    /// For another node, which this one was not asked to relay to.
    #[error("the packet is for node {0}")]
    Misdelivered(NodeId),
    /// Authentic, but its body cannot be read by this build.
    #[error("the packet's body cannot be read: {0}")]
    Body(#[from] DecodeError),
}

/// Appends the sealed packet to `out`.
///
/// # Errors
/// [`EncodeError`] when the body does not fit `packet_bytes` or its version; `out` is as it was.
pub fn seal<M: Body>(
    keyring: &Keyring,
    envelope: &Envelope,
    message: &M,
    packet_bytes: usize,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let start = out.len();
    let room = packet_bytes.saturating_sub(HEADER_BYTES + TAG_BYTES);
    let (id, key) = keyring.primary();
    envelope.write(*id, out);
    if let Err(error) = message.encode(envelope.version, room, out) {
        out.truncate(start);
        return Err(error);
    }
    let length = (out.len() - start - HEADER_BYTES) as u32;
    out[start + 116..start + HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
    let tag = blake3::keyed_hash(key.expose(), &out[start..]);
    out.extend_from_slice(&tag.as_bytes()[..TAG_BYTES]);
    Ok(())
}

/// Opens a packet that `node` of `cluster`, which understands bodies up to `speaks`, has received.
///
/// # Errors
/// [`OpenError`]; never panics, whatever the bytes.
pub fn open<M: Body>(
    keyring: &Keyring,
    cluster: ClusterId,
    node: NodeId,
    speaks: BodyVersion,
    packet: &[u8],
) -> Result<Opened<M>, OpenError> {
    let length = packet.len();
    let header: &[u8; HEADER_BYTES] = packet.first_chunk().ok_or(OpenError::Length { length })?;
    if header[..4] != MAGIC {
        return Err(OpenError::Format);
    }
    let body_bytes = u32::from_le_bytes(field(header, 116)) as usize;
    if length.checked_sub(HEADER_BYTES + TAG_BYTES) != Some(body_bytes) {
        return Err(OpenError::Length { length });
    }
    let envelope = Envelope::read(header).ok_or(OpenError::Format)?;
    if envelope.cluster != cluster {
        return Err(OpenError::ForeignCluster(envelope.cluster));
    }
    authenticate(keyring, KeyId(u16::from_le_bytes(field(header, 6))), packet)?;
    if envelope.next_hop != node || envelope.destination != node {
        return Err(OpenError::Misdelivered(envelope.destination));
    }
    if envelope.speaks < envelope.version || envelope.speaks < M::OLDEST {
        // Whoever sends a version understands it, and nobody understands none: to answer this would be impossible.
        return Err(OpenError::Format);
    }
    if envelope.version > speaks {
        return Err(DecodeError::UnknownVersion { found: envelope.version, oldest: M::OLDEST, newest: speaks }.into());
    }
    let message = M::decode(envelope.version, &packet[HEADER_BYTES..length - TAG_BYTES])?;
    Ok(Opened { envelope, message })
}

fn authenticate(keyring: &Keyring, id: KeyId, packet: &[u8]) -> Result<(), OpenError> {
    let (covered, tag) = packet.split_at(packet.len() - TAG_BYTES);
    let mut known = false;
    for key in keyring.named(id) {
        known = true;
        let expected = blake3::keyed_hash(key.expose(), covered);
        if same_tag(&expected.as_bytes()[..TAG_BYTES], tag) {
            return Ok(());
        }
    }
    Err(if known { OpenError::Forged } else { OpenError::UnknownKey(id) })
}

/// Compares without telling by its duration where two tags differ.
fn same_tag(expected: &[u8], found: &[u8]) -> bool {
    let difference = expected.iter().zip(found).fold(0, |sum, (a, b)| sum | (a ^ b));
    core::hint::black_box(difference) == 0
}

/// The authenticator of a sealed packet, which stands for all of its content.
///
/// # Panics
/// When `packet` is shorter than an authenticator: it was not made by [`seal`].
pub fn tag_of(packet: &[u8]) -> &[u8] {
    &packet[packet.len() - TAG_BYTES..]
}
