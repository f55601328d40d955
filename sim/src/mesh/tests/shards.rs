//! Every checker of replicated logs is shown to fire, and to be silent where nothing is wrong.

use crate::check::Findings;
use crate::mesh::checks::*;
use crate::mesh::clients::shards::KEYED;
use crate::scenario::parse;
use crate::subject::Checks;
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use relaymesh_core::codec::{BodyVersion, decode_value, encode_value};
use relaymesh_core::control::group::wire::Blob;
use relaymesh_core::control::state::Name;
use relaymesh_core::envelope::Class;
use relaymesh_core::epoch::{ClusterEpoch, Epoch};
use relaymesh_core::identity::{StoreIncarnation, Tenant};
use relaymesh_core::mesh::{Message as Said, Reply, Request};
use relaymesh_core::node::Outgoing;
use relaymesh_core::replication::once::{SubmissionId, once};
use relaymesh_core::replication::registers::{Answer, Command};
use relaymesh_core::replication::{Block, LogSequence, Message, Position};
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host;

/// Three members with a shard, and the checkers that watch them.
struct Watch {
    checks: MeshChecks,
    found: Findings,
}

/// What a block holds.
#[derive(Clone, Copy)]
enum Of {
    Start,
    /// One entry a byte.
    Commands(&'static str),
}

impl Watch {
    fn new(control: &str) -> Self {
        let text = format!(
            "name = \"watch\"\nabout = \"Three replicas.\"\nsubject = \"mesh\"\nnodes = 3\n\
             [phases]\nsafety = \"1h\"\nliveness = \"1h\"\n[control]\nvoters = 3\n{control}\n[shards]\nshards = 1\n"
        );
        let mut checks = MeshChecks::new(&parse(&text).unwrap());
        (0..3).for_each(|host| checks.booted(host, TrueTime(0)));
        Self { checks, found: Findings::default() }
    }

    fn restarts(mut self, host: u32) -> Self {
        self.checks.booted(host, self.found.now);
        self
    }

    fn loses_its_store(mut self, host: u32) -> Self {
        self.checks.store_lost(host);
        self
    }

    fn says(mut self, host: u32, message: Message) -> Self {
        let said = host::Message::Replica { shard: shard(), store: StoreIncarnation(7), message };
        self.checks.sent(host, 2, &outgoing(2, said), &mut self.found);
        self
    }

    /// The owner of epoch `lease` sends what stands behind `before`, which is of epoch and sequence.
    fn appends(self, host: u32, lease: u64, before: (u64, u64), of: (u64, Of), mark: u64) -> Self {
        let (entry, of) = of;
        let block = Some(block(before.1 + 1, entry, of));
        let (epoch, before) = (epoch(lease), position(before));
        self.says(host, Message::Append { epoch, before, mark: LogSequence(mark), block })
    }

    fn tells(self, host: u32, lease: u64, before: (u64, u64), mark: u64) -> Self {
        let (epoch, before) = (epoch(lease), position(before));
        self.says(host, Message::Append { epoch, before, mark: LogSequence(mark), block: None })
    }

    fn promised(self, host: u32, lease: u64, end: (u64, u64), mark: u64) -> Self {
        self.says(host, Message::Promised { epoch: epoch(lease), end: position(end), mark: LogSequence(mark) })
    }

    fn holds(self, host: u32, lease: u64, upto: u64) -> Self {
        self.says(host, Message::Held { epoch: epoch(lease), upto: LogSequence(upto) })
    }

    /// A client asks and hears nothing yet.
    fn asks(mut self, client: u32, command: Command, is_logged: bool) -> Self {
        self.checks.asked(client, 0, &request(command, is_logged), &mut self.found);
        self
    }

    fn hears(mut self, client: u32, command: Command, is_logged: bool, reply: host::Reply) -> Self {
        let request = request(command, is_logged);
        self.checks.answered(client, 0, &request, &Reply::Shards(reply), &mut self.found);
        self
    }

    fn does(self, command: Command, answer: Answer) -> Self {
        self.asks(0, command, true).hears(0, command, true, done(answer))
    }

    fn reads(self, value: Option<u64>) -> Self {
        let command = Command::Read { register: 0 };
        self.asks(0, command, false).hears(0, command, false, done(Answer::Holds(value)))
    }

    fn writes(self, value: u64) -> Self {
        self.does(write(value), Answer::Holds(Some(value)))
    }

    /// The run ends.
    fn ends(mut self) -> Self {
        self.checks.finish(&mut self.found);
        self.found.violations.retain(|violation| violation.invariant == SHRD_1);
        self
    }

