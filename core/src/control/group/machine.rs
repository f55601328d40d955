//! Events, actions, and the one dispatcher.

use super::change::may_be_voters;
use super::check::Fault;
use super::checkpoint::standing_record;
use super::member::{Member, founded};
use super::members::Voter;
use super::observation::GroupObservation;
use super::replay::{Replay, Seats, founding_records};
use super::settings::Settings;
use super::view::{Refusal, Reply, Request, Role, Status, Ticket};
use super::wire::{Body, GroupId, Message, Record, SnapshotMeta};
use super::{At, CannotApply, Replicated};
use crate::envelope::Class;
use crate::identity::{Incarnation, NodeId};
use crate::machine::{Ctx, Machine, Sink};
use crate::record::Sequence;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// What can happen to the group.
#[derive(Debug)]
pub enum Event<S> {
    /// The node may speak.
    Start {
        /// The life that begins.
        life: Incarnation,
    },
    /// A deadline may have passed.
    Wake,
    /// A member says something.
    Message {
        /// Who, as its packet names it.
        from: Incarnation,
        /// What.
        message: Message,
    },
    /// Records up to this one are durable.
    Durable(Sequence),
    /// The records before this one are to be given up: what is needed of them is to be written again.
    Checkpoint(Sequence),
    /// A sibling or an operator asks.
    Request(Ticket, Request),
    /// An operator founds a group, on each of its voters.
    Found(Ticket, Box<Founding<S>>),
    /// This node goes by the history of a later group: it is no member of this one any more.
    Superseded,
}

/// How a group begins. Founders that are told different things do not meet.
#[derive(Clone, Debug)]
pub struct Founding<S> {
    /// Drawn once by whoever founds.
    pub nonce: u128,
    /// The first voters.
    pub voters: BTreeSet<Voter>,
    /// What they replicate, the same on all.
    pub state: S,
    /// The entry with which that ends, and behind which their log begins.
    pub at: At,
    /// Whether this is instead of the group that this node is a member of, of which no quorum is left.
    pub is_recovery: bool,
}

/// What the group asks for.
#[derive(Debug)]
pub enum Action<S: Replicated> {
    /// Tell a member something. Never held at the gate: what it rests on is durable.
    Send {
        /// Whom.
        to: NodeId,
        /// On which lane.
        class: Class,
        /// What.
        message: Message,
    },
    /// Remember something. The first one of an event takes the position `ctx.next_record`, and so on: nobody else may
    /// write before it in the same event.
    Write(Record),
    /// Answer a request.
    Reply(Ticket, Result<Reply<S::Outcome>, Refusal>),
    /// A committed entry changed this.
    Changed(S::Change),
    /// A snapshot replaced the state: nothing that was known of it holds.
    Restated,
    /// The members changed.
    Members,
    /// This node is something else to the group than before.
    Role(Role),
    /// Somebody else leads, or nobody.
    Leader(Option<NodeId>),
    /// This member needs a newer build and takes no part any more.
    Halted,
    /// Let operators see something.
    Observe(GroupObservation),
}

/// The control group as one process of one node sees it.
pub struct Group<S: Replicated> {
    settings: Settings,
    life: Option<Incarnation>,
    replay: Replay<S>,
    member: Option<Box<Member<S>>>,
    seats: Seats,
    /// The last cut for which everything was written again.
    checkpointed: Option<Sequence>,
}

/// Groups that a store can have been a member of: each but the first came of a recovery.
const SEATS_MAX: usize = 64;

