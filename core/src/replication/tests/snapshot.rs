//! Snapshots, checkpoints, and the log that is cut behind them.

use super::*;

/// One register a piece; nothing stays behind a snapshot.
pub(super) fn small() -> Settings {
    Settings { tail_entries: 0, piece_bytes: 36, ..Settings::default() }
}

impl Trio {
    pub(super) fn set(&mut self, node: usize, register: u64, value: u64) {
        let command = Command::Write { register, value }.to_bytes().into();
        self.tell(node, Event::Submit { ticket: Ticket(1_000 + value), command });
    }

    /// A whole checkpoint, from the next record on.
    pub(super) fn checkpoint(&mut self, node: usize) -> Sequence {
        self.checkpoint_at(node, self.next_record(node))
    }

    fn checkpoint_at(&mut self, node: usize, cut: Sequence) -> Sequence {
        for _ in 0..1_000 {
            if self.replicas[node].has_checkpoint(cut) {
                return cut;
            }
            self.tell(node, Event::Checkpoint(cut));
        }
        panic!("a checkpoint does not end");
    }

    /// What a process would be that finds the records from `cut` on.
    pub(super) fn replayed(&self, node: usize, cut: Sequence) -> Replica<Registers> {
        let mut replica = Replica::new(process(node), self.replicas[node].settings);
        let records = self.journals[node].iter().skip(cut.before().0 as usize);
        records.cloned().for_each(|record| replica.replay(record));
        replica.end_replay();
        replica
    }

    /// The third one has missed five writes, left the set, and the others' logs begin behind them.
    fn left_behind(settings: Settings) -> Self {
        let mut trio = Self::new(settings);
        trio.cut.insert(2);
        (1..=5).for_each(|value| trio.set(0, value, value));
        trio.run();
        trio.pass(500);
        trio.commit();
        trio.pass(20);
        for node in [0, 1] {
            trio.checkpoint(node);
        }
        trio.cut.clear();
        trio.tell(2, Event::Known(trio.record.clone().into()));
        trio
    }

    fn pieces(&self, to: usize) -> Vec<u32> {
        let piece = |(_, at, message): &(usize, usize, Message)| match message {
            Message::Snapshot { number, .. } if *at == to => Some(*number),
            _ => None,
        };
        self.net.iter().filter_map(piece).collect()
    }

    /// Everything under way arrives until a piece for that one is.
    fn run_until_piece(&mut self, to: usize) {
        for _ in 0..10_000 {
            if !self.pieces(to).is_empty() {
                return;
            }
            match self.net.pop_front() {
                Some((from, to, message)) => self.tell(to, Event::Message { from: id(from), message }),
                None => self.wake_after(10),
            }
        }
        panic!("no piece is sent");
    }
}

#[test]
fn who_needs_what_the_log_has_no_more_is_brought_a_snapshot_and_becomes_a_member_again() {
    let mut trio = Trio::left_behind(small());
    assert!(trio.replicas[0].log().base() >= position(1, 5), "Z4");
    trio.pass(100);
    trio.pass(100);
    let [owner, _, follower] = [0, 1, 2].map(|node| &trio.replicas[node]);
    assert_eq!(follower.log().last(), owner.log().last(), "Z1");
    assert_eq!((follower.service(), follower.mark()), (owner.service(), LogSequence(6)), "Z2");
    assert_eq!(owner.snapshot, None, "nobody needs it any more");
    assert_eq!(trio.proposals, [(3, Change::Add(id(2)))]);
}

#[test]
fn a_snapshot_is_of_what_was_applied_when_it_began_and_is_named_so() {
    let mut trio = Trio::left_behind(small());
    trio.now = trio.now + Duration::from_millis(100);
    trio.tell(0, Event::Wake);
    trio.run_until_piece(2);
    trio.cut.insert(2);
    // They change what the snapshot has not come to yet.
    (1..=9).for_each(|value| trio.set(0, value, value * 10));
    trio.run();
    trio.cut.clear();
    (0..4).for_each(|_| trio.pass(100));
    let installed = trio.journals[2].iter().filter_map(|record| match record {
        Record::Snapshot { origin: Some(_), at, .. } => Some(*at),
        _ => None,
    });
    assert!(installed.count() > 1);
    assert_eq!(trio.replicas[2].service(), trio.replicas[0].service(), "Z2");
    assert_eq!(trio.replicas[2].log().base(), position(1, 6), "what came later is in the log");
}

