//! What a node owes to others, whatever comes of it: who is accused hears so (TOLD-1), who has lost its standing accuses
//! nobody (ACCU-1), who hears of a suspicion looks for itself (JURY-1), and the dead are asked now and then (PROB-4).

use super::{ACCU_1, JURY_1, MeshChecks, PROB_4, TOLD_1};
use crate::check::Findings;
use crate::mesh::views::Held;
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::identity::NodeId;
use relaymesh_core::membership::wire::{Message as Said, News, Rumor};
use relaymesh_core::membership::{Opinion, Status};
use relaymesh_core::time::Duration;

/// Clocks and the truth round differently, by less than this.
const SLACK: Duration = Duration::from_millis(5);
/// So rarely it may happen that nobody is drawn for a jury.
const UNDRAWN_MAX: f64 = 1e-9;
/// Nodes that look for the missing as often as the settings say; in a larger mesh each does so more rarely.
const SEEKERS: u32 = 16;

/// How one node looks for the dead.
#[derive(Clone, Copy, Debug, Default)]
struct Search {
    /// Those that it holds dead.
    dead: u32,
    /// When it last asked one of them, or held none.
    asked_at: TrueTime,
    due: TrueTime,
}

/// What is owed, and to whom.
#[derive(Clone, Debug)]
pub(super) struct Duties {
    /// Who has just heard of a suspicion, of whom, when, and with what chance it looks for itself.
    drawn: Vec<(u32, u32, TrueTime, f64)>,
    /// The chance that none of those who have not looked since somebody last did was drawn.
    undrawn: f64,
    searches: Vec<Search>,
    due: BTreeSet<(TrueTime, u32)>,
}

impl Duties {
    pub(super) fn new(nodes: u32) -> Self {
        let searches = vec![Search::default(); nodes as usize];
        Self { drawn: Vec::new(), undrawn: 1.0, searches, due: BTreeSet::new() }
    }

    /// A process begins or ends, or says good-bye.
    pub(super) fn reset(&mut self, host: u32) {
        let it = core::mem::take(&mut self.searches[host as usize]);
        self.due.remove(&(it.due, host));
        self.drawn.retain(|(by, ..)| *by != host);
    }
}

impl MeshChecks {
    /// TOLD-1: whoever is suspected, or held dead, hears so in whatever a datagram brings it (Lifeguard §IV-C).
    pub(super) fn check_buddy(&mut self, host: u32, to: u32, said: &Said, found: &mut Findings) {
        let (Said::Ping { rumors, .. }
        | Said::Ack { rumors, .. }
        | Said::PingRequest { rumors, .. }
        | Said::Gossip { rumors }) = said
        else {
            return;
        };
        let held = self.views.get(host, to);
        let Some(status) = held.status.filter(|status| matches!(status, Status::Suspect | Status::Dead)) else {
            return;
        };
        self.exercised.told_1 += 1;
        let node = node_id(to);
        let tells = |rumor: &Rumor| match &rumor.news {
            News::Opinion(Opinion { node: of, verdict, .. }) => {
                *of == node && verdict.status == status && verdict.incarnation.0 >= held.incarnation
            }
            News::Member(_) => false,
        };
        if !rumors.iter().any(tells) {
            let detail = format!("n{host} holds n{to} {}, and says something else to it", status.name());
            found.fail(TOLD_1, &[host, to], detail);
        }
    }

    /// ACCU-1: the word of an accuser counts while it is a member in good standing; afterwards it may confirm what others
    /// have begun, while it is alive.
    pub(super) fn check_accuser(
        &mut self,
        (observer, subject): (u32, u32),
        status: Status,
        accuser: NodeId,
        found: &mut Findings,
    ) {
        let Some(accuser) = self.number(accuser).filter(|accuser| *accuser != observer) else { return };
        if !matches!(status, Status::Suspect | Status::Dead) {
            return;
        }
        self.exercised.accu_1 += 1;
        let has_begun = self.views.get(observer, subject).status == Some(Status::Suspect);
        let Held { status: standing, is_suppressed, .. } = self.views.get(observer, accuser);
        let is_good = standing.is_some_and(Status::is_member) && !is_suppressed;
        let confirms = has_begun && standing == Some(Status::Alive);
        if !is_good && !confirms {
            let detail = format!(
                "n{observer} takes n{subject} to be {} on the word of n{accuser}, which has lost its standing",
                status.name()
            );
            found.fail(ACCU_1, &[observer, subject, accuser], detail);
        }
    }

