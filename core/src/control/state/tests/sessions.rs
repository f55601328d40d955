use super::*;

#[test]
fn a_session_is_named_by_the_entry_that_opened_it_and_opened_once() {
    let mut log = Log::new();
    let (client, session) = log.member(1);
    assert_eq!(session.0, token(1, 2));
    let (ttl, epsilon) = (Duration::from_secs(2), Duration::from_millis(1));
    let again = log.command(client, Command::Open { ttl, epsilon });
    assert_eq!(again, Outcome::Done(Answer::Opened(session)));
    assert_eq!(log.state.session(session).unwrap().ttl, Duration::from_millis(1_200), "as it was opened");
}

#[test]
fn times_that_would_be_unsafe_or_outlast_a_quarantine_are_refused() {
    let mut log = Log::new();
    let client = log.client(1, 1);
    let ms = Duration::from_millis;
    for (ttl, epsilon) in [(ms(9), ms(1)), (ms(200), ms(100)), (ms(4_950), ms(100)), (Duration::MAX, Duration::MAX)] {
        let refused = log.command(client, Command::Open { ttl, epsilon });
        assert_eq!(refused, Outcome::Refused(Refusal::BadSpan { ttl, epsilon, span_max: Duration::from_secs(5) }));
    }
    assert_eq!(log.state.sessions().count(), 0);
}

#[test]
fn an_end_of_another_term_is_void() {
    let mut log = Log::new();
    let (_, session) = log.member(1);
    log.term = 2;
    let late = log.append(&Entry::Leader { term: 1, command: LeaderCommand::End { session } });
    assert_eq!(late, Outcome::Refused(Refusal::OtherTerm { proposed: 1, logged: 2 }), "rule E3");
    assert!(log.state.session(session).is_some());
    assert_eq!(log.leader(LeaderCommand::End { session }), Outcome::Done(Answer::Ended));
    assert_eq!(log.leader(LeaderCommand::End { session }), Outcome::Refused(Refusal::NoSession), "once");
}

#[test]
fn a_later_boot_of_the_same_store_ends_the_earlier_ones_session_but_another_store_waits() {
    let mut log = Log::new();
    let (_, first) = log.member(1);
    let other_store = Incarnation { store: StoreIncarnation(99), ..life(1, 5) };
    log.append(&Entry::Register { client: other_store });
    assert!(log.state.session(first).is_some(), "the old disk may still be in use");

    let (_, waiting) = log.member(2);
    let holder = life(1, 1);
    log.campaign(holder, Scope::Global);
    log.campaign(life(2, 1), Scope::Global);
    log.append(&Entry::Register { client: life(1, 2) });
    assert!(log.state.session(first).is_none(), "rule E5");
    assert_eq!(log.lease(Scope::Global).session, waiting);
    assert_eq!(log.state.registration(holder), None);
}

#[test]
fn an_earlier_boot_cannot_come_back() {
    let mut log = Log::new();
    log.client(1, 3);
    let refused = log.append(&Entry::Register { client: life(1, 2) });
    let (boot, newest) = (BootIncarnation(2), BootIncarnation(3));
    assert_eq!(refused, Outcome::Refused(Refusal::OldBoot { boot, newest }));
}

#[test]
fn a_closed_session_leaves_nothing_behind() {
    let mut log = Log::new();
    let (client, session) = log.member(1);
    log.campaign(client, Scope::Global);
    assert_eq!(log.command(client, Command::Close), Outcome::Done(Answer::Ended));
    assert_eq!(log.state.lease(&Scope::Global), None);
    assert_eq!(log.state.own_session(client), None);
    assert!(
        matches!(log.changes[..], [Change::Ended { session: ended, cause: EndCause::Closed, .. }, Change::Freed { .. }] if ended == session)
    );
}
