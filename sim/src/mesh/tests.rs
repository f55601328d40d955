//! Every checker of membership is shown to fire, and to be silent where nothing is wrong.
//!
//! A [`Watch`] is fed what a world would have seen: nothing here runs a node.

mod control;
mod shards;
mod versions;

use super::Mesh;
use super::checks::*;
use super::measure::{Experiment, Setting, measure};
use super::truth::Truth;
use crate::check::{Findings, LIVE_1};
use crate::scenario::{Direction, FaultKind, MeshLoad, PlannedFault, parse};
use crate::subject::Checks;
use crate::time::TrueTime;
use crate::world::{Options, Verdict as RunVerdict, World, key_name, node_id};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::{Class, Envelope, KeyId, KeyIds};
use relaymesh_core::identity::{
    BootIncarnation, ClusterId, GossipDomain, Incarnation, NodeId, StoreIncarnation, Tenant,
};
use relaymesh_core::machine::CauseId;
use relaymesh_core::membership::wire::{Member, Message as Said, News, Rumor};
use relaymesh_core::membership::{
    self, Description, IncarnationNumber, Link, MemberView, MembershipObservation as Seen, Opinion, Status, Verdict,
};
use relaymesh_core::mesh::{AdmissionObservation, MeshObservation, Message, Reply, Request};
use relaymesh_core::node::Outgoing;
use relaymesh_core::time::Duration;

const NODES: u32 = 4;
/// Of another cluster.
const STRANGER: u32 = 3;
const SECOND: Duration = Duration::from_secs(1);

/// Three members that started at once, a stranger, and the checkers that watch them.
struct Watch {
    checks: MeshChecks,
    found: Findings,
    sequence: u64,
    /// Whether nobody asks the dead, which otherwise goes without saying.
    neglects_the_dead: bool,
}

impl Watch {
    /// The members have known one another from the first second on, and nothing has happened since.
    fn new() -> Self {
        let mut watch = Self::unacquainted();
        for observer in 0..STRANGER {
            for subject in (0..STRANGER).filter(|subject| *subject != observer) {
                watch.joins(observer, subject);
            }
        }
        watch
    }

    fn unacquainted() -> Self {
        let text = "name = \"watch\"\nabout = \"Three members and a stranger.\"\nsubject = \"mesh\"\nversion = 1\nnodes = 4\n\
                    [phases]\nsafety = \"1h\"\nliveness = \"1h\"\n[mesh]\nstrangers = 1\n\
                    [[fault]]\nkind = \"replay\"\nat = \"1h\"\nlasts = \"1s\"\nshare = \"1%\"\namount = \"1s\"\n";
        let scenario = parse(text).unwrap();
        assert_eq!(scenario.nodes, NODES);
        let mut watch = Self {
            checks: MeshChecks::new(&scenario),
            found: Findings::default(),
            sequence: 0,
            neglects_the_dead: false,
        };
        (0..NODES).for_each(|host| watch.checks.booted(host, TrueTime(0)));
        watch.at(1)
    }

    /// From now on it is that many seconds after the start.
    fn at(mut self, seconds: u64) -> Self {
        self.clock(seconds);
        self
    }

    fn clock(&mut self, seconds: u64) {
        self.found.now = TrueTime(seconds * 1_000_000_000);
    }

    fn sees(&mut self, host: u32, seen: Seen) {
        self.checks.observed(host, &MeshObservation::Membership(seen), &mut self.found);
    }

    fn joins(&mut self, observer: u32, subject: u32) {
        self.sees(observer, Seen::Joined { node: node_id(subject), status: Status::Alive, incarnation: 1 });
    }

    fn holds(&mut self, observer: u32, subject: u32, status: Status, incarnation: u64) {
        let (node, accuser) = (node_id(subject), node_id(observer));
        if matches!(status, Status::Suspect | Status::Dead) {
            // It hears what it has said itself in another life.
            self.hears_of(observer, subject, observer, Verdict { incarnation: IncarnationNumber(incarnation), status });
        }
        self.sees(observer, Seen::StatusChanged { node, status, incarnation, accuser });
    }

    /// Whoever holds somebody dead asks it whether it is back.
    fn ask_the_dead(&mut self) {
        for (host, subject) in (0..STRANGER).flat_map(|host| (0..STRANGER).map(move |subject| (host, subject))) {
            let held = self.checks.views.get(host, subject);
            if held.status == Some(Status::Dead) && self.checks.truth.is_up(host) {
                let verdict = Verdict { incarnation: IncarnationNumber(held.incarnation), status: Status::Dead };
                let news = News::Opinion(Opinion { node: node_id(subject), verdict, accuser: node_id(host) });
                self.says(host, subject, Said::Ping { probe: 99, rumors: vec![Rumor { age_ms: 0, news }] });
            }
        }
    }

    /// The observer has found out for itself.
    fn finds(&mut self, observer: u32, subject: u32, status: Status, incarnation: u64) {
        let (node, accuser) = (node_id(subject), node_id(observer));
        self.sees(observer, Seen::StatusChanged { node, status, incarnation, accuser });
    }

    /// Everybody else holds the subject to be that.
    fn all_hold(&mut self, subject: u32, status: Status, incarnation: u64) {
        let others = (0..STRANGER).filter(|observer| *observer != subject);
        others.for_each(|observer| self.holds(observer, subject, status, incarnation));
    }

    /// The subject was dead to the observer, comes back, and counts or does not.
    fn back_from_the_dead(&mut self, is_held: bool) {
        if is_held {
            self.sees(1, Seen::Held { node: node_id(0), seconds: 30 });
        }
        self.holds(1, 0, Status::Dead, 1);
        self.clock(200);
        self.holds(1, 0, Status::Alive, 2);
    }

    fn says(&mut self, host: u32, to: u32, said: Said) {
        self.says_by(Class::Gossip, host, to, said);
    }

    fn says_by(&mut self, class: Class, host: u32, to: u32, said: Said) {
        self.sequence += 1;
        let outgoing = Outgoing {
            to: node_id(to),
            via: None,
            ttl: 1,
            class,
            tenant: Tenant::default(),
            version: BodyVersion(1),
            sequence: self.sequence,
            not_after: None,
            message: Message::Membership(said),
        };
        self.checks.sent(host, to, &outgoing, &mut self.found);
    }

    /// Because of something that it has just heard.
    fn pings(&mut self, host: u32, to: u32) {
        self.hears(host, to, Said::Nack { probe: 0 });
        self.asks_in_turn(host, to);
    }

    fn asks_in_turn(&mut self, host: u32, to: u32) {
        self.says(host, to, Said::Ping { probe: 1, rumors: vec![] });
    }

    /// The host says that it is alive at that incarnation.
    fn says_alive(&mut self, host: u32, incarnation: u64) {
        let node = node_id(host);
        let verdict = Verdict::alive(IncarnationNumber(incarnation));
        let news = News::Opinion(Opinion { node, verdict, accuser: node });
        self.says(host, 2, Said::Gossip { rumors: vec![Rumor { age_ms: 0, news }] });
    }

    fn describes(&mut self, host: u32, description: &Arc<Description>) {
        let description = Arc::clone(description);
        let member = Member { node: node_id(host), incarnation: IncarnationNumber(1), description };
        self.says(host, 2, Said::SyncMembers { exchange: 1, members: vec![member] });
    }

    /// Everybody asks everybody.
    fn all_ask(&mut self) {
        for host in 0..STRANGER {
            (0..STRANGER).filter(|to| *to != host).for_each(|to| self.pings(host, to));
        }
    }

