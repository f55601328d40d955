//! Messages that no correct member sends: each gets an observation, and changes nothing.

use super::super::members::VoterId;
use super::super::wire::{Ballot, Blob, Body, Candidacy, Change, Entry, GroupId, Message, Payload};
use super::super::{Action, Event, GroupObservation, Request};
use super::world::{HALT, UNKNOWN, World};
use crate::identity::{Incarnation, StoreIncarnation};
use crate::machine::{CauseId, Chooser, Ctx, Machine, Seeded};
use crate::record::Sequence;
use crate::time::WallTime;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// A group of three with a few entries; a leader, and a follower.
fn settled() -> (World, usize, usize) {
    let mut world = World::founded(1, 4, 3);
    for value in 0..5u8 {
        world.commits(&[value]);
    }
    world.agree(&[0, 1, 2]);
    let leader = world.elects();
    world.runs_for(200);
    (world, leader, (leader + 1) % 3)
}

fn message(world: &World, from: usize, to: usize, term: u64, body: Body) -> Message {
    let id = |host: usize| world.status(host).map_or(VoterId(9), |status| status.id);
    let group = world.hosts[0].group.as_ref().unwrap().id().unwrap();
    Message { group, from: id(from), to: id(to), store: world.hosts[to].store, term, body }
}

/// What a node answers to it.
fn told(world: &mut World, to: usize, from: Incarnation, message: Message) -> Vec<String> {
    let now = world.now;
    let it = &mut world.hosts[to];
    let mut chance = Seeded::new(1, 1);
    let mut ctx = Ctx::new(now, WallTime::from_unix_nanos(0), CauseId(1), &mut chance);
    ctx.next_record = Sequence(it.journal.len() as u64 + 1);
    let mut actions = Vec::new();
    it.group.as_mut().unwrap().handle(&mut ctx, Event::Message { from, message }, &mut actions);
    let seen = |action: &Action<_>| match action {
        Action::Observe(GroupObservation::Refused { fault, .. }) => (*fault).into(),
        other => alloc::format!("{other:?}"),
    };
    actions.iter().map(seen).collect()
}

#[track_caller]
fn refused(world: &mut World, from: usize, to: usize, message: Message, fault: &str) {
    let before = world.status(to);
    let life = world.life(from);
    let shown = alloc::format!("{message:?}");
    assert_eq!(told(world, to, life, message), [fault], "{shown}");
    assert_eq!(world.status(to), before);
}

fn entry(term: u64, value: &[u8]) -> Entry {
    Entry { term, payload: Payload::Command(Blob(value.into())) }
}

#[test]
fn what_a_follower_cannot_be_told_is_refused() {
    let (mut world, leader, follower) = settled();
    let status = world.status(follower).unwrap();
    let (term, last) = (status.term, status.last);
    let append = |index, log_term, commit, entries| Body::Append { index, log_term, commit, entries };
    let huge = u64::MAX;
    let cases = [
        (term, Body::Heartbeat { commit: last + 1, round: 0 }, "index"),
        (term, Body::Heartbeat { commit: huge, round: 0 }, "index"),
        (0, Body::Heartbeat { commit: 0, round: 0 }, "term"),
        (huge, Body::Heartbeat { commit: 0, round: 0 }, "term"),
        (huge - 1, append(0, 0, 0, vec![]), "term"),
        (term + (1 << 33), append(0, 0, 0, vec![]), "term"),
        (term, append(last + 5, 0, 0, vec![entry(term, b"gap")]), "index"),
        (term, append(0, term, 0, vec![]), "index"),
        (term, append(huge, term, 0, vec![]), "index"),
        (term, append(last, term + 1, 0, vec![]), "index"),
        (term, append(last, term, huge, vec![]), "index"),
        (term, append(last, term, 0, vec![entry(0, b"x")]), "entry"),
        (term, append(last, term, 0, vec![entry(term + 1, b"x")]), "entry"),
        (term, append(last, term, 0, vec![entry(term - 1, b"x")]), "entry"),
        (term, append(last - 2, term, 0, vec![entry(term, b"a"), entry(term - 1, b"b")]), "entry"),
        (term, append(1, 1, 0, vec![entry(1, b"other than committed")]), "entry"),
        (term, append(last, term, 0, vec![entry(term, b"")]), "unknown_entry"),
        (term, append(last, term, 0, vec![entry(term, UNKNOWN)]), "unknown_entry"),
        (term, append(last, term, 0, vec![entry(term, &[0; 70_000])]), "unknown_entry"),
        (term, Body::TimeoutNow, "not_now"),
    ];
    for (term, body, fault) in cases {
        let other = if matches!(body, Body::TimeoutNow) {
            (0..3).find(|it| *it != leader && *it != follower).unwrap()
        } else {
            leader
        };
        let message = message(&world, other, follower, term, body);
        refused(&mut world, other, follower, message, fault);
    }
    let forget = Change::Forget { id: VoterId(0) };
    let entries = vec![Entry { term, payload: Payload::Change(forget) }];
    let message = message(&world, leader, follower, term, append(last, term, 0, entries));
    refused(&mut world, leader, follower, message, "unknown_entry");
}

