//! What a world with endpoints and streams does, told with a subject that only does what it is asked.

use super::addresses::endpoint_of;
use super::host::{CLUSTER, STRANGERS};
use super::keys::HostKeys;
use super::*;
use crate::check::{Findings, WIRE_1};
use crate::scenario::{Nodes, Plan, PlannedFault, Scenario, parse};
use crate::streams::Streams;
use crate::subject::{Checks, Clients, Outcome, Subject, Surroundings, Turn};
use relaymesh_core::codec::{Body, BodyVersion, DecodeError, EncodeError, decode_value, encode_value};
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::{Envelope, KeyChange, KeyId};
use relaymesh_core::machine::{Ctx, Machine, Sink};
use relaymesh_core::node::{Application, Gating, Input, Outgoing, Output, Route};
use relaymesh_core::record::Sequence;
use relaymesh_core::time::{Duration, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::string::String;
use std::vec;
use std::vec::Vec;

const MS: u64 = 1_000_000;

// --- the subject --------------------------------------------------------------------------------------------------

/// What a node is asked to do, and what nodes tell one another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Word {
    /// Send so many notes of so many bytes, numbered on from the last one.
    Send {
        to: NodeId,
        class: Class,
        count: u64,
        bytes: u16,
    },
    Seek,
    Locate {
        node: NodeId,
        endpoint: Endpoint,
    },
    Forget {
        node: NodeId,
    },
    Use {
        key: KeyId,
    },
    Remove {
        key: KeyId,
    },
    Note {
        number: u64,
        padding: Vec<u8>,
    },
}

impl Body for Word {
    const OLDEST: BodyVersion = BodyVersion(1);
    const NEWEST: BodyVersion = BodyVersion(1);

    fn encode(&self, _version: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode_value(self, limit, out)
    }

    fn decode(_version: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_value(bytes)
    }
}

impl relaymesh_core::node::Message for Word {
    fn gating(&self) -> Gating {
        Gating::Ungated
    }
}

relaymesh_core::observations! {
    /// What the talker lets be seen.
    enum Nothing {
        /// Nothing.
        Counter Health Count "talker_nothing_total" => Never { number: u64 },
    }
}

/// A node that does what it is asked, and remembers what happened.
#[derive(Debug, Default)]
struct Talker {
    sent: u64,
    found: Vec<(NodeId, Endpoint)>,
    keys: Vec<KeyIds>,
    /// Whether there was no room, and then that there was.
    pressure: Vec<bool>,
}

impl Machine for Talker {
    type Event = Input<Self>;
    type Action = Output<Self>;

    fn handle(&mut self, _ctx: &mut Ctx<'_>, event: Input<Self>, out: &mut impl Sink<Output<Self>>) {
        match event {
            Input::Request { request, .. } => match request {
                Word::Send { to, class, count, bytes } => {
                    for _ in 0..count {
                        self.sent += 1;
                        let note = Word::Note { number: self.sent, padding: vec![7; bytes.into()] };
                        out.push(Output::message(Route::direct(to, class), BodyVersion(1), note));
                    }
                }
                Word::Seek => out.push(Output::Seek),
                Word::Locate { node, endpoint } => out.push(Output::Locate { node, endpoint }),
                Word::Forget { node } => out.push(Output::Forget(node)),
                Word::Use { key } => out.push(Output::Keyring(KeyChange::Use(key))),
                Word::Remove { key } => out.push(Output::Keyring(KeyChange::Remove(key))),
                Word::Note { .. } => {}
            },
            Input::Found { node, endpoint } => self.found.push((node, endpoint)),
            Input::Keys(keys) => self.keys.push(keys),
            Input::Full { .. } => self.pressure.push(true),
            Input::Room { .. } => self.pressure.push(false),
            _ => {}
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        None
    }
}

impl Application for Talker {
    type Message = Word;
    type Record = Word;
    type Request = Word;
    type Reply = Word;
    type Local = ();
    type Work = ();
    type Done = ();
    type WorkId = u8;
    type Observation = Nothing;

