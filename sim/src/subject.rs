//! What the world simulates: an application, the clients that use it, and the checkers that watch it.
//!
//! The world knows nodes, packets, disks and faults; everything that knows what the messages mean is behind these
//! traits.

use crate::check::Findings;
use crate::disk::Disk;
use crate::scenario::{Plan, PlannedFault, Scenario};
use crate::streams::Streams;
use crate::time::TrueTime;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::{Class, Envelope};
use relaymesh_core::identity::NodeId;
use relaymesh_core::node::{Application, Outgoing, Refusal, Seat};
use relaymesh_core::object::ObjectId;
use relaymesh_core::time::Duration;

/// Something to be simulated.
pub trait Subject: Sized {
    /// What runs on each node.
    type Application: Application;
    /// Who asks it for things.
    type Clients: Clients<Self::Application>;
    /// Who watches.
    type Checks: Checks<Self::Application>;

    /// Whether its nodes find one another by endpoint, and whether the classes that are streams ride streams. Without
    /// that, packets of every class are datagrams, and reach the host of the node that they are for.
    const STREAMS: bool;
    /// The sections of a scenario that are its own.
    const SECTIONS: &'static [&'static str];

    /// The application of one process.
    fn application(around: &Surroundings<'_>) -> Self::Application;
    /// The clients of one run.
    fn clients(scenario: &Scenario, plan: &Plan, streams: &mut Streams) -> Self::Clients;
    /// The checkers of one run.
    fn checks(scenario: &Scenario) -> Self::Checks;
}

/// What a process finds around itself when it starts.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Its node's seat.
    pub seat: &'a Seat,
    /// All nodes there are, in the order of their numbers, those of another cluster included.
    pub nodes: &'a [NodeId],
    /// Its host's number.
    pub host: u32,
    /// Which of its host's processes it is, counted from 0.
    pub life: u32,
    /// Where its host is.
    pub endpoint: Endpoint,
}

/// The clients of a run. They live outside the nodes and never fail.
pub trait Clients<A: Application> {
    /// How many there are, numbered from 0.
    fn count(&self) -> u32;
    /// What a client does next. While `offering` is false it finishes what it has begun and begins nothing.
    fn turn(&mut self, client: u32, now: TrueTime, offering: bool) -> Turn<A::Request>;
    /// What became of its last request.
    fn outcome(&mut self, client: u32, now: TrueTime, outcome: Outcome<A::Reply>);
    /// Clients that still wait for something, with what.
    fn unanswered(&self) -> Vec<(u32, String)>;
}

/// What a client does next.
#[derive(Clone, Debug)]
pub enum Turn<R> {
    /// Asks a node, and waits.
    Ask {
        /// Which node.
        host: u32,
        /// For what.
        request: R,
        /// How long it waits.
        timeout: Duration,
    },
    /// Takes the process of a node down, for so long; then it is its turn again.
    Kill {
        /// Which node.
        host: u32,
        /// How long until it starts again.
        lasts: Duration,
    },
    /// Does nothing until then.
    Rest(TrueTime),
    /// Is done for good.
    Done,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Outcome<R> {
    /// It was answered.
    Reply(R),
    /// It was refused before it was looked at.
    Refused(Refusal),
    /// Nobody listens there.
    Unreachable,
    /// No answer came in time; what was asked may have been done or may still be.
    TimedOut,
}

/// Checkers of an application. They see what clients and the wire see, at true time, and never ask a node.
pub trait Checks<A: Application> {
    /// Whether a message shows state that a crash could undo. Said here once more, so that the gate is not judged by
    /// what the code under test says of itself.
    fn shows_state(&self, message: &A::Message) -> bool;
    /// The same of a reply.
    fn reply_shows_state(&self, _reply: &A::Reply) -> bool {
        true
    }
    /// A message has left its node.
    fn sent(&mut self, host: u32, to: u32, outgoing: &Outgoing<A::Message>, found: &mut Findings);
    /// An authentic message has arrived.
    fn received(&mut self, host: u32, from: u32, envelope: &Envelope, message: &A::Message, found: &mut Findings);
    /// A client has asked a node.
    fn asked(&mut self, client: u32, host: u32, request: &A::Request, found: &mut Findings);
    /// The answer has reached the client.
    fn answered(&mut self, client: u32, host: u32, request: &A::Request, reply: &A::Reply, found: &mut Findings);
    /// A node has let operators see something.
    fn observed(&mut self, host: u32, observation: &A::Observation, found: &mut Findings);
    /// A process has begun.
    fn booted(&mut self, host: u32, now: TrueTime);
    /// A process has ended, for whatever reason.
    fn ended(&mut self, _host: u32, _now: TrueTime) {}
    /// A fault begins. Its consequences follow.
    fn began_fault(&mut self, _fault: &PlannedFault, _now: TrueTime) {}
    /// A fault that lasts ends. Its consequences follow.
    fn ended_fault(&mut self, _fault: &PlannedFault, _now: TrueTime) {}
    /// A sealed packet from `host` for `to` was handed to the network, or once more: each try on a stream counts.
    fn carried(&mut self, _host: u32, _to: u32, _class: Class, _bytes: usize) {}
    /// A packet that `from` has sent reached a process of host `to`, which has not opened it yet.
    fn crossed(&mut self, _from: u32, _to: u32, _now: TrueTime) {}
    /// A node has written, or written again, a record in `version`.
    fn wrote(&mut self, host: u32, version: BodyVersion, found: &mut Findings);
    /// A process could not read what an earlier one has written.
    fn unreadable(&mut self, host: u32, found: &mut Findings);
    /// What stood in the host's store is gone or damaged, by more than one disk can survive.
    fn store_lost(&mut self, host: u32);
    /// Objects of the host's store are damaged or gone, by more than one disk can survive.
    fn objects_lost(&mut self, _host: u32, _objects: &[ObjectId]) {}
    /// Everything was healed.
    fn healed(&mut self, now: TrueTime);
    /// The run is over, and that is the disk of a host whose process runs.
    fn disk(&mut self, _host: u32, _disk: &Disk) {}
    /// The run is over, and that is what runs on a host. For what nobody shows as a whole: everything else is judged from
    /// outside.
    fn over(&mut self, _host: u32, _application: &A) {}
    /// The run is over; `done` tells whether it ran to its end.
    fn finish(&mut self, found: &mut Findings);
    /// How often each invariant was put to the test.
    fn exercised(&self) -> Vec<(&'static str, u64)>;
}
