//! How long suspicions last: no longer than those who confirm them allow (SUSP-1), and no shorter (SUSP-2), stops of the
//! process not counted (PAUS-1).
//!
//! What was delivered to a node tells who has accused whom before it. Two counts of accusers bound the true one. Those that
//! *count* are certain: the accuser was alive to the node, and the suspicion had begun before the message came. Those that
//! were *heard* are all that could count, believed or not. The timer is the node's own affair, so only what stops or slows
//! its process excuses it.

use super::patience::{longest, shortest};
use super::words::opinion_of;
use super::{HOLD_3, MeshChecks, PAUS_1, SUSP_1, SUSP_2};
use crate::check::Findings;
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::identity::NodeId;
use relaymesh_core::membership::wire::Message as Said;
use relaymesh_core::membership::{Opinion, Status, suspicion};
use relaymesh_core::time::Duration;

/// Clocks and the truth round differently, by less than this.
const SLACK: Duration = Duration::from_millis(5);
/// What a stop may take from a suspect, in intervals of probing besides the probe's timeout: the first deadline that a
/// node can miss is that of an exchange, and that is no further away, as long as the suspicion is younger than one.
const LOST_ROUNDS_MAX: u64 = 3;

/// A suspicion, as one node has it.
#[derive(Clone, Debug)]
struct Suspected {
    incarnation: u64,
    began: TrueTime,
    counted: Vec<NodeId>,
    heard: Vec<NodeId>,
    /// Whether somebody else's suspicion has run out already, which makes this one as short as it gets.
    is_overdue: bool,
    /// Not before then, since the last accuser came so late: others are asked for a last word.
    not_before: TrueTime,
    due: TrueTime,
}

/// Something that a message says against a member.
#[derive(Clone, Copy, Debug)]
struct Accusation {
    subject: u32,
    incarnation: u64,
    status: Status,
    accuser: NodeId,
    /// Whether it is sure to be weighed.
    is_certain: bool,
}

/// The suspicions under way.
#[derive(Clone, Debug)]
pub(super) struct Suspicions {
    /// By who suspects, and whom.
    under_way: BTreeMap<(u32, u32), Suspected>,
    due: BTreeSet<(TrueTime, u32, u32)>,
    /// What the last message says, to whom and when.
    last: (u32, TrueTime),
    said: Vec<Accusation>,
    /// Who has ceased to count, to whom, and when, where it is yet to be seen why.
    ceased: Vec<(u32, u32, TrueTime)>,
    /// Members of each view, now and at the fewest since it had a suspect.
    members: Vec<(u32, u32)>,
    suspects: Vec<u32>,
    /// Whoever says good-bye does nothing else any more.
    is_leaving: Vec<bool>,
}

impl Suspicions {
    pub(super) fn new(nodes: u32) -> Self {
        let count = nodes as usize;
        Self {
            under_way: BTreeMap::new(),
            due: BTreeSet::new(),
            last: (0, TrueTime(0)),
            said: Vec::new(),
            ceased: Vec::new(),
            members: vec![(1, 1); count],
            suspects: vec![0; count],
            is_leaving: vec![false; count],
        }
    }

    /// A process begins or ends, and suspects nobody.
    pub(super) fn reset(&mut self, host: u32) {
        let ended: Vec<_> = self.under_way.range((host, 0)..(host + 1, 0)).map(|(pair, _)| *pair).collect();
        ended.into_iter().for_each(|(host, subject)| self.forgotten(host, subject));
        self.members[host as usize] = (1, 1);
        self.is_leaving[host as usize] = false;
        self.refused(host);
    }

    pub(super) fn leaving(&mut self, host: u32) {
        self.reset(host);
        self.is_leaving[host as usize] = true;
    }

    /// The node does not look at the message that came last.
    pub(super) fn refused(&mut self, host: u32) {
        if self.last.0 == host {
            self.said.clear();
        }
    }

    pub(super) fn members_seen(&mut self, host: u32, members: u32) {
        let fewest = match self.suspects[host as usize] {
            0 => members,
            _ => members.min(self.members[host as usize].1),
        };
        self.members[host as usize] = (members, fewest);
    }

