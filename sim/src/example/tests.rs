//! How machines and checkers are tested: one machine alone, told as a story; and every checker shown to fire.

use super::checks::{ECHO_1, ECHO_2, ExampleChecks, LOG_1, LOG_2, VERS_1};
use super::clients::entry_of;
use super::echo::{self, Echo, Settings, payload_of};
use super::journal::{self, Entry, Journal, LogName, Refusal, Reply, Request};
use super::node::ExampleObservation;
use super::wire::{Message, Record};
use super::{NEWEST_VERSION, OLDEST_VERSION};
use crate::check::{DUR_1, DUR_2, Findings};
use crate::scenario::parse;
use crate::subject::Checks;
use crate::time::TrueTime;
use crate::world::node_id;
use relaymesh_core::codec::{Body, BodyVersion};
use relaymesh_core::envelope::{Class, Envelope};
use relaymesh_core::identity::{
    BootIncarnation, ClusterId, GossipDomain, Incarnation, NodeId, RequestId, StoreIncarnation, Tenant,
};
use relaymesh_core::machine::{CauseId, Ctx, Machine, Scripted};
use relaymesh_core::node::{Delivery, LoadError, Outgoing, Route};
use relaymesh_core::record::Sequence;
use relaymesh_core::time::{Duration, Time, WallTime};
use std::vec;
use std::vec::Vec;

mod objects;

const ONE: RequestId = RequestId(1);
const TWO: RequestId = RequestId(2);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Hands one event to a machine and returns what it asks for.
fn tell<M: Machine>(machine: &mut M, at: Time, next_record: u64, event: M::Event) -> Vec<M::Action> {
    let mut chooser = Scripted::default();
    let mut ctx = Ctx::new(at, WallTime::default(), CauseId(1), &mut chooser);
    ctx.next_record = Sequence(next_record);
    let mut actions = Vec::new();
    machine.handle(&mut ctx, event, &mut actions);
    actions
}

// --- the journal machine ------------------------------------------------------------------------------------------

fn log() -> LogName {
    LogName::new(b"orders").unwrap()
}

fn append(client: u64, sequence: u64) -> Request {
    Request::Append { log: log(), entry: Entry { client, sequence, data: vec![7; 3] }, hash: None }
}

fn ask(journal: &mut Journal, next_record: u64, id: RequestId, request: Request) -> Vec<journal::Action> {
    tell(journal, Time::ZERO, next_record, journal::Event::Request(id, request))
}

fn reply_of(actions: &[journal::Action]) -> Reply {
    let reply = actions.iter().find_map(|action| match action {
        journal::Action::Reply(_, reply) => Some(reply.clone()),
        _ => None,
    });
    reply.unwrap_or_else(|| panic!("no reply among {actions:?}"))
}

fn writes(actions: &[journal::Action]) -> usize {
    actions.iter().filter(|action| matches!(action, journal::Action::Write(..))).count()
}

#[test]
fn entries_get_positions_in_order() {
    let mut journal = Journal::new(NEWEST_VERSION);
    assert_eq!(reply_of(&ask(&mut journal, 3, ONE, append(1, 1))), Reply::Appended { position: 0 });
    assert_eq!(reply_of(&ask(&mut journal, 4, TWO, append(2, 1))), Reply::Appended { position: 1 });
}

#[test]
fn an_append_sent_again_is_answered_again_and_not_written_again() {
    let mut journal = Journal::new(NEWEST_VERSION);
    ask(&mut journal, 3, ONE, append(1, 1));
    let again = ask(&mut journal, 4, TWO, append(1, 1));
    assert_eq!(reply_of(&again), Reply::Appended { position: 0 });
    assert_eq!(writes(&again), 0);
}

#[test]
fn an_append_sent_again_is_known_after_a_restart_too() {
    let mut restarted = Journal::new(NEWEST_VERSION);
    let entry = Entry { client: 1, sequence: 1, data: vec![7; 3] };
    restarted.replay(Sequence(3), Record::Appended { log: log(), entry });
    let again = ask(&mut restarted, 9, ONE, append(1, 1));
    assert_eq!((reply_of(&again), writes(&again)), (Reply::Appended { position: 0 }, 0));
}

#[test]
fn an_older_append_than_the_last_one_is_refused_by_number() {
    let mut journal = Journal::new(NEWEST_VERSION);
    ask(&mut journal, 3, ONE, append(1, 5));
    let refused = reply_of(&ask(&mut journal, 4, TWO, append(1, 4)));
    assert_eq!(refused, Reply::Refused(Refusal::Stale { offered: 4, last: 5 }));
}

