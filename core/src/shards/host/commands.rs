//! What the control group is asked for on behalf of shards, and what becomes of it.
//!
//! A command is executed once, however often it is sent. What a replica proposes again while it is under way, it need not.

use super::machine::{Action, Host, Sees};
use super::observation::{HostObservation, ShardsObservation};
use super::plans::Step;
use super::view::{Refusal, Reply};
use crate::control::state::{self, Command, DECLARED_AT_ONCE, Name, Outcome, PlacementCommand, ShardCommand};
use crate::epoch::Epoch;
use crate::identity::{NodeId, RequestId};
use crate::machine::{Ctx, Sink};
use crate::replication::{self, Service};
use crate::shards::{COPIES_MAX, Change, ChangeRefused, SHARDS_PER_NAMESPACE_MAX, ShardId, ShardRecord};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

/// Namespaces that operators of this node may be declaring.
const DECLARING_MAX: usize = 64;

/// What a command is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    Change(ShardId, u64),
    HandOver(ShardId, Epoch),
    Rebuild(ShardId, u64),
    Declare(Declaring),
    /// Of a plan: what was asked, and of which step it is. What this node says of itself is of none.
    Place(Option<(Name, Step)>, PlacementCommand),
}

/// A namespace that is being declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Declaring {
    /// Who is to be told; nobody any more once that took too long.
    id: Option<RequestId>,
    until: Time,
    namespace: Name,
    shards: u32,
    first: u32,
    copies: u8,
    minimum: u8,
}

impl Declaring {
    fn command(&self) -> ShardCommand {
        let Self { namespace, shards, first, copies, minimum, .. } = *self;
        ShardCommand::Declare { namespace, shards, first, copies, minimum }
    }
}

impl Purpose {
    /// What is not asked twice at once.
    const fn key(&self) -> Option<(ShardId, Key)> {
        match self {
            Self::Change(shard, version) => Some((*shard, Key::Change(*version))),
            Self::HandOver(shard, epoch) => Some((*shard, Key::HandOver(*epoch))),
            Self::Rebuild(shard, version) => Some((*shard, Key::Rebuild(*version))),
            Self::Declare(_) | Self::Place(..) => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Change(u64),
    HandOver(Epoch),
    Rebuild(u64),
}

/// Commands under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Commands {
    last: u64,
    to_give: VecDeque<(u64, Command)>,
    purposes: BTreeMap<u64, Purpose>,
    keys: BTreeSet<(ShardId, Key)>,
    /// Namespaces that are being declared, and until when their operators wait.
    declaring: BTreeSet<(Time, u64)>,
}

impl Commands {
    pub(super) fn has_work(&self) -> bool {
        !self.to_give.is_empty()
    }

    fn add(&mut self, purpose: Purpose, command: ShardCommand) {
        self.add_any(purpose, Command::Shard(command));
    }

    fn add_any(&mut self, purpose: Purpose, command: Command) {
        let is_new = purpose.key().is_none_or(|key| self.keys.insert(key));
        if is_new {
            self.last += 1;
            if let Purpose::Declare(declaring) = purpose {
                self.declaring.insert((declaring.until, self.last));
            }
            self.purposes.insert(self.last, purpose);
            self.to_give.push_back((self.last, command));
        }
    }

    fn remove(&mut self, ticket: u64) -> Option<Purpose> {
        let purpose = self.purposes.remove(&ticket)?;
        if let Purpose::Declare(declaring) = purpose {
            self.declaring.remove(&(declaring.until, ticket));
        }
        if let Some(key) = purpose.key() {
            self.keys.remove(&key);
        }
        Some(purpose)
    }

    pub(super) fn change(&mut self, shard: ShardId, epoch: Epoch, version: u64, change: Change) {
        self.add(Purpose::Change(shard, version), ShardCommand::Change { shard, epoch, version, change });
    }

    pub(super) fn hand_over(&mut self, shard: ShardId, epoch: Epoch, to: Option<NodeId>) {
        self.add(Purpose::HandOver(shard, epoch), ShardCommand::HandOver { shard, epoch, to });
    }

    pub(super) fn rebuild(&mut self, shard: ShardId, version: u64, record: ShardRecord) {
        let record = Box::new(record);
        self.add(Purpose::Rebuild(shard, version), ShardCommand::Rebuild { shard, version, record });
    }

    /// Something about where shards ought to be. What whoever looks after plans asks is not asked twice at once.
    pub(super) fn place(&mut self, step: Option<(Name, Step)>, command: PlacementCommand) {
        let purpose = Purpose::Place(step, command.clone());
        let is_repeated =
            !matches!(step, Some((_, Step::Asked(_)))) && self.purposes.values().any(|asked| *asked == purpose);
        if !is_repeated {
            self.add_any(purpose, Command::Placement(command));
        }
    }

