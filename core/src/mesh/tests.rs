//! The wires of the production node, each told as a story. What the machines make of it is told beside them.

use super::*;
use crate::codec::{Body, BodyVersion, DecodeError, EncodeError};
use crate::control::group::Voter;
use crate::control::node as control;
use crate::control::state::{Name, RecoveryId, Scope};
use crate::endpoint::Endpoint;
use crate::envelope::{Class, Envelope, KeyChange, KeyId, KeyIds};
use crate::epoch::{ClusterEpoch, Epoch, FenceToken};
use crate::identity::{
    BootIncarnation, ClusterId, GossipDomain, Incarnation, NodeId, RequestId, StoreIncarnation, Tenant,
};
use crate::limits::Limits;
use crate::machine::{CauseId, Ctx, Machine, Scripted};
use crate::membership::{self, Identity, IncarnationNumber, Profile};
use crate::node::{Application, Delivery, Gating, Input, Message as _, Output, Seat, Visible};
use crate::observe::Observe;
use crate::record::Sequence;
use crate::shards::ShardId;
use crate::time::{Time, WallTime};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

const ALICE: NodeId = NodeId::from_bytes([0xA; 16]);
const BOB: NodeId = NodeId::from_bytes([0xB; 16]);
const DOMAIN: GossipDomain = GossipDomain(3);

#[test]
fn a_start_reserves_numbers_and_speaks_once_they_are_durable() {
    let mut node = new();
    let begun = handle(&mut node, start());
    let [Output::Write { version: OLDEST_VERSION, record: Record::Membership(record) }] = &begun[..] else {
        panic!("{begun:?}");
    };
    assert!(matches!(record, membership::Record::Reserved { upto } if upto.0 >= 64));
    let speaks = handle(&mut node, Input::Persisted { upto: Sequence(1) });
    assert!(speaks.iter().any(|output| matches!(output, Output::Seek)));
    assert!(node.next_deadline().is_some());
}

#[test]
fn a_record_of_an_earlier_process_is_taken_back() {
    let mut node = new();
    node.replay(Sequence(3), Record::Membership(membership::Record::Reserved { upto: IncarnationNumber(500) }));
    let begun = handle(&mut node, start());
    let upto = begun.iter().find_map(|output| match output {
        Output::Write { record: Record::Membership(membership::Record::Reserved { upto }), .. } => Some(*upto),
        _ => None,
    });
    assert!(upto > Some(IncarnationNumber(500)));
}

#[test]
fn a_packet_is_answered_once() {
    let mut node = running();
    // Given somebody who is known,
    let answered = handle(&mut node, packet(DOMAIN, Class::Control, 1, hello()));
    assert!(answered.iter().any(|output| matches!(output, Output::Locate { node: BOB, .. })));
    let pinged = handle(&mut node, packet(DOMAIN, Class::Gossip, 2, ping()));
    assert_eq!(acks(&pinged), 1);
    // When a packet of it comes again,
    let again = handle(&mut node, packet(DOMAIN, Class::Gossip, 2, ping()));
    // Then nothing happens but that it is reported.
    let replayed = AdmissionObservation::Replayed { node: BOB, sequence: 2 };
    assert!(matches!(again[..], [Output::Observe(MeshObservation::Admission(it))] if it == replayed));
}

#[test]
fn a_datagram_of_a_stranger_is_not_listened_to() {
    let mut node = running();
    let before = node.membership().clone();
    let outputs = handle(&mut node, packet(DOMAIN, Class::Gossip, 1, hello()));
    assert!(matches!(outputs[..], [Output::Observe(MeshObservation::Admission(_))]));
    assert!(*node.membership() == before);
}

#[test]
fn a_packet_of_another_gossip_domain_changes_nothing() {
    let mut node = running();
    let before = node.membership().clone();
    let outputs = handle(&mut node, packet(GossipDomain(4), Class::Control, 1, hello()));
    let foreign = AdmissionObservation::ForeignDomain { node: BOB, domain: 4 };
    assert!(matches!(outputs[..], [Output::Observe(MeshObservation::Admission(it))] if it == foreign));
    assert!(*node.membership() == before);
}

