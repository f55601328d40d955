//! The driver of a production node: it does what the machines decide, and decides nothing.
//!
//! One task owns the node. It takes one event, samples the clocks, lets the node handle it, and does what follows, in
//! order. Everything that may take time happens elsewhere: packets are opened where they arrive, the disk has a thread
//! of its own, computations run on other cores. The simulator's driver has the same duties; neither looks at what a
//! message says.

mod perform;
mod sources;
mod start;

pub use start::{StartError, start};

use crate::clock;
use crate::handle::{DriverError, Ended, Noticed, RequestError, Stopped};
use crate::keys::KeyOrder;
use crate::store::{Held, Order, Report};
use crate::transport::{Common, Peers, Pressure};
use relaymesh_core::codec::Body;
use relaymesh_core::identity::RequestId;
use relaymesh_core::machine::{CauseId, Ctx, Seeded};
use relaymesh_core::node::{Application, Event, Node, Scratch};
use relaymesh_core::observe::Observe;
use relaymesh_core::time::Time;
use sources::{Sources, Taken};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, oneshot};
use tokio::task::JoinSet;

/// An application that a driver can run: what it hands over may cross threads.
pub trait Runnable:
    Application<
        Message: Send + 'static,
        Record: Body,
        Request: Send + 'static,
        Reply: Send + 'static,
        Local: Send,
        Work: Send + 'static,
        Done: Send + 'static,
        WorkId: Send + 'static,
        Observation: Observe + Clone + Send + 'static,
    > + Send
    + 'static
{
}

impl<A> Runnable for A where
    A: Application<
            Message: Send + 'static,
            Record: Body,
            Request: Send + 'static,
            Reply: Send + 'static,
            Local: Send,
            Work: Send + 'static,
            Done: Send + 'static,
            WorkId: Send + 'static,
            Observation: Observe + Clone + Send + 'static,
        > + Send
        + 'static
{
}

/// One node and all that it needs of the outside world.
pub(crate) struct Driver<A: Runnable> {
    node: Node<A>,
    scratch: Scratch<A>,
    chooser: Seeded,
    /// Events so far, which also names the next one.
    events: u64,
    /// What the node has to be told before anything else: it follows from its own last actions.
    due: VecDeque<Event<A>>,
    common: Arc<Common>,
    peers: Peers,
    orders: mpsc::Sender<Order>,
    keys: mpsc::Sender<KeyOrder>,
    seeking: Arc<Notify>,
    noticed: broadcast::Sender<Noticed<A>>,
    clients: BTreeMap<RequestId, oneshot::Sender<Result<A::Reply, RequestError>>>,
    last_request: RequestId,
    /// How many computations run at once.
    cores: Arc<Semaphore>,
    sources: Sources<A>,
    ended: Option<Ended>,
}

impl<A: Runnable> Driver<A> {
    /// Drives the node until its end.
    pub(crate) async fn run(mut self, held: Held) -> Ended {
        let Held { lowest, last } = held;
        self.handle(Event::Boot { lowest, last }).await;
        let ended = loop {
            if let Some(ended) = self.ended.take() {
                break ended;
            }
            match self.due.pop_front() {
                Some(event) => self.handle(event).await,
                None => {
                    let taken = self.sources.next(self.node.next_deadline()).await;
                    self.take(taken).await;
                }
            }
        };
        // Whoever waits for an answer is told first, then streams and datagrams end.
        self.clients.clear();
        self.sources.tasks.shutdown().await;
        ended
    }

    async fn take(&mut self, taken: Taken<A>) {
        let event = match taken {
            Taken::Event(event) => event,
            Taken::Ask(ask) => {
                let Some(id) = self.admit(ask.answer) else { return };
                Event::Request { id, request: ask.request }
            }
            Taken::Store(Report::Read { ticket, slot, bytes }) => Event::Loaded { ticket, sequence: slot, bytes },
            Taken::Store(Report::Fetched { ticket, object, bytes }) => Event::Fetched { ticket, object, bytes },
            Taken::Store(Report::Listed { ticket, objects, is_last }) => Event::Listed { ticket, objects, is_last },
            Taken::Store(Report::Failed(failure)) => Event::StoreFailed(failure),
            Taken::Store(Report::Unreadable(problem)) => {
                tracing::error!(%problem, "the node stops");
                self.ended = Some(Err(DriverError::Store(Arc::new(problem))));
                return;
            }
            Taken::Pressure(pressure) => told(pressure),
            Taken::Stop => {
                self.ended = Some(Ok(Stopped::Asked));
                return;
            }
            Taken::Lost => {
                self.ended = Some(Err(DriverError::Panicked));
                return;
            }
            Taken::Nothing => return,
        };
        self.handle(event).await;
    }

    /// Gives a request its number, while fewer are under way than may be.
    fn admit(&mut self, answer: oneshot::Sender<Result<A::Reply, RequestError>>) -> Option<RequestId> {
        if self.clients.len() >= self.common.bounds.requests {
            self.clients.retain(|_, client| !client.is_closed());
        }
        if self.clients.len() >= self.common.bounds.requests {
            let _ = answer.send(Err(RequestError::Busy));
            return None;
        }
        self.last_request = RequestId(self.last_request.0 + 1);
        self.clients.insert(self.last_request, answer);
        Some(self.last_request)
    }

    /// Lets the node handle one event, and does what follows. The clocks are read here, after the event was taken: a
    /// lease must not look younger than it is.
    async fn handle(&mut self, event: Event<A>) {
        self.events += 1;
        {
            let mut ctx = Ctx::new(clock::now(), clock::wall(), CauseId(self.events), &mut self.chooser);
            self.node.handle(&mut ctx, event, &mut self.scratch);
        }
        let mut effects = std::mem::take(&mut self.scratch.effects);
        for effect in effects.drain(..) {
            if self.ended.is_none() {
                self.perform(effect).await;
            }
        }
        self.scratch.effects = effects;
    }
}

/// A queue's state as the node hears of it.
fn told<A: Application>(pressure: Pressure) -> Event<A> {
    match pressure {
        Pressure::Full { peer, class } => Event::Full { peer, class },
        Pressure::Room { peer, class } => Event::Room { peer, class },
    }
}

/// Tasks that live and die with their driver.
type Tasks = JoinSet<()>;

/// Whether `not_after` has passed.
fn is_late(not_after: Option<Time>) -> bool {
    not_after.is_some_and(|limit| clock::now() > limit)
}
