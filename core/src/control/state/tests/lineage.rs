use super::*;

fn bump(expected: u64) -> Command {
    Command::BumpEpoch { expected: ClusterEpoch(expected), reason: Text::EMPTY, actor: Text::EMPTY }
}

fn raised(epoch: u64) -> Bump {
    let by = NodeId::from_bytes([1; 16]);
    Bump { index: 0, epoch: ClusterEpoch(epoch), by, reason: Text::EMPTY, actor: Text::EMPTY }
}

#[test]
fn a_bump_reissues_tokens_and_keeps_grants_and_holders() {
    let mut log = Log::new();
    let (client, session) = log.member(1);
    log.campaign(client, Scope::Global);
    let before = log.lease(Scope::Global);
    assert_eq!(log.command(client, bump(1)), Outcome::Done(Answer::Epoch(ClusterEpoch(2))));
    let after = log.lease(Scope::Global);
    assert_eq!(after, Lease { token: token(2, log.state.applied()), ..before }, "rule C1");
    assert_eq!(after.session, session);
    let last = log.changes.last().copied();
    assert!(matches!(last, Some(Change::Epoch { .. })), "tokens first: who hears of the epoch has none that is older");
    let released = log.command(client, Command::Release { scope: Scope::Global, granted: before.granted });
    assert_eq!(released, Outcome::Done(Answer::Released), "a grant is not named by its token");
}

#[test]
fn two_operators_do_not_bump_twice_by_mistake() {
    let mut log = Log::new();
    let client = log.client(1, 1);
    log.command(client, bump(1));
    let second = log.command(client, bump(1));
    assert_eq!(second, Outcome::Refused(Refusal::Outdated { expected: 1, found: 2 }));
    assert_eq!(log.state.last_bump().unwrap().epoch, ClusterEpoch(2));
}

#[test]
fn a_recovery_ends_all_and_grants_nothing_until_the_quarantine_is_lifted() {
    let mut log = Log::new();
    let (client, session) = log.member(1);
    log.campaign(client, Scope::Global);
    let before = log.lease(Scope::Global);
    let chain = log.state.chain();
    log.state.recover(raised(7), RecoveryId(2)).unwrap();
    assert_ne!(log.state.chain(), chain, "deltas of the old history do not fit");
    assert_eq!((log.state.session(session), log.state.registration(client)), (None, None), "rule C3");

    let (client, _) = log.member(1);
    assert_eq!(log.campaign(client, Scope::Global), Answer::Waiting, "rule C4");
    let early = log.leader(LeaderCommand::Lift { epoch: ClusterEpoch(6) });
    assert_eq!(early, Outcome::Refused(Refusal::Outdated { expected: 6, found: 7 }));
    log.leader(LeaderCommand::Lift { epoch: ClusterEpoch(7) });
    let after = log.lease(Scope::Global);
    assert!(after.token > before.token && after.term > before.term);
    let again = log.leader(LeaderCommand::Lift { epoch: ClusterEpoch(7) });
    assert_eq!(again, Outcome::Refused(Refusal::Outdated { expected: 7, found: 7 }));
}

#[test]
fn a_recovery_needs_a_higher_epoch_and_an_id_of_its_own() {
    let mut state = Log::new().state;
    let (offered, known) = (ClusterEpoch(1), ClusterEpoch(1));
    assert_eq!(state.recover(raised(1), RecoveryId(2)), Err(RecoverRefused::EpochTooLow { offered, known }));
    assert_eq!(state.recover(raised(2), RecoveryId(1)), Err(RecoverRefused::IdUsed(RecoveryId(1))));
    assert_eq!(state, Log::new().state, "a refusal changes nothing");
}

#[test]
fn two_recoveries_to_one_epoch_do_not_meet_unnoticed() {
    let recovered = |id| {
        let mut state = Log::new().state;
        state.recover(raised(2), RecoveryId(id)).unwrap();
        state
    };
    let (mut own, other) = (recovered(5), recovered(6));
    let delta = Delta { lineage: other.lineage(), applied: 0, chain: other.chain(), entries: vec![] };
    let conflict = Conflict { own: own.lineage(), other: other.lineage() };
    assert_eq!(own.follow(&delta, NEWEST, &mut vec![]), Err(DeltaRefused::OtherHistory(conflict)), "rule C5");
}
