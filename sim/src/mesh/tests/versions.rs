//! The checkers of command versions are shown to fire, and to be silent where nothing is wrong.

use super::fault;
use crate::check::Findings;
use crate::mesh::checks::*;
use crate::scenario::{FaultKind, PlannedFault, parse};
use crate::subject::Checks;
use crate::time::TrueTime;
use crate::world::node_id;
use alloc::vec::Vec;
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::control::group::wire::{Blob, Body, Entry as Logged, Message as Says, Payload};
use relaymesh_core::control::group::{GroupId, VoterId};
use relaymesh_core::control::node::{self, Message as Controls};
use relaymesh_core::control::state::{
    Answer, Command, Entry, LeaderCommand, Name, Outcome, Refusal, Registration, Scope,
};
use relaymesh_core::envelope::Class;
use relaymesh_core::epoch::{ClusterEpoch, FenceToken};
use relaymesh_core::identity::{Incarnation, StoreIncarnation, Tenant};
use relaymesh_core::mesh::{Message, Reply, Request, fence};
use relaymesh_core::node::Outgoing;

/// Three voters of the old build, of which some are upgraded, and the checkers that watch them.
struct Watch {
    checks: MeshChecks,
    found: Findings,
}

impl Watch {
    fn new(upgraded: &[u32]) -> Self {
        let text = "name = \"watch\"\nabout = \"Three voters.\"\nsubject = \"mesh\"\nversion = 1\nnodes = 3\n\
                    [phases]\nsafety = \"1h\"\nliveness = \"1h\"\n[control]\nvoters = 3\nactivate_at = \"5s\"\n";
        let mut checks = MeshChecks::new(&parse(text).unwrap());
        (0..3).for_each(|host| checks.booted(host, TrueTime(0)));
        let mut it = Self { checks, found: Findings::default() }.at(1);
        upgraded.iter().for_each(|host| it.runs(*host, 2));
        it.at(20)
    }

    fn at(mut self, seconds: u64) -> Self {
        self.found.now = TrueTime(seconds * 1_000_000_000);
        self
    }

    fn runs(&mut self, host: u32, version: u64) {
        let fault = PlannedFault { value: version, lasts: None, ..fault(FaultKind::Version, &[host]) };
        self.checks.began_fault(&fault, self.found.now);
    }

    fn goes_back(mut self, host: u32) -> Self {
        self.runs(host, 1);
        self
    }

    /// The leader of `term` sends what stands in its log behind `index`.
    fn sends(mut self, term: u64, (index, commit): (u64, u64), entries: &[(u64, &Entry)]) -> Self {
        let logged = |(term, entry): &(u64, &Entry)| {
            let bytes = entry.to_bytes().unwrap();
            Logged { term: *term, payload: Payload::Command(Blob(bytes.into())) }
        };
        let body = Body::Append { index, log_term: 1, commit, entries: entries.iter().map(logged).collect() };
        let (from, to) = (VoterId(1), VoterId(2));
        let says = Says { group: GroupId(7), from, to, store: StoreIncarnation(2), term, body };
        let outgoing = Outgoing {
            to: node_id(1),
            via: None,
            ttl: 1,
            class: Class::Control,
            tenant: Tenant(0),
            version: BodyVersion(1),
            sequence: 1,
            not_after: None,
            message: Message::Control(Controls::Group(says)),
        };
        self.checks.sent(0, 1, &outgoing, &mut self.found);
        self
    }

    fn exchange(mut self, client: u32, request: node::Request, reply: node::Reply) -> Self {
        let (request, reply) = (Request::Control(request), Reply::Control(reply));
        self.checks.asked(client, 0, &request, &mut self.found);
        self.checks.answered(client, 0, &request, &reply, &mut self.found);
        self
    }

    fn activates(self) -> Self {
        self.exchange(1, node::Request::Activate { version: 2 }, executed(Outcome::Done(Answer::Set)))
    }

    fn retires(self, outcome: Outcome) -> Self {
        self.exchange(2, node::Request::Retire(scope()), executed(outcome))
    }

    fn acts(mut self, host: u32) -> Self {
        let request = Request::Fence(fence::Request::Act(scope()));
        let reply = Reply::Fence(fence::Reply::Acts(token()));
        self.checks.asked(3, host, &request, &mut self.found);
        self.checks.answered(3, host, &request, &reply, &mut self.found);
        self
    }

