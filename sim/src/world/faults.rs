//! What breaks, and how it is healed.
//!
//! A fault that lasts is active between its beginning and its end; the condition of a host always follows from what is
//! active, so that overlapping faults end one by one.

use super::Happening;
use super::host::{condition_of, first_version};
use super::run::World;
use crate::check::EXCUSE_1;
use crate::scenario::{FaultKind, PlannedFault};
use crate::subject::{Checks, Subject};
use crate::trace::EventKind;
use alloc::format;
use alloc::vec::Vec;
use relaymesh_core::codec::BodyVersion;
use relaymesh_core::machine::CauseId;
use relaymesh_core::time::Duration;

impl<S: Subject> World<S> {
    pub(super) fn fault_begins(&mut self, number: u32) {
        let fault = self.plan.faults[number as usize].clone();
        self.last_fault = self.begin(EventKind::Fault, None, CauseId(0));
        self.trace.printed(&fault.name);
        self.checks.began_fault(&fault, self.now);
        self.trace.note(|| format!("{} begins: {} on {:?}", fault.name, fault.kind.help(), fault.nodes));
        if let Some(ends) = fault.ends() {
            self.active_faults.insert(number);
            self.queue.schedule(ends, Happening::FaultEnds { number });
        } else if matches!(fault.kind, FaultKind::ClockRate | FaultKind::WallRate) {
            self.active_faults.insert(number);
        }
        if is_of_network(fault.kind) {
            self.network.begin(number as usize, &fault, self.scenario.nodes);
            return;
        }
        for host in fault.nodes.clone() {
            self.break_host(host, &fault);
            self.apply_condition(host);
        }
    }

    pub(super) fn fault_ends(&mut self, number: u32) {
        if !self.active_faults.remove(&number) {
            return;
        }
        let fault = self.plan.faults[number as usize].clone();
        self.last_fault = self.begin(EventKind::Fault, None, CauseId(0));
        self.trace.printed(&fault.name);
        self.checks.ended_fault(&fault, self.now);
        self.trace.note(|| format!("{} ends", fault.name));
        if is_of_network(fault.kind) {
            self.network.end(number as usize);
            return;
        }
        for host in fault.nodes.clone() {
            self.mend_host(host, &fault);
            self.apply_condition(host);
        }
    }

    /// Every fault ends; whoever is down starts.
    pub(super) fn heal(&mut self) {
        for number in self.active_faults.clone() {
            self.fault_ends(number);
        }
        self.last_fault = self.begin(EventKind::Fault, None, CauseId(0));
        self.trace.note(|| "everything is healed".into());
        self.checks.healed(self.now);
        for host in 0..self.scenario.nodes {
            let now = self.now;
            let it = self.host_mut(host);
            it.held_down = 0;
            it.wake_up(now);
            it.paused_until = it.paused_until.min(now);
            it.disk_stalled_until = now;
            if it.syncing.is_some() {
                // A sync that was stalled ends now rather than when the stall would have.
                it.sync_number += 1;
                let (life, number) = (it.life, it.sync_number);
                self.queue.schedule(now, Happening::SyncEnds { host, life, number });
            }
            self.resume(host);
            self.start(host);
        }
    }

    /// A client takes a process down: what it had it run was too much for it.
    pub(super) fn kill_host(&mut self, host: u32, lasts: Duration) {
        self.last_fault = self.begin(EventKind::Fault, Some(host), CauseId(0));
        self.trace.note(|| format!("n{host} is killed by what it runs"));
        self.end_process(host);
        self.host_mut(host).held_down += 1;
        self.queue.schedule(self.now + lasts, Happening::Returns { host });
    }

    pub(super) fn host_returns(&mut self, host: u32) {
        let it = self.host_mut(host);
        it.held_down = it.held_down.saturating_sub(1);
        self.start(host);
    }

    fn break_host(&mut self, host: u32, fault: &PlannedFault) {
        let now = self.now;
        let until = now + fault.lasts.unwrap_or(Duration::ZERO);
        let mut has_fired = true;
        match fault.kind {
            FaultKind::Crash => {
                self.lose_power(host);
                self.host_mut(host).held_down += 1;
            }
            FaultKind::Kill => {
                self.end_process(host);
                self.host_mut(host).held_down += 1;
            }
            FaultKind::Move => {
                self.end_process(host);
                self.move_host(host);
                self.host_mut(host).held_down += 1;
            }
            FaultKind::Join => {
                has_fired = core::mem::take(&mut self.host_mut(host).is_absent);
                self.start(host);
            }
            FaultKind::KeyInstall => {
                has_fired = self.host_mut(host).keys.install(fault.value);
                self.look_at_keys(host, has_fired, self.trace.current());
            }
            FaultKind::DiskLost => {
                self.lose_power(host);
                self.give_up_store(host);
                self.host_mut(host).held_down += 1;
            }
            FaultKind::Version => self.change_build(host, BodyVersion(fault.value as u8)),
            FaultKind::Pause => self.pause(host, until),
            FaultKind::Suspend => self.host_mut(host).fall_asleep(now, fault.counted),
            FaultKind::ClockStep => {
                let step = fault.amount.as_nanos() as i64;
                self.host_mut(host).clock.step_wall(now, if fault.back { -step } else { step });
            }
            FaultKind::StallDisk => {
                let it = self.host_mut(host);
                it.disk_stalled_until = it.disk_stalled_until.max(until);
            }
            FaultKind::BitRot => self.rot(host),
            FaultKind::RotObjects => self.rot_objects(host, fault.share),
            _ => {}
        }
        *self.fired.entry(fault.kind).or_default() += u64::from(has_fired);
    }

