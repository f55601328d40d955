//! Who fails, who is thought to, and who only seems to.

use super::solo::{ME, Solo, observed, sent};
use super::suspicion::{shortest, timeout};
use super::world::World;
use super::*;
use crate::envelope::Class;
use crate::machine::Machine;
use crate::time::Time;
use alloc::vec;

/// A crash is seen by the first probe of anybody, told, and believed once nobody has refuted it.
fn detection_bound(members: u32, settings: &Settings) -> Duration {
    let probing = settings.probe_interval.saturating_mul(6);
    probing + timeout(0, members, settings)
}

#[test]
fn a_crash_is_suspected_and_then_dead_everywhere_within_the_bound_and_not_before() {
    let mut world = World::mesh(10);
    let settings = Settings::default();
    world.crash(9);
    let suspected = world.until(secs(5), |world| world.any_holds(9, Status::Suspect));
    let dead = world.until(detection_bound(10, &settings), |world| world.any_holds(9, Status::Dead));
    assert!(dead + ms(10) >= shortest(10, &settings), "dead {dead} after the suspicion, {suspected} after the crash");
    world.until(secs(2), |world| world.all_hold(9, Status::Dead));
    assert!(world.running().all(|one| world.running().all(|other| world.status(one, other) == Some(Status::Alive))));
}

#[test]
fn of_two_nodes_one_sees_the_other_die() {
    let mut world = World::mesh(2);
    world.crash(1);
    world.until(detection_bound(2, &Settings::default()), |world| world.status(0, 1) == Some(Status::Dead));
}

#[test]
fn half_of_a_mesh_dies_at_once_and_the_other_half_says_so() {
    let mut world = World::mesh(12);
    (6..12).for_each(|host| world.crash(host));
    world.until(secs(60), |world| (6..12).all(|host| world.all_hold(host, Status::Dead)));
    assert!((0..6).all(|host| world.all_hold(host, Status::Alive)));
    world.until(secs(60), World::all_agree);
}

#[test]
fn nobody_is_suspected_while_a_tenth_of_the_datagrams_are_lost() {
    let mut world = World::mesh(10);
    world.loss = 10;
    world.always(secs(120), |world| world.running().all(|host| !world.any_holds(host, Status::Dead)));
    world.loss = 0;
    world.until(secs(30), World::all_alive);
}

#[test]
fn who_can_be_reached_by_others_only_stays_alive() {
    let mut world = World::mesh(5);
    world.cut(0, 1);
    world.always(secs(60), |world| !world.any_holds(0, Status::Suspect) && !world.any_holds(1, Status::Suspect));
    let seen = world.machine(0).members_seen(world.now);
    let link = |index: usize| seen.iter().find(|member| member.node == node(index)).map(|member| member.link);
    assert_eq!((link(1), link(2)), (Some(Link::Indirect), Some(Link::Direct)));
    assert!(world.count(|_, it| matches!(it, MembershipObservation::LinkDown { .. })) >= 1);
}

#[test]
fn a_network_that_loses_every_datagram_leaves_everybody_alive_over_streams() {
    let mut world = World::mesh(5);
    world.loss = 100;
    world.always(secs(60), |world| world.running().all(|host| !world.any_holds(host, Status::Dead)));
}

// --- refutation -----------------------------------------------------------------------------------------------------

#[test]
fn a_false_suspicion_is_refuted_and_the_incarnation_rises() {
    let mut world = World::mesh(5);
    let before = world.verdict(1, 4).expect("known");
    // Given a node that tells another that it suspects a third one,
    let suspect = Opinion { node: node(4), verdict: Verdict { status: Status::Suspect, ..before }, accuser: node(3) };
    let accuser = world.life(3);
    world.inject(1, accuser, Class::Gossip, gossip([suspect]));
    let suspects = |host: usize, it: &MembershipObservation| {
        host == 1 && matches!(it, MembershipObservation::StatusChanged { status: Status::Suspect, .. })
    };
    world.until(secs(1), |world| world.count(suspects) == 1);
    // Then the third one hears of it and says that it is alive.
    world.until(secs(2), |world| world.all_hold(4, Status::Alive) && world.all_agree());
    assert!(world.verdict(1, 4).expect("known").incarnation > before.incarnation);
    assert_eq!(world.count(|host, it| host == 4 && matches!(it, MembershipObservation::Refuted { .. })), 1);
}

