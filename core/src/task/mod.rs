//! Durable tasks and workflows: what is to be done, what became of it, and who may say so.
//!
//! The protocol, with its rules T1 to T13, is `docs/tasks.md`.
//!
//! | module | holds |
//! | --- | --- |
//! | [`id`] | names: of tasks, steps and attempts |
//! | [`payload`] | inputs and outputs |
//! | [`command`] | what the log of a shard says of tasks |
//! | [`answer`] | what it comes to, and what can be asked |
//! | [`view`] | what is told of tasks, for people |
//! | [`workflow`] | what a workflow is, how it is read, and how inputs are made from outputs |
//! | [`limit`] | how many steps may run at once, and how many may begin |
//! | [`schedule`] | when a recurring task is due |
//! | [`settings`] | spans and bounds |
//! | [`transfer`] | payloads that are blobs, on their way |
//! | [`word`] | what shards say to one another |
//! | [`wire`] | what workers and owners say to each other |
//! | [`desk`] | the owner: what is due, which claims live, who is told that there is work |
//! | [`worker`] | who does the work: claims, inputs, outputs, reports |
//! | [`tasks`] | the state above the log: the one place where a task changes |
//!
//! Absent on purpose: how entries get into the log and onto disks ([`replication`](crate::replication)); child processes.

pub mod answer;
pub mod command;
pub mod desk;
pub mod id;
pub mod limit;
pub mod payload;
pub mod schedule;
pub mod settings;
pub mod tasks;
pub mod transfer;
pub mod view;
pub mod wire;
pub mod word;
pub mod worker;
pub mod workflow;
