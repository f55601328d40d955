//! The world: hosts, the network between them, their clients, and time.
//!
//! One event queue drives everything. [`host`] is what a machine room would hold: process, disk, clocks. [`drive`] is
//! the driver: it hands a node what happens, and [`perform`] does what the node asks, without looking at the content
//! of any message; [`reads`] does so for objects and for all that is read.
//! [`wires`] is what leaves a host and comes of it on the way, [`addresses`] who lives where, [`keys`] what each host can
//! open. [`faults`] breaks things and heals them, [`clients`] lets clients speak.

mod addresses;
mod clients;
mod drive;
mod faults;
mod host;
mod keys;
mod perform;
mod reads;
mod report;
mod run;
mod wires;

#[cfg(test)]
mod tests;

pub use host::node_id;
pub use keys::key_name;
pub use report::{Report, Verdict};
pub use run::{Options, World, run};

use crate::network::connection::Lane;
use crate::time::TrueTime;
use relaymesh_core::envelope::{Class, KeyIds};
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::identity::{NodeId, RequestId};
use relaymesh_core::machine::CauseId;
use relaymesh_core::node::StoreFailure;

/// Something that will take place. Small: what it carries stands in a slab.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// Something reaches a process.
    Arrives { host: u32, life: u32, inbound: Inbound },
    /// A packet reaches a host, whoever runs there.
    Packet { host: u32, place: u32 },
    /// What a stream has lost is to be sent again.
    Retries { lane: Lane, number: u32 },
    /// A question reaches the endpoint of a seed.
    Inquiry { place: u32 },
    /// A sync ends.
    SyncEnds { host: u32, life: u32, number: u32 },
    /// A process that was frozen or busy goes on.
    Resumes { host: u32, life: u32 },
    /// A process begins.
    Boots { host: u32, life: u32 },
    /// A client may act, or its patience ends.
    ClientTurn { client: u32, turn: u32 },
    /// An answer reaches a client.
    Answer { client: u32, request: RequestId, place: u32 },
    /// A fault begins.
    FaultBegins { number: u32 },
    /// A fault ends.
    FaultEnds { number: u32 },
    /// A host may start again that a client has killed.
    Returns { host: u32 },
    /// All faults end.
    Heals,
}

/// Something that reaches a process.
#[derive(Clone, Copy, Debug)]
enum Inbound {
    Packet { place: u32 },
    Wake,
    Request { id: RequestId, place: u32, cause: CauseId },
    Persisted { upto: WriteNumber, cause: CauseId },
    StoreFailed { failure: StoreFailure, cause: CauseId },
    Loaded { place: u32 },
    Computed { place: u32 },
    Full { peer: NodeId, class: Class, cause: CauseId },
    Room { peer: NodeId, class: Class, cause: CauseId },
    Found { place: u32 },
    Keys { keys: KeyIds, cause: CauseId },
}

/// How long a request, or an answer, is on its way between a client and a node.
pub const CLIENT_DELAY: relaymesh_core::time::Duration = relaymesh_core::time::Duration::from_micros(150);

/// When everything is healed and when the run ends.
#[derive(Clone, Copy, Debug)]
struct Timetable {
    heal: TrueTime,
    end: TrueTime,
}
