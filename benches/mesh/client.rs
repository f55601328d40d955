//! What clients ask of a node, each time over a connection of its own to the control socket, as the command line does.

use super::options::Options;
use super::problem::Problem;
use super::processes::{Mesh, NAMESPACE, PATIENCE, PAUSE};
use relaymesh_core::bytes::Blob;
use relaymesh_core::codec::decode_value;
use relaymesh_core::control::state::Name as Namespace;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Fate, Reply as Told, Request as Question, Row};
use relaymesh_core::shards::state::{task_command, task_query};
use relaymesh_core::task::answer::{Answer, Query, Status};
use relaymesh_core::task::command::{Command, Submit, What};
use relaymesh_core::task::payload::Payload;
use relaymesh_core::task::view::TaskView;
use relaymesh_core::task::workflow::Name;
use relaymesh_io_tokio::control;
use std::path::PathBuf;
use std::time::Instant;
use tokio::time::sleep;

/// Who asks the nodes of a mesh.
#[derive(Clone)]
pub(crate) struct Client {
    folders: Vec<PathBuf>,
    /// The place of the owner of each shard among the nodes.
    owners: Vec<usize>,
    namespace: Namespace,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Submitted {
    /// It is on every disk that it has to be on.
    Acknowledged,
    /// It is kept, and not acknowledged.
    Parked,
    /// It is not known to have been taken, for this reason: to be submitted again, under its key.
    Not(String),
}

/// How much there is in all shards.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) tasks: u64,
    pub(crate) ended: u64,
}

impl Client {
    /// Waits until every shard has an owner that answers, and all copies.
    pub(crate) async fn ready(mesh: &Mesh, options: &Options) -> Result<Self, Problem> {
        let folders = mesh.0.iter().map(|node| node.folder.clone()).collect();
        let namespace = Namespace::new(NAMESPACE).expect("a name");
        let mut client = Self { folders, owners: Vec::new(), namespace };
        let begun = Instant::now();
        loop {
            let last = match client.look(mesh, options).await {
                Ok(()) => return Ok(client),
                Err(problem) => problem.to_string(),
            };
            if begun.elapsed() > PATIENCE {
                let what = "an owner and all copies of each shard";
                return Err(Problem::Never { what, seconds: PATIENCE.as_secs(), last });
            }
            sleep(PAUSE).await;
        }
    }

    async fn look(&mut self, mesh: &Mesh, options: &Options) -> Result<(), Problem> {
        let rows = self.rows(0).await?;
        let owner = |row: &Row| {
            let owner = row.record.owner?.node.to_string();
            let is_whole = row.record.in_sync.len() == usize::from(options.copies);
            mesh.0.iter().position(|node| node.id == owner).filter(|_| is_whole)
        };
        let owners: Option<Vec<usize>> = rows.iter().map(owner).collect();
        self.owners = owners.filter(|owners| owners.len() == options.shards as usize).unwrap_or_default();
        if self.owners.is_empty() {
            return Err(other_answer("who owns each shard", &rows));
        }
        for node in 0..self.folders.len() {
            self.counts_of(node).await?;
        }
        Ok(())
    }

    async fn rows(&self, node: usize) -> Result<Vec<Row>, Problem> {
        match self.ask(node, Question::List { after: None }).await? {
            Told::Shards(table) => Ok(table.rows),
            other => Err(other_answer("which shards are there", &other)),
        }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.folders.len()
    }

    /// Whether the shard of a key is owned by that node.
    pub(crate) fn is_owner(&self, node: usize, key: &str) -> bool {
        self.owners[self.shard(key).number as usize] == node
    }

    /// Submits a task of the built-in agent `echo` to a node.
    pub(crate) async fn submit(&self, node: usize, key: &str) -> Submitted {
        let what = What::agent(Name::new("echo").expect("a name"));
        let submit = Submit { input: Some(Payload::inline(key.as_bytes())), ..Submit::new(self.id(key), what) };
        let command = task_command(&Command::Submit(Box::new(submit))).expect("a short command");
        let question = Question::SubmitOnce { shard: self.shard(key), key: Blob(key.as_bytes().into()), command };
        match self.ask(node, question).await {
            Ok(Told::Done(bytes) | Told::Outcome(Fate::Taken(Some(bytes)))) => match decode_value::<Answer>(&bytes.0) {
                Ok(Answer::Submitted { .. }) => Submitted::Acknowledged,
                other => Submitted::Not(format!("{other:?}")),
            },
            Ok(Told::Taken | Told::Outcome(Fate::Taken(None))) => Submitted::Acknowledged,
            Ok(Told::Parked { .. } | Told::Outcome(Fate::Parked { .. })) => Submitted::Parked,
            Ok(other) => Submitted::Not(format!("{other:?}")),
            Err(problem) => Submitted::Not(self.without_paths(problem.to_string())),
        }
    }