    /// Whether `host` says good-bye.
    pub(super) fn is_leaving(&self, host: u32) -> bool {
        self.is_leaving[host as usize]
    }

    /// Members that `host` has told operators of.
    pub(super) fn members_of(&self, host: u32) -> u32 {
        self.members[host as usize].0
    }

    /// `subject` does not count as alive to `host` any more.
    pub(super) fn ceases(&mut self, host: u32, subject: u32, now: TrueTime) {
        self.ceased.push((host, subject, now));
    }

    /// `host` remembers nothing of `subject`.
    pub(super) fn forgotten(&mut self, host: u32, subject: u32) {
        self.remove(host, subject);
    }

    fn remove(&mut self, host: u32, subject: u32) -> Option<Suspected> {
        let suspected = self.under_way.remove(&(host, subject))?;
        self.due.remove(&(suspected.due, host, subject));
        self.suspects[host as usize] -= 1;
        Some(suspected)
    }

    fn insert(&mut self, host: u32, subject: u32, suspected: Suspected) {
        self.due.insert((suspected.due, host, subject));
        self.suspects[host as usize] += 1;
        self.under_way.insert((host, subject), suspected);
    }
}

impl MeshChecks {
    /// What a message says against members. Whether the node looks at it, it says at once.
    pub(super) fn accusations_heard(&mut self, host: u32, said: &Said, found: &mut Findings) {
        self.settle_accusations();
        self.look_at_standings(found);
        self.look_at_suspicions(found);
        self.suspicions.last = (host, found.now);
        match said {
            Said::Ping { rumors, .. }
            | Said::Ack { rumors, .. }
            | Said::PingRequest { rumors, .. }
            | Said::Gossip { rumors } => {
                rumors.iter().filter_map(opinion_of).for_each(|opinion| self.accusation_heard(opinion, true));
            }
            // The rows of an exchange that is over are not looked at.
            Said::SyncRows { rows, .. } => rows.iter().for_each(|row| {
                let accuser = row.accuser.unwrap_or(row.node);
                self.accusation_heard(&Opinion { node: row.node, verdict: row.verdict, accuser }, false);
            }),
            Said::SyncAnswer { opinions, .. } => {
                opinions.iter().for_each(|opinion| self.accusation_heard(opinion, true));
            }
            Said::SyncDigests { .. } | Said::SyncMembers { .. } | Said::Vouch { .. } | Said::Nack { .. } => {}
        }
    }

    fn accusation_heard(&mut self, opinion: &Opinion, is_certain: bool) {
        let (status, incarnation) = (opinion.verdict.status, opinion.verdict.incarnation.0);
        if !matches!(status, Status::Suspect | Status::Dead) {
            return;
        }
        let Some(subject) = self.number(opinion.node) else { return };
        let host = self.suspicions.last.0;
        let of_the_same = |it: &Suspected| it.incarnation == incarnation;
        let has_begun = self.suspicions.under_way.get(&(host, subject)).is_some_and(of_the_same);
        let is_certain = is_certain && has_begun && status == Status::Suspect;
        let accuser = opinion.accuser;
        self.suspicions.said.push(Accusation { subject, incarnation, status, accuser, is_certain });
    }

    /// The node has looked at the message that came last, and shown what followed.
    fn settle_accusations(&mut self) {
        let (host, at) = self.suspicions.last;
        for accusation in core::mem::take(&mut self.suspicions.said) {
            let Accusation { subject, incarnation, status, accuser, .. } = accusation;
            let Some(it) = self.suspicions.under_way.get_mut(&(host, subject)) else { continue };
            if incarnation < it.incarnation {
                continue;
            }
            if incarnation > it.incarnation {
                // It may suspect the later incarnation from now on, which nobody is told.
                self.suspicions.remove(host, subject);
                continue;
            }
            it.is_overdue |= status == Status::Dead;
            if !it.heard.contains(&accuser) {
                it.heard.push(accuser);
            }
            let had_begun = it.began < at;
            if accusation.is_certain
                && had_begun
                && self.was_alive_all_along(host, accuser, at)
                && let Some(mut it) = self.suspicions.remove(host, subject)
            {
                self.count_accuser(host, subject, &mut it, accuser, at);
                self.suspicions.insert(host, subject, it);
            }
        }
    }

