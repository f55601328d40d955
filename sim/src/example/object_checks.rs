//! What the shelf promises, judged by what clients are told.
//!
//! Each object has one client that changes it, which goes on to the next change only when it was told of the one before.
//! So on each node its changes come in a known order, and the model of an object is that list, and how far along it the
//! object is known to be: whoever asks after that finds that change or a later one.

use super::keepers::{content_of, data_of};
use super::shelf::{Refusal, Reply, Request};
use crate::check::{Findings, OBJ_1};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use relaymesh_core::object::ObjectId;

/// A fetch brings what was kept under that id, or says that it cannot; a list leaves nothing out.
pub const OBJ_2: &str = "OBJ-2";

/// The models of all objects, and what clients wait for.
#[derive(Debug, Default)]
pub(super) struct Objects {
    bytes_max: u32,
    objects: BTreeMap<(u32, ObjectId), Model>,
    asked: BTreeMap<u32, Asked>,
    /// Counts what was held against a model.
    pub(super) exercised: u64,
}

#[derive(Clone, Debug, Default)]
struct Model {
    changes: Vec<Change>,
    /// So many of them have taken effect for sure.
    reached: usize,
    /// Counts the times at which the object may have been lost by more than a disk can survive.
    losses: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Kept(Option<u64>),
    Discarded,
}

/// A request under way, and how the model of its object stood when it was made.
#[derive(Clone, Debug)]
struct Asked {
    host: u32,
    request: Request,
    reached: usize,
    /// The place of a change among the object's changes, from 1.
    place: usize,
    losses: u64,
    /// For a list: objects that have to be in it, with their changes and losses so far.
    expected: Vec<(ObjectId, usize, u64)>,
}

impl Model {
    /// What a reader may find that asks when so many changes have taken effect.
    fn candidates(&self, reached: usize) -> &[Change] {
        &self.changes[reached.saturating_sub(1).min(self.changes.len())..]
    }

    /// A crash may take a discard back, so that one leaves everything open until something is kept.
    fn is_open(&self, reached: usize) -> bool {
        reached == 0 || self.candidates(reached).contains(&Change::Discarded)
    }

    fn is_settled(&self) -> bool {
        self.reached == self.changes.len() && !self.is_open(self.reached)
    }

    fn allows(&self, reached: usize, content: Option<u64>) -> bool {
        let kept = Change::Kept(content);
        self.candidates(reached).contains(&kept) || self.is_open(reached) && self.changes.contains(&kept)
    }

    fn lose(&mut self) {
        self.reached = 0;
        self.losses += 1;
    }

    /// What is written over something else may tear.
    fn may_be_torn(&self, reached: usize) -> bool {
        let candidates = self.candidates(reached);
        self.is_open(reached) || candidates.iter().any(|change| Some(change) != candidates.first())
    }
}

impl Objects {
    pub(super) fn new(bytes_max: u32) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    pub(super) fn asked(&mut self, client: u32, host: u32, request: &Request) {
        // The same once more is no other change.
        let is_again = self.asked.get(&client).is_some_and(|it| it.host == host && it.request == *request);
        let mut asked = Asked { host, request: request.clone(), reached: 0, place: 0, losses: 0, expected: Vec::new() };
        match request {
            Request::Keep { object, .. } | Request::Discard { object } | Request::Fetch { object } => {
                let model = self.objects.entry((host, *object)).or_default();
                match request {
                    Request::Keep { data, .. } if !is_again => model.changes.push(Change::Kept(content_of(data))),
                    Request::Discard { .. } if !is_again => model.changes.push(Change::Discarded),
                    _ => {}
                }
                (asked.reached, asked.place, asked.losses) = (model.reached, model.changes.len(), model.losses);
            }
            Request::List { after } => {
                let behind = |object: &ObjectId| after.is_none_or(|after| *object > after);
                let of_host = self.objects.iter().filter(|((at, object), _)| *at == host && behind(object));
                let settled = of_host.filter(|(_, model)| model.is_settled());
                asked.expected =
                    settled.map(|((_, object), model)| (*object, model.changes.len(), model.losses)).collect();
            }
        }
        self.asked.insert(client, asked);
    }