    /// A task as it is now, with its steps from that row on.
    pub(crate) async fn task(&self, node: usize, key: &str, from: u32) -> Result<TaskView, Problem> {
        match self.read(node, self.shard(key), &Query::Task { task: self.id(key), from }).await? {
            Answer::Task(view) => Ok(*view),
            other => Err(other_answer("what became of a task", &other)),
        }
    }

    /// Tasks in all shards.
    pub(crate) async fn counts(&self) -> Result<Counts, Problem> {
        self.counts_of(0).await
    }

    /// Tasks of one shard.
    pub(crate) async fn counts_in(&self, node: usize, shard: ShardId) -> Result<Counts, Problem> {
        match self.read(node, shard, &Query::Counts).await? {
            Answer::Counts(counts) => Ok(Counts { tasks: counts.tasks, ended: counts.ended }),
            other => Err(other_answer("how much there is", &other)),
        }
    }

    async fn counts_of(&self, node: usize) -> Result<Counts, Problem> {
        let mut all = Counts::default();
        for shard in self.shards() {
            let counts = self.counts_in(node, shard).await?;
            all.tasks += counts.tasks;
            all.ended += counts.ended;
        }
        Ok(all)
    }

    /// Entries in the logs of all shards since they began, as their owners have them.
    pub(crate) async fn entries(&self) -> Result<u64, Problem> {
        let mut entries = 0;
        for node in 0..self.nodes() {
            let owned = self.rows(node).await?.into_iter().filter(|row| self.owners[row.shard.number as usize] == node);
            entries += owned.filter_map(|row| Some(row.own?.last.sequence.0)).sum::<u64>();
        }
        Ok(entries)
    }

    /// Tasks that have ended, or will, in any other way than by success.
    pub(crate) async fn failed(&self) -> Result<u64, Problem> {
        let mut failed = 0;
        for shard in self.shards() {
            for status in [Status::Dead, Status::Cancelled, Status::Cancelling] {
                let mut before = None;
                // One answer looks at so many tasks only, of whatever status.
                loop {
                    match self.read(0, shard, &Query::Tasks { status: Some(status), before }).await? {
                        Answer::Tasks { tasks, next } => {
                            failed += tasks.len() as u64;
                            before = next;
                        }
                        other => return Err(other_answer("which tasks there are", &other)),
                    }
                    if before.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(failed)
    }

    /// Words that are the same whichever node they are about.
    fn without_paths(&self, words: String) -> String {
        self.folders.iter().fold(words, |words, folder| words.replace(&*folder.to_string_lossy(), "…"))
    }

    async fn read(&self, node: usize, shard: ShardId, query: &Query) -> Result<Answer, Problem> {
        match self.ask(node, Question::Read { shard, query: task_query(query) }).await? {
            Told::Done(bytes) => decode_value(&bytes.0).map_err(|problem| other_answer("a question", &problem)),
            other => Err(other_answer("a question", &other)),
        }
    }

    async fn ask(&self, node: usize, question: Question) -> Result<Told, Problem> {
        match control::ask(&self.folders[node], &Request::Shards(question)).await? {
            Reply::Shards(told) => Ok(told),
            other => Err(other_answer("a question about shards", &other)),
        }
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        let namespace = self.namespace;
        (0..self.owners.len() as u32).map(move |number| ShardId { namespace, number })
    }

    fn shard(&self, key: &str) -> ShardId {
        ShardId::of_submission(self.namespace, self.owners.len() as u32, &self.id(key))
    }

    fn id(&self, key: &str) -> SubmissionId {
        SubmissionId::of(&self.namespace, key.as_bytes())
    }
}

fn other_answer(what: &'static str, answer: &impl std::fmt::Debug) -> Problem {
    Problem::Answer { what, answer: format!("{answer:?}") }
}