    #[track_caller]
    fn finds(&self, invariant: &str) {
        // One message may show it in two ways.
        let mut found: Vec<_> = self.found.violations.iter().map(|violation| violation.invariant).collect();
        found.dedup();
        assert_eq!(found, [invariant], "{:?}", self.found.violations);
    }

    #[track_caller]
    fn is_silent(&self) {
        assert!(self.found.violations.is_empty(), "{:?}", self.found.violations);
    }

    #[track_caller]
    fn has_exercised(&self, invariant: &str) {
        let counts = self.checks.exercised();
        assert!(counts.iter().any(|(name, count)| *name == invariant && *count > 0), "{counts:?}");
    }
}

fn outgoing(to: u32, said: host::Message) -> Outgoing<Said> {
    Outgoing {
        to: node_id(to),
        via: None,
        ttl: 1,
        class: Class::Control,
        tenant: Tenant::default(),
        version: BodyVersion(1),
        sequence: 1,
        not_after: None,
        message: Said::Shards(said),
    }
}

fn shard() -> ShardId {
    ShardId { namespace: Name::new("tasks").unwrap(), number: 0 }
}

fn epoch(lease: u64) -> Epoch {
    Epoch { cluster: ClusterEpoch(1), lease }
}

/// The start of all logs, or an entry.
fn position((lease, sequence): (u64, u64)) -> Position {
    let epoch = if sequence == 0 { Epoch::default() } else { epoch(lease) };
    Position { epoch, sequence: LogSequence(sequence) }
}

/// A block as a peer would send it.
fn block(first: u64, lease: u64, of: Of) -> Arc<Block> {
    let (is_start, bytes) = match of {
        Of::Start => (true, ""),
        Of::Commands(bytes) => (false, bytes),
    };
    let ends: Vec<u32> = if is_start { Vec::from([0]) } else { (1..=bytes.len() as u32).collect() };
    entries(first, lease, is_start, ends, bytes.into())
}

fn entries(first: u64, lease: u64, is_start: bool, ends: Vec<u32>, bytes: Vec<u8>) -> Arc<Block> {
    let mut encoded = Vec::new();
    encode_value(&(first, epoch(lease), is_start, ends, bytes), 1 << 20, &mut encoded).unwrap();
    Arc::new(decode_value(&encoded).unwrap())
}

fn request(command: Command, is_logged: bool) -> Request {
    let bytes = Blob(command.to_bytes().into_boxed_slice());
    Request::Shards(match is_logged {
        true => host::Request::Submit { shard: shard(), command: bytes },
        false => host::Request::Read { shard: shard(), query: bytes },
    })
}

fn write(value: u64) -> Command {
    Command::Write { register: 0, value }
}

fn done(answer: Answer) -> host::Reply {
    let mut bytes = Vec::new();
    encode_value(&answer, 64, &mut bytes).unwrap();
    host::Reply::Done(Blob(bytes.into_boxed_slice()))
}

/// n0 owns the shard under epoch 1, and four entries are acknowledged.
fn acknowledged() -> Watch {
    let start = Watch::new("").appends(0, 1, (0, 0), (1, Of::Start), 0);
    start.appends(0, 1, (1, 1), (1, Of::Commands("abc")), 1).tells(0, 1, (1, 4), 4)
}

#[test]
fn a_take_over_that_keeps_what_is_acknowledged_is_no_finding() {
    let watch = acknowledged().appends(0, 1, (1, 4), (1, Of::Commands("d")), 4).promised(2, 2, (1, 5), 4);
    // What was not acknowledged may be adopted, or may not.
    let kept = watch.appends(1, 2, (1, 5), (2, Of::Start), 4).appends(1, 2, (1, 4), (1, Of::Commands("d")), 4);
    kept.is_silent();
    for invariant in [TASK_1, PREF_1, OWNR_1] {
        kept.has_exercised(invariant);
    }
    let cut = acknowledged().appends(0, 1, (1, 4), (1, Of::Commands("d")), 4);
    cut.appends(1, 2, (1, 4), (2, Of::Start), 4).appends(1, 2, (2, 5), (2, Of::Commands("x")), 6).is_silent();
}

#[test]
fn task_1_finds_an_epoch_that_begins_before_what_is_acknowledged() {
    acknowledged().appends(1, 2, (1, 3), (2, Of::Start), 3).finds(TASK_1);
}

#[test]
fn task_1_finds_an_epoch_that_began_before_it_was_known_that_something_was_acknowledged() {
    let watch =
        Watch::new("").appends(0, 1, (0, 0), (1, Of::Start), 0).appends(0, 1, (1, 1), (1, Of::Commands("abc")), 1);
    watch.appends(1, 2, (1, 3), (2, Of::Start), 1).tells(0, 1, (1, 4), 4).finds(TASK_1);
}

#[test]
fn task_1_finds_another_entry_in_the_place_of_one_that_a_client_was_told_of() {
    let written = write(7).to_bytes();
    let block = Some(entries(2, 1, false, Vec::from([written.len() as u32]), written));
    let message = Message::Append { epoch: epoch(1), before: position((1, 1)), mark: LogSequence(1), block };
    let watch = Watch::new("").appends(0, 1, (0, 0), (1, Of::Start), 1);
    let told = watch.says(0, message).does(write(7), Answer::Holds(Some(7)));
    told.is_silent();
    told.appends(1, 2, (1, 1), (2, Of::Start), 1).finds(TASK_1);
}

#[test]
fn task_1_finds_a_member_that_has_lost_what_it_held() {
    acknowledged().promised(2, 2, (1, 3), 3).finds(TASK_1);
    acknowledged().loses_its_store(2).promised(2, 2, (1, 3), 3).is_silent();
}

#[test]
fn task_1_does_not_mind_an_owner_that_was_replaced_and_shows_what_nobody_acknowledged() {
    let watch = acknowledged().appends(1, 2, (1, 4), (2, Of::Start), 5).tells(1, 2, (2, 5), 5);
    watch.appends(0, 1, (1, 4), (1, Of::Commands("x")), 4).is_silent();
}

#[test]
fn task_1_finds_an_owner_that_acknowledges_what_a_later_one_has_replaced() {
    let watch = acknowledged().appends(1, 2, (1, 4), (2, Of::Start), 5).tells(1, 2, (2, 5), 5);
    watch.appends(0, 1, (1, 4), (1, Of::Commands("x")), 5).finds(TASK_1);
}

#[test]
fn pref_1_finds_two_entries_of_one_name_and_two_that_come_before_one() {
    acknowledged().appends(0, 1, (1, 1), (1, Of::Commands("axc")), 1).finds(PREF_1);
    let watch =
        Watch::new("").appends(0, 1, (0, 0), (1, Of::Start), 0).appends(0, 1, (1, 1), (1, Of::Commands("a")), 0);
    let watch = watch.appends(1, 2, (1, 1), (2, Of::Start), 0).appends(2, 3, (1, 2), (3, Of::Start), 0);
    watch.appends(2, 3, (2, 2), (3, Of::Start), 0).finds(PREF_1);
}

#[test]
fn ownr_1_finds_two_processes_that_act_under_one_epoch() {
    acknowledged().tells(1, 1, (1, 4), 4).finds(OWNR_1);
    // The same node, which has forgotten what it had under way.
    acknowledged().restarts(0).tells(0, 1, (1, 4), 4).finds(OWNR_1);
    acknowledged().restarts(0).says(0, Message::Promise { epoch: epoch(2) }).is_silent();
}

#[test]
fn fenc_1_finds_what_is_accepted_under_an_older_epoch_than_was_promised() {
    let watch = acknowledged().holds(2, 1, 4).promised(2, 2, (1, 4), 4);
    watch.is_silent();
    watch.has_exercised(FENC_1);
    watch.holds(2, 1, 5).finds(FENC_1);
    acknowledged().promised(2, 2, (1, 4), 4).restarts(2).holds(2, 1, 5).finds(FENC_1);
    acknowledged().holds(2, 2, 4).promised(2, 1, (1, 4), 4).finds(FENC_1);
    // An owner that promises somebody else acts no more.
    acknowledged().promised(0, 2, (1, 4), 4).tells(0, 1, (1, 4), 4).finds(FENC_1);
}

#[test]
fn fenc_1_holds_no_promise_against_another_store_nor_a_refusal_against_anybody() {
    acknowledged().promised(2, 2, (1, 4), 4).loses_its_store(2).holds(2, 1, 5).is_silent();
    let fenced = Message::Fenced { epoch: epoch(1), promised: epoch(2) };
    acknowledged().promised(2, 2, (1, 4), 4).says(2, fenced).is_silent();
}

#[test]
fn shrd_1_finds_a_stale_read_and_a_lost_write() {
    let watch = Watch::new("").reads(None).writes(1).writes(2).reads(Some(2)).ends();
    watch.is_silent();
    watch.has_exercised(SHRD_1);
    Watch::new("").writes(1).writes(2).reads(Some(1)).ends().finds(SHRD_1);
    Watch::new("").writes(1).reads(None).ends().finds(SHRD_1);
}

#[test]
fn shrd_1_lets_happen_late_what_nobody_knows_and_not_what_was_refused() {
    let unknown = |reply| Watch::new("").writes(1).asks(1, write(2), true).hears(1, write(2), true, reply);
    unknown(host::Reply::Unknown).reads(Some(1)).reads(Some(2)).ends().is_silent();
    unknown(host::Reply::Refused(host::Refusal::Busy)).reads(Some(2)).ends().finds(SHRD_1);
    Watch::new("").writes(1).asks(1, write(2), true).reads(Some(2)).reads(Some(1)).ends().finds(SHRD_1);
}

#[test]
fn clocks_that_stray_excuse_reads_that_are_not_in_the_log_and_nothing_else() {
    let strays = || Watch::new("clocks_stray = true\n").writes(1).writes(2);
    strays().reads(Some(1)).ends().is_silent();
    strays().does(Command::Read { register: 0 }, Answer::Holds(Some(1))).ends().finds(SHRD_1);
}

#[test]
fn shrd_1_finds_an_addition_that_took_effect_twice_and_an_answer_that_answers_nothing() {
    let add = Command::Add { register: 1 << 32, by: 1 };
    let read = Command::Read { register: 1 << 32 };
    let held = |sum| Answer::Holds(Some(sum));
    Watch::new("").does(add, held(1)).does(add, held(2)).does(read, held(2)).ends().is_silent();
    Watch::new("").does(add, held(1)).does(read, held(2)).ends().finds(SHRD_1);
    Watch::new("").does(write(1), Answer::Malformed).finds(SHRD_1);
    Watch::new("").does(write(1), Answer::Holds(Some(2))).finds(SHRD_1);
}

/// A register of a key, and what its client submits.
const KEY: u64 = KEYED + 5;

fn keyed() -> Request {
    let (key, command) = (Blob(KEY.to_le_bytes().into()), Command::Add { register: KEY, by: 1 }.to_bytes());
    Request::Shards(host::Request::SubmitOnce { shard: shard(), key, command: Blob(command.into_boxed_slice()) })
}

fn id() -> SubmissionId {
    SubmissionId::of(&shard().namespace, &KEY.to_le_bytes())
}

impl Watch {
    /// A client submits under the key, and hears that from n0.
    fn submits(mut self, reply: host::Reply) -> Self {
        self.checks.asked(0, 0, &keyed(), &mut self.found);
        self.checks.answered(0, 0, &keyed(), &Reply::Shards(reply), &mut self.found);
        self
    }