    /// Likewise, unless `host` may be looking at that message now.
    fn settle_earlier(&mut self, host: u32, now: TrueTime) {
        if self.suspicions.last != (host, now) {
            self.settle_accusations();
        }
    }

    /// An accuser that was alive to `host` before and after a message is believed about a suspicion that had begun.
    fn was_alive_all_along(&self, host: u32, accuser: NodeId, at: TrueTime) -> bool {
        let held = self.number(accuser).map(|accuser| self.views.get(host, accuser));
        held.is_some_and(|held| held.status == Some(Status::Alive) && held.since < at)
    }

    fn count_accuser(&self, host: u32, subject: u32, it: &mut Suspected, accuser: NodeId, at: TrueTime) {
        debug_assert_ne!(host, subject, "nobody suspects itself");
        let countable = self.settings.confirmations as usize + 1;
        if it.counted.len() < countable && !it.counted.contains(&accuser) {
            it.counted.push(accuser);
            it.not_before = at + self.settings.gossip_interval + SLACK;
            it.due = self.suspicion_is_due(host, it);
        }
    }

    fn suspicion_is_due(&self, host: u32, it: &Suspected) -> TrueTime {
        // Others are asked for a last word.
        let lasts = longest(it.counted.len(), self.sizes(host), &self.settings) + self.settings.gossip_interval;
        (it.began + self.truth.at_most(host, lasts, self.clock_ppb) + SLACK).max(it.not_before)
    }

    /// The fewest and the most members that `host` has held since it has had suspects.
    fn sizes(&self, host: u32) -> (u32, u32) {
        let most = self.truth.members();
        (self.suspicions.members[host as usize].1.clamp(1, most), most)
    }

    /// A probe of `subject` has failed, which `host` takes for an accusation of its own.
    pub(super) fn accuses_itself(&mut self, host: u32, subject: u32, now: TrueTime) {
        self.settle_earlier(host, now);
        if let Some(mut it) = self.suspicions.remove(host, subject) {
            let own = node_id(host);
            if !it.heard.contains(&own) {
                it.heard.push(own);
            }
            self.count_accuser(host, subject, &mut it, own, now);
            self.suspicions.insert(host, subject, it);
        }
    }

    /// `observer` holds `subject` to be something else than before.
    pub(super) fn suspicion_changes(
        &mut self,
        (observer, subject): (u32, u32),
        (status, incarnation): (Status, u64),
        accuser: NodeId,
        found: &mut Findings,
    ) {
        self.settle_earlier(observer, found.now);
        let is_told = self.suspicions.last == (observer, found.now);
        let is_told = is_told && self.suspicions.said.iter().any(|said| said.subject == subject);
        if let Some(mut it) = self.suspicions.remove(observer, subject) {
            self.exercised.susp_1 += u64::from(it.counted.len() > 1);
            self.exercised.paus_1 += u64::from(self.stop_while_young(observer, &it).is_some());
            // What is left of what was said, the observer is looking at now.
            let heard = self.suspicions.said.iter().filter(|said| said.subject == subject);
            it.is_overdue |= heard.clone().any(|said| said.status == Status::Dead);
            it.heard.extend(heard.map(|said| said.accuser));
            it.heard.sort_unstable();
            it.heard.dedup();
            if status == Status::Dead && accuser == node_id(observer) {
                self.check_not_too_short(observer, subject, &it, found);
            }
        }
        if status == Status::Suspect && !self.suspicions.is_leaving[observer as usize] {
            let (began, accusers) = (found.now, vec![accuser]);
            let mut it = Suspected {
                incarnation,
                began,
                counted: accusers.clone(),
                heard: accusers,
                is_overdue: false,
                not_before: began,
                due: began,
            };
            it.due = self.suspicion_is_due(observer, &it);
            self.suspicions.insert(observer, subject, it);
            if is_told && accuser != node_id(observer) {
                self.jury_is_drawn(observer, subject, found);
            }
        }
    }