    fn replay(&mut self, _sequence: Sequence, _record: Word) {}
    fn compute(_work: ()) {}
}

struct Silent;

impl Clients<Talker> for Silent {
    fn count(&self) -> u32 {
        1
    }
    fn turn(&mut self, _client: u32, _now: TrueTime, _offering: bool) -> Turn<Word> {
        Turn::Done
    }
    fn outcome(&mut self, _client: u32, _now: TrueTime, _outcome: Outcome<Word>) {}
    fn unanswered(&self) -> Vec<(u32, String)> {
        Vec::new()
    }
}

/// What happened, as the world tells it.
#[derive(Debug, Default)]
struct Seen {
    /// When, at which host, which note.
    notes: Vec<(u64, u32, u64)>,
    carried: u64,
    carried_bytes: u64,
    crossed: Vec<(u32, u32, u64)>,
    booted: Vec<(u32, u64)>,
    ended: Vec<(u32, u64)>,
    faults: Vec<(bool, String, u64)>,
}

impl Checks<Talker> for Seen {
    fn shows_state(&self, _message: &Word) -> bool {
        false
    }
    fn sent(&mut self, _host: u32, _to: u32, _outgoing: &Outgoing<Word>, _found: &mut Findings) {}
    fn received(&mut self, host: u32, _from: u32, _envelope: &Envelope, message: &Word, found: &mut Findings) {
        if let Word::Note { number, .. } = message {
            self.notes.push((found.now.0 / MS, host, *number));
        }
    }
    fn asked(&mut self, _client: u32, _host: u32, _request: &Word, _found: &mut Findings) {}
    fn answered(&mut self, _client: u32, _host: u32, _request: &Word, _reply: &Word, _found: &mut Findings) {}
    fn observed(&mut self, _host: u32, _observation: &Nothing, _found: &mut Findings) {}
    fn booted(&mut self, host: u32, now: TrueTime) {
        self.booted.push((host, now.0 / MS));
    }
    fn ended(&mut self, host: u32, now: TrueTime) {
        self.ended.push((host, now.0 / MS));
    }
    fn began_fault(&mut self, fault: &PlannedFault, now: TrueTime) {
        self.faults.push((true, fault.name.clone(), now.0 / MS));
    }
    fn ended_fault(&mut self, fault: &PlannedFault, now: TrueTime) {
        self.faults.push((false, fault.name.clone(), now.0 / MS));
    }
    fn carried(&mut self, _host: u32, _to: u32, _class: Class, bytes: usize) {
        self.carried += 1;
        self.carried_bytes += bytes as u64;
    }
    fn crossed(&mut self, from: u32, to: u32, now: TrueTime) {
        self.crossed.push((from, to, now.0 / MS));
    }
    fn wrote(&mut self, _host: u32, _version: BodyVersion, _found: &mut Findings) {}
    fn unreadable(&mut self, _host: u32, _found: &mut Findings) {}
    fn store_lost(&mut self, _host: u32) {}
    fn healed(&mut self, _now: TrueTime) {}
    fn finish(&mut self, _found: &mut Findings) {}
    fn exercised(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

struct Talk;

impl Subject for Talk {
    type Application = Talker;
    type Clients = Silent;
    type Checks = Seen;
    const STREAMS: bool = true;
    const SECTIONS: &'static [&'static str] = &["mesh"];

    fn application(around: &Surroundings<'_>) -> Talker {
        assert_eq!(around.nodes[around.host as usize], around.seat.node);
        Talker::default()
    }
    fn clients(_scenario: &Scenario, _plan: &Plan, _streams: &mut Streams) -> Silent {
        Silent
    }
    fn checks(_scenario: &Scenario) -> Seen {
        Seen::default()
    }
}

// --- the stage ----------------------------------------------------------------------------------------------------

/// A minute on a network where every packet takes 10 ms.
fn scenario(nodes: u32, faults: &str) -> Scenario {
    let text = std::format!(
        "name = \"x\"\nabout = \"x\"\nnodes = {nodes}\n[phases]\nsafety = \"50s\"\nliveness = \"10s\"\n\
         [network]\ndelay = \"10ms\"\ntail = \"0%\"\n{faults}"
    );
    let mut scenario = parse(&text).unwrap_or_else(|error| panic!("{error}"));
    scenario.version = None;
    scenario
}

fn fault(kind: &str, nodes: &str, at: &str, rest: &str) -> String {
    std::format!("[[fault]]\nkind = \"{kind}\"\nnodes = {nodes}\nat = \"{at}\"\n{rest}\n")
}

fn world(scenario: &Scenario) -> World<Talk> {
    World::new(scenario, 1, Options { keep_lines: true, ..Options::default() })
}

/// A world in which every node knows from 50 ms on where each began.
fn acquainted(scenario: &Scenario) -> World<Talk> {
    let mut world = world(scenario);
    for host in 0..scenario.nodes {
        for other in 0..scenario.nodes {
            ask(&mut world, 50, host, Word::Locate { node: node_id(other), endpoint: endpoint_of(other, 0) });
        }
    }
    world
}

/// Has a node do something at that millisecond.
fn ask(world: &mut World<Talk>, at_ms: u64, host: u32, word: Word) {
    let place = world.requests.put(word);
    let inbound = Inbound::Request { id: RequestId(0), place, cause: CauseId(0) };
    world.queue.schedule(TrueTime(at_ms * MS), Happening::Arrives { host, life: 0, inbound });
}

fn send(to: u32, class: Class, count: u64) -> Word {
    Word::Send { to: node_id(to), class, count, bytes: 10 }
}

fn key(number: u64) -> KeyId {
    let mut keys = HostKeys::new(CLUSTER);
    keys.install(number);
    keys.expected().iter().last().unwrap()
}

/// Runs to the end; nothing may be broken.
fn holds(world: &mut World<Talk>) -> Report {
    world.run();
    let report = world.report();
    assert_eq!(report.verdict, Verdict::Held, "{:?}", report.violations);
    report
}

/// Runs up to that millisecond.
fn run_until(world: &mut World<Talk>, until_ms: u64) {
    let end = core::mem::replace(&mut world.timetable.end, TrueTime(until_ms * MS));
    while world.queue.next_at().is_some_and(|at| at <= world.timetable.end) {
        world.step();
    }
    world.timetable.end = end;
}

fn application(world: &World<Talk>, host: u32) -> &Talker {
    world.host(host).node.as_ref().unwrap().application()
}

fn numbers(world: &World<Talk>) -> Vec<u64> {
    world.checks().notes.iter().map(|(_, _, number)| *number).collect()
}

fn count(report: &Report, name: &str) -> u64 {
    report.faults.get(name).copied().unwrap_or(0)
}

// --- streams ------------------------------------------------------------------------------------------------------

#[test]
fn the_first_message_of_a_stream_costs_one_more_round_trip_and_a_datagram_does_not() {
    let mut world = acquainted(&scenario(2, ""));
    ask(&mut world, 100, 0, send(1, Class::Bulk, 1));
    ask(&mut world, 200, 0, send(1, Class::Bulk, 1));
    ask(&mut world, 300, 0, send(1, Class::Gossip, 1));
    holds(&mut world);
    assert_eq!(world.checks().notes, [(130, 1, 1), (210, 1, 2), (310, 1, 3)]);
    assert_eq!(world.checks().crossed, [(0, 1, 130), (0, 1, 210), (0, 1, 310)]);
}

#[test]
fn a_stream_keeps_order_and_loses_nothing_on_a_bad_network() {
    let bad = fault("loss", "[0]", "0s", "lasts = \"40s\"\nshare = \"20%\"")
        + &fault("reorder", "[0]", "0s", "lasts = \"40s\"\nshare = \"30%\"\namount = \"300ms\"")
        + &fault("corrupt", "[0]", "0s", "lasts = \"40s\"\nshare = \"10%\"")
        + &fault("duplicate", "[0]", "0s", "lasts = \"40s\"\nshare = \"50%\"");
    let mut world = acquainted(&scenario(2, &bad));
    for at in 1..=100 {
        ask(&mut world, 100 + at * 100, 0, send(1, Class::Control, 1));
    }
    let report = holds(&mut world);
    assert_eq!(numbers(&world), (1..=100).collect::<Vec<_>>());
    assert!(count(&report, "retransmitted") > 5 && count(&report, "reorder") > 5);
    assert!(world.checks().carried > 105, "each try is counted: {}", world.checks().carried);
    assert!(world.checks().carried_bytes > 100 * world.checks().carried);
}

#[test]
fn datagrams_of_the_same_network_are_doubled_and_lost() {
    let bad = fault("loss", "[0]", "0s", "lasts = \"40s\"\nshare = \"20%\"")
        + &fault("duplicate", "[0]", "0s", "lasts = \"40s\"\nshare = \"50%\"");
    let mut world = acquainted(&scenario(2, &bad));
    ask(&mut world, 100, 0, send(1, Class::Gossip, 100));
    holds(&mut world);
    let distinct: BTreeSet<u64> = numbers(&world).into_iter().collect();
    assert!(distinct.len() < 100 && numbers(&world).len() > distinct.len());
}

#[test]
fn what_a_cut_held_up_gets_across_with_the_first_try_after_it() {
    let cut = fault("partition", "[0]", "1s", "lasts = \"4s\"");
    let mut world = acquainted(&scenario(2, &cut));
    ask(&mut world, 500, 0, send(1, Class::Bulk, 1));
    ask(&mut world, 2_000, 0, send(1, Class::Bulk, 2));
    ask(&mut world, 4_000, 0, send(1, Class::Bulk, 1));
    ask(&mut world, 4_000, 0, send(1, Class::Priority, 1));
    holds(&mut world);
    // Tried at 2 s and then 200, 600, 1,400 and 3,000 ms later. The other class has waited for nobody but itself.
    let expected = [(530, 1, 1), (5_010, 1, 2), (5_010, 1, 3), (5_010, 1, 4), (5_430, 1, 5)];
    assert_eq!(world.checks().notes, expected);
}

#[test]
fn a_connection_breaks_after_fifteen_seconds_with_all_that_waits_on_it() {
    let cut = fault("one_way", "[0]", "1s", "lasts = \"20s\"");
    let mut world = acquainted(&scenario(2, &cut));
    ask(&mut world, 2_000, 0, send(1, Class::Bulk, 3));
    ask(&mut world, 16_900, 0, send(1, Class::Bulk, 1));
    ask(&mut world, 17_100, 0, send(1, Class::Bulk, 1));
    let report = holds(&mut world);
    assert_eq!(count(&report, "broken_connection"), 1);
    // The new one is tried at 17.1 s, and 6.2 s later gets across.
    assert_eq!(world.checks().notes, [(23_330, 1, 5)]);
}

#[test]
fn what_is_on_the_way_to_a_process_that_ends_is_lost_and_the_next_one_gets_what_is_sent_to_it() {
    let kill = fault("kill", "[1]", "1s", "lasts = \"100ms\"");
    let mut world = acquainted(&scenario(2, &kill));
    ask(&mut world, 500, 0, send(1, Class::Bulk, 1));
    ask(&mut world, 995, 0, send(1, Class::Bulk, 1));
    ask(&mut world, 1_050, 0, send(1, Class::Bulk, 1));
    ask(&mut world, 2_000, 0, send(1, Class::Bulk, 1));
    holds(&mut world);
    assert_eq!(world.checks().notes, [(530, 1, 1), (2_030, 1, 4)], "the last one on a fresh connection");
    assert_eq!(world.checks().ended, [(1, 1_000)]);
}

#[test]
fn what_a_process_has_sent_before_its_end_still_arrives() {
    let kill = fault("kill", "[0]", "1s", "lasts = \"100ms\"");
    let mut world = acquainted(&scenario(2, &kill));
    ask(&mut world, 500, 0, send(1, Class::Bulk, 1));
    ask(&mut world, 995, 0, send(1, Class::Bulk, 1));
    holds(&mut world);
    assert_eq!(world.checks().notes, [(530, 1, 1), (1_005, 1, 2)]);
}

#[test]
fn a_sleeping_machine_is_sent_again_what_it_has_missed() {
    let sleep = fault("suspend", "[1]", "1s", "lasts = \"2s\"");
    let mut world = acquainted(&scenario(2, &sleep));
    ask(&mut world, 995, 0, send(1, Class::Bulk, 1));
    ask(&mut world, 1_500, 0, send(1, Class::Bulk, 2));
    ask(&mut world, 1_500, 0, send(1, Class::Gossip, 1));
    holds(&mut world);
    assert_eq!(numbers(&world), [1, 2, 3], "the datagram is lost");
}

#[test]
fn a_receiver_that_takes_nothing_fills_the_stream_and_its_sender_is_told() {
    let pause = fault("pause", "[1]", "1s", "lasts = \"2s\"");
    let mut world = acquainted(&scenario(2, &pause));
    ask(&mut world, 1_500, 0, send(1, Class::Bulk, 300));
    ask(&mut world, 4_000, 0, send(1, Class::Bulk, 1));
    let report = holds(&mut world);
    assert_eq!(application(&world, 0).pressure, [true, false]);
    assert_eq!(count(&report, "stream_overflow"), 300 - 256);
    assert_eq!(numbers(&world), (1..=256).chain([301]).collect::<Vec<_>>());
}

#[test]
fn a_thin_link_slows_a_stream_down_and_loses_nothing() {
    let thin = fault("bandwidth", "[0]", "1s", "lasts = \"3s\"\nvalue = 100000");
    let mut world = acquainted(&scenario(2, &thin));
    ask(&mut world, 1_500, 0, Word::Send { to: node_id(1), class: Class::Bulk, count: 200, bytes: 1_000 });
    holds(&mut world);
    assert_eq!(numbers(&world), (1..=200).collect::<Vec<_>>());
    let last = world.checks().notes.last().unwrap().0;
    assert!((3_000..5_000).contains(&last), "{last} ms");
}

// --- endpoints ----------------------------------------------------------------------------------------------------

#[test]
fn nothing_is_sent_to_a_node_that_was_not_located_or_was_forgotten() {
    let mut world = world(&scenario(2, ""));
    ask(&mut world, 100, 0, send(1, Class::Gossip, 1));
    ask(&mut world, 200, 0, Word::Locate { node: node_id(1), endpoint: endpoint_of(1, 0) });
    ask(&mut world, 300, 0, send(1, Class::Gossip, 1));
    ask(&mut world, 400, 0, Word::Forget { node: node_id(1) });
    ask(&mut world, 500, 0, send(1, Class::Gossip, 1));
    let report = holds(&mut world);
    assert_eq!(numbers(&world), [2]);
    assert_eq!(count(&report, "unlocated_packet"), 2);
}

#[test]
fn a_process_begins_with_an_empty_address_book() {
    let mut world = acquainted(&scenario(2, &fault("kill", "[0]", "1s", "lasts = \"100ms\"")));
    ask(&mut world, 500, 0, send(1, Class::Gossip, 1));
    ask(&mut world, 2_000, 0, send(1, Class::Gossip, 1));
    assert_eq!(count(&holds(&mut world), "unlocated_packet"), 1);
}

#[test]
fn a_host_that_moved_is_reached_where_it_is_and_not_where_it_was() {
    let mut world = acquainted(&scenario(2, &fault("move", "[1]", "1s", "lasts = \"100ms\"")));
    ask(&mut world, 995, 0, send(1, Class::Gossip, 1));
    ask(&mut world, 2_000, 0, send(1, Class::Gossip, 1));
    ask(&mut world, 3_000, 0, Word::Locate { node: node_id(1), endpoint: endpoint_of(1, 1) });
    ask(&mut world, 3_000, 0, send(1, Class::Gossip, 1));
    let report = holds(&mut world);
    assert_eq!(numbers(&world), [3]);
    assert_eq!(count(&report, "unanswered_endpoint"), 1);
    assert_eq!(count(&report, "move"), 1);
}

#[test]
fn a_packet_for_somebody_who_has_moved_is_refused_by_who_lives_there_now() {
    let moves = fault("move", "[1]", "1s", "lasts = \"100ms\"") + &fault("move", "[2]", "2s", "lasts = \"100ms\"");
    let mut world = acquainted(&scenario(3, &moves));
    for class in [Class::Gossip, Class::Bulk] {
        ask(&mut world, 3_000, 0, send(1, class, 1));
    }
    let report = holds(&mut world);
    assert_eq!(numbers(&world), [0; 0]);
    assert_eq!((count(&report, "misdirected_packet"), count(&report, "refused_packet")), (2, 2));
    assert_eq!(report.exercised[WIRE_1], 2);
}

#[test]
fn those_of_another_cluster_refuse_and_are_refused() {
    let mut scenario = scenario(3, "");
    scenario.mesh.strangers = 1;
    let mut world = acquainted(&scenario);
    ask(&mut world, 100, 0, send(2, Class::Gossip, 1));
    ask(&mut world, 100, 2, send(1, Class::Bulk, 1));
    ask(&mut world, 100, 0, send(1, Class::Bulk, 1));
    assert_eq!(count(&holds(&mut world), "refused_packet"), 2);
    assert_eq!(world.checks().notes, [(130, 1, 2)]);
    assert_eq!((world.host(1).cluster, world.host(2).cluster), (CLUSTER, STRANGERS));
}

#[test]
fn wire_1_fires_when_a_packet_is_accepted_that_the_world_knows_to_be_anothers() {
    // Each time the driver opens, or the packet was made, as if something were true that the world knows better.
    let from_a_stranger = |world: &mut World<Talk>| world.host_mut(0).cluster = STRANGERS;
    let with_a_key_removed = |world: &mut World<Talk>| {
        let keys = &mut world.host_mut(1).keys;
        let ring = keys.ring.clone();
        keys.install(1);
        keys.change(KeyChange::Use(key(1)));
        keys.change(KeyChange::Remove(key(0)));
        keys.ring = ring;
    };
    let for_another = |world: &mut World<Talk>| world.host_mut(1).id = node_id(2);
    let lies: [fn(&mut World<Talk>); 3] = [from_a_stranger, with_a_key_removed, for_another];
    for (lie, to) in lies.into_iter().zip([1, 1, 2]) {
        let mut world = acquainted(&scenario(3, ""));
        ask(&mut world, 60, 0, Word::Locate { node: node_id(2), endpoint: endpoint_of(1, 0) });
        run_until(&mut world, 80);
        ask(&mut world, 100, 0, send(to, Class::Gossip, 1));
        lie(&mut world);
        world.run();
        assert_eq!(world.report().violations.first().map(|it| it.invariant), Some(WIRE_1), "to n{to}");
    }
}

#[test]
fn wire_1_fires_when_a_keyring_does_not_do_what_it_says() {
    let mut world = world(&scenario(1, &fault("key_install", "[0]", "1s", "value = 1")));
    run_until(&mut world, 500);
    world.host_mut(0).keys.ring = HostKeys::new(STRANGERS).ring;
    world.run();
    assert_eq!(world.report().violations.first().map(|it| it.invariant), Some(WIRE_1));
}

// --- seeds --------------------------------------------------------------------------------------------------------

#[test]
fn a_seed_is_found_where_it_is_now_and_a_node_finds_itself() {
    let mut scenario = scenario(3, &fault("move", "[1]", "1s", "lasts = \"100ms\""));
    scenario.mesh.seeds = 2;
    let mut world = world(&scenario);
    ask(&mut world, 2_000, 0, Word::Seek);
    holds(&mut world);
    let found = &application(&world, 0).found;
    assert_eq!(*found, [(node_id(0), endpoint_of(0, 0)), (node_id(1), endpoint_of(1, 1))]);
}

#[test]
fn seeds_that_are_down_cut_off_asleep_or_of_another_cluster_do_not_answer() {
    for (kind, rest) in [("kill", ""), ("partition", ""), ("one_way", ""), ("suspend", ""), ("pause", "")] {
        let broken = fault(kind, "[0]", "1s", &std::format!("lasts = \"2s\"\n{rest}"));
        let mut world = world(&scenario(2, &broken));
        ask(&mut world, 1_500, 1, Word::Seek);
        ask(&mut world, 4_000, 1, Word::Seek);
        holds(&mut world);
        assert_eq!(application(&world, 1).found.len(), 1, "{kind}");
    }
    let mut scenario = scenario(3, "");
    scenario.mesh.strangers = 2;
    let mut world = world(&scenario);
    ask(&mut world, 1_000, 2, Word::Seek);
    holds(&mut world);
    assert_eq!(application(&world, 2).found, [(node_id(1), endpoint_of(1, 0))], "strangers have a seed of their own");
}

#[test]
fn a_seed_without_a_key_in_common_does_not_answer() {
    let mut world = world(&scenario(2, &fault("key_install", "[1]", "100ms", "value = 1")));
    ask(&mut world, 1_000, 1, Word::Use { key: key(1) });
    ask(&mut world, 2_000, 1, Word::Seek);
    ask(&mut world, 3_000, 1, Word::Remove { key: key(0) });
    ask(&mut world, 4_000, 1, Word::Seek);
    holds(&mut world);
    assert_eq!(application(&world, 1).found.len(), 1);
}

// --- keys ---------------------------------------------------------------------------------------------------------

#[test]
fn a_key_is_installed_used_and_kept_across_a_restart() {
    let faults = fault("key_install", "[0]", "100ms", "value = 1") + &fault("kill", "[0]", "3s", "lasts = \"100ms\"");
    let mut world = acquainted(&scenario(2, &faults));
    ask(&mut world, 1_000, 0, Word::Remove { key: key(7) });
    ask(&mut world, 2_000, 0, Word::Use { key: key(1) });
    run_until(&mut world, 2_500);
    let expected = [KeyIds::new([key(0), key(1)]), KeyIds::new([key(1), key(0)])];
    assert_eq!(application(&world, 0).keys, expected, "what could not be done changes nothing");
    holds(&mut world);
    assert_eq!(world.host(0).node.as_ref().unwrap().seat().keys, expected[1]);
}

#[test]
fn a_packet_sealed_with_a_key_that_the_receiver_does_not_hold_is_refused() {
    let mut world = acquainted(&scenario(2, &fault("key_install", "[0]", "100ms", "value = 1")));
    ask(&mut world, 1_000, 0, Word::Use { key: key(1) });
    ask(&mut world, 2_000, 0, send(1, Class::Gossip, 1));
    ask(&mut world, 2_000, 1, send(0, Class::Gossip, 1));
    let report = holds(&mut world);
    assert_eq!(world.checks().notes, [(2_010, 0, 1)], "the older key still opens");
    assert_eq!((count(&report, "refused_packet"), report.exercised[WIRE_1]), (1, 1));
}

// --- faults -------------------------------------------------------------------------------------------------------

#[test]
fn late_nodes_start_when_they_join_and_not_before() {
    let faults = fault("kill", "[2]", "1s", "lasts = \"100ms\"") + &fault("join", "[2]", "3s", "");
    let mut scenario = scenario(4, &faults);
    scenario.mesh.late = Nodes::Some(2);
    let mut world = world(&scenario);
    let report = holds(&mut world);
    assert_eq!(world.checks().booted, [(0, 0), (1, 0), (2, 3_000)], "one never joins");
    assert_eq!(count(&report, "join"), 1);
    assert!(world.checks().faults.contains(&(false, "kill#1".into(), 1_100)));
    assert!(world.checks().faults.contains(&(true, "join#1".into(), 3_000)));
}

#[test]
fn nodes_start_when_the_scenario_says() {
    let mut scenario = scenario(5, "");
    scenario.mesh.start =
        crate::scenario::units::SpanRange { from: Duration::from_secs(1), to: Duration::from_secs(9) };
    let mut world = world(&scenario);
    holds(&mut world);
    let starts: BTreeSet<u64> = world.checks().booted.iter().map(|(_, at)| *at).collect();
    assert!(starts.len() == 5 && starts.iter().all(|at| (1_000..=9_000).contains(at)), "{starts:?}");
}

#[test]
fn a_replayed_datagram_arrives_once_more_much_later_and_a_stream_replays_nothing() {
    let replay = fault("replay", "[0]", "0s", "lasts = \"5s\"\nshare = \"100%\"\namount = \"30s\"");
    let mut world = acquainted(&scenario(2, &replay));
    ask(&mut world, 1_000, 0, send(1, Class::Gossip, 5));
    ask(&mut world, 1_000, 0, send(1, Class::Bulk, 1));
    let report = holds(&mut world);
    assert_eq!(numbers(&world).len(), 11);
    assert!(world.checks().notes.iter().any(|(at, ..)| *at > 5_000));
    assert_eq!(count(&report, "replay"), 5);
    assert_eq!(world.checks().crossed.len(), 6, "a replay proves nothing of the network");
}

#[test]
fn what_an_intruder_makes_of_datagrams_is_refused() {
    let intruder = fault("intrude", "[0]", "0s", "lasts = \"5s\"\nshare = \"100%\"");
    let mut world = acquainted(&scenario(2, &intruder));
    ask(&mut world, 1_000, 0, send(1, Class::Gossip, 20));
    ask(&mut world, 1_000, 0, send(1, Class::Bulk, 1));
    let report = holds(&mut world);
    assert_eq!(numbers(&world).len(), 21);
    assert_eq!((count(&report, "refused_packet"), report.exercised[WIRE_1]), (20, 20));
    let lines = world.take_lines();
    let said = |what: &str| lines.iter().any(|line| line.text.contains(what));
    assert!(said("refused: the packet belongs to cluster") && said("which is not in the keyring"));
}

#[test]
fn a_flip_flop_cuts_one_way_every_other_phase() {
    for (direction, heard) in
        [("out", [[0, 0, 1], [1, 1, 1]]), ("in", [[1, 1, 1], [0, 0, 1]]), ("both", [[0, 0, 1]; 2])]
    {
        let rest = std::format!("lasts = \"5s\"\namount = \"1s\"\ndirection = \"{direction}\"");
        let mut world = acquainted(&scenario(3, &fault("flip_flop", "[0]", "1s", &rest)));
        for at in [1_500, 3_500, 2_500] {
            ask(&mut world, at, 0, send(1, Class::Gossip, 1));
            ask(&mut world, at, 1, send(0, Class::Gossip, 1));
            ask(&mut world, at, 2, send(1, Class::Gossip, 1));
        }
        holds(&mut world);
        let crossed = |from: u32, to: u32, at: u64| world.checks().crossed.contains(&(from, to, at + 10));
        for (column, at) in [1_500, 3_500, 2_500].into_iter().enumerate() {
            assert_eq!(crossed(0, 1, at), heard[0][column] == 1, "{direction}, from n0 at {at}");
            assert_eq!(crossed(1, 0, at), heard[1][column] == 1, "{direction}, to n0 at {at}");
            assert!(crossed(2, 1, at), "others do not notice");
        }
    }
}