    fn takes(&mut self, host: u32, from: u32, sequence: u64) {
        self.takes_word(host, from, sequence, Said::Nack { probe: 0 });
    }

    fn hears(&mut self, host: u32, from: u32, said: Said) {
        self.sequence += 1;
        self.takes_word(host, from, 2_000_000 + self.sequence, said);
    }

    /// It is told that the subject is suspected.
    fn hears_of_suspect(&mut self, host: u32, subject: u32, accuser: u32, incarnation: u64) {
        let verdict = Verdict { incarnation: IncarnationNumber(incarnation), status: Status::Suspect };
        self.hears_of(host, subject, accuser, verdict);
    }

    fn hears_of(&mut self, host: u32, subject: u32, accuser: u32, verdict: Verdict) {
        let news = News::Opinion(Opinion { node: node_id(subject), verdict, accuser: node_id(accuser) });
        self.hears(host, accuser, Said::Gossip { rumors: vec![Rumor { age_ms: 0, news }] });
    }

    fn refuses(&mut self, host: u32) {
        let replayed = AdmissionObservation::Replayed { node: node_id(1), sequence: 0 };
        self.checks.observed(host, &MeshObservation::Admission(replayed), &mut self.found);
    }

    /// The host's process stands still from `began` to `ended`, in milliseconds.
    fn stops(&mut self, host: u32, began: u64, ended: u64) {
        let stop = fault(FaultKind::Pause, &[host]);
        self.checks.began_fault(&stop, TrueTime(began * 1_000_000));
        self.checks.ended_fault(&stop, TrueTime(ended * 1_000_000));
    }

    fn takes_word(&mut self, host: u32, from: u32, sequence: u64, said: Said) {
        if !self.neglects_the_dead {
            self.ask_the_dead();
        }
        let (node, store, boot) = (node_id(from), StoreIncarnation(7), BootIncarnation(1));
        let envelope = Envelope {
            cluster: ClusterId::from_bytes([1; 16]),
            domain: GossipDomain::default(),
            tenant: Tenant::default(),
            source: Incarnation { node, store, boot },
            destination: node_id(host),
            next_hop: node_id(host),
            ttl: 1,
            class: Class::Gossip,
            sequence,
            cause: CauseId(1),
            version: BodyVersion(1),
            speaks: BodyVersion(1),
        };
        let message = Message::Membership(said);
        self.checks.received(host, from, &envelope, &message, &mut self.found);
    }

    /// Something else arrives, at which checkers look at what is due.
    fn looks(&mut self) {
        self.sequence += 1;
        let sequence = 1_000_000 + self.sequence;
        self.takes(2, STRANGER, sequence);
    }

    fn asks(&mut self, host: u32, request: membership::Request, reply: membership::Reply) {
        let (request, reply) = (Request::Membership(request), Reply::Membership(reply));
        self.checks.asked(0, host, &request, &mut self.found);
        self.checks.answered(0, host, &request, &reply, &mut self.found);
    }

    fn answers(&mut self, host: u32, members: Vec<MemberView>) {
        self.asks(host, membership::Request::Members, membership::Reply::Members(members));
    }

    fn ends(&mut self, host: u32) {
        self.checks.ended(host, self.found.now);
    }

    fn boots(&mut self, host: u32) {
        self.checks.booted(host, self.found.now);
    }

    fn finishes(mut self) -> Self {
        self.ask_the_dead();
        self.checks.finish(&mut self.found);
        self
    }

    fn fired(&self) -> Vec<&'static str> {
        self.found.violations.iter().map(|violation| violation.invariant).collect()
    }

    /// What was to be caught was caught, and nothing else.
    fn caught(&self, invariant: &str) {
        let fired = self.fired();
        assert!(!fired.is_empty() && fired.iter().all(|name| *name == invariant), "{:?}", self.found.violations);
    }

    fn is_silent(&self) {
        assert!(self.found.violations.is_empty(), "{:?}", self.found.violations);
    }

    fn exercised(&self, invariant: &str) -> u64 {
        self.checks.exercised().into_iter().find(|(name, _)| *name == invariant).map_or(0, |(_, count)| count)
    }
}

fn description(host: u32, version: u64) -> Description {
    Description {
        version,
        store: StoreIncarnation(7),
        boot: BootIncarnation(1),
        endpoint: Endpoint::v4([10, 0, 0, host as u8], 7_946),
        health: 100,
        keys: KeyIds::new([key_name(0)]),
        speaks: 1,
        name: format!("n{host}").into(),
        profile: Arc::default(),
    }
}

fn view(subject: u32, description: Description) -> MemberView {
    MemberView {
        node: node_id(subject),
        status: Status::Alive,
        incarnation: IncarnationNumber(1),
        since: SECOND,
        in_good_standing: true,
        counts_in: None,
        link: Link::Direct,
        round_trip: None,
        predicted: None,
        description: Some(Arc::new(description)),
    }
}

/// Everyone, as each member would answer, with their first descriptions.
fn everyone() -> Vec<MemberView> {
    (0..STRANGER).map(|subject| view(subject, description(subject, 1))).collect()
}

fn fault(kind: FaultKind, nodes: &[u32]) -> PlannedFault {
    PlannedFault {
        name: kind.name().into(),
        kind,
        nodes: nodes.into(),
        links: Vec::new(),
        at: TrueTime(0),
        lasts: Some(SECOND),
        direction: Direction::Both,
        share: 0,
        amount: Duration::ZERO,
        back: false,
        rate_ppb: 0,
        value: 1,
        counted: true,
    }
}

// --- who is there -------------------------------------------------------------------------------------------------

#[test]
fn memb_1_a_crash_must_be_known_to_everybody_within_the_bound() {
    let crash = || {
        let mut watch = Watch::new().at(100);
        watch.ends(0);
        watch
    };
    let bound = Watch::new().checks.crash_bound().as_nanos() / 1_000_000_000;
    let mut unnoticed = crash();
    unnoticed.clock(100 + bound - 1);
    unnoticed.looks();
    unnoticed.is_silent();
    unnoticed.clock(100 + bound + 1);
    unnoticed.looks();
    unnoticed.caught(MEMB_1);

    let mut noticed = crash();
    noticed.all_hold(0, Status::Dead, 1);
    noticed.clock(100 + bound + 1);
    noticed.looks();
    noticed.is_silent();
    assert_eq!(noticed.exercised(MEMB_1), 2);

    let mut back = crash();
    back.clock(110);
    back.boots(0);
    back.clock(100 + bound + 1);
    back.looks();
    back.is_silent();
    assert_eq!(back.exercised(MEMB_1), 0);

    let mut cut_off = crash();
    cut_off.checks.began_fault(&fault(FaultKind::OneWay, &[1, 2]), TrueTime(101_000_000_000));
    cut_off.clock(100 + bound + 1);
    cut_off.looks();
    cut_off.is_silent();
}

#[test]
fn the_bound_of_a_crash_grows_with_the_mesh_and_then_no_more_than_suspicion_does() {
    let bound = |nodes: u32| {
        let text = format!(
            "name = \"b\"\nabout = \"b\"\nsubject = \"mesh\"\nversion = 1\nnodes = {nodes}\n\
             phases = {{ safety = \"1s\", liveness = \"1s\" }}\n"
        );
        MeshChecks::new(&parse(&text).unwrap()).crash_bound().as_nanos() / 1_000_000_000
    };
    assert_eq!([3, 8, 20, 200, 1_000].map(bound), [21, 31, 39, 40, 44]);
}

