//! Every checker of the control group is shown to fire, and to be silent where nothing is wrong.

use crate::check::Findings;
use crate::mesh::checks::*;
use crate::scenario::parse;
use crate::subject::Checks;
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::control::node::{self, ScopeStatus, Status};
use relaymesh_core::control::state::{Answer, Lease, Lineage, Name, Outcome, RecoveryId, Scope, SessionId};
use relaymesh_core::epoch::{ClusterEpoch, Epoch, FenceToken};
use relaymesh_core::lease::acceptor::Conflict;
use relaymesh_core::mesh::{Reply, Request, fence};
use relaymesh_core::time::WallTime;

const CLIENT: u32 = 0;
const OTHER: u32 = 1;

/// Three members, clients of the control group, and the checkers that watch them.
struct Watch {
    checks: MeshChecks,
    found: Findings,
}

impl Watch {
    fn new(control: &str) -> Self {
        let text = format!(
            "name = \"watch\"\nabout = \"Three voters.\"\nsubject = \"mesh\"\nversion = 1\nnodes = 3\n\
             [phases]\nsafety = \"1h\"\nliveness = \"1h\"\n[control]\nvoters = 3\n{control}"
        );
        let mut checks = MeshChecks::new(&parse(&text).unwrap());
        (0..3).for_each(|host| checks.booted(host, TrueTime(0)));
        Self { checks, found: Findings::default() }.at(1)
    }

    fn at(mut self, seconds: u64) -> Self {
        self.found.now = TrueTime(seconds * 1_000_000_000);
        self
    }

    fn restarts(mut self, host: u32) -> Self {
        self.checks.booted(host, self.found.now);
        self
    }

    fn loses_its_store(mut self, host: u32) -> Self {
        self.checks.store_lost(host);
        self
    }

    fn asks(&mut self, client: u32, host: u32, request: &Request) {
        self.checks.asked(client, host, request, &mut self.found);
    }

    fn hears(&mut self, client: u32, host: u32, request: &Request, reply: &Reply) {
        self.checks.answered(client, host, request, reply, &mut self.found);
    }

    fn exchange(mut self, host: u32, request: &Request, reply: &Reply) -> Self {
        self.asks(CLIENT, host, request);
        self.hears(CLIENT, host, request, reply);
        self
    }

    fn acts(self, host: u32, token: FenceToken) -> Self {
        let (request, reply) = acting(token);
        self.exchange(host, &request, &reply)
    }

    fn shows(self, host: u32, holder: u32, term: u64, token: FenceToken) -> Self {
        let lease = Lease { session: SESSION, holder: node_id(holder), term, granted: token, token };
        let status = Status {
            lineage: Lineage { epoch: ClusterEpoch(1), recovery: RecoveryId(1) },
            is_quarantined: false,
            voters: vec![],
            leader: None,
            term: Some(1),
            staleness: None,
            applied: 1,
            sessions: 1,
            scopes_total: 1,
            scopes: vec![ScopeStatus { scope: Scope::Global, lease: Some(lease), waiting: 0 }],
        };
        let reply = Reply::Control(node::Reply::Status(status));
        self.exchange(host, &Request::Control(node::Request::Status), &reply)
    }

    fn epoch_is_known(self, epoch: u64) -> Self {
        let epoch = ClusterEpoch(epoch);
        let request = Request::Control(node::Request::AwaitEpoch(epoch));
        self.exchange(0, &request, &Reply::Control(node::Reply::EpochKnown(epoch)))
    }

    fn accepts(self, host: u32, lease: u64) -> Self {
        self.exchange(host, &accept(epoch(lease)), &Reply::Fence(fence::Reply::Accepted))
    }

    fn refuses(self, host: u32, expected: u64, actual: u64) -> Self {
        let conflict = Conflict {
            scope: Scope::Global,
            expected: epoch(expected),
            actual: epoch(actual),
            who: node_id(0),
            when: WallTime::default(),
        };
        self.exchange(host, &accept(epoch(actual)), &Reply::Fence(fence::Reply::Stale(Box::new(conflict))))
    }

    fn writes(self, value: u64) -> Self {
        self.exchange(0, &write(value), &set())
    }

    fn reads(self, value: Option<u64>) -> Self {
        let request = Request::Control(node::Request::Read(register()));
        self.exchange(0, &request, &Reply::Control(node::Reply::Value(value)))
    }

    /// The run ends.
    fn ends(mut self) -> Self {
        self.checks.finish(&mut self.found);
        self.found.violations.retain(|violation| violation.invariant == CTRL_1);
        self
    }

