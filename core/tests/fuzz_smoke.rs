//! The fuzz targets' bodies on stable: over their corpus, and over many mutations of it that are the same every time.
//! `tests/fuzz` runs the same bodies with coverage for as long as one likes.
#![allow(clippy::disallowed_methods, reason = "a test reads the corpus from its folder")]

#[allow(unreachable_pub, reason = "public for the fuzz targets, which are another crate")]
#[path = "../../tests/fuzz/src/bodies.rs"]
mod bodies;
#[path = "golden/mesh.rs"]
mod golden;

use bodies::{Letter, joined};
use relaymesh_core::codec::{BodyVersion, EncodeError, encode_value};
use relaymesh_core::envelope::{Keyring, seal};
use relaymesh_core::identity::{BootIncarnation, Incarnation, NodeId, StoreIncarnation};
use relaymesh_core::inline::Inline;
use relaymesh_core::machine::{Chooser, Seeded};
use relaymesh_core::record::{Genesis, Recovered, Recovery, Sequence, Writer};
use relaymesh_core::secret::SecretKey;
use serde::Serialize;
use std::path::PathBuf;

const MUTATIONS: usize = 20_000;
/// Of inputs that keep two nodes busy for a minute of theirs.
const LONG_MUTATIONS: usize = 1_000;

/// Whom the messages in `golden` speak of.
const ALICE: NodeId = bodies::MEMBERS[0];
const BOB: NodeId = bodies::MEMBERS[1];

#[test]
fn any_packet_is_refused_or_opens_again_to_the_same() {
    smoke("packet", MUTATIONS, bodies::packet);
}

#[test]
fn any_journal_is_refused_or_repaired_once_and_for_all() {
    smoke("frame", MUTATIONS, bodies::frame);
}

#[test]
fn any_body_is_refused_or_decodes_again_to_the_same() {
    smoke("codec", MUTATIONS, bodies::codec);
}

#[test]
fn any_body_of_the_mesh_is_refused_or_decodes_again_to_the_same() {
    smoke("mesh_body", MUTATIONS, bodies::mesh_body);
}

#[test]
fn any_workflow_is_refused_or_reads_again_to_the_same() {
    smoke("workflow", MUTATIONS, bodies::workflow);
}

#[test]
fn whatever_a_member_says_the_others_go_on() {
    smoke("mesh", LONG_MUTATIONS, bodies::mesh);
}

/// Mutations of near-valid inputs get further than noise. The stored ones stay when a format changes: they are tomorrow's
/// old inputs.
#[test]
#[ignore = "writes files: run it by name to add the inputs of a new version to the corpus"]
fn write_the_corpus() {
    for (target, name, input) in inputs() {
        std::fs::create_dir_all(corpus(target)).unwrap();
        std::fs::write(corpus(target).join(name), input).unwrap();
    }
}

fn smoke(target: &str, mutations: usize, body: fn(&[u8])) {
    let mut files: Vec<_> = std::fs::read_dir(corpus(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(seeds.len() >= 5, "the corpus of {target} is missing");
    seeds.iter().for_each(|seed| body(seed));
    let mut chance = Seeded::new(1, 1);
    (0..mutations).for_each(|_| body(&mutated(&seeds, &mut chance)));
}

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus")).join(target)
}

// --- mutations ------------------------------------------------------------------------------------------------------

/// Lengths and counters that break arithmetic, and the markers of long integers.
const HOSTILE: [&[u8]; 7] =
    [&[0], &[0xFF; 2], &[0xFF; 4], &[0xFF; 8], &[0xFB, 0xFF, 0xFF], &[0xFC, 0xFF, 0xFF, 0xFF, 0x03], &[0xFD; 9]];

fn mutated(seeds: &[Vec<u8>], chance: &mut Seeded) -> Vec<u8> {
    let mut input = seeds[pick(chance, seeds.len())].clone();
    for _ in 0..=chance.below(4) {
        let at = pick(chance, input.len() + 1);
        match chance.below(5) {
            0 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << chance.below(8)),
            1 => input.truncate(at),
            2 => drop(input.splice(at.., tail(&seeds[pick(chance, seeds.len())], chance))),
            3 => drop(input.splice(at..at, HOSTILE[pick(chance, HOSTILE.len())].iter().copied())),
            _ => input.iter_mut().skip(at).zip(HOSTILE[pick(chance, HOSTILE.len())]).for_each(|(old, new)| *old = *new),
        }
    }
    input
}