#[test]
fn memb_2_the_healthy_are_dead_nowhere() {
    let mut slandered = Watch::new().at(100);
    slandered.holds(1, 0, Status::Suspect, 1);
    slandered.is_silent();
    assert_eq!(slandered.exercised(MEMB_2), 1);
    slandered.clock(102);
    slandered.holds(1, 0, Status::Dead, 1);
    slandered.caught(MEMB_2);

    let mut ended = Watch::new().at(100);
    ended.ends(0);
    ended.holds(1, 0, Status::Dead, 1);
    ended.is_silent();

    for disturbed in [0, 1] {
        let mut cut_off = Watch::new().at(100);
        let mut cut = fault(FaultKind::Pause, &[disturbed]);
        cut.lasts = Some(SECOND);
        cut_off.checks.began_fault(&cut, TrueTime(90_000_000_000));
        cut_off.checks.ended_fault(&cut, TrueTime(91_000_000_000));
        cut_off.holds(1, 0, Status::Dead, 1);
        cut_off.is_silent();
    }
}

#[test]
fn memb_3_in_the_end_all_agree_on_who_is_there() {
    Watch::new().at(10).finishes().is_silent();

    let mut unknown = Watch::unacquainted();
    unknown.joins(0, 1);
    unknown.at(10).finishes().caught(MEMB_3);

    let mut suspected = Watch::new();
    suspected.holds(1, 0, Status::Suspect, 1);
    suspected.at(10).finishes().caught(MEMB_3);

    let mut haunted = Watch::new();
    haunted.ends(0);
    haunted.at(10).finishes().caught(MEMB_3);

    let mut buried = Watch::new();
    buried.ends(0);
    buried.all_hold(0, Status::Dead, 1);
    buried.at(10).finishes().is_silent();
}

#[test]
fn memb_3_answers_agree_with_one_another_and_with_what_operators_saw() {
    let mut honest = Watch::new().at(10);
    (0..STRANGER).for_each(|host| honest.answers(host, everyone()));
    honest.finishes().is_silent();

    let mut differing = Watch::new().at(10);
    let mut members = everyone();
    members[0].incarnation = IncarnationNumber(5);
    differing.answers(1, members);
    differing.answers(2, everyone());
    differing.finishes().caught(MEMB_3);

    let mut lying = Watch::new().at(10);
    let mut members = everyone();
    members[0].status = Status::Suspect;
    lying.answers(1, members.clone());
    lying.caught(MEMB_3);

    let mut changing = Watch::new().at(10);
    changing.holds(1, 0, Status::Suspect, 1);
    changing.answers(1, everyone());
    changing.is_silent();
}

#[test]
fn join_1_a_start_must_be_known_to_everybody_within_the_bound() {
    let restart = || {
        let mut watch = Watch::new().at(100);
        watch.ends(2);
        watch.all_hold(2, Status::Dead, 1);
        watch.clock(200);
        watch.looks();
        watch.boots(2);
        watch
    };
    let bound = restart().checks.join_bound().as_nanos() / 1_000_000_000;
    let mut unknown = restart();
    unknown.clock(200 + bound - 1);
    unknown.looks();
    unknown.is_silent();
    unknown.clock(200 + bound + 1);
    unknown.looks();
    unknown.caught(JOIN_1);

    let mut known = restart();
    for observer in [0, 1] {
        known.sees(observer, Seen::Held { node: node_id(2), seconds: 30 });
        known.holds(observer, 2, Status::Alive, 65);
    }
    known.clock(200 + bound + 1);
    known.looks();
    // Held only once it was back, which another test is about.
    assert!(known.fired().iter().all(|name| *name != JOIN_1));
    assert_eq!(known.exercised(JOIN_1) - restart().exercised(JOIN_1), 2);

    let mut seedless = restart();
    seedless.clock(190);
    seedless.checks.began_fault(&fault(FaultKind::Pause, &[0]), TrueTime(190_000_000_000));
    seedless.clock(200 + bound + 1);
    seedless.looks();
    seedless.is_silent();
}

#[test]
fn left_1_who_said_good_bye_is_gone_and_silent() {
    let good_bye = || {
        let mut watch = Watch::new().at(100);
        watch.asks(2, membership::Request::Leave, membership::Reply::Left);
        watch
    };
    let bound = good_bye().checks.leave_bound().as_nanos() / 1_000_000_000;
    let mut gone = good_bye();
    gone.all_hold(2, Status::Left, 1);
    gone.clock(100 + bound + 1);
    gone.looks();
    gone.is_silent();
    assert_eq!(gone.exercised(LEFT_1), 2);

    for status in [Status::Alive, Status::Suspect, Status::Dead] {
        let mut buried = good_bye();
        buried.holds(0, 2, Status::Left, 1);
        buried.clock(100 + bound - 1);
        if status != Status::Alive {
            buried.holds(1, 2, status, 1);
        }
        buried.clock(100 + bound + 1);
        buried.looks();
        buried.caught(LEFT_1);
    }

    let mut haunting = good_bye();
    haunting.pings(2, 0);
    haunting.caught(LEFT_1);

    let mut back = good_bye();
    back.ends(2);
    back.boots(2);
    back.pings(2, 0);
    back.is_silent();
}

#[test]
fn view_1_nobody_is_in_a_view_who_is_no_member() {
    let mut infiltrated = Watch::new();
    infiltrated.joins(0, STRANGER);
    infiltrated.caught(VIEW_1);

    let mut invented = Watch::new();
    let node = NodeId::from_bytes([9; 16]);
    invented.sees(0, Seen::Joined { node, status: Status::Alive, incarnation: 1 });
    invented.caught(VIEW_1);

    let mut turned = Watch::new();
    turned.joins(STRANGER, 0);
    turned.caught(VIEW_1);

    let mut overgrown = Watch::new();
    overgrown.sees(0, Seen::Members { members: 3, rows: 5 });
    overgrown.caught(VIEW_1);

    let mut crowded = Watch::new().at(10);
    crowded.answers(0, [everyone(), everyone()].concat());
    assert!(crowded.fired().contains(&VIEW_1));

    let mut innocent = Watch::new();
    innocent.sees(0, Seen::Members { members: 3, rows: 3 });
    innocent.is_silent();
    assert!(innocent.exercised(VIEW_1) > 0);
}

#[test]
fn verd_1_nobody_comes_back_but_by_a_higher_incarnation() {
    for (status, incarnation) in [(Status::Alive, 3), (Status::Suspect, 3), (Status::Alive, 2)] {
        let mut watch = Watch::new();
        watch.ends(0);
        watch.sees(1, Seen::Held { node: node_id(0), seconds: 30 });
        watch.holds(1, 0, Status::Dead, 3);
        watch.is_silent();
        watch.holds(1, 0, status, incarnation);
        watch.caught(VERD_1);
    }
    let mut risen = Watch::new();
    risen.ends(0);
    risen.sees(1, Seen::Held { node: node_id(0), seconds: 30 });
    risen.holds(1, 0, Status::Dead, 3);
    risen.holds(1, 0, Status::Alive, 4);
    risen.is_silent();

    let mut forgotten = Watch::new();
    forgotten.ends(0);
    forgotten.sees(1, Seen::Held { node: node_id(0), seconds: 30 });
    forgotten.holds(1, 0, Status::Dead, 3);
    forgotten.sees(1, Seen::Forgotten { node: node_id(0) });
    forgotten.joins(1, 0);
    forgotten.is_silent();
}

