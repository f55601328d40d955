//! The keys of one host: the keyring under test, and what the world itself knows of it.
//!
//! Keys have numbers: number 0 is the one that every member of a cluster starts with, others are installed by an
//! operator. Clusters share none.

use super::host::CLUSTER;
use alloc::vec::Vec;
use relaymesh_core::envelope::{KEYS_MAX, KeyChange, KeyId, KeyIds, Keyring};
use relaymesh_core::identity::ClusterId;
use relaymesh_core::secret::SecretKey;

/// The keys of one host.
pub(super) struct HostKeys {
    cluster: ClusterId,
    pub(super) ring: Keyring,
    /// What the ring must hold after all that was asked of it; the first one seals.
    held: Vec<(u64, KeyId)>,
}

impl HostKeys {
    /// The keys that members of `cluster` start with.
    pub(super) fn new(cluster: ClusterId) -> Self {
        let ring = Keyring::new(secret(cluster, 0));
        Self { cluster, ring, held: Vec::from([(0, name_of(cluster, 0))]) }
    }

    /// The number of the key that seals.
    pub(super) fn sealing(&self) -> u64 {
        self.held[0].0
    }

    /// Whether packets sealed with that key of the same cluster must be opened.
    pub(super) fn holds(&self, number: u64) -> bool {
        self.held.iter().any(|(known, _)| *known == number)
    }

    /// Whether two hosts of one cluster have a key in common.
    pub(super) fn shares(&self, other: &Self) -> bool {
        self.cluster == other.cluster && self.held.iter().any(|(number, _)| other.holds(*number))
    }

    /// The operator installs a key. Whether anything changed.
    pub(super) fn install(&mut self, number: u64) -> bool {
        let name = name_of(self.cluster, number);
        // The ring is judged by what it holds afterwards.
        let _ = self.ring.install(secret(self.cluster, number));
        let fits = self.held.len() < KEYS_MAX && self.held.iter().all(|(_, known)| *known != name);
        if fits {
            self.held.push((number, name));
        }
        fits
    }

    /// The machine changes the ring. Whether anything was done.
    pub(super) fn change(&mut self, change: KeyChange) -> bool {
        let is_done = self.ring.change(change).is_ok();
        let place = |name| self.held.iter().position(|(_, known)| *known == name);
        match change {
            KeyChange::Use(name) => {
                if let Some(at) = place(name) {
                    self.held[..=at].rotate_right(1);
                }
            }
            KeyChange::Remove(name) => {
                if let Some(at) = place(name).filter(|at| *at > 0) {
                    self.held.remove(at);
                }
            }
        }
        is_done
    }

    /// The names that the ring must hold.
    pub(super) fn expected(&self) -> KeyIds {
        KeyIds::new(self.held.iter().map(|(_, name)| *name))
    }
}

/// A ring with a key that no host holds.
pub(super) fn intruder() -> Keyring {
    Keyring::new(SecretKey::derive("relaymesh simulated intruder's key", b""))
}

fn secret(cluster: ClusterId, number: u64) -> SecretKey {
    let context = "relaymesh simulated cluster key";
    match number {
        0 => SecretKey::derive(context, cluster.as_bytes()),
        _ => SecretKey::derive(context, &[&cluster.as_bytes()[..], &number.to_le_bytes()].concat()),
    }
}

/// What a ring calls a key.
fn name_of(cluster: ClusterId, number: u64) -> KeyId {
    Keyring::new(secret(cluster, number)).ids().sealing().unwrap_or_default()
}

/// The name of key `number` of the members' cluster.
pub fn key_name(number: u64) -> KeyId {
    name_of(CLUSTER, number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::host::STRANGERS;

    #[test]
    fn what_the_world_knows_follows_the_ring() {
        let mut keys = HostKeys::new(CLUSTER);
        let (first, second) = (name_of(CLUSTER, 0), name_of(CLUSTER, 1));
        assert!(keys.install(1) && !keys.install(1));
        for (change, is_done, sealing) in [
            (KeyChange::Remove(first), false, 0),
            (KeyChange::Use(second), true, 1),
            (KeyChange::Remove(first), true, 1),
            (KeyChange::Use(first), false, 1),
        ] {
            assert_eq!(keys.change(change), is_done, "{change:?}");
            assert_eq!(keys.sealing(), sealing);
            assert_eq!(keys.ring.ids(), keys.expected());
        }
        assert!(keys.holds(1) && !keys.holds(0));
    }

    #[test]
    fn a_ring_takes_no_more_keys_than_fit() {
        let mut keys = HostKeys::new(CLUSTER);
        let installed = (1..10).filter(|number| keys.install(*number)).count();
        assert_eq!(installed, KEYS_MAX - 1);
        assert_eq!(keys.ring.ids(), keys.expected());
    }

    #[test]
    fn hosts_share_a_key_only_within_a_cluster() {
        let (mut one, mut other) = (HostKeys::new(CLUSTER), HostKeys::new(CLUSTER));
        assert!(one.shares(&other) && !one.shares(&HostKeys::new(STRANGERS)));
        one.install(1);
        one.change(KeyChange::Use(name_of(CLUSTER, 1)));
        one.change(KeyChange::Remove(name_of(CLUSTER, 0)));
        assert!(!one.shares(&other));
        other.install(1);
        assert!(one.shares(&other));
    }
}
