//! Submissions with a key: parked on the smaller side of a split network, and one effect of them, whatever happens.

use super::*;
use crate::replication::once::{REMEMBERED_MAX, SubmissionId};

impl World {
    fn adds_once(&mut self, host: usize, key: &[u8]) -> RequestId {
        let command = Blob(registers::Command::Add { register: 9, by: 1 }.to_bytes().into());
        self.asks(host, Request::SubmitOnce { shard: shard(0), key: Blob(key.into()), command })
    }

    fn outcome(&mut self, host: usize, key: &[u8]) -> Reply {
        let id = self.asks(host, Request::Outcome { shard: shard(0), key: Blob(key.into()) });
        self.runs_for(5_100);
        self.reply(id).expect("it is answered").clone()
    }

    /// What the register holds that is added to, as the owner knows.
    fn sum(&self) -> Option<u64> {
        self.hosts[self.owner(0)].replica(&shard(0)).and_then(|replica| replica.service().service().value(9))
    }

    fn kept(&self, host: usize) -> usize {
        self.hosts[host].parked.len()
    }

    /// The process ends and begins again: what its journal has is all there is.
    fn restarts(&mut self, host: usize) {
        let mut again = Host::new(Settings::default());
        self.journals[host].iter().for_each(|record| again.replay(record.clone()));
        self.hosts[host] = again;
        self.net.retain(|(from, to, _)| *from != host && *to != host);
        let life = self.lives[host].0;
        self.does(host, Event::Start { life });
    }

    fn others(&self, of: usize) -> [usize; 2] {
        [(of + 1) % 3, (of + 2) % 3]
    }
}

fn id_of(key: &[u8]) -> SubmissionId {
    SubmissionId::of(&shard(0).namespace, key)
}

fn parked(copies: u8, key: &[u8]) -> Option<Reply> {
    Some(Reply::Parked { id: id_of(key), copies })
}

#[test]
fn a_key_takes_effect_once_and_is_answered_what_the_first_came_to() {
    let mut world = World::new(5, 1);
    let stranger = (0..5).find(|host| world.hosts[*host].replica(&shard(0)).is_none()).unwrap();
    for host in [stranger, world.owner(0), stranger] {
        let id = world.adds_once(host, b"key");
        world.runs_for(50);
        assert_eq!(world.answer(id), registers::Answer::Holds(Some(1)));
    }
    assert_eq!(world.sum(), Some(1));
    assert!(matches!(world.outcome(stranger, b"key"), Reply::Outcome(Fate::Taken(Some(_)))));
    assert_eq!(world.outcome(stranger, b"other"), Reply::Outcome(Fate::NotTaken));
    let without = world.adds_once(0, b"");
    let long = world.adds_once(0, &[7; 129]);
    for id in [without, long] {
        assert_eq!(world.reply(id), Some(&Reply::Refused(Refusal::BadKey { limit: 128 })));
    }
}

#[test]
fn a_submission_on_the_smaller_side_is_parked_with_its_copies_and_takes_effect_after_healing() {
    let mut world = World::new(3, 1);
    let owner = world.owner(0);
    let [one, other] = world.others(owner);
    world.apart.insert(one);
    let id = world.adds_once(one, b"key");
    world.runs_for(2_500);
    assert_eq!(world.reply(id).cloned(), parked(1, b"key"));
    assert_eq!(world.outcome(one, b"key"), Reply::Outcome(Fate::Parked { copies: 1 }));
    assert_eq!(world.sum(), None);
    world.apart.clear();
    world.runs_for(10_000);
    assert_eq!((world.sum(), world.kept(one), world.kept(other)), (Some(1), 0, 0));
    let taken = world.outcome(one, b"key");
    assert!(matches!(taken, Reply::Outcome(Fate::Taken(Some(_)))), "{taken:?}");
}

#[test]
fn two_members_without_the_owner_keep_two_copies_and_there_is_one_effect() {
    let mut world = World::new(3, 1);
    let owner = world.owner(0);
    let [one, other] = world.others(owner);
    world.cut.insert(owner);
    let id = world.adds_once(one, b"key");
    world.runs_for(2_500);
    assert_eq!(world.reply(id).cloned(), parked(2, b"key"));
    assert_eq!((world.kept(one), world.kept(other)), (1, 1));
    world.dies(owner);
    world.runs_for(10_000);
    assert_eq!((world.sum(), world.kept(one), world.kept(other)), (Some(1), 0, 0));
}

