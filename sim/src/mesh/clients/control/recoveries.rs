//! Begins another history, once: of what is left on a node when the quorum is lost, or of a backup that was taken before.
//! Then it makes the group as large as is wanted, and follows the advice it is given on the way.

use super::founder::store_of;
use super::{AGAIN, PATIENCE, Part, Shared, answer, ask};
use crate::scenario::RecoverySource;
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::control::group::Voter;
use relaymesh_core::control::group::wire::Blob;
use relaymesh_core::control::node::{Recovery, Refusal, Reply as Answer, Request as Question, Source};
use relaymesh_core::control::state::{RecoveryId, Text};
use relaymesh_core::epoch::ClusterEpoch;
use relaymesh_core::identity::StoreIncarnation;
use relaymesh_core::membership;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::time::Duration;

/// A survey of the mesh and a catch-up of new voters take their time.
const LONG: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// To take this piece of a backup.
    BackUp(u32),
    /// To see which history is in force.
    Look,
    /// To hand over this piece.
    Restore(usize),
    /// To begin another.
    Recover,
    /// To see on which stores those run that are to vote.
    FindStores,
    /// To make them vote.
    Enlarge(Vec<(u32, StoreIncarnation)>),
    Done,
}

#[derive(Debug)]
pub(super) struct Recoveries {
    source: Source,
    backup_at: TrueTime,
    at: TrueTime,
    /// Who is to vote afterwards; the first one recovers.
    voters: Vec<u32>,
    step: Step,
    pieces: Vec<Blob>,
    /// The history that was in force before.
    before: Option<RecoveryId>,
    rest_until: TrueTime,
}

impl Recoveries {
    /// Nothing where the scenario has none.
    pub(super) fn new(shared: &Shared) -> Option<Self> {
        let recovery = shared.load.recovery.as_ref()?;
        let (source, step) = match recovery.source {
            RecoverySource::Own => (Source::Own, Step::Look),
            RecoverySource::Backup => (Source::Backup, Step::BackUp(0)),
        };
        let (backup_at, at) = (TrueTime(0) + recovery.backup_at.0, TrueTime(0) + recovery.at.0);
        let (voters, rest_until) = (recovery.voters.clone(), TrueTime(0));
        Some(Self { source, backup_at, at, voters, step, pieces: Vec::new(), before: None, rest_until })
    }

    fn request(&self) -> Question {
        // Far below the bound.
        let text = Text::new(b"drill").unwrap_or(Text::EMPTY);
        let above = ClusterEpoch(0);
        Question::Recover(Recovery { source: self.source, above, reason: text, actor: text })
    }

    fn begun(&mut self, shared: &mut Shared) {
        // Nobody asks for the store of one that is not to be replaced.
        shared.voters = Vec::from([(self.voters[0], StoreIncarnation::default())]);
        self.step = if self.voters.len() > 1 { Step::FindStores } else { Step::Done };
    }

    fn next(&mut self, shared: &mut Shared, answer: Answer) -> Option<Step> {
        Some(match (self.step.clone(), answer) {
            (Step::BackUp(number), Answer::Piece { piece: Some(piece), .. }) => {
                self.pieces.push(piece);
                Step::BackUp(number + 1)
            }
            (Step::BackUp(_), Answer::Piece { piece: None, .. }) => Step::Look,
            (Step::Look, Answer::Status(status)) => {
                let recovery = status.lineage.recovery;
                if self.before.is_some_and(|before| before != recovery) {
                    // It has begun, and nobody said so.
                    self.begun(shared);
                    return None;
                }
                self.before = Some(recovery);
                if self.source == Source::Own { Step::Recover } else { Step::Restore(0) }
            }
            // A node that knows of no group yet.
            (Step::Look, Answer::Refused(_)) if self.source == Source::Backup => Step::Restore(0),
            (Step::Restore(number), Answer::Taken) => Step::Restore(number + 1),
            (Step::Restore(_), Answer::Backup { .. }) => Step::Recover,
            (Step::Recover, Answer::Recovered { .. }) => {
                self.begun(shared);
                return None;
            }
            (Step::Recover, Answer::Refused(Refusal::Behind { node })) => {
                let better = shared.number(node).and_then(|host| self.voters.iter().position(|voter| *voter == host));
                self.voters.rotate_left(better.unwrap_or(0));
                return None;
            }
            (Step::Enlarge(voters), Answer::Voters(_)) => {
                shared.voters.extend(voters);
                Step::Done
            }
            (Step::Enlarge(_), _) => Step::FindStores,
            _ => Step::Look,
        })
    }
}

impl Part for Recoveries {
    fn turn(&mut self, shared: &Shared, now: TrueTime, _: bool) -> Turn<Request> {
        let begins = if matches!(self.step, Step::BackUp(_)) { self.backup_at } else { self.at };
        let rest = self.rest_until.max(begins);
        if rest > now && self.step != Step::Done {
            return Turn::Rest(rest);
        }
        let host = self.voters[0];
        match &self.step {
            Step::BackUp(number) => ask(shared.voters[0].0, Question::Backup { number: *number }),
            Step::Look => ask(host, Question::Status),
            Step::Restore(number) => {
                let (number, bytes) = (*number as u32, self.pieces[*number].clone());
                ask(host, Question::Restore { number, bytes })
            }
            Step::Recover => Turn::Ask { host, request: Request::Control(self.request()), timeout: LONG },
            Step::FindStores => {
                let request = Request::Membership(membership::Request::Members);
                Turn::Ask { host, request, timeout: PATIENCE }
            }
            Step::Enlarge(voters) => {
                let add = voters.iter().map(|(host, store)| Voter { node: node_id(*host), store: *store }).collect();
                let request = Request::Control(Question::ChangeVoters { add, remove: Vec::new() });
                Turn::Ask { host, request, timeout: LONG }
            }
            Step::Done => Turn::Done,
        }
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        if let Outcome::Reply(Reply::Membership(membership::Reply::Members(members))) = &outcome {
            let stores = self.voters[1..].iter().map(|host| Some((*host, store_of(members, *host)?)));
            match stores.collect() {
                Some(stores) => self.step = Step::Enlarge(stores),
                None => self.rest_until = now + AGAIN,
            }
            return;
        }
        let before = self.step.clone();
        match answer(outcome) {
            Some(answer) => {
                if let Some(step) = self.next(shared, answer) {
                    self.step = step;
                }
            }
            None if matches!(self.step, Step::BackUp(_)) => {
                (self.step, self.pieces) = (Step::BackUp(0), Vec::new());
            }
            None if matches!(self.step, Step::Enlarge(_) | Step::FindStores) => self.step = Step::FindStores,
            None => self.step = Step::Look,
        }
        let goes_on = matches!(
            (&before, &self.step),
            (Step::BackUp(_), Step::BackUp(_)) | (Step::Restore(_), Step::Restore(_) | Step::Recover)
        );
        if !goes_on {
            self.rest_until = now + AGAIN;
        }
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        (self.step != Step::Done).then(|| format!("another history to begin: {:?}", self.step))
    }
}