#[test]
fn a_node_that_others_are_told_is_dead_refutes_it_in_time() {
    let mut world = World::mesh(5);
    let now = world.verdict(1, 4).expect("known");
    let dead = Opinion { node: node(4), verdict: Verdict { status: Status::Dead, ..now }, accuser: node(3) };
    let accuser = world.life(3);
    (0..3).for_each(|host| world.inject(host, accuser, Class::Gossip, gossip([dead])));
    world.always(secs(3), |world| !world.any_holds(4, Status::Dead));
    assert!(world.all_hold(4, Status::Alive));
    assert!(world.verdict(1, 4).expect("known") > Verdict { status: Status::Dead, ..now });
}

#[test]
fn a_partition_is_seen_on_both_sides_and_heals_by_itself() {
    let mut world = World::mesh(8);
    world.split(&[0, 1, 2, 3, 4], &[5, 6, 7]);
    world.until(secs(60), |world| {
        (0..5).all(|one| {
            (5..8).all(|other| {
                world.status(one, other) == Some(Status::Dead) && world.status(other, one) == Some(Status::Dead)
            })
        })
    });
    world.heal();
    world.until(secs(10), |world| world.all_alive() && world.all_agree());
}

#[test]
fn every_refutation_of_what_is_worse_than_the_own_word_raises_it_and_nothing_else_does() {
    let mut solo = Solo::among(3);
    let own = solo.incarnation(ME);
    for (said, raises) in [
        (opinion(ME, Status::Alive, own, ME), false),
        (opinion(ME, Status::Suspect, own, 1), true),
        (opinion(ME, Status::Suspect, own, 2), false),
        (opinion(ME, Status::Dead, own + 100, 1), true),
        (opinion(ME, Status::Left, own + 200, ME), true),
        (opinion(ME, Status::Alive, own + 300, ME), true),
        (opinion(ME, Status::Dead, own + 250, 3), false),
    ] {
        let before = solo.incarnation(ME);
        solo.hears(1, gossip([said]));
        solo.sync();
        assert_eq!(solo.incarnation(ME) > before, raises, "{said:?}");
        assert!(solo.incarnation(ME) > said.verdict.incarnation.0 || !raises);
    }
}

#[test]
fn a_suspect_is_told_first_of_its_suspicion() {
    // Given a suspect, and a queue full of other news,
    let mut solo = Solo::among(100);
    solo.hears(2, gossip([opinion(1, Status::Suspect, 1, 2)]));
    // When it pings,
    let actions = solo.hears(1, Message::Ping { probe: 7, rumors: Vec::new() });
    // Then the answer begins with what is said of it.
    let first = sent(&actions).find_map(|(to, message)| match message {
        Message::Ack { rumors, .. } if to == node(1) => rumors.first().map(|rumor| rumor.news.clone()),
        _ => None,
    });
    assert_eq!(first, Some(wire::News::Opinion(opinion(1, Status::Suspect, 1, 2))));
}

// --- one's own fault ------------------------------------------------------------------------------------------------

#[test]
fn a_node_that_stood_still_accuses_nobody() {
    for span in [ms(1_501), secs(5), secs(60), secs(3_600)] {
        let mut world = World::mesh(5);
        world.freeze(4, span);
        world.run(span);
        let accuses = |host: usize, it: &MembershipObservation| {
            host == 4
                && matches!(it, MembershipObservation::StatusChanged { status: Status::Suspect | Status::Dead, .. })
        };
        let before = world.count(accuses);
        world.run(secs(10));
        assert_eq!(world.count(accuses) - before, 0, "after {span}");
        assert_eq!(world.count(|host, it| host == 4 && matches!(it, MembershipObservation::Paused { .. })), 1);
        world.until(secs(30), World::all_alive);
    }
}

#[test]
fn a_suspect_gets_back_the_time_in_which_the_node_stood_still() {
    let mut solo = Solo::among(5);
    solo.hears(2, gossip([opinion(1, Status::Suspect, 1, 2)]));
    solo.oversleeps(secs(3_600));
    assert_eq!(solo.status(1), Some(Status::Suspect));
    solo.wait(secs(1));
    assert_eq!(solo.status(1), Some(Status::Suspect));
    solo.wait(timeout(0, 6, &Settings::default()));
    assert_eq!(solo.status(1), Some(Status::Dead));
}