#[test]
fn an_entry_with_the_wrong_hash_is_not_written() {
    let mut journal = Journal::new(NEWEST_VERSION);
    let entry = Entry { client: 1, sequence: 1, data: vec![7; 3] };
    let request = Request::Append { log: log(), entry, hash: Some([0; 32]) };
    let waiting = ask(&mut journal, 3, ONE, request);
    assert!(matches!(waiting[..], [journal::Action::Hash(ONE, _)]));
    let refused = tell(&mut journal, Time::ZERO, 3, journal::Event::Hashed(ONE, [9; 32]));
    assert_eq!((reply_of(&refused), writes(&refused)), (Reply::Refused(Refusal::Hash), 0));
}

#[test]
fn old_entries_are_read_back_and_the_answer_waits_for_them() {
    let mut journal = Journal::new(NEWEST_VERSION);
    let count = journal::limits::RECENT as u64 + 2;
    (0..count).for_each(|n| drop(ask(&mut journal, 3 + n, ONE, append(1, n + 1))));
    let read = ask(&mut journal, 99, TWO, Request::Read { log: log(), from: 0, limit: 3 });
    assert!(matches!(read[..], [journal::Action::Load(Sequence(3)), journal::Action::Load(Sequence(4))]), "{read:?}");
    let record = |sequence| Record::Appended { log: log(), entry: Entry { client: 1, sequence, data: vec![7; 3] } };
    let loaded = |at, record| journal::Event::Loaded(Sequence(at), record);
    assert_eq!(tell(&mut journal, Time::ZERO, 99, loaded(3, Ok(record(1)))).len(), 0);
    let answer = reply_of(&tell(&mut journal, Time::ZERO, 99, loaded(4, Ok(record(2)))));
    let Reply::Entries { entries, end, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((entries.len(), entries[1].sequence, end), (3, 2, count));
}

#[test]
fn a_damaged_record_is_named_by_its_position() {
    let mut journal = Journal::new(NEWEST_VERSION);
    let count = journal::limits::RECENT as u64 + 1;
    (0..count).for_each(|n| drop(ask(&mut journal, 3 + n, ONE, append(1, n + 1))));
    ask(&mut journal, 99, TWO, Request::Read { log: log(), from: 0, limit: 1 });
    let event = journal::Event::Loaded(Sequence(3), Err(LoadError::Damaged(Sequence(3))));
    assert_eq!(reply_of(&tell(&mut journal, Time::ZERO, 99, event)), Reply::Refused(Refusal::Damaged { position: 0 }));
}

#[test]
fn nothing_new_is_written_before_it_was_activated() {
    let mut journal = Journal::new(NEWEST_VERSION);
    let version_of = |actions: Vec<journal::Action>| match actions.first() {
        Some(journal::Action::Write(version, _)) => *version,
        other => panic!("{other:?}"),
    };
    assert_eq!(version_of(ask(&mut journal, 3, ONE, append(1, 1))), OLDEST_VERSION);
    assert_eq!(version_of(ask(&mut journal, 4, ONE, Request::Activate)), NEWEST_VERSION);
    assert_eq!(version_of(ask(&mut journal, 5, ONE, append(1, 2))), NEWEST_VERSION);
    let refused = ask(&mut Journal::new(OLDEST_VERSION), 3, ONE, Request::Activate);
    assert_eq!(reply_of(&refused), Reply::Refused(Refusal::Unsupported));
}

#[test]
fn version_1_cannot_say_what_version_2_has_added() {
    let mut out = Vec::new();
    assert!(Message::Sorry { sequence: 1 }.encode(OLDEST_VERSION, 99, &mut out).is_err());
    Message::Sorry { sequence: 1 }.encode(NEWEST_VERSION, 99, &mut out).unwrap();
    assert!(Message::decode(OLDEST_VERSION, &out).is_err());
    assert!(Message::decode(BodyVersion(3), &out).is_err());
}

// --- the echo machine ---------------------------------------------------------------------------------------------

fn echo_between(me: u32, peer: u32) -> Echo {
    let settings = Settings {
        window: 1,
        payload_bytes: 8,
        pause: MILLISECOND,
        timeout: Duration::from_millis(10),
        retries: 1,
        answer_within: Duration::from_millis(5),
    };
    Echo::new(node_id(me), NEWEST_VERSION, vec![node_id(peer)], settings)
}

fn delivered(from: u32, message: Message) -> echo::Event {
    let source = Incarnation { node: node_id(from), store: StoreIncarnation(1), boot: BootIncarnation(1) };
    echo::Event::Message(Delivery { envelope: Envelope { source, ..envelope() }, message })
}

fn sent(actions: &[echo::Action]) -> Vec<&Message> {
    let mut messages = Vec::new();
    for action in actions {
        if let echo::Action::Send { message, .. } = action {
            messages.push(message);
        }
    }
    messages
}

#[test]
fn a_ping_that_is_not_answered_is_sent_again_and_then_given_up() {
    let mut echo = echo_between(0, 1);
    tell(&mut echo, Time::ZERO, 1, echo::Event::Start);
    let due = echo.next_deadline().unwrap();
    let again = tell(&mut echo, due, 1, echo::Event::Wake);
    assert!(matches!(sent(&again)[..], [Message::Ping { sequence: 1, .. }]), "{again:?}");
    let given_up = tell(&mut echo, due + Duration::from_millis(10), 1, echo::Event::Wake);
    assert!(matches!(given_up[..], [echo::Action::Observe(ExampleObservation::Unanswered { .. })]), "{given_up:?}");
}

#[test]
fn an_answer_carries_its_time_limit() {
    let mut echo = echo_between(1, 0);
    let payload = payload_of(node_id(0), 9, 8);
    let ping = Message::Ping { sequence: 9, answer_within: MILLISECOND, payload };
    let answer = tell(&mut echo, Time::from_nanos(5), 1, delivered(0, ping));
    let limit = Time::from_nanos(5) + MILLISECOND;
    assert!(matches!(answer[..], [echo::Action::Send { not_after: Some(at), .. }] if at == limit), "{answer:?}");
}

#[test]
fn an_answer_that_was_late_becomes_an_apology() {
    let mut echo = echo_between(1, 0);
    let payload = payload_of(node_id(0), 9, 8);
    tell(&mut echo, Time::ZERO, 1, delivered(0, Message::Sorry { sequence: 99 }));
    let late = Message::Pong { sequence: 9, entries: 0, not_after: Time::ZERO, payload };
    let apology = tell(&mut echo, Time::ZERO, 1, echo::Event::Late(node_id(0), late));
    assert_eq!(sent(&apology), [&Message::Sorry { sequence: 9 }]);
}

#[test]
fn an_answer_of_someone_else_or_with_another_payload_counts_for_nothing() {
    let mut echo = echo_between(0, 1);
    tell(&mut echo, Time::ZERO, 1, echo::Event::Start);
    let pong = |payload| Message::Pong { sequence: 1, entries: 0, not_after: Time::MAX, payload };
    let good = payload_of(node_id(0), 1, 8);
    assert_eq!(tell(&mut echo, Time::ZERO, 1, delivered(7, pong(good))).len(), 0);
    assert_eq!(tell(&mut echo, Time::ZERO, 1, delivered(1, pong(payload_of(node_id(5), 1, 8)))).len(), 0);
    assert_eq!(tell(&mut echo, Time::ZERO, 1, delivered(1, pong(good))).len(), 1);
}

#[test]
fn a_peer_whose_queue_is_full_is_left_alone_until_it_has_room() {
    let mut echo = echo_between(0, 1);
    tell(&mut echo, Time::ZERO, 1, echo::Event::Full(node_id(1)));
    assert_eq!(tell(&mut echo, Time::ZERO, 1, echo::Event::Start).len(), 0);
    tell(&mut echo, Time::ZERO, 1, echo::Event::Room(node_id(1)));
    let due = echo.next_deadline().unwrap();
    assert_eq!(sent(&tell(&mut echo, due, 1, echo::Event::Wake)).len(), 1);
}

// --- the checkers -------------------------------------------------------------------------------------------------

struct Watch {
    checks: ExampleChecks,
    found: Findings,
}

impl Watch {
    fn new() -> Self {
        let text = "name = \"x\"\nabout = \"x\"\nnodes = 2\n[phases]\nsafety = \"1s\"\nliveness = \"1s\"\n";
        Self { checks: ExampleChecks::new(&parse(text).unwrap()), found: Findings::default() }
    }

    fn appends(&mut self, client: u32, sequence: u64, position: u64) -> &mut Self {
        let entry = entry_of(u64::from(client), sequence, 300);
        let request = Request::Append { log: log(), entry, hash: None };
        self.checks.asked(client, 0, &request, &mut self.found);
        self.checks.answered(client, 0, &request, &Reply::Appended { position }, &mut self.found);
        self
    }

    fn reads(&mut self, entries: Vec<Entry>, end: u64) -> &mut Self {
        let request = Request::Read { log: log(), from: 0, limit: 9 };
        self.checks.asked(9, 0, &request, &mut self.found);
        self.checks.answered(9, 0, &request, &Reply::Entries { from: 0, entries, end }, &mut self.found);
        self
    }

    fn pongs(&mut self, entries: u64, limit: Option<Time>) -> &mut Self {
        let payload = payload_of(node_id(1), 1, 64);
        let message = Message::Pong { sequence: 1, entries, not_after: Time::MAX, payload };
        let Route { to, via, ttl, class, tenant } = Route::direct(node_id(1), Class::Priority);
        let version = NEWEST_VERSION;
        let outgoing = Outgoing { to, via, ttl, class, tenant, version, sequence: 1, not_after: limit, message };
        self.checks.told.fill(NEWEST_VERSION);
        self.checks.sent(0, 1, &outgoing, &mut self.found);
        self
    }

    fn verdict(&self) -> Vec<&'static str> {
        self.found.violations.iter().map(|violation| violation.invariant).collect()
    }
}

