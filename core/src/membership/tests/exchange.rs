//! Exchanges of digests: whatever two views held, they come to hold the same, at a cost that follows the difference.

use super::solo::{Solo, sent};
use super::*;
use crate::envelope::Class;
use alloc::collections::BTreeSet;
use proptest::prelude::*;

/// Somebody whom everybody knows, and who accuses.
const ACCUSER: usize = 99;

/// Two machines, and the packets between them. Node 0 is the left one, node 1 the right one.
struct Pair {
    sides: [Solo; 2],
    /// Rows, opinions, descriptions and wishes that were sent.
    entries: usize,
    steps: usize,
}

impl Pair {
    /// Each side has heard what is told to it.
    fn that_heard(told: [Vec<Message>; 2]) -> Self {
        let mut index = 0;
        let sides = told.map(|messages| {
            let mut solo = Solo::started_as(index, Settings::default());
            index += 1;
            solo.hears(ACCUSER, introduction([member(ACCUSER, 1, 1)]));
            messages.into_iter().for_each(|message| drop(solo.hears(ACCUSER, message)));
            solo
        });
        Self { sides, entries: 0, steps: 0 }
    }

    /// The left side opens an exchange with the right one.
    fn exchange(&mut self) {
        (self.entries, self.steps) = (0, 0);
        let opened = self.sides[0].opens_exchange_with(1);
        let mut under_way: Vec<(usize, Message)> = streams(&opened, 1).map(|message| (1, message)).take(1).collect();
        assert!(!under_way.is_empty(), "an exchange is opened");
        while !under_way.is_empty() {
            let (to, message) = under_way.remove(0);
            self.steps += 1;
            self.entries += entries(&message);
            let actions = self.sides[to].hears_by(1 - to, Class::Control, message);
            under_way.extend(streams(&actions, 1 - to).map(|message| (1 - to, message)));
        }
    }

    /// Who is held to be what, and by which description, but for the two themselves: what they hear may make them speak
    /// anew.
    fn views(&self) -> [Vec<(NodeId, Verdict, u64)>; 2] {
        [0, 1].map(|side| {
            let table = &self.sides[side].machine.table;
            let others = table.iter().map(|(_, row)| row).filter(|row| row.node != node(0) && row.node != node(1));
            others.map(|row| (row.node, row.verdict, row.edition().version)).collect()
        })
    }

    /// What only one of them holds. Of who is dead or gone in both views, or unknown in one, they need not agree: everyone
    /// forgets those in its own time.
    fn differences(&self) -> Vec<NodeId> {
        let [left, right] = self.views().map(|view| view.into_iter().collect::<BTreeSet<_>>());
        let known = |side: usize, who: NodeId| self.sides[side].machine.table.row(who).map(|row| row.verdict.status);
        let differ = left.symmetric_difference(&right).map(|(who, ..)| *who);
        differ.filter(|who| [0, 1].iter().any(|side| known(*side, *who).is_some_and(Status::is_member))).collect()
    }
}

fn streams(actions: &[Action], to: usize) -> impl Iterator<Item = Message> {
    let messages = sent(actions).filter(move |(receiver, _)| *receiver == node(to)).map(|(_, message)| message.clone());
    messages.filter(|message| {
        matches!(
            message,
            Message::SyncDigests { .. }
                | Message::SyncRows { .. }
                | Message::SyncAnswer { .. }
                | Message::SyncMembers { .. }
        )
    })
}

fn entries(message: &Message) -> usize {
    match message {
        Message::SyncRows { rows, .. } => rows.len(),
        Message::SyncAnswer { opinions, members, wanted, .. } => opinions.len() + members.len() + wanted.len(),
        Message::SyncMembers { members, .. } => members.len(),
        _ => 0,
    }
}

/// What one side has heard of one node: its word at some incarnation, and what became of it.
fn heard(index: usize) -> impl Strategy<Value = Vec<Message>> {
    let status = prop::sample::select([Status::Alive, Status::Suspect, Status::Dead, Status::Left].to_vec());
    // Incarnations and versions are taken from one counter, so that they grow together.
    (1..4u64, 0..2u64, status).prop_map(move |(incarnation, later, status)| {
        let version = 2 * incarnation + later;
        let by_itself = matches!(status, Status::Alive | Status::Left);
        let accuser = if by_itself { index } else { ACCUSER };
        let later = gossip([opinion(index, status, incarnation, accuser)]);
        [introduction([member(index, incarnation, version)]), later].into()
    })
}

