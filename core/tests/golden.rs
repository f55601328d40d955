//! The formats as they are on disks and wires out there: every version that was ever released still reads and writes.
//!
//! A file in `golden/` is never edited. A new version of a format gets a new file: add a [`Golden`] that names it and
//! says how its bytes are made, create the file empty, run `cargo test -p relaymesh-core --test golden`, and copy the
//! bytes that the failing test shows into it, with a comment on what the version changed. A format that is no longer
//! *written* keeps its file and its decoding half.
#![allow(clippy::disallowed_methods, reason = "a test reads the stored formats from their folder")]

#[path = "golden/control.rs"]
mod control;
#[path = "golden/mesh.rs"]
mod mesh;
#[path = "golden/shards.rs"]
mod shards;

use relaymesh_core::codec::{Body, BodyVersion, DecodeError, EncodeError, decode_value, encode_value};
use relaymesh_core::envelope::{Class, Envelope, Keyring, Opened, open, seal};
use relaymesh_core::identity::{
    BootIncarnation, ClusterId, GossipDomain, Incarnation, NodeId, StoreIncarnation, Tenant,
};
use relaymesh_core::machine::CauseId;
use relaymesh_core::object::{self, ObjectId};
use relaymesh_core::record::anchor::PLACES;
use relaymesh_core::record::{Anchor, Genesis, Kind, Recovered, Recovery, Sequence, Writer, read_genesis};
use relaymesh_core::secret::SecretKey;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// A stored file: blocks of bytes in hexadecimal, a blank line between two blocks, `#` before a comment.
struct Golden {
    name: &'static str,
    text: &'static str,
}

const PACKET_V1: Golden = Golden { name: "packet-v1.hex", text: include_str!("golden/packet-v1.hex") };
const JOURNAL_V1: Golden = Golden { name: "journal-v1.hex", text: include_str!("golden/journal-v1.hex") };
const MESSAGE_V1: Golden = Golden { name: "mesh-message-v1.hex", text: include_str!("golden/mesh-message-v1.hex") };
const RECORD_V1: Golden = Golden { name: "mesh-record-v1.hex", text: include_str!("golden/mesh-record-v1.hex") };
const REQUEST_V1: Golden = Golden { name: "mesh-request-v1.hex", text: include_str!("golden/mesh-request-v1.hex") };
const REPLY_V1: Golden = Golden { name: "mesh-reply-v1.hex", text: include_str!("golden/mesh-reply-v1.hex") };
const CONTROL_MESSAGE_V1: Golden =
    Golden { name: "control-message-v1.hex", text: include_str!("golden/control-message-v1.hex") };
const CONTROL_RECORD_V1: Golden =
    Golden { name: "control-record-v1.hex", text: include_str!("golden/control-record-v1.hex") };
const CONTROL_REQUEST_V1: Golden =
    Golden { name: "control-request-v1.hex", text: include_str!("golden/control-request-v1.hex") };
const CONTROL_REPLY_V1: Golden =
    Golden { name: "control-reply-v1.hex", text: include_str!("golden/control-reply-v1.hex") };
const CONTROL_REQUEST_RETIRE_V1: Golden =
    Golden { name: "control-request-retire-v1.hex", text: include_str!("golden/control-request-retire-v1.hex") };
const CONTROL_REPLY_RETIRE_V1: Golden =
    Golden { name: "control-reply-retire-v1.hex", text: include_str!("golden/control-reply-retire-v1.hex") };
const ANCHOR_V1: Golden = Golden { name: "journal-anchor-v1.hex", text: include_str!("golden/journal-anchor-v1.hex") };
const OBJECT_V1: Golden = Golden { name: "object-v1.hex", text: include_str!("golden/object-v1.hex") };
const CONTROL_STANDING_V1: Golden =
    Golden { name: "control-record-standing-v1.hex", text: include_str!("golden/control-record-standing-v1.hex") };
const SHARDS_MESSAGE_V2: Golden =
    Golden { name: "shards-message-v2.hex", text: include_str!("golden/shards-message-v2.hex") };
const SHARDS_RECORD_V2: Golden =
    Golden { name: "shards-record-v2.hex", text: include_str!("golden/shards-record-v2.hex") };
const SHARDS_REQUEST_V1: Golden =
    Golden { name: "shards-request-v1.hex", text: include_str!("golden/shards-request-v1.hex") };
