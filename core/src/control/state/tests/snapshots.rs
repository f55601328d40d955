use super::*;
use crate::time::Time;
use proptest::prelude::*;

/// Any command of three nodes about three scopes, and then some.
fn commands() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    proptest::collection::vec((0..12u8, 1..4u8, 0..3u8), 0..60)
}

fn play(commands: &[(u8, u8, u8)]) -> Log {
    let mut log = Log::new();
    for (kind, node, which) in commands {
        let (scope, name) = (named(["a", "b", "c"][usize::from(*which)]), Name::new("n").unwrap());
        let client = life(*node, 1);
        let granted = log.state.lease(&scope).map_or(token(1, 1), |lease| lease.granted);
        let to = NodeId::from_bytes([which + 1; 16]);
        let command = match kind {
            0 | 1 => Command::Open { ttl: Duration::from_secs(1), epsilon: Duration::from_millis(9) },
            2..=4 => Command::Campaign { scope },
            5 => Command::Release { scope, granted },
            6 => Command::Transfer { scope, granted, to },
            7 => Command::Close,
            8 => {
                let expected = log.state.cluster_epoch();
                Command::BumpEpoch { expected, reason: Text::EMPTY, actor: Text::EMPTY }
            }
            9 => Command::Cordon { node: to, cordon: Cordon::Cordoned },
            10 => Command::SetFlag { name, on: true },
            _ => Command::Write { register: name, value: 1 },
        };
        if log.state.registration(client).is_none() {
            log.client(*node, 1);
        }
        log.command(client, command);
    }
    log
}

proptest! {
    #[test]
    fn a_snapshot_is_the_state(commands in commands()) {
        let log = play(&commands);
        let bytes = snapshot_bytes(&log.state);
        prop_assert_eq!(state_of_snapshot(&bytes), Ok(log.state));
    }

    #[test]
    fn a_damaged_snapshot_is_refused(commands in commands(), at: usize, bit in 0..8u8) {
        let mut bytes = snapshot_bytes(&play(&commands).state);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(state_of_snapshot(&bytes).is_err());
    }

    #[test]
    fn deltas_lead_to_the_same_state(commands in commands(), cut: usize) {
        let log = play(&commands);
        let cut = cut % (log.entries.len() + 1);
        let mut copy = Log::new();
        for entry in &log.entries[..cut] {
            copy.append_bytes(&entry.bytes);
        }
        let (lineage, applied, chain) = (log.state.lineage(), copy.state.applied(), log.state.chain());
        let delta = Delta { lineage, applied, chain, entries: log.entries[cut..].to_vec() };
        prop_assert_eq!(copy.state.follow(&delta, NEWEST, &mut vec![]), Ok(()));
        prop_assert_eq!(&copy.state, &log.state);
        let known = copy.state.follow(&delta, NEWEST, &mut vec![]);
        prop_assert!(cut == log.entries.len() || known == Err(DeltaRefused::Known));
    }

    #[test]
    fn tokens_of_a_scope_strictly_increase(commands in commands()) {
        let log = play(&commands);
        let mut state = Log::new().state;
        let mut tokens: BTreeMap<Scope, FenceToken> = BTreeMap::new();
        for entry in &log.entries {
            let mut changes = vec![];
            let at = At { index: state.applied() + 1, term: entry.term };
            state.apply(at, &entry.bytes, NEWEST, &mut changes).unwrap();
            for change in changes {
                if let Change::Granted { scope, lease } | Change::Reissued { scope, lease } = change {
                    let before = tokens.insert(scope, lease.token);
                    prop_assert!(before.is_none_or(|before| before < lease.token), "LEASE-2");
                }
            }
        }
    }
}

#[test]
fn a_large_state_comes_in_pieces_of_bounded_size_and_in_order() {
    let mut log = Log::new();
    let (client, _) = log.member(1);
    for n in 0..2_000 {
        log.campaign(client, named(&alloc::format!("{n}")));
    }
    let mut writer = SnapshotWriter::new(log.state.clone());
    let pieces: Vec<Piece> = core::iter::from_fn(|| writer.next_piece()).collect();
    assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.len() <= limits::PIECE_BYTES));

    let mut reader = SnapshotReader::default();
    assert_eq!(reader.take(&pieces[0]), Ok(None));
    assert_eq!(reader.clone().take(&pieces[2]), Err(SnapshotError::Checksum), "one is missing");
    let mut state = None;
    for piece in &pieces[1..] {
        assert_eq!(state, None);
        state = reader.take(piece).unwrap();
    }
    assert_eq!(state, Some(log.state));
    assert_eq!(reader.take(&pieces[0]), Err(SnapshotError::Done));
}

#[test]
fn a_delta_that_does_not_fit_is_refused() {
    let (mut log, other) = (Log::new(), play(&[(0, 1, 0)]));
    let (lineage, chain) = (log.state.lineage(), log.state.chain());
    let delta = |applied, chain, entries| Delta { lineage, applied, chain, entries };
    let gap = log.state.follow(&delta(3, chain, vec![]), NEWEST, &mut vec![]);
    assert_eq!(gap, Err(DeltaRefused::Gap { found: 3, applied: 0 }));
    let turn = log.state.follow(&delta(0, other.state.chain(), vec![]), NEWEST, &mut vec![]);
    assert_eq!(turn, Err(DeltaRefused::OtherLog), "rule F2");
    let many = vec![LoggedEntry { term: 1, bytes: [].into() }; limits::DELTA_ENTRIES + 1];
    let too_large = log.state.follow(&delta(0, chain, many), NEWEST, &mut vec![]);
    assert_eq!(too_large, Err(DeltaRefused::TooLarge { entries: 1_025, bytes: 0 }));
    assert_eq!(log.state, Log::new().state);
}

#[test]
fn a_copy_is_as_fresh_as_the_sending_of_the_request_that_it_has_caught_up_with() {
    let at = |ms: u64| Time::ZERO + Duration::from_millis(ms);
    let mut freshness = Freshness::default();
    assert_eq!(freshness.staleness(at(5)), None, "never heard");
    let (first, second) = (freshness.ask(at(10)), freshness.ask(at(20)));
    freshness.answer(second, 8, 5);
    assert_eq!(freshness.staleness(at(30)), None, "it has not caught up");
    freshness.answer(first, 5, 5);
    assert_eq!(freshness.staleness(at(30)), Some(Duration::from_millis(20)), "rule F3");
    freshness.applied(8);
    assert_eq!(freshness.staleness(at(30)), Some(Duration::from_millis(10)));
    freshness.answer(first, 9, 9);
    assert_eq!(freshness.staleness(at(30)), Some(Duration::from_millis(10)), "an answer counts once");
}
