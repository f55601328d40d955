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
fn a_version_is_refused_by_all_until_it_is_activated() {
    let mut log = Log::new();
    let (client, _) = log.member(1);
    let (version, activated) = (BodyVersion(2), OLDEST);
    let retire = log.entry(client, Command::Retire { scope: named("s") });
    let before = log.state.clone();
    assert_eq!(log.append(&retire), Outcome::Refused(Refusal::NotActivated { version, activated }), "rule V1");
    assert_eq!((log.state.clients, log.state.scopes), (before.clients, before.scopes), "nothing is remembered of it");
}

#[test]
fn only_the_next_version_is_activated() {
    let mut log = Log::new();
    for version in [0, 1, 3, 255] {
        let refused = log.leader(LeaderCommand::Activate { version: BodyVersion(version) });
        assert_eq!(refused, Outcome::Refused(Refusal::Outdated { expected: version.into(), found: 1 }));
    }
    log.activate(2);
    assert_eq!(log.state.activated(), BodyVersion(2));
}

#[test]
fn a_build_stops_where_a_version_is_activated_that_it_does_not_understand() {
    let mut log = Log::new();
    let activate = Entry::Leader { term: 1, command: LeaderCommand::Activate { version: BodyVersion(2) } };
    let activate = activate.to_bytes().unwrap();
    assert!(Entry::is_understood(&activate, OLDEST) && !Entry::is_understood(&[2, 0], OLDEST));
    let (before, at) = (log.state.clone(), At { index: 1, term: 1 });
    let stopped = log.state.apply(at, &activate, OLDEST, &mut vec![]);
    let too_old = |index| CannotApply::BuildTooOld { index, version: BodyVersion(2), newest: OLDEST };
    assert_eq!(stopped, Err(too_old(1)), "rule V4");
    assert_eq!(log.state, before);
    // Void in another term, and then nothing to stop for.
    assert!(log.state.clone().apply(At { index: 1, term: 2 }, &activate, OLDEST, &mut vec![]).is_ok());
    // Whoever was not there when it was activated stops at the next entry, whatever that is.
    log.activate(2);
    let stopped = log.state.apply(At { index: 2, term: 1 }, &[], OLDEST, &mut vec![]);
    assert_eq!(stopped, Err(too_old(2)));
}

#[test]
fn an_entry_is_written_in_the_version_that_it_needs_and_read_in_no_older_one() {
    let mut log = Log::new();
    let (client, _) = log.member(1);
    let retire = log.entry(client, Command::Retire { scope: named("s") });
    let campaign = log.entry(client, Command::Campaign { scope: named("s") });
    assert_eq!((retire.version(), campaign.version()), (BodyVersion(2), BodyVersion(1)));
    let mut bytes = retire.to_bytes().unwrap();
    assert_eq!(Entry::version_of(&bytes), BodyVersion(2));
    bytes[0] = 1;
    let too_early = EntryError::TooEarly { found: BodyVersion(1), needs: BodyVersion(2) };
    assert_eq!(Entry::from_bytes(&bytes), Err(too_early));
    assert_eq!(
        log.append_bytes(&bytes),
        Outcome::Refused(Refusal::Malformed),
        "as for a build that has no such command"
    );
}

#[test]
fn entries_come_in_order() {
    let mut state = Log::new().state;
    for found in [0, 2, u64::MAX] {
        let refused = state.apply(At { index: found, term: 1 }, &[], NEWEST, &mut vec![]);
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
