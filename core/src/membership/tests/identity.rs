//! Who a node is: numbers that are used once, lost disks, two of a kind, new names and addresses.

use super::solo::{ME, Solo, observed, sent};
use super::world::{World, said_of};
use super::*;
use crate::envelope::Class;
use crate::identity::Incarnation;
use crate::machine::Machine;

// --- numbers --------------------------------------------------------------------------------------------------------

#[test]
fn nothing_is_said_before_the_first_reservation_is_durable() {
    let mut solo = Solo::silent(Settings::default());
    let begun = solo.begin();
    let early = [
        solo.hears(1, Message::Ping { probe: 1, rumors: Vec::new() }),
        solo.hears(1, introduction([member(1, 1, 1)])),
        solo.handle(Event::Found { node: node(1), endpoint: endpoint(1) }),
        solo.wait(secs(60)),
    ];
    assert!(sent(&begun).chain(early.iter().flat_map(|actions| sent(actions))).next().is_none());
    assert_eq!(solo.machine.next_deadline(), None);
    solo.sync();
    assert!(solo.machine.next_deadline().is_some());
}

#[test]
fn a_restart_takes_a_strictly_higher_incarnation() {
    let mut world = World::mesh(3);
    let mut before = world.verdict(2, 2).expect("itself");
    for _ in 0..3 {
        world.restart(2);
        world.until(secs(1), |world| world.verdict(2, 2).is_some());
        let after = world.verdict(2, 2).expect("itself");
        assert!(after.incarnation > before.incarnation);
        world.until(secs(3), |world| world.all_hold(2, Status::Alive) && world.verdict(0, 2) == Some(after));
        before = after;
    }
}

#[test]
fn a_restart_before_the_reservation_was_durable_repeats_no_number_that_was_said() {
    let mut world = World::new(Settings::default());
    world.add_all(2);
    world.start(0);
    world.disk = secs(1);
    for _ in 0..3 {
        world.start(1);
        world.run(ms(500));
        assert_eq!(world.sent(1), 0);
        world.crash(1);
    }
    world.start(1);
    world.until(secs(4), |world| world.all_alive());
}

#[test]
fn numbers_beyond_the_reservation_wait_for_the_disk() {
    // Given a node that is outbid far beyond what it has reserved,
    let mut solo = Solo::among(3);
    let before = solo.incarnation(ME);
    let outbid = solo.hears(1, gossip([opinion(ME, Status::Dead, 5_000, 1)]));
    // Then it says nothing of itself until the new reservation is durable.
    assert!(outbid.iter().any(|action| matches!(action, Action::Write(Record::Reserved { upto }) if upto.0 > 5_000)));
    assert_eq!(solo.incarnation(ME), before);
    let refuted = solo.sync();
    assert!(observed(&refuted).any(|it| matches!(it, MembershipObservation::Refuted { incarnation: 5_001 })));
    assert_eq!(solo.incarnation(ME), 5_001);
}

#[test]
fn a_refutation_that_waits_for_the_disk_is_not_lost_when_another_follows() {
    let mut solo = Solo::among(3);
    solo.hears(1, gossip([opinion(ME, Status::Dead, 5_000, 1)]));
    let first = solo.written;
    solo.hears(2, gossip([opinion(ME, Status::Dead, 9_000, 2)]));
    solo.sync_upto(first);
    solo.sync();
    assert!(solo.incarnation(ME) > 9_000);
}

#[test]
fn a_block_is_reserved_by_one_write_and_before_the_last_one_is_used_up() {
    let mut solo = Solo::among(3);
    for _ in 0..200 {
        let own = solo.incarnation(ME);
        solo.hears(1, gossip([opinion(ME, Status::Suspect, own, 1)]));
        if solo.incarnation(ME) == own {
            panic!("refuting waits for the disk although it is on time");
        }
        // The disk takes as long as eight refutations.
        if own.is_multiple_of(8) {
            solo.sync();
        }
    }
    assert!(solo.written <= 1 + 200_u64.div_ceil(64 - 16) + 1, "{} writes", solo.written);
}