fn tail(seed: &[u8], chance: &mut Seeded) -> Vec<u8> {
    seed[pick(chance, seed.len() + 1)..].to_vec()
}

fn pick(chance: &mut Seeded, bound: usize) -> usize {
    chance.below(bound as u64) as usize
}

// --- the corpus -----------------------------------------------------------------------------------------------------

type Input = (&'static str, String, Vec<u8>);

fn inputs() -> Vec<Input> {
    let packets = letters().map(|(name, letter)| ("packet", name.to_owned(), sealed(&letter)));
    let bodies = letters().map(|(name, letter)| ("codec", name.to_owned(), encoded(&letter)));
    let near = [near_packets(), near_bodies(), journals()].concat();
    let near = near.into_iter().map(|(target, name, input)| (target, name.to_owned(), input)).collect();
    [packets.to_vec(), bodies.to_vec(), near, mesh_bodies(), conversations(), workflows()].concat()
}

fn letters() -> [(&'static str, Letter); 5] {
    let node = NodeId::from_bytes([9; 16]);
    let alice = Incarnation { node, store: StoreIncarnation(u64::MAX), boot: BootIncarnation(251) };
    [
        ("empty", Letter::Empty),
        ("numbers", Letter::Numbers(1, 300, 70_000, u64::MAX, -2, u128::MAX)),
        ("text", Letter::Text("relay".into(), Inline::new(b"mesh").unwrap())),
        ("people", Letter::People(vec![alice; 3])),
        ("parts", Letter::Parts([Some(1), None, Some(u16::MAX)], vec![vec![1, 2], vec![], vec![3]])),
    ]
}

fn near_packets() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let whole = sealed(&letters()[2].1);
    let changed = |at: usize, value: u8| {
        let mut packet = whole.clone();
        packet[at] = value;
        packet
    };
    vec![
        ("packet", "cut", whole[..whole.len() - 1].to_vec()),
        ("packet", "foreign-cluster", changed(8, 0)),
        ("packet", "newer-body", changed(112, 2)),
        ("packet", "claims-4-gigabytes", changed(119, 0xFF)),
    ]
}

fn near_bodies() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let genesis = Genesis { cluster: bodies::CLUSTER, node: bodies::NODE, store: StoreIncarnation(1) };
    let claims_4_gigabytes_of_text = vec![2, 0xFC, 0xFF, 0xFF, 0xFF, 0xFF, b'a'];
    vec![
        ("codec", "list", encoded(&vec![0u64, 250, 251, u64::MAX])),
        ("codec", "genesis", encoded(&genesis)),
        ("codec", "one-as-nine-bytes", vec![1, 0xFD, 1, 0, 0, 0, 0, 0, 0, 0]),
        ("codec", "claims-4-gigabytes", claims_4_gigabytes_of_text),
    ]
}

fn mesh_bodies() -> Vec<Input> {
    let of_kind = |kind: u8, name: &str, bodies: Vec<Vec<u8>>| -> Vec<Input> {
        let numbered = (0..).zip(bodies);
        numbered.map(|(at, body)| ("mesh_body", format!("{name}-{at}"), [vec![kind], body].concat())).collect()
    };
    [
        of_kind(0, "message", golden::messages().iter().map(encoded).collect()),
        of_kind(1, "record", golden::records().iter().map(encoded).collect()),
        of_kind(2, "request", golden::requests().iter().map(encoded).collect()),
        of_kind(3, "reply", golden::replies().iter().map(encoded).collect()),
    ]
    .concat()
}

/// Every message alone as an answer, and all of them in every way in which one can be sent.
fn conversations() -> Vec<Input> {
    let messages: Vec<Vec<u8>> = golden::messages().iter().map(encoded).collect();
    let said = |how: u8, message: &Vec<u8>| [vec![how], message.clone()].concat();
    let alone = (0..).zip(&messages).map(|(at, message)| {
        let twice = [said(0b1110_0000, message), said(0b1000_0001, message)];
        ("mesh", format!("answer-{at}"), joined(&twice))
    });
    let talks = (0..32u8).map(|talk| {
        let how = |at: u8| talk.wrapping_mul(8).wrapping_add(at.wrapping_mul(37));
        let parts: Vec<Vec<u8>> = (0..).zip(&messages).map(|(at, message)| said(how(at), message)).collect();
        ("mesh", format!("talk-{talk}"), joined(&parts))
    });
    alone.chain(talks).collect()
}

