//! What a decoder must hold for any bytes, one function per fuzz target. Used by the targets and, on stable, by
//! `core/tests/fuzz_smoke.rs`: therefore nothing here depends on the fuzzer.
//!
//! An authenticator or checksum stops nearly every mutation at the door. Each body therefore looks at its input twice:
//! as it is, and with the seal put right, as a peer that holds the key or a disk that rots cleverly could have it.

use relaymesh_core::codec::{Body, BodyVersion, DecodeError, EncodeError, decode_value, encode_value};
use relaymesh_core::envelope::{Class, Envelope, Keyring, TAG_BYTES, open, seal};
use relaymesh_core::identity::{BootIncarnation, ClusterId, Incarnation, NodeId, StoreIncarnation};
use relaymesh_core::inline::Inline;
use relaymesh_core::record::{Genesis, OVERHEAD_BYTES, Recovered, Recovery, Sequence, read_frame, read_genesis};
use relaymesh_core::secret::SecretKey;
use relaymesh_core::time::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// The cluster that inputs of [`packet`] belong to.
pub const CLUSTER: ClusterId = ClusterId::from_bytes([1; 16]);
/// The node that inputs of [`packet`] are for.
pub const NODE: NodeId = NodeId::from_bytes([2; 16]);
/// The key that inputs of [`packet`] are sealed with.
pub const KEY: [u8; 32] = [3; 32];

/// A body with the shapes that real ones are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Letter {
    /// Nothing.
    Empty,
    /// Integers, whose encoded length varies.
    Numbers(u8, u16, u32, u64, i64, u128),
    /// Text and bytes, whose length an input may lie about.
    Text(String, Inline<64>),
    /// A list of structures.
    People(Vec<Incarnation>),
    /// Options, and lists in a list.
    Parts([Option<u16>; 3], Vec<Vec<u8>>),
}

impl Body for Letter {
    const OLDEST: BodyVersion = BodyVersion(1);
    const NEWEST: BodyVersion = BodyVersion(1);
    fn encode(&self, _: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode_value(self, limit, out)
    }
    fn decode(_: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_value(bytes)
    }
}

/// Opening never panics; what opens is sealed and opened again to the same.
pub fn packet(input: &[u8]) {
    let keyring = Keyring::new(SecretKey::from_bytes(KEY));
    reopen(&keyring, input);
    if let Some(covered) = input.len().checked_sub(TAG_BYTES).map(|length| &input[..length]) {
        let tag = blake3::keyed_hash(&KEY, covered);
        reopen(&keyring, &[covered, &tag.as_bytes()[..TAG_BYTES]].concat());
    }
}

fn reopen(keyring: &Keyring, packet: &[u8]) {
    let Ok(opened) = open::<Letter>(keyring, CLUSTER, NODE, BodyVersion(1), packet) else { return };
    let mut sealed = Vec::new();
    seal(keyring, &opened.envelope, &opened.message, packet.len(), &mut sealed).expect("what was read can be said");
    assert_eq!(sealed[..116], packet[..116], "the envelope has one encoding");
    assert_eq!(open(keyring, CLUSTER, NODE, BodyVersion(1), &sealed), Ok(opened));
}

/// Reading and recovering never panics, keeps nothing that was not there, and is done after one repair.
pub fn frame(input: &[u8]) {
    let _genesis_or_refusal = read_frame(input).map(|frame| read_genesis(&frame));
    let slots = split(input);
    recover_and_repair(&slots);
    recover_and_repair(&slots.iter().map(|slot| slot.as_deref().map(rechecksummed)).collect::<Vec<_>>());
}

/// Slots of a journal, as inputs of [`frame`] write them: a length of two bytes, little-endian, before each; an empty
/// slot has none.
pub fn split(mut input: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut slots = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk() {
        let (slot, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        slots.push((!slot.is_empty()).then(|| slot.to_vec()));
        input = rest;
    }
    slots
}

/// The input of [`frame`] that [`split`] takes apart into `slots`.
pub fn joined(slots: &[Vec<u8>]) -> Vec<u8> {
    slots.iter().flat_map(|slot| (slot.len() as u16).to_le_bytes().into_iter().chain(slot.iter().copied())).collect()
}

/// A frame that holds by itself, so that what it says is looked at.
fn rechecksummed(slot: &[u8]) -> Vec<u8> {
    let mut frame = slot.to_vec();
    if frame.len() >= OVERHEAD_BYTES {
        let body = (frame.len() - OVERHEAD_BYTES) as u32;
        frame[48..52].copy_from_slice(&body.to_le_bytes());
        let (covered, checksum) = frame.split_at_mut(slot.len() - 16);
        checksum.copy_from_slice(&blake3::hash(covered).as_bytes()[..16]);
    }
    frame
}

fn recover_and_repair(slots: &[Option<Vec<u8>>]) {
    let Some((kept, recovered)) = recover(slots) else { return };
    assert_eq!(recovered.end, Sequence(kept as u64));
    assert!(recovered.synced <= recovered.end);
    assert!(recovered.rewrite.iter().all(|(at, bytes)| slots[at.0 as usize - 1].as_ref() == Some(bytes)));
    assert_eq!(recovered.rewrite.len() as u64, recovered.end.0 - recovered.synced.0);

    let mut repaired = slots[..kept].to_vec();
    if let (1.., Some(boot)) = (kept, recovered.boot.0.checked_add(1)) {
        let mut record = Vec::new();
        recovered.writer(BootIncarnation(boot)).boot_record(&mut record).expect("a boot record always fits");
        repaired.push(Some(record));
    }
    let (kept, again) = recover(&repaired).expect("a repaired journal is whole");
    assert_eq!((kept, again.leftover), (repaired.len(), false));
}

/// How many slots were kept, and the verdict if it is not damage.
fn recover(slots: &[Option<Vec<u8>>]) -> Option<(usize, Recovered)> {
    let mut recovery = Recovery::new();
    let mut kept = 0;
    for (slot, bytes) in (1..).zip(slots) {
        let bytes = bytes.as_deref();
        let _whether_to_read_again = bytes.map(|bytes| recovery.doubts(Sequence(slot), bytes));
        kept += usize::from(recovery.feed(Sequence(slot), bytes).ok()?.is_some());
    }
    Some((kept, recovery.finish().ok()?))
}

/// Decoding never panics; what decodes is encoded in no more bytes than it came in, and decodes to the same.
pub fn codec(input: &[u8]) {
    decode_again::<Letter>(input);
    decode_again::<Vec<u64>>(input);
    decode_again::<Genesis>(input);
    decode_again::<(Sequence, BodyVersion, Time, Inline<8>)>(input);
    decode_again::<Vec<Vec<Option<bool>>>>(input);
}

fn decode_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(input: &[u8]) {
    let Ok(value) = decode_value::<T>(input) else { return };
    let mut encoded = Vec::new();
    encode_value(&value, input.len(), &mut encoded).expect("no encoding is longer than another that was accepted");
    assert_eq!(decode_value(&encoded), Ok(value));
}

/// An envelope that [`packet`] lets in.
pub fn envelope() -> Envelope {
    Envelope {
        cluster: CLUSTER,
        domain: Default::default(),
        tenant: Default::default(),
        source: Incarnation { node: NodeId::from_bytes([4; 16]), store: StoreIncarnation(5), boot: BootIncarnation(6) },
        destination: NODE,
        next_hop: NODE,
        ttl: 1,
        class: Class::Control,
        sequence: 7,
        cause: Default::default(),
        version: BodyVersion(1),
        speaks: BodyVersion(1),
    }
}
