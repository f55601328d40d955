//! KEYS-1: a key is put to use only when everybody can open what it seals, and dropped only when nobody seals with it.

use super::{KEYS_1, MeshChecks};
use crate::check::Findings;
use crate::time::TrueTime;
use crate::world::key_name;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::envelope::{KEYS_MAX, KeyId, KeyIds};
use relaymesh_core::membership::{Request, Status};

/// The keyring of one host, as operators made it.
#[derive(Clone, Debug)]
struct Ring {
    /// The first one seals.
    held: Vec<KeyId>,
    /// When it changed last.
    changed_at: TrueTime,
    /// A change was asked for, and nobody heard what came of it.
    is_uncertain: bool,
    is_asked: bool,
}

/// Every keyring.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    rings: Vec<Ring>,
}

impl Keys {
    pub(super) fn new(nodes: u32) -> Self {
        let ring = Ring { held: vec![key_name(0)], changed_at: TrueTime(0), is_uncertain: false, is_asked: false };
        Self { rings: vec![ring; nodes as usize] }
    }

    /// The operator has installed a key.
    pub(super) fn installed(&mut self, host: u32, number: u64, now: TrueTime) {
        let (ring, name) = (&mut self.rings[host as usize], key_name(number));
        if ring.held.len() < KEYS_MAX && !ring.held.contains(&name) {
            ring.held.push(name);
            ring.changed_at = now;
        }
    }

    /// An operator asks for a change.
    pub(super) fn asked(&mut self, host: u32) {
        let ring = &mut self.rings[host as usize];
        ring.is_uncertain |= ring.is_asked;
        ring.is_asked = true;
    }

    /// The keys that the host must say it holds, if they have been the same since `since` and that is certain.
    pub(super) fn expected(&self, host: u32, since: TrueTime) -> Option<KeyIds> {
        let ring = &self.rings[host as usize];
        let is_certain = !ring.is_uncertain && !ring.is_asked && ring.changed_at <= since;
        is_certain.then(|| KeyIds::new(ring.held.iter().copied()))
    }

    fn change(&mut self, host: u32, request: &Request, now: TrueTime) {
        let ring = &mut self.rings[host as usize];
        let place = |id: &KeyId| ring.held.iter().position(|held| held == id);
        match request {
            Request::UseKey { id, .. } => {
                if let Some(at) = place(id) {
                    ring.held[..=at].rotate_right(1);
                }
            }
            Request::RemoveKey { id, .. } => ring.held.retain(|held| held != id),
            _ => {}
        }
        ring.changed_at = now;
    }
}

impl MeshChecks {
    /// A node has answered a request to change its keyring, and did change it or not.
    pub(super) fn keyring_answered(&mut self, host: u32, request: &Request, is_changed: bool, found: &mut Findings) {
        self.keys.rings[host as usize].is_asked = false;
        if !is_changed || !self.truth.is_of_cluster(host) {
            return;
        }
        self.keys.change(host, request, found.now);
        for other in 0..self.truth.members() {
            let held = self.views.get(host, other).status;
            if other == host || held.is_none_or(|held| held == Status::Left) {
                continue;
            }
            let ring = &self.keys.rings[other as usize];
            let problem = match request {
                Request::UseKey { id, force: false } if !ring.held.contains(id) => Some("uses a key that it lacks"),
                Request::RemoveKey { id, force: false } if ring.held.first() == Some(id) => {
                    Some("drops the key that it seals with")
                }
                _ => None,
            };
            self.exercised.keys_1 += 1;
            if let Some(problem) = problem.filter(|_| !ring.is_uncertain && !ring.is_asked) {
                found.fail(KEYS_1, &[host, other], format!("n{host} knows n{other}, and {problem}"));
            }
        }
    }
}
