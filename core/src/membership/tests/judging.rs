//! What is believed, and who counts as alive for placement.

use super::solo::{Solo, observed};
use super::world::World;
use super::*;

#[test]
fn opinions_form_a_semilattice_whatever_their_order() {
    let said = [
        opinion(1, Status::Alive, 2, 1),
        opinion(1, Status::Suspect, 2, 2),
        opinion(1, Status::Dead, 2, 3),
        opinion(1, Status::Alive, 3, 1),
        opinion(1, Status::Suspect, 3, 2),
    ];
    let mut ends = Vec::new();
    for order in permutations(said.len()) {
        let mut solo = Solo::among(4);
        for at in order {
            solo.hears(2, gossip([said[at]]));
        }
        ends.push(solo.machine.table.row(node(1)).map(|row| row.verdict));
    }
    assert!(ends.iter().all(|end| *end == Some(verdict(Status::Suspect, 3))));
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return [Vec::new()].into();
    }
    let shorter = permutations(count - 1);
    let with = |order: &Vec<usize>, place: usize| {
        let mut order = order.clone();
        order.insert(place, count - 1);
        order
    };
    shorter.iter().flat_map(|order| (0..count).map(move |place| with(order, place))).collect()
}

// --- accusers without standing --------------------------------------------------------------------------------------

/// Node 2 has just come back from death: it is alive, and does not count yet.
fn among_with_a_convalescent() -> Solo {
    let mut solo = Solo::among(6);
    solo.hears_of_death(1, opinion(2, Status::Dead, 1, 3));
    solo.hears(1, gossip([opinion(2, Status::Alive, 2, 2)]));
    solo.hears(1, gossip([opinion(1, Status::Alive, 2, 1)]));
    assert!(solo.status(2) == Some(Status::Alive) && !solo.counts(2));
    solo
}

#[test]
fn an_accusation_of_a_node_without_standing_is_passed_on_but_not_believed() {
    let mut solo = among_with_a_convalescent();
    let accusation = opinion(4, Status::Suspect, 1, 2);
    let actions = solo.hears(3, gossip([accusation]));
    assert_eq!(solo.status(4), Some(Status::Alive));
    assert!(observed(&actions).any(|it| matches!(it, MembershipObservation::Disbelieved { .. })));
    // Its subject hears of it,
    let told = told(&mut solo);
    assert!(told.contains(&wire::News::Opinion(accusation)));
    // but it is not passed on a second time.
    let again = solo.hears(5, gossip([accusation]));
    assert!(!observed(&again).any(|it| matches!(it, MembershipObservation::Disbelieved { .. })));
}

#[test]
fn a_node_without_standing_kills_nobody_either() {
    let mut solo = among_with_a_convalescent();
    solo.hears(3, gossip([opinion(4, Status::Dead, 1, 2)]));
    assert_eq!(solo.status(4), Some(Status::Alive));
}

#[test]
fn who_is_alive_but_does_not_count_may_confirm_what_others_began() {
    let mut solo = among_with_a_convalescent();
    solo.hears(3, gossip([opinion(4, Status::Suspect, 1, 3)]));
    solo.hears(3, gossip([opinion(4, Status::Suspect, 1, 2)]));
    let suspicion = solo.machine.suspicions.values().next().expect("one");
    assert_eq!(suspicion.accusers(), 2);
}

#[test]
fn nobody_believes_somebody_never_heard_of() {
    let mut solo = Solo::among(4);
    solo.hears(1, gossip([opinion(2, Status::Suspect, 1, 77)]));
    assert_eq!(solo.status(2), Some(Status::Alive));
}

fn told(solo: &mut Solo) -> Vec<wire::News> {
    let actions = solo.wait(ms(400));
    let rumors = solo::sent(&actions).filter_map(|(_, message)| match message {
        Message::Gossip { rumors } => Some(rumors.clone()),
        _ => None,
    });
    rumors.flatten().map(|rumor| rumor.news).collect()
}