const SHARDS_REPLY_V1: Golden =
    Golden { name: "shards-reply-v1.hex", text: include_str!("golden/shards-reply-v1.hex") };
const BLOBS_MESSAGE_V2: Golden =
    Golden { name: "shards-message-blobs-v2.hex", text: include_str!("golden/shards-message-blobs-v2.hex") };
const BLOBS_RECORD_V2: Golden =
    Golden { name: "shards-record-blobs-v2.hex", text: include_str!("golden/shards-record-blobs-v2.hex") };
const BLOBS_REQUEST_V1: Golden =
    Golden { name: "shards-request-blobs-v1.hex", text: include_str!("golden/shards-request-blobs-v1.hex") };
const BLOBS_REPLY_V1: Golden =
    Golden { name: "shards-reply-blobs-v1.hex", text: include_str!("golden/shards-reply-blobs-v1.hex") };
const ALL: [Golden; 23] = [
    PACKET_V1,
    JOURNAL_V1,
    MESSAGE_V1,
    RECORD_V1,
    REQUEST_V1,
    REPLY_V1,
    CONTROL_MESSAGE_V1,
    CONTROL_RECORD_V1,
    CONTROL_REQUEST_V1,
    CONTROL_REPLY_V1,
    CONTROL_REQUEST_RETIRE_V1,
    CONTROL_REPLY_RETIRE_V1,
    ANCHOR_V1,
    OBJECT_V1,
    CONTROL_STANDING_V1,
    SHARDS_MESSAGE_V2,
    SHARDS_RECORD_V2,
    SHARDS_REQUEST_V1,
    SHARDS_REPLY_V1,
    BLOBS_MESSAGE_V2,
    BLOBS_RECORD_V2,
    BLOBS_REQUEST_V1,
    BLOBS_REPLY_V1,
];

#[test]
fn a_packet_of_version_1_opens_and_is_sealed_to_the_same_bytes() {
    let mut packet = Vec::new();
    seal(&keyring(), &envelope(), &parcel(), 1_024, &mut packet).unwrap();
    PACKET_V1.is(&[packet]);

    let [stored] = &PACKET_V1.blocks()[..] else { panic!("one packet") };
    let opened = open(&keyring(), CLUSTER, BOB, BodyVersion(1), stored);
    assert_eq!(opened, Ok(Opened { envelope: envelope(), message: parcel() }));
}

#[test]
fn a_journal_of_version_1_is_recovered_and_written_to_the_same_bytes() {
    let mut writer = Recovered::empty().writer(BootIncarnation(1));
    let genesis = Genesis { cluster: CLUSTER, node: ALICE, store: StoreIncarnation(0xD15C) };
    let frames = [
        frame(|out| writer.genesis(&genesis, out)),
        frame(|out| writer.boot_record(out)),
        frame(|out| {
            writer.synced(Sequence(2));
            write_parcel(&mut writer, out)
        }),
    ];
    JOURNAL_V1.is(&frames);

    let mut recovery = Recovery::new();
    let stored = JOURNAL_V1.blocks();
    let kept: Vec<_> =
        (1..).zip(&stored).map(|(slot, bytes)| recovery.feed(Sequence(slot), Some(bytes)).unwrap().unwrap()).collect();
    assert_eq!(kept.iter().map(|frame| frame.kind).collect::<Vec<_>>(), [Kind::Genesis, Kind::Boot, Kind::Application]);
    assert_eq!(read_genesis(&kept[0]), Ok(genesis));
    assert_eq!(Parcel::decode(kept[2].version, kept[2].body), Ok(parcel()));
    let recovered = recovery.finish().unwrap();
    assert_eq!((recovered.end, recovered.boot, recovered.synced), (Sequence(3), BootIncarnation(1), Sequence(2)));
}