/// Definitions with everything that one can have, and some that are refused.
fn workflows() -> Vec<Input> {
    let texts = [
        ("report", include_str!("../../docs/examples/report.json")),
        ("smallest", r#"{"steps":[{"id":"a","agent":"echo"}]}"#),
        (
            "everything",
            r#"{"name":"all","steps":[{"id":"a","agent":"x","input":{"k":[1,{"$from":"workflow.input","path":"/a/0"}],"s":"\u00e4"},
            "priority":"high","timeoutMs":1000,"labels":{"gpu":"yes"},"concurrencyKey":"disk","delayMs":5,
            "retry":{"maxAttempts":5,"baseBackoffMs":10,"maxBackoffMs":1000}},
            {"id":"b","agent":"y","forEach":{"$from":"a","path":"/list"},"input":{"$from":"item"},"priority":"low"},
            {"id":"ok","approval":"go on?","dependsOn":["b"],"timeoutMs":60000},{"id":"c","agent":"z","input":{"$from":"b"},
            "dependsOn":["ok"]}]}"#,
        ),
        ("cycle", r#"{"steps":[{"id":"a","agent":"x","dependsOn":["b"]},{"id":"b","agent":"x","dependsOn":["a"]}]}"#),
        ("unknown-field", r#"{"steps":[{"id":"a","agent":"x","agents":"y"}]}"#),
        ("huge-number", r#"{"steps":[{"id":"a","agent":"x","timeoutMs":1e999,"input":-0.0e-1}]}"#),
        ("half-a-pair", r#"{"steps":[{"id":"a","agent":"x","input":"\ud83d"}]}"#),
        (
            "deep",
            r#"{"steps":[{"id":"a","agent":"x","input":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}]}"#,
        ),
    ];
    texts.map(|(name, text)| ("workflow", name.to_owned(), text.as_bytes().to_vec())).to_vec()
}

/// A journal of two boots, and what can become of it.
fn journals() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut writer = Recovered::empty().writer(BootIncarnation(1));
    let genesis = Genesis { cluster: bodies::CLUSTER, node: bodies::NODE, store: StoreIncarnation(1) };
    let mut slots = vec![frame(|out| writer.genesis(&genesis, out)), frame(|out| writer.boot_record(out))];
    writer.synced(Sequence(2));
    slots.extend([b"three", b"four-"].map(|body| application(&mut writer, body)));
    let first_boot = slots.clone();

    let mut recovery = Recovery::new();
    for (slot, bytes) in (1..).zip(&slots) {
        recovery.feed(Sequence(slot), Some(bytes)).unwrap();
    }
    let mut writer = recovery.finish().unwrap().writer(BootIncarnation(2));
    slots.push(frame(|out| writer.boot_record(out)));
    writer.synced(Sequence(5));
    slots.extend([b"six--", b"seven"].map(|body| application(&mut writer, body)));

    let changed = |change: fn(&mut Vec<Vec<u8>>)| {
        let mut slots = slots.clone();
        change(&mut slots);
        joined(&slots)
    };
    vec![
        ("frame", "first-boot", joined(&first_boot)),
        ("frame", "second-boot", joined(&slots)),
        ("frame", "torn-tail", changed(|slots| slots[6].truncate(30))),
        ("frame", "hole-behind-the-mark", changed(|slots| slots[5].clear())),
        ("frame", "damage-below-the-mark", changed(|slots| slots[4].clear())),
        ("frame", "swapped", changed(|slots| slots.swap(2, 3))),
        ("frame", "one-frame", first_boot[0].clone()),
    ]
}

fn application(writer: &mut Writer, body: &[u8]) -> Vec<u8> {
    frame(|out| {
        writer.application(BodyVersion(1), out, |out| {
            out.extend_from_slice(body);
            Ok(())
        })
    })
}

fn frame(write: impl FnOnce(&mut Vec<u8>) -> Result<Sequence, EncodeError>) -> Vec<u8> {
    let mut frame = Vec::new();
    write(&mut frame).unwrap();
    frame
}

fn sealed(letter: &Letter) -> Vec<u8> {
    let keyring = Keyring::new(SecretKey::from_bytes(bodies::KEY));
    let mut packet = Vec::new();
    seal(&keyring, &bodies::envelope(), letter, 4_096, &mut packet).unwrap();
    packet
}

/// As bodies of version 1 are encoded, too.
fn encoded(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_value(value, 4_096, &mut bytes).unwrap();
    bytes
}
