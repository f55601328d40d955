//! Operators may ask any member: what only the leader can do is passed on to it, and its answer back.
//!
//! A request is passed on once. What came from another node and finds no leader here is refused with a hint, so that two
//! nodes that take each other for the leader do not keep one request going round.

use super::machine::{Action, Control};
use super::view::{Refusal, Reply, Request};
use super::wire::Message;
use crate::control::group;
use crate::identity::{NodeId, RequestId};
use crate::machine::Sink;
use crate::time::{Duration, Time};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Requests passed on that are not answered yet, at most.
const ASKED_MAX: usize = 64;
/// How long an answer is awaited: what takes longest is an epoch that becomes known after a recovery.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// An operator or a sibling on this node.
    Here(RequestId),
    /// One on another node, which calls the request by that number.
    There(NodeId, u64),
}

/// A request that the leader has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    id: RequestId,
    leader: NodeId,
    until: Time,
}

/// The requests that were passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Forwarded {
    last: u64,
    /// In the order in which they are given up.
    asked: BTreeMap<u64, Asked>,
}

impl Forwarded {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.asked.first_key_value().map(|(_, asked)| asked.until)
    }
}

/// Whether only a leader can answer.
fn is_for_the_leader(request: &Request) -> bool {
    match request {
        Request::BumpEpoch { .. }
        | Request::AwaitEpoch(_)
        | Request::Read(_)
        | Request::ChangeVoters { .. }
        | Request::Lead(_)
        | Request::Activate { .. } => true,
        Request::Found(_)
        | Request::Status
        | Request::Hold(_)
        | Request::Drop(_)
        | Request::Transfer { .. }
        | Request::Close
        | Request::Backup { .. }
        | Request::Restore { .. }
        | Request::Recover(_)
        | Request::Write { .. }
        | Request::Retire(_)
        | Request::Cordon { .. }
        | Request::Cordons
        | Request::CompareAndSet { .. } => false,
    }
}

impl Control {
    pub(super) fn reply(&mut self, who: Who, reply: Reply, out: &mut impl Sink<Action>) {
        match who {
            Who::Here(id) => out.push(Action::Reply(id, reply)),
            Who::There(node, number) => self.send(node, Message::Answer { number, reply: Box::new(reply) }, out),
        }
    }

    /// Passes a request on to the leader, if it is for the leader and that is another node. Else it comes back.
    pub(super) fn pass_on(
        &mut self,
        now: Time,
        who: Who,
        request: Request,
        out: &mut impl Sink<Action>,
    ) -> Result<Option<Request>, Refusal> {
        let other = self.leader.filter(|leader| self.life.is_none_or(|life| life.node != *leader));
        let (Who::Here(id), Some(leader), true) = (who, other, is_for_the_leader(&request)) else {
            return Ok(Some(request));
        };
        if self.forwarded.asked.len() >= ASKED_MAX {
            return Err(Refusal::Overloaded);
        }
        self.forwarded.last += 1;
        let number = self.forwarded.last;
        self.forwarded.asked.insert(number, Asked { id, leader, until: now.saturating_add(PATIENCE) });
        self.send(leader, Message::Ask { number, request: Box::new(request) }, out);
        Ok(None)
    }

    /// Another member passes on what an operator asks of it.
    pub(super) fn asked(
        &mut self,
        now: Time,
        from: NodeId,
        number: u64,
        request: Request,
        out: &mut impl Sink<Action>,
    ) {
        let who = Who::There(from, number);
        if is_for_the_leader(&request) {
            self.request(now, who, request, out);
        }
    }

    /// The leader has answered.
    pub(super) fn leader_answered(&mut self, from: NodeId, number: u64, reply: Reply, out: &mut impl Sink<Action>) {
        let is_of = |asked: &Asked| asked.leader == from;
        if self.forwarded.asked.get(&number).is_some_and(is_of)
            && let Some(asked) = self.forwarded.asked.remove(&number)
        {
            out.push(Action::Reply(asked.id, reply));
        }
    }

    /// Gives up what has waited for too long, or waits for a node that leads no more.
    pub(super) fn give_up_forwarded(&mut self, now: Time, out: &mut impl Sink<Action>) {
        let leader = self.leader;
        let is_lost = |asked: &Asked| asked.until <= now || leader.is_some_and(|leader| leader != asked.leader);
        let lost: Vec<u64> =
            self.forwarded.asked.iter().filter(|(_, asked)| is_lost(asked)).map(|(number, _)| *number).collect();
        for number in lost {
            if let Some(asked) = self.forwarded.asked.remove(&number) {
                out.push(Action::Reply(asked.id, Reply::Refused(Refusal::Unknown)));
            }
        }
    }

    /// The term that this node leads.
    pub(super) fn leads(&self) -> Result<u64, Refusal> {
        let hint = self.leader.filter(|leader| Some(*leader) != self.life.map(|life| life.node));
        self.tending.term().ok_or(Refusal::Group(group::Refusal::NotLeader { hint }))
    }
}