    #[track_caller]
    fn finds(&self, invariants: &[&str]) {
        let found: Vec<_> = self.found.violations.iter().map(|violation| violation.invariant).collect();
        assert_eq!(found, invariants, "{:?}", self.found.violations);
    }
}

fn executed(outcome: Outcome) -> node::Reply {
    node::Reply::Executed(outcome)
}

fn scope() -> Scope {
    Scope::Named(Name::new("spare").unwrap())
}

fn token() -> FenceToken {
    FenceToken::new(ClusterEpoch(1), 1)
}

fn not_activated() -> Outcome {
    Outcome::Refused(Refusal::NotActivated { version: BodyVersion(2), activated: BodyVersion(1) })
}

fn retire() -> Entry {
    let client = Incarnation { node: node_id(0), store: Default::default(), boot: Default::default() };
    let registered = Registration(token());
    let command = Command::Retire { scope: scope() }.into();
    Entry::Client { client, registered, sequence: 0, unanswered: 0, command }
}

fn activate(term: u64) -> Entry {
    Entry::Leader { term, command: LeaderCommand::Activate { version: BodyVersion(2) } }
}

#[test]
fn vers_1_finds_an_entry_before_its_activation() {
    let all = || Watch::new(&[0, 1, 2]);
    all().sends(1, (4, 4), &[(1, &activate(1))]).sends(1, (5, 5), &[(1, &retire())]).finds(&[]);
    all().sends(1, (4, 4), &[(1, &retire())]).finds(&[VERS_1]);
    // The activation stands behind it, is not committed yet, or is void in this term.
    all().sends(1, (4, 5), &[(1, &retire()), (1, &activate(1))]).finds(&[VERS_1]);
    all().sends(1, (4, 4), &[(1, &activate(1)), (1, &retire())]).finds(&[VERS_1]);
    all().sends(2, (4, 4), &[(2, &activate(1))]).sends(2, (5, 5), &[(2, &retire())]).finds(&[VERS_1]);
}

#[test]
fn vers_1_lets_a_later_leader_know_less_and_forgets_what_was_replaced() {
    let log = [(1, &activate(1)), (1, &retire())];
    let known = || Watch::new(&[0, 1, 2]).sends(1, (4, 4), &log[..1]);
    known().sends(2, (4, 4), &log).finds(&[]);
    known().sends(2, (4, 4), &[(2, &activate(1))]).sends(2, (5, 5), &[(2, &retire())]).finds(&[VERS_1]);
}

#[test]
fn vers_1_finds_an_activation_that_a_voter_does_not_understand() {
    let sends = |watch: Watch| watch.sends(1, (4, 4), &[(1, &activate(1))]);
    sends(Watch::new(&[0, 1])).finds(&[VERS_1]);
    sends(Watch::new(&[0, 1, 2]).goes_back(1).at(22)).finds(&[]);
    sends(Watch::new(&[0, 1, 2]).goes_back(1).at(30)).finds(&[VERS_1]);
    // Only who logs it is asked why: whoever sends it later has it.
    Watch::new(&[0, 1]).sends(2, (4, 4), &[(1, &activate(1))]).finds(&[]);
}

#[test]
fn vers_2_finds_a_refusal_after_the_activation_and_an_outcome_before() {
    let all = || Watch::new(&[0, 1, 2]);
    let done = || Outcome::Done(Answer::Set);
    all().retires(not_activated()).activates().retires(done()).finds(&[]);
    all().retires(done()).finds(&[VERS_2]);
    all().activates().retires(not_activated()).finds(&[VERS_2]);
    let refused = node::Reply::Refused(node::Refusal::Unheard { node: node_id(2) });
    let asked = all().exchange(1, node::Request::Activate { version: 2 }, refused);
    // Nobody was told that it is done; but what was executed tells it.
    asked.retires(Outcome::Refused(Refusal::InUse)).retires(not_activated()).finds(&[VERS_2]);
}

#[test]
fn vers_3_finds_who_acts_with_a_build_that_does_not_understand() {
    let activated = |upgraded: &[u32]| Watch::new(upgraded).activates();
    activated(&[0, 1, 2]).at(60).acts(2).finds(&[]);
    activated(&[0, 1]).at(24).acts(2).finds(&[]);
    activated(&[0, 1]).at(60).acts(2).finds(&[VERS_3]);
    Watch::new(&[0, 1]).at(60).acts(2).finds(&[]);
}
