//! The journal's slots and the node's objects on disk, kept by a thread of its own.
//!
//! Orders are carried out as they were given. One sync covers all writes that queued up meanwhile; only after it are
//! they reported durable. A failed write or sync ends the thread: what the page cache holds then is unknown, so nothing
//! is tried again (see "fsyncgate"). A slot that cannot be read ends it too: it must not be taken for an empty one. An object
//! that cannot be read is damaged, which its owner can bear.

mod objects;
mod sled;
mod staged;

pub use self::sled::StoreError;

use self::sled::SledStore;
use relaymesh_core::gate::WriteNumber;
use relaymesh_core::limits::Limits;
use relaymesh_core::node::{FETCHES_MAX, LOADS_MAX, StoreFailure, Ticket};
use relaymesh_core::object::ObjectId;
use relaymesh_core::record::Sequence;
use std::path::Path;
use std::thread::{self, JoinHandle};
use tokio::sync::{mpsc, watch};

/// Orders that one sync covers at most.
const GROUP_MAX: usize = 4_096;
/// Reports that may wait: more readings than a node has under way, so that the thread does not wait for its driver.
const REPORTS_MAX: usize = 2 * (LOADS_MAX + FETCHES_MAX);

/// What the driver wants done.
#[derive(Debug)]
pub(crate) enum Order {
    /// Replace what a slot holds.
    Write {
        write: WriteNumber,
        slot: Sequence,
        frame: Vec<u8>,
    },
    /// Empty every slot from `from` on.
    Erase {
        write: WriteNumber,
        from: Sequence,
    },
    /// Empty the slots from `from` to before `below`.
    Trim {
        write: WriteNumber,
        from: Sequence,
        below: Sequence,
    },
    Read {
        ticket: Ticket,
        slot: Sequence,
    },
    /// Replace what stands under the id of an object.
    Keep {
        write: WriteNumber,
        object: ObjectId,
        frame: Vec<u8>,
    },
    /// Remove an object.
    Discard {
        write: WriteNumber,
        object: ObjectId,
    },
    Fetch {
        ticket: Ticket,
        object: ObjectId,
    },
    /// Name the objects behind one.
    List {
        ticket: Ticket,
        after: Option<ObjectId>,
    },
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Report {
    Read { ticket: Ticket, slot: Sequence, bytes: Option<Vec<u8>> },
    Fetched { ticket: Ticket, object: ObjectId, bytes: Option<Vec<u8>> },
    Listed { ticket: Ticket, objects: Vec<ObjectId>, is_last: bool },
    Failed(StoreFailure),
    Unreadable(StoreError),
}

/// The driver's end of a store.
pub(crate) struct Keeper {
    /// Where orders go. Once it is dropped, the thread finishes what it was told and ends.
    pub(crate) orders: mpsc::Sender<Order>,
    /// The last write that is durable.
    pub(crate) durable: watch::Receiver<WriteNumber>,
    /// Everything else.
    pub(crate) reports: mpsc::Receiver<Report>,
    /// The slots that were not empty when the store was opened.
    pub(crate) held: Held,
}

/// Which slots of a store are not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The lowest, those of anchors left out; zero for none.
    pub(crate) lowest: Sequence,
    /// The last; `None` for an empty store.
    pub(crate) last: Option<Sequence>,
}

/// Opens the store at `path` and starts its thread. Blocks on the disk.
pub(crate) fn open(path: &Path, limits: &Limits) -> Result<(Keeper, JoinHandle<()>), StoreError> {
    let store = SledStore::open(path)?;
    let held = store.held();
    // The node refuses work long before this many writes wait; when they do, the driver waits for the disk.
    let orders_max = usize::try_from(limits.unsynced_writes).unwrap_or(usize::MAX).saturating_mul(2) + REPORTS_MAX;
    let (orders, taken) = mpsc::channel(orders_max.min(1 << 20));
    let (synced, durable) = watch::channel(WriteNumber(0));
    let (reporter, reports) = mpsc::channel(REPORTS_MAX);
    let keeper = Keeper { orders, durable, reports, held };
    let worker = Worker { store, synced, reporter };
    let thread = thread::Builder::new().name("relaymesh-store".into()).spawn(move || worker.run(taken));
    let failed = |problem| StoreError::Open { path: path.to_owned(), problem: ::sled::Error::Io(problem) };
    thread.map(|thread| (keeper, thread)).map_err(failed)
}

struct Worker {
    store: SledStore,
    synced: watch::Sender<WriteNumber>,
    reporter: mpsc::Sender<Report>,
}

