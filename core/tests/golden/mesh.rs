//! One of each thing that the mesh says, stores, is asked and answers, with every shape that its parts can have.

use super::{ALICE, BOB};
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::{KeyId, KeyIds};
use relaymesh_core::identity::{BootIncarnation, StoreIncarnation};
use relaymesh_core::membership::description::Edition;
use relaymesh_core::membership::wire::{Member, News, RowSummary, Rumor};
use relaymesh_core::membership::{
    Description, IncarnationNumber, Link, MemberView, Message, Opinion, Profile, Record, Refusal, Reply, Request,
    Status, Verdict,
};
use relaymesh_core::mesh;
use relaymesh_core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) fn messages() -> Vec<mesh::Message> {
    let rumors = vec![
        Rumor { age_ms: 7, news: News::Opinion(opinion(Status::Alive, 1)) },
        Rumor { age_ms: 70_000, news: News::Opinion(opinion(Status::Suspect, 300)) },
        Rumor { age_ms: u32::MAX, news: News::Opinion(opinion(Status::Dead, 70_000)) },
        Rumor { age_ms: 300, news: News::Opinion(opinion(Status::Left, (1 << 32) - 1)) },
        Rumor { age_ms: 0, news: News::Member(member()) },
    ];
    let rows = vec![
        row(Status::Alive, None, Edition { version: 0, life: 0 }),
        row(Status::Dead, Some(ALICE), Edition { version: 9, life: 0x1234_5678 }),
    ];
    let messages = [
        Message::Ping { probe: 1, rumors: rumors.clone() },
        Message::Ack { probe: 2, coordinate: Default::default(), rumors: rumors.clone() },
        Message::PingRequest { probe: u32::MAX, target: BOB, rumors: vec![] },
        Message::Vouch { probe: 4 },
        Message::Nack { probe: 5 },
        Message::Gossip { rumors },
        Message::SyncDigests { exchange: 7, opener: member(), digests: vec![0, 1, u64::MAX, 70_000] },
        Message::SyncRows { exchange: 8, rows, differing: vec![0, 255], depth: 8 },
        Message::SyncAnswer {
            exchange: 9,
            opinions: vec![opinion(Status::Suspect, 4)],
            members: vec![member()],
            wanted: vec![ALICE, BOB],
        },
        Message::SyncMembers { exchange: 10, members: vec![member()] },
    ];
    messages.map(mesh::Message::Membership).into()
}

pub(crate) fn records() -> Vec<mesh::Record> {
    [64, (1 << 32) + 64].map(|upto| mesh::Record::Membership(Record::Reserved { upto: IncarnationNumber(upto) })).into()
}

pub(crate) fn requests() -> Vec<mesh::Request> {
    let requests = [
        Request::Members,
        Request::Leave,
        Request::Describe { name: "bob".into(), profile: profile() },
        Request::UseKey { id: KeyId(0xABCD), force: false },
        Request::RemoveKey { id: KeyId(1), force: true },
    ];
    requests.map(mesh::Request::Membership).into()
}

pub(crate) fn replies() -> Vec<mesh::Reply> {
    let refusals = [
        Refusal::Gone,
        Refusal::UnknownKey(KeyId(1)),
        Refusal::NotCovered { id: KeyId(1), missing: 3 },
        Refusal::InUse { id: KeyId(1), users: 300 },
        Refusal::DescriptionTooLong { bytes: 70_000 },
        Refusal::DescriptionTooLarge { bytes: 1_001 },
        Refusal::DescriptionTooMany { entries: 33 },
    ];
    let links = [Link::Own, Link::Untried, Link::Direct, Link::Indirect];
    let others = [Reply::Members(links.map(seen).into()), Reply::Left, Reply::Described, Reply::KeyChanged];
    others.into_iter().chain(refusals.map(Reply::Refused)).map(mesh::Reply::Membership).collect()
}

fn opinion(status: Status, incarnation: u64) -> Opinion {
    let accuser = if matches!(status, Status::Alive | Status::Left) { BOB } else { ALICE };
    Opinion { node: BOB, verdict: verdict(status, incarnation), accuser }
}

fn verdict(status: Status, incarnation: u64) -> Verdict {
    Verdict { incarnation: IncarnationNumber(incarnation), status }
}

fn row(status: Status, accuser: Option<relaymesh_core::identity::NodeId>, edition: Edition) -> RowSummary {
    RowSummary { node: BOB, verdict: verdict(status, 5), accuser, edition }
}

fn member() -> Member {
    Member { node: BOB, incarnation: IncarnationNumber(6), description: Arc::new(description()) }
}

fn description() -> Description {
    Description {
        version: 70_000,
        store: StoreIncarnation(u64::MAX),
        boot: BootIncarnation(300),
        endpoint: Endpoint::v4([192, 0, 2, 1], 7_000),
        health: 75,
        keys: KeyIds::new([KeyId(0xABCD), KeyId(1)]),
        speaks: 1,
        name: "bob".into(),
        profile: Arc::new(profile()),
    }
}

fn profile() -> Profile {
    let v6: SocketAddr = "[2001:db8::1]:443".parse().unwrap();
    Profile {
        role: "worker".into(),
        cluster: "golden".into(),
        region: "eu".into(),
        zone: "eu-1".into(),
        software: "0.1.0".into(),
        posture: "mtls".into(),
        capabilities: vec!["gpu".into()],
        labels: vec![("rack".into(), "7".into()), ("ünïcode".into(), "".into())],
        endpoints: vec![("https".into(), Endpoint(v6))],
    }
}

fn seen(link: Link) -> MemberView {
    let is_own = link == Link::Own;
    MemberView {
        node: BOB,
        status: Status::Suspect,
        incarnation: IncarnationNumber(6),
        since: Duration::from_secs(5),
        in_good_standing: is_own,
        counts_in: (!is_own).then_some(Duration::from_millis(1_500)),
        link,
        round_trip: (!is_own).then_some(Duration::from_micros(250)),
        predicted: None,
        description: is_own.then(|| Arc::new(description())),
    }
}
