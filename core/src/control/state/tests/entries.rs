use super::*;
use crate::codec::{BodyVersion, DecodeError};
use proptest::prelude::*;

#[test]
fn what_makes_no_sense_is_refused_and_the_log_goes_on() {
    let mut log = Log::new();
    let before = log.state.clone();
    let long = vec![1; limits::ENTRY_BYTES + 1];
    for bytes in [&[0][..], &[1], &[1, 200], &[1, 0, 0], &long] {
        assert_eq!(log.append_bytes(bytes), Outcome::Refused(Refusal::Malformed), "{bytes:?}");
        assert!(log.changes.is_empty());
    }
    let chain = log.state.chain();
    assert_eq!(log.state, State { applied: 5, term: 1, chain, ..before });
}

#[test]
fn the_groups_own_entries_change_nothing_but_the_index() {
    let mut log = Log::new();
    assert_eq!(log.append_bytes(&[]), Outcome::Done(Answer::Nothing));
    assert_eq!(log.state.applied(), 1);
}

#[test]
fn a_version_is_refused_by_all_until_it_is_activated_and_then_stops_who_does_not_know_it() {
    let mut log = Log::new();
    let newer = [NEWEST.0 + 1, 0];
    let (version, activated) = (BodyVersion(NEWEST.0 + 1), NEWEST);
    assert!(!Entry::is_understood(&newer) && Entry::is_understood(&[]));
    assert_eq!(log.append_bytes(&newer), Outcome::Refused(Refusal::NotActivated { version, activated }));
    let too_far = log.leader(LeaderCommand::Activate { version: BodyVersion(NEWEST.0 + 2) });
    assert!(matches!(too_far, Outcome::Refused(Refusal::Outdated { .. })));
    log.leader(LeaderCommand::Activate { version });
    let before = log.state.clone();
    let at = At { index: before.applied() + 1, term: 1 };
    let stopped = log.state.apply(at, &newer, &mut vec![]);
    assert_eq!(stopped, Err(CannotApply::BuildTooOld { index: at.index, version, newest: NEWEST }), "rule F4");
    assert_eq!(log.state, before);
    assert!(log.state.apply(at, &[], &mut vec![]).is_ok(), "the group's own entries have no version");
}

#[test]
fn entries_come_in_order() {
    let mut state = Log::new().state;
    for found in [0, 2, u64::MAX] {
        let refused = state.apply(At { index: found, term: 1 }, &[], &mut vec![]);
        assert_eq!(refused, Err(CannotApply::OutOfOrder { found, applied: 0 }));
    }
}

#[test]
fn a_name_is_visible_ascii() {
    assert_eq!(Name::new(""), Err(NameError::Empty));
    assert_eq!(Name::new("a b"), Err(NameError::Character { byte: b' ' }));
    assert!(matches!(Name::new(&"x".repeat(65)), Err(NameError::TooLong(_))));
    // Also where it is decoded: the entry with a blank in its name is no entry.
    let mut log = Log::new();
    let client = log.client(1, 1);
    let entry = log.entry(client, Command::Campaign { scope: named("a-b") });
    let bytes = entry.to_bytes().unwrap();
    let blank: Vec<u8> = bytes.iter().map(|byte| if *byte == b'-' { b' ' } else { *byte }).collect();
    assert!(matches!(Entry::from_bytes(&blank), Err(EntryError::Malformed(DecodeError::Malformed { .. }))));
}

#[test]
fn more_voters_than_there_may_be_are_no_entry() {
    let members: BTreeMap<_, _> = (0..15).map(|node| (NodeId::from_bytes([node; 16]), StoreIncarnation(1))).collect();
    let bytes = Entry::Leader { term: 1, command: LeaderCommand::RecordVoters { members } }.to_bytes().unwrap();
    assert_eq!(Entry::from_bytes(&bytes), Err(EntryError::Voters { count: 15, limit: 14 }));
}

proptest! {
    #[test]
    fn any_bytes_are_taken_alike_by_equal_states(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut log = Log::new();
        log.member(1);
        let (mut one, mut other) = (log.clone(), log);
        let bytes = [&[1][..], &bytes].concat();
        prop_assert_eq!(one.append_bytes(&bytes), other.append_bytes(&bytes));
        prop_assert_eq!(one.state, other.state);
    }

    #[test]
    fn tokens_keep_the_order_of_epoch_and_index(a: (u64, u64), b: (u64, u64)) {
        prop_assert_eq!(a.cmp(&b), token(a.0, a.1).cmp(&token(b.0, b.1)));
        let as_integer = token(a.0, a.1).as_integer().cmp(&token(b.0, b.1).as_integer());
        prop_assert_eq!(a.cmp(&b), as_integer);
        let back = token(a.0, a.1);
        prop_assert_eq!((back.cluster().0, back.log_index()), a);
        prop_assert_eq!(back.epoch().cmp(&token(b.0, b.1).epoch()), a.cmp(&b));
    }
}
