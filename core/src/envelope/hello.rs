//! What both ends of a new stream say first: each proves that it holds a key of the cluster, and names itself.
//!
//! | frame | from | bytes | fields |
//! | --- | --- | --- | --- |
//! | greeting | dialler | 56 | magic `RMH1`, kind 1, purpose, key id (2), cluster (16), node (16), nonce (16) |
//! | answer | acceptor | 88 | magic, kind 2, purpose, key id (2), cluster (16), node (16), nonce (16), proof (32) |
//! | proof | dialler | 40 | magic, kind 3, three zero bytes, proof (32) |
//!
//! A proof is a keyed hash of the prover's role, the greeting and the answer's fields, so that it covers both names and
//! both nonces. Each side draws its nonce anew: what was recorded of one stream proves nothing on another. The role
//! keeps a proof from being sent back to the one who made it. The key is derived from the cluster's, so that no proof
//! can stand in for a packet's authenticator.
//!
//! **What it shows.** Whoever answers holds a key of the cluster. That it is the node it names rests on that key alone:
//! until nodes have certificates, every holder of the key can speak in the name of every node. And a go-between that
//! passes both sides' frames on sees the stream afterwards; it can drop or repeat packets, but neither change nor make
//! one. TLS below the stream will end both.
//!
//! Pure: bytes in, bytes out. Reading, writing and time limits are the driver's.

use super::header::Class;
use super::keyring::{KeyId, Keyring};
use crate::identity::{ClusterId, NodeId};
use crate::secret::SecretKey;

/// Bytes of the dialler's first frame.
pub const GREETING_BYTES: usize = 56;
/// Bytes of the acceptor's frame.
pub const ANSWER_BYTES: usize = GREETING_BYTES + MAC_BYTES;
/// Bytes of the dialler's second frame.
pub const PROOF_BYTES: usize = 8 + MAC_BYTES;
/// Bytes of what each side draws from the operating system's source of randomness for each stream.
pub const NONCE_BYTES: usize = 16;

const MAC_BYTES: usize = 32;
const MAGIC: [u8; 4] = *b"RMH1";
const GREETING: u8 = 1;
const ANSWER: u8 = 2;
const PROOF: u8 = 3;

/// Drawn anew for each stream.
pub type Nonce = [u8; NONCE_BYTES];

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Itself.
    pub node: NodeId,
}

/// What the dialler wants the stream for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To learn who listens. The stream is closed after the proofs.
    Seek,
    /// To send packets of this class, which is not that of the datagrams.
    Packets(Class),
}

impl Purpose {
    const fn byte(self) -> u8 {
        match self {
            Self::Seek => 0,
            Self::Packets(Class::Control) => 1,
            Self::Packets(Class::Priority) => 2,
            Self::Packets(Class::Bulk) => 3,
            // No acceptor takes it: datagrams have no stream.
            Self::Packets(Class::Gossip) => u8::MAX,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Seek),
            1 => Some(Self::Packets(Class::Control)),
            2 => Some(Self::Packets(Class::Priority)),
            3 => Some(Self::Packets(Class::Bulk)),
            _ => None,
        }
    }
}

/// Why the other end of a stream was not believed. Nothing was taken over from it; close the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Not a frame of this format, or not the one that is due.
    #[error("the other end does not speak this protocol; check the endpoint")]
    Format,
    /// A node of another cluster.
    #[error("the other end belongs to cluster {0}; check the endpoint")]
    ForeignCluster(ClusterId),
    /// The dialler proves with a key that this node does not hold.
    #[error("the other end uses key {0}, which is not in the keyring; install it here")]
    UnknownKey(KeyId),
    /// The other end holds another key, or changed, repeated or reflected a frame.
    #[error("the other end does not prove that it holds the cluster's key")]
    Forged,
    /// The other end names this very node.
    #[error("the other end is this node itself, or a copy of it; each node needs an identity of its own")]
    Oneself,
}

/// The dialling side between its greeting and its proof.
#[derive(Debug)]
pub struct Dialler {
    greeting: [u8; GREETING_BYTES],
    me: Party,
    key: SecretKey,
}

impl Dialler {
    /// Begins a stream: proves with the key that seals. `nonce` must never have been used before.
    pub fn new(ring: &Keyring, me: Party, purpose: Purpose, nonce: Nonce) -> Self {
        let (id, key) = ring.primary();
        Self { greeting: opening(GREETING, purpose.byte(), *id, me, &nonce), me, key: proving_key(key) }
    }