    #[track_caller]
    fn finds(&self, invariant: &str) {
        let found: Vec<_> = self.found.violations.iter().map(|violation| violation.invariant).collect();
        assert_eq!(found, [invariant], "{:?}", self.found.violations);
    }

    #[track_caller]
    fn is_silent(&self) {
        assert!(self.found.violations.is_empty(), "{:?}", self.found.violations);
    }

    #[track_caller]
    fn has_exercised(&self, invariant: &str, times: u64) {
        assert!(self.checks.exercised().contains(&(invariant, times)), "{:?}", self.checks.exercised());
    }
}

const SESSION: SessionId = SessionId(token(3));

const fn token(index: u64) -> FenceToken {
    FenceToken::new(ClusterEpoch(1), index)
}

fn epoch(lease: u64) -> Epoch {
    Epoch { cluster: ClusterEpoch(1), lease }
}

fn register() -> Name {
    Name::new("register-0").unwrap()
}

fn acting(token: FenceToken) -> (Request, Reply) {
    (Request::Fence(fence::Request::Act(Scope::Global)), Reply::Fence(fence::Reply::Acts(token)))
}

fn accept(epoch: Epoch) -> Request {
    Request::Fence(fence::Request::Accept { scope: Scope::Global, epoch, who: node_id(0) })
}

fn write(value: u64) -> Request {
    Request::Control(node::Request::Write { register: register(), value })
}

fn set() -> Reply {
    Reply::Control(node::Reply::Executed(Outcome::Done(Answer::Set)))
}

#[test]
fn a_scope_that_goes_from_hand_to_hand_is_no_finding() {
    let watch = Watch::new("").acts(0, token(5)).acts(0, token(5)).acts(1, token(9)).acts(0, token(12));
    watch.is_silent();
    watch.has_exercised(LEASE_1, 4);
    watch.has_exercised(LEASE_2, 4);
}

#[test]
fn lease_1_finds_an_old_holder_that_acts_after_a_new_one() {
    Watch::new("").acts(0, token(5)).acts(1, token(9)).acts(0, token(5)).finds(LEASE_1);
}

#[test]
fn lease_1_finds_two_nodes_that_act_under_one_token() {
    let watch = Watch::new("").acts(0, token(5)).acts(1, token(5));
    let found: Vec<_> = watch.found.violations.iter().map(|violation| violation.invariant).collect();
    assert_eq!(found, [LEASE_1, LEASE_2]);
}

#[test]
fn clocks_that_stray_excuse_lease_1_and_nothing_else() {
    let strays = || Watch::new("clocks_stray = true\n");
    strays().acts(0, token(5)).acts(1, token(9)).acts(0, token(5)).is_silent();
    strays().acts(0, token(5)).acts(1, token(5)).finds(LEASE_2);
    strays().accepts(2, 9).accepts(2, 5).finds(LEASE_3);
}

#[test]
fn lease_2_finds_a_token_that_is_older_than_its_process() {
    let watch = Watch::new("clocks_stray = true\n").acts(0, token(9)).at(5).restarts(1).at(6);
    watch.acts(1, token(7)).finds(LEASE_2);
}

#[test]
fn lease_2_finds_tokens_that_do_not_rise_with_the_grants() {
    Watch::new("").shows(0, 1, 3, token(9)).shows(1, 2, 4, token(12)).is_silent();
    Watch::new("").shows(0, 1, 3, token(9)).shows(1, 2, 4, token(7)).finds(LEASE_2);
    Watch::new("").shows(0, 1, 4, token(7)).shows(1, 2, 3, token(9)).finds(LEASE_2);
}

#[test]
fn lease_2_finds_one_token_of_two_holders_or_of_two_grants() {
    Watch::new("").shows(0, 1, 3, token(9)).acts(2, token(9)).finds(LEASE_2);
    Watch::new("").shows(0, 1, 3, token(9)).shows(1, 1, 4, token(9)).finds(LEASE_2);
}

#[test]
fn lease_2_finds_a_process_that_shows_an_older_token_again() {
    let both = Watch::new("").shows(0, 1, 3, token(9)).shows(0, 2, 4, token(12));
    both.shows(0, 1, 3, token(9)).finds(LEASE_2);
    // After a restart it may not know yet what is committed.
    let both = Watch::new("").shows(0, 1, 3, token(9)).shows(0, 2, 4, token(12));
    both.restarts(0).shows(0, 1, 3, token(9)).is_silent();
}

