//! Which hosts are well, in truth: what checkers hold the views against.

use crate::scenario::{Direction, FaultKind, MeshLoad, PlannedFault};
use crate::time::TrueTime;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::time::Duration;

/// Loss up to this share is what the mesh must bear without taking anyone for dead, in millionths.
const LOSS_BORNE: u64 = 50_000;
/// Links cut up to this share leave every node within reach of most, in millionths.
const CUTS_BORNE: u64 = 300_000;
/// A host is out of reach of most, wherever that share comes out, once this share of its own links is cut, in percent.
const OWN_CUTS_BORNE: usize = 60;

/// One host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Host {
    /// Since when its process runs, or has not been running.
    up: Option<TrueTime>,
    down_since: TrueTime,
    /// Faults that keep it from behaving as a healthy one.
    disturbances: u32,
    calm_since: TrueTime,
    has_left: bool,
    /// The fastest that its monotonic clock has ever run, besides its own deviation, in parts per billion.
    fastest_ppb: i64,
    /// The slowest.
    slowest_ppb: i64,
    /// Faults under way that slow its process, and when the last one ended.
    slowing: u32,
    slow_until: TrueTime,
    /// Faults under way that stop its process.
    stopping: u32,
}

/// A time in which a host's process, or the whole machine, was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stop {
    began: TrueTime,
    ended: Option<TrueTime>,
}

/// All hosts.
#[derive(Clone, Debug)]
pub struct Truth {
    hosts: Vec<Host>,
    /// Of each host, in order.
    stops: Vec<Vec<Stop>>,
    /// Faults under way that disturb anybody, or cut a link.
    disturbing: u32,
    /// When the last such fault began or ended, or the last process ended.
    calm_since: TrueTime,
    members: u32,
    /// Milliseconds of delay that nobody may take for an absence.
    delay_borne: Duration,
}

impl Truth {
    /// Nobody runs yet.
    pub fn new(nodes: u32, load: &MeshLoad, probe_timeout: Duration) -> Self {
        let host = Host {
            up: None,
            down_since: TrueTime(0),
            disturbances: 0,
            calm_since: TrueTime(0),
            has_left: false,
            fastest_ppb: 0,
            slowest_ppb: 0,
            slowing: 0,
            slow_until: TrueTime(0),
            stopping: 0,
        };
        let delay_borne = Duration::from_nanos(probe_timeout.as_nanos() / 4);
        Self {
            hosts: vec![host; nodes as usize],
            stops: vec![Vec::new(); nodes as usize],
            disturbing: 0,
            calm_since: TrueTime(0),
            members: load.members(nodes),
            delay_borne,
        }
    }

    /// Hosts of the cluster.
    pub fn members(&self) -> u32 {
        self.members
    }

    /// Whether the host belongs to the cluster.
    pub fn is_of_cluster(&self, host: u32) -> bool {
        host < self.members
    }

    pub(super) fn booted(&mut self, host: u32, now: TrueTime) {
        let it = &mut self.hosts[host as usize];
        (it.up, it.has_left) = (Some(now), false);
    }

    pub(super) fn ended(&mut self, host: u32, now: TrueTime) {
        let it = &mut self.hosts[host as usize];
        (it.up, it.down_since) = (None, now);
        self.calm_since = now;
    }

    pub(super) fn left(&mut self, host: u32) {
        self.hosts[host as usize].has_left = true;
    }

    pub(super) fn fault(&mut self, fault: &PlannedFault, begins: bool, now: TrueTime) {
        if fault.kind == FaultKind::ClockRate {
            for host in &fault.nodes {
                let it = &mut self.hosts[*host as usize];
                it.fastest_ppb = it.fastest_ppb.max(fault.rate_ppb);
                it.slowest_ppb = it.slowest_ppb.min(fault.rate_ppb);
            }
        }
        self.hamper(fault, begins, now);
        let lasts = fault.lasts.is_some();
        let concerned = self.concerned(fault);
        if !concerned.is_empty() || fault.kind == FaultKind::Partial {
            self.disturbing = counted(self.disturbing, begins, lasts);
            self.calm_since = now;
        }
        for host in concerned {
            let it = &mut self.hosts[host as usize];
            it.disturbances = counted(it.disturbances, begins, lasts);
            it.calm_since = now;
        }
    }