/// Each record stands for its own numbers, also when one event writes two.
#[test]
fn a_number_is_free_only_once_its_own_record_is_durable() {
    let mut solo = Solo::among(3);
    for round in 0..200 {
        // Given an event that takes two numbers, of which at most the first record becomes durable,
        let own = solo.incarnation(ME);
        let mut claim = member(ME, own + 1, own + 1);
        let other = Arc::make_mut(&mut claim.description);
        (other.store, other.boot) = (StoreIncarnation(1), BootIncarnation(round));
        solo.wait(secs(60));
        let before = solo.written;
        let reserves = reservations(&solo.hears(1, introduction([claim])));
        let Some(durable) = reserves.first().copied() else { continue };
        solo.sync_upto(before + 1);
        // When the node is accused until it has no number left,
        for _ in 0..200 {
            let own = solo.incarnation(ME);
            solo.hears(1, gossip([opinion(ME, Status::Suspect, own, 1)]));
        }
        // Then it has used no number beyond that record.
        assert!(solo.incarnation(ME) <= durable, "{} is said, but only {durable} is durable", solo.incarnation(ME));
        solo.sync();
    }
}

#[test]
fn what_is_written_again_covers_every_number_that_may_have_been_used() {
    let mut solo = Solo::among(3);
    for _ in 0..100 {
        let own = solo.incarnation(ME);
        solo.hears(1, gossip([opinion(ME, Status::Suspect, own, 1)]));
        let again = reservations(&solo.checkpoint());
        assert!(again.first().is_some_and(|upto| *upto >= solo.incarnation(ME)), "{again:?}");
        solo.sync();
    }
}

fn reservations(actions: &[Action]) -> Vec<u64> {
    let writes = actions.iter().filter_map(|action| match action {
        Action::Write(Record::Reserved { upto }) => Some(upto.0),
        _ => None,
    });
    writes.collect()
}

// --- a lost disk ----------------------------------------------------------------------------------------------------

#[test]
fn a_node_with_an_empty_disk_outbids_its_former_self() {
    for store in [1, 999_999] {
        let mut world = World::mesh(5);
        // Given a node with a long history, whose last words everybody knows,
        for _ in 0..3 {
            world.restart(4);
            world.until(secs(3), |world| world.all_hold(4, Status::Alive) && world.all_agree());
        }
        let former = world.verdict(0, 4).expect("known");
        // When it loses its disk,
        world.restart_empty(4, store);
        // Then it is itself again soon, in everybody's eyes.
        world.until(secs(8), |world| {
            world.running().all(|host| {
                let row = world.machine(host).table.row(node(4)).expect("known");
                let store_known = row.description.as_ref().is_some_and(|it| it.store == StoreIncarnation(store));
                store_known && row.verdict > former && row.verdict.status == Status::Alive
            })
        });
        world.until(secs(4), World::all_agree);
        assert!(world.count(|_, it| matches!(it, MembershipObservation::StoreReplaced { .. })) >= 4);
        assert_eq!(world.count(|_, it| matches!(it, MembershipObservation::IdentityConflict { .. })), 0);
    }
}

