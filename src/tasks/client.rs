//! Asks a running node about tasks: which shard has one, and what it says.

use super::arguments::Place;
use crate::error::Error;
use crate::mesh::ask_any;
use relaymesh_core::bytes::Blob;
use relaymesh_core::codec::decode_value;
use relaymesh_core::identity::NodeId;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::replication::LogSequence;
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Fate, Reply as Told, Request as Question, Row};
use relaymesh_core::shards::state::{task_command, task_query};
use relaymesh_core::task::answer::{Answer, Query};
use relaymesh_core::task::command::Command;
use relaymesh_core::task::id::{StepKey, TaskNumber};
use relaymesh_core::task::payload::{PAYLOAD_BYTES_MAX, Payload};
use relaymesh_core::task::transfer::{Download, Upload};
use relaymesh_core::task::view::{StepStatus, StepView, TaskView};
use relaymesh_core::task::wire::{PROGRESS_MAX, Progress};
use std::collections::{BTreeMap, BTreeSet};

/// The shards of a namespace, as a running node knows them.
pub(crate) struct Shards<'a> {
    place: &'a Place,
    count: u32,
    /// Who owns each, as far as is known.
    owners: BTreeMap<u32, NodeId>,
}

/// What became of a submission.
pub(crate) enum Submitted {
    /// It is there.
    Taken(Answer),
    /// It was there before; what it came to first is not known any more.
    Before,
    /// It waits on so many disks.
    Parked(u8),
}

impl<'a> Shards<'a> {
    /// Those of the namespace.
    pub(crate) async fn of(place: &'a Place) -> Result<Self, Error> {
        let (mut after, mut count, mut others, mut owners) = (None, 0, Vec::new(), BTreeMap::new());
        loop {
            let Told::Shards(table) = ask(place, Question::List { after }).await? else {
                return Err(Error::OtherAnswer);
            };
            let Some(last) = table.rows.last() else { break };
            after = Some(last.shard);
            for row in &table.rows {
                match row.shard.namespace == place.namespace {
                    true => {
                        count += 1;
                        owners.extend(row.record.owner.map(|owner| (row.shard.number, owner.node)));
                    }
                    false if row.shard.number == 0 => others.push(row.shard.namespace.to_string()),
                    false => {}
                }
            }
        }
        match count {
            0 => Err(Error::NoNamespace { name: place.namespace.to_string(), others }),
            count => Ok(Self { place, count, owners }),
        }
    }

    /// Where they are asked.
    pub(super) fn place(&self) -> &Place {
        self.place
    }