#[test]
fn a_follower_is_sent_a_few_pieces_ahead_and_lost_ones_again() {
    let mut trio = Trio::left_behind(Settings { pieces_ahead: 2, ..small() });
    trio.pass(100);
    assert_eq!(trio.replicas[2].log().base(), position(1, 6));

    let mut trio = Trio::left_behind(Settings { pieces_ahead: 2, ..small() });
    trio.now = trio.now + Duration::from_millis(100);
    trio.tell(0, Event::Wake);
    trio.run_until_piece(2);
    trio.tell(0, Event::Wake);
    trio.tell(0, Event::Wake);
    assert_eq!(trio.pieces(2), [0, 1], "Z1");
    trio.net.clear();
    trio.now = trio.now + Duration::from_millis(100);
    trio.tell(0, Event::Wake);
    assert_eq!(trio.pieces(2), [0, 1]);
    trio.run();
    trio.pass(100);
    assert_eq!(trio.replicas[2].service(), trio.replicas[0].service());
}

#[test]
fn one_that_is_spare_is_sent_a_few_pieces_and_then_nothing_for_a_while() {
    let mut trio = Trio::left_behind(Settings { pieces_ahead: 2, rests: 3, ..small() });
    (trio.record.copies, trio.record.minimum, trio.record.version) = (2, 1, trio.record.version + 1);
    trio.publish();
    trio.now = trio.now + Duration::from_millis(100);
    trio.tell(0, Event::Wake);
    trio.run_until_piece(2);
    (0..3).for_each(|_| trio.tell(0, Event::Wake));
    assert_eq!(trio.pieces(2), [0, 1]);
    trio.now = trio.now + Duration::from_millis(10);
    trio.run();
    trio.tell(0, Event::Wake);
    trio.wake_after(29);
    assert!(trio.pieces(2).is_empty(), "it took 10 ms: nothing for 30");
    trio.wake_after(1);
    (0..3).for_each(|_| trio.tell(0, Event::Wake));
    assert_eq!(trio.pieces(2), [2, 3]);
    // It begins anew: no more is under way to it than before.
    trio.net.clear();
    let at = trio.replicas[0].snapshot.as_ref().unwrap().at;
    trio.tell(0, Event::Message { from: id(2), message: Message::SnapshotHeld { epoch: epoch(1), at, pieces: 0 } });
    assert_eq!(trio.pieces(2), [0, 1]);
    // A member goes: there are too few copies, and nothing rests any more.
    trio.now = trio.now + Duration::from_millis(10);
    (trio.record.copies, trio.record.version) = (3, trio.record.version + 1);
    trio.publish();
    (0..8).for_each(|_| trio.pass(0));
    assert_eq!(trio.replicas[2].service(), trio.replicas[0].service());
}

#[test]
fn who_does_not_answer_keeps_no_snapshot_for_ever() {
    let mut trio = Trio::left_behind(small());
    trio.now = trio.now + Duration::from_millis(100);
    trio.tell(0, Event::Wake);
    trio.run_until_piece(2);
    trio.cut.insert(2);
    trio.run();
    assert!(trio.replicas[0].snapshot.is_some());
    trio.pass(5_000);
    assert_eq!(trio.replicas[0].snapshot, None);
    trio.cut.clear();
    (0..4).for_each(|_| trio.pass(100));
    assert_eq!(trio.replicas[2].service(), trio.replicas[0].service());
}

#[test]
fn who_has_more_of_a_snapshot_than_was_made_of_it_again_goes_on() {
    let mut trio = Trio::left_behind(small());
    trio.pass_to_half();
    while trio.replicas[2].incoming.as_ref().is_some_and(|incoming| incoming.next < 3) {
        trio.now = trio.now + Duration::from_millis(100);
        trio.tell(0, Event::Wake);
        while let Some((from, to, message)) = trio.net.pop_front() {
            let is_enough = trio.replicas[2].incoming.as_ref().is_none_or(|incoming| incoming.next >= 3);
            if !is_enough {
                trio.tell(to, Event::Message { from: id(from), message });
            }
        }
    }
    assert!(trio.replicas[2].incoming.is_some());
    trio.cut.insert(2);
    trio.pass(5_000);
    assert_eq!(trio.replicas[0].snapshot, None, "given up");
    trio.cut.clear();
    (0..9).for_each(|_| trio.pass(100));
    assert_eq!((trio.replicas[2].service(), &trio.rejected), (trio.replicas[0].service(), &vec![]));
}

#[test]
fn a_half_is_nothing_after_a_crash_and_the_owner_begins_anew() {
    let mut trio = Trio::left_behind(small());
    trio.pass_to_half();
    let half = trio.replayed(2, Sequence(1));
    assert_eq!((half.log().last(), half.service().value(1)), (position(1, 1), None), "Z3");
    trio.replicas[2] = half;
    trio.tell(2, Event::Known(trio.record.clone().into()));
    (0..4).for_each(|_| trio.pass(100));
    assert_eq!(trio.replicas[2].service(), trio.replicas[0].service());
}