    pub(super) fn answered(&mut self, client: u32, host: u32, request: &Request, reply: &Reply, found: &mut Findings) {
        if let Reply::Refused(refusal @ Refusal::Size) = reply {
            found.fail(OBJ_2, &[host], format!("refused without a reason: {refusal}"));
        }
        if *reply == Reply::Refused(Refusal::Busy) {
            return;
        }
        let Some(asked) = self.asked.remove(&client) else { return };
        match (request, reply) {
            (Request::Keep { object, .. }, Reply::Kept) | (Request::Discard { object }, Reply::Discarded) => {
                let model = self.objects.entry((host, *object)).or_default();
                if model.losses == asked.losses {
                    model.reached = model.reached.max(asked.place);
                }
            }
            (Request::Fetch { object }, Reply::Object { data }) => self.shown(host, *object, &asked, data, found),
            (Request::Fetch { object }, Reply::Refused(refusal @ (Refusal::Missing | Refusal::Damaged))) => {
                self.lacking(host, *object, &asked, *refusal, found);
            }
            (Request::List { after }, Reply::Objects { objects, is_last }) => {
                self.listed(host, (*after, objects, *is_last), &asked, found);
            }
            _ => found.fail(OBJ_2, &[host], format!("{request:?} was answered by {reply:?}")),
        }
    }

    /// A client was shown an object.
    fn shown(&mut self, host: u32, object: ObjectId, asked: &Asked, data: &[u8], found: &mut Findings) {
        self.exercised += 1;
        let content = content_of(data);
        let is_whole = content.is_some_and(|content| data == data_of(object, content, self.bytes_max));
        let model = self.objects.entry((host, object)).or_default();
        if !is_whole || !model.changes.contains(&Change::Kept(content)) {
            return found.fail(OBJ_2, &[host], format!("shows bytes of object {object:?} that nobody has kept"));
        }
        if model.losses != asked.losses {
            return;
        }
        if !model.allows(asked.reached, content) {
            let detail = format!("shows an older object {object:?} than the one that was there when it was asked for");
            found.fail(OBJ_1, &[host], detail);
        }
        let from = asked.reached.saturating_sub(1);
        let kept = model.candidates(asked.reached).iter().position(|change| *change == Change::Kept(content));
        if let Some(at) = kept.filter(|_| !model.candidates(asked.reached).contains(&Change::Discarded)) {
            model.reached = model.reached.max(from + at + 1);
        }
    }

    /// A client was told that there is no such object, or that it is damaged.
    fn lacking(&mut self, host: u32, object: ObjectId, asked: &Asked, refusal: Refusal, found: &mut Findings) {
        self.exercised += 1;
        let model = self.objects.entry((host, object)).or_default();
        let is_allowed = match refusal {
            Refusal::Damaged => model.may_be_torn(asked.reached),
            _ => model.is_open(asked.reached),
        };
        if !is_allowed && model.losses == asked.losses {
            found.fail(OBJ_1, &[host], format!("object {object:?} was kept, and now: {refusal}"));
        }
    }

    fn listed(
        &mut self,
        host: u32,
        (after, objects, is_last): (Option<ObjectId>, &[ObjectId], bool),
        asked: &Asked,
        found: &mut Findings,
    ) {
        self.exercised += 1;
        if !objects.is_sorted_by(|one, other| one < other) || objects.first().is_some_and(|first| Some(*first) <= after)
        {
            found.fail(OBJ_2, &[host], format!("a list of what is behind {after:?} is out of order"));
        }
        let has_changes =
            |object: &&ObjectId| self.objects.get(&(host, **object)).is_some_and(|model| !model.changes.is_empty());
        if let Some(object) = objects.iter().find(|object| !has_changes(object)) {
            found.fail(OBJ_2, &[host], format!("lists object {object:?}, which nobody has kept"));
        }
        for (object, changes, losses) in &asked.expected {
            let model = self.objects.entry((host, *object)).or_default();
            let is_same = model.changes.len() == *changes && model.losses == *losses;
            let is_within = is_last || objects.last().is_some_and(|last| object <= last);
            if is_same && is_within && objects.binary_search(object).is_err() {
                found.fail(OBJ_2, &[host], format!("a list of what is behind {after:?} leaves object {object:?} out"));
            }
        }
    }

    /// Everything on a host may be gone.
    pub(super) fn store_lost(&mut self, host: u32) {
        let of_host = self.objects.iter_mut().filter(|((at, _), _)| *at == host);
        of_host.for_each(|(_, model)| model.lose());
    }

    /// These may be gone.
    pub(super) fn lost(&mut self, host: u32, objects: &[ObjectId]) {
        objects.iter().for_each(|object| self.objects.entry((host, *object)).or_default().lose());
    }
}