#[test]
fn what_a_leader_cannot_be_told_is_refused() {
    let (mut world, leader, follower) = settled();
    let status = world.status(leader).unwrap();
    let (term, last, huge) = (status.term, status.last, u64::MAX);
    let candidacy = Candidacy { index: last, log_term: term, commit: last, commit_term: term, transfer: false };
    let cases = [
        (Body::Appended { index: last + 1, commit: 0 }, "index"),
        (Body::Appended { index: huge, commit: 0 }, "index"),
        (Body::Appended { index: last, commit: huge }, "index"),
        (Body::Rejected { index: last + 1, hint: 0, hint_term: 0, commit: 0 }, "index"),
        (Body::Rejected { index: last, hint: huge, hint_term: 1, commit: 0 }, "index"),
        (Body::Rejected { index: last, hint: last, hint_term: huge, commit: 0 }, "term"),
        (Body::Heartbeat { commit: 0, round: 0 }, "second_leader"),
        (Body::Append { index: last, log_term: term, commit: last, entries: vec![] }, "second_leader"),
        (Body::Heard { commit: huge, round: 1 }, "index"),
        (Body::Wants { index: huge, number: 0 }, "index"),
        (Body::RequestVote(Candidacy { index: huge, ..candidacy }), "index"),
        (Body::RequestVote(Candidacy { log_term: 0, ..candidacy }), "index"),
        (Body::RequestVote(Candidacy { log_term: term + 1, ..candidacy }), "term"),
        (Body::RequestPreVote(Candidacy { commit: last + 1, ..candidacy }), "index"),
        (Body::Vote(Ballot { granted: true, commit: 0, commit_term: 3 }), "index"),
        (Body::PreVote(Ballot { granted: false, commit: 3, commit_term: huge }), "term"),
    ];
    for (body, fault) in cases {
        let message = message(&world, follower, leader, term, body);
        refused(&mut world, follower, leader, message, fault);
    }
}

#[test]
fn who_is_not_who_it_says_is_refused() {
    let (mut world, leader, follower) = settled();
    let term = world.status(leader).unwrap().term;
    let good = message(&world, leader, follower, term, Body::Heartbeat { commit: 0, round: 0 });
    refused(&mut world, leader, follower, Message { group: GroupId(1), ..good.clone() }, "other_group");
    refused(&mut world, leader, follower, Message { to: VoterId(77), ..good.clone() }, "other_receiver");
    let store = StoreIncarnation(1);
    refused(&mut world, leader, follower, Message { store, ..good.clone() }, "other_receiver");
    refused(&mut world, leader, follower, Message { from: good.to, ..good.clone() }, "other_sender");
    refused(&mut world, leader, follower, Message { from: VoterId(0), ..good.clone() }, "other_sender");
    // Another node under the leader's id; the leader's node on another store; a member under an id never assigned.
    refused(&mut world, 3, follower, good.clone(), "other_sender");
    let life = Incarnation { store: StoreIncarnation(5), ..world.life(leader) };
    assert_eq!(told(&mut world, follower, life, good.clone()), ["other_sender"]);
    refused(&mut world, leader, follower, Message { from: VoterId(9), ..good.clone() }, "other_sender");
    // A stranger may lead, but not answer.
    let answer = Message { from: VoterId(9), body: Body::Appended { index: 1, commit: 1 }, ..good };
    refused(&mut world, 3, follower, answer, "not_member");
}

