//! One of each thing that the control group and the fence say, store, are asked and answer.

use super::{ALICE, BOB};
use relaymesh_core::codec::{BodyVersion, decode_value, encode_value};
use relaymesh_core::control::commands;
use relaymesh_core::control::group::wire::{
    Ballot, Blob, Body, Candidacy, Change, Entry, Payload, SnapshotMeta, Standing,
};
use relaymesh_core::control::group::{self, GroupId, Members, Record, Voter, VoterId};
use relaymesh_core::control::node::wire::{Follow, Followed};
use relaymesh_core::control::node::{
    Founding, Message, Recovery, Refusal, Reply, Request, ScopeStatus, Source, Status, Surveyed,
};
use relaymesh_core::control::state::{
    self, Answer, Chain, Delta, Lease, Lineage, LoggedEntry, Name, Outcome, RecoveryId, Registration, Scope, SessionId,
    Table, Text,
};
use relaymesh_core::epoch::{ClusterEpoch, Epoch, FenceToken};
use relaymesh_core::identity::{BootIncarnation, StoreIncarnation};
use relaymesh_core::lease::acceptor::{Accepted, Conflict};
use relaymesh_core::lease::{self, Renew};
use relaymesh_core::mesh::{self, fence};
use relaymesh_core::time::{Duration, WallTime};
use std::collections::{BTreeMap, BTreeSet};

const GROUP: GroupId = GroupId(0x0123_4567_89AB_CDEF_0123_4567_89AB_CDEF);
const LINEAGE: Lineage = Lineage { epoch: ClusterEpoch(2), recovery: RecoveryId(7) };
const TOKEN: FenceToken = FenceToken::new(ClusterEpoch(2), 70_000);
const EPOCH: Epoch = TOKEN.epoch();

pub(crate) fn messages() -> Vec<mesh::Message> {
    let bodies = [
        Body::Append { index: 9, log_term: 2, commit: 8, entries: entries() },
        Body::Appended { index: 12, commit: 8 },
        Body::Rejected { index: 9, hint: 5, hint_term: 1, commit: 5 },
        Body::RequestVote(candidacy()),
        Body::Vote(Ballot { granted: true, commit: 8, commit_term: 2 }),
        Body::RequestPreVote(Candidacy { transfer: true, ..candidacy() }),
        Body::PreVote(Ballot { granted: false, commit: 8, commit_term: 2 }),
        Body::Heartbeat { commit: 8, round: 300 },
        Body::Heard { commit: 8, round: 300 },
        Body::TimeoutNow,
        Body::Piece { meta: meta(), number: 1, bytes: blob() },
        Body::Wants { index: 9, number: 2 },
    ];
    let header = |body| group::Message {
        group: GROUP,
        from: VoterId(1),
        to: VoterId(2),
        store: StoreIncarnation(0xD15C),
        term: 3,
        body,
    };
    let renew = Renew { session: SessionId(TOKEN), number: 300, epoch: ClusterEpoch(2) };
    let leases = [
        lease::Message::Renew(renew),
        lease::Message::Renewed { session: SessionId(TOKEN), number: 300 },
        lease::Message::NotLeader { hint: Some(BOB) },
        lease::Message::NotLeader { hint: None },
    ];
    let commands = [
        commands::Message::Propose { number: u64::MAX, entry: [1, 2, 3].into() },
        commands::Message::NotLeader { number: 5, hint: Some(ALICE) },
    ];
    let done = outcomes().into_iter().map(|outcome| commands::Message::Done { number: 5, outcome });
    let delta = Delta {
        lineage: LINEAGE,
        applied: 300,
        entries: vec![LoggedEntry { term: 3, bytes: [].into() }, LoggedEntry { term: 3, bytes: [1, 2, 255].into() }],
        chain: Chain([7; 16]),
    };
    let followed = [
        Followed::Elsewhere { leader: Some(ALICE), voters: [ALICE, BOB].into() },
        Followed::Delta(delta),
        Followed::Piece { index: 300, number: 1, bytes: blob() },
    ];
    let passed_on = [
        Message::Follow(Follow { number: 6, applied: Some(300), piece: (0, 0) }),
        Message::Follow(Follow { number: 7, applied: None, piece: (300, 2) }),
        Message::Leads { voters: [ALICE].into(), lineage: LINEAGE },
        Message::Survey { number: 6 },
        Message::Surveyed { number: 6, survey: Surveyed { stored: ClusterEpoch(2), last: (3, 300), leader: None } },
        Message::Later { lineage: LINEAGE },
        Message::Ask { number: 6, request: Box::new(Request::AwaitEpoch(ClusterEpoch(2))) },
        Message::Answer { number: 6, reply: Box::new(Reply::EpochKnown(ClusterEpoch(2))) },
    ];
    let all = bodies.map(header).map(Message::Group).into_iter();
    let all = all.chain(leases.map(Message::Lease)).chain(commands.into_iter().chain(done).map(Message::Commands));
    let followed = followed.map(|what| Message::Followed { number: 6, what });
    all.chain(passed_on).chain(followed).map(mesh::Message::Control).collect()
}