#[test]
fn what_is_found_is_located_and_spoken_to() {
    let mut node = running();
    let endpoint = Endpoint::v4([10, 0, 0, 2], 7_000);
    let outputs = handle(&mut node, Input::Found { node: BOB, endpoint });
    assert!(outputs.iter().any(|it| matches!(it, Output::Locate { node: BOB, endpoint: at } if *at == endpoint)));
    assert!(messages(&outputs).any(|(to, class, _)| (to, class) == (BOB, Class::Control)));
}

#[test]
fn requests_are_answered_under_their_own_number() {
    let mut node = running();
    let request = Request::Membership(membership::Request::Members);
    let outputs = handle(&mut node, Input::Request { id: RequestId(77), request });
    let answered = outputs.iter().any(|output| {
        matches!(
            output,
            Output::Show {
                what: Visible::Reply { id: RequestId(77), reply: Reply::Membership(membership::Reply::Members(seen)) },
                not_after: None,
            } if seen.len() == 1
        )
    });
    assert!(answered);
}

#[test]
fn a_change_of_keys_is_asked_of_the_driver_and_what_it_did_is_told() {
    let mut node = running();
    handle(&mut node, Input::Keys(KeyIds::new([KeyId(1), KeyId(2)])));
    let use_key = membership::Request::UseKey { id: KeyId(2), force: true };
    let request = Request::Membership(use_key);
    let outputs = handle(&mut node, Input::Request { id: RequestId(1), request });
    assert!(outputs.iter().any(|output| matches!(output, Output::Keyring(KeyChange::Use(KeyId(2))))));
}

#[test]
fn a_full_queue_or_one_with_room_is_nothing_to_gossip() {
    let mut node = running();
    let before = node.membership().clone();
    for class in Class::ALL {
        assert!(handle(&mut node, Input::Full { peer: BOB, class }).is_empty());
        assert!(handle(&mut node, Input::Room { peer: BOB, class }).is_empty());
    }
    assert!(*node.membership() == before);
}

#[test]
fn gossip_does_not_wait_for_the_disk() {
    assert_eq!(ping().gating(), Gating::Ungated);
    let sees_persisted = MeshNode::SEES_PERSISTED;
    assert!(sees_persisted, "what must be durable before it is said, membership sees to");
}

#[test]
fn every_observation_has_a_name_of_its_own() {
    let names: BTreeSet<_> = MeshObservation::ALL.iter().map(|descriptor| descriptor.name).collect();
    assert_eq!(names.len(), MeshObservation::ALL.len());
    assert!(names.iter().all(|name| name.starts_with("relaymesh_") || name.starts_with("mesh_")));
    let replayed = MeshObservation::Admission(AdmissionObservation::Replayed { node: BOB, sequence: 1 });
    assert!(MeshObservation::ALL.contains(replayed.descriptor()));
}

#[test]
fn a_body_of_a_version_that_is_not_known_is_neither_written_nor_read() {
    let mut bytes = vec![];
    let newer = BodyVersion(NEWEST_VERSION.0 + 1);
    assert_eq!(ping().encode(newer, 1_000, &mut bytes), Err(EncodeError::NotInVersion { version: newer }));
    ping().encode(NEWEST_VERSION, 1_000, &mut bytes).unwrap();
    assert!(matches!(Message::decode(newer, &bytes), Err(DecodeError::UnknownVersion { .. })));
    assert_eq!(Message::decode(NEWEST_VERSION, &bytes), Ok(ping()));
}

#[test]
#[should_panic(expected = "a seat is for one node")]
fn a_seat_is_for_one_node() {
    MeshNode::new(&Seat { node: BOB, ..seat() }, Settings::default(), identity(ALICE));
}

// --- the fence ------------------------------------------------------------------------------------------------------

const SCOPE: Scope = Scope::Global;

fn accepts(node: &mut MeshNode, lease: u64) -> Vec<Output<MeshNode>> {
    let epoch = Epoch { cluster: ClusterEpoch(1), lease };
    let request = Request::Fence(fence::Request::Accept { scope: SCOPE, epoch, who: BOB });
    handle(node, Input::Request { id: RequestId(5), request })
}

fn reply(outputs: &[Output<MeshNode>]) -> Option<&Reply> {
    outputs.iter().find_map(|output| match output {
        Output::Show { what: Visible::Reply { reply, .. }, .. } => Some(reply),
        _ => None,
    })
}