fn envelope() -> Envelope {
    let node = NodeId::from_bytes([0; 16]);
    Envelope {
        cluster: ClusterId::from_bytes([0; 16]),
        domain: GossipDomain(0),
        tenant: Tenant(0),
        source: Incarnation { node, store: StoreIncarnation(0), boot: BootIncarnation(0) },
        destination: node,
        next_hop: node,
        ttl: 1,
        class: Class::Control,
        sequence: 1,
        cause: CauseId(0),
        version: NEWEST_VERSION,
        speaks: NEWEST_VERSION,
    }
}

#[test]
fn what_is_shown_in_order_is_fine() {
    let mut watch = Watch::new();
    watch.appends(1, 1, 0).appends(2, 1, 1).reads(vec![entry_of(1, 1, 300), entry_of(2, 1, 300)], 2);
    watch.pongs(1, Some(Time::MAX)).pongs(2, Some(Time::MAX));
    assert_eq!(watch.verdict(), [""; 0]);
}

#[test]
fn log_1_fires_when_a_position_changes_hands() {
    assert_eq!(Watch::new().appends(1, 1, 0).appends(2, 1, 0).verdict()[..1], [DUR_1]);
    assert!(Watch::new().appends(1, 1, 0).appends(2, 1, 0).verdict().contains(&LOG_1));
}

