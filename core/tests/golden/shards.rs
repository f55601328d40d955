//! One of each thing that shards say, store, are asked and answer.

use super::{ALICE, BOB};
use relaymesh_core::blob::{BlobAddress, BlobError, BlobObject};
use relaymesh_core::control::group::wire::Blob;
use relaymesh_core::control::state::{self, Name};
use relaymesh_core::epoch::{ClusterEpoch, Epoch};
use relaymesh_core::identity::{BootIncarnation, Incarnation, StoreIncarnation};
use relaymesh_core::mesh;
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::replication::{self, LogSequence, Position, Standing};
use relaymesh_core::shards::host::{
    Answer, Fate, Keeping, Message, OwnReplica, Record, Refusal, Reply, Request, Row, Submission, Table,
};
use relaymesh_core::shards::{Change, Kept, ReplicaId, ShardId, ShardRecord};
use std::collections::BTreeSet;

const EPOCH: Epoch = Epoch { cluster: ClusterEpoch(2), lease: 70_000 };
const AT: Position = Position { epoch: EPOCH, sequence: LogSequence(300) };
const OWNER: Incarnation = Incarnation { node: ALICE, store: StoreIncarnation(0xD15C), boot: BootIncarnation(6) };

fn shard() -> ShardId {
    ShardId { namespace: Name::new("tasks").unwrap(), number: 4_095 }
}

fn record() -> ShardRecord {
    let other = ReplicaId { node: BOB, store: StoreIncarnation(0xD15D) };
    let set = BTreeSet::from([OWNER.into(), other]);
    let mut record = ShardRecord::new(ClusterEpoch(2), 9, set, 2).unwrap().shaped(4_096, 3);
    record.grant(70_000, OWNER).unwrap();
    record
}

fn block() -> std::sync::Arc<replication::Block> {
    replication::Block::of(AT, &[b"one", b"", b"three"]).unwrap().into()
}

pub(crate) fn messages() -> Vec<mesh::Message> {
    use replication::Message as Said;
    let (epoch, at, upto) = (EPOCH, AT, LogSequence(299));
    let said = [
        Said::Promise { epoch },
        Said::Promised { epoch, end: at, mark: upto },
        Said::Fenced { epoch, promised: Epoch { cluster: ClusterEpoch(3), lease: 1 } },
        Said::Append { epoch, before: Position { sequence: upto, ..at }, mark: upto, block: Some(block()) },
        Said::Append { epoch, before: at, mark: upto, block: None },
        Said::Held { epoch, upto },
        Said::Differs { epoch, at_most: at },
        Said::Fetch { epoch, after: upto },
        Said::Fetched { epoch, before: at, block: None },
        Said::Snapshot { epoch, at, number: 3, is_last: true, bytes: (*b"a piece").into() },
        Said::SnapshotHeld { epoch, at, pieces: 4 },
    ];
    let replicas = said.map(|message| Message::Replica { shard: shard(), store: StoreIncarnation(0xD15D), message });
    let kept = Kept {
        replica: OWNER.into(),
        process: OWNER,
        promised: EPOCH,
        record: Some(record()),
        intended: Some((EPOCH, 9, Change::Remove(OWNER.into()))),
        end: AT,
    };
    let answers = [
        Answer::Done(Blob((*b"done").into())),
        Answer::HandingOver,
        Answer::Rebuilding,
        Answer::Unknown,
        Answer::Elsewhere { version: 70_000 },
        Answer::Refused(Refusal::Busy),
    ];
    let answers = answers.map(|answer| Message::Answer { number: 70_000, answer });
    let asked = asked().into_iter().map(|request| Message::Ask { number: 70_000, request: request.into() });
    let kept = [Message::Kept { shard: shard(), kept: kept.into() }];
    let once = once_messages();
    replicas.into_iter().chain(asked).chain(kept).chain(answers).chain(once).map(mesh::Message::Shards).collect()
}

fn id() -> SubmissionId {
    SubmissionId::of(&shard().namespace, b"a key")
}

fn submission() -> Submission {
    Submission { shard: shard(), id: id(), command: Blob((*b"command").into()) }
}

