//! The nodes that shards can be placed on, as placement sees them.

use crate::control::state::Name;
use crate::identity::NodeId;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Sites that there can be at once.
pub const SITES_MAX: usize = 4_096;
/// The largest weight of a site. The smallest is 1.
pub const WEIGHT_MAX: u16 = 1_024;

/// What a site may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Standing {
    /// All that suits it.
    #[default]
    Open,
    /// Nothing new. What it has it keeps.
    Cordoned,
    /// Nothing, and what it has goes elsewhere.
    Draining,
}

/// A node, and what it can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Site {
    /// Which node.
    pub node: NodeId,
    /// Its share of the load, against the weights of the others; from 1 to [`WEIGHT_MAX`].
    pub weight: u16,
    /// What fails together with it. Copies of a shard are put into different zones, as far as there are any.
    pub zone: Name,
    /// What it may be given.
    pub standing: Standing,
}

/// Why sites were refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SitesRefused {
    /// There are too many.
    #[error("{sites} sites, {SITES_MAX} are the most", sites = .0)]
    TooMany(usize),
    /// One has a weight that none can have.
    #[error("node {node} with the weight {weight}, where 1 to {WEIGHT_MAX} is allowed")]
    Weight {
        /// Which node.
        node: NodeId,
        /// The weight.
        weight: u16,
    },
    /// A node stands there twice.
    #[error("node {0} stands there twice")]
    Twice(NodeId),
}

/// The place of a site among all, in the order of their nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SiteIndex(pub(super) u16);

impl SiteIndex {
    /// As a number, for a row that is told to others.
    pub const fn number(self) -> u16 {
        self.0
    }

    pub(super) const fn at(self) -> usize {
        self.0 as usize
    }
}

/// All sites, in the order of their nodes, and their zones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Site>", into = "Vec<Site>")]
pub struct Sites {
    sites: Vec<Site>,
    /// Of each site the place of its zone among the zones, which stand in the order of their names.
    zones: Vec<u16>,
    zones_count: u16,
}

impl TryFrom<Vec<Site>> for Sites {
    type Error = SitesRefused;

    fn try_from(sites: Vec<Site>) -> Result<Self, SitesRefused> {
        Self::new(sites)
    }
}

impl From<Sites> for Vec<Site> {
    fn from(sites: Sites) -> Self {
        sites.sites
    }
}

impl Sites {
    /// These, in whatever order.
    ///
    /// # Errors
    /// [`SitesRefused`] says which of them there cannot be.
    pub fn new(mut sites: Vec<Site>) -> Result<Self, SitesRefused> {
        if sites.len() > SITES_MAX {
            return Err(SitesRefused::TooMany(sites.len()));
        }
        sites.sort_unstable();
        if let Some(site) = sites.iter().find(|site| !(1..=WEIGHT_MAX).contains(&site.weight)) {
            return Err(SitesRefused::Weight { node: site.node, weight: site.weight });
        }
        if let Some(pair) = sites.windows(2).find(|pair| pair[0].node == pair[1].node) {
            return Err(SitesRefused::Twice(pair[0].node));
        }
        let mut names: BTreeMap<Name, u16> = sites.iter().map(|site| (site.zone, 0)).collect();
        names.values_mut().zip(0..).for_each(|(place, at)| *place = at);
        let zones = sites.iter().map(|site| names[&site.zone]).collect();
        Ok(Self { sites, zones, zones_count: names.len() as u16 })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sites.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty()
    }

    /// All, in the order of their nodes.
    pub fn iter(&self) -> impl Iterator<Item = (SiteIndex, &Site)> {
        self.sites.iter().zip(0..).map(|(site, at)| (SiteIndex(at), site))
    }

    /// Which site a node is. O(log n).
    pub fn of_node(&self, node: NodeId) -> Option<SiteIndex> {
        let at = self.sites.binary_search_by_key(&node, |site| site.node).ok()?;
        Some(SiteIndex(at as u16))
    }

    /// One of them.
    ///
    /// # Panics
    /// When it is the index of other sites.
    pub fn site(&self, index: SiteIndex) -> &Site {
        &self.sites[index.at()]
    }

    /// Whether that node is a site which is given what suits it. O(log n).
    pub(crate) fn takes(&self, node: NodeId) -> bool {
        self.of_node(node).is_some_and(|site| self.is_open(site))
    }

    /// The site at that place, if there is one.
    pub(crate) fn get(&self, place: u16) -> Option<&Site> {
        self.sites.get(usize::from(place))
    }

    pub(super) fn zone(&self, index: SiteIndex) -> u16 {
        self.zones[index.at()]
    }

    pub(super) fn zones(&self) -> usize {
        usize::from(self.zones_count)
    }

    pub(super) fn is_open(&self, index: SiteIndex) -> bool {
        self.site(index).standing == Standing::Open
    }

    /// Whether it keeps what it has.
    pub(super) fn keeps(&self, index: SiteIndex) -> bool {
        self.site(index).standing != Standing::Draining
    }
}