#[test]
fn another_owner_begins_with_a_snapshot_of_its_own() {
    let mut trio = Trio::left_behind(small());
    trio.pass_to_half();
    trio.net.clear();
    trio.grant(1);
    trio.run();
    assert_eq!(trio.replicas[2].incoming, None, "Z3");
    (0..4).for_each(|_| trio.pass(100));
    assert_eq!(trio.replicas[1].standing(), Standing::Serving(epoch(2)));
    assert_eq!(trio.replicas[2].service(), trio.replicas[1].service());
}

#[test]
fn the_log_is_cut_only_behind_what_is_durable_as_a_snapshot_and_keeps_a_tail() {
    let mut trio = Trio::new(Settings { tail_entries: 2, ..small() });
    for value in 1..=5 {
        trio.set(0, value, value);
        trio.run();
    }
    trio.stalled.insert(0);
    trio.checkpoint(0);
    assert_eq!(trio.replicas[0].log().base(), Position::default(), "Z4");
    trio.stalled.clear();
    trio.tell(0, Event::Durable(trio.next_record(0).before()));
    assert_eq!(trio.replicas[0].log().base(), position(1, 4), "two stay for those that lag a little");
    assert_eq!(trio.replicas[0].log().entry(LogSequence(4)), None);
}

#[test]
fn entries_that_are_written_again_take_the_place_of_nothing() {
    let mut trio = Trio::new(small());
    trio.cut.extend([1, 2]);
    (1..=2).for_each(|value| trio.set(0, value, value));
    let cut = trio.next_record(0);
    trio.tell(0, Event::Checkpoint(cut));
    trio.set(0, 3, 3);
    assert_eq!(trio.checkpoint_at(0, cut), cut);
    let again = trio.replayed(0, cut);
    assert_eq!((again.log().last(), again.mark()), (position(1, 4), LogSequence(1)), "Z5");
    assert_eq!(again.log().entry(LogSequence(3)), trio.replicas[0].log().entry(LogSequence(3)));

    let as_new = |record: &mut Record| {
        if let Record::Kept(block) = record {
            *record = Record::Entries(block.clone());
        }
    };
    trio.journals[0].iter_mut().for_each(as_new);
    assert_eq!(trio.replayed(0, cut).log().last(), position(1, 3), "Z5a: the newest is gone");
}

#[test]
fn a_snapshot_that_is_installed_during_a_checkpoint_takes_its_entries_off_it() {
    let mut trio = Trio::new(small());
    trio.cut.insert(1);
    (1..=4).for_each(|value| trio.set(0, value, value));
    trio.run();
    assert_eq!(trio.ends()[2], position(1, 5));
    let cut = trio.next_record(2);
    trio.tell(2, Event::Checkpoint(cut));
    let bytes = alloc::sync::Arc::from([1, 4, 7, 0, 1]);
    let message = Message::Snapshot { epoch: epoch(2), at: position(2, 3), number: 0, is_last: true, bytes };
    trio.tell(2, Event::Message { from: id(1), message });
    assert_eq!(trio.ends()[2], position(2, 3));
    trio.checkpoint_at(2, cut);
    let again = trio.replayed(2, cut);
    assert_eq!((again.log().last(), again.service().value(4)), (position(2, 3), Some(7)), "Z5c");
}

#[test]
fn a_checkpoint_waits_for_a_snapshot_that_comes_in_and_gives_up_one_that_stands_still() {
    let mut trio = Trio::left_behind(small());
    trio.pass_to_half();
    let cut = trio.next_record(2);
    (0..9).for_each(|_| trio.tell(2, Event::Checkpoint(cut)));
    assert!(!trio.replicas[2].has_checkpoint(cut) && trio.replicas[2].incoming.is_some());
    trio.now = trio.now + Duration::from_secs(5);
    (0..9).for_each(|_| trio.tell(2, Event::Checkpoint(cut)));
    assert!(trio.replicas[2].has_checkpoint(cut) && trio.replicas[2].incoming.is_none());
    (0..4).for_each(|_| trio.pass(100));
    assert_eq!(trio.replicas[2].service(), trio.replicas[0].service());
}

impl Trio {
    /// The third one has one piece of the snapshot, and no more.
    fn pass_to_half(&mut self) {
        self.now = self.now + Duration::from_millis(100);
        self.tell(0, Event::Wake);
        self.run_until_piece(2);
        let (from, to, message) = self.net.pop_back().expect("a piece");
        self.net.clear();
        self.tell(to, Event::Message { from: id(from), message });
        assert!(self.replicas[2].incoming.is_some());
    }
}