// --- what a node says of itself -----------------------------------------------------------------------------------

#[test]
fn incn_1_no_incarnation_is_said_in_two_lives() {
    for (later, is_legal) in [(4, false), (5, false), (6, true)] {
        let mut watch = Watch::new();
        watch.says_alive(0, 5);
        watch.says_alive(0, 4);
        watch.is_silent();
        watch.ends(0);
        watch.boots(0);
        watch.says_alive(0, later);
        match is_legal {
            true => watch.is_silent(),
            false => watch.caught(INCN_1),
        }
    }
    // Its store may turn out to be damaged while it runs.
    let mut renewed = Watch::new();
    renewed.checks.store_lost(0);
    renewed.says_alive(0, 5);
    renewed.ends(0);
    renewed.boots(0);
    renewed.says_alive(0, 1);
    renewed.is_silent();
    assert_eq!(renewed.exercised(INCN_1), 2);
}

/// A run in which n0 has described itself twice, the second time at 50 s, and `shown` is what n1 answers of it at the end.
fn shown(shown: Description) -> Watch {
    let mut watch = Watch::new();
    watch.describes(0, &Arc::new(description(0, 1)));
    watch.clock(50);
    watch.describes(0, &Arc::new(Description { health: 75, ..description(0, 2) }));
    watch.clock(200);
    let mut members = everyone();
    members[0] = view(0, shown);
    watch.answers(1, members);
    watch.all_ask();
    watch.finishes()
}

#[test]
fn desc_1_a_description_is_what_the_node_has_told_and_not_stale() {
    shown(Description { health: 75, ..description(0, 2) }).is_silent();
    shown(description(0, 1)).caught(DESC_1);
    shown(description(0, 2)).caught(DESC_1);

    let mut fresh = Watch::new();
    fresh.describes(0, &Arc::new(description(0, 1)));
    fresh.clock(195);
    fresh.describes(0, &Arc::new(Description { health: 75, ..description(0, 2) }));
    fresh.clock(200);
    fresh.answers(1, everyone());
    fresh.all_ask();
    fresh.finishes().is_silent();

    let mut nameless = Watch::new().at(200);
    let mut members = everyone();
    members[0].description = None;
    nameless.answers(1, members);
    nameless.all_ask();
    nameless.finishes().caught(DESC_1);
}

#[test]
fn desc_1_a_node_is_called_what_operators_call_it_and_says_which_keys_it_holds() {
    let renamed = |reply, name: &str| {
        let mut watch = Watch::new();
        let (new, profile) = (Box::<str>::from("new"), membership::Profile::default());
        watch.asks(0, membership::Request::Describe { name: new, profile }, reply);
        watch.clock(100);
        let mut members = everyone();
        members[0] = view(0, Description { name: name.into(), ..description(0, 1) });
        watch.answers(1, members);
        watch.all_ask();
        watch.finishes()
    };
    renamed(membership::Reply::Described, "new").is_silent();
    renamed(membership::Reply::Described, "n0").caught(DESC_1);

    let mut installed = Watch::new();
    installed.checks.began_fault(&fault(FaultKind::KeyInstall, &[0]), TrueTime(2_000_000_000));
    installed.clock(100);
    installed.answers(1, everyone());
    installed.all_ask();
    installed.finishes().caught(DESC_1);
}

#[test]
fn form_1_members_understand_one_another() {
    let mut refused = Watch::new();
    refused.sees(0, Seen::Refused { node: node_id(1) });
    refused.caught(FORM_1);
    let mut doubled = Watch::new();
    doubled.sees(0, Seen::IdentityConflict { claims: 3 });
    doubled.caught(FORM_1);
    let mut fine = Watch::new();
    fine.looks();
    fine.is_silent();
    assert_eq!(fine.exercised(FORM_1), 1);
}

// --- who counts ---------------------------------------------------------------------------------------------------

#[test]
fn hold_1_nobody_counts_again_before_it_was_healthy_for_long_enough() {
    let dead = |recovers: u64, rate_ppb: i64| {
        let mut watch = Watch::new().at(100);
        watch.ends(0);
        let fast = PlannedFault { rate_ppb, lasts: None, ..fault(FaultKind::ClockRate, &[1]) };
        watch.checks.began_fault(&fast, TrueTime(2_000_000_000));
        watch.back_from_the_dead(true);
        watch.is_silent();
        watch.clock(200 + recovers);
        watch.sees(1, Seen::Recovered { node: node_id(0) });
        watch
    };
    dead(29, 0).caught(HOLD_1);
    dead(30, 0).is_silent();
    assert!(dead(30, 0).exercised(HOLD_1) > 0);
    // Its clock says 30 s after 25.
    dead(25, 200_000_000).is_silent();
    dead(24, 200_000_000).caught(HOLD_1);

    let suspected = |recovers: u64| {
        let mut watch = Watch::new().at(100);
        watch.holds(1, 0, Status::Suspect, 1);
        watch.sees(1, Seen::Held { node: node_id(0), seconds: 5 });
        watch.holds(1, 0, Status::Alive, 2);
        watch.clock(100 + recovers);
        watch.sees(1, Seen::Recovered { node: node_id(0) });
        watch
    };
    suspected(4).caught(HOLD_1);
    suspected(5).is_silent();

    let mut at_once = Watch::new().at(100);
    at_once.ends(0);
    at_once.back_from_the_dead(false);
    at_once.caught(HOLD_1);
}

#[test]
fn hold_2_who_was_healthy_for_long_enough_counts_again() {
    let ending = |seconds: u64| {
        let mut watch = Watch::new().at(100);
        watch.ends(0);
        watch.back_from_the_dead(true);
        watch.boots(0);
        [1, 2].into_iter().for_each(|subject| watch.joins(0, subject));
        watch.all_ask();
        watch.at(200 + seconds).finishes()
    };
    ending(30).is_silent();
    ending(32).caught(HOLD_2);

    let mut relapsed = Watch::new().at(100);
    for _ in 0..2 {
        relapsed.sees(1, Seen::Held { node: node_id(0), seconds: 5 });
        relapsed.clock(105);
        relapsed.sees(1, Seen::Recovered { node: node_id(0) });
    }
    relapsed.sees(1, Seen::Held { node: node_id(0), seconds: 5 });
    relapsed.all_ask();
    relapsed.at(120).finishes().is_silent();

    let mut lying = Watch::new().at(100);
    lying.sees(1, Seen::Held { node: node_id(0), seconds: 5 });
    lying.clock(101);
    lying.answers(1, everyone());
    lying.caught(HOLD_2);
}

// --- probes and packets -------------------------------------------------------------------------------------------

#[test]
fn prob_1_everybody_is_asked_in_turn() {
    let pairs = || (0..STRANGER).flat_map(|host| (0..STRANGER).map(move |to| (host, to))).filter(|(a, b)| a != b);
    let mut diligent = Watch::new().at(480);
    pairs().for_each(|(host, to)| diligent.pings(host, to));
    let diligent = diligent.at(500).finishes();
    diligent.is_silent();
    assert_eq!(diligent.exercised(PROB_1), 6);

    let mut negligent = Watch::new().at(480);
    pairs().filter(|pair| *pair != (1, 2)).for_each(|(host, to)| negligent.pings(host, to));
    negligent.at(500).finishes().caught(PROB_1);

    let mut cut_off = Watch::new().at(480);
    cut_off.checks.began_fault(&fault(FaultKind::Pause, &[1]), TrueTime(480_000_000_000));
    pairs().filter(|pair| *pair != (1, 2)).for_each(|(host, to)| cut_off.pings(host, to));
    cut_off.at(500).finishes().is_silent();
}

