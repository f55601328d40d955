//! What a node says of itself: INCN-1, LEFT-1 (nothing after its good-bye), and what it has described itself as.

use super::{INCN_1, LEFT_1, MeshChecks};
use crate::check::Findings;
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::membership::wire::{Member, Message as Said, News, Rumor};
use relaymesh_core::membership::{Description, Opinion, Status};

/// What a rumor says against a member, or for it.
pub(super) fn opinion_of(rumor: &Rumor) -> Option<&Opinion> {
    match &rumor.news {
        News::Opinion(opinion) => Some(opinion),
        News::Member(_) => None,
    }
}

/// What a host has said of itself.
#[derive(Clone, Debug, Default)]
struct OwnWords {
    /// Which of its processes said it last.
    life: u64,
    /// The highest incarnation of that process.
    incarnation: u64,
    /// The highest number that any earlier process used.
    before: u64,
    /// The last process before its store was lost or damaged: a later one may know nothing of it.
    forgotten: Option<u64>,
    /// Its process that has said good-bye, and at which incarnation.
    good_bye: Option<(u64, u64)>,
    /// Its descriptions of itself, oldest first, with when they were said first.
    descriptions: Vec<(TrueTime, Arc<Description>)>,
}

/// What every host has said of itself.
#[derive(Clone, Debug)]
pub(super) struct Words {
    hosts: Vec<OwnWords>,
}

impl Words {
    pub(super) fn new(nodes: u32) -> Self {
        Self { hosts: vec![OwnWords::default(); nodes as usize] }
    }

    /// The next process of the host cannot know what the lost store knew.
    pub(super) fn store_lost(&mut self, host: u32, life: u64) {
        self.hosts[host as usize].forgotten = Some(life);
    }

    /// What the host has described itself as under that version.
    pub(super) fn description(&self, host: u32, version: u64) -> Option<&Description> {
        let said = self.hosts[host as usize].descriptions.iter().rev();
        said.map(|(_, description)| &**description).find(|description| description.version == version)
    }

    /// The newest version that the host had described itself under by then.
    pub(super) fn version_by(&self, host: u32, then: TrueTime) -> u64 {
        let mut said = self.hosts[host as usize].descriptions.iter().rev();
        said.find(|(at, _)| *at <= then).map_or(0, |(_, description)| description.version)
    }
}

impl MeshChecks {
    pub(super) fn own_words(&mut self, host: u32, said: &Said, found: &mut Findings) {
        if self.truth.has_left(host) {
            self.exercised.left_1 += 1;
            found.fail(LEFT_1, &[host], format!("n{host} has left, and speaks"));
        }
        match said {
            Said::Ping { rumors, .. }
            | Said::Ack { rumors, .. }
            | Said::PingRequest { rumors, .. }
            | Said::Gossip { rumors } => rumors.iter().for_each(|rumor| self.own_rumor(host, rumor, found)),
            Said::SyncDigests { opener, .. } => self.own_member(host, opener, found),
            Said::SyncRows { rows, .. } => {
                let own = rows.iter().find(|row| row.node == node_id(host));
                if let Some(row) = own {
                    self.said_of_itself(host, row.verdict.incarnation.0, found);
                }
            }
            Said::SyncAnswer { opinions, members, .. } => {
                opinions.iter().for_each(|opinion| self.own_opinion(host, opinion, found));
                members.iter().for_each(|member| self.own_member(host, member, found));
            }
            Said::SyncMembers { members, .. } => {
                members.iter().for_each(|member| self.own_member(host, member, found));
            }
            Said::Vouch { .. } | Said::Nack { .. } => {}
        }
    }

    fn own_rumor(&mut self, host: u32, rumor: &Rumor, found: &mut Findings) {
        match &rumor.news {
            News::Opinion(opinion) => self.own_opinion(host, opinion, found),
            News::Member(member) => self.own_member(host, member, found),
        }
    }

    fn own_opinion(&mut self, host: u32, opinion: &Opinion, found: &mut Findings) {
        if opinion.node == node_id(host) && opinion.accuser == opinion.node {
            let incarnation = opinion.verdict.incarnation.0;
            if opinion.verdict.status == Status::Left {
                self.words.hosts[host as usize].good_bye = Some((self.lives[host as usize], incarnation));
            }
            self.said_of_itself(host, incarnation, found);
        }
    }

    fn own_member(&mut self, host: u32, member: &Member, found: &mut Findings) {
        if member.node == node_id(host) {
            self.said_of_itself(host, member.incarnation.0, found);
            self.described_itself(host, &member.description, found.now);
        }
    }

    fn said_of_itself(&mut self, host: u32, incarnation: u64, found: &mut Findings) {
        self.exercised.incn_1 += 1;
        let life = self.lives[host as usize];
        let said = &mut self.words.hosts[host as usize];
        if said.life != life {
            if said.forgotten.is_some_and(|last| last < life) {
                *said = OwnWords::default();
            }
            (said.before, said.life, said.incarnation) = (said.before.max(said.incarnation), life, incarnation);
        }
        if incarnation <= said.before {
            let detail = format!(
                "n{host} says it is at incarnation {incarnation}, where an earlier process was at {}",
                said.before
            );
            return found.fail(INCN_1, &[host], detail);
        }
        if let Some((_, at)) = said.good_bye.filter(|(left, at)| *left == life && *at < incarnation) {
            let detail = format!("n{host} says it is at incarnation {incarnation}, after its good-bye at {at}");
            return found.fail(LEFT_1, &[host], detail);
        }
        // Within one life an older word may still be on its way after a newer one.
        said.incarnation = said.incarnation.max(incarnation);
    }

    fn described_itself(&mut self, host: u32, description: &Arc<Description>, now: TrueTime) {
        let said = &mut self.words.hosts[host as usize].descriptions;
        if said.last().is_none_or(|(_, last)| last.version < description.version) {
            said.push((now, Arc::clone(description)));
            self.packets.news(now);
        }
    }
}