#[test]
fn a_newborn_that_meets_its_former_description_in_an_exchange_describes_itself_anew() {
    let mut solo = Solo::started(Settings::default());
    let opened = solo.handle(Event::Found { node: node(1), endpoint: endpoint(1) });
    let exchange = open_exchange(&opened).expect("it opens one");
    let row =
        wire::RowSummary { node: node(ME), verdict: verdict(Status::Alive, 40), accuser: None, edition: edition(50) };
    let rows = Message::SyncRows { exchange, rows: [row].into(), differing: [0].into(), depth: 0 };
    let answered = solo.hears_by(1, Class::Control, rows);
    // Then it asks who that was,
    let asks = |message: &Message| matches!(message, Message::SyncAnswer { wanted, .. } if wanted.contains(&node(ME)));
    assert!(sent(&answered).any(|(_, message)| asks(message)));
    let mut former = member(ME, 40, 50);
    Arc::make_mut(&mut former.description).store = StoreIncarnation(3);
    solo.hears_by(1, Class::Control, Message::SyncMembers { exchange, members: [former].into() });
    solo.sync();
    // and describes itself anew.
    let own = solo.machine.own_member().expect("itself");
    assert!(own.incarnation.0 > 40 && own.description.version > 50, "{own:?}");
}

fn open_exchange(actions: &[Action]) -> Option<u32> {
    sent(actions).find_map(|(_, message)| match message {
        Message::SyncDigests { exchange, .. } => Some(*exchange),
        _ => None,
    })
}

// --- two of a kind --------------------------------------------------------------------------------------------------

#[test]
fn of_two_processes_with_one_identity_exactly_one_yields() {
    one_yields(World::mesh(4));
}

#[test]
fn of_two_processes_with_one_identity_exactly_one_yields_also_when_the_first_has_a_history() {
    let mut world = World::mesh(4);
    for _ in 0..3 {
        world.restart(3);
        world.until(secs(3), |world| world.all_hold(3, Status::Alive) && world.all_agree());
    }
    one_yields(world);
}

/// A second process of node 3 starts, on a store of its own.
fn one_yields(mut world: World) {
    let twin = world.add_process(3);
    world.start(twin);
    world.until(secs(120), |world| {
        world.count(|_, it| matches!(it, MembershipObservation::IdentityConflict { .. })) >= 1
            && [3, twin].iter().filter(|host| world.machine(**host).own.is_silent()).count() == 1
    });
    let yields = if world.machine(3).own.is_silent() { 3 } else { twin };
    let stays = 3 + twin - yields;
    assert!(world.life(stays).store > world.life(yields).store, "both decide by the same rule");
    let before = world.sent(yields);
    world.until(secs(60), |world| (0..3).all(|host| world.status(host, stays) == Some(Status::Alive)));
    world.run(secs(30));
    assert_eq!(world.sent(yields), before, "who yields says nothing any more");
    world.always(secs(60), |world| (0..3).all(|host| world.status(host, stays) == Some(Status::Alive)));
    for host in 0..3 {
        let row = world.machine(host).table.row(node(3)).expect("known");
        assert_eq!(row.description.as_ref().map(|it| it.store), Some(world.life(stays).store));
        assert_eq!(world.endpoint_of(host, stays), Some(endpoint(stays)));
    }
}

#[test]
fn one_word_of_a_former_life_is_no_conflict() {
    let mut solo = Solo::among(3);
    let mut former = member(ME, 30, 31);
    Arc::make_mut(&mut former.description).store = StoreIncarnation(u64::MAX);
    let actions = solo.hears(1, introduction([former]));
    assert!(!observed(&actions).any(|it| matches!(it, MembershipObservation::IdentityConflict { .. })));
    let own = solo.machine.own_member().expect("itself");
    assert!(own.incarnation.0 > 31 && own.description.version > 31);
}

#[test]
fn who_has_yielded_stays_silent_for_ever() {
    // Given another process on a greater store that outbids this one again and again,
    let mut solo = Solo::among(3);
    for _ in 0..8 {
        let own = solo.machine.own_member().expect("itself").description.version;
        let mut other = member(ME, own + 1, own + 2);
        Arc::make_mut(&mut other.description).store = StoreIncarnation(u64::MAX);
        solo.hears(1, introduction([other]));
        solo.sync();
    }
    assert!(solo.machine.own.is_silent());
    // Then nothing is heard of this one any more.
    let ping = Message::Ping { probe: 1, rumors: Vec::new() };
    let late = [solo.sync(), solo.hears(1, ping), solo.handle(Event::Keys(keys(&[7]))), solo.wait(secs(60))];
    assert!(late.iter().flat_map(|actions| sent(actions)).next().is_none());
}

