//! What nodes answer when they are asked who is there: DESC-1, and that it is what they let operators see.

use super::bounds::repair_bound;
use super::{DESC_1, HOLD_2, MEMB_3, MeshChecks, PROB_1, VIEW_1};
use crate::check::Findings;
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::identity::NodeId;
use relaymesh_core::membership::{Description, Link, MemberView, Status};
use relaymesh_core::time::Duration;

/// An answer is under way to whoever asked for so long that a change in between is no contradiction.
const ANSWER_TAKES: Duration = Duration::from_millis(1);

/// What one node has answered.
#[derive(Clone, Debug)]
struct Answer {
    at: TrueTime,
    members: Vec<MemberView>,
}

/// What nodes have answered, and what they are called.
#[derive(Clone, Debug)]
pub(super) struct Audit {
    /// The last answer of each process.
    answers: BTreeMap<u32, Answer>,
    /// What each node may be called, and since when.
    names: Vec<(TrueTime, Vec<Box<str>>)>,
}

/// What a node is called until an operator calls it otherwise.
fn first_name(host: u32) -> Box<str> {
    format!("n{host}").into()
}

impl Audit {
    pub(super) fn new(nodes: u32) -> Self {
        let names = (0..nodes).map(|host| (TrueTime(0), vec![first_name(host)])).collect();
        Self { answers: BTreeMap::new(), names }
    }

    /// A new process begins.
    pub(super) fn booted(&mut self, host: u32, now: TrueTime) {
        self.answers.remove(&host);
        self.names[host as usize] = (now, vec![first_name(host)]);
    }

    /// An operator gives the node a name. Until it answers, it may be called so.
    pub(super) fn renaming(&mut self, host: u32, name: &str, now: TrueTime) {
        let (since, names) = &mut self.names[host as usize];
        *since = now;
        names.push(name.into());
    }

    /// The node goes by that name now.
    pub(super) fn renamed(&mut self, host: u32, name: &str, now: TrueTime) {
        self.names[host as usize] = (now, vec![name.into()]);
    }
}

impl MeshChecks {
    /// A node has answered who is there.
    pub(super) fn members_answered(&mut self, host: u32, members: &[MemberView], found: &mut Findings) {
        self.exercised.view_1 += 1;
        if members.len() as u32 > self.settings.bounds.members.min(self.nodes_beside(host)) {
            found.fail(VIEW_1, &[host], format!("n{host} shows {} members", members.len()));
        }
        for it in members {
            self.check_row(host, it, found);
        }
        if self.truth.is_up(host) {
            self.audit.answers.insert(host, Answer { at: found.now, members: members.to_vec() });
        }
    }

    /// As many nodes as belong to the cluster of `host`.
    fn nodes_beside(&self, host: u32) -> u32 {
        let members = self.truth.members();
        if self.truth.is_of_cluster(host) { members } else { self.numbers.len() as u32 - members }
    }

    /// What a node answers is what it lets operators see.
    fn check_row(&mut self, host: u32, it: &MemberView, found: &mut Findings) {
        let Some(subject) = self.number(it.node).filter(|subject| *subject != host) else { return };
        let held = self.views.get(host, subject);
        if found.now.since(held.since.max(held.suppressed_at)) <= ANSWER_TAKES {
            return;
        }
        self.exercised.memb_3 += 1;
        if held.status != Some(it.status) {
            let detail =
                format!("n{host} answers that n{subject} is {}, and let operators see otherwise", it.status.name());
            found.fail(MEMB_3, &[host, subject], detail);
        } else if it.status == Status::Alive && it.in_good_standing == held.is_suppressed {
            let detail = format!(
                "n{host} answers that n{subject} counts as alive: {}, and let operators see otherwise",
                it.in_good_standing
            );
            found.fail(HOLD_2, &[host, subject], detail);
        }
    }

