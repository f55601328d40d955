//! What happens to the workflow, as any node that lives tells it, and the kill.

use super::files;
use crate::dev::error::DevError;
use crate::dev::folder::WORKFLOW;
use crate::dev::nodes::Nodes;
use crate::dev::ready::place;
use crate::error::Error;
use crate::mesh::members::members;
use crate::mesh::names::Names;
use crate::output::note;
use crate::tasks::client::{Shards, Submitted};
use crate::tasks::show::{self, label};
use crate::wall::Stopwatch;
use relaymesh_core::identity::NodeId;
use relaymesh_core::replication::once::SubmissionId;
use relaymesh_core::task::answer::Status;
use relaymesh_core::task::command::{Command, Submit, What};
use relaymesh_core::task::payload::Payload;
use relaymesh_core::task::view::{Happened, StepStatus, StepView, TaskView};
use relaymesh_core::task::workflow::Workflow;
use relaymesh_io_tokio::entropy;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The step that is there once for each file.
const FAN_OUT: &str = "compress";
/// So many files are compressed when a node is killed.
const KILL_AFTER: usize = 4;
/// How long all of it may take. Far longer than it does.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long one node may take for an answer.
const ANSWER: Duration = Duration::from_secs(3);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(30);

/// The workflow under way.
pub(super) struct Story<'a> {
    nodes: &'a mut Nodes,
    names: BTreeMap<NodeId, String>,
    pub(super) id: SubmissionId,
    clock: Stopwatch,
    /// Moments of each row that were told.
    told: BTreeMap<u32, usize>,
    done: usize,
    killed: Option<Killed>,
    pub(super) seconds: f64,
}

/// The node that was killed.
pub(super) struct Killed {
    pub(super) name: String,
    /// Whether it owned the shard of the task.
    pub(super) was_owner: bool,
    /// Steps that were taken from it.
    pub(super) interrupted: Vec<String>,
    since: Stopwatch,
    pub(super) seconds_until_it_went_on: Option<f64>,
    /// Rows that it had.
    rows: BTreeSet<u32>,
}

impl<'a> Story<'a> {
    /// Submits the workflow.
    pub(super) async fn begin(nodes: &'a mut Nodes, folder: &Path) -> Result<Self, Error> {
        let dir = nodes.all[0].dir.clone();
        let view = members(&dir).await?;
        let known = Names::of(view.clone());
        let names = view.iter().map(|member| (member.node, known.name(member.node))).collect();
        let place = place(&dir)?;
        let shards = Shards::of(&place).await?;
        let key: [u8; 16] = entropy::draw().map_err(Error::Entropy)?;
        let id = SubmissionId::of(&place.namespace, &key);
        let input = serde_json::json!({ "folder": folder, "title": "Logs of the demo" }).to_string();
        let workflow = Workflow::from_json(WORKFLOW.as_bytes());
        let workflow = workflow.map_err(|problem| Error::BadWorkflow { path: "report.json".into(), problem })?;
        let submit =
            Submit { input: Some(Payload::inline(input.as_bytes())), ..Submit::new(id, What::Workflow(workflow)) };
        let clock = Stopwatch::start();
        match shards.submit(shards.of_task(&id), &key, &Command::Submit(Box::new(submit))).await? {
            Submitted::Taken(_) | Submitted::Before => {}
            Submitted::Parked(_) => return Err(Error::OutcomeUnknown),
        }
        note(format_args!(
            "Submitted to node a, and on two disks at least: the workflow of docs/examples/report.json, task {id}:\n  \
             list the files, then compress each in a step of its own, then checksum all, then report."
        ));
        Ok(Self { nodes, names, id, clock, told: BTreeMap::new(), done: 0, killed: None, seconds: 0.0 })
    }

