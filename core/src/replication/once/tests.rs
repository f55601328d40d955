//! What takes effect once, told by itself.

use super::super::registers::{Answer, Command, Registers};
use super::*;
use crate::control::state::Name;
use crate::replication::blobs::BlobTable;
use crate::replication::{LogSequence, PIECE_BYTES_MAX, Position};
use alloc::vec;
use proptest::prelude::{any, proptest};

fn id(number: u64) -> SubmissionId {
    SubmissionId::of(&Name::new("n").unwrap(), &number.to_le_bytes())
}

fn add() -> Vec<u8> {
    Command::Add { register: 1, by: 1 }.to_bytes()
}

fn apply(state: &mut Once<Registers>, command: &[u8]) -> Told<Answer> {
    let mut blobs = BlobTable::default();
    state.apply(Position::default(), command, &mut References::new(&mut blobs, LogSequence(1)))
}

fn adds(state: &mut Once<Registers>, number: u64, since: u64) -> Told<Answer> {
    apply(state, &once(id(number), since, &add()))
}

fn pieces(state: &mut Once<Registers>, limit: usize) -> Vec<Vec<u8>> {
    state.freeze();
    let mut pieces = vec![];
    loop {
        if let Progress::Piece { bytes, is_last } = state.next_piece(limit) {
            pieces.push(bytes);
            if is_last {
                return pieces;
            }
        }
    }
}

fn read(pieces: &[Vec<u8>]) -> Result<Once<Registers>, PieceError> {
    let mut reader = OnceReader::default();
    pieces.iter().try_for_each(|piece| Once::<Registers>::take_piece(&mut reader, piece, &mut |_| {}))?;
    Once::finish(reader)
}

#[test]
fn a_repeated_submission_is_answered_what_the_first_came_to() {
    let mut state = Once::default();
    assert_eq!(adds(&mut state, 1, 0), Told::Answer(Answer::Holds(Some(1))));
    apply(&mut state, &add());
    let Told::Taken(Some(Blob(first))) = adds(&mut state, 1, 0) else { panic!("it is known") };
    assert_eq!(crate::codec::decode_value(&first), Ok(Answer::Holds(Some(1))));
    assert_eq!(state.service().value(1), Some(2));
    assert!(matches!(state.read(&fate(id(1))), Told::Taken(Some(_))));
    assert_eq!(state.read(&fate(id(2))), Told::NotTaken);
}

#[test]
fn what_may_have_been_forgotten_is_refused_and_what_is_new_is_taken() {
    let mut state = Once::default();
    (0..REMEMBERED_MAX).for_each(|number| drop(adds(&mut state, number, number)));
    assert!(matches!(adds(&mut state, 0, 0), Told::Taken(_)), "the oldest is still known");
    assert!(matches!(adds(&mut state, 1_000, 0), Told::Answer(_)), "nothing is forgotten yet");
    let taken = REMEMBERED_MAX + 1;
    assert_eq!(adds(&mut state, 0, 0), Told::Expired { taken });
    assert_eq!(adds(&mut state, 2_000, 0), Told::Expired { taken });
    assert!(matches!(adds(&mut state, 2_000, 1), Told::Answer(_)));
    assert_eq!(state.service().value(1), Some(REMEMBERED_MAX + 2));
}

#[test]
fn a_submission_of_a_lost_history_is_refused() {
    let mut state = Once::default();
    assert_eq!(adds(&mut state, 1, 1), Told::Expired { taken: 0 });
    assert_eq!(state, Once::default());
}

#[test]
fn a_snapshot_knows_the_same_ids() {
    let mut state = Once::default();
    for taken in [0, 1, 7, REMEMBERED_MAX + 9] {
        (state.count()..taken).for_each(|number| drop(adds(&mut state, number, number)));
        for limit in [200, 1_000, PIECE_BYTES_MAX] {
            let mut pieces = pieces(&mut state, limit);
            assert!(pieces.iter().all(|piece| piece.len() <= limit));
            let mut again = read(&pieces).unwrap();
            assert_eq!(again, state);
            assert_eq!(adds(&mut again, taken, taken), adds(&mut state.clone(), taken, taken));
            let last = pieces.len() - 1;
            pieces.swap(0, last);
            assert!(last == 0 || read(&pieces).is_err(), "ids come first, in order");
        }
    }
}

#[test]
fn ids_in_a_snapshot_are_those_of_the_moment_of_freezing() {
    let mut state = Once::default();
    (0..REMEMBERED_MAX).for_each(|number| drop(adds(&mut state, number, number)));
    let frozen = state.clone();
    state.freeze();
    let mut pieces = vec![];
    for number in 0.. {
        drop(adds(&mut state, 5_000 + number, REMEMBERED_MAX));
        if let Progress::Piece { bytes, is_last } = state.next_piece(300) {
            pieces.push(bytes);
            if is_last {
                break;
            }
        }
    }
    assert_eq!(read(&pieces), Ok(frozen));
}

#[test]
fn a_hostile_piece_is_refused_and_leaves_the_reader_as_it_was() {
    let mut state = Once::default();
    (0..5).for_each(|number| drop(adds(&mut state, number, number)));
    let whole = pieces(&mut state, PIECE_BYTES_MAX);
    let mut reader = OnceReader::default();
    Once::<Registers>::take_piece(&mut reader, &whole[0], &mut |_| {}).unwrap();
    let before: OnceReader<Registers> = reader.clone();
    let huge = vec![0; PIECE_BYTES_MAX + 1];
    for piece in [&[][..], &[0], &[2], &[9, 9, 0], &whole[0], &huge] {
        assert!(Once::<Registers>::take_piece(&mut reader, piece, &mut |_| {}).is_err());
        assert_eq!(reader, before);
    }
    assert!(read(&whole[1..]).is_ok_and(|it| it != state), "without them it is another state");
}

proptest! {
    #[test]
    fn what_is_stored_reads_as_it_was_written(command in any::<Vec<u8>>(), since in any::<u64>()) {
        assert_eq!(open(&once(id(1), since, &command)), Stored::Once { id: id(1), since, command: &command });
        assert_eq!(open(&plain(command.clone().into())), Stored::Plain(&command));
        let marked = [&[0xFF][..], &command].concat();
        assert_eq!(open(&plain(marked.clone().into())), Stored::Plain(&marked));
        assert_eq!(open(&fate(id(1))), Stored::Fate(id(1)));
    }
}
