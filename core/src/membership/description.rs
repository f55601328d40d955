//! What a member says about itself: versioned, bounded, the same in every view once it has spread.

use crate::endpoint::Endpoint;
use crate::envelope::KeyIds;
use crate::identity::{BootIncarnation, StoreIncarnation};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Bytes of a description on the wire: a rumor with one always fits a datagram.
pub const DESCRIPTION_BYTES_MAX: usize = 1_000;
/// Bytes of all texts of a description together.
pub const TEXT_BYTES_MAX: usize = 768;
/// Labels, capabilities and further endpoints, each.
pub const ENTRIES_MAX: usize = 32;

/// What a member says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Description {
    /// Grows with every change, across restarts too; the greatest one prevails.
    pub version: u64,
    /// Its store: changes when it has lost its disk.
    pub store: StoreIncarnation,
    /// Its process.
    pub boot: BootIncarnation,
    /// Where datagrams and streams reach it.
    pub endpoint: Endpoint,
    /// How well it fares by its own account: 100 is well, less when its probes fail or it had to refute suspicions
    /// (the local health multiplier of Lifeguard §IV-A).
    pub health: u8,
    /// The keys it opens packets with; the first one seals.
    pub keys: KeyIds,
    /// The newest wire version it understands.
    pub speaks: u8,
    /// What it is called by people. Need not be unique; two members of one name are both shown, and reported.
    pub name: Box<str>,
    /// What it shares with others of its kind.
    pub profile: Arc<Profile>,
}

/// Which description of a node it is. The greater one prevails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Edition {
    /// Its version.
    pub version: u64,
    /// Stands for the life that it is of: store, boot and endpoint. Two processes with one identity may use the same
    /// versions.
    pub life: u64,
}

/// The part of a description that many members have in common; a view keeps each distinct one once.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Profile {
    /// What the node does, such as `worker`.
    pub role: Box<str>,
    /// Name of the cluster, for people.
    pub cluster: Box<str>,
    /// Its region.
    pub region: Box<str>,
    /// Its zone.
    pub zone: Box<str>,
    /// Its software version.
    pub software: Box<str>,
    /// How it guards its links, such as `loopback` or `mtls`.
    pub posture: Box<str>,
    /// What it can do.
    pub capabilities: Vec<Box<str>>,
    /// Free labels.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// Further endpoints, by protocol.
    pub endpoints: Vec<(Box<str>, Endpoint)>,
}

/// Why a description is refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DescriptionError {
    /// Too much text.
    #[error("{bytes} bytes of text, where a node's description has at most {TEXT_BYTES_MAX}; shorten its labels")]
    TooLong {
        /// Bytes given.
        bytes: usize,
    },
    /// Too much of everything together.
    #[error(
        "{bytes} bytes, where a node's description has at most {DESCRIPTION_BYTES_MAX}; give it fewer labels and endpoints"
    )]
    TooLarge {
        /// Bytes it would take.
        bytes: usize,
    },
    /// Too many entries.
    #[error("{entries} labels, capabilities or endpoints, where at most {ENTRIES_MAX} of each are possible")]
    TooMany {
        /// Entries given.
        entries: usize,
    },
}

impl Description {
    /// Which one it is.
    pub fn edition(&self) -> Edition {
        let (high, low) = match self.endpoint.0.ip() {
            core::net::IpAddr::V4(address) => (0, u64::from(address.to_bits())),
            core::net::IpAddr::V6(address) => ((address.to_bits() >> 64) as u64, address.to_bits() as u64),
        };
        let port = u64::from(self.endpoint.0.port());
        let life = [self.store.0, self.boot.0, high, low, port].into_iter().fold(1, mix);
        Edition { version: self.version, life: life >> 32 }
    }

    /// Checks its size.
    ///
    /// # Errors
    /// [`DescriptionError`].
    pub fn check(&self) -> Result<(), DescriptionError> {
        let profile = &*self.profile;
        let entries = profile.capabilities.len().max(profile.labels.len()).max(profile.endpoints.len());
        if entries > ENTRIES_MAX {
            return Err(DescriptionError::TooMany { entries });
        }
        let bytes = self.name.len() + profile.text_bytes();
        if bytes > TEXT_BYTES_MAX {
            return Err(DescriptionError::TooLong { bytes });
        }
        let bytes = self.wire_bytes();
        if bytes > DESCRIPTION_BYTES_MAX { Err(DescriptionError::TooLarge { bytes }) } else { Ok(()) }
    }

    /// The bytes it takes on the wire, at most.
    pub fn wire_bytes(&self) -> usize {
        let profile = &*self.profile;
        let entries = profile.capabilities.len() + 2 * profile.labels.len() + profile.endpoints.len();
        // Version, store, boot, endpoint, health, keys, the version it speaks; then a length for each text and list.
        let fixed = 5 + 9 + 9 + ENDPOINT_BYTES + 1 + 16 + 1 + 3 * (10 + entries);
        fixed + self.name.len() + profile.text_bytes() + ENDPOINT_BYTES * profile.endpoints.len()
    }
}

/// Bytes of an IPv6 endpoint: kind, address, port.
const ENDPOINT_BYTES: usize = 1 + 16 + 3;

impl Profile {
    fn text_bytes(&self) -> usize {
        let fixed = [&self.role, &self.cluster, &self.region, &self.zone, &self.software, &self.posture];
        let listed = self.capabilities.iter().map(|text| text.len());
        let labels = self.labels.iter().map(|(key, value)| key.len() + value.len());
        let endpoints = self.endpoints.iter().map(|(protocol, _)| protocol.len());
        fixed.iter().map(|text| text.len()).sum::<usize>()
            + listed.sum::<usize>()
            + labels.sum::<usize>()
            + endpoints.sum::<usize>()
    }
}

/// Keeps each distinct profile once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Interner {
    /// Sorted.
    known: Vec<Arc<Profile>>,
}

/// Profiles that no row has any more are looked for when there are so many more than rows.
const UNUSED_MAX: usize = 64;

impl Interner {
    /// The same description, its profile shared with all equal ones.
    pub(super) fn intern(&mut self, description: &mut Arc<Description>) {
        match self.known.binary_search(&description.profile) {
            Ok(at) if Arc::ptr_eq(&self.known[at], &description.profile) => {}
            Ok(at) => Arc::make_mut(description).profile = Arc::clone(&self.known[at]),
            Err(at) => self.known.insert(at, Arc::clone(&description.profile)),
        }
    }

    /// Whether it is time to look for profiles that none of `rows` rows has.
    pub(super) fn is_crowded(&self, rows: u32) -> bool {
        self.known.len() > rows as usize + UNUSED_MAX
    }

    /// Keeps the profiles that are `used`, and no others. O(n log n).
    pub(super) fn keep<'a>(&mut self, used: impl Iterator<Item = &'a Arc<Profile>>) {
        let mut used: Vec<_> = used.cloned().collect();
        used.sort_unstable();
        used.dedup();
        self.known = used;
    }

    /// Distinct profiles kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

/// One step of a 64-bit mixer (splitmix64): digests need not resist forgers, who hold no key.
pub(super) fn mix(state: u64, word: u64) -> u64 {
    let mut mixed = (state ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