    /// Looks again and again until the task has ended; kills a node on the way.
    pub(super) async fn until_the_end(&mut self) -> Result<(), Error> {
        loop {
            let view = self.look().await;
            if let Some(view) = &view {
                self.tell(view);
                match view.status {
                    Status::Succeeded => return self.ended(view),
                    status if status.has_ended() => return Err(self.wrong(died(view))),
                    _ => self.kill_when_it_is_time(view).await?,
                }
            }
            let waited = self.clock.elapsed();
            if waited >= PATIENCE {
                let what = view.as_ref().map_or_else(|| "no node that lives answers".into(), waits_for);
                return Err(DevError::Late { what, waited, root: self.nodes.root.path.clone() }.into());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// What the last step put out.
    pub(super) async fn report(&mut self) -> Result<String, Error> {
        let view = self.look().await.ok_or_else(|| self.wrong("no node answers any more".into()))?;
        let output = view.steps.iter().find_map(|step| match &step.state {
            StepStatus::Succeeded { output: Some(output) } if is_called(step, "report") => Some(output.clone()),
            _ => None,
        });
        let output = output.ok_or_else(|| self.wrong("the step `report` has put out nothing".into()))?;
        let dir = self.living().first().cloned().unwrap_or_default();
        let place = place(&dir)?;
        let shards = Shards::of(&place).await?;
        let bytes = shards.content(shards.of_task(&self.id), &output).await?;
        String::from_utf8(bytes).map_err(|_| self.wrong("the report is no text".into()))
    }

    pub(super) fn killed(&self) -> Result<&Killed, Error> {
        self.killed.as_ref().ok_or_else(|| self.wrong("the workflow was over before a node could be killed".into()))
    }

    /// Folders of nodes whose processes were not killed.
    fn living(&self) -> Vec<std::path::PathBuf> {
        self.nodes.all.iter().filter(|node| node.pid().is_some()).map(|node| node.dir.clone()).collect()
    }

    /// The task, as the first node has it that answers.
    async fn look(&self) -> Option<TaskView> {
        for dir in self.living() {
            let place = place(&dir).ok()?;
            let asked = async {
                let shards = Shards::of(&place).await?;
                show::whole(&shards, self.id).await
            };
            if let Ok(Ok((view, _))) = timeout(ANSWER, asked).await {
                return Some(view);
            }
        }
        None
    }

    async fn kill_when_it_is_time(&mut self, view: &TaskView) -> Result<(), Error> {
        let done = view.steps.iter().filter(|step| is_file(step) && has_succeeded(step)).count();
        if self.killed.is_some() || done < KILL_AFTER || done + KILL_AFTER > files::COUNT as usize {
            return Ok(());
        }
        let owner = self.owner().await?;
        let mut at_work: BTreeMap<NodeId, Vec<&StepView>> = BTreeMap::new();
        for step in view.steps.iter().filter(|step| is_file(step)) {
            if let StepStatus::Running { worker, .. } = &step.state {
                at_work.entry(worker.node).or_default().push(step);
            }
        }
        // The hardest case, if it can be had: who works on it also decides what becomes of it.
        let victim = owner.filter(|owner| at_work.contains_key(owner)).or_else(|| at_work.keys().next().copied());
        let Some(victim) = victim else { return Ok(()) };
        let (name, steps) = (self.name(victim), at_work.remove(&victim).unwrap_or_default());
        let Some(node) = self.nodes.all.iter_mut().find(|node| node.name == name) else { return Ok(()) };
        let pid = node.pid().unwrap_or_default();
        node.kill();
        let since = Stopwatch::start();
        let labels: Vec<String> = steps.iter().map(|step| label(step)).collect();
        let was_owner = owner == Some(victim);
        note(format_args!(
            "{done} of {} are compressed. SIGKILL to node {name} (process {pid}), which runs {}{}.",
            files::COUNT,
            labels.join(" and "),
            if was_owner { ", and owns the shard that the task is in" } else { "" }
        ));
        let rows = steps.iter().map(|step| step.row).collect();
        let interrupted = Vec::new();
        self.killed = Some(Killed { name, was_owner, interrupted, since, seconds_until_it_went_on: None, rows });
        Ok(())
    }

    /// Who owns the shard of the task.
    async fn owner(&self) -> Result<Option<NodeId>, Error> {
        let dir = self.living().first().cloned().unwrap_or_default();
        let place = place(&dir)?;
        let shards = Shards::of(&place).await?;
        Ok(shards.owner(shards.of_task(&self.id)))
    }

    /// Tells what is new.
    fn tell(&mut self, view: &TaskView) {
        for step in &view.steps {
            let told = self.told.insert(step.row, step.history.len()).unwrap_or(0);
            for moment in step.history.iter().skip(told) {
                self.tell_moment(step, moment.what);
            }
        }
        let done = view.steps.iter().filter(|step| is_file(step) && has_succeeded(step)).count();
        if self.killed.is_some() && done / 5 > self.done / 5 {
            note(format_args!("{done} of {} are compressed.", files::COUNT));
        }
        self.done = done;
    }

    fn tell_moment(&mut self, step: &StepView, what: Happened) {
        let (label, worker) = (
            label(step),
            match what {
                Happened::Claimed(worker) => Some(self.name(worker.node)),
                _ => None,
            },
        );
        if let Some(killed) = self.killed.as_mut() {
            let after = killed.since.seconds();
            let goes_on = match what {
                Happened::Succeeded => !killed.rows.contains(&step.row),
                Happened::Claimed(_) => worker.as_ref() != Some(&killed.name),
                _ => false,
            };
            if goes_on {
                killed.seconds_until_it_went_on.get_or_insert(after);
            }
            match (what, &worker) {
                (Happened::ClaimEnded(_), _) => {
                    note(format_args!(
                        "{after:.1} s later: the claim of {} on {label} has ended; it waits again, behind the others.",
                        killed.name
                    ));
                    killed.interrupted.push(label);
                }
                (Happened::Claimed(_), Some(worker)) if killed.interrupted.contains(&label) => {
                    note(format_args!(
                        "{after:.1} s later: {label} begins again on node {worker}, attempt {}.",
                        step.attempts
                    ));
                }
                (Happened::Claimed(_), Some(worker)) if !is_file(step) => {
                    note(format_args!("{label} runs on node {worker}."))
                }
                _ => {}
            }
        } else if let Some(worker) = worker.filter(|_| !is_file(step)) {
            note(format_args!("{label} runs on node {worker}."));
        }
    }

    /// Every step has one result, and the kill was one.
    fn ended(&mut self, view: &TaskView) -> Result<(), Error> {
        self.seconds = self.clock.seconds();
        let commits = |step: &StepView| step.history.iter().filter(|it| it.what == Happened::Succeeded).count();
        let agents = || view.steps.iter().filter(|step| !matches!(step.state, StepStatus::Expanded { .. }));
        if let Some(step) = agents().find(|step| commits(step) > 1) {
            return Err(self.wrong(format!("{} was committed {} times", label(step), commits(step))));
        }
        let files = view.steps.iter().filter(|step| is_file(step)).count();
        if files != files::COUNT as usize {
            return Err(self.wrong(format!("{files} files were compressed, not {}", files::COUNT)));
        }
        let attempts: u32 = view.steps.iter().map(|step| u32::from(step.attempts)).sum();
        let steps = view.steps.iter().filter(|step| step.attempts > 0).count();
        note(format_args!(
            "The task has succeeded, {:.1} s after it was submitted: {steps} steps, each committed once, in {attempts} attempts.",
            self.seconds
        ));
        self.killed().map(drop)
    }

    fn name(&self, node: NodeId) -> String {
        self.names.get(&node).cloned().unwrap_or_else(|| node.to_string())
    }

    fn wrong(&self, what: String) -> Error {
        DevError::Wrong { what, root: self.nodes.root.path.clone() }.into()
    }
}

fn is_called(step: &StepView, name: &str) -> bool {
    step.name.as_ref().is_some_and(|it| it.as_str() == name)
}

/// Whether it is one of those that are there once for each file.
fn is_file(step: &StepView) -> bool {
    is_called(step, FAN_OUT) && step.item.is_some()
}

fn has_succeeded(step: &StepView) -> bool {
    matches!(step.state, StepStatus::Succeeded { .. })
}

/// What it is dead of.
fn died(view: &TaskView) -> String {
    let dead = view.steps.iter().find(|step| step.state == StepStatus::Dead);
    let words = dead.and_then(|step| step.words.as_deref()).unwrap_or("nobody has said why");
    format!("the task is {}: {}: {words}", show::word(view.status), dead.map(label).unwrap_or_default())
}

/// What it was at when nobody would wait any longer.
fn waits_for(view: &TaskView) -> String {
    let open = view.steps.iter().filter(|step| !has_succeeded(step));
    let lines: Vec<String> = open.take(4).map(|step| format!("{} {}", label(step), show::state(step))).collect();
    lines.join("; ")
}
