//! Placement: which site ought to own each shard of a namespace, and which ought to have copies of it.
//!
//! A [`Table`] is what ought to be. It follows from the table before it, the [`Sites`] and the namespace's [`Rule`], and from
//! nothing else: every node, build and machine works out the same, which its checksum shows. `docs/placement.md` has the
//! aims, and what each costs.
//!
//! | file | what it has |
//! | --- | --- |
//! | `site.rs` | nodes as placement sees them: weight, zone, standing |
//! | `score.rs` | how well a site suits a shard: ring and rendezvous, in whole numbers |
//! | `near.rs` | the sites that suit a shard best, without a look at how well all others do |
//! | `share.rs` | what each site ought to carry, and between which bounds it may |
//! | `work.rs` | the working out, in bounded steps |
//! | `fill.rs` | what is missing of a shard is filled in |
//! | `shift.rs` | one move from a site to another |
//! | `even.rs` | who gives to whom, so that no site carries too much or too little |
//! | `table.rs` | the table: lookup, checksum, differences |
//!
//! Absent on purpose: who holds what now, which is [`ShardRecord`](super::ShardRecord)'s, and how one table becomes the next,
//! which is the control state's and the [`Host`](super::host::Host)'s.

mod even;
mod fill;
mod near;
mod score;
mod share;
mod shift;
mod site;
mod table;
mod work;

pub use site::{SITES_MAX, Site, SiteIndex, Sites, SitesRefused, Standing, WEIGHT_MAX};
pub use table::{Moved, Table};
pub use work::{Done, Work};

use super::{COPIES_MAX, SHARDS_PER_NAMESPACE_MAX};
use crate::control::state::Name;
use serde::{Deserialize, Serialize};

/// In which order sites suit a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// As they follow on a ring of points (consistent hashing, Karger et al. 1997).
    Ring,
    /// By a draw for each pair (rendezvous hashing, Thaler & Ravishankar 1998), by weight.
    #[default]
    Rendezvous,
    /// As with rendezvous, among those of the zone that the shard is at home in; there the owner stays while there is room.
    Locality,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ring, Self::Rendezvous, Self::Locality];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Rendezvous => "rendezvous",
            Self::Locality => "locality",
        }
    }
}

/// What a namespace says of the placement of its shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// Whose shards.
    pub namespace: Name,
    /// How many there are.
    pub shards: u32,
    /// Copies that there are to be of each, the owner's among them.
    pub copies: u8,
    /// In which order sites suit them.
    pub strategy: Strategy,
    /// Of all draws.
    pub seed: u64,
}

/// Why a rule was refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleRefused {
    /// It has no shards, or too many.
    #[error("{0} shards, where 1 to {SHARDS_MAX} are allowed")]
    Shards(u32),
    /// It has no copies, or too many.
    #[error("{0} copies, where 1 to {COPIES_MAX} are allowed")]
    Copies(u8),
}

/// Shards that one table can have: more than a namespace has today.
pub const SHARDS_MAX: u32 = 4 * SHARDS_PER_NAMESPACE_MAX;

impl Rule {
    /// Whether there can be such a rule.
    ///
    /// # Errors
    /// [`RuleRefused`] says why not.
    pub fn check(&self) -> Result<(), RuleRefused> {
        if !(1..=SHARDS_MAX).contains(&self.shards) {
            return Err(RuleRefused::Shards(self.shards));
        }
        if !(1..=COPIES_MAX).contains(&self.copies) {
            return Err(RuleRefused::Copies(self.copies));
        }
        Ok(())
    }
}

/// The key of a namespace's draws.
#[derive(Clone, Debug)]
struct Key(blake3::Hasher);

impl Key {
    const SITE: u8 = 1;
    const SHARD: u8 = 2;
    const ZONE: u8 = 3;

    fn of(rule: &Rule) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("relaymesh 2026 draws of the placement of shards");
        hasher.update(&rule.seed.to_le_bytes());
        hasher.update(&[rule.namespace.as_str().len() as u8]).update(rule.namespace.as_str().as_bytes());
        Self(hasher)
    }

    fn mark(&self, kind: u8, of: &[u8]) -> u64 {
        let mut hasher = self.0.clone();
        hasher.update(&[kind]).update(of);
        let mut mark = [0; 8];
        mark.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(mark)
    }
}
