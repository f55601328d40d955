//! Who acts for a scope, and under which token: LEASE-1, LEASE-2, EPOC-1.
//!
//! Answers take equally long to reach their clients, so that the order in which they arrive is the one in which they
//! left.

use super::{EPOC_1, LEASE_1, LEASE_2, MeshChecks};
use crate::check::Findings;
use crate::scenario::ControlLoad;
use crate::time::TrueTime;
use crate::world::{CLIENT_DELAY, node_id};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::control::node::Status;
use relaymesh_core::control::state::{RecoveryId, Scope};
use relaymesh_core::epoch::{ClusterEpoch, FenceToken};
use relaymesh_core::identity::NodeId;

/// What is known of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    holder: NodeId,
    /// In which history it was shown, and how often the scope had been granted in it.
    term: Option<(RecoveryId, u64)>,
}

/// What was shown of one scope.
#[derive(Clone, Debug, Default)]
struct Shown {
    /// The newest token that anybody acted under, and who.
    newest: Option<(FenceToken, u32)>,
    /// All tokens.
    tokens: BTreeMap<FenceToken, Known>,
    /// The newest of them, and each newest one since when.
    history: Vec<(TrueTime, FenceToken)>,
    /// Somebody wants it retired: then its grants are counted from one again, at an instant nobody is told.
    may_restart: bool,
}

/// Who acted, and what was shown.
#[derive(Debug)]
pub(super) struct Leases {
    scopes: BTreeMap<Scope, Shown>,
    /// Since when each process runs.
    booted: Vec<TrueTime>,
    /// The newest token that each process has shown to be in force, by scope.
    seen_by: Vec<BTreeMap<Scope, FenceToken>>,
    /// The newest epoch that was said to be known everywhere.
    known: ClusterEpoch,
    /// Clocks stray by more than ε, or two histories run at once.
    may_overlap: bool,
    /// Two histories run at once.
    is_split: bool,
}

impl Leases {
    pub(super) fn new(nodes: u32, load: &ControlLoad) -> Self {
        let is_split = load.recovery.as_ref().is_some_and(|recovery| recovery.is_mistaken);
        Self {
            scopes: BTreeMap::new(),
            booted: vec![TrueTime(0); nodes as usize],
            seen_by: vec![BTreeMap::new(); nodes as usize],
            known: ClusterEpoch(0),
            may_overlap: load.clocks_stray || is_split,
            is_split,
        }
    }

    pub(super) fn booted(&mut self, host: u32, now: TrueTime) {
        self.booted[host as usize] = now;
        // What it knew to be committed when it ended it may not know yet.
        self.seen_by[host as usize].clear();
    }

    /// Whether what a client is told by `host` now was said by an earlier process of it.
    fn is_of_former(&self, host: u32, now: TrueTime) -> bool {
        now.since(self.booted[host as usize]) < CLIENT_DELAY
    }

    /// Somebody asks for a scope to be taken out of the state.
    pub(super) fn retiring(&mut self, scope: Scope) {
        self.scopes.entry(scope).or_default().may_restart = true;
    }

    /// Nobody writes under an older epoch any more: so an operator was told.
    pub(super) fn epoch_known(&mut self, epoch: ClusterEpoch) {
        self.known = self.known.max(epoch);
    }
}