#[test]
fn two_sides_park_one_key_and_one_effect_comes_of_it() {
    let mut world = World::new(3, 1);
    let owner = world.owner(0);
    let [one, other] = world.others(owner);
    // The owner without a second one cannot acknowledge; neither side can.
    world.cut.insert(other);
    world.apart.insert(one);
    let ids = [world.adds_once(one, b"key"), world.adds_once(owner, b"key")];
    world.runs_for(2_500);
    for id in ids {
        assert_eq!(world.reply(id).cloned(), parked(1, b"key"));
    }
    assert_eq!((world.kept(one), world.kept(owner)), (1, 1));
    world.cut.clear();
    world.apart.clear();
    world.runs_for(15_000);
    assert_eq!((world.sum(), world.kept(one), world.kept(owner)), (Some(1), 0, 0));
}

#[test]
fn a_keeper_that_crashes_before_it_has_forgotten_submits_again_and_nothing_comes_of_it() {
    let mut world = World::new(3, 1);
    let owner = world.owner(0);
    let [one, _] = world.others(owner);
    world.apart.insert(one);
    world.adds_once(one, b"key");
    world.runs_for(2_500);
    let kept = world.journals[one].clone();
    world.apart.clear();
    world.runs_for(10_000);
    assert_eq!((world.sum(), world.kept(one)), (Some(1), 0));
    // All that it has written since is lost, but for what it holds of the log.
    let is_forgotten = |record: &Record| matches!(record, Record::Forgotten { .. });
    assert!(!kept.iter().any(is_forgotten) && world.journals[one].iter().any(is_forgotten));
    world.journals[one].retain(|record| !is_forgotten(record));
    world.restarts(one);
    assert_eq!(world.kept(one), 1);
    world.runs_for(10_000);
    assert_eq!((world.sum(), world.kept(one)), (Some(1), 0));
    world.restarts(one);
    assert_eq!(world.kept(one), 0, "now the journal says so");
}

#[test]
fn the_owner_dies_between_taking_it_and_saying_so() {
    let mut world = World::new(3, 1);
    let owner = world.owner(0);
    let [one, other] = world.others(owner);
    let id = world.adds_once(one, b"key");
    // The entry reaches the others; what the owner says after that reaches nobody.
    for _ in 0..100 {
        let holds = |host: usize| world.hosts[host].replica(&shard(0)).map(|replica| replica.log().last().sequence);
        if holds(one) == holds(owner)
            && holds(other) == holds(owner)
            && holds(owner) > Some(replication::LogSequence(1))
        {
            break;
        }
        world.step();
    }
    world.dies(owner);
    world.runs_for(5_000);
    assert_eq!(world.answer(id), registers::Answer::Holds(Some(1)), "asked again, of the new owner");
    assert_eq!(world.sum(), Some(1));
}

#[test]
fn a_keeper_that_comes_back_after_its_id_was_forgotten_is_refused_and_operators_see_it() {
    let mut world = World::new(3, 1);
    let owner = world.owner(0);
    let [one, _] = world.others(owner);
    world.apart.insert(one);
    world.adds_once(one, b"late");
    world.runs_for(2_500);
    assert_eq!(world.kept(one), 1);
    world.adds_once(owner, b"late");
    world.runs_for(1_000);
    for number in 0..REMEMBERED_MAX {
        world.adds_once(owner, &number.to_le_bytes());
        world.runs_for(10);
    }
    let sum = world.sum();
    assert_eq!(sum, Some(REMEMBERED_MAX + 1));
    world.apart.clear();
    world.runs_for(12_000);
    assert_eq!((world.sum(), world.kept(one)), (sum, 0), "given up, and not taken twice");
}