#[test]
fn what_is_accepted_is_remembered_first_and_fences_what_is_older_also_after_a_restart() {
    let mut node = running();
    let outputs = accepts(&mut node, 9);
    let [Output::Write { record: Record::Fence(remembered), .. }, Output::Show { .. }] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(reply(&outputs), Some(&Reply::Fence(fence::Reply::Accepted)));
    assert!(matches!(accepts(&mut node, 9)[..], [Output::Show { .. }]), "known already");
    let mut restarted = new();
    restarted.replay(Sequence(3), Record::Fence(*remembered));
    for node in [&mut node, &mut restarted] {
        let late = accepts(node, 8);
        let Some(Reply::Fence(fence::Reply::Stale(conflict))) = reply(&late) else { panic!("{late:?}") };
        assert_eq!((conflict.expected.lease, conflict.actual.lease, conflict.who), (9, 8, BOB));
        let is_conflict = |it: &Output<MeshNode>| matches!(it, Output::Observe(seen) if seen.descriptor().name == "relaymesh_lease_conflict_total");
        assert!(late.iter().any(is_conflict));
        let listed =
            handle(node, Input::Request { id: RequestId(6), request: Request::Fence(fence::Request::Conflicts) });
        let expected = fence::Reply::Conflicts { conflicts: vec![**conflict], dropped: 0 };
        assert_eq!(reply(&listed), Some(&Reply::Fence(expected)));
    }
}

#[test]
fn who_holds_nothing_may_not_act_and_neither_may_who_is_late() {
    let mut node = running();
    let request = Request::Fence(fence::Request::Act(SCOPE));
    let outputs = handle(&mut node, Input::Request { id: RequestId(5), request });
    assert_eq!(reply(&outputs), Some(&Reply::Fence(fence::Reply::NotHeld)));
    let acts = Reply::Fence(fence::Reply::Acts(FenceToken::new(ClusterEpoch(1), 7)));
    let late = handle(&mut node, Input::Late(Visible::Reply { id: RequestId(5), reply: acts }));
    assert_eq!(reply(&late), Some(&Reply::Fence(fence::Reply::NotHeld)));
}

#[test]
fn one_who_founds_a_group_of_its_own_leads_it_once_all_is_durable() {
    let mut node = running();
    let founding = control::Founding {
        nonce: 1,
        recovery: RecoveryId(2),
        voters: [Voter { node: ALICE, store: StoreIncarnation(1) }].into(),
        span_max: crate::time::Duration::from_secs(5),
    };
    let mut outputs = handle(
        &mut node,
        Input::Request { id: RequestId(5), request: Request::Control(control::Request::Found(founding)) },
    );
    assert!(outputs.iter().any(|output| matches!(output, Output::Write { record: Record::Control(_), .. })));
    // The epoch of the new cluster is the fence's floor, written behind what the group writes.
    let fenced = outputs.iter().rposition(|output| matches!(output, Output::Write { record: Record::Fence(_), .. }));
    let grouped = outputs.iter().rposition(|output| matches!(output, Output::Write { record: Record::Control(_), .. }));
    assert!(fenced > grouped, "{outputs:?}");
    let mut written = 1;
    let mut now = Time::from_nanos(1_000_000_000);
    let leads = |node: &MeshNode| node.control().group().is_some_and(|group| group.is_leader);
    for _ in 0..1_000 {
        written += outputs.iter().filter(|output| matches!(output, Output::Write { .. })).count() as u64;
        now = now + crate::time::Duration::from_millis(1);
        outputs = handle_at(&mut node, now, written + 1, Input::Persisted { upto: Sequence(written) });
        written += outputs.iter().filter(|output| matches!(output, Output::Write { .. })).count() as u64;
        outputs = handle_at(&mut node, now, written + 1, Input::Wake);
        if leads(&node) {
            break;
        }
    }
    assert!(leads(&node));
}

// --- a node without a driver ----------------------------------------------------------------------------------------

