//! The replicated state of the control group: plain data, changed by committed log entries and by nothing else.
//!
//! [`State::apply`] takes every committed entry in log order and answers it. It is pure and total: equal states and equal
//! entries give equal states and equal outcomes on every machine, and an entry that makes no sense is refused, the same
//! everywhere. What follows for others comes out as [`Change`]s.
//!
//! What belongs here: cluster epoch, voters, sessions, scopes with their leases, records of shards and where these ought to be, commands of clients, and what the cluster
//! shares (cordons, flags, settings, registers). Absent on purpose: time (a lease is a duration here; who measures it is
//! [`lease`](crate::lease)), Raft, who may ask for what, and everything that is not agreed on by all.
//!
//! Invariants, checked when a snapshot is taken over:
//! - a scope is held by, and waited for by, sessions that live; a session knows its scopes;
//! - an owner has at most one session, and a session's owner is a registered client;
//! - tokens of a scope strictly increase;
//! - every table has a bound ([`limits`]).

mod apply;
mod change;
mod clients;
mod command;
mod follow;
pub mod limits;
mod lineage;
mod names;
mod outcome;
mod placement;
mod placement_command;
mod plans;
mod scopes;
mod sessions;
mod shards;
mod shared;
mod snapshot;
mod table;
mod whole;

pub use apply::{At, CannotApply};
pub use change::{Change, EndCause};
pub use clients::Registration;
pub use command::{Command, Entry, EntryError, LeaderCommand, NEWEST, OLDEST, SHARDS};
pub use follow::{Delta, DeltaRefused, Freshness, LoggedEntry};
pub use lineage::{Bump, Conflict, Lineage, RecoverRefused, RecoveryId};
pub use names::{Name, NameError, Scope, Text, Value};
pub use outcome::{Answer, Outcome, Refusal, Table};
pub use placement::{Cause, Past, Placement, Plan, Run, Seat};
pub use placement_command::{DOUBTFUL_MAX, PARALLEL_MAX, PAUSED_AT_ONCE, PlacementCommand, ROWS_AT_ONCE};
pub use scopes::{Lease, Tenure};
pub use sessions::{Session, SessionId};
pub use shards::{DECLARED_AT_ONCE, ShardCommand};
pub use shared::{Cordon, Setting, Voters};
pub use snapshot::{Piece, SnapshotError, SnapshotReader, SnapshotWriter};
pub use table::{Chain, Genesis, State};
pub use whole::{snapshot_bytes, state_of_snapshot};

#[cfg(test)]
pub(crate) mod tests;