    /// What the node that is asked knows of a shard.
    pub(super) async fn row(&self, shard: ShardId) -> Result<Row, Error> {
        let mut after = None;
        loop {
            let Told::Shards(table) = ask(self.place, Question::List { after }).await? else {
                return Err(Error::OtherAnswer);
            };
            after = Some(table.rows.last().ok_or(Error::OtherAnswer)?.shard);
            if let Some(row) = table.rows.into_iter().find(|row| row.shard == shard) {
                return Ok(row);
            }
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = ShardId> + use<'_> {
        (0..self.count).map(|number| ShardId { namespace: self.place.namespace, number })
    }

    /// The one that a task is in.
    pub(crate) fn of_task(&self, task: &SubmissionId) -> ShardId {
        ShardId::of_submission(self.place.namespace, self.count, task)
    }

    /// The node that owns a shard, as the node that was asked knew it.
    pub(crate) fn owner(&self, shard: ShardId) -> Option<NodeId> {
        self.owners.get(&shard.number).copied()
    }

    /// All that own any.
    pub(crate) fn owners(&self) -> BTreeSet<NodeId> {
        self.owners.values().copied().collect()
    }

    /// Has a command taken that may be asked once.
    pub(crate) async fn execute(&self, shard: ShardId, command: &Command) -> Result<Answer, Error> {
        match ask(self.place, Question::Submit { shard, command: encoded(command)? }).await? {
            Told::Done(bytes) => answer(&bytes),
            _ => Err(Error::OtherAnswer),
        }
    }

    /// Submits something under a key.
    pub(crate) async fn submit(&self, shard: ShardId, key: &[u8], command: &Command) -> Result<Submitted, Error> {
        let question = Question::SubmitOnce { shard, key: Blob(key.into()), command: encoded(command)? };
        match ask(self.place, question).await? {
            Told::Done(bytes) | Told::Outcome(Fate::Taken(Some(bytes))) => answer(&bytes).map(Submitted::Taken),
            Told::Taken | Told::Outcome(Fate::Taken(None)) => Ok(Submitted::Before),
            Told::Parked { copies, .. } => Ok(Submitted::Parked(copies)),
            _ => Err(Error::OtherAnswer),
        }
    }

    /// Asks a shard something.
    pub(crate) async fn read(&self, shard: ShardId, query: &Query) -> Result<Answer, Error> {
        match ask(self.place, Question::Read { shard, query: task_query(query) }).await? {
            Told::Done(bytes) => answer(&bytes),
            _ => Err(Error::OtherAnswer),
        }
    }

    /// Asks for page after page, until `take` wants no more: it says where the next page begins.
    pub(super) async fn pages<K>(
        &self,
        shard: ShardId,
        query: impl Fn(Option<K>) -> Query,
        mut take: impl FnMut(Answer) -> Result<Option<K>, Error>,
    ) -> Result<(), Error> {
        let mut next = None;
        loop {
            next = take(self.read(shard, &query(next)).await?)?;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// How far the running steps of a task are, by their rows, as far as the node that is asked knows.
    pub(super) async fn progress(&self, shard: ShardId, view: &TaskView) -> Result<BTreeMap<u32, Progress>, Error> {
        let task = TaskNumber(LogSequence(view.number));
        let fence = |step: &StepView| match step.state {
            StepStatus::Running { fence, .. } => Some((StepKey { task, row: step.row }, fence)),
            _ => None,
        };
        let mut known = BTreeMap::new();
        let running: Vec<_> = view.steps.iter().filter_map(fence).collect();
        for attempts in running.chunks(PROGRESS_MAX) {
            let request = Request::Progress { shard, attempts: attempts.to_vec() };
            // People want the rest also where that is not known.
            let Reply::Progress(told) = ask_any(&self.place.folder.dir, request).await? else { break };
            let told = attempts.iter().zip(told);
            known.extend(told.filter_map(|((step, _), progress)| Some((step.row, progress?))));
        }
        Ok(known)
    }

    /// An input as a command has it: what is too large for one is put into the shard first.
    pub(crate) async fn payload(&self, shard: ShardId, bytes: &[u8]) -> Result<Payload, Error> {
        if bytes.len() as u64 > PAYLOAD_BYTES_MAX {
            return Err(Error::InputTooLarge { limit: PAYLOAD_BYTES_MAX });
        }
        let Some(mut upload) = Upload::of(bytes) else { return Ok(Payload::inline(bytes)) };
        loop {
            match ask(self.place, upload.request(shard)).await? {
                Told::Held => return Ok(upload.payload()),
                Told::Wants { object } => upload.wants(object),
                _ => return Err(Error::OtherAnswer),
            }
        }
    }

    /// What a payload holds.
    pub(crate) async fn content(&self, shard: ShardId, payload: &Payload) -> Result<Vec<u8>, Error> {
        let mut download = match payload {
            Payload::Inline(bytes) => return Ok(bytes.to_vec()),
            Payload::Blob { address, .. } => Download::of(*address),
        };
        loop {
            let Told::Done(object) = ask(self.place, download.request(shard)).await? else {
                return Err(Error::OtherAnswer);
            };
            if let Some(content) = download.take(&object.0).map_err(|_| Error::OtherAnswer)? {
                return Ok(content);
            }
        }
    }
}

/// Has a namespace made.
pub(crate) async fn declare(place: &Place, shards: u32, copies: u8, minimum: u8) -> Result<(), Error> {
    match ask(place, Question::Declare { namespace: place.namespace, shards, copies, minimum }).await? {
        Told::Declared => Ok(()),
        _ => Err(Error::OtherAnswer),
    }
}

async fn ask(place: &Place, question: Question) -> Result<Told, Error> {
    match ask_any(&place.folder.dir, Request::Shards(question)).await? {
        Reply::Shards(Told::Refused(why)) => Err(Error::ShardRefused(why)),
        Reply::Shards(Told::Unknown) => Err(Error::OutcomeUnknown),
        Reply::Shards(told) => Ok(told),
        _ => Err(Error::OtherAnswer),
    }
}

fn encoded(command: &Command) -> Result<Blob, Error> {
    task_command(command).map_err(|_| Error::TaskTooLarge)
}

fn answer(bytes: &Blob) -> Result<Answer, Error> {
    match decode_value(&bytes.0).map_err(|_| Error::OtherAnswer)? {
        Answer::Refused(why) => Err(Error::TaskRefused(why)),
        answer => Ok(answer),
    }
}
