//! Pieces of snapshots that no sound owner sends.

use super::snapshot::small;
use super::*;
use crate::blob::ADDRESS_BYTES;
use crate::replication::above::Reader;
use alloc::sync::Arc;

fn piece(at: Position, number: u32, is_last: bool, bytes: &[u8]) -> Event {
    let message = Message::Snapshot { epoch: epoch(1), at, number, is_last, bytes: Arc::from(bytes) };
    Event::Message { from: id(0), message }
}

/// One register, without a blob.
fn bytes(register: u8) -> Vec<u8> {
    vec![1, register, 7, 0, 1]
}

#[test]
fn pieces_that_cannot_be_change_nothing() {
    let mut trio = Trio::new(small());
    trio.tell(2, piece(position(1, 9), 0, false, &bytes(4)));
    assert!(trio.replicas[2].incoming.is_some());
    let (before, journal) = (trio.replicas[2].clone(), trio.journals[2].len());
    let hostile = [
        (piece(position(1, 9), 1, true, &[9, 9, 9, 9]), "a piece that is malformed"),
        (piece(position(1, 9), 1, true, &[]), "a piece that is malformed"),
        (piece(position(1, 9), 1, false, &bytes(4)), "a piece that is malformed"),
        (piece(position(1, 8), 0, false, &[250; 40]), ""),
        (piece(position(1, 10), 0, false, &[250; 40]), "a piece that is malformed"),
        (piece(position(1, 9), 1, false, &vec![0; PIECE_BYTES_MAX + 1]), "a piece that cannot be"),
        (piece(position(2, 9), 1, true, &bytes(5)), "a piece that cannot be"),
        (piece(position(1, 0), 0, true, &bytes(5)), "a piece that cannot be"),
        (piece(position(1, u64::MAX), 0, true, &bytes(5)), "a piece that cannot be"),
        (piece(position(1, 9), u32::MAX, true, &bytes(5)), "a piece that cannot be"),
        (piece(position(1, 9), 3, true, &bytes(5)), ""),
        (piece(position(1, 12), 3, true, &bytes(5)), ""),
    ];
    for (event, reason) in hostile {
        trio.rejected.clear();
        trio.tell(2, event);
        assert_eq!(trio.replicas[2], before);
        assert_eq!((trio.journals[2].len(), trio.rejected.first().copied().unwrap_or("")), (journal, reason));
    }
    trio.tell(2, piece(position(1, 9), 1, true, &bytes(5)));
    assert_eq!(trio.replicas[2].log().base(), position(1, 9));
    assert_eq!([4, 5].map(|register| trio.replicas[2].service().value(register)), [Some(7); 2]);
}

#[test]
fn who_holds_the_position_needs_no_snapshot() {
    let mut trio = Trio::new(small());
    trio.write(0, 7);
    trio.run();
    trio.pass(20);
    trio.net.clear();
    let before = trio.replicas[2].clone();
    trio.tell(2, piece(position(1, 2), 0, true, &bytes(5)));
    assert_eq!(trio.replicas[2], before, "Z3");
    let held = Message::Held { epoch: epoch(1), upto: LogSequence(2) };
    assert_eq!(trio.net.pop_front(), Some((2, 0, held)));

    // What differs there differs in what is acknowledged.
    trio.tell(2, piece(Position { epoch: Epoch::default(), sequence: LogSequence(2) }, 0, true, &bytes(5)));
    assert_eq!((&trio.replicas[2], trio.net.len()), (&before, 0), "L4");
}

#[test]
fn an_owner_does_not_believe_in_pieces_that_it_never_sent() {
    let mut trio = Trio::new(small());
    for pieces in [0, 1, u32::MAX] {
        let message = Message::SnapshotHeld { epoch: epoch(1), at: position(1, 1), pieces };
        let before = trio.replicas[0].clone();
        trio.tell(0, Event::Message { from: id(2), message });
        assert_eq!((&trio.replicas[0], trio.net.len()), (&before, 0));
    }
}

/// One register that refers to a blob.
fn referring(register: u8, blob: u8) -> Vec<u8> {
    [&[1, register, 7, 1, register][..], &[blob; ADDRESS_BYTES], &[1]].concat()
}

/// A table of one blob of a hundred bytes.
fn table(blob: u8, references: u8) -> Vec<u8> {
    [&[1][..], &[blob; ADDRESS_BYTES], &[100, references, 0, 0]].concat()
}

#[test]
fn a_state_that_refers_to_other_blobs_than_its_table_says_is_refused() {
    let read = |pieces: &[Vec<u8>]| {
        let mut reader = Reader::<Registers>::default();
        pieces.iter().try_for_each(|piece| reader.take_piece(piece))?;
        reader.finish().map(drop)
    };
    assert_eq!(read(&[table(9, 1), referring(4, 9)]), Ok(()));
    assert_eq!(read(&[table(9, 2), referring(4, 9), referring(5, 9)]), Ok(()));
    for pieces in [
        [table(9, 0), referring(4, 9)].to_vec(),
        [table(9, 1), referring(4, 8)].to_vec(),
        [table(9, 1), referring(4, 9), referring(5, 9)].to_vec(),
        [table(9, 2), referring(4, 9)].to_vec(),
        [table(9, 1), bytes(4)].to_vec(),
        [referring(4, 9)].to_vec(),
    ] {
        assert_eq!(read(&pieces), Err(PieceError::References), "{pieces:?}");
    }
    // A command that lets such a reference go must not find it.
    let mut trio = Trio::new(small());
    trio.tell(2, piece(position(1, 9), 0, true, &referring(4, 9)));
    assert_eq!(trio.rejected, ["a snapshot that does not fit together"]);
    assert_eq!(trio.replicas[2].log().base(), Position::default());
}
