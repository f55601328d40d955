//! The state of one voter or learner.

use super::ask::Asks;
use super::change::Procedure;
use super::check::Fault;
use super::checkpoint::Checkpoint;
use super::clock::Clock;
use super::compact::Build;
use super::convert::message_in;
use super::log::{Log, nobody};
use super::machine::{Action, Founding};
use super::members::{Members, Voter, VoterId};
use super::observation::GroupObservation;
use super::progress::Progress;
use super::ready::Disk;
use super::receive::Incoming;
use super::replay::Recovered;
use super::settings::Settings;
use super::transfer::Transfer;
use super::view::{Refusal, Status};
use super::wire::{Blob, Body, GroupId, Message, Record};
use super::{At, Replicated};
use crate::identity::{Incarnation, NodeId};
use crate::machine::{Ctx, Sink};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use raft::{Config, RawNode, StateRole};

/// Members not yet known here, to whom answers are sent.
const STRANGERS_MAX: usize = 16;

/// One voter or learner.
pub(super) struct Member<S: Replicated> {
    pub(super) settings: Settings,
    pub(super) group: GroupId,
    pub(super) id: VoterId,
    pub(super) life: Incarnation,
    pub(super) raft: RawNode<Log>,
    /// As of the last entry applied.
    pub(super) members: Members,
    /// As of the last entry applied. `None` until a new member got its first snapshot.
    pub(super) state: Option<S>,
    pub(super) applied: At,
    /// What the log stands on.
    pub(super) pieces: Arc<Vec<Blob>>,
    pub(super) disk: Disk,
    pub(super) clock: Clock,
    pub(super) progress: Progress,
    pub(super) asks: Asks,
    /// The change of voters that this leader carries out.
    pub(super) procedure: Option<Procedure>,
    pub(super) build: Option<Build<S>>,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) incoming: Option<Incoming<S>>,
    pub(super) transfers: BTreeMap<VoterId, Transfer>,
    strangers: BTreeMap<VoterId, Voter>,
    /// Term, role and leader, as siblings were told.
    pub(super) told: (u64, StateRole, u64),
    /// The term in which siblings were told that all is applied.
    pub(super) ready_term: u64,
    /// The term for which votes were asked, once the question has left; with pre-votes the one before.
    pub(super) asked: Option<(u64, StateRole)>,
    /// What is committed or stored needs a newer build: nothing happens any more.
    pub(super) is_halted: bool,
}