/// WAN: a probe waits two seconds for others after its first three; a driver that is late by as much is not paused.
#[test]
fn who_was_late_does_not_accuse_before_it_has_asked_others() {
    let mut solo = Solo::among_with(5, settings::Profile::Wan.into());
    let pinged = loop {
        let actions = solo.wait(ms(100));
        let ping = sent(&actions).find(|(_, message)| matches!(message, Message::Ping { .. })).map(|(to, _)| to);
        if let Some(to) = ping {
            break to;
        }
    };
    let due = solo.machine.next_deadline().expect("the probe's next step");
    solo.oversleeps(due.since(solo.now) + ms(2_500));
    assert_eq!(solo.machine.status(pinged), Some(Status::Alive));
}

#[test]
fn the_health_of_a_node_that_hears_nobody_falls_and_rises_again() {
    let mut world = World::mesh(5);
    (0..4).for_each(|other| world.cut(other, 4));
    world.run(secs(8));
    let ailing = world.machine(4).own.ailing;
    assert!((2..=world.settings.health_max).contains(&ailing), "{ailing}");
    assert_eq!(world.machine(0).own.ailing, 0, "who has others to vouch is well");
    world.heal();
    world.until(secs(60), |world| world.machine(4).own.ailing == 0);
}

#[test]
fn a_node_that_fares_badly_asks_less_often() {
    let rounds = |ailing: u32| {
        let mut solo = Solo::among(50);
        solo.machine.own.ailing = ailing;
        let actions = solo.wait(secs(4));
        observed(&actions).filter(|it| matches!(it, MembershipObservation::ProbeFailed { .. })).count()
    };
    assert!(rounds(8) < rounds(0));
}

#[test]
fn health_is_told_while_it_is_bad_and_when_it_is_good_again() {
    let told = |solo: &Solo| solo.machine.own_member().expect("itself").description.health;
    let mut solo = Solo::among(3);
    assert_eq!(told(&solo), 100);
    // Given that nobody answers any more,
    solo.wait(secs(60));
    assert!(told(&solo) < 100);
    // When the others are back,
    (1..=3).for_each(|index| drop(solo.hears(index, introduction([member(index, 2, 2)]))));
    solo.lives_on(secs(120), &[]);
    assert_eq!(told(&solo), 100);
}

// --- suspicion ------------------------------------------------------------------------------------------------------

fn time_to_die(confirmations: usize) -> Duration {
    let mut solo = Solo::among(20);
    let began = solo.now;
    for accuser in 2..=2 + confirmations {
        solo.hears(accuser, gossip([opinion(1, Status::Suspect, 1, accuser)]));
    }
    while solo.status(1) != Some(Status::Dead) {
        solo.lives_on(ms(10), &[1]);
        assert!(solo.now.since(began) < secs(60));
    }
    solo.now.since(began)
}

#[test]
fn confirmations_shorten_a_suspicion() {
    let spans: Vec<Duration> = (0..4).map(time_to_die).collect();
    assert!(spans.is_sorted_by(|one, next| one >= next), "{spans:?}");
    assert!(spans[3] < Duration::from_nanos(spans[0].as_nanos() / 2), "{spans:?}");
}

#[test]
fn several_of_those_who_hear_of_a_suspicion_look_for_themselves() {
    let mut solo = Solo::among(5);
    let actions = solo.hears(2, gossip([opinion(1, Status::Suspect, 1, 2)]));
    let probes = sent(&actions).filter(|(to, message)| *to == node(1) && matches!(message, Message::Ping { .. }));
    assert_eq!(probes.count(), 1, "of six members all six serve");
}

#[test]
fn in_a_large_mesh_a_few_serve_on_the_jury() {
    let mut solo = Solo::among(120);
    let mut serving = 0;
    for subject in 1..=100 {
        let actions = solo.hears(110, gossip([opinion(subject, Status::Suspect, 1, 110)]));
        serving += sent(&actions).filter(|(_, message)| matches!(message, Message::Ping { .. })).count();
    }
    assert!((1..=15).contains(&serving), "six of 121 on average, but {serving} of 100");
}

#[test]
fn an_answer_through_others_acquits() {
    let mut solo = Solo::among(5);
    let (to, probe) = next_ping(&mut solo);
    let actions = solo.wait(ms(500));
    let relays: Vec<NodeId> = sent(&actions)
        .filter(|(_, message)| matches!(message, Message::PingRequest { target, .. } if *target == to))
        .map(|(relay, _)| relay)
        .collect();
    assert_eq!(relays.len(), 3);
    let relay = (1..=5).find(|index| node(*index) == relays[0]).expect("a peer");
    solo.hears(relay, Message::Vouch { probe });
    solo.wait(secs(1));
    assert_eq!(solo.machine.status(to), Some(Status::Alive));
}

