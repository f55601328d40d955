//! What is told to replicas in the place of the truth, when a rule is left out.

use crate::world::{NODES, Plant, Shard, World, node_of, process, replica};
use relaymesh_core::epoch::Epoch;
use relaymesh_core::record::Sequence;
use relaymesh_core::replication::{Event, LogSequence, Message, Position, Record, Replica, Settings, Standing};
use relaymesh_core::shards::Change;
use relaymesh_core::time::Time;

impl Shard {
    /// P1, L6: what is said before it is durable.
    pub(crate) fn is_told_early(&self, message: &Message) -> bool {
        match self.plant {
            Some(Plant::PromiseNotDurable) => matches!(message, Message::Promised { .. }),
            Some(Plant::HeldNotDurable) => matches!(message, Message::Held { .. }),
            _ => false,
        }
    }

    /// U3: the age of what others hold is not looked at. Z2, Z3: a snapshot is not what it says.
    pub(crate) fn fake_message(&self, world: &World, (from, to): (usize, usize), message: Message) -> Message {
        match message {
            Message::Snapshot { epoch, mut at, number, is_last, bytes }
                if self.plant == Some(Plant::SnapshotTooHigh) =>
            {
                let sequence = at.sequence.next();
                if let Some(named) = world.nodes[from].replica.log().epoch_at(sequence) {
                    at = Position { epoch: named, sequence };
                }
                Message::Snapshot { epoch, at, number, is_last, bytes }
            }
            Message::Snapshot { epoch, at, number, bytes, .. } if self.plant == Some(Plant::HalfInstalled) => {
                Message::Snapshot { epoch, at, number, is_last: true, bytes }
            }
            Message::Promised { epoch, mut end, mark } if self.plant == Some(Plant::LongestLog) => {
                let own = world.nodes[to].replica.log().last();
                end.epoch = if end.sequence > own.sequence { epoch } else { Epoch::default() };
                Message::Promised { epoch, end, mark }
            }
            Message::Snapshot { epoch, at, number, is_last, bytes } if self.plant == Some(Plant::IdNotInSnapshot) => {
                // A piece of ids: how many there are, the first number, how many are here, the first of them, …, that they are ids,
                // and that they belong to the service rather than to the table of blobs.
                let mut other = bytes.to_vec();
                if other.ends_with(&[0, 1]) {
                    other[3] ^= 1;
                }
                Message::Snapshot { epoch, at, number, is_last, bytes: other.into() }
            }
            message => message,
        }
    }

    /// Others are said to hold what one holds.
    pub(crate) fn fake_held(&self, world: &mut World, owner: usize, from: usize, epoch: Epoch, upto: LogSequence) {
        let Some(record) = world.nodes[owner].replica.record().cloned() else { return };
        let is_member = record.in_sync.contains(&replica(from));
        let is_for_all = match self.plant {
            Some(Plant::BareMajority) => true,
            Some(Plant::LeaverCounts) => !is_member,
            _ => false,
        };
        for other in (0..NODES).filter(|other| *other != owner && *other != from) {
            let is_faked = world.nodes[owner].faked == Some(other);
            if (is_for_all || is_faked) && record.in_sync.contains(&replica(other)) | is_faked {
                self.say_held(world, owner, other, epoch, upto);
            }
        }
    }

    fn say_held(&self, world: &mut World, owner: usize, by: usize, epoch: Epoch, upto: LogSequence) {
        self.tell(world, owner, Event::Message { from: replica(by), message: Message::Held { epoch, upto } });
    }

    /// I2, I4: from its proposal on an addition does not matter, or a removal does.
    pub(crate) fn fake_change(&self, world: &mut World, owner: usize, change: Change) {
        let faked = match self.plant {
            Some(Plant::AdditionNotRequired) => change.added(),
            Some(Plant::RemovedEarly) => change.removed(),
            _ => None,
        };
        if let Some(faked) = faked {
            world.node(owner).faked = Some(node_of(faked));
        }
    }

    /// W3, U6, I3, I4: what an owner is told right after its own step.
    pub(crate) fn fake_own(&self, world: &mut World, node: usize) {
        let own = &world.nodes[node];
        let (standing, last) = (own.replica.standing(), own.replica.log().last());
        match (self.plant, standing) {
            (Some(Plant::OwnNotDurable), Standing::Serving(_)) if !own.unsynced.is_empty() => {
                let upto = Sequence(own.unsynced.len() as u64);
                let sound = Self { plant: None, ..*self };
                sound.tell(world, node, Event::Durable(upto));
            }
            (Some(Plant::ServesAtOnce), Standing::TakingOver(epoch)) if last.epoch == epoch => {
                self.sync_quietly(world, node);
                for other in (0..NODES).filter(|other| *other != node) {
                    let sound = Self { plant: None, ..*self };
                    sound.say_held(world, node, other, epoch, last.sequence);
                }
            }
            (Some(Plant::AddedEarly), Standing::Serving(epoch)) => {
                let record = own.replica.record().expect("an owner has a record").clone();
                let mark = own.replica.mark();
                let outside = (0..NODES).find(|other| !record.in_sync.contains(&replica(*other)));
                if let Some(outside) = outside {
                    let sound = Self { plant: None, ..*self };
                    sound.say_held(world, node, outside, epoch, mark);
                }
            }
            (Some(Plant::RemovedEarly), Standing::Serving(epoch)) => {
                if let Some(faked) = own.faked {
                    let sound = Self { plant: None, ..*self };
                    sound.say_held(world, node, faked, epoch, last.sequence);
                }
            }
            _ => {}
        }
    }

    fn sync_quietly(&self, world: &mut World, node: usize) {
        if !world.nodes[node].unsynced.is_empty() {
            let sound = Self { plant: None, ..*self };
            sound.sync(world, node);
        }
    }

    /// L3: who promises cuts its log at its mark.
    pub(crate) fn fake_cut(&self, world: &mut World, node: usize) {
        if self.plant != Some(Plant::CutAtMark) || !world.nodes[node].unsynced.is_empty() {
            return;
        }
        let own = world.node(node);
        let mark = own.replica.mark();
        own.disk.retain(|record| !matches!(record, Record::Entries(block) if block.last().sequence > mark));
        let settings = Settings { takeover_wait: relaymesh_core::time::Duration::ZERO, ..Settings::default() };
        own.replica = Replica::new(process(node, own.boot), settings);
        own.disk.clone().into_iter().for_each(|record| own.replica.replay(record));
        let sound = Self { plant: None, ..*self };
        sound.tell(world, node, Event::Placed(self.placed.iter().map(|node| replica(*node)).collect()));
        sound.tell(world, node, Event::View(Some(Time::MAX)));
    }
}