#[test]
fn a_death_is_believed_only_once_there_was_time_to_refute_it() {
    let mut solo = Solo::among(5);
    let shortest = suspicion::shortest(6, &Settings::default());
    // Given that somebody has waited in vain, and that nothing was heard of it before,
    for _ in 0..2 {
        solo.hears(2, gossip([opinion(1, Status::Dead, 1, 3)]));
        assert_eq!(solo.status(1), Some(Status::Suspect), "however often it is said");
    }
    // When the suspect is heard in time, it lives;
    solo.wait(shortest.saturating_sub(ms(1)));
    solo.hears(2, gossip([opinion(1, Status::Alive, 2, 1)]));
    solo.wait(shortest);
    assert_eq!(solo.status(1), Some(Status::Alive));
    // otherwise this node does not wait longer than the shortest suspicion.
    solo.hears(2, gossip([opinion(1, Status::Dead, 2, 3)]));
    solo.wait(shortest);
    assert_eq!(solo.status(1), Some(Status::Dead));
}

#[test]
fn who_repeats_what_was_refuted_is_told_so() {
    let mut solo = Solo::among(5);
    solo.hears(2, gossip([opinion(1, Status::Alive, 4, 1)]));
    let actions = solo.hears(3, gossip([opinion(1, Status::Suspect, 3, 2)]));
    let refutation = wire::News::Opinion(opinion(1, Status::Alive, 4, 1));
    let is_told = |(to, message): (NodeId, &Message)| {
        let rumors = if let Message::Gossip { rumors } = message { rumors.as_slice() } else { &[] };
        to == node(3) && rumors.iter().any(|rumor| rumor.news == refutation)
    };
    assert!(solo::sent(&actions).any(is_told));
}

// --- what the dead stay ---------------------------------------------------------------------------------------------

#[test]
fn a_dead_member_is_not_brought_back_by_who_has_not_heard_of_its_death() {
    let mut world = World::mesh(5);
    // Given a node that was cut off while another one died,
    (0..4).filter(|host| *host != 3).for_each(|host| world.cut(host, 3));
    world.crash(4);
    world.run(secs(5));
    world.until(secs(30), |world| (0..3).all(|host| world.status(host, 4) == Some(Status::Dead)));
    // When it meets the others again,
    world.heal();
    // Then nobody holds the dead one to be alive any more.
    world.always(secs(30), |world| (0..3).all(|host| world.status(host, 4) == Some(Status::Dead)));
    world.until(secs(60), World::all_agree);
}

#[test]
fn a_replayed_rumor_brings_nobody_back() {
    let mut solo = Solo::among(4);
    solo.hears_of_death(2, opinion(1, Status::Dead, 1, 3));
    solo.hears(2, introduction([member(1, 1, 1)]));
    solo.hears(2, introduction([member(1, 1, 9)]));
    solo.hears(2, gossip([opinion(1, Status::Alive, 1, 1), opinion(1, Status::Suspect, 1, 2)]));
    assert_eq!(solo.status(1), Some(Status::Dead));
    solo.hears(2, introduction([member(1, 2, 10)]));
    assert_eq!(solo.status(1), Some(Status::Alive));
}

#[test]
fn who_came_back_while_it_was_held_dead_is_asked_and_asks() {
    let mut world = World::mesh(4);
    world.crash(3);
    world.until(secs(30), |world| world.all_hold(3, Status::Dead));
    world.run(secs(60));
    world.start(3);
    world.until(secs(3), |world| world.all_hold(3, Status::Alive));
}

// --- standing -------------------------------------------------------------------------------------------------------

#[test]
fn who_was_dead_counts_only_after_a_healthy_while() {
    let mut solo = Solo::among(5);
    solo.hears_of_death(2, opinion(1, Status::Dead, 1, 3));
    assert!(!solo.counts(1));
    // However long it was dead,
    solo.lives_on(secs(300), &[1]);
    solo.hears(2, gossip([opinion(1, Status::Alive, 2, 1)]));
    let dwell = Settings::default().dead_recover_min;
    assert_eq!(solo.view(1).counts_in, Some(dwell));
    solo.lives_on(dwell.saturating_sub(ms(1)), &[]);
    assert!(!solo.counts(1));
    solo.lives_on(ms(1), &[]);
    assert!(solo.counts(1));
}

