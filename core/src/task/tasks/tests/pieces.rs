//! Snapshots: taken piece by piece while commands go on, and read back; and bytes that are none.

use super::random::{World, act};
use super::*;
use crate::replication::{PIECE_BYTES_MAX, PieceError, Progress};
use crate::task::tasks::TasksReader;
use core::hash::{Hash, Hasher};
use proptest::collection::vec as many;
use proptest::prelude::*;
use proptest::sample::Index;

/// All pieces of a snapshot that was begun.
fn pieces(tasks: &mut Tasks, limit: usize) -> Vec<Vec<u8>> {
    let mut pieces = vec![];
    loop {
        if let Progress::Piece { bytes, is_last } = tasks.next_piece(limit) {
            pieces.push(bytes);
            if is_last {
                return pieces;
            }
        }
    }
}

fn read(pieces: &[Vec<u8>]) -> Result<Tasks, PieceError> {
    let mut reader = TasksReader::default();
    pieces.iter().try_for_each(|piece| Tasks::take_piece(&mut reader, piece, &mut |_| {}))?;
    Tasks::finish(reader)
}

/// A snapshot of it, read back.
pub(super) fn read_back(tasks: &Tasks) -> Result<Tasks, PieceError> {
    let mut tasks = tasks.clone();
    tasks.freeze();
    read(&pieces(&mut tasks, PIECE_BYTES_MAX))
}

/// The blobs that a snapshot of it says it refers to, once for each time, in order.
pub(super) fn referred(tasks: &Tasks) -> Vec<BlobAddress> {
    let mut tasks = tasks.clone();
    tasks.freeze();
    let (mut reader, mut referred) = (TasksReader::default(), vec![]);
    for piece in pieces(&mut tasks, PIECE_BYTES_MAX) {
        Tasks::take_piece(&mut reader, &piece, &mut |address| referred.push(address)).unwrap();
    }
    referred.sort_unstable();
    referred
}

fn hash(tasks: &Tasks) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    tasks.hash(&mut hasher);
    hasher.finish()
}

/// FNV-1a: any hash will do.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    }
}

#[test]
fn an_empty_state_is_a_snapshot_too() {
    assert_eq!(read_back(&Tasks::default()), Ok(Tasks::default()));
    assert_eq!(Tasks::finish(TasksReader::default()), Err(PieceError::Incomplete));
}

#[test]
fn a_snapshot_that_is_begun_anew_is_of_the_newer_moment_and_one_given_up_leaves_nothing() {
    let mut shard = Shard::default();
    shard.add(one("1", "x"));
    shard.tasks.freeze();
    assert!(matches!(shard.tasks.next_piece(10), Progress::Piece { .. }));
    shard.add(one("2", "x"));
    shard.tasks.freeze();
    let moment = shard.tasks.clone();
    shard.add(one("3", "x"));
    assert_eq!(read(&pieces(&mut shard.tasks, 100)).as_ref(), Ok(&moment));
    shard.tasks.freeze();
    shard.tasks.thaw();
    assert_eq!(hash(&shard.tasks), hash(&shard.tasks.clone()));
}

/// A workflow may be almost as long as a command, and a row with a reason beside it longer still.
#[test]
fn the_longest_task_fits_a_piece() {
    let mut shard = Shard::default();
    let prompt = "p".repeat(1_000);
    let of = |count: usize, last: usize| {
        let mut steps: Vec<String> =
            (0..count).map(|at| format!("{{\"id\":\"s{at}\",\"approval\":\"{prompt}\"}}")).collect();
        steps.push(format!("{{\"id\":\"t\",\"approval\":\"{}\"}}", "p".repeat(last)));
        flow("1", &steps.join(","))
    };
    let bytes = |submit: &Submit| Entry::unstamped(&Command::Submit(Box::new(submit.clone()))).map(|it| it.len());
    let fits = |(count, last): &(usize, usize)| bytes(&of(*count, *last)).is_ok();
    let longest = (1..64).rev().flat_map(|count| [(count, 500), (count, 1)]).find(fits).unwrap();
    let mut refused = 0;
    for (count, last) in [longest, (longest.0 - 1, 1), (longest.0 - 2, 1), (longest.0 - 3, 1), (longest.0 - 4, 1)] {
        if let Answer::Refused(refusal) = shard.submit(of(count, last)) {
            assert!(matches!(refusal, Refusal::TooMuch { .. }), "{refusal:?}");
            refused += 1;
            continue;
        }
        let reason = "r".repeat(1_024).into();
        shard.apply(&Command::Cancel { task: id("1"), mode: CancelMode::Soft, reason });
        check::holds(&shard.tasks, &shard.blobs);
        return assert!(refused < 4);
    }
    panic!("nothing long is taken");
}

#[test]
fn pieces_out_of_order_are_refused() {
    let mut shard = Shard::default();
    ["1", "2", "3"].into_iter().for_each(|key| shard.add(one(key, "x")));
    shard.tasks.freeze();
    let pieces = pieces(&mut shard.tasks, 64);
    assert!(pieces.len() > 4);
    for from in 0..pieces.len() {
        for to in 0..from {
            let mut pieces = pieces.clone();
            pieces.swap(from, to);
            assert!(read(&pieces).is_err(), "{from} and {to} change places");
        }
    }
    let doubled: Vec<Vec<u8>> = pieces.iter().flat_map(|piece| [piece.clone(), piece.clone()]).collect();
    assert!(read(&doubled).is_err());
}