#[test]
fn lease_3_finds_what_is_accepted_after_something_newer() {
    let watch = Watch::new("").accepts(2, 5).accepts(2, 9).accepts(1, 5);
    watch.is_silent();
    watch.has_exercised(LEASE_3, 1);
    watch.accepts(2, 5).finds(LEASE_3);
    Watch::new("").accepts(2, 9).restarts(2).accepts(2, 5).finds(LEASE_3);
}

#[test]
fn lease_3_does_not_hold_against_a_store_what_stood_in_another() {
    Watch::new("").accepts(2, 9).loses_its_store(2).accepts(2, 5).is_silent();
    // An answer that was under way when its store was lost.
    let mut watch = Watch::new("");
    watch.asks(OTHER, 2, &accept(epoch(9)));
    let mut watch = watch.loses_its_store(2);
    watch.hears(OTHER, 2, &accept(epoch(9)), &Reply::Fence(fence::Reply::Accepted));
    watch.accepts(2, 5).is_silent();
}

#[test]
fn lease_3_finds_a_refusal_without_a_reason() {
    Watch::new("").refuses(2, 9, 5).is_silent();
    Watch::new("").refuses(2, 5, 5).finds(LEASE_3);
}

#[test]
fn epoc_1_finds_who_acts_under_an_epoch_that_nobody_should() {
    let watch = Watch::new("").acts(0, token(5)).epoch_is_known(2);
    watch.acts(0, token(5)).finds(EPOC_1);
    let watch = Watch::new("").epoch_is_known(2).acts(0, FenceToken::new(ClusterEpoch(2), 9));
    watch.is_silent();
    watch.has_exercised(EPOC_1, 1);
}

#[test]
fn epoc_1_finds_an_answer_that_waited_while_an_epoch_became_known() {
    let mut watch = Watch::new("");
    let (request, reply) = acting(token(5));
    watch.asks(OTHER, 0, &request);
    let mut watch = watch.epoch_is_known(2);
    watch.hears(OTHER, 0, &request, &reply);
    watch.finds(EPOC_1);
}

#[test]
fn ctrl_1_finds_a_stale_read_and_a_lost_write() {
    let watch = Watch::new("").reads(None).writes(1).writes(2).reads(Some(2)).ends();
    watch.is_silent();
    watch.has_exercised(CTRL_1, 4);
    Watch::new("").writes(1).writes(2).reads(Some(1)).ends().finds(CTRL_1);
    Watch::new("").writes(1).reads(None).ends().finds(CTRL_1);
}

#[test]
fn ctrl_1_finds_a_swap_that_was_executed_twice() {
    let swap = Request::Control(node::Request::CompareAndSet { register: register(), expected: Some(1), value: 2 });
    let differs = Reply::Control(node::Reply::Executed(Outcome::Done(Answer::Differs(Some(2)))));
    Watch::new("").writes(1).exchange(0, &swap, &set()).reads(Some(2)).ends().is_silent();
    // The first time was not known; the second time it found its own value.
    Watch::new("").writes(1).exchange(0, &swap, &differs).reads(Some(2)).ends().finds(CTRL_1);
}

#[test]
fn ctrl_1_lets_happen_late_what_was_never_answered() {
    let mut watch = Watch::new("").writes(1);
    watch.asks(OTHER, 1, &write(2));
    let watch = watch.reads(Some(1)).reads(Some(2)).ends();
    watch.is_silent();
    let mut watch = Watch::new("").writes(1);
    watch.asks(OTHER, 1, &write(2));
    // Once it has been seen it cannot be undone.
    watch.reads(Some(2)).reads(Some(1)).ends().finds(CTRL_1);
}

#[test]
fn a_group_is_founded_held_and_written_to() {
    let text = "name = \"group\"\nabout = \"Three voters.\"\nsubject = \"mesh\"\nversion = 1\nnodes = 4\n\
                [phases]\nsafety = \"12s\"\nliveness = \"12s\"\n\
                [control]\nvoters = 3\nfound_at = \"2s\"\nbump_every = \"4s\"\ntransfer_every = \"1s\"\n";
    let report = crate::world::run::<crate::mesh::Mesh>(&parse(text).unwrap(), 7, crate::world::Options::default());
    assert!(report.violations.is_empty(), "{:?}", report.violations);
    for invariant in [LEASE_1, LEASE_2, LEASE_3, EPOC_1, CTRL_1] {
        assert!(report.exercised[invariant] > 0, "{invariant}");
    }
}