    fn sends(mut self, (host, to): (u32, u32), message: host::Message) -> Self {
        let outgoing = outgoing(to, message);
        self.checks.sent(host, to, &outgoing, &mut self.found);
        self
    }

    /// n0 asks n1 to keep it, which does.
    fn keeps(self) -> Self {
        let submission = host::Submission { shard: shard(), id: id(), command: Blob(Box::default()) };
        let keep = host::Message::Keep { number: 7, since: Some(0), submission: Box::new(submission) };
        self.sends((0, 1), keep).sends((1, 0), host::Message::Keeping { number: 7, keeping: host::Keeping::Kept })
    }

    /// n0 sends the entry of the key.
    fn shows_the_key(self) -> Self {
        let command = once(id(), 0, &Command::Add { register: KEY, by: 1 }.to_bytes());
        let block = entries(1, 1, false, Vec::from([command.len() as u32]), command.into());
        let (before, mark) = (Position::default(), LogSequence(0));
        self.says(0, Message::Append { epoch: epoch(1), before, mark, block: Some(block) })
    }
}

#[test]
fn park_1_finds_copies_that_nobody_has() {
    let parked = |copies| host::Reply::Parked { id: id(), copies };
    Watch::new("").submits(parked(1)).is_silent();
    Watch::new("").submits(parked(2)).finds(PARK_1);
    let watch = Watch::new("").submits(host::Reply::Unknown).keeps().submits(parked(2));
    watch.is_silent();
    watch.has_exercised(PARK_1);
}

#[test]
fn park_2_finds_what_is_said_to_have_taken_effect_and_was_shown_to_nobody_or_came_to_something_else() {
    let came_to = |value| done(Answer::Holds(Some(value)));
    Watch::new("").submits(came_to(1)).finds(PARK_2);
    Watch::new("").submits(host::Reply::Taken).finds(PARK_2);
    let watch = Watch::new("").submits(host::Reply::Unknown).shows_the_key().submits(came_to(1));
    watch.is_silent();
    watch.has_exercised(PARK_2);
    Watch::new("").submits(host::Reply::Unknown).shows_the_key().submits(came_to(2)).finds(PARK_2);
}