impl Worker {
    fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut group = Vec::new();
        while orders.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
            if let Err(end) = self.carry_out(&mut group) {
                // When the driver has gone there is nobody left to tell.
                let _ = self.reporter.blocking_send(end);
                return;
            }
        }
    }

    fn carry_out(&mut self, group: &mut Vec<Order>) -> Result<(), Report> {
        let mut newest = None;
        for order in group.drain(..) {
            match order {
                Order::Write { write, slot, frame } => {
                    self.store.stage(slot, &frame).map_err(Report::Failed)?;
                    newest = Some(write);
                }
                Order::Erase { write, from } => {
                    self.store.stage_erase(from).map_err(Report::Failed)?;
                    newest = Some(write);
                }
                Order::Trim { write, from, below } => {
                    self.store.stage_removal(from, below).map_err(Report::Failed)?;
                    newest = Some(write);
                }
                Order::Read { ticket, slot } => {
                    self.store.apply().map_err(Report::Failed)?;
                    let bytes = self.store.read(slot).map_err(Report::Unreadable)?;
                    let _ = self.reporter.blocking_send(Report::Read { ticket, slot, bytes });
                }
                Order::Keep { write, object, frame } => {
                    self.store.stage_object(object, &frame).map_err(Report::Failed)?;
                    newest = Some(write);
                }
                Order::Discard { write, object } => {
                    self.store.stage_discard(object).map_err(Report::Failed)?;
                    newest = Some(write);
                }
                Order::Fetch { ticket, object } => {
                    self.store.apply().map_err(Report::Failed)?;
                    let bytes = self.store.object(object);
                    let _ = self.reporter.blocking_send(Report::Fetched { ticket, object, bytes });
                }
                Order::List { ticket, after } => {
                    self.store.apply().map_err(Report::Failed)?;
                    let (objects, is_last) = self.store.objects_behind(after).map_err(Report::Unreadable)?;
                    let _ = self.reporter.blocking_send(Report::Listed { ticket, objects, is_last });
                }
            }
        }
        self.store.apply().map_err(Report::Failed)?;
        if let Some(upto) = newest {
            self.store.sync().map_err(Report::Failed)?;
            self.synced.send_replace(upto);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(write: u64, slot: u64, frame: &[u8]) -> Order {
        Order::Write { write: WriteNumber(write), slot: Sequence(slot), frame: frame.to_vec() }
    }

    fn read(ticket: u64, slot: u64) -> Order {
        Order::Read { ticket: Ticket(ticket), slot: Sequence(slot) }
    }

    /// What an order to read brought.
    fn brought(report: Option<Report>) -> (u64, Option<Vec<u8>>) {
        match report {
            Some(Report::Read { ticket, bytes, .. }) => (ticket.0, bytes),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_are_answered_in_order_and_see_the_writes_before_them() {
        let place = tempfile::tempdir().unwrap();
        let (mut keeper, thread) = open(&place.path().join("store"), &Limits::default()).unwrap();
        let orders = [
            order(1, 1, b"one"),
            read(1, 1),
            read(2, 2),
            order(2, 2, b"two"),
            order(3, 1, b"uno"),
            read(3, 1),
            Order::Erase { write: WriteNumber(4), from: Sequence(2) },
            read(4, 2),
        ];
        for order in orders {
            keeper.orders.blocking_send(order).unwrap();
        }
        let mut next = || brought(keeper.reports.blocking_recv());
        assert_eq!(next(), (1, Some(b"one".to_vec())));
        assert_eq!(next(), (2, None));
        assert_eq!(next(), (3, Some(b"uno".to_vec())));
        assert_eq!(next(), (4, None));
        drop(keeper.orders);
        thread.join().unwrap();
        assert_eq!(*keeper.durable.borrow(), WriteNumber(4));
    }

    #[test]
    fn objects_share_numbers_order_and_sync_with_slots() {
        let place = tempfile::tempdir().unwrap();
        let (mut keeper, thread) = open(&place.path().join("store"), &Limits::default()).unwrap();
        let object = |piece| ObjectId { address: [3; 32], piece };
        let keep = |write, piece, frame: &[u8]| Order::Keep {
            write: WriteNumber(write),
            object: object(piece),
            frame: frame.to_vec(),
        };
        let fetch = |ticket, piece| Order::Fetch { ticket: Ticket(ticket), object: object(piece) };
        let orders = [
            order(1, 1, b"one"),
            keep(2, 1, b"first"),
            fetch(1, 1),
            keep(3, 1, b"second"),
            keep(4, 2, b"other"),
            fetch(2, 1),
            read(3, 1),
            Order::Discard { write: WriteNumber(5), object: object(1) },
            fetch(4, 1),
            Order::List { ticket: Ticket(5), after: None },
        ];
        for order in orders {
            keeper.orders.blocking_send(order).unwrap();
        }
        let mut next = || keeper.reports.blocking_recv();
        let mut fetched = || match next() {
            Some(Report::Fetched { ticket, bytes, .. }) => (ticket.0, bytes),
            Some(Report::Read { ticket, bytes, .. }) => (ticket.0, bytes),
            other => panic!("{other:?}"),
        };
        assert_eq!(fetched(), (1, Some(b"first".to_vec())));
        assert_eq!(fetched(), (2, Some(b"second".to_vec())));
        assert_eq!(fetched(), (3, Some(b"one".to_vec())));
        assert_eq!(fetched(), (4, None));
        let listed = next();
        assert!(
            matches!(&listed, Some(Report::Listed { objects, is_last: true, .. }) if *objects == [object(2)]),
            "{listed:?}"
        );
        drop(keeper.orders);
        thread.join().unwrap();
        assert_eq!(*keeper.durable.borrow(), WriteNumber(5));
    }

    #[test]
    fn what_was_ordered_before_the_end_is_still_made_durable() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("store");
        let (keeper, thread) = open(&path, &Limits::default()).unwrap();
        for slot in 1..=300 {
            keeper.orders.blocking_send(order(slot, slot, &[slot as u8; 40])).unwrap();
        }
        drop(keeper.orders);
        thread.join().unwrap();
        assert_eq!(*keeper.durable.borrow(), WriteNumber(300));
        let again = loop {
            match open(&path, &Limits::default()) {
                // A thread of sled's may still hold it.
                Err(StoreError::InUse(_)) => thread::yield_now(),
                done => break done.unwrap().0,
            }
        };
        assert_eq!(again.held, Held { lowest: Sequence(2), last: Some(Sequence(300)) });
    }
}