#[test]
fn prob_1_who_answers_directly_counts_as_reached_directly() {
    let ending = |link| {
        let mut watch = Watch::new();
        watch.checks.healed(TrueTime(2_000_000_000));
        watch.clock(500);
        for (host, to) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            watch.pings(host, to);
        }
        let mut members = everyone();
        members[0].link = link;
        watch.answers(1, members);
        watch.finishes()
    };
    ending(Link::Direct).is_silent();
    ending(Link::Indirect).caught(PROB_1);
    ending(Link::Untried).caught(PROB_1);
}

// --- suspicions and probes ----------------------------------------------------------------------------------------

/// n1 has ended, and n0 suspects it from 100 s on.
fn suspecting() -> Watch {
    let mut watch = Watch::new().at(99);
    (0..STRANGER).for_each(|host| watch.sees(host, Seen::Members { members: 3, rows: 3 }));
    watch.ends(1);
    watch.holds(2, 1, Status::Dead, 1);
    watch.clock(100);
    watch.finds(0, 1, Status::Suspect, 1);
    watch
}

#[test]
fn susp_1_a_suspicion_lasts_no_longer_than_its_accusers_allow() {
    // Of three, one can confirm: 10.8 s without it, 1.8 s with it, and 0.2 s for a last word.
    let mut alone = suspecting();
    alone.clock(110);
    alone.looks();
    alone.is_silent();
    alone.clock(112);
    alone.looks();
    alone.caught(SUSP_1);

    let confirmed = |hears: &dyn Fn(&mut Watch)| {
        let mut watch = suspecting();
        watch.clock(101);
        hears(&mut watch);
        watch.clock(103);
        watch.looks();
        watch
    };
    confirmed(&|watch| watch.hears_of_suspect(0, 1, 2, 1)).caught(SUSP_1);
    confirmed(&|watch| watch.sees(0, Seen::ProbeFailed { node: node_id(2), health: 0 })).caught(PROB_2);
    // The accuser counts once, of this incarnation, in a message that the node takes, and while it is alive.
    confirmed(&|watch| watch.hears_of_suspect(0, 1, 0, 1)).is_silent();
    confirmed(&|watch| watch.hears_of_suspect(0, 1, 2, 0)).is_silent();
    confirmed(&|watch| {
        watch.hears_of_suspect(0, 1, 2, 1);
        watch.refuses(0);
    })
    .is_silent();
    confirmed(&|watch| {
        watch.holds(0, 2, Status::Suspect, 1);
        watch.hears_of_suspect(0, 1, 2, 1);
    })
    .is_silent();

    let mut ended = suspecting();
    ended.hears_of_suspect(0, 1, 2, 1);
    ended.clock(102);
    ended.finds(0, 1, Status::Dead, 1);
    ended.clock(120);
    ended.looks();
    ended.is_silent();
    assert_eq!(ended.exercised(SUSP_2), 1);
}

#[test]
fn susp_1_who_was_stopped_gives_the_time_back_and_no_more() {
    let stopped = |seconds: u64| {
        let mut watch = suspecting();
        watch.stops(0, 105_000, 125_000);
        watch.clock(seconds);
        watch.looks();
        watch
    };
    stopped(131).is_silent();
    stopped(133).caught(SUSP_1);
}

#[test]
fn susp_2_a_suspicion_lasts_no_shorter_than_its_accusers_allow() {
    let dying = |seconds: u64, hears: &dyn Fn(&mut Watch)| {
        let mut watch = suspecting();
        watch.clock(101);
        hears(&mut watch);
        watch.clock(seconds);
        watch.finds(0, 1, Status::Dead, 1);
        watch
    };
    dying(109, &|_| {}).caught(SUSP_2);
    dying(111, &|_| {}).is_silent();
    dying(102, &|watch| watch.hears_of_suspect(0, 1, 2, 1)).is_silent();
    dying(102, &|watch| watch.hears_of_suspect(0, 1, 0, 1)).caught(SUSP_2);
}

#[test]
fn paus_1_nobody_is_dead_for_the_time_in_which_its_observer_stood_still() {
    let dying = |seconds: u64| {
        let mut watch = suspecting();
        watch.stops(0, 100_500, 120_000);
        watch.clock(seconds);
        watch.finds(0, 1, Status::Dead, 1);
        watch
    };
    dying(120).caught(PAUS_1);
    dying(130).is_silent();
    assert_eq!(dying(130).exercised(PAUS_1), 1);
}

#[test]
fn prob_2_nobody_is_accused_before_others_and_a_stream_were_tried() {
    let failing = |asks_relay: bool, tries_stream: bool, waits_ms: u64| {
        let mut watch = Watch::new().at(10);
        watch.asks_in_turn(0, 1);
        if asks_relay {
            watch.says(0, 2, Said::PingRequest { probe: 1, target: node_id(1), rumors: vec![] });
        }
        if tries_stream {
            watch.says_by(Class::Control, 0, 1, Said::Ping { probe: 1, rumors: vec![] });
        }
        watch.found.now = TrueTime(10_000_000_000 + waits_ms * 1_000_000);
        watch.sees(0, Seen::ProbeFailed { node: node_id(1), health: 0 });
        watch
    };
    failing(true, true, 500).is_silent();
    failing(true, true, 400).caught(PROB_2);
    failing(true, false, 500).caught(PROB_2);
    failing(false, true, 500).caught(PROB_2);
}

#[test]
fn prob_3_who_is_asked_to_look_for_another_says_what_it_saw() {
    let asked = |target: u32, says: &dyn Fn(&mut Watch)| {
        let mut watch = Watch::new().at(10);
        watch.hears(0, 1, Said::PingRequest { probe: 7, target: node_id(target), rumors: vec![] });
        says(&mut watch);
        watch.clock(11);
        watch.looks();
        watch
    };
    asked(2, &|_| {}).caught(PROB_3);
    asked(2, &|watch| watch.says(0, 1, Said::Nack { probe: 8 })).caught(PROB_3);
    asked(2, &|watch| watch.says(0, 1, Said::Nack { probe: 7 })).is_silent();
    asked(2, &|watch| watch.says(0, 1, Said::Vouch { probe: 7 })).is_silent();
    asked(2, &|watch| watch.refuses(0)).is_silent();
    asked(2, &|watch| watch.stops(0, 10_100, 10_800)).is_silent();
    asked(2, &|watch| watch.ends(0)).is_silent();
    // Nobody looks for itself, or for somebody unknown.
    asked(0, &|_| {}).is_silent();
    asked(STRANGER, &|_| {}).is_silent();
}

