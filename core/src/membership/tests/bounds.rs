//! Nothing grows without a bound, and nothing that comes from outside breaks anything.

use super::description::{ENTRIES_MAX, TEXT_BYTES_MAX};
use super::solo::{ME, Solo, life_of, observed, sent};
use super::world::{World, datagram_bytes, envelope};
use super::*;
use crate::envelope::Class;
use crate::identity::Incarnation;
use crate::machine::Machine;
use crate::time::Time;
use alloc::vec;
use proptest::prelude::*;

fn small(members: u32, dead: u32) -> Settings {
    let mut settings = Settings::default();
    (settings.bounds.members, settings.bounds.dead) = (members, dead);
    settings
}

// --- the view -------------------------------------------------------------------------------------------------------

#[test]
fn a_flood_of_invented_members_fills_the_view_and_no_more() {
    let mut solo = Solo::among_with(5, small(50, 10));
    let actions: Vec<Action> =
        (100..400).flat_map(|index| solo.hears(1, introduction([member(index, 1, 1)]))).collect();
    assert_eq!(solo.machine.table.len(), 50);
    assert!(observed(&actions).any(|it| matches!(it, MembershipObservation::ViewFull { .. })));
    assert!((0..=5).all(|index| solo.status(index) == Some(Status::Alive)), "who was there stays");
}

#[test]
fn a_full_view_takes_a_newcomer_in_place_of_who_is_dead_for_longest() {
    let mut solo = Solo::among_with(9, small(10, 10));
    solo.hears_of_death(1, opinion(5, Status::Dead, 1, 2));
    solo.hears_of_death(1, opinion(4, Status::Dead, 1, 2));
    let actions = solo.hears(1, introduction([member(20, 1, 1)]));
    assert_eq!((solo.status(20), solo.status(5), solo.status(4)), (Some(Status::Alive), None, Some(Status::Dead)));
    assert!(actions.iter().any(|action| matches!(action, Action::Forget(who) if *who == node(5))));
}

#[test]
fn a_flood_of_invented_dead_costs_no_more_memory_than_the_view() {
    let mut solo = Solo::among_with(5, small(50, 10));
    for round in 0..40 {
        let opinions = (0..100).map(|index| opinion(1_000 + round * 100 + index, Status::Dead, 1, 2)).collect();
        let answer = Message::SyncAnswer { exchange: 1, opinions, members: vec![], wanted: vec![] };
        solo.hears_by(1, Class::Control, answer);
    }
    solo.wait(secs(31));
    assert!(solo.machine.table.len() <= 50 && solo.machine.table.gone() <= 10, "{}", solo.machine.table.gone());
    assert!(solo.machine.table.slots() <= 51);
}

#[test]
fn bounds_that_are_nearly_reached_are_reported() {
    let reported = |solo: &mut Solo, bound: &str| {
        let actions = solo.lives_on(secs(31), &[]);
        observed(&actions).any(|it| matches!(it, MembershipObservation::Capacity { what, .. } if *what == bound))
    };
    assert!(!reported(&mut Solo::among_with(14, small(20, 5)), "members"), "15 of 20");
    assert!(reported(&mut Solo::among_with(15, small(20, 5)), "members"), "16 of 20");

    let mut solo = Solo::among_with(9, small(20, 5));
    (1..=3).for_each(|subject| drop(solo.hears(9, gossip([opinion(subject, Status::Dead, 1, 9)]))));
    assert!(!reported(&mut solo, "dead members"), "3 of 5");
    solo.hears(9, gossip([opinion(4, Status::Dead, 1, 9)]));
    assert!(reported(&mut solo, "dead members"), "4 of 5");
}

// --- packets --------------------------------------------------------------------------------------------------------

fn text(length: usize) -> alloc::boxed::Box<str> {
    "x".repeat(length).into()
}