    /// The first frame.
    pub const fn greeting(&self) -> &[u8; GREETING_BYTES] {
        &self.greeting
    }

    /// Judges the answer: who listens, and the frame that proves this side.
    ///
    /// # Errors
    /// [`HelloError`]; nothing may be sent but the end of the stream.
    pub fn finish(self, answer: &[u8; ANSWER_BYTES]) -> Result<(NodeId, [u8; PROOF_BYTES]), HelloError> {
        let (fields, proof) = split(answer);
        let found = Opening::read(ANSWER, fields)?;
        if found.party.cluster != self.me.cluster {
            return Err(HelloError::ForeignCluster(found.party.cluster));
        }
        if found.purpose != self.greeting[5] || found.key != Opening::key_of(&self.greeting) {
            return Err(HelloError::Format);
        }
        if !same(&mac(&self.key, Role::Acceptor, &self.greeting, fields), proof) {
            return Err(HelloError::Forged);
        }
        if found.party.node == self.me.node {
            return Err(HelloError::Oneself);
        }
        let mut frame = [0; PROOF_BYTES];
        frame[..4].copy_from_slice(&MAGIC);
        frame[4] = PROOF;
        frame[8..].copy_from_slice(&mac(&self.key, Role::Dialler, &self.greeting, fields));
        Ok((found.party.node, frame))
    }
}

/// The accepting side between its answer and the dialler's proof.
#[derive(Debug)]
pub struct Acceptor {
    expected: [u8; MAC_BYTES],
    node: NodeId,
    purpose: Purpose,
}

impl Acceptor {
    /// Judges a greeting, and answers it. `nonce` must never have been used before.
    ///
    /// # Errors
    /// [`HelloError`]; close the stream without a word.
    pub fn answer(
        ring: &Keyring,
        me: Party,
        nonce: Nonce,
        greeting: &[u8; GREETING_BYTES],
    ) -> Result<(Self, [u8; ANSWER_BYTES]), HelloError> {
        let found = Opening::read(GREETING, greeting)?;
        let purpose = Purpose::from_byte(found.purpose).ok_or(HelloError::Format)?;
        if found.party.cluster != me.cluster {
            return Err(HelloError::ForeignCluster(found.party.cluster));
        }
        let key = ring.named(found.key).next().ok_or(HelloError::UnknownKey(found.key))?;
        let key = proving_key(key);
        let fields = opening(ANSWER, found.purpose, found.key, me, &nonce);
        let mut answer = [0; ANSWER_BYTES];
        answer[..GREETING_BYTES].copy_from_slice(&fields);
        answer[GREETING_BYTES..].copy_from_slice(&mac(&key, Role::Acceptor, greeting, &fields));
        let expected = mac(&key, Role::Dialler, greeting, &fields);
        Ok((Self { expected, node: found.party.node, purpose }, answer))
    }

    /// Judges the proof: who dials and what for.
    ///
    /// # Errors
    /// [`HelloError`]; close the stream without a word.
    pub fn finish(self, me: Party, proof: &[u8; PROOF_BYTES]) -> Result<(NodeId, Purpose), HelloError> {
        let (head, found) = proof.split_at(8);
        if head[..4] != MAGIC || head[4..] != [PROOF, 0, 0, 0] {
            return Err(HelloError::Format);
        }
        if !same(&self.expected, found) {
            return Err(HelloError::Forged);
        }
        if self.node == me.node {
            return Err(HelloError::Oneself);
        }
        Ok((self.node, self.purpose))
    }
}

/// Who makes a proof.
#[derive(Clone, Copy)]
enum Role {
    Dialler,
    Acceptor,
}

/// The fields that greeting and answer share.
struct Opening {
    purpose: u8,
    key: KeyId,
    party: Party,
}

impl Opening {
    fn read(kind: u8, frame: &[u8; GREETING_BYTES]) -> Result<Self, HelloError> {
        if frame[..4] != MAGIC || frame[4] != kind {
            return Err(HelloError::Format);
        }
        let party =
            Party { cluster: ClusterId::from_bytes(field(frame, 8)), node: NodeId::from_bytes(field(frame, 24)) };
        Ok(Self { purpose: frame[5], key: Self::key_of(frame), party })
    }

    fn key_of(frame: &[u8; GREETING_BYTES]) -> KeyId {
        KeyId(u16::from_le_bytes(field(frame, 6)))
    }
}

