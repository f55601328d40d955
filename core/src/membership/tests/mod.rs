//! Membership, told as stories.
//!
//! [`world`] is a small mesh: machines alone, with packets, disks and clocks that do what the story says, and checkers
//! that are always on. [`solo`] is one machine that hears what the story tells it. What every interleaving of a small
//! mesh allows is enumerated in `core/tests/membership_model.rs`.

mod bounds;
mod exchange;
mod failing;
mod identity;
mod joining;
mod judging;
mod keys;
mod leaving;
mod solo;
mod world;

use super::description::Edition;
use super::*;
use crate::endpoint::Endpoint;
use crate::envelope::{KeyId, KeyIds};
use crate::identity::{BootIncarnation, NodeId, StoreIncarnation};
use crate::time::Duration;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The node number `index`; the ids of different nodes differ in their leading bits, as hashes do.
fn node(index: usize) -> NodeId {
    let mut id = [0; 16];
    id[0] = (index as u8).wrapping_mul(151).wrapping_add(7);
    id[8..].copy_from_slice(&(index as u64).to_be_bytes());
    NodeId::from_bytes(id)
}

fn endpoint(number: usize) -> Endpoint {
    Endpoint::v4([10, 0, (number >> 8) as u8, number as u8], 7_000)
}

/// What the node number `index` would say of itself.
fn description(index: usize, version: u64) -> Description {
    Description {
        version,
        store: StoreIncarnation(1_000 + index as u64),
        boot: BootIncarnation(1),
        endpoint: endpoint(index),
        health: 100,
        keys: keys(&[1]),
        speaks: 1,
        name: alloc::format!("node-{index}").into(),
        profile: Arc::new(Profile::default()),
    }
}

/// Its word that it is alive.
fn member(index: usize, incarnation: u64, version: u64) -> wire::Member {
    let description = Arc::new(description(index, version));
    wire::Member { node: node(index), incarnation: IncarnationNumber(incarnation), description }
}

fn verdict(status: Status, incarnation: u64) -> Verdict {
    Verdict { incarnation: IncarnationNumber(incarnation), status }
}

/// What is said of `subject`: by `accuser`, or by itself where it is alive or gone.
fn opinion(subject: usize, status: Status, incarnation: u64, accuser: usize) -> Opinion {
    Opinion { node: node(subject), verdict: verdict(status, incarnation), accuser: node(accuser) }
}

fn edition(version: u64) -> Edition {
    Edition { version, life: 0 }
}

fn rumor(news: wire::News) -> wire::Rumor {
    wire::Rumor { age_ms: 0, news }
}

fn gossip(opinions: impl IntoIterator<Item = Opinion>) -> Message {
    Message::Gossip { rumors: opinions.into_iter().map(wire::News::Opinion).map(rumor).collect() }
}

fn introduction(members: impl IntoIterator<Item = wire::Member>) -> Message {
    Message::Gossip { rumors: members.into_iter().map(wire::News::Member).map(rumor).collect() }
}

fn keys(ids: &[u16]) -> KeyIds {
    KeyIds::new(ids.iter().map(|id| KeyId(*id)))
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A description as large as one may be.
fn largest_profile() -> Profile {
    let entries = description::ENTRIES_MAX;
    let texts = |letter: char| -> Vec<alloc::boxed::Box<str>> {
        (0..entries).map(|_| alloc::format!("{letter}").into()).collect()
    };
    let rest = description::TEXT_BYTES_MAX - 4 * entries - "node-99".len();
    Profile {
        role: "r".repeat(rest).into(),
        capabilities: texts('c'),
        labels: texts('k').into_iter().zip(texts('v')).collect(),
        endpoints: texts('e').into_iter().map(|protocol| (protocol, endpoint(1))).collect(),
        ..Profile::default()
    }
}