#[test]
fn a_trimmed_journal_of_version_1_is_recovered_and_its_anchor_written_to_the_same_bytes() {
    let mut writer = Recovered::empty().writer(BootIncarnation(1));
    let genesis = Genesis { cluster: CLUSTER, node: ALICE, store: StoreIncarnation(0xD15C) };
    frame(|out| writer.genesis(&genesis, out));
    frame(|out| writer.boot_record(out));
    let chain = writer.chain();
    writer.synced(Sequence(2));
    let first = frame(|out| write_parcel(&mut writer, out));
    writer.synced(Sequence(3));
    let anchor = Anchor { genesis, first: Sequence(3), boot: BootIncarnation(1) };
    let anchored = frame(|out| writer.anchor(PLACES[0], &anchor, chain, out).map(|()| Sequence(0)));
    ANCHOR_V1.is(&[anchored, first]);

    let stored = ANCHOR_V1.blocks();
    let mut recovery = Recovery::new();
    assert_eq!(recovery.feed(PLACES[0], Some(&stored[0])), Ok(None));
    assert_eq!(recovery.feed(PLACES[1], None), Ok(None));
    assert_eq!(recovery.due(), Sequence(3));
    let kept = recovery.feed(Sequence(3), Some(&stored[1])).unwrap().unwrap();
    assert_eq!(Parcel::decode(kept.version, kept.body), Ok(parcel()));
    let recovered = recovery.finish().unwrap();
    assert_eq!((recovered.end, recovered.boot, recovered.synced), (Sequence(3), BootIncarnation(1), Sequence(3)));
    assert_eq!(recovered.anchor.map(|it| it.anchor), Some(anchor));
}

#[test]
fn an_object_of_version_1_is_opened_and_sealed_to_the_same_bytes() {
    let object = ObjectId { address: core::array::from_fn(|at| at as u8), piece: 0x0102_0304 };
    let frames = [&b"a piece of a payload"[..], b""].map(|bytes| {
        let mut frame = Vec::new();
        object::seal(object, bytes, &mut frame);
        frame
    });
    OBJECT_V1.is(&frames);

    let stored = OBJECT_V1.blocks();
    assert_eq!(object::open(object, &stored[0]), Ok(&b"a piece of a payload"[..]));
    assert_eq!(object::open(object, &stored[1]), Ok(&b""[..]));
}

#[test]
fn a_message_of_version_1_is_read_and_written_as_the_same_bytes() {
    MESSAGE_V1.holds(BodyVersion(1), &mesh::messages());
}

#[test]
fn a_record_of_version_1_is_read_and_written_as_the_same_bytes() {
    RECORD_V1.holds(BodyVersion(1), &mesh::records());
}

#[test]
fn a_request_of_version_1_is_read_and_written_as_the_same_bytes() {
    REQUEST_V1.holds(BodyVersion(1), &mesh::requests());
}

#[test]
fn a_reply_of_version_1_is_read_and_written_as_the_same_bytes() {
    REPLY_V1.holds(BodyVersion(1), &mesh::replies());
}

#[test]
fn what_the_control_group_says_and_stores_in_version_1_is_read_and_written_as_the_same_bytes() {
    CONTROL_MESSAGE_V1.holds(BodyVersion(1), &control::messages());
    CONTROL_RECORD_V1.holds(BodyVersion(1), &control::records());
    CONTROL_STANDING_V1.holds(BodyVersion(1), &control::standings());
    CONTROL_REQUEST_V1.holds(BodyVersion(1), &control::requests());
    CONTROL_REPLY_V1.holds(BodyVersion(1), &control::replies());
    // What was added together with commands of version 2: nothing that was there before has changed.
    CONTROL_REQUEST_RETIRE_V1.holds(BodyVersion(1), &control::requests_to_retire());
    CONTROL_REPLY_RETIRE_V1.holds(BodyVersion(1), &control::replies_to_retire());
}

#[test]
fn what_shards_say_and_store_in_version_2_is_read_and_written_as_the_same_bytes_and_in_no_older_one() {
    SHARDS_MESSAGE_V2.holds(BodyVersion(2), &shards::messages());
    SHARDS_RECORD_V2.holds(BodyVersion(2), &shards::records());
    // Between a client and the node beside it, which are of one build.
    SHARDS_REQUEST_V1.holds(BodyVersion(1), &shards::requests());
    SHARDS_REPLY_V1.holds(BodyVersion(1), &shards::replies());
    // What was added for blobs: nothing that was there before has changed.
    BLOBS_MESSAGE_V2.holds(BodyVersion(2), &shards::messages_of_blobs());
    BLOBS_RECORD_V2.holds(BodyVersion(2), &shards::records_of_blobs());
    BLOBS_REQUEST_V1.holds(BodyVersion(1), &shards::requests_of_blobs());
    BLOBS_REPLY_V1.holds(BodyVersion(1), &shards::replies_of_blobs());
    for message in shards::messages() {
        let refused = message.encode(BodyVersion(1), 1 << 16, &mut Vec::new());
        assert_eq!(refused, Err(EncodeError::NotInVersion { version: BodyVersion(1) }));
    }
    for stored in SHARDS_RECORD_V2.blocks() {
        let read = relaymesh_core::mesh::Record::decode(BodyVersion(1), &stored);
        assert_eq!(read, Err(DecodeError::Malformed { length: stored.len() }));
    }
}

