//! A replay that begins at the cut of a finished checkpoint leads to what a replay of everything leads to (ADR 4, rule 8).

use super::blobs::{address_of, content};
use super::snapshot::small;
use super::*;
use proptest::collection::vec as many;
use proptest::prelude::{ProptestConfig, any, proptest};

/// A checkpoint of each, one under way and the newest finished one.
#[derive(Default)]
struct Cuts {
    begun: [Option<Sequence>; 3],
    finished: [Option<Sequence>; 3],
}

impl Trio {
    /// What the journal leads to is what the replica is, as far as it is not only in memory.
    fn assert_replays(&self, node: usize, cut: Sequence) {
        let (live, again) = (&self.replicas[node], self.replayed(node, cut));
        assert_eq!((again.promised(), again.record()), (live.promised(), live.record()));
        assert_eq!(again.intended(), live.intended().or(again.intended()));
        assert_eq!(again.log().last(), live.log().last());
        assert!(again.applied <= live.applied && again.mark <= live.mark);
        let base = live.log().base().max(again.log().base());
        assert!(live.log().has(base) && again.log().has(base));
        for at in (base.sequence.0 + 1..=live.log().last().sequence.0).map(LogSequence) {
            assert_eq!(
                (again.log().epoch_at(at), again.log().entry(at)),
                (live.log().epoch_at(at), live.log().entry(at))
            );
        }
        let mut above = again.above.clone();
        for at in (again.applied.0 + 1..=live.applied.0).map(LogSequence) {
            match again.log().entry(at) {
                Some(Entry::Command(command)) => {
                    above.apply(command, Position { epoch: again.log().epoch_at(at).unwrap(), sequence: at });
                }
                Some(Entry::Brings { address, length }) => drop(above.blobs.bring(address, length, at)),
                Some(Entry::Drops { address, idle_since }) => drop(above.blobs.drop_blob(address, idle_since)),
                _ => {}
            }
        }
        assert_eq!(above, live.above);
    }

    pub(super) fn restart(&mut self, node: usize, cut: Sequence) {
        // What its store has not synced is gone.
        self.stores[node].unsynced.clear();
        self.stores[node].asked.clear();
        self.replicas[node] = self.replayed(node, cut);
        self.tell(node, Event::Placed((0..3).map(id).collect()));
        self.tell(node, Event::View(Some(Time::MAX)));
        if !self.cut.contains(&node) {
            self.tell(node, Event::Known(self.record.clone().into()));
        }
    }

    fn owner(&self) -> usize {
        self.record.owner.map_or(0, |owner| owner.store.0 as usize - 1)
    }

    /// The newest proposal commits, if it can.
    fn commit_any(&mut self) {
        let proposal = self.proposals.pop();
        self.proposals.clear();
        let (Some((version, change)), Some(owner)) = (proposal, self.record.owner) else { return };
        if self.record.change(self.record.version + 1, owner, self.record.epoch, version, change).is_ok() {
            self.publish();
        }
    }

    fn step(&mut self, draw: u16, cuts: &mut Cuts) {
        let (node, owner) = (usize::from(draw / 16 % 3), self.owner());
        match draw % 16 {
            0..=3 => self.set(owner, u64::from(draw / 64 % 5), u64::from(draw)),
            4 if self.cut.len() < 2 => drop(self.cut.insert(node)),
            5 => drop(self.cut.remove(&node)),
            6 if self.record.in_sync.contains(&id(node)) && node != owner => self.grant(node),
            7 => self.run(),
            8 => self.pass(100),
            9 => self.pass(500),
            10 => self.commit_any(),
            11 if node != owner => {
                cuts.begun[node] = None;
                self.restart(node, cuts.finished[node].unwrap_or(Sequence(1)));
            }
            12 => {
                // One packet overtakes the others.
                let packet = self.net.remove(usize::from(draw / 64) % self.net.len().max(1));
                if let Some((from, to, message)) =
                    packet.filter(|(from, to, _)| ![*from, *to].iter().any(|it| self.cut.contains(it)))
                {
                    self.tell(to, Event::Message { from: id(from), message });
                }
            }
            13 => {
                let (content, number) = (a_blob(draw / 64), u32::from(draw / 512 % 2));
                self.puts(owner, u64::from(draw), &content, number);
            }
            14 => self.refers(owner, u64::from(draw), u64::from(draw / 64 % 5), address_of(&a_blob(draw / 512))),
            _ if (draw / 64).is_multiple_of(4) => self.sweeps(node),
            _ => {
                let cut = *cuts.begun[node].get_or_insert(self.next_record(node));
                self.tell(node, Event::Checkpoint(cut));
            }
        }
        for node in 0..3 {
            if let Some(cut) = cuts.begun[node].take_if(|cut| self.replicas[node].has_checkpoint(*cut)) {
                cuts.finished[node] = Some(cut);
            }
        }
    }
}

/// One of a few blobs of one piece.
fn a_blob(draw: u16) -> Vec<u8> {
    content(1 + (draw % 4) as u8, 100)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_between_the_cut_and_the_end_of_a_checkpoint(
        draws in many(any::<u16>(), 1..300),
        tail_entries in 0u64..4,
        pieces_ahead in 1u32..4,
    ) {
        let (blob_grace, blob_wait) = (Duration::from_millis(700), Duration::from_millis(900));
        let mut trio = Trio::new(Settings { tail_entries, pieces_ahead, blob_grace, blob_wait, ..small() });
        let mut cuts = Cuts::default();
        for draw in draws {
            trio.step(draw, &mut cuts);
            for node in 0..3 {
                trio.assert_replays(node, Sequence(1));
                if let Some(cut) = cuts.finished[node] {
                    trio.assert_replays(node, cut);
                }
            }
        }
        // Everybody is reached again: all end with the same.
        trio.cut.clear();
        for _ in 0..40 {
            trio.publish();
            trio.pass(100);
            trio.commit_any();
            trio.run();
        }
        // Marks that were lost are told with the next ones.
        let owner = trio.owner();
        trio.set(owner, 9, 9);
        trio.run();
        trio.pass(20);
        assert_eq!(trio.replicas[owner].standing(), Standing::Serving(trio.record.epoch));
        assert_eq!(trio.record.in_sync.len(), 3);
        for node in 0..3 {
            assert_eq!(trio.replicas[node].log().last(), trio.replicas[owner].log().last());
            assert_eq!(trio.replicas[node].above, trio.replicas[owner].above);
            for (address, _) in trio.table(owner).rows() {
                let content = (0..4).map(a_blob).find(|content| address_of(content) == *address);
                assert!(trio.has(node, &content.expect("one of them")), "BLOB-1: {node}");
            }
            trio.now = trio.now + blob_wait;
            trio.sweeps(node);
            assert_eq!(trio.stores[node].objects.len(), 2 * trio.table(owner).rows().count(), "BLOB-2: {node}");
        }
    }
}
