//! The commands of tasks and workflows: submit, look, stop.

pub(crate) mod arguments;
pub(crate) mod client;
mod dead;
mod everywhere;
mod limit;
mod schedules;
pub(crate) mod show;
mod stuck;
mod submit;
mod watch;
mod who;

pub(crate) use stuck::Stuck;

use crate::error::{Error, Exit};
use crate::mesh::block_on;
use crate::output::{Output, note};
use arguments::operate::OperateCommand;
use arguments::{ApproveArguments, CancelArguments, DeclareArguments, Place, TaskArguments, TaskCommand};
use client::Shards;
use relaymesh_core::task::answer::{Answer, Query, Status};
use relaymesh_core::task::command::Command;

/// Does what was typed.
pub(crate) fn run(command: TaskCommand, output: &Output) -> Result<Exit, Error> {
    match command {
        TaskCommand::NamespaceDeclare(arguments) => block_on(declare(arguments)),
        TaskCommand::Submit(arguments) => block_on(submit::task(arguments, output)),
        TaskCommand::SubmitWorkflow(arguments) => block_on(submit::workflow(arguments, output)),
        TaskCommand::Task(arguments) => block_on(show::task(&arguments, output)),
        TaskCommand::Tasks(arguments) => block_on(show::tasks(&arguments, output)),
        TaskCommand::Cancel(arguments) => block_on(cancel(&arguments)),
        TaskCommand::Replay(arguments) => block_on(replay(&arguments)),
        TaskCommand::Approve(arguments) => block_on(approve(&arguments)),
        TaskCommand::ScheduleAdd(arguments) => block_on(schedules::add(arguments)),
        TaskCommand::Schedules(arguments) => block_on(schedules::list(&arguments, output)),
        TaskCommand::SchedulePause(arguments) => block_on(schedules::pause(&arguments)),
        TaskCommand::ScheduleRemove(arguments) => block_on(schedules::remove(&arguments)),
        TaskCommand::Operate(command) => block_on(operate(command, output)),
    }
}

async fn operate(command: OperateCommand, output: &Output) -> Result<Exit, Error> {
    match command {
        OperateCommand::Workflow(arguments) => watch::workflow(&arguments, output).await,
        OperateCommand::Workers(place) => who::workers(&place, output).await,
        OperateCommand::Agents(place) => who::agents(&place, output).await,
        OperateCommand::ReplayBatch(arguments) => dead::replay(&arguments, output).await,
        OperateCommand::DeadExport(arguments) => dead::export(&arguments, output).await,
        OperateCommand::Purge(arguments) => everywhere::purge(&arguments, output).await,
        OperateCommand::Pause(arguments) => everywhere::pause(&arguments, true, output).await,
        OperateCommand::Resume(arguments) => everywhere::pause(&arguments, false, output).await,
        OperateCommand::Policy(arguments) => everywhere::policy(&arguments, output).await,
        OperateCommand::Limit(arguments) => limit::run(&arguments, output).await,
    }
}

async fn declare(arguments: DeclareArguments) -> Result<Exit, Error> {
    let DeclareArguments { namespace, folder, shards, copies, minimum } = arguments;
    client::declare(&Place { folder, namespace }, shards, copies, minimum).await?;
    Ok(Exit::Held)
}

async fn cancel(arguments: &CancelArguments) -> Result<Exit, Error> {
    let (shards, task) = (Shards::of(&arguments.task.place).await?, arguments.task.id);
    let command = Command::Cancel { task, mode: arguments.mode.into(), reason: arguments.reason.as_str().into() };
    let Answer::Cancel(status) = shards.execute(shards.of_task(&task), &command).await? else {
        return Err(Error::OtherAnswer);
    };
    match status {
        Status::Cancelled | Status::Cancelling => note(format_args!("{}", show::word(status))),
        status => note(format_args!("it had ended before: {}", show::word(status))),
    }
    Ok(Exit::Held)
}

async fn replay(arguments: &TaskArguments) -> Result<Exit, Error> {
    let (shards, task) = (Shards::of(&arguments.place).await?, arguments.id);
    let shard = shards.of_task(&task);
    let Answer::Task(view) = shards.read(shard, &Query::Task { task, from: 0 }).await? else {
        return Err(Error::OtherAnswer);
    };
    shards.execute(shard, &Command::Replay { task, generation: view.generation }).await?;
    Ok(Exit::Held)
}

async fn approve(arguments: &ApproveArguments) -> Result<Exit, Error> {
    let (shards, task) = (Shards::of(&arguments.task.place).await?, arguments.task.id);
    let (step, words) = (arguments.step.clone(), arguments.words.as_str().into());
    let command = Command::Decide { task, step, item: None, is_approved: !arguments.reject, words };
    shards.execute(shards.of_task(&task), &command).await?;
    Ok(Exit::Held)
}
