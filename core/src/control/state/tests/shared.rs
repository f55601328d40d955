use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[test]
fn a_setting_is_changed_on_condition_of_its_version() {
    let mut log = Log::new();
    let client = log.client(1, 1);
    let set = |bytes: &[u8], expected| {
        let value = Some(Value::try_from(bytes.to_vec()).unwrap());
        Command::SetSetting { name: name("limit"), value, expected }
    };
    log.command(client, set(b"1", Some(0)));
    let version = log.state.setting(&name("limit")).unwrap().version;
    log.command(client, set(b"2", Some(version)));
    let stale = log.command(client, set(b"3", Some(version)));
    assert_eq!(stale, Outcome::Refused(Refusal::Outdated { expected: version, found: log.state.applied() - 1 }));
    assert_eq!(log.state.setting(&name("limit")).unwrap().value.as_slice(), b"2");
    log.command(client, Command::SetSetting { name: name("limit"), value: None, expected: None });
    assert_eq!(log.state.setting(&name("limit")), None);
}

#[test]
fn the_version_of_a_feature_only_rises() {
    let mut log = Log::new();
    let client = log.client(1, 1);
    log.command(client, Command::RaiseFeature { name: name("x"), version: 3 });
    let lower = log.command(client, Command::RaiseFeature { name: name("x"), version: 2 });
    assert_eq!(lower, Outcome::Refused(Refusal::Outdated { expected: 2, found: 3 }));
    assert_eq!((log.state.feature(&name("x")), log.state.feature(&name("y"))), (3, 0));
}

#[test]
fn flags_registers_and_voters_are_kept() {
    let mut log = Log::new();
    let client = log.client(1, 1);
    log.command(client, Command::SetFlag { name: name("f"), on: true });
    assert!(log.state.flag(&name("f")) && !log.state.flag(&name("g")));
    let register = name("r");
    log.command(client, Command::Write { register, value: 4 });
    assert_eq!(log.command(client, Command::Read { register }), Outcome::Done(Answer::Value(Some(4))));
    let members = BTreeMap::from([(client.node, client.store)]);
    log.leader(LeaderCommand::RecordVoters { members: members.clone() });
    assert_eq!(log.state.voters(), &Voters { version: log.state.applied(), members });
}

#[test]
fn a_table_that_is_full_takes_changes_but_nothing_new() {
    let mut log = Log::new();
    let client = log.client(1, 1);
    for n in 0..limits::FEATURES_MAX {
        log.command(client, Command::RaiseFeature { name: name(&alloc::format!("{n}")), version: 1 });
    }
    let more = log.command(client, Command::RaiseFeature { name: name("more"), version: 1 });
    assert_eq!(more, Outcome::Refused(Refusal::Full { what: Table::Features, limit: 256 }));
    let known = log.command(client, Command::RaiseFeature { name: name("0"), version: 2 });
    assert_eq!(known, Outcome::Done(Answer::Set));
}
