//! Between our own types and those of the crate.

use super::members::{Members, VoterId};
use super::wire::{Ballot, Blob, Body, Candidacy, Change, Entry, GroupId, Message, Payload, SnapshotMeta};
use crate::codec::{decode_value, encode_value};
use crate::identity::StoreIncarnation;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use raft::CAMPAIGN_TRANSFER;
use raft::eraftpb::{self, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState, EntryType, MessageType};

/// Bytes of an encoded change: ids of a few members.
const CHANGE_BYTES: usize = 4_096;

pub(super) fn conf_state(members: &Members) -> ConfState {
    let ids = |set: &BTreeSet<VoterId>| set.iter().map(|id| id.0).collect::<Vec<_>>();
    ConfState {
        voters: ids(&members.voters),
        learners: ids(&members.learners),
        voters_outgoing: ids(&members.outgoing),
        ..ConfState::default()
    }
}

pub(super) fn snapshot(meta: &SnapshotMeta) -> eraftpb::Snapshot {
    let mut snapshot = eraftpb::Snapshot::default();
    let metadata = snapshot.mut_metadata();
    metadata.index = meta.index;
    metadata.term = meta.term;
    metadata.set_conf_state(conf_state(&meta.members));
    snapshot
}

/// The change as the crate takes it. Voters change by way of a joint configuration that is left by a second entry.
pub(super) fn conf_change(change: &Change) -> ConfChangeV2 {
    let single = |kind: ConfChangeType, id: &VoterId| {
        let mut single = eraftpb::ConfChangeSingle::default();
        single.set_change_type(kind);
        single.node_id = id.0;
        single
    };
    let mut made = ConfChangeV2::default();
    match change {
        Change::Learn { id, .. } => made.changes.push(single(ConfChangeType::AddLearnerNode, id)),
        Change::Forget { id } => made.changes.push(single(ConfChangeType::RemoveNode, id)),
        Change::Enter { add, remove } => {
            made.set_transition(ConfChangeTransition::Explicit);
            made.changes.extend(add.iter().map(|id| single(ConfChangeType::AddNode, id)));
            made.changes.extend(remove.iter().map(|id| single(ConfChangeType::RemoveNode, id)));
        }
        Change::Leave => {}
    }
    made
}

/// What stands in an entry's context: the crate's own form of a change does not say who an id is.
pub(super) fn change_bytes(change: &Change) -> Vec<u8> {
    let mut bytes = Vec::new();
    match encode_value(change, CHANGE_BYTES, &mut bytes) {
        Ok(()) => bytes,
        Err(error) => panic!("a change of a few members is small: {error}"),
    }
}

/// Whether a change of a peer can be stored.
pub(super) fn change_fits(change: &Change) -> bool {
    encode_value(change, CHANGE_BYTES, &mut Vec::new()).is_ok()
}

/// The change that an entry holds, if it holds one.
pub(super) fn change_of(entry: &eraftpb::Entry) -> Option<Change> {
    let is_change = entry.get_entry_type() == EntryType::EntryConfChangeV2;
    is_change.then(|| match decode_value(&entry.context) {
        Ok(change) => change,
        Err(error) => panic!("a change that this machine encoded cannot be decoded: {error}"),
    })
}

pub(super) fn entry_out(entry: &eraftpb::Entry) -> Entry {
    let payload = match change_of(entry) {
        Some(change) => Payload::Change(change),
        None if entry.data.is_empty() => Payload::Empty,
        None => Payload::Command(Blob(entry.data[..].into())),
    };
    Entry { term: entry.term, payload }
}

pub(super) fn entry_in(index: u64, entry: Entry) -> eraftpb::Entry {
    let mut made = eraftpb::Entry { term: entry.term, index, ..eraftpb::Entry::default() };
    match entry.payload {
        Payload::Empty => {}
        Payload::Command(bytes) => made.data = bytes.0.into_vec().into(),
        Payload::Change(change) => {
            made.set_entry_type(EntryType::EntryConfChangeV2);
            made.context = change_bytes(&change).into();
        }
    }
    made
}

fn round_bytes(round: u64) -> Vec<u8> {
    if round == 0 { Vec::new() } else { round.to_le_bytes().to_vec() }
}

/// The round in a message's context; zero where there is none.
pub(super) fn round_of(context: &[u8]) -> u64 {
    context.try_into().map_or(0, u64::from_le_bytes)
}