fn view() -> impl Strategy<Value = Vec<Message>> {
    let rows: Vec<_> = (2..50).map(|index| prop::option::weighted(0.7, heard(index))).collect();
    rows.prop_map(|rows| rows.into_iter().flatten().flatten().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// After two of them: by the first a side may learn of a member, and only then can it believe that it is suspected.
    #[test]
    fn after_exchanges_both_hold_the_same(left in view(), right in view()) {
        let mut pair = Pair::that_heard([left, right]);
        pair.exchange();
        pair.exchange();
        prop_assert_eq!(pair.differences(), Vec::new(), "{:?}", pair.views());
    }

    #[test]
    fn an_exchange_never_takes_anything_back(left in view(), right in view()) {
        let mut pair = Pair::that_heard([left, right]);
        let before = pair.views();
        pair.exchange();
        for (side, before) in before.into_iter().enumerate() {
            for (who, verdict, version) in before {
                let after = pair.sides[side].machine.table.row(who).expect("nobody is forgotten");
                prop_assert!(after.verdict >= verdict && after.edition().version >= version);
            }
        }
    }
}

fn everyone(count: usize) -> Vec<Message> {
    let indices: Vec<usize> = (2..count).filter(|index| *index != ACCUSER).collect();
    indices.chunks(500).map(|chunk| introduction(chunk.iter().map(|index| member(*index, 1, 1)))).collect()
}

#[test]
fn what_two_views_have_in_common_costs_nothing() {
    let mut pair = Pair::that_heard([everyone(1_000), everyone(1_000)]);
    pair.exchange();
    // Both have met each other only now: at most the two buckets that they stand in differ.
    assert!(pair.entries <= 2 * 32 && pair.steps <= 4, "{} entries in {} steps", pair.entries, pair.steps);
}

#[test]
fn one_difference_in_a_thousand_rows_costs_one_bucket() {
    let mut told = everyone(1_000);
    told.push(gossip([opinion(500, Status::Dead, 1, ACCUSER)]));
    let mut pair = Pair::that_heard([told, everyone(1_000)]);
    pair.exchange();
    assert_eq!(pair.differences(), []);
    assert!(pair.entries <= 3 * 32, "{} entries", pair.entries);
}

#[test]
fn descriptions_that_differ_alone_are_found() {
    for newer in [0, 1] {
        let mut told = [everyone(100), everyone(100)];
        told[newer].push(introduction([member(50, 1, 7)]));
        let mut pair = Pair::that_heard(told);
        pair.exchange();
        let version = |side: usize| pair.sides[side].machine.table.row(node(50)).map(|row| row.edition().version);
        assert_eq!([version(0), version(1)], [Some(7), Some(7)]);
    }
}

#[test]
fn a_side_that_knows_nobody_learns_everybody() {
    for newcomer in [0, 1] {
        let mut told = [everyone(900), everyone(900)];
        told[newcomer].clear();
        let mut pair = Pair::that_heard(told);
        pair.exchange();
        assert_eq!(pair.differences(), []);
        assert!(pair.sides.iter().all(|side| side.machine.table.len() == 900));
    }
}

#[test]
fn rows_that_nobody_asked_for_are_not_listened_to() {
    let mut solo = Solo::among(3);
    let row = wire::RowSummary {
        node: node(2),
        verdict: verdict(Status::Dead, 1),
        accuser: Some(node(3)),
        edition: edition(1),
    };
    let rows = Message::SyncRows { exchange: 77, rows: [row].into(), differing: [0].into(), depth: 0 };
    solo.hears_by(1, Class::Control, rows);
    assert_eq!(solo.status(2), Some(Status::Alive));
}

#[test]
fn an_exchange_that_is_not_answered_ends() {
    let mut solo = Solo::among(3);
    solo.handle(Event::Found { node: node(9), endpoint: endpoint(9) });
    let again = solo.handle(Event::Found { node: node(9), endpoint: endpoint(9) });
    assert_eq!(streams(&again, 9).count(), 0, "one at a time");
    solo.wait(Settings::default().sync_timeout);
    let later = solo.handle(Event::Found { node: node(9), endpoint: endpoint(9) });
    assert_eq!(streams(&later, 9).count(), 1);
}
