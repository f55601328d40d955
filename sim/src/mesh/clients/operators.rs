//! Operators of the mesh, and an auditor.
//!
//! One operator lets nodes leave, one describes nodes anew, one rotates the cluster's key. Shortly before the end the
//! auditor asks every member who is there.

use super::super::metadata;
use crate::scenario::{FaultKind, MeshLoad, Nodes, Plan, Scenario};
use crate::subject::{Clients, Outcome, Turn};
use crate::time::TrueTime;
use crate::world::key_name;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::membership::{self, Reply as Answer};
use relaymesh_core::mesh::{MeshNode, Reply, Request};
use relaymesh_core::time::Duration;

/// How long an answer is waited for; saying good-bye takes a while.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before something is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// How long before the end the auditor begins.
const AUDIT: Duration = Duration::from_secs(3);

/// Someone with a list of things to ask, one after the other.
#[derive(Debug)]
struct Operator {
    /// Nothing is asked before.
    begins: TrueTime,
    rest_until: TrueTime,
    to_do: VecDeque<(u32, membership::Request)>,
    /// Asks until it is done; otherwise each thing once, even where nobody listens.
    insists: bool,
}

/// Everyone who asks something of the mesh.
#[derive(Debug)]
pub struct Operators {
    all: Vec<Operator>,
}

impl Operators {
    /// The operators of a run of `scenario`. They ask nothing of nodes that never join.
    pub fn new(scenario: &Scenario, plan: &Plan) -> Self {
        let load: &MeshLoad = &scenario.mesh;
        let members = load.members(scenario.nodes);
        let joins = plan.faults.iter().filter(|fault| fault.kind == FaultKind::Join);
        let is_there =
            |host: u32| !load.is_late(scenario.nodes, host) || joins.clone().any(|join| join.nodes.contains(&host));
        let there: Vec<u32> = (0..members).filter(|host| is_there(*host)).collect();
        let everyone = || there.iter().copied();
        let end = TrueTime(0) + scenario.phases.safety.0 + scenario.phases.liveness.0;
        let audit_begins = TrueTime(end.0.saturating_sub(AUDIT.as_nanos()));
        let mut all = vec![Operator::new(audit_begins, everyone().map(|host| (host, membership::Request::Members)))];
        all[0].insists = false;
        if let Nodes::These(leaving) = &load.leave {
            let to_do = leaving.iter().map(|host| (*host, membership::Request::Leave));
            all.push(Operator::new(TrueTime(0) + load.leave_at.0, to_do));
        }
        if let Some(at) = load.describe_at {
            let profile = || metadata(load.metadata_bytes, "new");
            let to_do = everyone().map(|host| {
                (host, membership::Request::Describe { name: format!("n{host}-renamed").into(), profile: profile() })
            });
            all.push(Operator::new(TrueTime(0) + at.0, to_do));
        }
        if let Some(at) = load.rekey_at {
            let (old, new) = (key_name(0), key_name(1));
            let uses = everyone().map(|host| (host, membership::Request::UseKey { id: new, force: false }));
            let removes = everyone().map(|host| (host, membership::Request::RemoveKey { id: old, force: false }));
            all.push(Operator::new(TrueTime(0) + at.0, uses.chain(removes)));
        }
        Self { all }
    }
}

impl Operator {
    fn new(begins: TrueTime, to_do: impl Iterator<Item = (u32, membership::Request)>) -> Self {
        Self { begins, rest_until: begins, to_do: to_do.collect(), insists: true }
    }
}

impl Clients<MeshNode> for Operators {
    fn count(&self) -> u32 {
        self.all.len() as u32
    }

    fn turn(&mut self, client: u32, now: TrueTime, _: bool) -> Turn<Request> {
        let it = &mut self.all[client as usize];
        let rest = it.rest_until.max(it.begins);
        if rest > now {
            return Turn::Rest(rest);
        }
        match it.to_do.front() {
            Some((host, request)) => {
                Turn::Ask { host: *host, request: Request::Membership(request.clone()), timeout: TIMEOUT }
            }
            None => Turn::Done,
        }
    }

    fn outcome(&mut self, client: u32, now: TrueTime, outcome: Outcome<Reply>) {
        let it = &mut self.all[client as usize];
        let is_done = match &outcome {
            Outcome::Reply(Reply::Membership(Answer::Refused(membership::Refusal::UnknownKey(_)))) => {
                // Removed already: the answer to the first request was lost.
                matches!(it.to_do.front(), Some((_, membership::Request::RemoveKey { .. })))
            }
            Outcome::Reply(Reply::Membership(Answer::Refused(membership::Refusal::Gone))) => true,
            Outcome::Reply(Reply::Membership(Answer::Refused(_))) => false,
            Outcome::Reply(_) => true,
            Outcome::Refused(_) | Outcome::Unreachable | Outcome::TimedOut => !it.insists,
        };
        if is_done {
            it.to_do.pop_front();
        } else {
            it.rest_until = now + PAUSE;
        }
    }

    fn unanswered(&self) -> Vec<(u32, String)> {
        let waits = |(client, it): (u32, &Operator)| {
            let (host, request) = it.to_do.front()?;
            let what = match request {
                membership::Request::Members => "the members",
                membership::Request::Leave => "the good-bye",
                membership::Request::Describe { .. } => "the new description",
                membership::Request::UseKey { .. } => "the use of the new key",
                membership::Request::RemoveKey { .. } => "the removal of the old key",
            };
            Some((client, format!("{what} of n{host}").to_string()))
        };
        (0..).zip(&self.all).filter_map(waits).collect()
    }
}
