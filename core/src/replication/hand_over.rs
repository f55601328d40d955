//! Handing over: drain, stop for good, and only then ask (rules H1 to H4).

use super::machine::Action;
use super::service::Service;
use super::state::{Replica, Stopped};
use super::step::Step;
use crate::identity::NodeId;
use crate::machine::Sink;
use crate::time::{Duration, Time};

/// Of the time that what is under way gets otherwise, the part that it gets after a set time.
const SET_TIME_SHARE: u64 = 10;

impl<S: Service> Replica<S> {
    /// Nothing more is taken; what is under way gets its time. Where others stop at the same set time that is short.
    pub(super) fn hand_over(
        &mut self,
        step: &mut Step<'_, impl Sink<Action<S::Answer>>>,
        to: Option<NodeId>,
        at: Option<Time>,
    ) {
        let at = at.filter(|at| *at > step.now);
        let drain = self.settings.drain;
        let little = Duration::from_nanos(drain.as_nanos() / SET_TIME_SHARE);
        let by = at.map_or(step.now.saturating_add(drain), |at| at.saturating_add(little));
        if let Some(tenure) = self.tenure.as_mut().filter(|tenure| tenure.drained_by.is_none()) {
            (tenure.drained_by, tenure.stops_at) = (Some(by), at);
        }
        if let Some(tenure) = &mut self.tenure {
            tenure.successor = to;
        }
    }

    /// Stops for good once nothing is under way.
    pub(super) fn stop_if_drained(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let Some(tenure) = &self.tenure else { return };
        let is_drained = tenure.pending.is_empty() && tenure.open.is_empty() && self.answers.is_empty();
        if tenure.drained_by.is_some() && tenure.stops_at.is_none() && is_drained {
            self.stop(step);
        }
    }

    fn stop(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        let again_at = step.now.saturating_add(self.settings.patience);
        let Some(tenure) = &self.tenure else { return };
        let (epoch, to) = (tenure.epoch, tenure.successor);
        self.step_down(step);
        self.stopped = Some(Stopped { epoch, to, again_at });
        step.push(Action::HandOver { epoch, to });
    }

    /// What is not drained by now is left to the next owner; a request without an effect is made again.
    pub(super) fn wake_hand_over(&mut self, step: &mut Step<'_, impl Sink<Action<S::Answer>>>) {
        if let Some(tenure) = &mut self.tenure
            && tenure.stops_at.take_if(|at| *at <= step.now).is_some()
        {
            self.stop_if_drained(step);
        }
        if self.tenure.as_ref().and_then(|tenure| tenure.drained_by).is_some_and(|by| by <= step.now) {
            self.stop(step);
        }
        let patience = self.settings.patience;
        if let Some(stopped) = self.stopped.as_mut().filter(|stopped| stopped.again_at <= step.now) {
            stopped.again_at = step.now.saturating_add(patience);
            let (epoch, to) = (stopped.epoch, stopped.to);
            step.push(Action::HandOver { epoch, to });
        }
    }
}