#[test]
fn log_1_fires_when_an_entry_shows_other_data() {
    let mut forged = entry_of(1, 1, 300);
    forged.data.push(1);
    assert_eq!(Watch::new().reads(vec![forged], 1).verdict(), [LOG_1]);
}

#[test]
fn log_2_fires_when_an_append_stands_twice() {
    assert_eq!(Watch::new().appends(1, 1, 0).appends(1, 1, 1).verdict(), [LOG_2]);
}

#[test]
fn dur_1_fires_when_an_acknowledged_entry_is_gone() {
    assert_eq!(Watch::new().appends(1, 1, 0).appends(1, 2, 1).reads(vec![entry_of(1, 1, 300)], 1).verdict(), [DUR_1]);
}

#[test]
fn dur_1_fires_when_a_node_tells_of_fewer_entries_than_before() {
    assert_eq!(Watch::new().pongs(5, Some(Time::MAX)).pongs(4, Some(Time::MAX)).verdict(), [DUR_1]);
}

#[test]
fn a_lost_store_excuses_what_stood_in_it() {
    let mut watch = Watch::new();
    watch.appends(1, 1, 0).pongs(5, Some(Time::MAX));
    watch.checks.store_lost(0);
    watch.checks.booted(0, TrueTime(0));
    watch.reads(vec![], 0).pongs(0, Some(Time::MAX));
    assert_eq!(watch.verdict(), [""; 0]);
}

#[test]
fn dur_2_fires_when_an_answer_leaves_without_its_limit() {
    assert_eq!(Watch::new().pongs(1, None).verdict(), [DUR_2]);
}

#[test]
fn echo_1_fires_on_a_wrong_payload_and_on_a_second_completion() {
    let mut watch = Watch::new();
    let payload = payload_of(node_id(1), 1, 64);
    let message = Message::Pong { sequence: 2, entries: 0, not_after: Time::ZERO, payload };
    watch.checks.received(1, 0, &envelope(), &message, &mut watch.found);
    assert_eq!(watch.verdict(), [ECHO_1]);
    let answered = ExampleObservation::Answered { sequence: 7, peer: node_id(0) };
    watch.checks.observed(1, &answered, &mut watch.found);
    watch.checks.observed(1, &answered, &mut watch.found);
    assert_eq!(watch.verdict(), [ECHO_1, ECHO_1]);
}

#[test]
fn echo_2_fires_for_every_node_without_an_answer_after_healing() {
    let mut watch = Watch::new();
    watch.checks.healed(TrueTime(0));
    watch.checks.finish(&mut watch.found);
    assert_eq!(watch.verdict(), [ECHO_2, ECHO_2]);
}

#[test]
fn vers_1_fires_when_something_newer_is_sent_or_written_than_its_reader_understands() {
    let mut watch = Watch::new();
    watch.checks.wrote(0, OLDEST_VERSION, &mut watch.found);
    watch.checks.asked(1, 1, &Request::Activate, &mut watch.found);
    watch.checks.wrote(1, NEWEST_VERSION, &mut watch.found);
    assert_eq!(watch.verdict(), [""; 0]);
    watch.checks.wrote(0, NEWEST_VERSION, &mut watch.found);
    watch.checks.unreadable(0, &mut watch.found);
    assert_eq!(watch.verdict(), [VERS_1, VERS_1]);
}