fn opening(kind: u8, purpose: u8, key: KeyId, party: Party, nonce: &Nonce) -> [u8; GREETING_BYTES] {
    let mut frame = [0; GREETING_BYTES];
    frame[..4].copy_from_slice(&MAGIC);
    frame[4] = kind;
    frame[5] = purpose;
    frame[6..8].copy_from_slice(&key.0.to_le_bytes());
    frame[8..24].copy_from_slice(party.cluster.as_bytes());
    frame[24..40].copy_from_slice(party.node.as_bytes());
    frame[40..].copy_from_slice(nonce);
    frame
}

fn split(answer: &[u8; ANSWER_BYTES]) -> (&[u8; GREETING_BYTES], &[u8]) {
    let (fields, proof) = answer.split_at(GREETING_BYTES);
    let fields = fields.first_chunk().expect("the answer begins with a whole opening");
    (fields, proof)
}

fn field<const N: usize>(frame: &[u8; GREETING_BYTES], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&frame[at..at + N]);
    value
}

fn proving_key(key: &SecretKey) -> SecretKey {
    SecretKey::derive("relaymesh 2026 proof of the cluster key on a stream", key.expose())
}

fn mac(key: &SecretKey, role: Role, greeting: &[u8; GREETING_BYTES], answer: &[u8; GREETING_BYTES]) -> [u8; MAC_BYTES] {
    let role = match role {
        Role::Dialler => b"dials   ",
        Role::Acceptor => b"accepts ",
    };
    let mut hasher = blake3::Hasher::new_keyed(key.expose());
    hasher.update(role).update(greeting).update(answer);
    *hasher.finalize().as_bytes()
}