#[test]
fn hlth_1_a_node_whose_probes_fail_asks_more_rarely() {
    let failing = |nacks: u32| {
        let mut watch = Watch::new().at(10);
        watch.asks_in_turn(0, 1);
        watch.says(0, 2, Said::PingRequest { probe: 1, target: node_id(1), rumors: vec![] });
        watch.says_by(Class::Control, 0, 1, Said::Ping { probe: 1, rumors: vec![] });
        (0..nacks).for_each(|_| watch.hears(0, 2, Said::Nack { probe: 1 }));
        watch.clock(11);
        watch.sees(0, Seen::ProbeFailed { node: node_id(1), health: 0 });
        watch.asks_in_turn(0, 2);
        watch
    };
    let asks_again = |nacks: u32, seconds: u64| {
        let mut watch = failing(nacks);
        watch.clock(seconds);
        watch.asks_in_turn(0, 2);
        watch
    };
    asks_again(0, 12).caught(HLTH_1);
    asks_again(0, 13).is_silent();
    asks_again(1, 12).is_silent();
    let mut mended = failing(0);
    mended.hears(0, 2, Said::Vouch { probe: 9 });
    mended.clock(12);
    mended.asks_in_turn(0, 2);
    mended.caught(HLTH_1);
    mended.clock(13);
    mended.asks_in_turn(0, 2);
    mended.caught(HLTH_1);
    assert_eq!(mended.fired().len(), 1, "it was mended when the second turn came");
}

#[test]
fn hlth_1_of_two_probes_of_one_member_the_one_that_failed_is_not_mistaken_for_the_other() {
    let mut watch = Watch::new().at(10);
    for probe in [1, 2] {
        watch.hears(0, 2, Said::Nack { probe: 0 });
        watch.says(0, 1, Said::Ping { probe, rumors: vec![] });
        watch.says(0, 2, Said::PingRequest { probe, target: node_id(1), rumors: vec![] });
        watch.says_by(Class::Control, 0, 1, Said::Ping { probe, rumors: vec![] });
    }
    // The second fails first, for the node's own fault; that is mended before the first fails, for which it is not.
    watch.hears(0, 2, Said::Nack { probe: 1 });
    watch.clock(11);
    watch.sees(0, Seen::ProbeFailed { node: node_id(1), health: 1 });
    watch.hears(0, 2, Said::Vouch { probe: 9 });
    watch.sees(0, Seen::ProbeFailed { node: node_id(1), health: 0 });
    for second in [12, 13] {
        watch.clock(second);
        watch.asks_in_turn(0, 2);
    }
    watch.is_silent();
}

#[test]
fn hold_3_one_accuser_takes_nobody_its_standing() {
    let ceasing = |accusers: &[u32], dies: bool| {
        let mut watch = suspecting();
        accusers.iter().for_each(|accuser| watch.hears_of_suspect(0, 1, *accuser, 1));
        if dies {
            let verdict = Verdict { incarnation: IncarnationNumber(1), status: Status::Dead };
            watch.hears_of(0, 1, 2, verdict);
            // It has as long to refute as the shortest suspicion lasts.
            watch.clock(102);
        }
        watch.sees(0, Seen::Held { node: node_id(1), seconds: 5 });
        if dies {
            watch.finds(0, 1, Status::Dead, 1);
        }
        watch.clock(103);
        watch.looks();
        watch
    };
    ceasing(&[], false).caught(HOLD_3);
    ceasing(&[0], false).caught(HOLD_3);
    ceasing(&[2], false).is_silent();
    ceasing(&[], true).is_silent();
}

#[test]
fn told_1_whoever_is_accused_hears_so() {
    let telling = |status: Status, incarnation: u64, held: Status| {
        let mut watch = Watch::new().at(10);
        watch.ends(1);
        watch.holds(0, 1, held, 4);
        let verdict = Verdict { incarnation: IncarnationNumber(incarnation), status };
        let news = News::Opinion(Opinion { node: node_id(1), verdict, accuser: node_id(0) });
        watch.says(0, 1, Said::Gossip { rumors: vec![Rumor { age_ms: 0, news }] });
        watch
    };
    telling(Status::Suspect, 4, Status::Suspect).is_silent();
    telling(Status::Dead, 4, Status::Dead).is_silent();
    telling(Status::Suspect, 3, Status::Suspect).caught(TOLD_1);
    telling(Status::Suspect, 4, Status::Dead).caught(TOLD_1);
}

#[test]
fn accu_1_whoever_has_lost_its_standing_accuses_nobody() {
    let accused_by = |held: Status, is_suppressed: bool, has_begun: bool| {
        let mut watch = Watch::new().at(10);
        watch.ends(1);
        watch.holds(0, 2, held, 2);
        if is_suppressed {
            watch.sees(0, Seen::Held { node: node_id(2), seconds: 5 });
        }
        if has_begun {
            watch.finds(0, 1, Status::Suspect, 1);
        }
        let status = if has_begun { Status::Dead } else { Status::Suspect };
        if has_begun {
            // Whose word it was, and not the end of its own suspicion.
            watch.hears_of(0, 1, 2, Verdict { incarnation: IncarnationNumber(1), status });
        }
        watch.sees(0, Seen::StatusChanged { node: node_id(1), status, incarnation: 1, accuser: node_id(2) });
        watch
    };
    accused_by(Status::Alive, false, false).is_silent();
    accused_by(Status::Suspect, false, false).is_silent();
    accused_by(Status::Alive, true, false).caught(ACCU_1);
    accused_by(Status::Alive, true, true).is_silent();
    accused_by(Status::Suspect, true, true).caught(ACCU_1);
}

#[test]
fn jury_1_whoever_hears_of_a_suspicion_looks_for_itself() {
    // In a mesh of three, everybody is drawn.
    let hearing = |looks: bool, is_looking: bool| {
        let mut watch = Watch::new().at(99);
        (0..STRANGER).for_each(|host| watch.sees(host, Seen::Members { members: 3, rows: 3 }));
        watch.ends(1);
        if is_looking {
            watch.asks_in_turn(0, 1);
        }
        watch.clock(100);
        watch.hears_of_suspect(0, 1, 2, 1);
        watch.sees(
            0,
            Seen::StatusChanged { node: node_id(1), status: Status::Suspect, incarnation: 1, accuser: node_id(2) },
        );
        if looks {
            let verdict = Verdict { incarnation: IncarnationNumber(1), status: Status::Suspect };
            let news = News::Opinion(Opinion { node: node_id(1), verdict, accuser: node_id(2) });
            watch.says(0, 1, Said::Ping { probe: 2, rumors: vec![Rumor { age_ms: 0, news }] });
        }
        watch.clock(101);
        watch.looks();
        watch
    };
    hearing(false, false).caught(JURY_1);
    hearing(true, false).is_silent();
    hearing(false, true).is_silent();
}

#[test]
fn prob_4_the_dead_are_asked_whether_they_are_back() {
    let searching = |asks_at: u64, seconds: u64| {
        let mut watch = Watch::new().at(100);
        watch.neglects_the_dead = true;
        watch.ends(1);
        watch.all_hold(1, Status::Dead, 1);
        for second in 101..=seconds {
            watch.clock(second);
            if second == asks_at {
                watch.ask_the_dead();
            }
            watch.looks();
        }
        watch
    };
    searching(0, 107).is_silent();
    searching(0, 108).caught(PROB_4);
    searching(106, 113).is_silent();
    searching(106, 114).caught(PROB_4);
}