    fn mend_host(&mut self, host: u32, fault: &PlannedFault) {
        match fault.kind {
            FaultKind::Crash | FaultKind::Kill | FaultKind::Move | FaultKind::DiskLost => {
                let it = self.host_mut(host);
                it.held_down = it.held_down.saturating_sub(1);
                self.start(host);
            }
            FaultKind::Version => {
                let version = first_version::<S::Application>(&self.scenario);
                self.change_build(host, version);
            }
            FaultKind::Suspend => {
                let now = self.now;
                self.host_mut(host).stir(now);
                self.resume(host);
                self.start(host);
            }
            _ => {}
        }
    }

    /// Brings a host into the condition that follows from what is active.
    fn apply_condition(&mut self, host: u32) {
        let mut condition = condition_of(&self.scenario.disk);
        let mut event_cost = Duration::ZERO;
        let base_rate_ppb = self.host(host).base_rate_ppb;
        let (mut rate_ppb, mut wall_rate_ppb) = (base_rate_ppb, base_rate_ppb);
        let active = self.active_faults.iter().map(|number| &self.plan.faults[*number as usize]);
        for fault in active.filter(|fault| fault.nodes.contains(&host)) {
            match fault.kind {
                FaultKind::SlowDisk => condition.slowdown = condition.slowdown.max(fault.value),
                FaultKind::FailingWrites => condition.write_fails = condition.write_fails.max(fault.share),
                FaultKind::FailingSyncs => condition.sync_fails = condition.sync_fails.max(fault.share),
                FaultKind::CorruptReads => condition.read_corrupts = condition.read_corrupts.max(fault.share),
                FaultKind::DiskFull => condition.full = true,
                FaultKind::SlowNode => event_cost = event_cost.max(fault.amount),
                FaultKind::ClockRate => rate_ppb = fault.rate_ppb,
                FaultKind::WallRate => wall_rate_ppb = fault.rate_ppb,
                _ => {}
            }
        }
        let now = self.now;
        let it = self.host_mut(host);
        it.disk_condition = condition;
        it.event_cost = event_cost;
        it.clock.set_rate(now, rate_ppb);
        it.clock.set_wall_rate(now, wall_rate_ppb);
        // A deadline may now be due earlier than the wake that was scheduled for it.
        self.reschedule_wake(host);
    }

    fn change_build(&mut self, host: u32, version: BodyVersion) {
        self.end_process(host);
        self.host_mut(host).version = version;
        self.start(host);
    }

    fn lose_power(&mut self, host: u32) {
        let now = self.now;
        self.end_process(host);
        let it = self.host_mut(host);
        it.wake_up(now);
        let uptime = it.uptime.span(Duration::from_secs(1), Duration::from_secs(60));
        it.clock.restart(now, uptime);
        let condition = it.disk_condition.clone();
        it.disk.lose_power(&condition);
    }

    fn rot(&mut self, host: u32) {
        if self.host_mut(host).disk.rot().is_some() {
            self.engine_checks.store_rotted(host);
            self.checks.store_lost(host);
            self.excuse(host);
        }
    }

    /// A share of a host's objects is damaged or gone. No store is given up for that.
    fn rot_objects(&mut self, host: u32, share: u64) {
        let struck = self.host_mut(host).disk.rot_objects(share);
        self.engine_checks.objects_rotted(host, &struck);
        self.checks.objects_lost(host, &struck);
    }

    /// What stands in a host's store is given up: the next process founds a new one.
    pub(super) fn give_up_store(&mut self, host: u32) {
        self.host_mut(host).disk.replace();
        self.engine_checks.store_replaced(host);
        self.checks.store_lost(host);
        self.excuse(host);
    }

    /// What stood in a store is not held against its node any more; the scenario says how often that may happen.
    fn excuse(&mut self, host: u32) {
        self.excuses += 1;
        let allowed = u64::from(self.scenario.expect.excuses_max);
        if self.excuses > allowed {
            self.found.fail(
                EXCUSE_1,
                &[host],
                format!("{} stores were given up, where the scenario allows {allowed}", self.excuses),
            );
        }
    }

    /// Ends a host's process, if one runs.
    pub(super) fn end_process(&mut self, host: u32) {
        let waiting: Vec<_> = self.host_mut(host).backlog.drain(..).collect();
        waiting.into_iter().for_each(|inbound| self.discard(inbound));
        if self.host(host).node.is_some() {
            self.checks.ended(host, self.now);
        }
        if S::STREAMS {
            self.break_connections_of(host);
        }
        self.host_mut(host).end_process();
    }

    /// Starts a host's process, unless one runs or must not.
    fn start(&mut self, host: u32) {
        let cause = self.trace.current();
        let it = self.host_mut(host);
        if it.node.is_none() && it.held_down == 0 && !it.is_absent {
            it.start_cause = cause;
            let life = it.life;
            self.queue.schedule(self.now, Happening::Boots { host, life });
        }
    }
}

/// Whether a fault concerns packets rather than hosts.
const fn is_of_network(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::Loss
            | FaultKind::Duplicate
            | FaultKind::Reorder
            | FaultKind::Delay
            | FaultKind::Corrupt
            | FaultKind::Bandwidth
            | FaultKind::Partition
            | FaultKind::OneWay
            | FaultKind::NoStreams
            | FaultKind::Partial
            | FaultKind::FlipFlop
            | FaultKind::Replay
            | FaultKind::Intrude
    )
}