    /// At the end of the run.
    pub(super) fn check_answers(&mut self, found: &mut Findings) {
        let answers = core::mem::take(&mut self.audit.answers);
        // A rumor that gossip lost is found by an exchange.
        let settling = repair_bound(self.truth.members(), &self.settings);
        for (host, answer) in &answers {
            let since = self.before(answer.at, settling);
            for it in &answer.members {
                let Some(subject) = self.number(it.node) else { continue };
                if !self.truth.is_up(subject) || self.truth.up_since(subject).is_none_or(|up| up > since) {
                    continue;
                }
                self.exercised.desc_1 += 1;
                let what = match &it.description {
                    None => Some("nothing".into()),
                    Some(description) => self.mistake(subject, description, since),
                };
                if let Some(what) = what {
                    return found.miss(DESC_1, &[*host, subject], format!("n{host} knows of n{subject} {what}"));
                }
            }
        }
        self.check_incarnations(&answers, found);
        self.check_links(&answers, found);
    }

    /// What is wrong with a description of `subject` that everybody should have heard of what was said by `since`.
    fn mistake(&self, subject: u32, description: &Description, since: TrueTime) -> Option<Box<str>> {
        let newest = self.words.version_by(subject, since);
        if description.version < newest {
            return Some(format!("version {}, where it had long told version {newest}", description.version).into());
        }
        // A node that is alone has said nothing to anybody.
        if let Some(said) = self.words.description(subject, description.version)
            && said != description
        {
            return Some(format!("another version {} than it has told", description.version).into());
        }
        let (named_at, names) = &self.audit.names[subject as usize];
        if *named_at <= since && !names.contains(&description.name) {
            return Some(format!("the name `{}`, where operators call it {names:?}", description.name).into());
        }
        let keys = self.keys.expected(subject, since);
        if let Some(keys) = keys.filter(|keys| *keys != description.keys) {
            return Some(format!("the keys {:?}, where it holds {keys:?}", description.keys).into());
        }
        None
    }

    /// MEMB-3: answers agree on who is there, and at which incarnation.
    fn check_incarnations(&mut self, answers: &BTreeMap<u32, Answer>, found: &mut Findings) {
        let digest = |members: &[MemberView]| -> Vec<(NodeId, Status, u64)> {
            let there = members.iter().filter(|it| it.status.is_member());
            there.map(|it| (it.node, it.status, it.incarnation.0)).collect()
        };
        let mut first: Option<(u32, Vec<_>)> = None;
        for (host, answer) in answers {
            let own = digest(&answer.members);
            self.exercised.memb_3 += 1;
            match &first {
                None => first = Some((*host, own)),
                Some((other, theirs)) if *theirs != own => {
                    let differing = own.iter().zip(theirs).find(|(a, b)| a != b);
                    let detail = format!("n{host} and n{other} answer differently who is there: {differing:?}");
                    return found.miss(MEMB_3, &[*host, *other], detail);
                }
                Some(_) => {}
            }
        }
    }

    /// PROB-1: once everything has been healed for long enough, everybody is reached directly.
    fn check_links(&mut self, answers: &BTreeMap<u32, Answer>, found: &mut Findings) {
        let window = self.probe_bound();
        for (host, answer) in answers {
            let since = self.before(answer.at, window);
            let is_healed = self.healed_at.is_some_and(|healed| healed <= since);
            if !is_healed || !self.truth.is_calm_since(since) || !self.truth.is_well_since(*host, since) {
                continue;
            }
            for it in answer.members.iter().filter(|it| it.node != node_id(*host)) {
                let Some(subject) = self.number(it.node).filter(|it| self.truth.is_well_since(*it, since)) else {
                    continue;
                };
                self.exercised.prob_1 += 1;
                if it.link != Link::Direct {
                    let detail = format!("n{host} reaches n{subject} {}, where nothing is wrong", it.link.name());
                    return found.miss(PROB_1, &[*host, subject], detail);
                }
            }
        }
    }
}
