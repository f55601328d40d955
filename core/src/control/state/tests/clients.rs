use super::*;

fn write(value: u64) -> Command {
    Command::CompareAndSet { register: Name::new("r").unwrap(), expected: None, value }
}

#[test]
fn a_command_takes_effect_once_and_is_answered_the_same_each_time() {
    let mut log = Log::new();
    let client = log.client(1, 1);
    let entry = log.entry(client, write(7));
    assert_eq!(log.append(&entry), Outcome::Done(Answer::Set));
    assert_eq!(log.append(&entry), Outcome::Done(Answer::Set), "not: differs");
    let other = log.entry(client, write(8));
    assert_eq!(log.append(&other), Outcome::Done(Answer::Differs(Some(7))));
}

#[test]
fn refusals_are_remembered_too() {
    let mut log = Log::new();
    let client = log.client(1, 1);
    let campaign = log.entry(client, Command::Campaign { scope: Scope::Global });
    assert_eq!(log.append(&campaign), Outcome::Refused(Refusal::NoSession));
    let (ttl, epsilon) = (Duration::from_secs(1), Duration::from_millis(9));
    let Entry::Client { client, registered, .. } = campaign.clone() else { panic!() };
    let open = Command::Open { ttl, epsilon }.into();
    log.append(&Entry::Client { client, registered, sequence: 2, unanswered: 1, command: open });
    assert_eq!(log.append(&campaign), Outcome::Refused(Refusal::NoSession), "what was said stays said");
}

#[test]
fn what_the_client_has_answers_to_is_forgotten_and_not_executed_again() {
    let mut log = Log::new();
    let client = log.client(1, 1);
    let first = log.entry(client, write(7));
    log.append(&first);
    log.command(client, write(8));
    let late = log.append(&first);
    assert_eq!(late, Outcome::Refused(Refusal::OutOfWindow { sequence: 1, first: 2, window: 64 }), "rule X5");
}

#[test]
fn no_more_than_a_window_is_under_way() {
    let mut log = Log::new();
    let client = log.client(1, 1);
    let registered = log.state.registration(client).unwrap();
    let command = |sequence| Entry::Client { client, registered, sequence, unanswered: 5, command: write(1).into() };
    assert_eq!(log.append(&command(68)), Outcome::Done(Answer::Set), "in any order");
    let beyond = log.append(&command(69));
    assert_eq!(beyond, Outcome::Refused(Refusal::OutOfWindow { sequence: 69, first: 5, window: 64 }));
}

#[test]
fn who_was_evicted_is_refused_and_a_late_registration_brings_nothing_back() {
    let mut log = Log::new();
    let client = log.client(1, 1);
    let entry = log.entry(client, write(7));
    let registered = log.state.registration(client).unwrap();
    assert_eq!(log.leader(LeaderCommand::Evict { client, registered }), Outcome::Done(Answer::Set));
    assert_eq!(log.append(&entry), Outcome::Refused(Refusal::UnknownClient), "rule X3");
    log.append(&Entry::Register { client });
    assert_eq!(log.append(&entry), Outcome::Refused(Refusal::UnknownClient), "rule X4");
    let again = log.leader(LeaderCommand::Evict { client, registered });
    assert_eq!(again, Outcome::Refused(Refusal::UnknownClient), "that registration is not this one");
    assert_eq!(log.state.register_value(&Name::new("r").unwrap()), None);
}

#[test]
fn a_client_with_a_session_is_not_evicted() {
    let mut log = Log::new();
    let (client, _) = log.member(1);
    let registered = log.state.registration(client).unwrap();
    assert_eq!(log.leader(LeaderCommand::Evict { client, registered }), Outcome::Refused(Refusal::InUse));
}

#[test]
fn the_table_of_clients_is_bounded_and_says_whom_to_evict() {
    let mut log = Log::new();
    let (with_session, _) = log.member(1);
    let client = |n: u64| {
        let mut node = [0; 16];
        node[..8].copy_from_slice(&(n + 1).to_be_bytes());
        Incarnation { node: NodeId::from_bytes(node), ..life(7, 1) }
    };
    assert_eq!(log.state.to_evict(), None);
    for n in 1..limits::CLIENTS_MAX as u64 {
        log.append(&Entry::Register { client: client(n) });
    }
    let refused = log.append(&Entry::Register { client: life(200, 1) });
    assert_eq!(refused, Outcome::Refused(Refusal::Full { what: Table::Clients, limit: 8_192 }));
    let (idle, registered) = log.state.to_evict().unwrap();
    assert_eq!(idle, client(1), "the oldest without a session, not {with_session:?}");
    log.leader(LeaderCommand::Evict { client: idle, registered });
    assert!(matches!(log.append(&Entry::Register { client: life(200, 1) }), Outcome::Done(_)));
}
