//! A node's way to the log: each command is executed exactly once, whoever leads meanwhile (rules X1 to X5).
//!
//! The node registers, numbers its commands, and asks the leader again until each is answered; the state sees to it that
//! an entry which is in the log twice takes effect once. When the registration is gone, what was under way is answered
//! with nothing: it may have been executed or not, and whoever asked has to look.
//!
//! What does not belong here: what commands mean, the leader's side (its node proposes what arrives, if
//! [`Entry::is_of`](super::state::Entry::is_of) its sender, and answers with the outcome), and reads.

mod way;

pub use way::Way;

use super::state::limits::{ENTRY_BYTES, WINDOW};
use super::state::{Answer, Command, Entry, Outcome, Refusal, Registration};
use crate::codec::encode_value;
use crate::identity::{Incarnation, NodeId};
use crate::machine::{Ctx, Machine, Sink};
use crate::time::{Duration, Time};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Commands that wait for their turn, at most; more are answered with nothing at once.
pub const QUEUE_MAX: usize = 4_096;

/// What a node and the leader say to each other about an entry. The answer shows committed state, and waits at the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Please have this in the log.
    Propose {
        /// To be named in the answer.
        number: u64,
        /// The entry.
        entry: Box<[u8]>,
    },
    /// It is, and this became of it.
    Done {
        /// Which.
        number: u64,
        /// How.
        outcome: Outcome,
    },
    /// It is not: somebody else leads, perhaps known. The entry may have been in the log of this node; ask again.
    NotLeader {
        /// Which.
        number: u64,
        /// Who leads.
        hint: Option<NodeId>,
    },
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum Event<T> {
    /// The node may speak: who the client is.
    Start {
        /// Which process.
        life: Incarnation,
    },
    /// Somebody leads, as far as this node knows.
    Leader(Option<NodeId>),
    /// Who votes: where a leader may be found.
    Voters(Box<[NodeId]>),
    /// A sibling wants a command executed.
    Submit {
        /// To be named in the answer.
        ticket: T,
        /// What.
        command: Command,
    },
    /// A message arrived.
    Message {
        /// From whom.
        from: NodeId,
        /// What.
        message: Message,
    },
    /// A deadline may have passed.
    Wake,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<T> {
    /// Tell a voter something; that may be this node itself.
    Send {
        /// Whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// A command was executed; without an outcome it is not known whether.
    Answered {
        /// Which.
        ticket: T,
        /// How.
        outcome: Option<Outcome>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct UnderWay<T> {
    ticket: T,
    command: Box<Command>,
    /// A leader has not logged it, for this reason: nothing is asked for in its place.
    refused: Option<Refusal>,
}

/// The commands of one process. `T` names them for those who ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Commands<T> {
    retry: Duration,
    life: Option<Incarnation>,
    way: Way,
    registered: Option<Registration>,
    next: u64,
    under_way: BTreeMap<u64, UnderWay<T>>,
    queue: VecDeque<UnderWay<T>>,
    /// When everything that was not answered is asked for again.
    retry_at: Option<Time>,
}

/// Bytes of a command, at most: an entry names its client besides.
const COMMAND_BYTES: usize = ENTRY_BYTES - 128;

/// Names the registration among what is under way: no command comes so far.
const REGISTER: u64 = u64::MAX;

impl<T: Copy> Commands<T> {
    /// The commands of a process that may not speak yet; asks again after `retry`.
    pub fn new(retry: Duration) -> Self {
        let (under_way, queue) = (BTreeMap::new(), VecDeque::new());
        Self { retry, life: None, way: Way::default(), registered: None, next: 0, under_way, queue, retry_at: None }
    }

    /// Commands that were not answered yet.
    pub fn pending(&self) -> usize {
        self.under_way.len() + self.queue.len()
    }

    fn submit(&mut self, now: Time, ticket: T, command: Command, out: &mut impl Sink<Action<T>>) {
        if self.queue.len() >= QUEUE_MAX {
            return out.push(Action::Answered { ticket, outcome: None });
        }
        // What no entry can hold would stand in the way of all others for ever.
        if encode_value(&command, COMMAND_BYTES, &mut Vec::new()).is_err() {
            return out.push(Action::Answered { ticket, outcome: Some(Outcome::Refused(Refusal::Malformed)) });
        }
        self.queue.push_back(UnderWay { ticket, command: command.into(), refused: None });
        self.advance(now, out);
    }

    /// Registers first; then sends what fits into the window.
    fn advance(&mut self, now: Time, out: &mut impl Sink<Action<T>>) {
        if self.life.is_none() || self.queue.is_empty() {
            return;
        }
        if self.registered.is_none() {
            if self.retry_at.is_none() {
                self.send_registration(now, out);
            }
            return;
        }
        while !self.queue.is_empty() && self.next - self.first_unanswered() < WINDOW {
            let Some(command) = self.queue.pop_front() else { return };
            let sequence = self.next;
            self.next += 1;
            self.under_way.insert(sequence, command);
            self.send(now, sequence, out);
        }
    }

    fn first_unanswered(&self) -> u64 {
        self.under_way.first_key_value().map_or(self.next, |(sequence, _)| *sequence)
    }

    fn send_registration(&mut self, now: Time, out: &mut impl Sink<Action<T>>) {
        let Some(client) = self.life else { return };
        self.send_entry(now, REGISTER, &Entry::Register { client }, out);
    }

    fn send(&mut self, now: Time, sequence: u64, out: &mut impl Sink<Action<T>>) {
        let (Some(client), Some(registered)) = (self.life, self.registered) else { return };
        let Some(under_way) = self.under_way.get(&sequence) else { return };
        let (unanswered, command) = (self.first_unanswered(), under_way.command.clone());
        let entry = Entry::Client { client, registered, sequence, unanswered, command };
        self.send_entry(now, sequence, &entry, out);
    }

    fn send_entry(&mut self, now: Time, number: u64, entry: &Entry, out: &mut impl Sink<Action<T>>) {
        self.retry_at.get_or_insert(now.saturating_add(self.retry));
        let (Some(to), Ok(entry)) = (self.way.target(), entry.to_bytes()) else { return };
        out.push(Action::Send { to, message: Message::Propose { number, entry: entry.into() } });
    }

    /// Asks again for everything that was not answered, perhaps somebody else.
    fn ask_again(&mut self, now: Time, out: &mut impl Sink<Action<T>>) {
        self.retry_at = None;
        if self.registered.is_none() {
            if !self.queue.is_empty() {
                self.send_registration(now, out);
            }
            return;
        }
        let sequences: Vec<u64> = self.under_way.keys().copied().collect();
        for sequence in sequences {
            self.send(now, sequence, out);
        }
    }

    fn message(&mut self, now: Time, from: NodeId, message: Message, out: &mut impl Sink<Action<T>>) {
        match message {
            Message::Done { number, outcome } => {
                self.way.answered(from);
                self.done(now, number, outcome, out);
            }
            Message::NotLeader { hint, .. } => {
                if self.way.redirected(from, hint) {
                    self.ask_again(now, out);
                }
            }
            // The leader's side is not here.
            Message::Propose { .. } => {}
        }
    }

    fn done(&mut self, now: Time, number: u64, outcome: Outcome, out: &mut impl Sink<Action<T>>) {
        match outcome {
            Outcome::Done(Answer::Registered(registered)) if number == REGISTER => {
                if self.registered.is_none() {
                    self.registered = Some(registered);
                    self.retry_at = None;
                }
            }
            // The client has been forgotten, and cannot know what became of its commands (rule X3).
            Outcome::Refused(Refusal::UnknownClient) if self.under_way.contains_key(&number) => {
                self.registered = None;
                self.retry_at = None;
                for (_, lost) in core::mem::take(&mut self.under_way) {
                    out.push(Action::Answered { ticket: lost.ticket, outcome: None });
                }
            }
            // Another copy of it may be on its way to a leader that takes it. Nothing under the same number comes before that,
            // or tells what became of it (rule V7).
            Outcome::Refused(refusal @ Refusal::NotActivated { .. })
                if let Some(it) = self.under_way.get_mut(&number).filter(|it| it.refused.is_none()) =>
            {
                (it.command, it.refused) = (Command::Nothing.into(), Some(refusal));
                self.send(now, number, out);
            }
            outcome => {
                if let Some(UnderWay { ticket, refused, .. }) = self.under_way.remove(&number) {
                    let was_replaced = outcome == Outcome::Done(Answer::Nothing);
                    let outcome = refused.filter(|_| was_replaced).map_or(outcome, Outcome::Refused);
                    out.push(Action::Answered { ticket, outcome: Some(outcome) });
                }
            }
        }
        if self.under_way.is_empty() && self.registered.is_some() {
            self.retry_at = None;
        }
        self.advance(now, out);
    }
}

impl<T: Copy> Machine for Commands<T> {
    type Event = Event<T>;
    type Action = Action<T>;

    fn handle(&mut self, ctx: &mut Ctx<'_>, event: Event<T>, out: &mut impl Sink<Action<T>>) {
        match event {
            Event::Start { life } => {
                self.life = Some(life);
                self.advance(ctx.now, out);
            }
            Event::Leader(leader) => {
                if self.way.leads(leader) {
                    self.ask_again(ctx.now, out);
                }
            }
            Event::Voters(voters) => self.way.vote(voters),
            Event::Submit { ticket, command } => self.submit(ctx.now, ticket, command, out),
            Event::Message { from, message } => self.message(ctx.now, from, message, out),
            Event::Wake => {}
        }
        if self.retry_at.is_some_and(|at| at <= ctx.now) {
            self.way.timed_out();
            self.ask_again(ctx.now, out);
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        self.retry_at
    }
}
