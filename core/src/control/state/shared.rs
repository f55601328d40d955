//! What the cluster shares besides leases: voters, cordons, flags, features, settings, and registers for tests.

use super::limits::{CORDONS_MAX, FEATURES_MAX, FLAGS_MAX, REGISTERS_MAX, SETTINGS_MAX};
use super::{Answer, Name, Refusal, Table, Value};
use crate::identity::{NodeId, StoreIncarnation};
use alloc::collections::BTreeMap;
use serde::{Deserialize, Serialize};

/// Whether a node may be given anything new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cordon {
    /// It may.
    #[default]
    None,
    /// It keeps what it has and gets nothing new.
    Cordoned,
    /// It gets nothing new and is to hand over what it has.
    Draining,
}

/// A shared setting.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Setting {
    /// What it is set to.
    pub value: Value,
    /// The entry that set it: what a conditional change names.
    pub version: u64,
}

/// Who votes. The group decides; this is the copy that everybody can read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Voters {
    /// The entry that recorded it.
    pub version: u64,
    /// Each voter by the store on which it keeps its votes.
    pub members: BTreeMap<NodeId, StoreIncarnation>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Shared {
    pub(super) cordons: BTreeMap<NodeId, Cordon>,
    pub(super) flags: BTreeMap<Name, bool>,
    pub(super) features: BTreeMap<Name, u32>,
    pub(super) settings: BTreeMap<Name, Setting>,
    pub(super) registers: BTreeMap<Name, u64>,
}

impl Shared {
    pub(super) fn cordon(&self, node: NodeId) -> Cordon {
        self.cordons.get(&node).copied().unwrap_or_default()
    }

    pub(super) fn set_cordon(&mut self, node: NodeId, cordon: Cordon) -> Result<Answer, Refusal> {
        match cordon {
            Cordon::None => drop(self.cordons.remove(&node)),
            _ => drop(insert(&mut self.cordons, node, cordon, Table::Cordons, CORDONS_MAX)?),
        }
        Ok(Answer::Set)
    }

    pub(super) fn set_flag(&mut self, name: Name, on: bool) -> Result<Answer, Refusal> {
        insert(&mut self.flags, name, on, Table::Flags, FLAGS_MAX)?;
        Ok(Answer::Set)
    }

    /// Versions only rise: what was written under a higher one cannot be unwritten.
    pub(super) fn raise_feature(&mut self, name: Name, version: u32) -> Result<Answer, Refusal> {
        let found = u64::from(self.features.get(&name).copied().unwrap_or(0));
        if u64::from(version) < found {
            return Err(Refusal::Outdated { expected: u64::from(version), found });
        }
        insert(&mut self.features, name, version, Table::Features, FEATURES_MAX)?;
        Ok(Answer::Set)
    }

    pub(super) fn set(
        &mut self,
        name: Name,
        value: Option<Value>,
        expected: Option<u64>,
        version: u64,
    ) -> Result<Answer, Refusal> {
        let found = self.settings.get(&name).map_or(0, |setting| setting.version);
        match (expected, value) {
            (Some(expected), _) if expected != found => return Err(Refusal::Outdated { expected, found }),
            (_, None) => drop(self.settings.remove(&name)),
            (_, Some(value)) => {
                drop(insert(&mut self.settings, name, Setting { value, version }, Table::Settings, SETTINGS_MAX)?);
            }
        }
        Ok(Answer::Set)
    }

    pub(super) fn write(&mut self, name: Name, value: u64) -> Result<Answer, Refusal> {
        insert(&mut self.registers, name, value, Table::Registers, REGISTERS_MAX)?;
        Ok(Answer::Set)
    }

    pub(super) fn compare_and_set(&mut self, name: Name, expected: Option<u64>, value: u64) -> Result<Answer, Refusal> {
        let found = self.registers.get(&name).copied();
        if found != expected {
            return Ok(Answer::Differs(found));
        }
        self.write(name, value)
    }
}

fn insert<K: Ord, V>(
    table: &mut BTreeMap<K, V>,
    key: K,
    value: V,
    what: Table,
    limit: usize,
) -> Result<Option<V>, Refusal> {
    if table.len() >= limit && !table.contains_key(&key) {
        return Err(Refusal::full(what, limit));
    }
    Ok(table.insert(key, value))
}
