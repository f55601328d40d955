//! Plans: what of a namespace is to be placed elsewhere, worked out in steps, and carried out a wave at a time.
//!
//! Any node may draft a plan, for an operator who asks it. One node, the one with the oldest session, also looks after all of
//! them: it makes plans of its own where nodes drain, are gone, or have come, has those carried on that were approved, and
//! gives up those that get stuck. That there is one saves work; two at once would do no harm, since each step is a command
//! that names what it was decided on (`docs/placement.md`, rules P1 to P8).
//!
//! | file | holds |
//! | --- | --- |
//! | `mod` | which namespaces are to be looked at, and when |
//! | `consider` | what to do about one |
//! | `draft` | a plan worked out and told to the cluster |
//! | `asked` | what operators ask |

mod asked;
mod consider;
mod draft;

use super::machine::{Action, Host, Sees};
use super::view::Reply;
use crate::control::state::{Name, PlacementCommand, State};
use crate::identity::{Incarnation, NodeId};
use crate::machine::{Ctx, Sink};
use crate::replication::Service;
use crate::shards::placement::Site;
use crate::time::{Time, WallTime};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use consider::Next;
use draft::Drafting;
pub(super) use draft::Step;

/// Namespaces that one event may look at.
const LOOKED_AT_ONCE: usize = 4;

/// What a node does about plans.
#[derive(Clone, Debug, Default)]
pub(super) struct Plans {
    /// Namespaces that are to be looked at now.
    to_look: BTreeSet<Name>,
    /// When all of them are.
    round_at: Option<Time>,
    /// When a node came or went last.
    restless: Time,
    /// Nodes that have places and no session, and since when.
    absent: BTreeMap<NodeId, Time>,
    /// What is known of each namespace from before.
    known: BTreeMap<Name, Known>,
    /// Plans that this node works out.
    drafts: BTreeMap<Name, Drafting>,
    /// The cluster has to be told what this node is as a place for shards.
    has_to_say: bool,
}

/// What is known of a namespace from before.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The shards that move: up to which one, and since when.
    wave: Option<(u64, Option<u32>, Time)>,
    /// A plan that its author works out, and since when it was seen.
    open: Option<(u64, Time)>,
    /// Until when nothing is moved that nothing forces.
    cool_until: Time,
    /// The plan that there was when it was looked at last.
    plan: Option<u64>,
    /// The table and the sites of which it was found that nothing is to be moved.
    is_fine: Option<(u64, Vec<Site>)>,
}

impl Plans {
    /// What nodes may be given is another matter now.
    pub(super) fn everything(&mut self, now: Time) {
        self.round_at = Some(now);
    }

    /// All namespaces are looked at then, if not before.
    fn round_by(&mut self, at: Time) {
        self.round_at = Some(self.round_at.map_or(at, |known| known.min(at)));
    }

    pub(super) fn has_gone(&mut self, now: Time) {
        self.restless = now;
        self.everything(now);
    }

    pub(super) fn has_come(&mut self, now: Time) {
        self.has_gone(now);
        self.has_to_say = true;
    }

    /// The plan of a namespace has begun, or has come further, or is over.
    pub(super) fn look_at(&mut self, namespace: Name) {
        self.to_look.insert(namespace);
    }

    pub(super) fn has_work(&self) -> bool {
        !self.to_look.is_empty() || self.drafts.values().any(Drafting::has_work)
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.round_at.into_iter().chain(self.drafts.values().map(Drafting::until)).min()
    }
}

/// Whether that process is the one that looks after plans: its session is the oldest.
pub(super) fn looks_after(state: &State, life: Incarnation) -> bool {
    state.sessions().next().is_some_and(|(_, session)| session.owner == life)
}

impl<S: Service> Host<S> {
    /// Looks at some namespaces, and goes on with what this node works out.
    pub(in crate::shards::host) fn plan_some(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        out: &mut impl Sink<Action>,
    ) {
        let Some((life, state)) = self.life.zip(sees.state) else {
            self.plans.round_at = None;
            self.plans.to_look.clear();
            while let Some(namespace) = self.plans.drafts.keys().next().copied() {
                self.end_draft(ctx.now, namespace, Reply::Unknown, out);
            }
            return;
        };
        self.say_seat(state, life);
        if self.plans.round_at.take_if(|at| *at <= ctx.now).is_some() {
            self.plans.to_look.extend(state.placements().map(|(namespace, _)| *namespace));
            self.plans.known.retain(|namespace, _| state.placement(namespace).is_some());
            let has_places =
                |node| state.placements().any(|(_, placed)| placed.table().sites().of_node(node).is_some());
            self.plans.absent.retain(|node, _| has_places(*node));
        }
        for _ in 0..LOOKED_AT_ONCE {
            let Some(namespace) = self.plans.to_look.pop_first() else { break };
            self.begin_work(ctx.now, (state, life), namespace, out);
            if looks_after(state, life) {
                self.look_after((ctx.now, ctx.wall), sees, state, namespace);
            }
        }
        self.work_on_drafts(ctx.now, state, out);
    }

    /// Tells the cluster what this node is as a place for shards, where it knows something else.
    fn say_seat(&mut self, state: &State, life: Incarnation) {
        let seat = self.settings.plans.seat;
        let may_say = state.activated() >= crate::control::state::SHARDS && state.own_session(life).is_some();
        if self.plans.has_to_say && may_say {
            self.plans.has_to_say = false;
            if state.seat(life.node) == seat {
                return;
            }
            self.commands.place(None, PlacementCommand::Seat(seat));
        }
    }

    fn look_after(&mut self, (now, wall): (Time, WallTime), sees: Sees<'_>, state: &State, namespace: Name) {
        let again_at = now.saturating_add(self.settings.plans.every);
        match self.consider((now, wall), sees, state, namespace) {
            Next::Nothing => {}
            Next::Later => self.plans.round_by(again_at),
            Next::Draft(wanted) => {
                if !self.plans.drafts.contains_key(&namespace) {
                    self.begin_draft(now, state, namespace, wanted, None);
                }
            }
            Next::Command(command) => {
                self.commands.place(Some((namespace, Step::Look)), command);
                self.plans.round_by(again_at);
            }
        }
    }
}