/// What the group stores since journals are trimmed.
pub(crate) fn standings() -> Vec<mesh::Record> {
    let standing = Standing {
        group: GROUP,
        id: VoterId(2),
        term: 70_000,
        vote: Some(VoterId(3)),
        commit: 300,
        dropped: (290, 69_999),
    };
    let records = [
        Record::Standing { seats: vec![(GroupId(1), VoterId(4)), (GROUP, VoterId(2))], member: Some(standing) },
        Record::Standing { seats: vec![], member: Some(Standing { vote: None, dropped: (0, 0), ..standing }) },
        Record::Standing { seats: vec![(GROUP, VoterId(2))], member: None },
    ];
    records.into_iter().map(mesh::Record::Control).collect()
}

pub(crate) fn records() -> Vec<mesh::Record> {
    let control = [
        Record::Joined { group: GROUP, id: VoterId(2) },
        Record::Hard { term: 3, vote: Some(VoterId(1)), commit: 8 },
        Record::Hard { term: 4, vote: None, commit: 300 },
        Record::Entries { first: 9, commit: 8, entries: entries() },
        Record::Piece { index: 9, number: 1, bytes: blob(), is_installed: true },
        Record::Base { meta: meta(), dropped: 7, is_installed: false },
        Record::Founded { group: GROUP, id: VoterId(1), meta: meta() },
    ];
    let accepted = [Accepted::Scope { scope: named(), epoch: EPOCH }, Accepted::Cluster { epoch: ClusterEpoch(2) }];
    control.into_iter().map(mesh::Record::Control).chain(accepted.map(mesh::Record::Fence)).collect()
}

pub(crate) fn requests() -> Vec<mesh::Request> {
    let text = |text: &str| Text::new(text.as_bytes()).expect("short");
    let register = Name::new("r").expect("a name");
    let control = [
        Request::Found(Founding {
            nonce: u128::MAX,
            recovery: RecoveryId(7),
            voters: [voter()].into(),
            span_max: Duration::from_secs(30),
        }),
        Request::Status,
        Request::Hold(Scope::Global),
        Request::Drop(named()),
        Request::Transfer { scope: named(), to: BOB },
        Request::Close,
        Request::BumpEpoch { expected: ClusterEpoch(2), reason: text("why"), actor: text("") },
        Request::AwaitEpoch(ClusterEpoch(3)),
        Request::Read(register),
        Request::Write { register, value: 300 },
        Request::CompareAndSet { register, expected: None, value: 301 },
        Request::CompareAndSet { register, expected: Some(301), value: 0 },
        Request::ChangeVoters { add: vec![voter()], remove: vec![BOB] },
        Request::Lead(BOB),
        Request::Activate { version: 2 },
        Request::Backup { number: 1 },
        Request::Restore { number: 1, bytes: blob() },
        Request::Recover(Recovery {
            source: Source::Backup,
            above: ClusterEpoch(4),
            reason: text("why"),
            actor: text("who"),
        }),
    ];
    let fence = [
        fence::Request::Act(Scope::Global),
        fence::Request::Accept { scope: named(), epoch: EPOCH, who: ALICE },
        fence::Request::Conflicts,
    ];
    control.into_iter().map(mesh::Request::Control).chain(fence.map(mesh::Request::Fence)).collect()
}

pub(crate) fn requests_to_retire() -> Vec<mesh::Request> {
    vec![mesh::Request::Control(Request::Retire(named()))]
}

pub(crate) fn replies_to_retire() -> Vec<mesh::Reply> {
    let executed = [state::Refusal::UnknownScope, state::Refusal::NotRetirable];
    let executed = executed.map(|refusal| Reply::Executed(Outcome::Refused(refusal)));
    let refused = [Refusal::TooOld { node: BOB, needs: 2 }, Refusal::Unheard { node: BOB }].map(Reply::Refused);
    executed.into_iter().chain(refused).map(mesh::Reply::Control).collect()
}

