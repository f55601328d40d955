//! What a decoder must hold for any bytes, one function per fuzz target. Used by the targets and, on stable, by
//! `core/tests/fuzz_smoke.rs`: therefore nothing here depends on the fuzzer.
//!
//! An authenticator or checksum stops nearly every mutation at the door. Each body therefore looks at its input twice:
//! as it is, and with the seal put right, as a peer that holds the key or a disk that rots cleverly could have it.
//! Behind the seal, [`mesh`] is such a peer: it says what it likes to nodes that run.

use relaymesh_core::codec::{Body, BodyVersion, DecodeError, EncodeError, decode_value, encode_value};
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::{Class, Envelope, HEADER_BYTES, KeyId, KeyIds, Keyring, TAG_BYTES, open, seal};
use relaymesh_core::identity::{BootIncarnation, ClusterId, Incarnation, NodeId, StoreIncarnation};
use relaymesh_core::inline::Inline;
use relaymesh_core::limits::Limits;
use relaymesh_core::machine::{CauseId, Ctx, Machine, Seeded};
use relaymesh_core::membership::{Bounds, Identity, Message, Profile};
use relaymesh_core::mesh::{self as all, MeshNode};
use relaymesh_core::node::{Delivery, Input, Output, Seat, Visible};
use relaymesh_core::object::{self, ObjectFrameError, ObjectId};
use relaymesh_core::record::{Genesis, OVERHEAD_BYTES, Recovered, Recovery, Sequence, read_frame, read_genesis};
use relaymesh_core::secret::SecretKey;
use relaymesh_core::task::workflow::{JSON_BYTES_MAX, Workflow};
use relaymesh_core::time::{Duration, Time, WallTime};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;

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

/// Reading a definition never panics; what is read keeps every rule, and is shown and encoded as something that reads back as the
/// same.
pub fn workflow(input: &[u8]) {
    let workflow = match Workflow::from_json(input) {
        Ok(workflow) => workflow,
        Err(refusal) => return assert!(!refusal.to_string().is_empty(), "a refusal says something"),
    };
    assert_eq!(workflow.check(), Ok(()), "what was read keeps the rules");
    let shown = workflow.to_json();
    assert_eq!(Workflow::from_json(shown.as_bytes()).as_ref(), Ok(&workflow), "{shown}");
    let mut encoded = Vec::new();
    encode_value(&workflow, 4 * JSON_BYTES_MAX, &mut encoded).expect("it is as long as its text, about");
    assert_eq!(decode_value(&encoded), Ok(workflow));
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
    open_object(input);
    let slots = split(input);
    recover_and_repair(&slots);
    recover_and_repair(&slots.iter().map(|slot| slot.as_deref().map(rechecksummed)).collect::<Vec<_>>());
}

