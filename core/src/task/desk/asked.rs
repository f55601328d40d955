//! Which workers a node gives work to: what people ask any node, and the node that is meant tells.

use super::{Action, Desk};
use crate::identity::{Incarnation, NodeId, RequestId};
use crate::machine::{Ctx, Sink};
use crate::task::wire::{Message, Offered};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Questions that wait for another node, at most.
const ASKED_MAX: usize = 64;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Which workers has that node heard of lately, and what do they offer? Every worker speaks to every node that owns a
    /// shard, so that any of these knows all.
    Offers {
        /// The node.
        of: NodeId,
        /// Those behind this one.
        after: Option<Incarnation>,
    },
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// These, in order.
    Offers {
        /// Some of them.
        offers: Vec<Offered>,
        /// There are others behind this one.
        next: Option<Incarnation>,
    },
    /// The node has not answered in time.
    Silent,
    /// Too many such questions wait for an answer.
    Busy,
}

impl Desk {
    /// People ask.
    pub fn request(&mut self, ctx: &Ctx<'_>, id: RequestId, request: Request, out: &mut impl Sink<Action>) {
        let Request::Offers { of, after } = request;
        if self.asked.len() >= ASKED_MAX {
            return out.push(Action::Reply { id, reply: Reply::Busy });
        }
        self.last_asked += 1;
        self.asked.insert(self.last_asked, (id, ctx.now.saturating_add(self.settings.ttl)));
        let message = Message::AskOffers { number: self.last_asked, after };
        out.push(Action::Send { to: of, message, not_after: None });
    }

    /// A node asks this one.
    pub fn asks(&self, from: NodeId, number: u64, after: Option<Incarnation>, out: &mut impl Sink<Action>) {
        let (offers, next) = self.wants.offers(after);
        out.push(Action::Send { to: from, message: Message::Offers { number, offers, next }, not_after: None });
    }

    /// A node that was asked tells.
    pub fn tells(&mut self, number: u64, offers: Vec<Offered>, next: Option<Incarnation>, out: &mut impl Sink<Action>) {
        if let Some((id, _)) = self.asked.remove(&number) {
            out.push(Action::Reply { id, reply: Reply::Offers { offers, next } });
        }
    }

    /// Who waited for long is told so. All wait equally long: the first one is due first.
    pub(super) fn give_up(&mut self, ctx: &Ctx<'_>, out: &mut impl Sink<Action>) {
        while let Some(first) = self.asked.first_entry().filter(|first| first.get().1 <= ctx.now) {
            let (id, _) = first.remove();
            out.push(Action::Reply { id, reply: Reply::Silent });
        }
    }
}
