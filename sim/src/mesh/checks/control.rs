//! What clients ask of the control group and of fences, and are answered, handed to whoever watches it.

use super::MeshChecks;
use super::acceptors::Acceptors;
use super::leases::Leases;
use super::registers::Registers;
use super::versions::Versions;
use crate::check::Findings;
use crate::scenario::Scenario;
use crate::time::TrueTime;
use relaymesh_core::control::node as control;
use relaymesh_core::control::state::Scope;
use relaymesh_core::mesh::{Reply, Request, fence};

/// Watches the control group and what rests on it.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) leases: Leases,
    pub(super) acceptors: Acceptors,
    pub(super) registers: Registers,
    pub(super) versions: Versions,
}

impl Control {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            leases: Leases::new(scenario.nodes, &scenario.control),
            acceptors: Acceptors::new(scenario.nodes),
            registers: Registers::default(),
            versions: Versions::new(scenario),
        }
    }

    pub(super) fn booted(&mut self, host: u32, now: TrueTime) {
        self.leases.booted(host, now);
    }

    pub(super) fn store_lost(&mut self, host: u32) {
        self.acceptors.store_lost(host);
    }

    pub(super) fn asked(&mut self, client: u32, host: u32, request: &Request) {
        match request {
            Request::Control(control::Request::Recover(_)) => self.registers.recovery(),
            Request::Control(request) => {
                if let control::Request::Retire(scope) = request {
                    self.leases.retiring(*scope);
                }
                self.registers.asked(client, request);
                self.versions.asked(client, request);
            }
            Request::Fence(_) => self.acceptors.asked(client, host),
            Request::Membership(_) | Request::Shards(_) | Request::Work(_) | Request::Desk(_) => {}
            Request::Progress { .. } => {}
        }
    }
}

impl MeshChecks {
    /// A client asks.
    pub(super) fn control_asked(&mut self, (client, host): (u32, u32), request: &Request, found: &Findings) {
        if self.record.is_kept && matches!(request, Request::Control(control::Request::Transfer { .. })) {
            self.record.handovers.push(found.now);
        }
        self.control.asked(client, host, request);
    }

    /// The control group or a fence has answered.
    pub(super) fn control_answered(
        &mut self,
        (client, host): (u32, u32),
        request: &Request,
        reply: &Reply,
        found: &mut Findings,
    ) {
        if let (Request::Control(request), Reply::Control(reply)) = (request, reply) {
            self.version_answered((client, host), request, reply, found);
        }
        if let (Request::Fence(fence::Request::Act(_)), Reply::Fence(reply)) = (request, reply) {
            self.version_asked_to_act(host, matches!(reply, fence::Reply::Acts(_)), found);
        }
        match (request, reply) {
            (Request::Fence(fence::Request::Act(scope)), Reply::Fence(fence::Reply::Acts(token))) => {
                if self.record.is_kept && *scope == Scope::Global {
                    self.record.acts.push((found.now, host));
                }
                self.acts(host, *scope, *token, found);
            }
            (Request::Fence(fence::Request::Accept { scope, epoch, .. }), Reply::Fence(reply)) => {
                self.accept_answered((client, host), (*scope, *epoch), reply, found);
            }
            (Request::Control(_), Reply::Control(control::Reply::Status(status))) => {
                if let Some(term) = status.term.filter(|_| self.record.is_kept) {
                    self.record.statuses.push((found.now, term, status.applied));
                }
                self.status_shown(host, status, found);
            }
            (Request::Control(_), Reply::Control(control::Reply::EpochKnown(epoch))) => {
                self.control.leases.epoch_known(*epoch);
            }
            (Request::Control(_), Reply::Control(reply)) => {
                if self.record.is_kept && matches!(reply, control::Reply::Executed(_) | control::Reply::Value(_)) {
                    self.record.commits.push(found.now);
                }
                self.control.registers.answered(client, reply);
            }
            _ => {}
        }
    }
}
