//! Membership: who is there, as every node sees it for itself (SPEC 1).
//!
//! SWIM failure detection (Das, Gupta, Motivala 2002) with every part of Lifeguard (arXiv 1707.00788), an exchange of
//! digests that repairs what gossip missed, and a second, slower view that does not flap. Whom the mesh *must* agree on
//! is not decided here: leases and epochs come from the control group; DEAD is a hint.
//!
//! | file | holds |
//! | --- | --- |
//! | [`verdict`] | opinions and which one prevails |
//! | `table`, `replay` | the view: a row for each member, digests, packets seen |
//! | `machine`, `clockwork` | the dispatcher, and what is due when |
//! | `judge` | what is believed, passed on, or ignored |
//! | `own` | this node's own row: incarnations, refutation, description |
//! | `probe`, [`suspicion`] | who is asked, who vouches, how long a suspect has |
//! | `gossip`, `rumors` | rounds, packets and their budget |
//! | `exchange` | push/pull by digest; how a node joins |
//! | `standing` | who counts as alive for placement |
//! | `upkeep`, `leaving` | seeds, forgetting, key coverage, capacity; good-byes |
//! | [`coordinate`] | predicted delays |
//! | [`wire`], [`view`] | what is said between nodes, and to operators |
//!
//! Rules, with what each forbids, are in `docs/adr/0002-membership.md`. Absent on purpose: sockets (drivers are told
//! where nodes live), keys (only their names), and any use of DEAD as an authority to take over.

mod clockwork;
pub mod coordinate;
pub mod description;
mod exchange;
mod gossip;
mod judge;
mod leaving;
mod machine;
mod observation;
mod own;
mod probe;
mod replay;
mod rumors;
pub mod settings;
mod standing;
pub mod suspicion;
mod table;
mod upkeep;
pub mod verdict;
pub mod view;
pub mod wire;

pub use description::{Description, Profile};
pub use machine::{Action, Event, Identity, Membership};
pub use observation::MembershipObservation;
pub use settings::{Bounds, Settings};
pub use verdict::{IncarnationNumber, Opinion, Status, Verdict};
pub use view::{Link, MemberView, Refusal, Reply, Request};
pub use wire::{Message, Record};

#[cfg(test)]
mod tests;