#[test]
fn each_death_doubles_the_healthy_while() {
    let mut solo = Solo::among(5);
    let dwell = Settings::default().dead_recover_min;
    for (round, factor) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
        solo.hears_of_death(2, opinion(1, Status::Dead, round, 3));
        solo.hears(2, gossip([opinion(1, Status::Alive, round + 1, 1)]));
        assert_eq!(solo.view(1).counts_in, Some(dwell.saturating_mul(factor)));
        solo.lives_on(dwell.saturating_mul(factor), &[]);
        assert!(solo.counts(1));
    }
}

#[test]
fn one_accuser_costs_nobody_its_standing_and_two_do() {
    let mut solo = Solo::among(5);
    solo.hears(2, gossip([opinion(1, Status::Suspect, 1, 2)]));
    assert!(solo.counts(1), "it may be the accuser's fault");
    solo.hears(3, gossip([opinion(1, Status::Suspect, 1, 3)]));
    assert!(!solo.counts(1));
    solo.hears(2, gossip([opinion(1, Status::Alive, 2, 1)]));
    assert_eq!(solo.view(1).counts_in, Some(Settings::default().suspect_recover_min));
}

#[test]
fn the_first_death_is_no_relapse_although_suspicion_came_before() {
    let mut solo = Solo::among(5);
    // Given a member that two suspect, whose suspicion lasts longer than the hold for being suspected,
    solo.hears(2, gossip([opinion(1, Status::Suspect, 1, 2), opinion(1, Status::Suspect, 1, 3)]));
    let mut waited = Duration::ZERO;
    while solo.status(1) == Some(Status::Suspect) {
        solo.lives_on(ms(100), &[]);
        waited = waited + ms(100);
    }
    solo.hears(2, gossip([opinion(1, Status::Alive, 2, 1)]));
    let dwell = Settings::default().dead_recover_min;
    assert_eq!(solo.view(1).counts_in, Some(dwell), "it died once, after {waited}");
}

#[test]
fn a_suspicion_right_after_a_death_does_not_shorten_the_healthy_while() {
    let mut solo = Solo::among(5);
    solo.hears_of_death(2, opinion(1, Status::Dead, 1, 3));
    solo.lives_on(secs(300), &[1]);
    // Given that its return is heard of as a suspicion of its new incarnation,
    solo.hears(2, gossip([opinion(1, Status::Suspect, 2, 3)]));
    solo.hears(2, gossip([opinion(1, Status::Alive, 3, 1)]));
    assert!(!solo.counts(1), "it was dead and is hardly back");
}

#[test]
fn a_member_whose_hold_is_over_is_reported() {
    let mut solo = Solo::among(2);
    solo.hears_of_death(2, opinion(1, Status::Dead, 1, 2));
    solo.hears(2, gossip([opinion(1, Status::Alive, 2, 1)]));
    let hold = Settings::default().dead_recover_min;
    let actions = solo.lives_on(hold, &[]);
    let recovers = |it: &MembershipObservation| *it == MembershipObservation::Recovered { node: node(1) };
    assert!(observed(&actions).any(recovers));
}

#[test]
fn a_node_on_a_bad_link_ends_up_outside() {
    let mut world = World::mesh(6);
    for _ in 0..4 {
        (0..5).for_each(|host| world.cut(host, 5));
        world.until(secs(40), |world| (0..5).all(|host| world.status(host, 5) == Some(Status::Dead)));
        world.heal();
        world.until(secs(20), |world| world.all_hold(5, Status::Alive));
        assert!((0..5).all(|host| !world.counts(host, 5)));
        world.run(secs(35));
    }
    assert!((0..5).all(|host| !world.counts(host, 5)), "its while has doubled");
}