#[test]
fn an_answer_that_was_not_asked_for_elects_nobody() {
    let (mut world, leader, follower) = settled();
    let other = (0..3).find(|it| *it != leader && *it != follower).unwrap();
    // Given a candidate whose vote for itself is not durable yet,
    world.crashes(leader);
    world.runs_for(250);
    world.hosts[follower].disk_stalled = true;
    let before = world.status(follower).unwrap().term;
    world.runs_until(5_000, |world| world.status(follower).unwrap().term > before);
    let term = world.status(follower).unwrap().term;
    let granted = Body::Vote(Ballot { granted: true, commit: 0, commit_term: 0 });
    let message = message(&world, other, follower, term, granted);
    // Then nobody can have granted it.
    refused(&mut world, other, follower, message, "unasked");
}

#[test]
fn a_snapshot_that_cannot_be_is_refused() {
    let (mut world, leader, follower) = settled();
    let status = world.status(leader).unwrap();
    let (term, members) = (status.term, status.members);
    let meta = super::super::wire::SnapshotMeta { index: 100, term, members, pieces: 2 };
    let piece = |meta: &super::super::wire::SnapshotMeta, number, bytes: &[u8]| Body::Piece {
        meta: meta.clone(),
        number,
        bytes: Blob(bytes.into()),
    };
    let mut without_me = meta.clone();
    let own = world.status(follower).unwrap().id;
    without_me.members.seats.remove(&own);
    without_me.members.voters.remove(&own);
    let mut nobody = meta.clone();
    nobody.members.voters.clear();
    let newer = super::super::wire::SnapshotMeta { term: term + 1, ..meta.clone() };
    let nowhere = super::super::wire::SnapshotMeta { index: u64::MAX, ..meta.clone() };
    let endless = super::super::wire::SnapshotMeta { pieces: u32::MAX, ..meta.clone() };
    for body in [
        piece(&without_me, 0, b""),
        piece(&nobody, 0, b""),
        piece(&newer, 0, b""),
        piece(&nowhere, 0, b""),
        piece(&endless, 0, b""),
        piece(&meta, 2, b""),
        piece(&meta, 0, b"damaged"),
        piece(&meta, 0, &[0; 70_000]),
    ] {
        let message = message(&world, leader, follower, term, body);
        refused(&mut world, leader, follower, message, "snapshot");
    }
}

#[test]
fn a_node_that_is_no_member_is_made_one_by_a_leader_only() {
    let (mut world, leader, follower) = settled();
    let term = world.status(leader).unwrap().term;
    let vote = Candidacy { index: 9, log_term: 1, commit: 0, commit_term: 0, transfer: false };
    for body in [Body::RequestVote(vote), Body::TimeoutNow, Body::Appended { index: 1, commit: 1 }] {
        let message = message(&world, leader, 3, term, body);
        refused(&mut world, leader, 3, message, "not_member");
    }
    // A voter cannot be made another one, whoever says so: it would forget what it promised.
    let heartbeat = Body::Heartbeat { commit: 0, round: 0 };
    let message = Message { to: VoterId(9), ..message(&world, leader, follower, term, heartbeat) };
    refused(&mut world, leader, follower, message, "other_receiver");
}

#[test]
fn a_member_that_cannot_apply_an_entry_stops() {
    let mut world = World::founded(2, 3, 3);
    let leader = world.elects();
    let ticket = world.proposes(leader, HALT);
    world.runs_for(1_000);
    assert_eq!(world.replies[&ticket], Err(super::super::Refusal::Halted));
    assert!(world.observed.iter().any(|(_, seen)| matches!(seen, GroupObservation::Halted { index: 3 })));
    let ticket = world.asks(leader, Request::Confirm);
    assert_eq!(world.replies[&ticket], Err(super::super::Refusal::Halted));
    assert_eq!(world.state(leader).values, Vec::<Vec<u8>>::new());
}

