//! What a receiver may rely on, told as stories.

use super::*;
use crate::codec::{Body, BodyVersion, DecodeError, EncodeError, decode_value, encode_value};
use crate::identity::{BootIncarnation, ClusterId, GossipDomain, Incarnation, NodeId, StoreIncarnation, Tenant};
use crate::machine::CauseId;
use crate::secret::SecretKey;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note(Vec<u8>);

impl Body for Note {
    const OLDEST: BodyVersion = BodyVersion(1);
    const NEWEST: BodyVersion = BodyVersion(2);
    fn encode(&self, _: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode_value(self, limit, out)
    }
    fn decode(_: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_value(bytes)
    }
}

const CLUSTER: ClusterId = ClusterId::from_bytes([1; 16]);
const ALICE: NodeId = NodeId::from_bytes([0xA; 16]);
const BOB: NodeId = NodeId::from_bytes([0xB; 16]);

fn key(material: &[u8]) -> SecretKey {
    SecretKey::derive("relaymesh test", material)
}

fn envelope() -> Envelope {
    Envelope {
        cluster: CLUSTER,
        domain: GossipDomain(3),
        tenant: Tenant(4),
        source: Incarnation { node: ALICE, store: StoreIncarnation(5), boot: BootIncarnation(6) },
        destination: BOB,
        next_hop: BOB,
        ttl: 7,
        class: Class::Priority,
        sequence: 8,
        cause: CauseId(9),
        version: BodyVersion(2),
        speaks: BodyVersion(2),
    }
}

fn sealed(keyring: &Keyring) -> Vec<u8> {
    let mut packet = Vec::new();
    seal(keyring, &envelope(), &Note(b"hello".to_vec()), 1_024, &mut packet).unwrap();
    packet
}

fn opened(keyring: &Keyring, packet: &[u8]) -> Result<Opened<Note>, OpenError> {
    open(keyring, CLUSTER, BOB, BodyVersion(2), packet)
}

#[test]
fn what_was_sealed_opens_as_it_was() {
    let ring = Keyring::new(key(b"one"));
    let note = opened(&ring, &sealed(&ring)).unwrap();
    assert_eq!(note.envelope, envelope());
    assert_eq!(note.message, Note(b"hello".to_vec()));
}

#[test]
fn every_single_changed_bit_is_refused() {
    let ring = Keyring::new(key(b"one"));
    let packet = sealed(&ring);
    for bit in 0..packet.len() * 8 {
        let mut changed = packet.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(opened(&ring, &changed).is_err(), "bit {bit} may be changed");
    }
}

#[test]
fn every_cut_and_every_extension_is_refused() {
    let ring = Keyring::new(key(b"one"));
    let mut packet = sealed(&ring);
    for length in 0..packet.len() {
        assert!(opened(&ring, &packet[..length]).is_err());
    }
    packet.push(0);
    assert!(opened(&ring, &packet).is_err());
}

#[test]
fn another_cluster_and_another_node_are_refused_by_name() {
    let ring = Keyring::new(key(b"one"));
    let packet = sealed(&ring);
    let elsewhere = open::<Note>(&ring, ClusterId::from_bytes([2; 16]), BOB, BodyVersion(2), &packet);
    assert_eq!(elsewhere, Err(OpenError::ForeignCluster(CLUSTER)));
    let other = open::<Note>(&ring, CLUSTER, ALICE, BodyVersion(2), &packet);
    assert_eq!(other, Err(OpenError::Misdelivered(BOB)));
}

#[test]
fn a_newer_body_than_this_build_understands_is_refused() {
    let ring = Keyring::new(key(b"one"));
    let old_build = open::<Note>(&ring, CLUSTER, BOB, BodyVersion(1), &sealed(&ring));
    let (found, oldest, newest) = (BodyVersion(2), BodyVersion(1), BodyVersion(1));
    assert_eq!(old_build, Err(OpenError::Body(DecodeError::UnknownVersion { found, oldest, newest })));
}

#[test]
fn keys_rotate_without_a_gap() {
    let (old, new) = (key(b"old"), key(b"new"));
    let (mut alice, mut bob) = (Keyring::new(old.clone()), Keyring::new(old));
    let new_id = bob.install(new.clone()).unwrap();
    alice.install(new).unwrap();
    let before = sealed(&alice);
    alice.use_key(new_id).unwrap();
    let after = sealed(&alice);
    assert!(opened(&bob, &before).is_ok(), "the old key still opens");
    assert!(opened(&bob, &after).is_ok(), "the new key opens already");
    let old_id = bob.primary().0;
    assert_eq!(bob.remove(old_id), Err(KeyringError::InUse(old_id)));
    bob.use_key(new_id).unwrap();
    bob.remove(old_id).unwrap();
    assert_eq!(opened(&bob, &before), Err(OpenError::UnknownKey(old_id)));
}

#[test]
fn a_foreign_key_with_the_same_name_does_not_open() {
    let ring = Keyring::new(key(b"one"));
    let mut packet = sealed(&Keyring::new(key(b"two")));
    packet[6..8].copy_from_slice(&ring.primary().0.0.to_le_bytes());
    assert_eq!(opened(&ring, &packet), Err(OpenError::Forged));
}

#[test]
fn a_body_past_the_packet_limit_is_not_sealed() {
    let ring = Keyring::new(key(b"one"));
    let mut out = Vec::new();
    let refused = seal(&ring, &envelope(), &Note(alloc::vec![0; 2_000]), 1_024, &mut out);
    assert_eq!(refused, Err(EncodeError::TooLarge { limit: 1_024 - HEADER_BYTES - TAG_BYTES }));
    assert!(out.is_empty());
}

#[test]
fn a_sender_that_does_not_understand_what_it_sends_is_refused() {
    let ring = Keyring::new(key(b"one"));
    for (version, speaks) in [(2, 1), (1, 0), (0, 0)] {
        let envelope = Envelope { version: BodyVersion(version), speaks: BodyVersion(speaks), ..envelope() };
        let mut packet = Vec::new();
        seal(&ring, &envelope, &Note(Vec::new()), 1_024, &mut packet).unwrap();
        assert_eq!(opened(&ring, &packet), Err(OpenError::Format), "version {version} of one that speaks {speaks}");
    }
}
