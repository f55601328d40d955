//! Stories of blobs: put, referred to, dropped, read, lost and made good. Three replicas, each with a store of objects.

mod dropping;
mod putting;
mod reading;
mod waiting;

use super::*;
use crate::blob::{BlobAddress, BlobObject, Manifest, PIECE_BYTES, object};
use crate::replication::blobs::BlobTable;
use alloc::collections::BTreeMap;

/// The objects of one replica.
#[derive(Clone, Default)]
pub(super) struct Store {
    pub(super) objects: BTreeMap<BlobObject, Vec<u8>>,
    /// Written and not durable.
    pub(super) unsynced: VecDeque<(BlobObject, Vec<u8>)>,
    pub(super) asked: VecDeque<BlobObject>,
    /// Nothing becomes durable.
    pub(super) is_stalled: bool,
    pub(super) is_to_be_swept: bool,
}

impl Store {
    pub(super) fn keep(&mut self, object: BlobObject, bytes: Vec<u8>) {
        self.unsynced.push_back((object, bytes));
    }

    fn read(&self, object: &BlobObject) -> Option<Vec<u8>> {
        let cached = self.unsynced.iter().rev().find(|(it, _)| it == object).map(|(_, bytes)| bytes);
        cached.or_else(|| self.objects.get(object)).cloned()
    }
}

/// Bytes that are like no others of that number.
pub(super) fn content(number: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251) as u8 ^ number).collect()
}

pub(super) fn address_of(content: &[u8]) -> BlobAddress {
    Manifest::of(content).unwrap().address()
}

impl Trio {
    /// One of the stores does one thing, if there is anything to do.
    pub(super) fn stores_answer(&mut self) -> bool {
        for node in 0..3 {
            let store = &mut self.stores[node];
            if let Some((object, bytes)) = store.unsynced.pop_front_if(|_| !store.is_stalled) {
                store.objects.insert(object, bytes);
                self.tell(node, Event::Kept(object));
                return true;
            }
            if let Some(object) = store.asked.pop_front() {
                let bytes = store.read(&object);
                self.tell(node, Event::Fetched { object, bytes });
                return true;
            }
        }
        false
    }

    /// A client gives one object.
    pub(super) fn puts(&mut self, node: usize, ticket: u64, content: &[u8], number: u32) {
        let manifest = Manifest::of(content).unwrap();
        let bytes = object(&manifest, content, number).unwrap().into();
        let object = BlobObject { address: manifest.address(), number };
        self.tell(node, Event::Put { ticket: Ticket(ticket), object, bytes });
    }

    /// A client gives all of a blob, object by object, as it is told to.
    fn puts_all(&mut self, node: usize, content: &[u8]) -> Reply<Answer> {
        let mut number = 0;
        for ticket in 50_000.. {
            self.replies.retain(|(it, _)| *it != ticket);
            self.puts(node, ticket, content, number);
            self.run();
            match self.reply(ticket) {
                Some(Reply::Wants { object }) => number = object,
                Some(reply) => return reply,
                None => return Reply::Unknown,
            }
        }
        unreachable!()
    }

    fn reply(&self, ticket: u64) -> Option<Reply<Answer>> {
        self.replies.iter().rev().find(|(it, _)| *it == ticket).map(|(_, reply)| reply.clone())
    }

    pub(super) fn refers(&mut self, node: usize, ticket: u64, register: u64, blob: BlobAddress) {
        let command = Command::Refer { register, value: ticket, blob }.to_bytes().into();
        self.tell(node, Event::Submit { ticket: Ticket(ticket), command });
    }

    fn reads(&mut self, node: usize, content: &[u8], number: u32) -> Option<Reply<Answer>> {
        let object = BlobObject { address: address_of(content), number };
        self.replies.retain(|(it, _)| *it != 60_000);
        self.tell(node, Event::Get { ticket: Ticket(60_000), object });
        self.run();
        self.reply(60_000)
    }

    /// Whether all of a blob is durable in a store, as it was put.
    pub(super) fn has(&self, node: usize, content: &[u8]) -> bool {
        let manifest = Manifest::of(content).unwrap();
        let address = manifest.address();
        (0..manifest.objects()).all(|number| {
            self.stores[node].objects.get(&BlobObject { address, number })
                == object(&manifest, content, number).as_ref()
        })
    }

    /// The store is listed.
    pub(super) fn sweeps(&mut self, node: usize) {
        let objects = self.stores[node].objects.keys().copied().collect();
        self.stores[node].is_to_be_swept = false;
        self.tell(node, Event::Listed(objects));
    }

    /// A process is gone, with all that its store has not synced, and another one begins with what its disk has.
    pub(super) fn loses_power(&mut self, node: usize) {
        let store = &mut self.stores[node];
        store.unsynced.clear();
        store.asked.clear();
        store.is_stalled = false;
        self.replicas[node] = self.replayed(node, Sequence(1));
        self.net.retain(|(from, to, _)| ![*from, *to].contains(&node));
        self.tell(node, Event::Placed((0..3).map(id).collect()));
        self.tell(node, Event::View(Some(Time::MAX)));
        self.tell(node, Event::Known(self.record.clone().into()));
    }

    pub(super) fn table(&self, node: usize) -> &BlobTable {
        self.replicas[node].blob_table()
    }

    /// The third one leaves the set, unreached.
    fn third_leaves(&mut self) {
        self.cut.insert(2);
        self.set(0, 9, 9);
        self.run();
        self.pass(500);
        self.commit();
        self.pass(20);
    }
}