    /// Notes what keeps a process from doing things when they are due.
    fn hamper(&mut self, fault: &PlannedFault, begins: bool, now: TrueTime) {
        let lasts = fault.lasts.is_some();
        for host in &fault.nodes {
            let (it, stops) = (&mut self.hosts[*host as usize], &mut self.stops[*host as usize]);
            match fault.kind {
                FaultKind::SlowNode => {
                    it.slowing = counted(it.slowing, begins, lasts);
                    it.slow_until = now;
                }
                FaultKind::Pause | FaultKind::Suspend => {
                    let before = it.stopping;
                    it.stopping = counted(before, begins, lasts);
                    match (before, it.stopping) {
                        (0, 1) => stops.push(Stop { began: now, ended: None }),
                        (1, 0) => stops.iter_mut().rev().take(1).for_each(|last| last.ended = Some(now)),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// Hosts that a fault lets be taken for absent, or lets take others so.
    fn concerned(&self, fault: &PlannedFault) -> Vec<u32> {
        let all = 0..self.hosts.len() as u32;
        match fault.kind {
            FaultKind::Partition | FaultKind::NoStreams => all.collect(),
            FaultKind::Partial if fault.share <= CUTS_BORNE => {
                let cuts = |host: u32| fault.links.iter().filter(|(one, other)| *one == host || *other == host).count();
                all.clone().filter(|host| cuts(*host) * 100 > OWN_CUTS_BORNE * (all.len() - 1)).collect()
            }
            _ if self.disturbs(fault) => fault.nodes.clone(),
            _ => Vec::new(),
        }
    }

    /// Whether hosts under a fault may be taken for absent, or may take others so.
    fn disturbs(&self, fault: &PlannedFault) -> bool {
        match fault.kind {
            FaultKind::Loss | FaultKind::Corrupt => fault.share > LOSS_BORNE,
            FaultKind::Delay | FaultKind::Reorder => fault.amount > self.delay_borne,
            FaultKind::Partition
            | FaultKind::NoStreams
            | FaultKind::OneWay
            | FaultKind::FlipFlop
            | FaultKind::Bandwidth
            | FaultKind::Pause
            | FaultKind::Suspend
            | FaultKind::SlowNode
            | FaultKind::ClockRate
            | FaultKind::Move
            | FaultKind::Partial => true,
            // What ends a process is seen as its end; the rest leaves a node able to answer.
            _ => fault.direction != Direction::Both && fault.share > LOSS_BORNE,
        }
    }

    /// Whether nobody is under any fault now that the mesh would have to work against.
    pub fn is_calm(&self) -> bool {
        self.disturbing == 0
    }

    /// Whether that was so from `since` on, and no process has ended.
    pub fn is_calm_since(&self, since: TrueTime) -> bool {
        self.is_calm() && self.calm_since <= since
    }

    /// Whether the host's process runs and has not left.
    pub fn is_up(&self, host: u32) -> bool {
        let it = &self.hosts[host as usize];
        it.up.is_some() && !it.has_left && self.is_of_cluster(host)
    }

    /// Whether it has left.
    pub fn has_left(&self, host: u32) -> bool {
        self.hosts[host as usize].has_left
    }

    /// Since when the process runs, if it does.
    pub fn up_since(&self, host: u32) -> Option<TrueTime> {
        self.hosts[host as usize].up
    }

    /// Since when no process runs, if none does.
    pub fn down_since(&self, host: u32) -> Option<TrueTime> {
        let it = &self.hosts[host as usize];
        it.up.is_none().then_some(it.down_since)
    }

    /// Whether the host was up and undisturbed from `since` on.
    pub fn is_well_since(&self, host: u32, since: TrueTime) -> bool {
        let it = &self.hosts[host as usize];
        self.is_up(host) && it.up.is_some_and(|up| up <= since) && it.disturbances == 0 && it.calm_since <= since
    }

    /// For how long the host was stopped since then; `None` while it is, or where it was slowed.
    pub fn stopped_since(&self, host: u32, since: TrueTime) -> Option<Duration> {
        let it = &self.hosts[host as usize];
        if it.slowing > 0 || (it.slow_until > since && it.slow_until > TrueTime(0)) {
            return None;
        }
        let mut whole = Duration::ZERO;
        for stop in self.stops_since(host, since) {
            whole = whole + stop.ended?.since(stop.began);
        }
        Some(whole)
    }

    /// Whether the host's process is stopped.
    pub fn is_stopped(&self, host: u32) -> bool {
        self.hosts[host as usize].stopping > 0
    }

    /// Whether the host's process did everything when it was due, from `since` on.
    pub fn keeps_time_since(&self, host: u32, since: TrueTime) -> bool {
        self.stopped_since(host, since) == Some(Duration::ZERO)
    }

    /// When the host was stopped and went on, if that happened once since then, and it was not slowed either.
    pub fn only_stop_since(&self, host: u32, since: TrueTime) -> Option<(TrueTime, TrueTime)> {
        self.stopped_since(host, since)?;
        let mut stops = self.stops_since(host, since);
        let stop = stops.next().filter(|stop| stop.began >= since)?;
        stops.next().is_none().then_some((stop.began, stop.ended?))
    }

    fn stops_since(&self, host: u32, since: TrueTime) -> impl Iterator<Item = &Stop> {
        let stops = &self.stops[host as usize];
        let first = stops.partition_point(|stop| stop.ended.is_some_and(|ended| ended <= since));
        stops[first..].iter()
    }

    /// The least time that passes in truth while `span` passes on the host's monotonic clock, which deviates by up to
    /// `base_ppb` of its own.
    pub fn at_least(&self, host: u32, span: Duration, base_ppb: i64) -> Duration {
        scaled(span, 1_000_000_000 + base_ppb + self.hosts[host as usize].fastest_ppb)
    }

    /// The most time.
    pub fn at_most(&self, host: u32, span: Duration, base_ppb: i64) -> Duration {
        scaled(span, 1_000_000_000 - base_ppb + self.hosts[host as usize].slowest_ppb)
    }
}

/// How many faults are active after one has begun, if it `lasts`, or has ended.
fn counted(active: u32, begins: bool, lasts: bool) -> u32 {
    if begins { active + u32::from(lasts) } else { active.saturating_sub(1) }
}

/// The true time in which a clock that ticks that many billionths a nanosecond shows `span`.
fn scaled(span: Duration, rate_billionths: i64) -> Duration {
    let rate = u128::from(rate_billionths.max(1).unsigned_abs());
    Duration::from_nanos(u64::try_from(u128::from(span.as_nanos()) * 1_000_000_000 / rate).unwrap_or(u64::MAX))
}
