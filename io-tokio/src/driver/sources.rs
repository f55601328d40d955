//! Where a driver's events come from, none before another.

use super::{Runnable, Tasks};
use crate::clock;
use crate::handle::Ask;
use crate::store::Report;
use crate::transport::{Arrivals, Pressure};
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::KeyIds;
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::identity::NodeId;
use relaymesh_core::node::Event;
use relaymesh_core::time::Time;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

/// The longest sleep: the runtime's clock does not count the machine's sleep, and the node's does, so a deadline may have
/// come meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// What a driver takes next.
pub(super) enum Taken<A: Runnable> {
    Event(Event<A>),
    Ask(Ask<A>),
    Store(Report),
    Pressure(Pressure),
    /// The node was told to stop.
    Stop,
    /// A part of the driver is gone, which only a panic does.
    Lost,
    Nothing,
}

/// All sources of one driver.
pub(super) struct Sources<A: Runnable> {
    pub(super) arrivals: Arrivals<A::Message>,
    pub(super) asks: mpsc::Receiver<Ask<A>>,
    pub(super) durable: watch::Receiver<WriteNumber>,
    pub(super) reports: mpsc::Receiver<Report>,
    pub(super) pressure: mpsc::Receiver<Pressure>,
    pub(super) found: mpsc::Receiver<(NodeId, Endpoint)>,
    pub(super) keys: mpsc::Receiver<KeyIds>,
    pub(super) stop: watch::Receiver<bool>,
    /// Computations under way.
    pub(super) computed: JoinSet<(A::WorkId, A::Done)>,
    /// Streams, datagrams and all else that runs beside the driver. None of it ends while the driver lives, except a
    /// stream that its driver has ended.
    pub(super) tasks: Tasks,
    /// The last event was a wake: what else waits comes first, lest a deadline that stays due starve it.
    pub(super) woke: bool,
}

impl<A: Runnable> Sources<A> {
    /// Waits for the next event, or for `deadline`.
    pub(super) async fn next(&mut self, deadline: Option<Time>) -> Taken<A> {
        let rest = deadline.map(|deadline| Duration::from_nanos(deadline.since(clock::now()).as_nanos()));
        if rest == Some(Duration::ZERO) && !self.woke {
            self.woke = true;
            return Taken::Event(Event::Wake);
        }
        self.woke = false;
        tokio::select! {
            Some(delivery) = self.arrivals.next() => Taken::Event(Event::Packet(delivery)),
            Some(ask) = self.asks.recv() => Taken::Ask(ask),
            changed = self.durable.changed() => match changed {
                Ok(()) => Taken::Event(Event::Persisted { upto: *self.durable.borrow_and_update() }),
                Err(_) => self.last_report().await,
            },
            Some(report) = self.reports.recv() => Taken::Store(report),
            Some(pressure) = self.pressure.recv() => Taken::Pressure(pressure),
            Some((node, endpoint)) = self.found.recv() => Taken::Event(Event::Found { node, endpoint }),
            Some(ids) = self.keys.recv() => Taken::Event(Event::Keys(ids)),
            Some(computed) = self.computed.join_next() => match computed {
                Ok((id, done)) => Taken::Event(Event::Computed { id, done }),
                Err(problem) => lost(&problem),
            },
            Some(ended) = self.tasks.join_next() => match ended {
                Err(problem) => lost(&problem),
                Ok(()) => Taken::Nothing,
            },
            Ok(()) = self.stop.changed() => Taken::Stop,
            // The loop looks at the clock again: this may be early, or a whole sleep of the machine late.
            () = sleep(rest.unwrap_or_default().min(SLEEP_MAX)), if rest.is_some() => Taken::Nothing,
        }
    }

    /// The store's thread has ended, and said why, unless it panicked.
    async fn last_report(&mut self) -> Taken<A> {
        match self.reports.recv().await {
            Some(report) => Taken::Store(report),
            None => Taken::Lost,
        }
    }
}

/// A task that was cancelled is one whose peer was forgotten; one that panicked is a defect.
fn lost<A: Runnable>(problem: &JoinError) -> Taken<A> {
    if problem.is_cancelled() { Taken::Nothing } else { Taken::Lost }
}