/// A message that was checked, for the crate. `None` for those it never sees.
pub(super) fn message_in(message: Message) -> Option<eraftpb::Message> {
    let mut made =
        eraftpb::Message { from: message.from.0, to: message.to.0, term: message.term, ..Default::default() };
    let kind = match message.body {
        Body::Append { index, log_term, commit, entries } => {
            (made.index, made.log_term, made.commit) = (index, log_term, commit);
            let entries = (index + 1..).zip(entries).map(|(index, entry)| entry_in(index, entry));
            made.entries = entries.collect::<Vec<_>>().into();
            MessageType::MsgAppend
        }
        Body::Appended { index, commit } => {
            (made.index, made.commit) = (index, commit);
            MessageType::MsgAppendResponse
        }
        Body::Rejected { index, hint, hint_term, commit } => {
            (made.index, made.reject_hint, made.log_term, made.commit) = (index, hint, hint_term, commit);
            made.reject = true;
            MessageType::MsgAppendResponse
        }
        Body::RequestVote(candidacy) => candidacy_in(&mut made, candidacy, MessageType::MsgRequestVote),
        Body::RequestPreVote(candidacy) => candidacy_in(&mut made, candidacy, MessageType::MsgRequestPreVote),
        Body::Vote(ballot) => ballot_in(&mut made, ballot, MessageType::MsgRequestVoteResponse),
        Body::PreVote(ballot) => ballot_in(&mut made, ballot, MessageType::MsgRequestPreVoteResponse),
        Body::Heartbeat { commit, round } => {
            (made.commit, made.context) = (commit, round_bytes(round).into());
            MessageType::MsgHeartbeat
        }
        Body::Heard { commit, round } => {
            (made.commit, made.context) = (commit, round_bytes(round).into());
            MessageType::MsgHeartbeatResponse
        }
        Body::TimeoutNow => MessageType::MsgTimeoutNow,
        Body::Piece { .. } | Body::Wants { .. } => return None,
    };
    made.set_msg_type(kind);
    Some(made)
}

fn candidacy_in(made: &mut eraftpb::Message, candidacy: Candidacy, kind: MessageType) -> MessageType {
    let Candidacy { index, log_term, commit, commit_term, transfer } = candidacy;
    (made.index, made.log_term, made.commit, made.commit_term) = (index, log_term, commit, commit_term);
    if transfer {
        made.context = CAMPAIGN_TRANSFER.into();
    }
    kind
}

fn ballot_in(made: &mut eraftpb::Message, ballot: Ballot, kind: MessageType) -> MessageType {
    let Ballot { granted, commit, commit_term } = ballot;
    (made.reject, made.commit, made.commit_term) = (!granted, commit, commit_term);
    kind
}

/// A message of the crate, for the wire. `None` for a snapshot, and for those that are never sent.
pub(super) fn message_out(group: GroupId, store: StoreIncarnation, made: &eraftpb::Message) -> Option<Message> {
    let candidacy = || Candidacy {
        index: made.index,
        log_term: made.log_term,
        commit: made.commit,
        commit_term: made.commit_term,
        transfer: made.context[..] == *CAMPAIGN_TRANSFER,
    };
    let ballot = || Ballot { granted: !made.reject, commit: made.commit, commit_term: made.commit_term };
    let body = match made.get_msg_type() {
        MessageType::MsgAppend => Body::Append {
            index: made.index,
            log_term: made.log_term,
            commit: made.commit,
            entries: made.entries.iter().map(entry_out).collect(),
        },
        MessageType::MsgAppendResponse if made.reject => {
            Body::Rejected { index: made.index, hint: made.reject_hint, hint_term: made.log_term, commit: made.commit }
        }
        MessageType::MsgAppendResponse => Body::Appended { index: made.index, commit: made.commit },
        MessageType::MsgRequestVote => Body::RequestVote(candidacy()),
        MessageType::MsgRequestPreVote => Body::RequestPreVote(candidacy()),
        MessageType::MsgRequestVoteResponse => Body::Vote(ballot()),
        MessageType::MsgRequestPreVoteResponse => Body::PreVote(ballot()),
        MessageType::MsgHeartbeat => Body::Heartbeat { commit: made.commit, round: round_of(&made.context) },
        MessageType::MsgHeartbeatResponse => Body::Heard { commit: made.commit, round: round_of(&made.context) },
        MessageType::MsgTimeoutNow => Body::TimeoutNow,
        _ => return None,
    };
    Some(Message { group, from: VoterId(made.from), to: VoterId(made.to), store, term: made.term, body })
}