    /// When the observer was stopped and went on, if it was so once since the suspicion began, and soon after it did.
    fn stop_while_young(&self, observer: u32, it: &Suspected) -> Option<(TrueTime, TrueTime)> {
        let young = it.began + self.settings.probe_interval;
        self.truth.only_stop_since(observer, it.began).filter(|(stopped_at, _)| *stopped_at <= young)
    }

    /// SUSP-2, and PAUS-1 where the observer was stopped meanwhile: the suspect had as long as it was to have.
    fn check_not_too_short(&mut self, observer: u32, subject: u32, it: &Suspected, found: &mut Findings) {
        let sizes = self.sizes(observer);
        let span = match it.is_overdue {
            true => suspicion::shortest(sizes.0, &self.settings),
            false => shortest(it.heard.len(), sizes, &self.settings),
        };
        let least = self.truth.at_least(observer, span, self.clock_ppb);
        let lasted = found.now.since(it.began);
        if self.truth.keeps_time_since(observer, self.before(it.began, self.settings.probe_interval)) {
            self.exercised.susp_2 += 1;
            if lasted + SLACK < least {
                let detail = format!(
                    "n{observer} takes n{subject} for dead after suspecting it for {lasted}, where {least} are to pass \
                     with at most {} accusers",
                    it.heard.len()
                );
                found.fail(SUSP_2, &[observer, subject], detail);
            }
            return;
        }
        let Some((stopped_at, went_on_at)) = self.stop_while_young(observer, it) else { return };
        let lost = self.settings.probe_interval.saturating_mul(LOST_ROUNDS_MAX) + self.settings.probe_timeout;
        let ran = lasted.saturating_sub(went_on_at.since(stopped_at));
        if ran + lost + SLACK < least {
            let detail = format!(
                "n{observer} takes n{subject} for dead after suspecting it for {ran} in which it ran, where {least} are to pass"
            );
            found.fail(PAUS_1, &[observer, subject], detail);
        }
    }

    /// HOLD-3: whoever is not dead has ceased to count because several accuse it.
    fn look_at_standings(&mut self, found: &mut Findings) {
        for (host, subject, at) in core::mem::take(&mut self.suspicions.ceased) {
            let Some(it) = self.suspicions.under_way.get(&(host, subject)).filter(|it| it.began <= at) else {
                continue;
            };
            let (fewest, _) = self.sizes(host);
            self.exercised.hold_3 += 1;
            if it.heard.len() < 2 && fewest > 2 {
                let detail =
                    format!("n{host} does not count n{subject} any more, which {} has accused", it.heard.len());
                found.fail(HOLD_3, &[host, subject], detail);
            }
        }
    }

    /// SUSP-1: what has lasted for as long as it may is over.
    pub(super) fn look_at_suspicions(&mut self, found: &mut Findings) {
        while let Some((_, host, subject)) = self.suspicions.due.first().copied().filter(|(due, ..)| *due < found.now) {
            let Some(mut it) = self.suspicions.remove(host, subject) else { return };
            let since = self.before(it.began, self.settings.probe_interval);
            let due = match self.truth.stopped_since(host, since) {
                Some(Duration::ZERO) => self.suspicion_is_due(host, &it),
                // The suspect gets the time back; and until its process has gone on, nothing is due.
                Some(stopped) => self.suspicion_is_due(host, &it) + stopped + self.settings.probe_interval,
                None if self.truth.is_stopped(host) => found.now + self.settings.probe_interval,
                None => continue,
            };
            if due > it.due && due >= found.now {
                it.due = due;
                self.suspicions.insert(host, subject, it);
                continue;
            }
            self.exercised.susp_1 += 1;
            let (lasted, accusers) = (found.now.since(it.began), it.counted.len());
            let detail = format!("n{host} has suspected n{subject} for {lasted}, with {accusers} accusers");
            found.fail(SUSP_1, &[host, subject], detail);
        }
    }

    /// At the end of the run.
    pub(super) fn finish_suspicions(&mut self, found: &mut Findings) {
        self.settle_accusations();
        self.look_at_standings(found);
        self.look_at_suspicions(found);
    }
}