pub(crate) fn replies() -> Vec<mesh::Reply> {
    let status = Status {
        lineage: LINEAGE,
        is_quarantined: true,
        voters: vec![voter()],
        leader: Some(ALICE),
        term: Some(3),
        staleness: None,
        applied: 70_000,
        sessions: 2,
        scopes_total: 300,
        scopes: vec![
            ScopeStatus { scope: Scope::Global, lease: Some(lease()), waiting: 2 },
            ScopeStatus { scope: named(), lease: None, waiting: 0 },
        ],
    };
    let group_refusals = [
        group::Refusal::NotLeader { hint: Some(BOB) },
        group::Refusal::NotMember,
        group::Refusal::Overloaded,
        group::Refusal::BadEntry,
        group::Refusal::Lost { hint: None },
        group::Refusal::Busy,
        group::Refusal::BadVoters,
        group::Refusal::TooSlow,
        group::Refusal::OtherGroup,
        group::Refusal::Halted,
    ];
    let refusals = [
        Refusal::NotStarted,
        Refusal::NotMember,
        Refusal::Closed,
        Refusal::Unknown,
        Refusal::Overloaded,
        Refusal::NotKnownYet(ClusterEpoch(3)),
        Refusal::Led { leader: BOB },
        Refusal::Behind { node: BOB },
        Refusal::NoBackup,
        Refusal::BadBackup,
        Refusal::OtherPiece,
        Refusal::NoNumberLeft,
    ];
    let plain = [
        Reply::Founded(GROUP),
        Reply::Status(Status { term: None, staleness: Some(Duration::from_millis(300)), ..status.clone() }),
        Reply::Status(status),
        Reply::Taken,
        Reply::Executed(Outcome::Done(Answer::Set)),
        Reply::Value(None),
        Reply::Value(Some(300)),
        Reply::EpochKnown(ClusterEpoch(3)),
        Reply::Voters(vec![voter()]),
    ];
    let conflict =
        Conflict { scope: named(), expected: EPOCH, actual: Epoch::default(), who: BOB, when: WallTime::default() };
    let fence = [
        fence::Reply::Acts(TOKEN),
        fence::Reply::NotHeld,
        fence::Reply::Accepted,
        fence::Reply::Stale(Box::new(conflict)),
        fence::Reply::Full { limit: 4_096 },
        fence::Reply::Conflicts { conflicts: vec![conflict], dropped: 3 },
    ];
    let refused = refusals.into_iter().chain(group_refusals.map(Refusal::Group)).map(Reply::Refused);
    let carried = [
        Reply::Piece { index: 300, piece: Some(blob()) },
        Reply::Piece { index: 300, piece: None },
        Reply::Backup { lineage: LINEAGE, applied: 300 },
        Reply::Recovered { lineage: LINEAGE, at: 301, answered: vec![BOB] },
    ];
    let control = plain.into_iter().chain(refused).chain(carried).map(mesh::Reply::Control);
    control.chain(fence.map(mesh::Reply::Fence)).collect()
}

fn outcomes() -> Vec<Outcome> {
    use state::Refusal::*;
    let answers = [
        Answer::Nothing,
        Answer::Registered(Registration(TOKEN)),
        Answer::Opened(SessionId(TOKEN)),
        Answer::Ended,
        Answer::Granted(lease()),
        Answer::Waiting,
        Answer::Withdrawn,
        Answer::Released,
        Answer::Transferred { to: BOB },
        Answer::PassedOn,
        Answer::Epoch(ClusterEpoch(2)),
        Answer::Set,
        Answer::Value(Some(300)),
        Answer::Differs(None),
    ];
    let refusals = [
        Malformed,
        NotActivated { version: BodyVersion(2), activated: BodyVersion(1) },
        UnknownClient,
        OldBoot { boot: BootIncarnation(1), newest: BootIncarnation(2) },
        OutOfWindow { sequence: 300, first: 1, window: 64 },
        NoSession,
        BadSpan { ttl: Duration::from_secs(1), epsilon: Duration::from_millis(600), span_max: Duration::from_secs(30) },
        NotHolder { lease: Some(lease()) },
        Holds,
        InUse,
        Outdated { expected: 1, found: 2 },
        OtherTerm { proposed: 3, logged: 4 },
        Full { what: Table::Registers, limit: 1_024 },
    ];
    answers.map(Outcome::Done).into_iter().chain(refusals.map(Outcome::Refused)).collect()
}

fn entries() -> Vec<Entry> {
    let changes = [
        Change::Learn { id: VoterId(4), voter: voter() },
        Change::Forget { id: VoterId(4) },
        Change::Enter { add: vec![VoterId(4)], remove: vec![VoterId(1), VoterId(2)] },
        Change::Leave,
    ];
    let payloads = [Payload::Empty, Payload::Command(blob())].into_iter().chain(changes.map(Payload::Change));
    payloads.map(|payload| Entry { term: 3, payload }).collect()
}

fn candidacy() -> Candidacy {
    Candidacy { index: 9, log_term: 2, commit: 8, commit_term: 2, transfer: false }
}

fn meta() -> SnapshotMeta {
    SnapshotMeta { index: 9, term: 2, members: members(), pieces: 3 }
}

/// Nobody but a group makes members; what they are is what is written.
fn members() -> Members {
    let seats = BTreeMap::from([(VoterId(1), voter()), (VoterId(2), Voter { node: BOB, ..voter() })]);
    let (voters, outgoing, learners) = (BTreeSet::from([VoterId(1)]), BTreeSet::from([VoterId(2)]), BTreeSet::new());
    let mut bytes = Vec::new();
    let parts: (u64, _, _, _, BTreeSet<VoterId>) = (3, seats, voters, outgoing, learners);
    encode_value(&parts, 1_000, &mut bytes).expect("they fit");
    decode_value(&bytes).expect("the same fields in the same order")
}

fn lease() -> Lease {
    Lease { session: SessionId(TOKEN), holder: ALICE, term: 300, granted: TOKEN, token: TOKEN }
}

fn named() -> Scope {
    Scope::Named(Name::new("nightly").expect("a name"))
}

fn voter() -> Voter {
    Voter { node: ALICE, store: StoreIncarnation(0xD15C) }
}

fn blob() -> Blob {
    Blob([0, 127, 128, 255].into())
}