impl<S: Replicated> Member<S> {
    /// A member as its journal left it.
    pub(super) fn new(ctx: &mut Ctx<'_>, settings: Settings, life: Incarnation, recovered: Recovered<S>) -> Self {
        let Recovered { group, id, log, state, pieces, promised } = recovered;
        let base = log.base().map_or(At::default(), |base| At { index: base.index, term: base.term });
        let members = log.base().map_or_else(nobody, |base| base.members.clone());
        let (heartbeat, least, most) = settings.ticks();
        let config = Config {
            id: id.0,
            election_tick: least as usize,
            heartbeat_tick: heartbeat as usize,
            max_election_tick: most as usize,
            applied: base.index,
            max_size_per_msg: u64::from(settings.bounds.message_bytes),
            max_inflight_msgs: settings.bounds.appends_ahead as usize,
            check_quorum: true,
            pre_vote: true,
            max_committed_size_per_ready: u64::from(settings.bounds.apply_bytes),
            ..Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raft = match RawNode::new(&config, log, &logger) {
            Ok(raft) => raft,
            Err(error) => panic!("a journal that was checked does not make a member: {error}"),
        };
        let clock = Clock::new(ctx.now, settings.tick());
        let mut made = Self {
            settings,
            group,
            id,
            life,
            members,
            state,
            applied: base,
            pieces,
            disk: Disk::new(promised),
            clock,
            progress: Progress::default(),
            asks: Asks::default(),
            procedure: None,
            build: None,
            checkpoint: None,
            incoming: None,
            transfers: BTreeMap::new(),
            strangers: BTreeMap::new(),
            told: (raft.raft.term, StateRole::Follower, 0),
            ready_term: 0,
            asked: None,
            is_halted: false,
            raft,
        };
        made.draw_timeout(ctx);
        made
    }

    /// An event begins.
    pub(super) fn begin(&mut self, ctx: &Ctx<'_>) {
        self.disk.begin(ctx.next_record);
        self.clock.now = ctx.now;
        self.clock.has_work = None;
        self.catch_up_clock();
    }

    /// Does what is due, and what follows from the event. What came in is looked at before the clock: it may say that
    /// the leader is there.
    pub(super) fn go_on(&mut self, ctx: &mut Ctx<'_>, out: &mut impl Sink<Action<S>>) {
        if self.is_halted {
            return;
        }
        self.follow(ctx, out);
        self.tick(ctx, out);
        self.advance_transfers(out);
        self.follow(ctx, out);
        self.give_up_stale_snapshot();
        self.begin_build();
        if self.advance_build(out) {
            self.clock.has_work = Some(ctx.now);
        }
        self.expect();
    }

    pub(super) fn role(&self) -> StateRole {
        self.raft.raft.state
    }

    pub(super) fn is_leader(&self) -> bool {
        self.role() == StateRole::Leader
    }

    pub(super) fn last_index(&self) -> u64 {
        self.raft.raft.raft_log.last_index()
    }

    pub(super) fn first_index(&self) -> u64 {
        self.raft.raft.raft_log.first_index()
    }

    pub(super) fn term_of(&self, index: u64) -> Option<u64> {
        self.raft.raft.raft_log.term(index).ok()
    }

    /// Who leads, if that is known and another node.
    pub(super) fn leader(&self) -> Option<NodeId> {
        self.address(VoterId(self.raft.raft.leader_id)).map(|voter| voter.node)
    }

    pub(super) fn not_leader(&self) -> Refusal {
        Refusal::NotLeader { hint: self.leader() }
    }

    /// Whether nothing forbids to stand for election now.
    pub(super) fn may_stand(&self) -> bool {
        // The crate looks through the entries up to the commit, which a snapshot on its way to the disk interrupts; and
        // one who needs nobody else leads within the same step, for which all it has must be durable.
        let is_clean = self.disk.is_clean() && self.raft.raft.raft_log.persisted == self.last_index();
        !self.is_halted && !self.disk.is_installing() && (is_clean || !self.members.is_alone(self.id))
    }

    /// Whether votes were asked for in the candidacy under way, durably.
    pub(super) fn was_asked(&self) -> bool {
        self.asked == Some((self.raft.raft.term, self.role()))
    }

    /// Where a member lives that is known, or has spoken.
    pub(super) fn address(&self, id: VoterId) -> Option<Voter> {
        self.members.get(id).or_else(|| self.strangers.get(&id).copied())
    }

    fn remember(&mut self, id: VoterId, voter: Voter) {
        self.strangers.insert(id, voter);
        if self.strangers.len() > STRANGERS_MAX {
            self.strangers.pop_first();
        }
    }

    /// Takes a message in, or says why not.
    pub(super) fn hear(
        &mut self,
        source: &Incarnation,
        message: Message,
        out: &mut impl Sink<Action<S>>,
    ) -> Result<(), Fault> {
        self.check(source, &message)?;
        if self.members.get(message.from).is_none() {
            self.remember(message.from, Voter { node: source.node, store: source.store });
        }
        let Message { from, term, body, .. } = message;
        match body {
            Body::Piece { meta, number, bytes } => self.take_piece((from, term), meta, number, bytes, out),
            Body::Wants { index, number } => {
                self.wanted(from, index, number, out);
                Ok(())
            }
            body => {
                let message = Message { group: self.group, from, to: self.id, store: self.life.store, term, body };
                if let Some(message) = message_in(message) {
                    self.step(message);
                }
                Ok(())
            }
        }
    }

    /// Lets the crate take a message that was checked.
    pub(super) fn step(&mut self, message: raft::eraftpb::Message) {
        // It returns an error where it has dropped the message, which a network may do, too.
        let _ = self.raft.raft.step(message);
    }

    pub(super) fn send(&self, to: VoterId, term: u64, body: Body, out: &mut impl Sink<Action<S>>) {
        let Some(Voter { node, store }) = self.address(to) else { return };
        let message = Message { group: self.group, from: self.id, to, store, term, body };
        out.push(Action::Send { to: node, class: message.class(), message });
    }

    /// Writes a record, which is durable with all those before it.
    pub(super) fn write(&mut self, record: Record, out: &mut impl Sink<Action<S>>) -> crate::record::Sequence {
        out.push(Action::Write(record));
        self.disk.wrote()
    }

    pub(super) fn observe(&self, observation: GroupObservation, out: &mut impl Sink<Action<S>>) {
        out.push(Action::Observe(observation));
    }

    pub(super) fn status(&self) -> Status {
        let log = &self.raft.raft.raft_log;
        Status {
            id: self.id,
            term: self.raft.raft.term,
            leader: if self.is_leader() { Some(self.life.node) } else { self.leader() },
            is_leader: self.is_leader(),
            first: self.first_index(),
            last: self.last_index(),
            committed: log.committed,
            applied: self.applied.index,
            members: self.members.clone(),
        }
    }
}

/// What a store begins with when it founds a group: a snapshot that all founders make alike.
pub(super) fn founded<S: Replicated>(founding: &Founding<S>) -> (Members, GroupId) {
    (Members::founders(&founding.voters), GroupId::of(founding.nonce, &founding.voters))
}