#[test]
fn every_stored_file_is_tested() {
    let mut stored: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".hex"))
        .collect();
    let mut tested = ALL.map(|golden| golden.name.to_owned());
    stored.sort();
    tested.sort();
    assert_eq!(stored, tested);
}

// --- fixed inputs ---------------------------------------------------------------------------------------------------

const CLUSTER: ClusterId = ClusterId::from_bytes(*b"a golden cluster");
const ALICE: NodeId = NodeId::from_bytes([0xA; 16]);
const BOB: NodeId = NodeId::from_bytes([0xB; 16]);

/// A body with every shape that our bodies are made of: small and large numbers, text, lists, options, variants.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Parcel {
    Unused,
    Sent { small: u8, medium: u32, large: u64, negative: i64, words: Vec<String>, nothing: Option<u8>, node: NodeId },
}

impl Body for Parcel {
    const OLDEST: BodyVersion = BodyVersion(1);
    const NEWEST: BodyVersion = BodyVersion(1);
    fn encode(&self, _: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode_value(self, limit, out)
    }
    fn decode(_: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_value(bytes)
    }
}

fn parcel() -> Parcel {
    Parcel::Sent {
        small: 7,
        medium: 70_000,
        large: u64::MAX,
        negative: -2,
        words: vec!["relay".into(), "mesh".into()],
        nothing: None,
        node: ALICE,
    }
}

fn envelope() -> Envelope {
    Envelope {
        cluster: CLUSTER,
        domain: GossipDomain(3),
        tenant: Tenant(4),
        source: Incarnation { node: ALICE, store: StoreIncarnation(0xD15C), boot: BootIncarnation(6) },
        destination: BOB,
        next_hop: BOB,
        ttl: 7,
        class: Class::Priority,
        sequence: 8,
        cause: CauseId(9),
        version: BodyVersion(1),
        speaks: BodyVersion(2),
    }
}

fn keyring() -> Keyring {
    Keyring::new(SecretKey::from_bytes([0x5E; 32]))
}

fn write_parcel(writer: &mut Writer, out: &mut Vec<u8>) -> Result<Sequence, EncodeError> {
    writer.application(BodyVersion(1), out, |body| parcel().encode(BodyVersion(1), 256, body))
}

fn frame(write: impl FnOnce(&mut Vec<u8>) -> Result<Sequence, EncodeError>) -> Vec<u8> {
    let mut frame = Vec::new();
    write(&mut frame).unwrap();
    frame
}

// --- the files ------------------------------------------------------------------------------------------------------

impl Golden {
    /// One block for each body, in order.
    fn holds<B: Body + PartialEq + std::fmt::Debug>(&self, version: BodyVersion, bodies: &[B]) {
        let encoded = |body: &B| frame(|out| body.encode(version, 1 << 16, out).map(|()| Sequence(0)));
        self.is(&bodies.iter().map(encoded).collect::<Vec<_>>());
        for (stored, body) in self.blocks().iter().zip(bodies) {
            assert_eq!(B::decode(version, stored).as_ref(), Ok(body));
        }
    }

    fn is(&self, blocks: &[Vec<u8>]) {
        let written = blocks.iter().map(|block| hex(block)).collect::<Vec<_>>().join("\n");
        assert!(self.blocks() == blocks, "{} is not what this build writes, which is:\n\n{written}", self.name);
    }

    fn blocks(&self) -> Vec<Vec<u8>> {
        let without_comments = self.text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        without_comments.split("\n\n").map(bytes).filter(|block| !block.is_empty()).collect()
    }
}

/// 32 bytes to a line.
fn hex(bytes: &[u8]) -> String {
    bytes.chunks(32).fold(String::new(), |mut text, line| {
        line.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text + "\n"
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}