#[test]
fn what_only_nodes_say_is_taken_from_no_client() {
    use crate::shards::host::{Refusal, Reply as Answer, Request as Question};
    use crate::shards::state::task_command;
    use crate::task::command::Command;
    let mut node = running();
    let shard = ShardId { namespace: Name::new("tasks").unwrap(), number: 0 };
    let command = task_command(&Command::Take { from: 1, words: vec![] }).unwrap();
    let request = Request::Shards(Question::Submit { shard, command });
    let told = handle(&mut node, Input::Request { id: RequestId(7), request });
    let [Output::Show { what: Visible::Reply { reply: Reply::Shards(answer), .. }, .. }] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(*answer, Answer::Refused(Refusal::OfNodes));
}

fn new() -> MeshNode {
    MeshNode::new(&seat(), Settings::default(), identity(ALICE))
}

fn running() -> MeshNode {
    let mut node = new();
    handle(&mut node, start());
    handle(&mut node, Input::Persisted { upto: Sequence(1) });
    node
}

fn handle(node: &mut MeshNode, input: Input<MeshNode>) -> Vec<Output<MeshNode>> {
    handle_at(node, Time::from_nanos(1_000_000_000), 1, input)
}

fn handle_at(node: &mut MeshNode, now: Time, next_record: u64, input: Input<MeshNode>) -> Vec<Output<MeshNode>> {
    let mut chooser = Scripted::default();
    let mut ctx = Ctx::new(now, WallTime::default(), CauseId(0), &mut chooser);
    ctx.next_record = Sequence(next_record);
    let mut outputs = vec![];
    node.handle(&mut ctx, input, &mut outputs);
    outputs
}

fn messages(outputs: &[Output<MeshNode>]) -> impl Iterator<Item = (NodeId, Class, &Message)> {
    outputs.iter().filter_map(|output| match output {
        Output::Show { what: Visible::Message { route, message, .. }, .. } => Some((route.to, route.class, message)),
        _ => None,
    })
}

fn acks(outputs: &[Output<MeshNode>]) -> usize {
    let is_ack = |message: &Message| matches!(message, Message::Membership(membership::Message::Ack { probe: 9, .. }));
    messages(outputs).filter(|(to, _, message)| *to == BOB && is_ack(message)).count()
}

fn start() -> Input<MeshNode> {
    let life = Incarnation { node: ALICE, store: StoreIncarnation(1), boot: BootIncarnation(1) };
    Input::Start { life, keys: KeyIds::new([KeyId(1)]) }
}

fn packet(domain: GossipDomain, class: Class, sequence: u64, message: Message) -> Input<MeshNode> {
    let envelope = Envelope {
        cluster: ClusterId::from_bytes([1; 16]),
        domain,
        tenant: Tenant(0),
        source: Incarnation { node: BOB, store: StoreIncarnation(2), boot: BootIncarnation(1) },
        destination: ALICE,
        next_hop: ALICE,
        ttl: 1,
        class,
        sequence,
        cause: CauseId(0),
        version: NEWEST_VERSION,
        speaks: NEWEST_VERSION,
    };
    Input::Message(Delivery { envelope, message })
}

fn ping() -> Message {
    Message::Membership(membership::Message::Ping { probe: 9, rumors: vec![] })
}

/// Bob says who he is.
fn hello() -> Message {
    let bob = identity(BOB);
    let description = membership::Description {
        version: 1,
        store: StoreIncarnation(2),
        boot: BootIncarnation(1),
        endpoint: bob.endpoint,
        health: 100,
        keys: KeyIds::new([KeyId(1)]),
        speaks: 1,
        name: bob.name,
        profile: bob.profile,
    };
    let member =
        membership::wire::Member { node: BOB, incarnation: IncarnationNumber(1), description: Arc::new(description) };
    let rumors = vec![membership::wire::Rumor { age_ms: 0, news: membership::wire::News::Member(member) }];
    Message::Membership(membership::Message::Gossip { rumors })
}

fn seat() -> Seat {
    Seat {
        cluster: ClusterId::from_bytes([1; 16]),
        domain: DOMAIN,
        node: ALICE,
        fresh_store: StoreIncarnation(1),
        speaks: NEWEST_VERSION,
        keys: KeyIds::new([KeyId(1)]),
        limits: Limits::default(),
    }
}

fn identity(node: NodeId) -> Identity {
    Identity {
        node,
        endpoint: Endpoint::v4([10, 0, 0, 1], 7_000),
        speaks: 1,
        name: "alice".into(),
        profile: Arc::new(Profile::default()),
    }
}
