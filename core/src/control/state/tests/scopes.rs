use super::*;

#[test]
fn the_first_who_asks_holds_and_the_others_wait_in_line() {
    let mut log = Log::new();
    let members: Vec<_> = (1..=3).map(|node| log.member(node)).collect();
    let answer = log.campaign(members[0].0, Scope::Global);
    let lease = log.lease(Scope::Global);
    assert_eq!(answer, Answer::Granted(lease));
    assert_eq!((lease.session, lease.term, lease.token), (members[0].1, 1, token(1, 7)));
    assert_eq!(log.campaign(members[1].0, Scope::Global), Answer::Waiting);
    assert_eq!(log.campaign(members[2].0, Scope::Global), Answer::Waiting);
    assert_eq!(log.campaign(members[1].0, Scope::Global), Answer::Waiting, "once in line");
    assert_eq!(log.state.scope(&Scope::Global).unwrap().waiting, [members[1].1, members[2].1]);
}

#[test]
fn the_end_of_a_session_passes_each_of_its_scopes_to_the_next_at_once_under_a_newer_token() {
    let mut log = Log::new();
    let (a, b) = (log.member(1), log.member(2));
    let scopes = [Scope::Global, named("billing"), named("reports")];
    for scope in scopes {
        log.campaign(a.0, scope);
    }
    log.campaign(b.0, scopes[0]);
    log.campaign(b.0, scopes[1]);
    let before = log.lease(scopes[0]).token;
    log.leader(LeaderCommand::End { session: a.1 });
    for scope in &scopes[..2] {
        let lease = log.lease(*scope);
        assert_eq!((lease.session, lease.term), (b.1, 2));
        assert!(lease.token > before);
        assert_eq!(lease.token, token(1, log.state.applied()));
    }
    assert_eq!(log.state.lease(&scopes[2]), None);
    let granted = log.changes.iter().filter(|change| matches!(change, Change::Granted { .. })).count();
    assert_eq!(granted, 2, "rule S4: by the same entry");
}

#[test]
fn a_release_names_its_grant() {
    let mut log = Log::new();
    let (client, _) = log.member(1);
    log.campaign(client, Scope::Global);
    let first = log.lease(Scope::Global).granted;
    let release = Command::Release { scope: Scope::Global, granted: first };
    assert_eq!(log.command(client, release.clone()), Outcome::Done(Answer::Released));
    log.campaign(client, Scope::Global);
    let lease = log.lease(Scope::Global);
    let late = log.command(client, release);
    assert_eq!(late, Outcome::Refused(Refusal::NotHolder { lease: Some(lease) }), "rule S3");
    assert_eq!(log.lease(Scope::Global), lease);
}

#[test]
fn nobody_releases_for_another() {
    let mut log = Log::new();
    let (a, b) = (log.member(1), log.member(2));
    log.campaign(a.0, Scope::Global);
    let lease = log.lease(Scope::Global);
    let refused = log.command(b.0, Command::Release { scope: Scope::Global, granted: lease.granted });
    assert_eq!(refused, Outcome::Refused(Refusal::NotHolder { lease: Some(lease) }));
    let kept = log.command(a.0, Command::Withdraw { scope: Scope::Global });
    assert_eq!(kept, Outcome::Refused(Refusal::Holds), "a holder releases");
}

#[test]
fn a_transfer_overtakes_those_who_wait() {
    let mut log = Log::new();
    let members: Vec<_> = (1..=3).map(|node| log.member(node)).collect();
    log.campaign(members[0].0, Scope::Global);
    log.campaign(members[1].0, Scope::Global);
    let granted = log.lease(Scope::Global).granted;
    let to = members[2].0.node;
    let moved = log.command(members[0].0, Command::Transfer { scope: Scope::Global, granted, to });
    assert_eq!(moved, Outcome::Done(Answer::Transferred { to }));
    let lease = log.lease(Scope::Global);
    assert_eq!((lease.session, lease.holder, lease.term), (members[2].1, to, 2));
    assert!(lease.token > granted);
}

#[test]
fn a_transfer_that_cannot_be_made_frees_the_scope_for_its_holder_has_stopped() {
    let mut log = Log::new();
    let (a, b) = (log.member(1), log.member(2));
    log.campaign(a.0, Scope::Global);
    log.campaign(b.0, Scope::Global);
    let granted = log.lease(Scope::Global).granted;
    let to = NodeId::from_bytes([9; 16]);
    assert!(!log.state.can_receive(to));
    let moved = log.command(a.0, Command::Transfer { scope: Scope::Global, granted, to });
    assert_eq!(moved, Outcome::Done(Answer::PassedOn));
    assert_eq!(log.lease(Scope::Global).session, b.1);
}

