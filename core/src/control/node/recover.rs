//! Another history begins, by an explicit act of an operator: from what is left here of a group whose quorum is lost, or
//! from a backup (rules C3 to C9).
//!
//! The node first asks every member of the mesh for the newest cluster epoch that it has ever stored, and for where its
//! copy or its log ends. After a while it begins the new history: under an epoch above all that it has heard, with itself
//! as the only voter. Others are added by the operator; members of the lost group that hear of the new one give their old
//! seat up. What nobody answers in time nobody waits for: the operator is told who answered.
//!
//! Absent on purpose: whether the quorum is really lost. If this node or one that answers hears of a leader, it refuses;
//! beyond that the operator vouches for it.

use super::desk::Purpose;
use super::forward::Who;
use super::machine::{Action, Control};
use super::observation::HistoryObservation;
use super::view::{Recovery, Refusal, Reply, Source};
use super::wire::{Message, Surveyed};
use crate::control::group::{self, Voter};
use crate::control::state::{At, Bump, Entry, LeaderCommand, RecoveryId, State};
use crate::epoch::ClusterEpoch;
use crate::identity::NodeId;
use crate::machine::{Ctx, Sink};
use crate::time::{Duration, Time};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Indices and terms below this leave room for every entry that will ever be.
const NUMBER_MAX: u64 = 1 << 61;

/// Answers remembered, at most: as many members as a mesh may have.
const ANSWERS_MAX: usize = 4_096;

/// A survey under way.
#[derive(Clone, Debug)]
struct Survey {
    who: Who,
    number: u64,
    recovery: Recovery,
    until: Time,
    answers: BTreeMap<NodeId, Surveyed>,
}

/// Recoveries of this node.
#[derive(Clone, Debug, Default)]
pub(super) struct Recovering {
    last: u64,
    survey: Option<Survey>,
    /// What is to be said once it has begun.
    begun: Option<Reply>,
    /// The newest cluster epoch that any part of this node has stored.
    stored: ClusterEpoch,
}

impl Recovering {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.survey.as_ref().map(|survey| survey.until)
    }
}

impl Control {
    /// A part of this node has stored something under that epoch, or is about to within this event.
    pub fn stores_epoch(&mut self, epoch: ClusterEpoch) {
        self.recovering.stored = self.recovering.stored.max(epoch);
    }

    /// An operator wants another history.
    pub(super) fn begin_recovery(
        &mut self,
        now: Time,
        who: Who,
        recovery: Recovery,
        out: &mut impl Sink<Action>,
    ) -> Result<(), Refusal> {
        self.may_recover(now, &recovery)?;
        if self.recovering.survey.is_some() {
            return Err(Refusal::Group(group::Refusal::Busy));
        }
        self.recovering.last += 1;
        let (number, until) = (self.recovering.last, now.saturating_add(self.settings.survey_time()));
        self.recovering.survey = Some(Survey { who, number, recovery, until, answers: BTreeMap::new() });
        out.push(Action::Announce(Message::Survey { number }));
        Ok(())
    }

    fn may_recover(&self, now: Time, recovery: &Recovery) -> Result<(), Refusal> {
        if let Some(leader) = self.leader.filter(|_| self.hears_leader(now)) {
            return Err(Refusal::Led { leader });
        }
        match recovery.source {
            Source::Own if self.state().is_none() => Err(Refusal::NotMember),
            Source::Backup if !self.backup.is_complete() => Err(Refusal::NoBackup),
            Source::Own | Source::Backup => Ok(()),
        }
    }

    /// Somebody is about to recover.
    pub(super) fn asked_for_survey(&mut self, now: Time, to: NodeId, number: u64, out: &mut impl Sink<Action>) {
        let leader = self.leader.filter(|_| self.hears_leader(now));
        let survey = Surveyed { stored: self.newest_epoch(), last: self.last_known(), leader };
        self.send(to, Message::Surveyed { number, survey }, out);
    }

    pub(super) fn surveyed(&mut self, from: NodeId, number: u64, answer: Surveyed) {
        let survey = self.recovering.survey.as_mut().filter(|survey| survey.number == number);
        if let Some(survey) = survey.filter(|survey| survey.answers.len() < ANSWERS_MAX) {
            survey.answers.insert(from, answer);
        }
    }

    /// Whoever is there has answered.
    pub(super) fn end_survey(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        let Some(survey) = self.recovering.survey.take_if(|survey| survey.until <= ctx.now) else { return };
        let who = survey.who;
        if let Err(why) = self.recover(ctx, survey, out) {
            self.reply(who, Reply::Refused(why), out);
        }
    }

    /// The history has begun, or cannot. What is said of it waits for its records.
    pub(super) fn has_recovered(
        &mut self,
        who: Who,
        has_begun: Result<(), group::Refusal>,
        out: &mut impl Sink<Action>,
    ) {
        let begun = self.recovering.begun.take().unwrap_or(Reply::Refused(Refusal::Unknown));
        self.reply(who, has_begun.map_or_else(|why| Reply::Refused(Refusal::Group(why)), |()| begun), out);
    }

