//! Founds the group: asks a voter who is there until it knows the stores of all voters, then tells each the same.

use super::{AGAIN, PATIENCE, Part, Shared, answer, ask};
use crate::streams::Stream;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::control::group::Voter;
use relaymesh_core::control::node::{Founding, Reply as Answer, Request as Question};
use relaymesh_core::control::state::RecoveryId;
use relaymesh_core::identity::StoreIncarnation;
use relaymesh_core::machine::Chooser;
use relaymesh_core::membership::{self, MemberView};
use relaymesh_core::mesh::{Reply, Request};

#[derive(Debug)]
pub(super) struct Founder {
    stream: Stream,
    rest_until: TrueTime,
    founding: Option<Founding>,
    stores: Vec<(u32, StoreIncarnation)>,
    /// Voters that know of it.
    told: usize,
}

impl Founder {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, rest_until: TrueTime(0), founding: None, stores: Vec::new(), told: 0 }
    }

    fn learn(&mut self, shared: &Shared, members: &[MemberView]) {
        let stores = (0..shared.load.voters).map(|voter| Some((voter, store_of(members, voter)?)));
        let Some(stores) = stores.collect::<Option<Vec<_>>>() else { return };
        let voters = stores.iter().map(|(voter, store)| Voter { node: node_id(*voter), store: *store }).collect();
        let half = |stream: &mut Stream| u128::from(stream.below(u64::MAX));
        let nonce = half(&mut self.stream) << 64 | half(&mut self.stream);
        let recovery = RecoveryId(self.stream.below(u64::MAX));
        self.founding = Some(Founding { nonce, recovery, voters, span_max: shared.span_max });
        self.stores = stores;
    }
}

/// The store that a node says it runs on, as others know.
pub(super) fn store_of(members: &[MemberView], host: u32) -> Option<StoreIncarnation> {
    let it = members.iter().find(|it| it.node == node_id(host))?;
    Some(it.description.as_ref()?.store)
}

impl Part for Founder {
    fn turn(&mut self, shared: &Shared, now: TrueTime, _: bool) -> Turn<Request> {
        let rest = self.rest_until.max(TrueTime(0) + shared.load.found_at.0);
        if rest > now {
            return Turn::Rest(rest);
        }
        match &self.founding {
            _ if shared.is_founded => Turn::Done,
            Some(founding) => ask(self.stores[self.told].0, Question::Found(founding.clone())),
            None => {
                let request = Request::Membership(membership::Request::Members);
                Turn::Ask { host: 0, request, timeout: PATIENCE }
            }
        }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        if let Outcome::Reply(Reply::Membership(membership::Reply::Members(members))) = &outcome {
            self.learn(shared, members);
        }
        match answer(outcome) {
            Some(Answer::Founded(_)) => self.told += 1,
            _ => self.rest_until = now + AGAIN,
        }
        if self.founding.is_some() && self.told == self.stores.len() {
            shared.is_founded = true;
            shared.voters = self.stores.clone();
        }
    }

    fn unanswered(&self, shared: &Shared) -> Option<String> {
        (!shared.is_founded).then(|| format!("the group to be founded, told {} voters", self.told))
    }

    fn founds(&self) -> bool {
        true
    }
}