impl Shown {
    /// Somebody was shown this token. What is wrong with it.
    fn token(&mut self, now: TrueTime, token: FenceToken, known: Known) -> Result<(), alloc::string::String> {
        let before = *self.tokens.entry(token).or_insert(known);
        let is_other = |one: Option<_>, other: Option<_>| one.is_some() && other.is_some() && one != other;
        if before.holder != known.holder || is_other(before.term, known.term) {
            return Err(format!("{token} is that of {before:?}, and of {known:?}"));
        }
        let term = known.term.or(before.term);
        self.tokens.insert(token, Known { term, ..known });
        if self.history.last().is_none_or(|(_, newest)| *newest < token) {
            self.history.push((now, token));
        }
        let Some((recovery, term)) = term.filter(|_| !self.may_restart) else { return Ok(()) };
        // A backup counts grants from where it was taken.
        let of_this = |(other, it): (&FenceToken, &Known)| {
            it.term.filter(|(of, _)| *of == recovery).map(|(_, term)| (*other, term))
        };
        let older = self.tokens.range(..token).rev().find_map(of_this);
        let newer = self.tokens.range(token..).skip(1).find_map(of_this);
        if let Some((other, of_it)) = older.filter(|(_, of_it)| *of_it > term) {
            return Err(format!("{token} of grant {term} is newer than {other} of grant {of_it}"));
        }
        if let Some((other, of_it)) = newer.filter(|(_, of_it)| *of_it < term) {
            return Err(format!("{token} of grant {term} is older than {other} of grant {of_it}"));
        }
        Ok(())
    }

    /// The newest token that somebody was shown before then.
    fn newest_before(&self, at: TrueTime) -> Option<FenceToken> {
        self.history.iter().rev().find(|(shown, _)| *shown < at).map(|(_, token)| *token)
    }
}

impl MeshChecks {
    /// A node has said that it acts.
    pub(super) fn acts(&mut self, host: u32, scope: Scope, token: FenceToken, found: &mut Findings) {
        self.exercised.lease_1 += 1;
        let leases = &mut self.control.leases;
        let is_of_former = leases.is_of_former(host, found.now);
        let shown = leases.scopes.entry(scope).or_default();
        let (newest, by) = *shown.newest.get_or_insert((token, host));
        if newest < token {
            shown.newest = Some((token, host));
        } else if (newest, by) != (token, host) && !leases.may_overlap {
            let detail = format!("n{host} acts for {scope} under {token}, after n{by} did under {newest}");
            found.fail(LEASE_1, &[host, by], detail);
        }
        let known = leases.known;
        self.exercised.epoc_1 += u64::from(known > ClusterEpoch(0));
        if token.cluster() < known && !leases.may_overlap {
            let detail = format!("n{host} acts for {scope} under {token}, where epoch {} is known to all", known.0);
            found.fail(EPOC_1, &[host], detail);
        }
        self.exercised.lease_2 += 1;
        // A process holds nothing that was granted before it began.
        let before = shown.newest_before(leases.booted[host as usize]).filter(|before| *before >= token);
        if let Some(before) = before.filter(|_| !leases.is_split && !is_of_former) {
            let detail = format!("n{host} acts for {scope} under {token}, but {before} was shown before it started");
            found.fail(LEASE_2, &[host], detail);
        }
        if let Err(what) = shown.token(found.now, token, Known { holder: node_id(host), term: None }) {
            found.fail(LEASE_2, &[host], format!("of {scope} {what}"));
        }
    }

    /// A node has shown who holds what, as far as it knows.
    pub(super) fn status_shown(&mut self, host: u32, status: &Status, found: &mut Findings) {
        let leases = &mut self.control.leases;
        let is_of_former = leases.is_of_former(host, found.now);
        for (scope, lease) in status.scopes.iter().filter_map(|it| Some((it.scope, it.lease?))) {
            self.exercised.lease_2 += 1;
            let shown = leases.scopes.entry(scope).or_default();
            let known = Known { holder: lease.holder, term: Some((status.lineage.recovery, lease.term)) };
            if let Err(what) = shown.token(found.now, lease.token, known) {
                found.fail(LEASE_2, &[host], format!("of {scope} {what}"));
            }
            if is_of_former {
                continue;
            }
            let seen = leases.seen_by[host as usize].entry(scope).or_insert(lease.token);
            if *seen > lease.token {
                let detail = format!("n{host} shows {} of {scope} in force, after {seen}", lease.token);
                found.fail(LEASE_2, &[host], detail);
            }
            *seen = lease.token;
        }
    }
}
