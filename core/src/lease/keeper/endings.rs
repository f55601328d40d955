//! What the passing of time brings about: ends of sessions, the lifting of a quarantine, rounds begun again.

use super::{Action, Due, Keeper, Role};
use crate::control::state::LeaderCommand;
use crate::lease::observation::LeaseObservation;
use crate::machine::Sink;
use crate::time::Time;

/// Ends proposed in one event; the driver wakes the node again for the rest.
const ENDS_MAX: usize = 64;
/// Graces in a row, after which sessions are ended however late the leader always is.
const GRACES_MAX: u8 = 3;

impl Keeper {
    /// A leader that was stopped finds deadlines behind it, and renewals behind the wake. It hears these first (rule T6).
    pub(super) fn notice_pause(&mut self, now: Time, out: &mut impl Sink<Action>) {
        let due = self.deadlines.first().map(|(at, _)| (*at).max(self.not_before));
        let Some(late) = due.map(|due| now.since(due)) else { return };
        if late > self.settings.retry_interval() && self.graces < GRACES_MAX {
            self.graces += 1;
            self.not_before = now.saturating_add(self.settings.renew_interval());
            out.push(Action::Observe(LeaseObservation::Grace { nanoseconds: late.as_nanos() }));
        }
    }

    pub(super) fn do_what_is_due(&mut self, now: Time, out: &mut impl Sink<Action>) {
        self.retry_round(now, out);
        self.end_expired(now, out);
        self.lift(now, out);
    }

    fn end_expired(&mut self, now: Time, out: &mut impl Sink<Action>) {
        let Role::Leading { term, is_ready, .. } = self.role else { return };
        if now < self.not_before {
            return;
        }
        let mut due = Due::new();
        while due.len() < ENDS_MAX
            && let Some((at, session)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.pop_first();
            self.graces = 0;
            due.push(session);
        }
        for session in due {
            let Some(kept) = self.sessions.get_mut(&session) else { continue };
            // Until it is committed it may get lost, or come before the leader may propose anything.
            assert!(now >= kept.heard.saturating_add(kept.span()), "a session ends only after its whole span");
            kept.due = now.saturating_add(self.settings.retry_interval());
            self.deadlines.insert((kept.due, session));
            if !is_ready {
                continue;
            }
            if !kept.is_ending {
                kept.is_ending = true;
                let (node, session) = (kept.owner.node, session.0.log_index());
                out.push(Action::Observe(LeaseObservation::Expired { node, session }));
            }
            out.push(Action::Propose { term, command: LeaderCommand::End { session } });
        }
    }

    fn lift(&mut self, now: Time, out: &mut impl Sink<Action>) {
        let (Role::Leading { term, is_ready: true, .. }, Some(quarantine)) = (self.role, &mut self.quarantine) else {
            return;
        };
        if quarantine.due <= now {
            quarantine.due = now.saturating_add(self.settings.retry_interval());
            out.push(Action::Propose { term, command: LeaderCommand::Lift { epoch: self.lineage.epoch } });
        }
    }
}
