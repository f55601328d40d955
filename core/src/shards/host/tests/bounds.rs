//! What one node takes at once, of its clients and of others; and what is not taken at all.

use super::*;

fn submit(bytes: usize) -> Request {
    Request::Submit { shard: shard(0), command: Blob(vec![7; bytes].into()) }
}

impl World {
    /// The answers that this node has sent, by the numbers of the questions.
    fn answers(&self, from: usize) -> Vec<(usize, u64, Answer)> {
        let of = |(sender, to, message): &(usize, usize, Message)| match message {
            Message::Answer { number, answer } if *sender == from => Some((*to, *number, answer.clone())),
            _ => None,
        };
        self.net.iter().filter_map(of).collect()
    }
}

#[test]
fn submissions_that_wait_are_bounded_by_their_bytes() {
    let mut world = World::new(3, 1);
    let owner = world.owner(0);
    let one = (owner + 1) % 3;
    world.cut.insert(owner);
    world.hosts[one].settings.asks_bytes_max = 1_000;
    let mut ask = |bytes| {
        world.now = world.now + Duration::from_nanos(1);
        let id = world.asks(one, submit(bytes));
        world.reply(id).cloned()
    };
    assert_eq!([ask(600), ask(401), ask(400)], [None, Some(Reply::Refused(Refusal::Busy)), None]);
    assert_eq!(ask(1), Some(Reply::Refused(Refusal::Busy)));
    world.runs_for(6_000);
    let id = world.asks(one, submit(1_000));
    assert_eq!(world.reply(id), None, "those before are given up");
}

#[test]
fn an_owner_takes_so_much_and_of_one_node_less() {
    let mut world = World::new(4, 1);
    let owner = world.owner(0);
    let [one, other]: [usize; 2] = [(owner + 1) % 4, (owner + 2) % 4];
    // Nothing is acknowledged, so that all that is taken waits.
    let settings = &mut world.hosts[owner].settings;
    settings.tickets_of_peer_max = 3;
    (settings.tickets_bytes_of_peer_max, settings.tickets_bytes_max) = (1_000, 1_500);
    let mut busy = |from: usize, number, bytes| {
        let message = Message::Ask { number, request: Box::new(submit(bytes)) };
        let from = world.lives[from].0;
        world.does(owner, Event::Message { from, message });
        let is_busy =
            |(_, it, answer): &(usize, u64, Answer)| *it == number && *answer == Answer::Refused(Refusal::Busy);
        world.answers(owner).iter().any(is_busy)
    };
    assert!(!busy(one, 1, 900) && busy(one, 2, 101) && !busy(one, 3, 50));
    assert!(!busy(one, 4, 50) && busy(one, 5, 0), "three of one node");
    assert!(!busy(other, 6, 500) && busy(other, 7, 1), "all together");
    // What is answered makes room.
    world.runs_for(100);
    let message = Message::Ask { number: 8, request: Box::new(submit(1_000)) };
    world.does(owner, Event::Message { from: world.lives[one].0, message });
    assert!(world.answers(owner).is_empty());
}

#[test]
fn a_shard_is_not_handed_to_who_is_no_other_member() {
    let mut world = World::new(4, 1);
    let owner = world.owner(0);
    let stranger = (0..4).find(|host| !world.record(0).in_sync.contains(&world.lives[*host].0.into())).unwrap();
    for to in [stranger, owner] {
        let node = world.lives[to].0.node;
        let id = world.asks(stranger, Request::HandOver { shard: shard(0), to: Some(node) });
        world.runs_for(100);
        let why = crate::shards::ChangeRefused::NoChange;
        assert_eq!(world.reply(id), Some(&Reply::Refused(Refusal::Control(why.into()))));
        assert_eq!(world.owner(0), owner);
    }
}

#[test]
fn answers_that_wait_for_the_view_leave_a_few_shards_at_a_time() {
    let mut world = World::new(3, 9);
    let host = world.owner(0);
    world.hosts[host].settings.learned_at_once = 1;
    world.does(host, Event::Resumed);
    let owned = world.hosts[host].to_wake.len();
    assert_eq!(world.hosts[host].next_deadline(), Some(Time::ZERO));
    world.does(host, Event::Wake);
    assert_eq!(world.hosts[host].to_wake.len(), owned - 1);
    world.settles();
    assert!(world.hosts[host].to_wake.is_empty());
}

#[test]
fn a_replica_that_is_no_member_says_since_when_only_where_nobody_else_does() {
    let mut world = World::new(4, 1);
    let owner = world.owner(0);
    let submit = |key: &'static [u8]| {
        let command = Blob(registers::Command::Add { register: 9, by: 1 }.to_bytes().into());
        Request::SubmitOnce { shard: shard(0), key: Blob(key.into()), command }
    };
    world.asks(owner, submit(b"before"));
    world.runs_for(100);
    let left = (0..4).find(|host| *host != owner && world.hosts[*host].replica(&shard(0)).is_some()).unwrap();
    world.dies(left);
    world.runs_for(12_000);
    assert!(!world.record(0).in_sync.contains(&world.lives[left].0.into()));
    world.lives[left].1 = world.log.member(left as u8 + 1).1;
    world.cut.remove(&left);
    world.does(left, Event::Restated);
    world.net.clear();
    world.asks(left, submit(b"key"));
    let since = world.net.iter().find_map(|(.., message)| match message {
        Message::Once { since, .. } => Some(*since),
        _ => None,
    });
    assert_eq!(since, Some(None), "K4e: it may lag without end");
    world.apart.insert(left);
    world.runs_for(3_000);
    let parked = world.journals[left].iter().rev().find_map(|record| match record {
        Record::Parked { since, .. } => Some(*since),
        _ => None,
    });
    assert_eq!(parked, Some(1), "K4e: nobody else can be asked");
}