#[test]
fn sync_1_each_step_brings_what_was_called_for() {
    let row = |host: u32| Member {
        node: node_id(host),
        incarnation: IncarnationNumber(1),
        description: Arc::new(description(host, 1)),
    };
    let wanted = |brings: &[u32]| {
        let mut watch = Watch::new().at(10);
        let wanted = vec![node_id(2), node_id(STRANGER)];
        watch.hears(0, 1, Said::SyncAnswer { exchange: 4, opinions: vec![], members: vec![], wanted });
        let members = brings.iter().map(|host| row(*host)).collect();
        watch.says(0, 1, Said::SyncMembers { exchange: 4, members });
        watch.clock(11);
        watch.looks();
        watch
    };
    wanted(&[2]).is_silent();
    wanted(&[]).caught(SYNC_1);

    let lacking = |answers_after: u64, brings: &[u32]| {
        let mut watch = Watch::new().at(10);
        watch.says(0, 1, Said::SyncDigests { exchange: 4, opener: row(0), digests: vec![1] });
        watch.clock(10 + answers_after);
        watch.hears(0, 1, Said::SyncRows { exchange: 4, rows: vec![], differing: vec![0], depth: 0 });
        let members = brings.iter().map(|host| row(*host)).collect();
        watch.says(0, 1, Said::SyncAnswer { exchange: 4, opinions: vec![], members, wanted: vec![] });
        watch.clock(100);
        watch.looks();
        watch
    };
    lacking(1, &[1, 2]).is_silent();
    lacking(1, &[2]).caught(SYNC_1);
    // That exchange was over.
    lacking(5, &[]).is_silent();
}

#[test]
fn left_1_nobody_outdoes_its_own_good_bye() {
    let after_good_bye = |incarnation: u64| {
        let mut watch = Watch::new();
        let node = node_id(0);
        let verdict = Verdict { incarnation: IncarnationNumber(4), status: Status::Left };
        let news = News::Opinion(Opinion { node, verdict, accuser: node });
        watch.says(0, 2, Said::Gossip { rumors: vec![Rumor { age_ms: 0, news }] });
        watch.says_alive(0, incarnation);
        watch
    };
    after_good_bye(3).is_silent();
    after_good_bye(5).caught(LEFT_1);
}

#[test]
fn hold_1_each_relapse_doubles_what_a_member_must_show() {
    let back = |again_at: u64, counts_after: u64| {
        let mut watch = Watch::new().at(10);
        for (dies, lives, counts) in [(10, 40, 70), (again_at, again_at + 30, again_at + 30 + counts_after)] {
            watch.clock(dies);
            watch.ends(1);
            watch.sees(0, Seen::Held { node: node_id(1), seconds: 30 });
            watch.holds(0, 1, Status::Dead, dies);
            watch.clock(lives);
            watch.holds(0, 1, Status::Alive, lives);
            watch.clock(counts);
            watch.sees(0, Seen::Recovered { node: node_id(1) });
        }
        watch
    };
    back(100, 30).caught(HOLD_1);
    back(100, 60).is_silent();
    // What is ten times as long ago is forgiven.
    back(311, 30).is_silent();
}

#[test]
fn repl_1_a_packet_is_taken_once() {
    let mut twice = Watch::new();
    twice.takes(0, 1, 5);
    twice.takes(0, 1, 5);
    twice.is_silent();
    twice.takes(0, 1, 6);
    twice.caught(REPL_1);

    let mut in_the_end = Watch::new();
    in_the_end.takes(0, 1, 5);
    in_the_end.takes(0, 1, 5);
    in_the_end.at(2).finishes().caught(REPL_1);

    let mut refused = Watch::new();
    refused.takes(0, 1, 5);
    refused.takes(0, 1, 5);
    let replayed = AdmissionObservation::Replayed { node: node_id(1), sequence: 5 };
    refused.checks.observed(0, &MeshObservation::Admission(replayed), &mut refused.found);
    refused.takes(0, 1, 6);
    refused.is_silent();
    assert_eq!(refused.exercised(REPL_1), 1);

    // The first copy came before the node knew whose it was, and a later one is the first that it takes.
    let mut strange = Watch::new();
    strange.takes(0, 1, 5);
    strange.checks.observed(0, &MeshObservation::Admission(replayed), &mut strange.found);
    strange.takes(0, 1, 5);
    strange.takes(0, 1, 6);
    strange.is_silent();
    strange.takes(0, 1, 5);
    strange.takes(0, 1, 7);
    strange.caught(REPL_1);

    let mut unknown = Watch::unacquainted();
    unknown.takes(0, 1, 5);
    unknown.joins(0, 1);
    unknown.takes(0, 1, 5);
    unknown.takes(0, 1, 6);
    unknown.is_silent();

    let mut elsewhere = Watch::new();
    elsewhere.takes(0, 1, 5);
    elsewhere.takes(2, 1, 5);
    elsewhere.takes(0, 2, 5);
    elsewhere.ends(0);
    elsewhere.boots(0);
    elsewhere.joins(0, 1);
    elsewhere.takes(0, 1, 5);
    elsewhere.takes(0, 1, 6);
    elsewhere.is_silent();
}

#[test]
fn pack_1_no_datagram_is_larger_than_the_budget() {
    for (class, bytes, is_legal) in
        [(Class::Gossip, 1_372, true), (Class::Gossip, 1_373, false), (Class::Control, 60_000, true)]
    {
        let mut watch = Watch::new();
        watch.checks.carried(0, 1, class, bytes);
        watch.looks();
        match is_legal {
            true => watch.is_silent(),
            false => watch.caught(PACK_1),
        }
    }
}

#[test]
fn goss_1_gossip_ends() {
    let gossip = || Said::Gossip { rumors: vec![] };
    let mut endless = Watch::new().at(46);
    endless.says(0, 1, gossip());
    endless.is_silent();
    endless.clock(48);
    endless.says(0, 1, gossip());
    endless.caught(GOSS_1);

    let mut news = Watch::new().at(46);
    news.sees(2, Seen::RumorHeard { age: 1 });
    news.clock(90);
    news.says(0, 1, gossip());
    news.is_silent();

    let mut own = Watch::new().at(46);
    own.describes(0, &Arc::new(description(0, 2)));
    own.clock(90);
    own.says(0, 1, gossip());
    own.is_silent();
}

#[test]
fn rate_1_in_calm_times_little_is_said() {
    let speaking = |from: u64, to: u64, each_second: u32| {
        let mut watch = Watch::new();
        for second in from..to {
            watch.clock(second);
            (0..each_second).for_each(|_| watch.pings(0, 1));
        }
        watch
    };
    // It takes two minutes from the last thing that happened until times are calm.
    speaking(2, 120, 100).is_silent();
    let calm = speaking(120, 240, 9);
    calm.is_silent();
    assert!(calm.exercised(RATE_1) > 0);
    assert_eq!(speaking(120, 240, 12).fired().first(), Some(&RATE_1));

    let under = |lasting: PlannedFault| {
        let mut watch = Watch::new();
        watch.checks.began_fault(&lasting, at(2));
        for second in 122..240 {
            watch.clock(second);
            (0..12).for_each(|_| watch.pings(0, 1));
        }
        watch
    };
    for kind in [FaultKind::Pause, FaultKind::FlipFlop, FaultKind::Partition, FaultKind::OneWay, FaultKind::Partial] {
        under(fault(kind, &[2])).is_silent();
    }
    under(PlannedFault { share: 800_000, ..fault(FaultKind::Loss, &[2]) }).is_silent();
    let borne = under(PlannedFault { share: 10_000, ..fault(FaultKind::Loss, &[2]) });
    assert_eq!(borne.fired().first(), Some(&RATE_1));
}