#[test]
fn a_cordoned_node_keeps_what_it_has_and_gets_nothing_new() {
    let mut log = Log::new();
    let (a, b) = (log.member(1), log.member(2));
    log.campaign(a.0, Scope::Global);
    for node in [a.0.node, b.0.node] {
        log.command(a.0, Command::Cordon { node, cordon: Cordon::Draining });
    }
    assert_eq!(log.lease(Scope::Global).session, a.1);
    log.campaign(b.0, Scope::Global);
    log.leader(LeaderCommand::End { session: a.1 });
    assert_eq!(log.state.lease(&Scope::Global), None, "nobody may have it");
    log.command(b.0, Command::Cordon { node: b.0.node, cordon: Cordon::None });
    assert_eq!(log.lease(Scope::Global).session, b.1, "as soon as somebody may");
}

#[test]
fn only_an_idle_scope_that_is_known_is_retired_and_its_tokens_go_on_rising() {
    let mut log = Log::new();
    log.activate(2);
    let (client, _) = log.member(1);
    let (scope, retire) = (named("s"), Command::Retire { scope: named("s") });
    assert_eq!(log.command(client, retire.clone()), Outcome::Refused(Refusal::UnknownScope));
    log.campaign(client, scope);
    let first = log.lease(scope);
    assert_eq!(log.command(client, retire.clone()), Outcome::Refused(Refusal::InUse), "held");
    log.command(client, Command::Cordon { node: client.node, cordon: Cordon::Draining });
    log.command(client, Command::Release { scope, granted: first.granted });
    log.campaign(client, scope);
    assert_eq!(log.command(client, retire.clone()), Outcome::Refused(Refusal::InUse), "waited for");
    log.command(client, Command::Withdraw { scope });
    assert_eq!(log.command(client, retire), Outcome::Done(Answer::Set));
    assert_eq!(log.state.scopes().count(), 0);
    log.command(client, Command::Cordon { node: client.node, cordon: Cordon::None });
    log.campaign(client, scope);
    let again = log.lease(scope);
    assert!(again.token > first.token, "LEASE-2, rule V6");
    let late = log.command(client, Command::Release { scope, granted: first.granted });
    assert!(matches!(late, Outcome::Refused(Refusal::NotHolder { .. })), "a late release frees nothing: {late:?}");
}

#[test]
fn the_global_scope_stays() {
    let mut log = Log::new();
    log.activate(2);
    let (client, _) = log.member(1);
    log.campaign(client, Scope::Global);
    let granted = log.lease(Scope::Global).granted;
    log.command(client, Command::Release { scope: Scope::Global, granted });
    let refused = log.command(client, Command::Retire { scope: Scope::Global });
    assert_eq!(refused, Outcome::Refused(Refusal::NotRetirable));
}

#[test]
fn only_an_idle_scope_is_forgotten_and_its_tokens_go_on_rising() {
    let mut log = Log::new();
    let (client, _) = log.member(1);
    log.campaign(client, Scope::Global);
    let first = log.lease(Scope::Global);
    assert_eq!(log.command(client, Command::Forget { scope: Scope::Global }), Outcome::Refused(Refusal::InUse));
    log.command(client, Command::Release { scope: Scope::Global, granted: first.granted });
    assert_eq!(log.command(client, Command::Forget { scope: Scope::Global }), Outcome::Done(Answer::Set));
    assert_eq!(log.state.scopes().count(), 0);
    log.campaign(client, Scope::Global);
    assert!(log.lease(Scope::Global).token > first.token);
}

#[test]
fn tables_do_not_grow_past_their_bounds() {
    let mut log = Log::new();
    let members: Vec<_> = (1..=66).map(|node| log.member(node)).collect();
    for (client, _) in &members[..65] {
        log.campaign(*client, Scope::Global);
    }
    let refused = log.command(members[65].0, Command::Campaign { scope: Scope::Global });
    assert_eq!(refused, Outcome::Refused(Refusal::Full { what: Table::Candidates, limit: 64 }));
    for scope in 1..limits::SCOPES_MAX {
        log.campaign(members[0].0, named(&alloc::format!("{scope}")));
    }
    let refused = log.command(members[0].0, Command::Campaign { scope: named("one-more") });
    assert_eq!(refused, Outcome::Refused(Refusal::Full { what: Table::Scopes, limit: 4_096 }));
}