/// A number near the edges of what there is.
fn odd_number(chance: &mut Seeded, known: u64) -> u64 {
    let numbers = [
        0,
        1,
        known.saturating_sub(1),
        known,
        known.saturating_add(1),
        known.saturating_add(1_000),
        1 << 40,
        (1 << 62) - 1,
        u64::MAX,
    ];
    numbers[chance.below(numbers.len() as u64) as usize]
}

/// The message with something in it that may not belong there.
fn twisted(chance: &mut Seeded, mut message: Message) -> Message {
    let known = 12;
    match chance.below(8) {
        0 => message.term = odd_number(chance, message.term),
        1 => message.from = VoterId(odd_number(chance, message.from.0)),
        2 => message.to = VoterId(odd_number(chance, message.to.0)),
        _ => match &mut message.body {
            Body::Append { index, log_term, commit, entries } => match chance.below(6) {
                0 => *index = odd_number(chance, *index),
                1 => *log_term = odd_number(chance, *log_term),
                2 => *commit = odd_number(chance, *commit),
                3 => entries.truncate(1),
                4 => entries.extend(entries.clone()),
                _ => entries.iter_mut().for_each(|entry| entry.term = odd_number(chance, entry.term)),
            },
            Body::Appended { index, commit } | Body::Heartbeat { commit: index, round: commit } => {
                *index = odd_number(chance, *index);
                *commit = odd_number(chance, *commit);
            }
            Body::Rejected { index, hint, hint_term, commit } => {
                let which = [index, hint, hint_term, commit];
                for number in which {
                    *number = odd_number(chance, *number);
                }
            }
            Body::RequestVote(it) | Body::RequestPreVote(it) => {
                let which = [&mut it.index, &mut it.log_term, &mut it.commit, &mut it.commit_term];
                for number in which {
                    *number = odd_number(chance, *number);
                }
                it.transfer = chance.below(2) == 0;
            }
            Body::Vote(it) | Body::PreVote(it) => {
                it.granted = chance.below(2) == 0;
                it.commit = odd_number(chance, it.commit);
                it.commit_term = odd_number(chance, it.commit_term);
            }
            Body::Heard { commit, round } => {
                *commit = odd_number(chance, *commit);
                *round = odd_number(chance, *round);
            }
            Body::TimeoutNow => message.body = Body::Heartbeat { commit: odd_number(chance, known), round: 0 },
            Body::Piece { meta, number, .. } => {
                meta.index = odd_number(chance, meta.index);
                *number = odd_number(chance, u64::from(*number)) as u32;
            }
            Body::Wants { index, number } => {
                *index = odd_number(chance, *index);
                *number = odd_number(chance, u64::from(*number)) as u32;
            }
        },
    }
    message
}

#[test]
fn nothing_that_a_peer_says_makes_a_member_panic() {
    for seed in 0..40 {
        let mut chance = Seeded::new(seed, 99);
        let mut world = World::new(seed, 4);
        // What lies may do to the log is not held against it, only what they do to the process.
        world.watch.is_off = true;
        world.settings.bounds.compact_after = 15;
        world.settings.bounds.keep_behind = 3;
        (0..4).for_each(|host| world.starts(host));
        world.found(3);
        world.weather.loss_percent = 5;
        for round in 0..400u32 {
            world.runs_for(chance.below(40));
            if let Some(leader) = world.leader() {
                world.proposes(leader, &round.to_le_bytes());
                if chance.below(40) == 0 {
                    let (add, remove) = ([world.voter(3)].to_vec(), [world.hosts[1].node].to_vec());
                    world.asks(leader, Request::Change { add, remove });
                }
            }
            if chance.below(30) == 0 {
                let host = chance.below(4) as usize;
                world.crashes(host);
                world.starts(host);
            }
            for _ in 0..chance.below(6) {
                let at = chance.below(world.last_messages.len() as u64 + 1) as usize;
                let Some((from, message)) = world.last_messages.get(at).cloned() else { continue };
                let to = world.hosts.iter().position(|it| it.store == message.store);
                let Some(to) = to else { continue };
                let from = world.life(from);
                let message = twisted(&mut chance, message);
                world.does(to, Event::Message { from, message });
            }
        }
    }
}
