//! The composition: three machines, and every wire between them on one page.
//!
//! ```text
//! clients ──Request──► journal ──Grew──► echo ◄──Message──► peers
//!    │                   │ ▲
//!    │             Write ▼ │ replay, Loaded, Computed
//!    │                 journal file
//!    └─────Request──► shelf
//!       Keep, Fetch … ▼ ▲ Kept, Fetched …
//!                    objects
//! ```

use super::echo::{self, Echo};
use super::journal::{self, Journal, Reply, Request, Work};
use super::shelf::{self, Shelf};
use super::wire::{Message, Record};
use alloc::vec::Vec;
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::identity::{NodeId, RequestId};
use relaymesh_core::machine::{Ctx, Lift, Machine, Sink};
use relaymesh_core::node::{Application, Input, Output, Seat, Visible};
use relaymesh_core::record::Sequence;
use relaymesh_core::time::Time;

/// What the journal tells the echo mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// The journal has that many entries now.
    Grew(u64),
}

relaymesh_core::observations! {
    /// What the example lets operators see.
    pub enum ExampleObservation {
        /// A ping was answered.
        Counter Health Count "example_echo_answered_total" => Answered { sequence: u64, peer: NodeId },
        /// No answer came, however often the ping was sent.
        Counter Health Count "example_echo_unanswered_total" => Unanswered { sequence: u64, peer: NodeId },
        /// A log has got an entry.
        Counter State Count "example_journal_appended_total" => Appended { position: u64 },
    }
}

/// The machines of one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExampleNode {
    journal: Journal,
    echo: Echo,
    shelf: Shelf,
}

impl ExampleNode {
    /// The machines of the node at `seat`, one of `nodes`.
    pub fn new(seat: &Seat, nodes: &[NodeId], settings: echo::Settings) -> Self {
        let peers: Vec<NodeId> = nodes.iter().copied().filter(|node| *node != seat.node).collect();
        let echo = Echo::new(seat.node, seat.speaks, peers, settings);
        Self { journal: Journal::new(seat.speaks), echo, shelf: Shelf::default() }
    }
}

impl Machine for ExampleNode {
    type Event = Input<Self>;
    type Action = Output<Self>;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Input<Self>, out: &mut impl Sink<Output<Self>>) {
        let Self { journal, echo, shelf } = self;
        match event {
            Input::Start { .. } => {
                out.push(Output::Local(Local::Grew(journal.entries())));
                echo.handle(ctx, echo::Event::Start, &mut Lift::new(out, from_echo));
            }
            Input::Wake => echo.handle(ctx, echo::Event::Wake, &mut Lift::new(out, from_echo)),
            Input::Message(delivery) => {
                echo.handle(ctx, echo::Event::Message(delivery), &mut Lift::new(out, from_echo));
            }
            Input::Full { peer, .. } => echo.handle(ctx, echo::Event::Full(peer), &mut Lift::new(out, from_echo)),
            Input::Room { peer, .. } => echo.handle(ctx, echo::Event::Room(peer), &mut Lift::new(out, from_echo)),
            Input::Late(Visible::Message { route, message, .. }) => {
                echo.handle(ctx, echo::Event::Late(route.to, message), &mut Lift::new(out, from_echo));
            }
            // The journal puts no time limit on its replies, and neither machine counts what is durable.
            Input::Late(Visible::Reply { .. }) | Input::Persisted { .. } => {}
            // The example knows its peers from the start, and nothing of keys.
            Input::Found { .. } | Input::Keys(_) => {}
            Input::Local(Local::Grew(entries)) => {
                echo.handle(ctx, echo::Event::JournalGrew(entries), &mut Lift::new(out, from_echo));
            }
            Input::Request { id, request: Request::Shelf(request) } => {
                shelf.handle(ctx, shelf::Event::Request(id, request), &mut Lift::new(out, from_shelf));
            }
            Input::Kept { object } => shelf.handle(ctx, shelf::Event::Kept(object), &mut Lift::new(out, from_shelf)),
            Input::Fetched { object, bytes } => {
                shelf.handle(ctx, shelf::Event::Fetched(object, bytes), &mut Lift::new(out, from_shelf));
            }
            Input::Objects { after, objects, is_last } => {
                shelf.handle(ctx, shelf::Event::Listed(after, objects, is_last), &mut Lift::new(out, from_shelf));
            }
            Input::Request { id, request } => {
                journal.handle(ctx, journal::Event::Request(id, request), &mut Lift::new(out, from_journal));
            }
            Input::Computed { id, done } => {
                journal.handle(ctx, journal::Event::Hashed(id, done), &mut Lift::new(out, from_journal));
            }
            Input::Checkpoint { below } => {
                journal.handle(ctx, journal::Event::Checkpoint(below), &mut Lift::new(out, from_journal));
            }
            Input::Loaded { sequence, record } => {
                journal.handle(ctx, journal::Event::Loaded(sequence, record), &mut Lift::new(out, from_journal));
            }
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        self.echo.next_deadline()
    }
}

fn from_echo(action: echo::Action) -> Output<ExampleNode> {
    match action {
        echo::Action::Send { route, version, message, not_after } => {
            Output::Show { what: Visible::Message { route, version, message }, not_after }
        }
        echo::Action::Observe(observation) => Output::Observe(observation),
    }
}

fn from_journal(action: journal::Action) -> Output<ExampleNode> {
    match action {
        journal::Action::Write(version, record) => Output::Write { version, record },
        journal::Action::Reply(id, reply) => Output::reply(id, reply),
        journal::Action::Hash(id, work) => Output::Compute { id, work },
        journal::Action::Load(sequence) => Output::Load(sequence),
        journal::Action::Checkpointed(below) => Output::Checkpointed(below),
        journal::Action::Grew(entries) => Output::Local(Local::Grew(entries)),
        journal::Action::Observe(observation) => Output::Observe(observation),
    }
}

fn from_shelf(action: shelf::Action) -> Output<ExampleNode> {
    match action {
        shelf::Action::Keep(object, bytes) => Output::Keep { object, bytes },
        shelf::Action::Discard(object) => Output::Discard { object },
        shelf::Action::Fetch(object) => Output::Fetch { object },
        shelf::Action::List(after) => Output::ListObjects { after },
        shelf::Action::Reply(id, reply) => Output::reply(id, Reply::Shelf(reply)),
    }
}

impl Application for ExampleNode {
    type Message = Message;
    type Record = Record;
    type Request = Request;
    type Reply = Reply;
    type Local = Local;
    type Work = Work;
    type Done = [u8; 32];
    type WorkId = RequestId;
    type Observation = ExampleObservation;

    fn replay(&mut self, sequence: Sequence, record: Record) {
        self.journal.replay(sequence, record);
    }

    fn compute(work: Work) -> [u8; 32] {
        work.hash()
    }
}

/// The version in which this build writes before anything newer was activated.
pub(super) const UNACTIVATED: BodyVersion = super::OLDEST_VERSION;