/// A description of any shape that `check` accepts, the largest ones often.
fn any_description() -> impl Strategy<Value = (Description, u64)> {
    let counts = (0..=ENTRIES_MAX, 0..=ENTRIES_MAX, 0..=ENTRIES_MAX);
    let numbers = (any::<u64>(), any::<u64>(), 1..IncarnationNumber::MAX.0, 1..IncarnationNumber::MAX.0);
    (counts, 0..=TEXT_BYTES_MAX, numbers, any::<bool>()).prop_filter_map(
        "too large",
        |((capabilities, labels, endpoints), bytes, (store, boot, version, incarnation), is_v6)| {
            let address = match is_v6 {
                true => core::net::IpAddr::V6(core::net::Ipv6Addr::from([0xFF; 16])),
                false => core::net::IpAddr::V4(core::net::Ipv4Addr::BROADCAST),
            };
            let endpoint = Endpoint(core::net::SocketAddr::new(address, u16::MAX));
            let listed = capabilities + labels;
            let profile = Profile {
                role: text(bytes.checked_sub(listed)?),
                capabilities: vec![text(1); capabilities],
                labels: vec![(text(1), text(0)); labels],
                endpoints: vec![(text(0), endpoint); endpoints],
                ..Profile::default()
            };
            let description = Description {
                version,
                store: StoreIncarnation(store),
                boot: BootIncarnation(boot),
                endpoint,
                health: 100,
                keys: keys(&[u16::MAX; 4]),
                speaks: 255,
                name: text(0),
                profile: Arc::new(profile),
            };
            description.check().is_ok().then_some((description, incarnation))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rumor_takes_no_more_than_is_counted((description, incarnation) in any_description(), age_ms in any::<u32>()) {
        let member = wire::Member {
            node: node(1),
            incarnation: IncarnationNumber(incarnation),
            description: Arc::new(description),
        };
        let accusation = Opinion {
            node: node(1),
            verdict: Verdict { incarnation: IncarnationNumber(incarnation), status: Status::Dead },
            accuser: node(2),
        };
        for news in [wire::News::Member(member), wire::News::Opinion(accusation)] {
            let (empty, one) = (Message::Gossip { rumors: vec![] }, wire::Rumor { age_ms, news: news.clone() });
            let bytes = datagram_bytes(&Message::Gossip { rumors: vec![one] }) - datagram_bytes(&empty);
            prop_assert!(bytes <= news.wire_bytes(), "{} bytes instead of {}", bytes, news.wire_bytes());
        }
    }

    /// Whatever is known and queued, each datagram fits, and what was heard is passed on.
    #[test]
    fn every_datagram_fits(
        told in prop::collection::vec(any_description(), 1..12),
        accused in prop::collection::vec(0..12usize, 0..12),
    ) {
        let mut solo = Solo::among(12);
        for (index, (description, incarnation)) in (1..).zip(told) {
            let incarnation = IncarnationNumber(incarnation);
            let member = wire::Member { node: node(index), incarnation, description: Arc::new(description) };
            solo.hears(index, introduction([member]));
        }
        for subject in accused {
            let incarnation = solo.incarnation(subject).max(1);
            solo.hears(12, gossip([opinion(subject, Status::Suspect, incarnation, 12)]));
            solo.sync();
        }
        solo.now = solo.now + secs(100_000);
        let bound = solo.machine.settings.bounds.datagram_bytes as usize;
        let mut actions = solo.hears(1, Message::Ping { probe: u32::MAX, rumors: vec![] });
        actions.extend(solo.wait(secs(30)));
        for action in actions {
            if let Action::Send { class: Class::Gossip, message, .. } = action {
                prop_assert!(datagram_bytes(&message) <= bound, "{} bytes", datagram_bytes(&message));
            }
        }
    }
}

#[test]
fn a_description_as_large_as_may_be_is_told_and_holds_up_nobody_else() {
    // Given a node whose description is as large as it can get,
    let mut world = World::mesh(5);
    let mut profile = largest_profile();
    loop {
        let asked = world.ask(4, Request::Describe { name: "large".into(), profile: profile.clone() });
        match world.reply(asked) {
            Some(Reply::Described) => break,
            _ if !profile.endpoints.is_empty() => drop(profile.endpoints.pop()),
            _ => drop(profile.labels.pop().expect("some size is accepted")),
        }
    }
    // Then everybody hears of it,
    let version = world.machine(4).own_member().expect("itself").description.version;
    let knows = |world: &World, host: usize| {
        world.machine(host).table.row(node(4)).map(|row| row.edition().version) >= Some(version)
    };
    world.until(secs(3), |world| (0..4).all(|host| knows(world, host)));
    // of what comes after it, too,
    world.ask(3, Request::Leave);
    world.until(secs(2), |world| [0, 1, 2, 4].iter().all(|host| world.status(*host, 3) == Some(Status::Left)));
    // and then there is nothing more to be told.
    world.until(secs(10), |world| world.running().all(|host| world.machine(host).rumors.is_empty()));
}

#[test]
fn a_small_datagram_is_kept_to_also_when_the_receiver_is_accused() {
    let mut settings = Settings::default();
    settings.bounds.datagram_bytes = 250;
    let mut solo = Solo::among_with(3, settings);
    solo.hears(2, gossip([opinion(1, Status::Suspect, 1, 2)]));
    let actions = solo.hears(1, Message::Ping { probe: 1, rumors: vec![] });
    assert!(sent(&actions).all(|(_, message)| datagram_bytes(message) <= 250));
}

#[test]
fn a_second_of_gossip_has_a_bound_and_probes_do_not_count() {
    let mut settings = Settings::default();
    settings.bounds.packets_per_second = 4;
    let mut solo = Solo::among_with(40, settings);
    let mut gossiped = 0;
    for round in 0..10u64 {
        for subject in 1..=40 {
            solo.hears(subject, gossip([opinion(subject, Status::Alive, 2 + round, subject)]));
        }
        let actions = solo.wait(secs(1));
        gossiped += sent(&actions).filter(|(_, message)| matches!(message, Message::Gossip { .. })).count();
        let answered = solo.hears(1, Message::Ping { probe: 1, rumors: vec![] });
        assert!(sent(&answered).any(|(_, message)| matches!(message, Message::Ack { .. })));
    }
    assert!((30..=4 * 10 + 4).contains(&gossiped), "{gossiped} packets in ten seconds");
}

// --- the queue of rumors --------------------------------------------------------------------------------------------

#[test]
fn news_about_the_same_thing_replaces_older_news() {
    let mut solo = Solo::among(3);
    let before = solo.machine.rumors.len();
    for incarnation in 2..200 {
        solo.hears(1, gossip([opinion(1, Status::Alive, incarnation, 1)]));
    }
    assert!(solo.machine.rumors.len() <= before + 1);
}

#[test]
fn invented_accusers_do_not_fill_the_queue() {
    let mut solo = Solo::among_with(5, small(50, 10));
    for round in 0..20 {
        let invented = (0..500).map(|accuser| opinion(2, Status::Suspect, 1, 1_000 + round * 500 + accuser));
        solo.hears(1, gossip(invented));
    }
    assert!(solo.machine.rumors.len() <= 50, "{} rumors, where the view has room for 50", solo.machine.rumors.len());
}

#[test]
fn every_rumor_is_told_as_often_as_is_due_and_then_no_more() {
    let mut solo = Solo::among(20);
    solo.lives_on(secs(20), &[]);
    assert!(solo.machine.rumors.is_empty());
    let news = opinion(5, Status::Alive, 2, 5);
    solo.hears(5, gossip([news]));
    let actions = solo.lives_on(secs(10), &[]);
    let told = sent(&actions).filter(|(_, message)| match message {
        Message::Gossip { rumors } | Message::Ping { rumors, .. } | Message::Ack { rumors, .. } => {
            rumors.iter().any(|rumor| rumor.news == wire::News::Opinion(news))
        }
        _ => false,
    });
    assert_eq!(told.count() as u32, solo.machine.tellings());
    assert!(solo.machine.rumors.is_empty());
}

// --- what is malformed ----------------------------------------------------------------------------------------------

/// Messages with one bad entry among good ones.
fn malformed() -> Vec<Message> {
    let (good, news) = (opinion(1, Status::Dead, 1, 2), wire::News::Opinion);
    let too_large = {
        let mut told = member(3, 5, 5);
        let long = Profile { role: text(TEXT_BYTES_MAX + 1), ..Profile::default() };
        Arc::make_mut(&mut told.description).profile = Arc::new(long);
        told
    };
    let too_many = {
        let mut told = member(3, 5, 5);
        let many = Profile { capabilities: vec![text(1); ENTRIES_MAX + 1], ..Profile::default() };
        Arc::make_mut(&mut told.description).profile = Arc::new(many);
        told
    };
    let bad_opinions = [
        opinion(2, Status::Alive, 9, 3),
        opinion(2, Status::Left, 9, 3),
        opinion(2, Status::Suspect, 9, 2),
        opinion(2, Status::Dead, 9, 2),
        opinion(2, Status::Dead, IncarnationNumber::MAX.0, 3),
        opinion(2, Status::Suspect, u64::MAX, 3),
    ];
    let bad_members =
        [too_large, too_many, member(3, IncarnationNumber::MAX.0, 5), member(3, 5, u64::MAX), member(3, u64::MAX, 5)];
    let summary = |status, incarnation, accuser: Option<usize>| wire::RowSummary {
        node: node(2),
        verdict: verdict(status, incarnation),
        accuser: accuser.map(node),
        edition: edition(0),
    };
    let bad_rows = [
        summary(Status::Dead, 9, None),
        summary(Status::Dead, 9, Some(2)),
        summary(Status::Suspect, 9, None),
        summary(Status::Alive, 9, Some(3)),
        summary(Status::Left, 9, Some(3)),
        summary(Status::Alive, u64::MAX, None),
    ];
    let mut all = vec![];
    for bad in bad_opinions {
        let rumors: Vec<_> = [good, bad].map(news).map(rumor).into();
        all.push(Message::Gossip { rumors: rumors.clone() });
        all.push(Message::Ping { probe: 1, rumors: rumors.clone() });
        all.push(Message::Ack { probe: 1, coordinate: Default::default(), rumors: rumors.clone() });
        all.push(Message::PingRequest { probe: 1, target: node(1), rumors });
        all.push(Message::SyncAnswer { exchange: 1, opinions: vec![good, bad], members: vec![], wanted: vec![] });
    }
    for bad in bad_members {
        all.push(introduction([member(4, 1, 1), bad.clone()]));
        all.push(Message::SyncDigests { exchange: 1, opener: bad.clone(), digests: vec![0] });
        let members = vec![member(4, 1, 1), bad];
        all.push(Message::SyncMembers { exchange: 1, members: members.clone() });
        all.push(Message::SyncAnswer { exchange: 1, opinions: vec![good], members, wanted: vec![] });
    }
    for bad in bad_rows {
        let rows = vec![summary(Status::Dead, 1, Some(3)), bad];
        all.push(Message::SyncRows { exchange: 1, rows, differing: vec![0], depth: 0 });
    }
    for digests in [vec![], vec![0; 3], vec![0; 512]] {
        all.push(Message::SyncDigests { exchange: 1, opener: member(1, 1, 1), digests });
    }
    for (differing, depth) in [(vec![0; 300], 8), (vec![0], 9)] {
        all.push(Message::SyncRows { exchange: 1, rows: vec![], differing, depth });
    }
    all
}

#[test]
fn a_message_with_one_bad_entry_changes_nothing() {
    for message in malformed() {
        // Given a machine with an exchange under way, and somebody dead who speaks,
        let mut solo = Solo::among(3);
        solo.handle(Event::Found { node: node(1), endpoint: endpoint(77) });
        let before = solo.machine.clone();
        let actions = solo.hears_by(1, Class::Control, message.clone());
        assert!(solo.machine == before, "{message:?}");
        assert!(matches!(actions[..], [Action::Observe(MembershipObservation::Refused { .. })]), "{message:?}");
    }
}

#[test]
fn who_opens_an_exchange_in_anothers_name_changes_nothing() {
    let mut solo = Solo::among(3);
    solo.hears(2, gossip([opinion(1, Status::Dead, 1, 3)]));
    let before = solo.machine.clone();
    let digests = Message::SyncDigests { exchange: 1, opener: member(2, 9, 9), digests: vec![0] };
    solo.hears_by(1, Class::Control, digests);
    assert!(solo.machine == before);
}

#[test]
fn what_claims_to_come_from_oneself_is_refused() {
    let mut solo = Solo::among(3);
    let before = solo.machine.clone();
    let actions = solo.hears(ME, gossip([opinion(1, Status::Dead, 1, 2)]));
    assert!(solo.machine == before);
    assert!(matches!(actions[..], [Action::Observe(MembershipObservation::Refused { .. })]));
}

#[test]
fn nobody_is_pushed_to_a_number_that_others_refuse() {
    let mut solo = Solo::among(3);
    let highest = IncarnationNumber::MAX.0 - 1;
    solo.hears(1, gossip([opinion(ME, Status::Dead, highest, 2)]));
    solo.sync();
    let own = solo.machine.own_member().expect("itself");
    let said = Message::SyncMembers { exchange: 1, members: vec![own] };
    assert_eq!(said.check(), Ok(()));
}

#[test]
fn neither_a_wild_coordinate_nor_a_wild_age_breaks_anything() {
    let mut solo = Solo::among(3);
    let wild = crate::codec::decode_value(
        &[&[0xFC; 1][..], &[0xFF; 4], &[0xFC], &[0xFF; 4], &[0xFC], &[0xFF; 4], &[0xFC], &[0xFF; 4], &[0]].concat(),
    );
    let coordinate = wild.expect("a coordinate");
    for _ in 0..50 {
        let actions = solo.wait(secs(1));
        let pings: Vec<_> = sent(&actions)
            .filter_map(|(to, message)| match message {
                Message::Ping { probe, .. } => Some((to, *probe)),
                _ => None,
            })
            .collect();
        for (to, probe) in pings {
            let from = (1..=3).find(|index| node(*index) == to).expect("a peer");
            let old = wire::Rumor {
                age_ms: u32::MAX,
                news: wire::News::Opinion(opinion(from, Status::Alive, 1 << 40, from)),
            };
            solo.hears(from, Message::Ack { probe, coordinate, rumors: vec![old] });
        }
    }
    assert_eq!(solo.asks(Request::Members), Reply::Members(solo.machine.members_seen(solo.now)));
}

// --- replays --------------------------------------------------------------------------------------------------------

#[test]
fn a_packet_is_admitted_once() {
    let mut solo = Solo::among(3);
    for class in Class::ALL {
        let packet = envelope(life_of(1), node(ME), class, 5_000);
        assert!(solo.machine.admit(&packet));
        assert!(!solo.machine.admit(&packet), "{class:?}");
    }
}

#[test]
fn a_packet_of_an_earlier_process_is_refused() {
    let mut solo = Solo::among(3);
    let mut newer = member(1, 2, 2);
    Arc::make_mut(&mut newer.description).boot = BootIncarnation(5);
    solo.hears(1, introduction([newer]));
    for class in Class::ALL {
        assert!(!solo.machine.admit(&envelope(life_of(1), node(ME), class, 9_000)));
    }
}

/// Between the first packet of a new process and its description.
#[test]
fn packets_of_an_earlier_process_do_not_open_the_window_again() {
    let mut solo = Solo::among(3);
    let earlier = envelope(life_of(1), node(ME), Class::Gossip, 5_000);
    let later = Incarnation { boot: BootIncarnation(2), ..life_of(1) };
    let later = envelope(later, node(ME), Class::Gossip, 1);
    assert!(solo.machine.admit(&earlier));
    assert!(solo.machine.admit(&later), "a new process");
    assert!(!solo.machine.admit(&earlier), "a replay");
    assert!(!solo.machine.admit(&later), "a replay");
}

#[test]
fn of_a_new_store_only_a_stream_brings_the_first_word() {
    let mut solo = Solo::among(3);
    let reborn = Incarnation { store: StoreIncarnation(7), boot: BootIncarnation(1), ..life_of(1) };
    assert!(!solo.machine.admit(&envelope(reborn, node(ME), Class::Gossip, 1)));
    assert!(solo.machine.admit(&envelope(reborn, node(ME), Class::Control, 2)));
}

#[test]
fn time_does_not_run_out() {
    let mut solo = Solo::started(Settings::default());
    solo.now = Time::from_nanos(u64::MAX / 4);
    solo.wait(secs(1));
    assert!(solo.machine.next_deadline().is_some());
}