    /// An operator declares a namespace.
    ///
    /// # Errors
    /// [`Refusal`] where there cannot be such a namespace, or too much is under way.
    pub(super) fn declare(
        &mut self,
        (id, until): (RequestId, Time),
        namespace: Name,
        shards: u32,
        (copies, minimum): (u8, u8),
    ) -> Result<(), Refusal> {
        let is_shape = (1..=SHARDS_PER_NAMESPACE_MAX).contains(&shards) && (1..=copies).contains(&minimum);
        if !is_shape || copies > COPIES_MAX {
            return Err(Refusal::BadShape { shards_max: SHARDS_PER_NAMESPACE_MAX, copies_max: COPIES_MAX });
        }
        if self.declaring.len() >= DECLARING_MAX {
            return Err(Refusal::Busy);
        }
        let declaring = Declaring { id: Some(id), until, namespace, shards, first: 0, copies, minimum };
        self.add(Purpose::Declare(declaring), declaring.command());
        Ok(())
    }

    /// Until when the first operator waits.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.declaring.first().map(|(until, _)| *until)
    }

    /// The operators who have waited for long enough. What they asked for may be done yet, and can be asked for again.
    pub(super) fn give_up_declaring(&mut self, now: Time, out: &mut impl Sink<Action>) {
        while let Some((until, ticket)) = self.declaring.first().copied().filter(|(until, _)| *until <= now) {
            self.declaring.remove(&(until, ticket));
            let Some(Purpose::Declare(declaring)) = self.purposes.get_mut(&ticket) else { continue };
            if let Some(id) = declaring.id.take() {
                out.push(Action::Reply { id, reply: Reply::Unknown, not_after: None });
            }
        }
    }

    /// Gives some of the commands to the control group.
    pub(super) fn give_some(&mut self, count: usize, out: &mut impl Sink<Action>) {
        for _ in 0..count {
            let Some((ticket, command)) = self.to_give.pop_front() else { return };
            out.push(Action::Command { ticket, command: Box::new(command) });
        }
    }
}

impl<S: Service> Host<S> {
    /// A command was executed, or it is not known whether it was.
    pub(super) fn executed(
        &mut self,
        ctx: &mut Ctx<'_>,
        sees: Sees<'_>,
        ticket: u64,
        outcome: Option<Outcome>,
        out: &mut impl Sink<Action>,
    ) {
        let Some(purpose) = self.commands.remove(ticket) else { return };
        if let (
            Purpose::Change(shard, _) | Purpose::HandOver(shard, _) | Purpose::Rebuild(shard, _),
            Some(Outcome::Refused(_)),
        ) = (&purpose, &outcome)
        {
            let observation = HostObservation::CommandRefused { shard: shard.number.into() };
            out.push(Action::Observe(ShardsObservation::Host(observation)));
        }
        match (purpose, outcome) {
            (Purpose::Change(shard, version), Some(Outcome::Refused(state::Refusal::Shard(why))))
                if is_wrong_as_such(why) =>
            {
                self.tell(ctx, sees, shard, replication::Event::Refused { version }, out);
            }
            // The record tells, or the replica asks again.
            (Purpose::Change(..) | Purpose::HandOver(..) | Purpose::Rebuild(..), _) => {}
            (Purpose::Declare(declaring), outcome) => self.declared(declaring, outcome, out),
            (Purpose::Place(None, _), _) => {}
            (Purpose::Place(Some(step), command), outcome) => {
                self.placed(ctx.now, step, &command, outcome, out);
            }
        }
    }

    fn declared(&mut self, declaring: Declaring, outcome: Option<Outcome>, out: &mut impl Sink<Action>) {
        let Some(id) = declaring.id else { return };
        let next = declaring.first.saturating_add(DECLARED_AT_ONCE);
        let reply = match outcome {
            Some(Outcome::Done(_)) if next < declaring.shards => {
                let declaring = Declaring { first: next, ..declaring };
                return self.commands.add(Purpose::Declare(declaring), declaring.command());
            }
            Some(Outcome::Done(_)) => Reply::Declared,
            Some(Outcome::Refused(why)) => Reply::Refused(why.into()),
            None => Reply::Unknown,
        };
        out.push(Action::Reply { id, reply, not_after: None });
    }
}

/// Whether a change was refused on the very version it was made for: epoch and version are looked at before all this, so
/// that the same change cannot have been committed before.
const fn is_wrong_as_such(why: ChangeRefused) -> bool {
    use ChangeRefused::{NoChange, OwnerLeaves, SameNode, TooFew, TooMany};
    matches!(why, NoChange | OwnerLeaves | SameNode | TooFew { .. } | TooMany)
}