    /// `observer` has heard that `subject` is suspected: it looks for itself, if it is drawn and does not do so already.
    pub(super) fn jury_is_drawn(&mut self, observer: u32, subject: u32, found: &mut Findings) {
        if !self.may_serve(observer, subject, found.now) {
            return;
        }
        // It may be back from the dead by this very word, and count as one more.
        let members = self.suspicions.members_of(observer) + 1;
        let chance = (f64::from(self.settings.jurors) / f64::from(members)).min(1.0);
        self.duties.drawn.push((observer, subject, found.now, chance));
    }

    /// `host` asks `to` whether it is there.
    pub(super) fn looks_for_itself(&mut self, host: u32, to: u32, now: TrueTime) {
        let is_it = |it: &(u32, u32, TrueTime, f64)| (it.0, it.1, it.2) == (host, to, now);
        if let Some(at) = self.duties.drawn.iter().position(is_it) {
            self.duties.drawn.swap_remove(at);
            self.duties.undrawn = 1.0;
            self.exercised.jury_1 += 1;
        }
        if self.views.get(host, to).status == Some(Status::Dead) {
            self.exercised.prob_4 += 1;
            self.search_again(host, now);
        }
    }

    /// JURY-1: of those who hear of a suspicion, some look for themselves.
    pub(super) fn look_at_duties(&mut self, found: &mut Findings) {
        while let Some(at) = self.duties.drawn.iter().position(|(.., at, _)| *at < found.now) {
            let (observer, subject, _, chance) = self.duties.drawn.swap_remove(at);
            self.exercised.jury_1 += 1;
            self.duties.undrawn *= 1.0 - chance;
            if self.duties.undrawn < UNDRAWN_MAX {
                self.duties.undrawn = 1.0;
                let detail =
                    format!("n{observer}, like others before, heard that n{subject} is suspected, and did not look");
                found.fail(JURY_1, &[observer, subject], detail);
            }
        }
        self.look_at_searches(found);
    }

    /// `observer` comes to hold somebody dead, or not any more.
    pub(super) fn dead_counted(&mut self, observer: u32, was_dead: bool, is_dead: bool, now: TrueTime) {
        let it = &mut self.duties.searches[observer as usize];
        match (was_dead, is_dead) {
            (false, true) => it.dead += 1,
            (true, false) => it.dead = it.dead.saturating_sub(1),
            _ => return,
        }
        if it.dead == 0 {
            self.duties.due.remove(&(it.due, observer));
        } else if it.dead == 1 && is_dead {
            self.search_again(observer, now);
        }
    }

    fn search_again(&mut self, host: u32, asked_at: TrueTime) {
        let due = self.search_is_due(host, asked_at);
        let it = &mut self.duties.searches[host as usize];
        self.duties.due.remove(&(it.due, host));
        (it.asked_at, it.due) = (asked_at, due);
        self.duties.due.insert((due, host));
    }

    /// The next search comes within one pause and a half, which grows with the mesh. The clock may slow down meanwhile.
    fn search_is_due(&self, host: u32, asked_at: TrueTime) -> TrueTime {
        let share = u64::from(self.truth.members() / SEEKERS + 1);
        let pause = self.settings.dead_probe_interval.saturating_mul(share);
        let longest = Duration::from_nanos(pause.as_nanos() / 2 * 3);
        asked_at + self.truth.at_most(host, longest, self.clock_ppb) + SLACK
    }

    /// PROB-4: whoever holds somebody dead asks one of those now and then.
    fn look_at_searches(&mut self, found: &mut Findings) {
        while let Some((_, host)) = self.duties.due.first().copied().filter(|(due, _)| *due < found.now) {
            let since = self.duties.searches[host as usize].asked_at;
            if self.search_is_due(host, since) >= found.now {
                self.search_again(host, since);
                continue;
            }
            let in_time = self.truth.keeps_time_since(host, self.before(since, self.settings.probe_interval));
            self.search_again(host, found.now);
            if in_time && self.truth.is_up(host) && !self.suspicions.is_leaving(host) {
                let detail = format!("n{host} has asked none of the dead for {}", found.now.since(since));
                found.fail(PROB_4, &[host], detail);
            }
        }
    }
}
