//! What a courier asks for, in which order, and again when.

use super::*;
use crate::control::state::Name as Namespace;
use crate::epoch::{ClusterEpoch, Epoch};
use crate::replication::blobs::{BlobTable, References};
use crate::replication::once::SubmissionId;
use crate::replication::{LogSequence, Position, Service};
use crate::task::command::{Entry, Submit, What};
use crate::task::workflow::Name;
use crate::time::Duration;
use alloc::boxed::Box;
use alloc::format;

const SHARDS: u32 = 4;

fn own() -> ShardId {
    ShardId { namespace: Namespace::new("n").unwrap(), number: 1 }
}

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

/// A shard whose tasks have asked for permits of that many keys.
struct Owner {
    tasks: Tasks,
    courier: Courier,
    entries: u64,
}

impl Owner {
    fn new(keys: u64) -> Self {
        let mut owner = Self { tasks: Tasks::default(), courier: Courier::default(), entries: 0 };
        (0..keys).for_each(|key| owner.submits(key));
        owner
    }

    fn applies(&mut self, command: &Command) {
        self.entries += 1;
        let epoch = Epoch { cluster: ClusterEpoch(1), lease: 1 };
        let position = Position { epoch, sequence: LogSequence(self.entries) };
        let (mut blobs, bytes) = (BlobTable::default(), Entry::unstamped(command).unwrap());
        self.tasks.apply(position, &bytes, &mut References::new(&mut blobs, position.sequence));
    }

    fn submits(&mut self, key: u64) {
        let concurrency_key = Some(Name::new(&format!("key-{key}")).unwrap());
        let agent = Name::new("x").unwrap();
        self.applies(&Command::Submit(Box::new(Submit::new(
            SubmissionId::of(&own().namespace, &key.to_le_bytes()),
            What::Agent { agent, needs: Vec::new(), timeout: None, retry: None, concurrency_key },
        ))));
    }

    /// What it asks for now: of which shard, and the numbers of the words.
    fn asks(&mut self, millis: u64) -> Vec<(Errand, u32, Vec<u64>)> {
        let mut asks = Vec::new();
        while self.courier.look(at(millis), own(), SHARDS, &self.tasks, &mut asks) {}
        asks.into_iter().map(|(errand, to, command)| (errand, to.number, numbers(command))).collect()
    }
}

fn numbers(command: Command) -> Vec<u64> {
    match command {
        Command::Take { from, words } => {
            assert_eq!(from, own().number);
            words.into_iter().map(|(number, _)| number).collect()
        }
        Command::Taken { numbers } => numbers,
        other => panic!("a courier asks for {other:?}"),
    }
}

#[test]
fn each_shard_gets_its_words_in_their_order_and_each_word_goes_to_one() {
    let mut owner = Owner::new(40);
    let asks = owner.asks(0);
    assert_eq!(asks.len(), SHARDS as usize);
    assert!(asks.iter().all(|(errand, to, numbers)| *errand == Errand::Take { to: *to } && numbers.is_sorted()));
    let mut all: Vec<u64> = asks.into_iter().flat_map(|(.., numbers)| numbers).collect();
    all.sort_unstable();
    assert_eq!(all, (1..=40).collect::<Vec<u64>>());
    assert_eq!(owner.asks(1), [], "until there is an answer");
}

#[test]
fn what_is_taken_is_crossed_off_by_an_entry_and_only_then_comes_more() {
    let mut owner = Owner::new(2_000);
    let (errand, to, taken) = owner.asks(0).swap_remove(0);
    assert_eq!(taken.len(), WORDS_MAX);
    owner.courier.told(errand, None);
    assert_eq!(owner.asks(1), [(Errand::Forget { to }, own().number, taken.clone())]);
    owner.applies(&Command::Taken { numbers: taken.clone() });
    owner.courier.told(Errand::Forget { to }, None);
    let (errand, .., next) = owner.asks(2).swap_remove(0);
    assert_eq!(errand, Errand::Take { to });
    assert!(next.first() > taken.last());
}

#[test]
fn who_does_not_answer_is_asked_the_same_again_and_keeps_nobody_waiting() {
    let mut owner = Owner::new(40);
    let asks = owner.asks(0);
    let (silent, other) = (asks[0].clone(), asks[1].clone());
    owner.courier.told(silent.0, Some(at(100)));
    owner.courier.told(other.0, None);
    assert_eq!(owner.asks(1), [(Errand::Forget { to: other.1 }, own().number, other.2)]);
    assert_eq!(owner.courier.next_deadline(), Some(at(100)));
    owner.submits(40);
    assert!(owner.asks(99).iter().all(|(_, to, _)| *to != silent.1), "its time has not come");
    let again = owner.asks(100);
    assert!(again.contains(&silent), "{again:?}");
}

#[test]
fn the_next_owner_begins_with_the_first_word_that_is_not_crossed_off() {
    let mut owner = Owner::new(40);
    let (_, to, taken) = owner.asks(0).swap_remove(0);
    owner.applies(&Command::Taken { numbers: taken[..3].to_vec() });
    owner.courier = Courier::default();
    let (.., left) = owner.asks(1).into_iter().find(|(_, of, _)| *of == to).unwrap();
    assert_eq!(left, taken[3..]);
}
