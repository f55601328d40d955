//! Replaces voters: each in turn by a later member, or one that has lost its store by the same node with its new one.

use super::founder::store_of;
use super::guess::Guess;
use super::{AGAIN, PATIENCE, Part, Shared, answer};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::control::group::Voter;
use relaymesh_core::control::node::{Reply as Answer, Request as Question};
use relaymesh_core::identity::StoreIncarnation;
use relaymesh_core::membership::{self, MemberView};
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::time::Duration;

/// Members that learn the log take their time.
const CHANGE_PATIENCE: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Rest,
    /// To see on which stores members run.
    Look,
    /// To put this node with this store on that seat.
    Change {
        seat: usize,
        host: u32,
        store: StoreIncarnation,
    },
}

#[derive(Debug)]
pub(super) struct Seats {
    every: Duration,
    stream: Stream,
    leader: Guess,
    step: Step,
    /// Whether others take the seats; otherwise whoever sits there keeps it.
    replaces: bool,
    /// Replacements made.
    replaced: u32,
    /// Nothing is offered any more, and the last look was begun after that.
    is_last: bool,
    rest_until: Option<TrueTime>,
}

impl Seats {
    pub(super) fn replacing(every: Duration, stream: Stream) -> Self {
        Self::new(every, stream, true)
    }

    pub(super) fn repairing(every: Duration, stream: Stream) -> Self {
        Self::new(every, stream, false)
    }

    fn new(every: Duration, stream: Stream, replaces: bool) -> Self {
        let leader = Guess::default();
        Self { every, stream, leader, step: Step::Rest, replaces, replaced: 0, is_last: false, rest_until: None }
    }

    /// The member that takes the next seat, if one is left.
    fn next_spare(&self, shared: &Shared) -> Option<u32> {
        let spare = shared.load.voters + self.replaced;
        (spare < shared.members).then_some(spare)
    }

    fn rest(&mut self, now: TrueTime) {
        (self.step, self.rest_until) = (Step::Rest, Some(now + self.every));
    }

    /// What is to be changed, now that it is known who runs on which store.
    fn looked(&mut self, shared: &Shared, members: &[MemberView], now: TrueTime) {
        let change = if self.replaces {
            let seat = self.replaced as usize % shared.voters.len();
            self.next_spare(shared).and_then(|host| Some((seat, host, store_of(members, host)?)))
        } else {
            let found = |(seat, (host, store)): (usize, &(u32, StoreIncarnation))| {
                let new = store_of(members, *host).filter(|new| new != store)?;
                Some((seat, *host, new))
            };
            shared.voters.iter().enumerate().find_map(found)
        };
        match change {
            Some((seat, host, store)) => self.step = Step::Change { seat, host, store },
            // Nobody has heard of the spare yet.
            None if self.replaces => self.rest_until = Some(now + AGAIN),
            None => self.rest(now),
        }
    }

    fn changed(&mut self, shared: &mut Shared, voters: &[Voter], now: TrueTime) {
        let Step::Change { seat, host, store } = self.step else { return };
        if voters.contains(&Voter { node: node_id(host), store }) {
            shared.voters[seat] = (host, store);
            self.replaced += 1;
            // There may be more to repair.
            if self.replaces { self.rest(now) } else { self.step = Step::Look }
        }
    }
}

impl Part for Seats {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        let rest = *self.rest_until.get_or_insert(now + self.every);
        if rest > now {
            return Turn::Rest(rest);
        }
        if self.step == Step::Rest {
            let is_over = if self.replaces { !offering || self.next_spare(shared).is_none() } else { self.is_last };
            if is_over {
                return Turn::Done;
            }
            (self.step, self.is_last) = (Step::Look, !offering);
        }
        let host = self.leader.host(shared);
        let (request, timeout) = match self.step {
            Step::Rest | Step::Look => (Request::Membership(membership::Request::Members), PATIENCE),
            Step::Change { seat, host, store } => {
                let add = Vec::from([Voter { node: node_id(host), store }]);
                let remove = Vec::from([node_id(shared.voters[seat].0)]);
                (Request::Control(Question::ChangeVoters { add, remove }), CHANGE_PATIENCE)
            }
        };
        Turn::Ask { host, request, timeout }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        if let Outcome::Reply(Reply::Membership(membership::Reply::Members(members))) = &outcome {
            return self.looked(shared, members, now);
        }
        let answer = answer(outcome);
        self.leader.hears(shared, answer.as_ref(), &mut self.stream);
        match answer {
            Some(Answer::Voters(voters)) => self.changed(shared, &voters, now),
            // What was to be added may have lost its store meanwhile.
            _ => (self.step, self.rest_until) = (Step::Look, Some(now + AGAIN)),
        }
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        (self.step != Step::Rest).then(|| format!("the voters to change: {:?}", self.step))
    }
}