/// A world in which these things have happened.
fn after(acts: &[(i8, super::random::Act)]) -> World {
    let mut world = World::new();
    acts.iter().for_each(|(later, act)| happens(&mut world, *later, act));
    world
}

fn happens(world: &mut World, later: i8, act: &super::random::Act) {
    let command = world.command(later, act);
    let answer = world.shard.apply(&command);
    world.remember(&answer);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_is_of_the_moment_of_freezing(
        before in many(act(), 0..40),
        meanwhile in many(act(), 0..40),
        limits in many(1usize..3_000, 1..6),
    ) {
        let mut world = after(&before);
        world.shard.tasks.freeze();
        let moment = world.shard.tasks.clone();
        let (mut pieces, mut acts) = (vec![], meanwhile.iter());
        for limit in limits.iter().cycle() {
            if let Progress::Piece { bytes, is_last } = world.shard.tasks.next_piece(*limit) {
                pieces.push(bytes);
                if is_last {
                    break;
                }
            }
            if let Some((later, act)) = acts.next() {
                happens(&mut world, *later, act);
            }
        }
        let again = read(&pieces).unwrap();
        prop_assert_eq!(&again, &moment);
        prop_assert_eq!(hash(&again), hash(&moment));
    }

    #[test]
    fn what_the_pieces_are_depends_on_the_state_and_the_limit_alone(
        before in many(act(), 0..40),
        meanwhile in many(act(), 0..40),
        limit in 1usize..3_000,
    ) {
        let mut world = after(&before);
        let mut other = read_back(&world.shard.tasks).unwrap();
        world.shard.tasks.freeze();
        meanwhile.iter().for_each(|(later, act)| happens(&mut world, *later, act));
        other.freeze();
        prop_assert_eq!(pieces(&mut world.shard.tasks, limit), pieces(&mut other, limit));
    }

    /// Also of one that was read back in between.
    #[test]
    fn equal_commands_give_equal_states_and_answers(first in many(act(), 0..40), then in many(act(), 0..40)) {
        let mut world = after(&first);
        let mut other = world.shard.clone();
        other.tasks = read_back(&other.tasks).unwrap();
        for (later, act) in &then {
            let command = world.command(*later, act);
            other.now = world.shard.now;
            let answer = world.shard.apply(&command);
            prop_assert_eq!(&answer, &other.apply(&command));
            world.remember(&answer);
        }
        prop_assert_eq!(&world.shard.tasks, &other.tasks);
        prop_assert_eq!(hash(&world.shard.tasks), hash(&other.tasks));
    }

    #[test]
    fn bytes_that_are_no_command_change_nothing(
        before in many(act(), 0..20),
        bytes in many(any::<u8>(), 0..200),
        (last, at, bit) in (act(), any::<Index>(), 0u8..8),
    ) {
        let mut world = after(&before);
        let mut spoilt = Entry::unstamped(&world.command(last.0, &last.1)).unwrap();
        let at = at.index(spoilt.len());
        spoilt[at] ^= 1 << bit;
        let cut = spoilt[..at].to_vec();
        for bytes in [bytes, cut, spoilt] {
            let before = world.shard.tasks.clone();
            if let Answer::Refused(refusal) = world.shard.apply_bytes(&bytes) {
                // A stale report is recorded, as a conflict.
                let is_recorded = matches!(refusal, Refusal::Stale { .. });
                prop_assert!(is_recorded || before == world.shard.tasks);
            }
            check::holds(&world.shard.tasks, &world.shard.blobs);
            world.shard.tasks.read(&bytes);
        }
    }

    #[test]
    fn bytes_that_are_no_piece_leave_the_reader_as_it_was(
        before in many(act(), 0..20),
        (limit, piece) in (1usize..2_000, any::<Index>()),
        (bytes, at, bit) in (many(any::<u8>(), 0..100), any::<Index>(), 0u8..8),
    ) {
        let mut world = after(&before);
        world.shard.tasks.freeze();
        let pieces = pieces(&mut world.shard.tasks, limit);
        let piece = piece.index(pieces.len());
        let mut reader = TasksReader::default();
        for piece in &pieces[..piece] {
            Tasks::take_piece(&mut reader, piece, &mut |_| {}).unwrap();
        }
        let mut spoilt = pieces[piece].clone();
        let at = at.index(spoilt.len());
        spoilt[at] ^= 1 << bit;
        let cut = pieces[piece][..at].to_vec();
        let longer = [&pieces[piece][..], &[0]].concat();
        let long = vec![1; PIECE_BYTES_MAX + 1];
        for bytes in [bytes, cut, longer, long, spoilt] {
            let before = reader.clone();
            if Tasks::take_piece(&mut reader, &bytes, &mut |_| {}).is_err() {
                prop_assert_eq!(&reader, &before);
            } else {
                reader = before;
            }
        }
    }
}