#[test]
fn no_answer_from_anybody_accuses() {
    let mut solo = Solo::among(5);
    let (to, _) = next_ping(&mut solo);
    solo.wait(secs(1));
    assert_eq!(solo.machine.status(to), Some(Status::Suspect));
    assert_eq!(solo.machine.own.ailing, 3, "three relays said nothing at all");
}

#[test]
fn relays_that_say_not_yet_spare_the_own_health() {
    let mut solo = Solo::among(5);
    let (to, probe) = next_ping(&mut solo);
    let actions = solo.wait(ms(500));
    let relays: Vec<NodeId> = sent(&actions)
        .filter(|(_, message)| matches!(message, Message::PingRequest { target, .. } if *target == to))
        .map(|(relay, _)| relay)
        .collect();
    for relay in relays {
        let relay = (1..=5).find(|index| node(*index) == relay).expect("a peer");
        solo.hears(relay, Message::Nack { probe });
    }
    solo.wait(ms(500));
    assert_eq!((solo.machine.status(to), solo.machine.own.ailing), (Some(Status::Suspect), 0));
}

#[test]
fn a_relay_vouches_or_says_not_yet_and_accuses_nobody() {
    // Given a node that probes nobody for itself meanwhile,
    let mut solo = Solo::among_with(5, Settings { probe_interval: secs(3_600), ..Settings::default() });
    let request = |probe| Message::PingRequest { probe, target: node(2), rumors: Vec::new() };
    let pinged = solo.hears(1, request(70));
    let number = ping_number(&pinged, node(2)).expect("it asks");
    let vouch = solo.hears(2, Message::Ack { probe: number, coordinate: Default::default(), rumors: Vec::new() });
    assert!(sent(&vouch).any(|(to, message)| to == node(1) && *message == Message::Vouch { probe: 70 }));

    solo.hears(1, request(71));
    let nack = solo.wait(ms(400));
    assert!(sent(&nack).any(|(to, message)| to == node(1) && *message == Message::Nack { probe: 71 }));
    solo.wait(secs(2));
    assert_eq!(solo.status(2), Some(Status::Alive));
}

fn next_ping(solo: &mut Solo) -> (NodeId, u32) {
    let start: Time = solo.now;
    loop {
        let actions = solo.wait(ms(1));
        let ping = sent(&actions).find_map(|(to, message)| match message {
            Message::Ping { probe, .. } => Some((to, *probe)),
            _ => None,
        });
        if let Some(ping) = ping {
            return ping;
        }
        assert!(solo.now.since(start) < secs(10), "it probes");
    }
}

fn ping_number(actions: &[Action], target: NodeId) -> Option<u32> {
    sent(actions).find_map(|(to, message)| match message {
        Message::Ping { probe, .. } if to == target => Some(*probe),
        _ => None,
    })
}

// --- delays ---------------------------------------------------------------------------------------------------------

#[test]
fn coordinates_predict_the_delay_to_everybody() {
    let mut world = World::mesh(6);
    world.delay = ms(20);
    world.run(secs(240));
    let seen = world.machine(0).members_seen(world.now);
    for member in seen.iter().filter(|member| member.node != node(0)) {
        let measured = member.round_trip.expect("measured").as_nanos();
        let predicted = member.predicted.expect("predicted").as_nanos();
        assert!(measured.abs_diff(ms(40).as_nanos()) < ms(5).as_nanos(), "{measured}");
        assert!(predicted.abs_diff(measured) < measured / 4, "{predicted} for {measured}");
    }
}

/// More than one event can deal with: what is left over must not look like a stop of the process.
#[test]
fn many_suspicions_that_one_message_ends_are_no_pause() {
    let mut solo = Solo::among(200);
    let accused_by = |accuser: usize| (51..=200).map(move |index| opinion(index, Status::Suspect, 1, accuser));
    let tells = |opinions: Vec<Opinion>| Message::SyncAnswer { exchange: 9, opinions, members: vec![], wanted: vec![] };
    solo.hears_by(1, Class::Control, tells(accused_by(1).collect()));
    solo.lives_on(secs(7), &[]);
    assert!((51..=200).all(|index| solo.status(index) == Some(Status::Suspect)));
    let mut actions = solo.hears_by(2, Class::Control, tells((2..=4).flat_map(accused_by).collect()));
    actions.extend(solo.lives_on(secs(1), &[]));
    assert!(!observed(&actions).any(|seen| matches!(seen, MembershipObservation::Paused { .. })));
    assert!((51..=200).all(|index| solo.status(index) == Some(Status::Dead)));
}