/// Of submissions that take effect once.
fn once_messages() -> Vec<Message> {
    let answer = || Some(Blob((*b"done").into()));
    let sinces = || [None, Some(70_000)];
    let asked = sinces().map(|since| Message::Once { number: 9, since, submission: submission().into() });
    let keep = sinces().map(|since| Message::Keep { number: 9, since, submission: submission().into() });
    let keepings = [Keeping::Kept, Keeping::Taken(answer()), Keeping::Since(70_000), Keeping::Refused];
    let keepings = keepings.map(|keeping| Message::Keeping { number: 9, keeping });
    let answers = [
        Answer::Taken(answer()),
        Answer::Taken(None),
        Answer::NotTaken,
        Answer::Expired { taken: 70_000 },
        Answer::Refused(Refusal::BadKey { limit: 128 }),
        Answer::Refused(Refusal::Expired),
        Answer::Refused(Refusal::NoRoom),
    ];
    let answers = answers.map(|answer| Message::Answer { number: 70_000, answer });
    let outcome = Request::Outcome { shard: shard(), key: Blob((*b"a key").into()) };
    let outcome = [Message::Ask { number: 70_000, request: outcome.into() }];
    asked.into_iter().chain(keep).chain(keepings).chain(answers).chain(outcome).collect()
}

const BLOB: BlobAddress = BlobAddress([0xB1; 24]);
const OBJECT: BlobObject = BlobObject { address: BLOB, number: 3 };

/// What is said of blobs.
pub(crate) fn messages_of_blobs() -> Vec<mesh::Message> {
    use replication::{Given, Message as Said};
    let epoch = EPOCH;
    let given = [Given::Object((*b"bytes").into()), Given::Lacking, Given::Without { upto: LogSequence(299) }];
    let said = [
        Said::Offer { epoch, address: BLOB },
        Said::Stored { epoch, address: BLOB },
        Said::Want { epoch, object: OBJECT, is_repair: true },
        Said::Append { epoch, before: AT, mark: AT.sequence, block: Some(block_of_blobs()) },
    ];
    let given = given.map(|what| Said::Given { epoch, object: OBJECT, what });
    let said = said.into_iter().chain(given);
    let said = said.map(|message| Message::Replica { shard: shard(), store: StoreIncarnation(0xD15D), message });
    let answers = [
        Answer::Wants { object: 70_000 },
        Answer::Held,
        Answer::Refused(Refusal::NoBlob),
        Answer::Refused(Refusal::BlobLost),
        Answer::Refused(Refusal::BadObject(BlobError::Differs)),
        Answer::Refused(Refusal::BadObject(BlobError::Malformed)),
        Answer::Refused(Refusal::BadObject(BlobError::NoPiece)),
    ];
    let answers = answers.map(|answer| Message::Answer { number: 70_000, answer });
    let asked = asked_of_blobs().into_iter().map(|request| Message::Ask { number: 70_000, request: request.into() });
    said.chain(asked).chain(answers).map(mesh::Message::Shards).collect()
}

/// A command, an entry that brings a blob, and one that drops it.
fn block_of_blobs() -> std::sync::Arc<replication::Block> {
    replication::Block::with_blob(AT, b"one", BLOB, 70_000).unwrap().into()
}

/// What is stored of blobs.
pub(crate) fn records_of_blobs() -> Vec<mesh::Record> {
    let record = replication::Record::Entries(block_of_blobs());
    vec![mesh::Record::Shards(Record::Replica { shard: shard(), record })]
}

fn asked_of_blobs() -> Vec<Request> {
    vec![
        Request::Put { shard: shard(), object: OBJECT, bytes: Blob((*b"bytes").into()) },
        Request::Get { shard: shard(), object: OBJECT },
    ]
}

pub(crate) fn requests_of_blobs() -> Vec<mesh::Request> {
    asked_of_blobs().into_iter().map(mesh::Request::Shards).collect()
}

