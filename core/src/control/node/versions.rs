//! Which versions of entries may be used, and by whom (rules V1 to V7).
//!
//! The state says which version is activated. A leader logs no entry that needs a newer one, and lets an operator activate
//! one only when it has heard lately, of every member of the group, that its build understands it. A process that meets
//! what it does not understand stops for good: it neither votes, nor follows, nor acts under a lease.
//!
//! Absent on purpose: what entries need (the state), and how a member stops that cannot apply one (the group).

use super::desk::{Answer, Purpose, to_process};
use super::inbox::Local;
use super::machine::{Action, Control};
use super::observation::HistoryObservation;
use super::view::Refusal;
use super::wire::Message;
use crate::codec::BodyVersion;
use crate::control::commands;
use crate::control::group::{self, Voter};
use crate::control::state::limits::SESSIONS_MAX;
use crate::control::state::{self, OLDEST, Outcome, State};
use crate::identity::NodeId;
use crate::lease::client;
use crate::machine::Sink;
use crate::time::Time;
use alloc::collections::BTreeMap;

/// What the last message of a node said of its build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heard {
    speaks: BodyVersion,
    at: Time,
}

/// The builds of other nodes, as this process has heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Builds {
    heard: BTreeMap<NodeId, Heard>,
}

impl Builds {
    /// A node has said something. O(log n); O(n) where there are more nodes than may have sessions.
    pub(super) fn hears(&mut self, now: Time, node: NodeId, speaks: BodyVersion) {
        if self.heard.len() >= SESSIONS_MAX
            && !self.heard.contains_key(&node)
            && let Some(oldest) = self.heard.iter().min_by_key(|(_, heard)| heard.at).map(|(node, _)| *node)
        {
            self.heard.remove(&oldest);
        }
        self.heard.insert(node, Heard { speaks, at: now });
    }

    /// Whether a node is known to understand less.
    fn lacks(&self, node: NodeId, version: BodyVersion) -> bool {
        self.heard.get(&node).is_some_and(|heard| heard.speaks < version)
    }
}

impl Control {
    /// The newest version of entries that this build understands.
    pub(super) fn speaks(&self) -> BodyVersion {
        self.settings.group.speaks
    }

    /// Whether entries of that version may be logged here: by a leader, of what it has applied (rule V2).
    pub(super) fn is_activated(&self, version: BodyVersion) -> bool {
        version <= self.group.state().map_or(OLDEST, State::activated)
    }

    /// Refuses an entry that needs a version which is not activated, once a round has confirmed that this node knows:
    /// until then another leader may have activated it.
    pub(super) fn refuse_entry(&mut self, to: NodeId, number: u64, version: BodyVersion) {
        self.ask_group(Purpose::NotActivated(to, number, version), group::Request::Confirm);
    }

    /// The round is over.
    pub(super) fn entry_refused(
        &mut self,
        (to, number): (NodeId, u64),
        version: BodyVersion,
        answer: Answer,
        out: &mut impl Sink<Action>,
    ) {
        let message = match answer {
            // It was activated meanwhile: it will be asked for again.
            Ok(_) if self.is_activated(version) => None,
            Ok(_) => {
                let activated = self.group.state().map_or(OLDEST, State::activated);
                let outcome = Outcome::Refused(state::Refusal::NotActivated { version, activated });
                Some(commands::Message::Done { number, outcome })
            }
            Err(_) => to_process(number, answer),
        };
        if let Some(message) = message {
            self.send(to, Message::Commands(message), out);
        }
    }

    /// Whether that version may be activated: every member of the group is there and understands it, and nobody who has a
    /// session is known not to (rule V3).
    pub(super) fn may_activate(&self, now: Time, version: BodyVersion) -> Result<(), Refusal> {
        let lacks = |node| Refusal::TooOld { node, needs: version.0 };
        let own = self.life.map(|life| life.node);
        if let Some(node) = own.filter(|_| self.speaks() < version) {
            return Err(lacks(node));
        }
        let members = self.group.status().map(|status| status.members).unwrap_or_default();
        for (_, Voter { node, .. }) in members.iter().filter(|(_, voter)| Some(voter.node) != own) {
            let patience = self.settings.follow_patience();
            match self.builds.heard.get(&node) {
                Some(heard) if heard.speaks < version => return Err(lacks(node)),
                Some(heard) if now < heard.at.saturating_add(patience) => {}
                _ => return Err(Refusal::Unheard { node }),
            }
        }
        let owners = self.group.state().into_iter().flat_map(State::sessions).map(|(_, session)| session.owner.node);
        let too_old = owners.filter(|node| Some(*node) != own).find(|node| self.builds.lacks(*node, version));
        too_old.map_or(Ok(()), |node| Err(lacks(node)))
    }

    /// Whether nobody is to be made a member who is known not to understand what is in use.
    pub(super) fn may_join(&self, add: &[Voter]) -> Result<(), Refusal> {
        let needs = self.group.state().map_or(OLDEST, State::activated);
        let too_old = add.iter().find(|voter| self.builds.lacks(voter.node, needs));
        too_old.map_or(Ok(()), |voter| Err(Refusal::TooOld { node: voter.node, needs: needs.0 }))
    }

    /// This build does not understand what the cluster uses: it takes no part any more, and whatever it held it has
    /// stopped (rule V4).
    pub(super) fn stop_too_old(&mut self, out: &mut impl Sink<Action>) {
        if core::mem::replace(&mut self.is_too_old, true) {
            return;
        }
        let speaks = u64::from(self.speaks().0);
        out.push(Action::Observe(HistoryObservation::BuildTooOld { speaks }.into()));
        self.stop_following();
        self.inbox.push(Local::Client(client::Event::Ask(client::Ask::Close)));
    }

    /// What a process that is too old tells operators.
    pub(super) fn check_build(&self) -> Result<(), Refusal> {
        match self.life.filter(|_| self.is_too_old) {
            Some(life) => Err(Refusal::TooOld { node: life.node, needs: self.speaks().0.saturating_add(1) }),
            None => Ok(()),
        }
    }
}