/// Compares without telling by its duration where two proofs differ.
fn same(expected: &[u8; MAC_BYTES], found: &[u8]) -> bool {
    <&[u8; MAC_BYTES]>::try_from(found)
        .is_ok_and(|found| blake3::Hash::from_bytes(*expected) == blake3::Hash::from_bytes(*found))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: ClusterId = ClusterId::from_bytes(*b"cluster of tests");
    const ALICE: Party = Party { cluster: CLUSTER, node: NodeId::from_bytes([1; 16]) };
    const BOB: Party = Party { cluster: CLUSTER, node: NodeId::from_bytes([2; 16]) };
    const BULK: Purpose = Purpose::Packets(Class::Bulk);

    fn ring() -> Keyring {
        Keyring::new(SecretKey::derive("relaymesh test", b"shared"))
    }

    fn nonce(seed: u8) -> Nonce {
        [seed; NONCE_BYTES]
    }

    /// Alice dials Bob; `on_way` may change each frame.
    fn meet(on_way: impl Fn(u8, &mut [u8])) -> Result<(NodeId, NodeId, Purpose), HelloError> {
        let dialler = Dialler::new(&ring(), ALICE, BULK, nonce(1));
        let mut greeting = *dialler.greeting();
        on_way(GREETING, &mut greeting);
        let (acceptor, mut answer) = Acceptor::answer(&ring(), BOB, nonce(2), &greeting)?;
        on_way(ANSWER, &mut answer);
        let (listens, mut proof) = dialler.finish(&answer)?;
        on_way(PROOF, &mut proof);
        let (dials, purpose) = acceptor.finish(BOB, &proof)?;
        Ok((listens, dials, purpose))
    }

    #[test]
    fn two_holders_of_the_key_learn_who_the_other_is_and_what_for() {
        assert_eq!(meet(|_, _| {}), Ok((BOB.node, ALICE.node, BULK)));
    }

    #[test]
    fn every_flipped_bit_of_every_frame_is_found_by_one_of_them() {
        for (kind, bytes) in [(GREETING, GREETING_BYTES), (ANSWER, ANSWER_BYTES), (PROOF, PROOF_BYTES)] {
            for bit in 0..8 * bytes {
                let flip = |on_way: u8, frame: &mut [u8]| {
                    if on_way == kind {
                        frame[bit / 8] ^= 1 << (bit % 8);
                    }
                };
                assert!(meet(flip).is_err(), "frame {kind}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_foreign_cluster_is_refused_by_name_on_both_sides() {
        let elsewhere = Party { cluster: ClusterId::from_bytes([9; 16]), ..ALICE };
        let dialler = Dialler::new(&ring(), elsewhere, BULK, nonce(1));
        let refused = Acceptor::answer(&ring(), BOB, nonce(2), dialler.greeting()).unwrap_err();
        assert_eq!(refused, HelloError::ForeignCluster(elsewhere.cluster));

        let dialler = Dialler::new(&ring(), ALICE, BULK, nonce(1));
        let mut answer = [0; ANSWER_BYTES];
        answer[..GREETING_BYTES].copy_from_slice(&opening(
            ANSWER,
            BULK.byte(),
            ring().primary().0,
            Party { cluster: elsewhere.cluster, ..BOB },
            &nonce(2),
        ));
        assert_eq!(dialler.finish(&answer).unwrap_err(), HelloError::ForeignCluster(elsewhere.cluster));
    }

    #[test]
    fn a_key_that_the_acceptor_does_not_hold_is_refused_by_name() {
        let other = Keyring::new(SecretKey::derive("relaymesh test", b"other"));
        let dialler = Dialler::new(&other, ALICE, BULK, nonce(1));
        let refused = Acceptor::answer(&ring(), BOB, nonce(2), dialler.greeting()).unwrap_err();
        assert_eq!(refused, HelloError::UnknownKey(other.primary().0));
    }

    #[test]
    fn either_of_two_keys_opens_while_keys_rotate() {
        let new = SecretKey::derive("relaymesh test", b"new");
        let mut both = ring();
        both.install(new.clone()).unwrap();
        let dialler = Dialler::new(&Keyring::new(new), ALICE, BULK, nonce(1));
        let (acceptor, answer) = Acceptor::answer(&both, BOB, nonce(2), dialler.greeting()).unwrap();
        let (_, proof) = dialler.finish(&answer).unwrap();
        assert_eq!(acceptor.finish(BOB, &proof), Ok((ALICE.node, BULK)));
    }

    #[test]
    fn a_proof_sent_back_to_the_one_who_made_it_proves_nothing() {
        // The attacker has no key. It dials Bob under Alice's name and hands Bob his own proof back.
        let mut greeting = opening(GREETING, BULK.byte(), ring().primary().0, ALICE, &nonce(7));
        let (acceptor, answer) = Acceptor::answer(&ring(), BOB, nonce(2), &greeting).unwrap();
        let mut reflected = [0; PROOF_BYTES];
        reflected[..5].copy_from_slice(&[MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], PROOF]);
        reflected[8..].copy_from_slice(&answer[GREETING_BYTES..]);
        assert_eq!(acceptor.finish(BOB, &reflected), Err(HelloError::Forged));

        // Or it opens a second stream with Bob's own nonce, to have Bob make the proof it needs.
        let (acceptor, answer) = Acceptor::answer(&ring(), BOB, nonce(2), &greeting).unwrap();
        greeting[40..].copy_from_slice(&answer[40..56]);
        let (_, second) = Acceptor::answer(&ring(), BOB, nonce(3), &greeting).unwrap();
        reflected[8..].copy_from_slice(&second[GREETING_BYTES..]);
        assert_eq!(acceptor.finish(BOB, &reflected), Err(HelloError::Forged));
    }

    #[test]
    fn a_stream_that_was_recorded_cannot_be_played_again() {
        let dialler = Dialler::new(&ring(), ALICE, BULK, nonce(1));
        let greeting = *dialler.greeting();
        let (_, answer) = Acceptor::answer(&ring(), BOB, nonce(2), &greeting).unwrap();
        let (_, proof) = dialler.finish(&answer).unwrap();

        let (again, _) = Acceptor::answer(&ring(), BOB, nonce(3), &greeting).unwrap();
        assert_eq!(again.finish(BOB, &proof), Err(HelloError::Forged), "the acceptor's nonce is new");
        let again = Dialler::new(&ring(), ALICE, BULK, nonce(4));
        assert_eq!(again.finish(&answer).unwrap_err(), HelloError::Forged, "the dialler's nonce is new");
    }

    #[test]
    fn a_node_that_reaches_itself_says_so() {
        let dialler = Dialler::new(&ring(), ALICE, Purpose::Seek, nonce(1));
        let (_acceptor, answer) = Acceptor::answer(&ring(), ALICE, nonce(2), dialler.greeting()).unwrap();
        assert_eq!(dialler.finish(&answer).unwrap_err(), HelloError::Oneself);
    }

    #[test]
    fn datagrams_have_no_stream() {
        let dialler = Dialler::new(&ring(), ALICE, Purpose::Packets(Class::Gossip), nonce(1));
        let refused = Acceptor::answer(&ring(), BOB, nonce(2), dialler.greeting()).unwrap_err();
        assert_eq!(refused, HelloError::Format);
    }
}