pub(crate) fn replies_of_blobs() -> Vec<mesh::Reply> {
    let refusals = [Refusal::NoBlob, Refusal::BlobLost, Refusal::BadObject(BlobError::Malformed)];
    let others = [Reply::Wants { object: 70_000 }, Reply::Held];
    others.into_iter().chain(refusals.map(Reply::Refused)).map(mesh::Reply::Shards).collect()
}

pub(crate) fn records() -> Vec<mesh::Record> {
    use replication::Record as Stored;
    let (add, remove) = (OWNER.into(), ReplicaId { node: BOB, store: StoreIncarnation(1) });
    let changes = [Change::Add(add), Change::Remove(remove), Change::Replace { add, remove }];
    let intended = changes.map(|change| Stored::Intended { epoch: EPOCH, version: 9, change });
    let others = [
        Stored::Promised(EPOCH),
        Stored::Entries(block()),
        Stored::Known(record().into()),
        Stored::Snapshot { origin: None, at: AT, number: 0, is_last: false, bytes: (*b"a piece").into() },
        Stored::Snapshot { origin: Some(EPOCH), at: AT, number: 1, is_last: true, bytes: (*b"").into() },
        Stored::Kept(block()),
    ];
    let stored = others.into_iter().chain(intended);
    let stored = stored.map(|record| Record::Replica { shard: shard(), record });
    let parked = [
        Record::Parked { submission: submission().into(), since: 70_000 },
        Record::Forgotten { shard: shard(), id: id() },
    ];
    stored.chain(parked).map(mesh::Record::Shards).collect()
}

fn asked() -> Vec<Request> {
    vec![
        Request::Submit { shard: shard(), command: Blob((*b"command").into()) },
        Request::Read { shard: shard(), query: Blob((*b"query").into()) },
        Request::HandOver { shard: shard(), to: Some(BOB) },
        Request::Rebuild { shard: shard() },
    ]
}

pub(crate) fn requests() -> Vec<mesh::Request> {
    let namespace = shard().namespace;
    let own = [
        Request::Declare { namespace, shards: 4_096, copies: 3, minimum: 2 },
        Request::List { after: None },
        Request::List { after: Some(shard()) },
    ];
    let key = || Blob((*b"a key").into());
    let once = [
        Request::SubmitOnce { shard: shard(), key: key(), command: Blob((*b"command").into()) },
        Request::Outcome { shard: shard(), key: key() },
    ];
    own.into_iter().chain(asked()).chain(once).map(mesh::Request::Shards).collect()
}

pub(crate) fn replies() -> Vec<mesh::Reply> {
    let own = |standing| OwnReplica { standing, last: AT, acknowledged: 299, placed: vec![OWNER.into()] };
    let standings = [Standing::Follower, Standing::TakingOver(EPOCH), Standing::Serving(EPOCH)];
    let rows = standings.map(|standing| Row { shard: shard(), record: record(), own: Some(own(standing)) });
    let table = Table { version: 70_000, checksum: u64::MAX, shards: 4_096, rows: rows.into() };
    let refusals = [
        Refusal::NotStarted,
        Refusal::NoGroup,
        Refusal::NoShard,
        Refusal::NoOwner { owner: Some(OWNER) },
        Refusal::Busy,
        Refusal::TooLarge { limit: 65_536 },
        Refusal::BadShape { shards_max: 4_096, copies_max: 7 },
        Refusal::Control(state::Refusal::NoSession),
    ];
    let others = [
        Reply::Declared,
        Reply::Shards(table),
        Reply::Done(Blob((*b"answer").into())),
        Reply::HandingOver,
        Reply::Rebuilding,
        Reply::Unknown,
    ];
    let answer = || Some(Blob((*b"answer").into()));
    let once = [
        Reply::Taken,
        Reply::Parked { id: id(), copies: 2 },
        Reply::Outcome(Fate::Taken(answer())),
        Reply::Outcome(Fate::Parked { copies: 2 }),
        Reply::Outcome(Fate::NotTaken),
        Reply::Refused(Refusal::BadKey { limit: 128 }),
        Reply::Refused(Refusal::Expired),
        Reply::Refused(Refusal::NoRoom),
    ];
    others.into_iter().chain(refusals.map(Reply::Refused)).chain(once).map(mesh::Reply::Shards).collect()
}