/// Bytes that open as an object are the one frame that there is of it.
fn open_object(input: &[u8]) {
    let mut named = ObjectId { address: [0; 32], piece: 0 };
    if let Err(ObjectFrameError::Misplaced { found }) = object::open(named, input) {
        named = found;
    }
    if let Ok(bytes) = object::open(named, input) {
        let mut sealed = Vec::new();
        object::seal(named, bytes, &mut sealed);
        assert_eq!(sealed, input, "an object has one encoding");
    }
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
    if let Some(anchored) = recovered.anchor {
        // An anchor of the fuzzer's own: nothing of the journal is in front of what it says.
        assert!(anchored.anchor.first.before() <= recovered.end);
        return;
    }
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
        let _whether_to_read_again = recovery.doubts(Sequence(slot), bytes);
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

/// The bodies of the mesh: what decodes is said in no more bytes than it came in, and decodes to the same. The first
/// byte says which kind of body follows.
pub fn mesh_body(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else { return };
    match kind % 4 {
        0 => {
            if let Some(all::Message::Membership(message)) = body_again::<all::Message>(body) {
                let _well_formed_or_not = message.check();
            }
        }
        1 => drop(body_again::<all::Record>(body)),
        2 => drop(body_again::<all::Request>(body)),
        _ => drop(body_again::<all::Reply>(body)),
    }
}

fn body_again<B: Body + PartialEq + Debug>(bytes: &[u8]) -> Option<B> {
    let body = B::decode(BodyVersion(1), bytes).ok()?;
    let mut encoded = Vec::new();
    body.encode(BodyVersion(1), bytes.len(), &mut encoded).expect("no encoding is longer than one that was accepted");
    assert_eq!(B::decode(BodyVersion(1), &encoded).as_ref(), Ok(&body));
    Some(body)
}

/// The two nodes that [`mesh`] drives, and the member that speaks against them.
pub const MEMBERS: [NodeId; 3] =
    [NodeId::from_bytes([0xA; 16]), NodeId::from_bytes([0xB; 16]), NodeId::from_bytes([0xC; 16])];
/// Messages that one input causes, at most.
const MESSAGES_MAX: usize = 200;

/// Two nodes that know one another, and somebody who holds the key and says anything. Nothing makes them panic, say
/// what others refuse, or send a datagram that is too large.
///
/// The input is made of parts as [`split`] takes them apart. Each is one message of the third member: a byte that says
/// how it is sent, and the body.
pub fn mesh(input: &[u8]) {
    let mut mesh = Mesh::new();
    for part in split(input).into_iter().flatten() {
        let Some((how, body)) = part.split_first() else { continue };
        let Ok(message) = all::Message::decode(BodyVersion(1), body) else { continue };
        mesh.hostile(*how, message);
        mesh.run();
    }
    mesh.pass(Duration::from_secs(30));
}

struct Mesh {
    nodes: [MeshNode; 2],
    records: [u64; 2],
    now: Time,
    sequence: u64,
    chance: Seeded,
    under_way: VecDeque<(usize, Envelope, all::Message)>,
    sent: usize,
    /// The last numbers that the hostile member was told, so that its answers are listened to.
    probe: u32,
    exchange: u32,
}

impl Mesh {
    fn new() -> Self {
        let nodes = [0, 1].map(|index| MeshNode::new(&seat(index), Default::default(), identity(index)));
        let mut mesh = Self {
            nodes,
            records: [0; 2],
            now: Time::from_nanos(1_000_000_000),
            sequence: 0,
            chance: Seeded::new(1, 1),
            under_way: VecDeque::new(),
            sent: 0,
            probe: 0,
            exchange: 0,
        };
        for node in 0..2 {
            mesh.handle(node, Input::Start { life: life(node, 1), keys: KeyIds::new([KeyId(1)]) });
        }
        for (node, other) in [(0, 1), (1, 0), (0, 2), (1, 2)] {
            mesh.handle(node, Input::Found { node: MEMBERS[other], endpoint: identity(other).endpoint });
        }
        mesh.run();
        mesh
    }

    /// The bits of `how`: to whom (1), as whom (2), on which lane (2), after how long (2), whether as an answer (1).
    fn hostile(&mut self, how: u8, mut message: all::Message) {
        let bits = |at: u8, count: u8| how >> at & ((1 << count) - 1);
        let (to, class) = (usize::from(bits(0, 1)), Class::ALL[usize::from(bits(3, 2))]);
        let source = match bits(1, 2) {
            0 => life(2, 1),
            1 => life(2, 2),
            2 => Incarnation { store: StoreIncarnation(u64::MAX), ..life(1 - to, u64::MAX) },
            _ => Incarnation { node: NodeId::from_bytes([0xD; 16]), ..life(2, 1) },
        };
        let wait = [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(700), Duration::from_secs(60)];
        self.pass(wait[usize::from(bits(5, 2))]);
        if bits(7, 1) == 1 {
            match &mut message {
                all::Message::Membership(
                    Message::Ack { probe, .. } | Message::Vouch { probe } | Message::Nack { probe },
                ) => *probe = self.probe,
                all::Message::Membership(Message::SyncRows { exchange, .. } | Message::SyncAnswer { exchange, .. }) => {
                    *exchange = self.exchange
                }
                all::Message::Membership(_)
                | all::Message::Control(_)
                | all::Message::Shards(_)
                | all::Message::Tasks(_) => {}
            }
        }
        self.deliver_later(source, MEMBERS[to], class, message);
    }

    fn deliver_later(&mut self, source: Incarnation, to: NodeId, class: Class, message: all::Message) {
        self.sequence += 1;
        let known = (0..2).find(|node| MEMBERS[*node] == to);
        let envelope = Envelope { source, destination: to, next_hop: to, class, sequence: self.sequence, ..envelope() };
        if let Some(to) = known.filter(|_| self.sent < MESSAGES_MAX) {
            self.sent += 1;
            self.under_way.push_back((to, envelope, message));
        }
    }

    fn run(&mut self) {
        while let Some((to, envelope, message)) = self.under_way.pop_front() {
            self.handle(to, Input::Message(Delivery { envelope, message }));
        }
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        for _ in 0..MESSAGES_MAX {
            let due = (0..2).filter_map(|node| Some((self.nodes[node].next_deadline()?, node))).min();
            let Some((at, node)) = due.filter(|(at, _)| *at <= end) else { break };
            self.now = self.now.max(at);
            self.handle(node, Input::Wake);
            self.run();
        }
        self.now = end;
    }

    fn handle(&mut self, node: usize, input: Input<MeshNode>) {
        let mut ctx = Ctx::new(self.now, WallTime::default(), CauseId(0), &mut self.chance);
        ctx.next_record = Sequence(self.records[node] + 1);
        let mut outputs = Vec::new();
        self.nodes[node].handle(&mut ctx, input, &mut outputs);
        let written = self.records[node];
        for output in outputs {
            match output {
                Output::Write { .. } => self.records[node] += 1,
                Output::Show { what: Visible::Message { route, message, .. }, .. } => {
                    self.check(route.to, route.class, &message);
                    self.deliver_later(life(node, 1), route.to, route.class, message);
                }
                _ => {}
            }
        }
        if self.records[node] > written {
            self.handle(node, Input::Persisted { upto: Sequence(self.records[node]) });
        }
    }

    fn check(&mut self, to: NodeId, class: Class, message: &all::Message) {
        let all::Message::Membership(said) = message else { return };
        assert_eq!(said.check(), Ok(()), "others refuse {said:?}");
        let mut body = Vec::new();
        message.encode(BodyVersion(1), Limits::default().packet_bytes, &mut body).expect("it fits a packet");
        let bytes = 48 + HEADER_BYTES + body.len() + TAG_BYTES;
        assert!(class.is_stream() || bytes <= Bounds::default().datagram_bytes as usize, "{bytes} bytes");
        match said {
            Message::Ping { probe, .. } | Message::PingRequest { probe, .. } if to == MEMBERS[2] => self.probe = *probe,
            Message::SyncDigests { exchange, .. } if to == MEMBERS[2] => self.exchange = *exchange,
            _ => {}
        }
    }
}

fn life(index: usize, boot: u64) -> Incarnation {
    Incarnation { node: MEMBERS[index], store: StoreIncarnation(5 + index as u64), boot: BootIncarnation(boot) }
}

fn identity(index: usize) -> Identity {
    let endpoint = Endpoint::v4([127, 0, 0, 1], 7_000 + index as u16);
    let profile = Arc::new(Profile::default());
    Identity { node: MEMBERS[index], endpoint, speaks: 1, name: "fuzzed".into(), profile }
}

fn seat(index: usize) -> Seat {
    Seat {
        cluster: CLUSTER,
        domain: Default::default(),
        node: MEMBERS[index],
        fresh_store: StoreIncarnation(5 + index as u64),
        speaks: BodyVersion(1),
        keys: KeyIds::new([KeyId(1)]),
        limits: Limits::default(),
    }
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