    fn recover(&mut self, ctx: &mut Ctx<'_>, survey: Survey, out: &mut impl Sink<Action>) -> Result<(), Refusal> {
        let Survey { who, recovery: Recovery { source, above, reason, actor }, answers, .. } = survey;
        self.may_recover(ctx.now, &Recovery { source, above, reason, actor })?;
        if let Some(leader) = answers.values().find_map(|answer| answer.leader) {
            return Err(Refusal::Led { leader });
        }
        let Some(life) = self.life else { return Err(Refusal::NotStarted) };
        let (last, mut state) = match source {
            Source::Own => self.whole_state()?.ok_or(Refusal::NotMember)?,
            Source::Backup => self.backup.take().map(|state| (state.at(), state)).ok_or(Refusal::NoBackup)?,
        };
        let ahead =
            answers.iter().max_by_key(|(_, answer)| answer.last).filter(|(_, answer)| answer.last > order(last));
        if let (Source::Own, Some((node, _))) = (source, ahead) {
            return Err(Refusal::Behind { node: *node });
        }
        let heard = answers.values().map(|answer| answer.stored).max().unwrap_or_default();
        let newest = heard.max(above).max(self.newest_epoch()).max(state.cluster_epoch());
        let epoch = newest.0.checked_add(1).map(ClusterEpoch).ok_or(Refusal::NoNumberLeft)?;
        let id = RecoveryId(ctx.below(u64::MAX));
        let nonce = (u128::from(ctx.below(u64::MAX)) << 64) | u128::from(ctx.below(u64::MAX));

        let heard = answers.values().map(|answer| answer.last.0).max().unwrap_or(0);
        let at = At { index: next(last.index)?, term: next(last.term.max(heard))? };
        let bump = Bump { index: at.index, epoch, by: life.node, reason, actor };
        // Above every epoch known, under an id just drawn, it is refused for nothing.
        state.recover(bump, id).map_err(|_| Refusal::NoNumberLeft)?;
        let voter = Voter { node: life.node, store: life.store };
        let record = LeaderCommand::RecordVoters { members: [(voter.node, voter.store)].into() };
        let entry = (Entry::Leader { term: at.term, command: record }).to_bytes().map_err(|_| Refusal::NotMember)?;
        state.apply(at, &entry, self.speaks(), &mut Vec::new()).map_err(|_| Refusal::Group(group::Refusal::Halted))?;

        let lineage = state.lineage();
        let voters = BTreeSet::from([voter]);
        let founding = group::Founding { nonce, voters, state, at, is_recovery: true };
        let ticket = self.desk.ticket(Purpose::Recovery(who));
        self.inbox.group(group::Event::Found(ticket, Box::new(founding)));
        self.stop_following();
        let (epoch, recovery) = (lineage.epoch.0, lineage.recovery.0);
        out.push(Action::Observe(HistoryObservation::Recovered { epoch, recovery, index: at.index }.into()));
        let answered = answers.into_keys().collect();
        self.recovering.begun = Some(Reply::Recovered { lineage, at: at.index, answered });
        Ok(())
    }

    /// The state with all that this node has of the log, committed or not, and where that ends: what was acknowledged may
    /// be in there.
    fn whole_state(&self) -> Result<Option<(At, State)>, Refusal> {
        let copy = self.following.copy().map(|copy| (copy.at(), copy));
        let log = self.group.last();
        if let Some((at, copy)) = copy.filter(|(at, _)| log.is_none_or(|log| order(log) < order(*at))) {
            return Ok(Some((at, copy.clone())));
        }
        self.group.end_of_log().map_err(|_| Refusal::Group(group::Refusal::Halted))
    }

    /// Where what this node has ends.
    fn last_known(&self) -> (u64, u64) {
        let copy = self.following.copy().map(State::at);
        self.group.last().into_iter().chain(copy).map(order).max().unwrap_or_default()
    }

    fn newest_epoch(&self) -> ClusterEpoch {
        let states = self.following.copy().into_iter().chain(self.group.state());
        states.map(State::cluster_epoch).max().unwrap_or_default().max(self.recovering.stored)
    }
}

/// The number after that one. What a peer or a backup says may be anything.
fn next(number: u64) -> Result<u64, Refusal> {
    Some(number).filter(|number| *number < NUMBER_MAX).map(|number| number + 1).ok_or(Refusal::NoNumberLeft)
}

/// The later term has more of what was committed, and within one term the longer log (Raft §5.4.1).
fn order(at: At) -> (u64, u64) {
    (at.term, at.index)
}

impl super::Settings {
    /// How long the members of the mesh have to answer a survey.
    pub const fn survey_time(&self) -> Duration {
        self.follow_timeout()
    }
}