impl<S: Replicated> Group<S> {
    /// A process that has not read its journal yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, life: None, replay: Replay::new(), member: None, seats: Seats::new(), checkpointed: None }
    }

    /// Takes a record back after a restart.
    pub fn replay(&mut self, record: Record) {
        self.replay.take(record);
    }

    /// What is replicated, as of the last entry applied here. `None` on a node that is no member, or has nothing yet.
    pub fn state(&self) -> Option<&S> {
        self.member.as_ref()?.state.as_ref()
    }

    /// How the group looks from here, on a member.
    pub fn status(&self) -> Option<Status> {
        self.member.as_ref().map(|member| member.status())
    }

    /// The entries behind `after` up to `upto`, as they were applied here: the term of each, and its bytes, none for what the group keeps to itself.
    /// `None` where they are gone, not applied yet, or more than `bytes`.
    pub fn applied_between(&self, after: u64, upto: u64, bytes: usize) -> Option<Vec<(u64, Box<[u8]>)>> {
        let member = self.member.as_ref()?;
        member.applied_between(after, upto, bytes)
    }

    /// Whether the log of this member leads on from that entry to the last one applied.
    pub fn leads_on_from(&self, index: u64) -> bool {
        self.member.as_ref().is_some_and(|member| member.leads_on_from(index))
    }

    /// Where the log of this member ends, committed or not, and the state with all of it: what is left of a group whose
    /// quorum is lost. Whatever was acknowledged is in the longest log of those who voted for it.
    ///
    /// # Errors
    /// [`CannotApply`] when this build does not know one of the entries.
    pub fn end_of_log(&self) -> Result<Option<(At, S)>, CannotApply> {
        self.member.as_ref().map_or(Ok(None), |member| member.end_of_log())
    }

    /// Where the log of this member ends.
    pub fn last(&self) -> Option<At> {
        let member = self.member.as_ref()?;
        let index = member.last_index();
        Some(At { index, term: member.term_of(index)? })
    }

    /// Whether everything that is needed of the records before `cut` was written again.
    pub fn has_checkpoint(&self, cut: Sequence) -> bool {
        self.checkpointed == Some(cut)
    }

    /// The group this node is a member of.
    pub fn id(&self) -> Option<GroupId> {
        self.member.as_ref().map(|member| member.group)
    }

    /// The term of an entry of this member's log; zero for one that only its snapshot holds.
    #[cfg(test)]
    pub(super) fn log_term(&self, index: u64) -> Option<u64> {
        let member = self.member.as_ref()?;
        if index < member.first_index() { Some(0) } else { member.term_of(index).filter(|term| *term > 0) }
    }

    fn start(&mut self, ctx: &mut Ctx<'_>, life: Incarnation, out: &mut impl Sink<Action<S>>) {
        self.life = Some(life);
        let replay = core::mem::replace(&mut self.replay, Replay::new());
        self.seats.clone_from(replay.seats());
        if let Some(recovered) = replay.finish() {
            let mut member = Member::new(ctx, self.settings.clone(), life, recovered);
            member.begin(ctx);
            member.halt_if_too_old(out);
            self.member = Some(Box::new(member));
        }
    }

    fn found(
        &mut self,
        ctx: &mut Ctx<'_>,
        life: Incarnation,
        founding: &Founding<S>,
        out: &mut impl Sink<Action<S>>,
    ) -> Result<Reply<S::Outcome>, Refusal> {
        let (members, group) = founded(founding);
        if let Some(member) = &mut self.member {
            match member.group == group {
                true => return Ok(Reply::Founded(group)),
                false if !founding.is_recovery || member.is_leader() => return Err(Refusal::OtherGroup),
                false => member.asks.drop_all(Refusal::NotMember, out),
            }
        }
        let own = Voter { node: life.node, store: life.store };
        let id = members.id_of(own).filter(|_| may_be_voters(&founding.voters)).ok_or(Refusal::BadVoters)?;
        let At { index, term } = founding.at;
        let meta = SnapshotMeta { index, term, members, pieces: 0 };
        let records = founding_records(group, id, meta, &founding.state);
        self.begin(ctx, life, records, out);
        if founding.is_recovery {
            out.push(Action::Restated);
        }
        Ok(Reply::Founded(group))
    }

    /// Becomes the member that these records make.
    fn begin(&mut self, ctx: &mut Ctx<'_>, life: Incarnation, records: Vec<Record>, out: &mut impl Sink<Action<S>>) {
        let count = records.len() as u64;
        let mut replay = Replay::new();
        replay.remember(&self.seats);
        for record in records {
            replay.take(record.clone());
            out.push(Action::Write(record));
        }
        self.seats.clone_from(replay.seats());
        let Some(recovered) = replay.finish() else { return };
        let mut member = Member::new(ctx, self.settings.clone(), life, recovered);
        member.disk.begin(Sequence(ctx.next_record.0 + count));
        member.disk.wait_for_all();
        self.member = Some(Box::new(member));
    }

    /// Becomes a new member because a leader says so. Only one who has promised nothing may: no member yet, one that has
    /// got nothing, or one that knows of its removal; and nobody becomes again who it has been, whose promises are gone.
    fn is_adopted(&self, life: Incarnation, from: &Incarnation, message: &Message) -> bool {
        let speaks = matches!(message.body, Body::Append { .. } | Body::Heartbeat { .. } | Body::Piece { .. });
        let is_for_me = message.store == life.store && message.to.0 > 0 && message.from != message.to;
        let is_free = self.member.as_ref().is_none_or(|member| {
            let is_other = (member.group, member.id) != (message.group, message.to);
            is_other && (member.state.is_none() || member.members.has_left(member.id))
        });
        let is_new = match self.seats.get(&message.group) {
            Some(last) => *last < message.to,
            None => self.seats.len() < SEATS_MAX,
        };
        speaks && is_for_me && is_free && is_new && from.node != life.node
    }

    fn adopt(&mut self, ctx: &mut Ctx<'_>, life: Incarnation, message: &Message, out: &mut impl Sink<Action<S>>) {
        if let Some(mut member) = self.member.take() {
            member.asks.drop_all(Refusal::NotMember, out);
        }
        self.begin(ctx, life, alloc::vec![Record::Joined { group: message.group, id: message.to }], out);
    }

    /// Is a member no more, until it is made one of another group. What it has promised stays in the journal; once
    /// that is trimmed, that it was that member does.
    fn leave(&mut self, out: &mut impl Sink<Action<S>>) {
        let Some(mut member) = self.member.take() else { return };
        member.asks.drop_all(Refusal::NotMember, out);
        if member.is_leader() {
            member.drop_procedure(Refusal::NotMember, out);
            out.push(Action::Role(Role::Deposed));
        }
        out.push(Action::Leader(None));
        out.push(Action::Members);
    }

    fn checkpoint(&mut self, cut: Sequence, out: &mut impl Sink<Action<S>>) {
        if self.has_checkpoint(cut) {
            return;
        }
        match &mut self.member {
            Some(member) => member.begin_checkpoint(cut),
            None => {
                if !self.seats.is_empty() {
                    out.push(Action::Write(standing_record(&self.seats, None)));
                }
                self.checkpointed = Some(cut);
            }
        }
    }

    fn message(&mut self, ctx: &mut Ctx<'_>, from: &Incarnation, message: Message, out: &mut impl Sink<Action<S>>) {
        let Some(life) = self.life else { return };
        if self.is_adopted(life, from, &message) {
            self.adopt(ctx, life, &message, out);
        }
        let heard = match &mut self.member {
            Some(member) if member.is_halted => Ok(()),
            Some(member) => member.hear(from, message, out),
            None => Err(Fault::NotMember),
        };
        if let Err(fault) = heard {
            out.push(Action::Observe(GroupObservation::Refused { node: from.node, fault: fault.name() }));
        }
    }

    fn request(&mut self, ticket: Ticket, request: Request, out: &mut impl Sink<Action<S>>) {
        let Some(member) = &mut self.member else {
            return out.push(Action::Reply(ticket, Err(Refusal::NotMember)));
        };
        let answer = match request {
            Request::Status => Err(Ok(Reply::Status(Box::new(member.status())))),
            _ if member.is_halted => Err(Err(Refusal::Halted)),
            Request::Propose { entry, term } => member.propose(ticket, entry, term).map_err(Err),
            Request::Confirm => member.confirm(ticket).map_err(Err),
            Request::Change { add, remove } => member.change_voters(ticket, add, remove).map_err(Err),
            Request::Transfer { to } => Err(member.transfer(to).map(|()| Reply::Transferring)),
        };
        if let Err(answer) = answer {
            out.push(Action::Reply(ticket, answer));
        }
    }
}

impl<S: Replicated> Machine for Group<S> {
    type Event = Event<S>;
    type Action = Action<S>;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Event<S>, out: &mut impl Sink<Action<S>>) {
        if let Some(member) = &mut self.member {
            member.begin(ctx);
        }
        match event {
            Event::Start { life } => self.start(ctx, life, out),
            Event::Wake => {}
            Event::Message { from, message } => self.message(ctx, &from, message, out),
            Event::Durable(upto) => {
                if let Some(member) = &mut self.member {
                    member.durable(ctx, upto, out);
                }
            }
            Event::Checkpoint(cut) => self.checkpoint(cut, out),
            Event::Request(ticket, request) => self.request(ticket, request, out),
            Event::Found(ticket, founding) => {
                let answer = match self.life {
                    Some(life) => self.found(ctx, life, &founding, out),
                    None => Err(Refusal::NotMember),
                };
                out.push(Action::Reply(ticket, answer));
            }
            Event::Superseded => self.leave(out),
        }
        if let Some(member) = &mut self.member {
            member.go_on(ctx, out);
            if let Some(cut) = member.end_checkpoint(&self.seats, out) {
                self.checkpointed = Some(cut);
            }
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        self.member.as_ref().and_then(|member| member.next_deadline())
    }
}
