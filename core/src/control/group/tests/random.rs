//! Whatever happens, in whatever order: what must never happen does not (see `watch`), and when everything works again
//! the group does, too.

use super::super::{Refusal, Reply, Request, Ticket};
use super::world::World;
use crate::time::Duration;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

const NODES: usize = 6;

/// What a client knows.
#[derive(Default)]
struct Client {
    proposed: BTreeMap<Ticket, Vec<u8>>,
    /// What was acknowledged when a confirmation was asked for.
    confirming: BTreeMap<Ticket, u64>,
    acknowledged: BTreeMap<u64, Vec<u8>>,
    confirmed: u64,
}

impl Client {
    /// Looks at all answers that came.
    fn hears(&mut self, world: &World) {
        for (ticket, reply) in &world.replies {
            match reply {
                Ok(Reply::Done { at, .. }) => {
                    if let Some(value) = self.proposed.remove(ticket) {
                        assert!(self.acknowledged.insert(at.index, value).is_none(), "two acknowledged at {at:?}");
                    }
                }
                Ok(Reply::Confirmed { applied, .. }) => {
                    if let Some(known) = self.confirming.remove(ticket) {
                        assert!(*applied >= known, "confirmed at {applied}, when {known} was acknowledged before");
                        self.confirmed += 1;
                    }
                }
                _ => {}
            }
        }
    }
}

fn one_thing(world: &mut World, client: &mut Client, values: &mut u32) {
    let host = world.below(NODES as u64) as usize;
    let other = world.below(NODES as u64) as usize;
    if world.below(25) == 0 {
        world.trims(host);
    }
    match world.below(100) {
        0..=3 if world.hosts[host].group.is_some() => world.crashes(host),
        4..=11 if world.hosts[host].group.is_none() => world.starts(host),
        12..=14 if host != other => {
            world.cut.insert((host, other));
        }
        15 => world.cut_off(host),
        16..=20 => world.cut.clear(),
        21 => world.hosts[host].disk_stalled = true,
        22..=25 => {
            world.hosts[host].disk_stalled = false;
            world.syncs(host);
        }
        26..=28 => world.hosts[host].paused_until = world.now + Duration::from_millis(200),
        29..=30 => {
            let to = world.hosts[other].node;
            world.asks(host, Request::Transfer { to });
        }
        31..=34 => {
            let (add, remove) = ([world.voter(host)].to_vec(), [world.hosts[other].node].to_vec());
            if let Some(leader) = world.leader() {
                world.asks(leader, Request::Change { add, remove });
            }
        }
        35..=45 => {
            client.hears(world);
            let known = client.acknowledged.last_key_value().map_or(0, |(index, _)| *index);
            let ticket = world.asks(world.leader().unwrap_or(host), Request::Confirm);
            client.confirming.insert(ticket, known);
        }
        46..=80 => {
            *values += 1;
            let value = values.to_le_bytes().to_vec();
            let at = if world.below(10) == 0 { host } else { world.leader().unwrap_or(host) };
            let ticket = world.proposes(at, &value);
            client.proposed.insert(ticket, value);
        }
        _ => {
            let millis = world.below(60);
            world.runs_for(millis);
        }
    }
}

fn a_life(seed: u64, things: u32) -> World {
    let mut world = World::new(seed, NODES);
    world.settings.bounds.compact_after = 10 + world.below(60);
    world.settings.bounds.keep_behind = world.below(10);
    world.settings.bounds.message_bytes = 200;
    world.settings.bounds.record_bytes = 300;
    world.settings.bounds.apply_bytes = 100;
    (0..NODES).for_each(|host| world.starts(host));
    let voters = [1, 3, 3, 5][world.below(4) as usize];
    world.found(voters);
    world.runs_for(20);
    world.weather.loss_percent = [0, 1, 10, 25][world.below(4) as usize];
    world.weather.duplicate_percent = [0, 10][world.below(2) as usize];
    world.weather.delay = [(200, 600), (100, 50_000), (10, 300_000)][world.below(3) as usize];
    world.weather.sync = [(500, 2_000), (100, 40_000)][world.below(2) as usize];
    let (mut client, mut values) = (Client::default(), 0);
    for _ in 0..things {
        one_thing(&mut world, &mut client, &mut values);
    }
    client.hears(&world);

    // Everything works again: so does the group.
    world.cut.clear();
    world.weather = super::world::CALM;
    for host in 0..NODES {
        world.hosts[host].disk_stalled = false;
        world.hosts[host].paused_until = world.now;
        if world.hosts[host].group.is_none() {
            world.starts(host);
        }
        world.syncs(host);
    }
    world.runs_for(40_000);
    world.commits(b"the end");
    let leader = world.elects();
    world.runs_for(2_000);
    let voters: BTreeSet<_> = world.status(leader).unwrap().members.voters().map(|(_, voter)| voter).collect();
    let hosts: Vec<_> = (0..NODES).filter(|host| voters.contains(&world.voter(*host))).collect();
    world.agree(&hosts);
    client.hears(&world);
    // What was acknowledged is there, in its order.
    let mut rest = world.state(leader).values.iter();
    for value in client.acknowledged.values() {
        assert!(rest.any(|it| it == value), "{value:?} was acknowledged, and is lost");
    }
    for reply in world.replies.values() {
        assert_ne!(*reply, Err(Refusal::Halted));
    }
    world
}

#[test]
fn whatever_happens_nothing_committed_is_lost_and_no_term_has_two_leaders() {
    let mut counts = [0; 6];
    for seed in 0..60 {
        let world = a_life(seed, 600);
        let checks = world.watch.checks;
        let trimmed = world.hosts.iter().filter(|host| host.first > 0).count() as u64;
        let new = [checks.applied, checks.leaders, checks.votes, checks.acknowledged, checks.committed, trimmed];
        counts.iter_mut().zip(new).for_each(|(count, new)| *count += new);
    }
    assert!(counts.iter().all(|count| *count > 100), "too little was put to the test: {counts:?}");
}

#[test]
fn whatever_happens_it_happens_again_with_the_same_seed() {
    for seed in 100..110 {
        let (one, other) = (a_life(seed, 300), a_life(seed, 300));
        assert_eq!(one.trace.finalize(), other.trace.finalize());
    }
}
