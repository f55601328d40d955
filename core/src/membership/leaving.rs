//! A good-bye: LEFT is said often enough to be known, and then nothing more.

use super::clockwork::Due;
use super::machine::{Action, Membership};
use super::own::Phase;
use super::verdict::{Opinion, Status, Verdict};
use super::view::Reply;
use super::wire::News;
use crate::identity::RequestId;
use crate::machine::{Ctx, Sink};

impl Membership {
    /// An operator wants the node to leave.
    pub(super) fn leave(&mut self, ctx: &mut Ctx<'_>, id: RequestId, out: &mut impl Sink<Action>) {
        if self.own.is_silent() {
            // A node that has said nothing yet has nothing to take back, and will say nothing.
            self.own.phase = if self.own.phase == Phase::Silent { Phase::Gone } else { self.own.phase };
            return out.push(Action::Reply(id, Reply::Left));
        }
        self.own.leaving.push(id);
        if self.own.phase == Phase::Leaving {
            return;
        }
        self.own.phase = Phase::Leaving;
        let node = self.own.node();
        let incarnation = self.table.at(self.own.slot()).verdict.incarnation;
        let verdict = Verdict { incarnation, status: Status::Left };
        self.table.judge(self.own.slot(), verdict, node, ctx.now);
        self.spread(ctx, News::Opinion(Opinion { node, verdict, accuser: node }), ctx.now);
        for due in [Due::Probe, Due::DeadProbe, Due::Sync, Due::Seek] {
            self.clockwork.clear(due);
        }
        // Enough rounds for the news to be told as often as any.
        let rounds = u64::from(self.tellings().div_ceil(self.settings.fan_out.max(1))) + 1;
        let patience = self.settings.gossip_interval.saturating_mul(if self.table.members() == 0 { 0 } else { rounds });
        self.clockwork.set(Due::Left, ctx.now + patience);
    }

    /// Enough have heard it.
    pub(super) fn has_left(&mut self, _: &mut Ctx<'_>, out: &mut impl Sink<Action>) {
        self.own.phase = Phase::Gone;
        self.clockwork.clear_all();
        for id in core::mem::take(&mut self.own.leaving) {
            out.push(Action::Reply(id, Reply::Left));
        }
    }
}
