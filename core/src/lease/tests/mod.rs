//! Rules of leases, each by itself. `docs/control.md` has their names; every interleaving of them is explored in
//! `tests/lease_model.rs`.

mod acceptor;
mod client;
mod keeper;

use super::Settings;
use crate::control::state::tests::{life, named, token};
use crate::control::state::{Change, EndCause, Lease, Lineage, RecoveryId, Scope, SessionId};
use crate::epoch::ClusterEpoch;
use crate::identity::Incarnation;
use crate::machine::{CauseId, Ctx, Machine, Scripted};
use crate::time::{Duration, Time, WallTime};
use alloc::vec;
use alloc::vec::Vec;

/// Milliseconds on the clock of the node under test.
fn at(ms: u64) -> Time {
    Time::ZERO + Duration::from_millis(10_000 + ms)
}

fn handle<M: Machine>(machine: &mut M, now: Time, event: M::Event) -> Vec<M::Action> {
    let mut chooser = Scripted::default();
    let mut ctx = Ctx::new(now, WallTime::default(), CauseId(0), &mut chooser);
    let mut actions = vec![];
    machine.handle(&mut ctx, event, &mut actions);
    actions
}

/// Lan: 1,200 ms to live, ε 100 ms, renewed every 300 ms, tried again after 75 ms.
fn settings() -> Settings {
    Settings::default()
}

fn session(index: u64) -> SessionId {
    SessionId(token(1, index))
}

fn opened(index: u64, owner: Incarnation) -> Change {
    let (ttl, epsilon) = (settings().ttl, settings().epsilon);
    Change::Opened { session: session(index), owner, ttl, epsilon }
}

fn ended(index: u64, owner: Incarnation) -> Change {
    Change::Ended { session: session(index), owner, cause: EndCause::Expired }
}

fn epoch(cluster: u64) -> Change {
    Change::Epoch { lineage: Lineage { epoch: ClusterEpoch(cluster), recovery: RecoveryId(1) } }
}

fn lease(index: u64, granted: u64) -> Lease {
    let (holder, granted) = (life(1, 1).node, token(1, granted));
    Lease { session: session(index), holder, term: 1, granted, token: granted }
}