#[test]
fn keys_1_a_key_is_used_once_all_hold_it_and_dropped_once_nobody_seals_with_it() {
    let (old, new) = (key_name(0), key_name(1));
    let using = |id: KeyId, force: bool| membership::Request::UseKey { id, force };
    let dropping = |id: KeyId| membership::Request::RemoveKey { id, force: false };
    let installed = |hosts: &[u32]| {
        let mut watch = Watch::new();
        watch.checks.began_fault(&fault(FaultKind::KeyInstall, hosts), TrueTime(2_000_000_000));
        watch
    };
    let changed = membership::Reply::KeyChanged;

    let mut covered = installed(&[0, 1, 2]);
    (0..STRANGER).for_each(|host| covered.asks(host, using(new, false), changed.clone()));
    (0..STRANGER).for_each(|host| covered.asks(host, dropping(old), changed.clone()));
    covered.is_silent();
    assert_eq!(covered.exercised(KEYS_1), 12);

    let mut hasty = installed(&[0, 1]);
    hasty.asks(0, using(new, false), changed.clone());
    hasty.caught(KEYS_1);

    let mut forced = installed(&[0, 1]);
    forced.asks(0, using(new, true), changed.clone());
    forced.is_silent();

    let mut refused = installed(&[0, 1]);
    let refusal = membership::Refusal::NotCovered { id: new, missing: 1 };
    refused.asks(0, using(new, false), membership::Reply::Refused(refusal));
    refused.is_silent();

    let mut early = installed(&[0, 1, 2]);
    early.asks(0, using(new, false), changed.clone());
    early.asks(0, dropping(old), changed);
    early.caught(KEYS_1);
}

// --- the truth ----------------------------------------------------------------------------------------------------

fn truth() -> Truth {
    let mut truth = Truth::new(NODES, &MeshLoad { strangers: 1, ..MeshLoad::default() }, SECOND);
    (0..NODES).for_each(|host| truth.booted(host, at(0)));
    truth
}

const fn at(seconds: u64) -> TrueTime {
    TrueTime(seconds * 1_000_000_000)
}

#[test]
fn a_host_is_well_once_the_last_of_its_disturbances_has_ended() {
    let mut truth = truth();
    let (one, other) = (fault(FaultKind::Pause, &[0]), fault(FaultKind::OneWay, &[0, 1]));
    truth.fault(&one, true, at(10));
    truth.fault(&other, true, at(20));
    truth.fault(&one, false, at(30));
    assert!(!truth.is_well_since(0, at(35)) && !truth.is_well_since(1, at(35)));
    truth.fault(&other, false, at(40));
    assert!(truth.is_well_since(0, at(40)) && !truth.is_well_since(0, at(39)));
    assert!(truth.is_well_since(2, at(0)), "nothing ever happened to it");
    truth.ended(0, at(50));
    truth.booted(0, at(60));
    assert!(truth.is_well_since(0, at(60)) && !truth.is_well_since(0, at(59)));
    truth.left(0);
    assert!(!truth.is_well_since(0, at(60)) && truth.has_left(0));
}

#[test]
fn a_partition_concerns_everybody_and_what_the_mesh_must_bear_nobody() {
    let mut truth = truth();
    truth.fault(&fault(FaultKind::Partition, &[0]), true, at(1));
    assert!((0..STRANGER).all(|host| !truth.is_well_since(host, at(2))));
    truth.fault(&fault(FaultKind::Partition, &[0]), false, at(3));
    let shares =
        [(FaultKind::Loss, 50_000, true), (FaultKind::Loss, 50_001, false), (FaultKind::Partial, 300_000, true)];
    for (kind, share, is_borne) in shares {
        let fault = PlannedFault { share, ..fault(kind, &[0]) };
        truth.fault(&fault, true, at(4));
        assert_eq!(truth.is_well_since(0, at(3)), is_borne, "{kind:?} of {share}");
        truth.fault(&fault, false, at(4));
        truth.fault(&PlannedFault { lasts: Some(SECOND), ..fault }, false, at(3));
    }
}

#[test]
fn links_that_are_listed_cut_off_whom_they_leave_few_of() {
    let mut truth = truth();
    let cut = PlannedFault { links: vec![(0, 1), (0, 2)], ..fault(FaultKind::Partial, &[0, 1, 2]) };
    truth.fault(&cut, true, at(10));
    assert!(!truth.is_well_since(0, at(5)), "one of three is left");
    assert!(truth.is_well_since(1, at(5)) && !truth.is_calm());
    truth.fault(&cut, false, at(20));
    assert!(truth.is_calm_since(at(20)) && !truth.is_calm_since(at(19)));
    truth.ended(1, at(30));
    assert!(!truth.is_calm_since(at(29)), "an end is no calm");
}

#[test]
fn a_fast_clock_shows_a_span_sooner_and_a_slow_one_later() {
    let mut truth = truth();
    assert_eq!(truth.at_least(0, SECOND, 0), SECOND);
    let rate = |rate_ppb| PlannedFault { rate_ppb, ..fault(FaultKind::ClockRate, &[0]) };
    truth.fault(&rate(250_000_000), true, at(1));
    truth.fault(&rate(-200_000_000), true, at(1));
    assert_eq!(truth.at_least(0, SECOND, 0), Duration::from_millis(800));
    assert_eq!(truth.at_most(0, SECOND, 0), Duration::from_millis(1_250));
    assert_eq!(truth.at_least(1, SECOND, 0), SECOND);
}

// --- whole runs ---------------------------------------------------------------------------------------------------

#[test]
fn every_figure_is_measured_on_eight_nodes() {
    let setting = Setting { nodes: 8, metadata_bytes: 40, profile: "lan" };
    // The others last for an hour, or have a thousand scopes.
    for experiment in Experiment::ALL.into_iter().chain(Experiment::FAILOVER[..4].iter().copied()) {
        let sample = measure(experiment, setting, 1);
        assert_eq!(sample.report.verdict, RunVerdict::Held, "{experiment:?}: {:?}", sample.report.violations);
        let missing: Vec<_> = sample.figures.iter().filter(|(_, value)| value.is_none()).collect();
        assert!(missing.is_empty(), "{experiment:?}: {missing:?}");
        let wrong: Vec<_> = sample.figures.iter().filter(|(_, value)| value.is_some_and(|it| it < 0.0)).collect();
        assert!(wrong.is_empty(), "{experiment:?}: {wrong:?}");
    }
}

#[test]
fn strangers_have_views_of_their_own() {
    let text: String = "name = \"two\"\nabout = \"Two clusters.\"\nsubject = \"mesh\"\nversion = 1\nnodes = 6\n\
                        [phases]\nsafety = \"5s\"\nliveness = \"5s\"\n[mesh]\nstrangers = 3\n"
        .into();
    let mut world = World::<Mesh>::new(&parse(&text).unwrap(), 1, Options::default());
    world.run();
    assert_eq!(world.report().verdict, RunVerdict::Held, "{:?}", world.report().violations);
    assert_eq!(world.checks().views.members(3).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(world.checks().views.members(0).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn nobody_asks_anything_of_a_node_that_never_joins() {
    let text = "name = \"late\"\nabout = \"One never comes.\"\nsubject = \"mesh\"\nversion = 1\nnodes = 4\n\
                [phases]\nsafety = \"5s\"\nliveness = \"15s\"\n[mesh]\nlate = [2, 3]\ndescribe_at = \"3s\"\n\
                [[fault]]\nkind = \"join\"\nnodes = [2]\nat = \"1s\"\n";
    let mut world = World::<Mesh>::new(&parse(text).unwrap(), 1, Options::default());
    world.run();
    let report = world.report();
    assert_eq!(report.verdict, RunVerdict::Held, "{:?}", report.violations);
    assert_eq!(report.exercised[LIVE_1], 3, "the auditor's, after healing");
}