#[test]
fn a_node_without_a_replica_parks_since_what_a_member_knows() {
    let mut world = World::new(5, 1);
    let owner = world.owner(0);
    for number in 0..=REMEMBERED_MAX {
        world.adds_once(owner, &number.to_le_bytes());
        world.runs_for(10);
    }
    let is_member = |world: &World, host: usize| world.record(0).in_sync.contains(&world.lives[host].0.into());
    let stranger = (0..5).find(|host| !is_member(&world, *host)).unwrap();
    let members: Vec<usize> = (0..5).filter(|host| is_member(&world, *host) && *host != owner).collect();
    world.apart = BTreeSet::from([stranger, members[0]]);
    let id = world.adds_once(stranger, b"new");
    world.runs_for(3_000);
    assert_eq!(world.reply(id).cloned(), parked(2, b"new"));
    world.apart.clear();
    world.runs_for(12_000);
    assert_eq!(world.sum(), Some(REMEMBERED_MAX + 2), "it has not expired");
    assert_eq!((world.kept(stranger), world.kept(members[0])), (0, 0));
}

#[test]
fn no_more_is_parked_than_there_is_room_for() {
    let mut world = World::new(3, 1);
    let owner = world.owner(0);
    let [one, _] = world.others(owner);
    world.apart.insert(one);
    let max = 40;
    world.hosts[one].settings.parked_of_shard_max = max;
    let ids: Vec<RequestId> = (0..max as u64 + 3)
        .map(|number| {
            world.now = world.now + Duration::from_nanos(1);
            world.adds_once(one, &number.to_le_bytes())
        })
        .collect();
    world.runs_for(3_000);
    let is_parked = |id: &&RequestId| matches!(world.reply(**id), Some(Reply::Parked { .. }));
    assert_eq!((ids.iter().filter(is_parked).count(), world.kept(one)), (max, max));
    // They were sent, as far as this node knows.
    assert!(ids.iter().filter(|id| !is_parked(id)).all(|id| world.reply(*id) == Some(&Reply::Unknown)));
    world.apart.clear();
    world.runs_for(30_000);
    assert_eq!((world.sum(), world.kept(one)), (Some(max as u64), 0));
}

#[test]
fn a_checkpoint_writes_what_is_parked_again() {
    let mut world = World::new(3, 1);
    let owner = world.owner(0);
    let [one, _] = world.others(owner);
    world.apart.insert(one);
    for number in 0..200u64 {
        world.now = world.now + Duration::from_nanos(1);
        world.adds_once(one, &number.to_le_bytes());
    }
    world.runs_for(3_000);
    assert_eq!(world.kept(one), 200);
    let cut = Sequence(world.journals[one].len() as u64 + 1);
    while !world.hosts[one].has_checkpoint(cut) {
        world.does(one, Event::Checkpoint(cut));
    }
    world.journals[one].drain(..cut.0 as usize - 1);
    world.restarts(one);
    assert_eq!(world.kept(one), 200);
}

#[test]
fn nobody_but_a_member_keeps_for_others_and_only_what_can_be() {
    let mut world = World::new(4, 1);
    let stranger = (0..4).find(|host| !world.record(0).in_sync.contains(&world.lives[*host].0.into())).unwrap();
    let owner = world.owner(0);
    let asker = (0..4).find(|host| *host != owner && *host != stranger).unwrap();
    let keep = |number: u64, shard, bytes: usize| Message::Keep {
        number,
        since: Some(0),
        submission: Box::new(Submission { shard, id: id_of(b"key"), command: Blob(vec![7; bytes].into()) }),
    };
    let before = world.journals.clone();
    world.net.push_back((asker, stranger, keep(1, shard(0), 9)));
    world.net.push_back((asker, owner, keep(2, shard(77), 9)));
    world.net.push_back((asker, owner, keep(3, shard(0), 70_000)));
    // Answers that nobody waits for.
    world.net.push_back((asker, owner, Message::Keeping { number: 9, keeping: Keeping::Taken(None) }));
    world.settles();
    assert_eq!((world.kept(stranger), world.kept(owner)), (0, 0));
    assert_eq!(world.journals, before);
    let submission = Submission { shard: shard(0), id: id_of(b"key"), command: Blob(vec![7; 70_000].into()) };
    let message = Message::Once { number: 5, since: Some(0), submission: Box::new(submission) };
    world.net.push_back((asker, owner, message));
    world.settles();
    assert_eq!(world.journals, before, "too large for an entry");
    world.net.push_back((asker, owner, keep(4, shard(0), 9)));
    world.settles();
    assert_eq!(world.kept(owner), 1);
}