#[test]
fn two_nodes_of_one_name_both_stay_and_are_reported() {
    let mut world = World::mesh(3);
    let newcomer = world.add();
    let name = world.identity(1).name.clone();
    world.identity(newcomer).name = name;
    world.start(newcomer);
    world.until(secs(3), |world| world.all_hold(newcomer, Status::Alive) && world.all_hold(1, Status::Alive));
    assert!(world.count(|_, it| matches!(it, MembershipObservation::NameConflict { .. })) >= 2);
    world.always(secs(10), World::all_alive);
}

// --- descriptions ---------------------------------------------------------------------------------------------------

#[test]
fn a_new_address_spreads_and_drivers_are_told() {
    let mut world = World::mesh(5);
    world.identity(4).endpoint = endpoint(99);
    world.restart(4);
    world.until(secs(3), |world| (0..4).all(|host| world.endpoint_of(host, 4) == Some(endpoint(99))));
    assert!(world.count(|_, it| matches!(it, MembershipObservation::Moved { .. })) >= 4);
    world.until(secs(3), |world| world.all_hold(4, Status::Alive));
}

#[test]
fn a_description_anew_spreads() {
    let mut world = World::mesh(5);
    let profile = Profile { role: "worker".into(), ..Profile::default() };
    let asked = world.ask(4, Request::Describe { name: "four".into(), profile });
    assert_eq!(world.reply(asked), Some(&Reply::Described));
    world.until(secs(2), |world| {
        world.running().all(|host| {
            let row = world.machine(host).table.row(node(4)).expect("known");
            row.description.as_ref().is_some_and(|it| &*it.profile.role == "worker" && &*it.name == "four")
        })
    });
}

#[test]
fn a_description_beyond_its_bounds_is_refused_at_any_time() {
    let profile = Profile { role: "r".repeat(900).into(), ..Profile::default() };
    let request = || Request::Describe { name: "long".into(), profile: profile.clone() };
    let refused = |reply: &Reply| matches!(reply, Reply::Refused(Refusal::DescriptionTooLong { .. }));
    assert!(refused(&Solo::started(Settings::default()).asks(request())));
    let mut early = Solo::silent(Settings::default());
    early.begin();
    assert!(refused(&early.asks(request())), "before the node may speak");
}

#[test]
fn profiles_that_are_the_same_are_kept_once() {
    let mut solo = Solo::among(50);
    let worker = Profile { role: "worker".into(), ..Profile::default() };
    for index in 1..=50 {
        let mut told = member(index, 1, 2);
        Arc::make_mut(&mut told.description).profile = Arc::new(worker.clone());
        solo.hears(index, introduction([told]));
    }
    assert_eq!(solo.machine.interner.len(), 2);
}

#[test]
fn a_node_never_says_a_number_twice_for_two_things() {
    let mut solo = Solo::among(3);
    let mut said: Vec<u64> = Vec::new();
    for round in 0..40 {
        let own = solo.incarnation(ME);
        let accused = solo.hears(1, gossip([opinion(ME, Status::Suspect, own, 1)]));
        let described = solo.handle(Event::Keys(keys(&[1, 2 + round])));
        solo.sync();
        said.extend(
            [&accused, &described]
                .into_iter()
                .flat_map(|actions| sent(actions))
                .flat_map(|(_, message)| said_of(node(ME), message)),
        );
        let member = solo.machine.own_member().expect("itself");
        assert_ne!(member.incarnation.0, member.description.version);
    }
    let life = Incarnation { node: node(ME), store: StoreIncarnation(1_000), boot: BootIncarnation(1) };
    assert!(said.iter().all(|number| *number > 0), "{life:?}");
}
