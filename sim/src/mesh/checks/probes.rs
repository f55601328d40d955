//! Probes, as they are on the wire: nobody is accused before others and a stream were tried (PROB-2), whoever is asked to
//! look for another says what it saw (PROB-3), and a node whose probes fail asks the more rarely (HLTH-1).

use super::agreement::PROBES_WATCHED_MAX;
use super::{HLTH_1, MeshChecks, PROB_2, PROB_3};
use crate::check::Findings;
use crate::time::TrueTime;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::envelope::Class;
use relaymesh_core::membership::Status;
use relaymesh_core::membership::wire::Message as Said;
use relaymesh_core::time::Duration;

/// Clocks and the truth round differently, by less than this.
const SLACK: Duration = Duration::from_millis(5);
/// Probes of a node that are remembered: as many as may be under way.
const PROBES_KEPT: u32 = 256;

/// A probe, as far as it was seen to be sent.
#[derive(Clone, Copy, Debug)]
struct Probe {
    target: u32,
    relays: u32,
    /// When a stream was tried.
    streamed: Option<TrueTime>,
    nacks: u32,
    sent_at: TrueTime,
    is_answered: bool,
}

/// That a relay was asked: relay, asker, number.
type Asked = (u32, u32, u32);

/// The probes of everybody.
#[derive(Clone, Debug)]
pub(super) struct Probes {
    is_watched: bool,
    /// By who probes, and its number.
    sent: BTreeMap<(u32, u32), Probe>,
    /// What relays were asked: whom to look for, when, and until when they are to say so.
    asked: BTreeMap<Asked, (u32, TrueTime, TrueTime)>,
    due: BTreeSet<(TrueTime, Asked)>,
    /// The request that came last, if it was the first of its kind.
    latest: Option<Asked>,
    /// The probe that the message which came last has answered, if the node looks at it.
    answered: Option<(u32, u32)>,
    /// When a relay was asked last, by whom and for which probe, while no stream was tried.
    only_asked: Option<(TrueTime, u32, u32)>,
    hosts: Vec<Prober>,
}

/// One that probes.
#[derive(Clone, Copy, Debug, Default)]
struct Prober {
    /// When anything reached it last.
    heard_at: TrueTime,
    /// At least that badly it must think of its own health.
    ailing: u32,
    /// When it last asked somebody in turn, and how it fared then.
    round: Option<(TrueTime, u32)>,
    is_leaving: bool,
}

impl Probes {
    pub(super) fn new(nodes: u32) -> Self {
        Self {
            is_watched: nodes <= PROBES_WATCHED_MAX,
            sent: BTreeMap::new(),
            asked: BTreeMap::new(),
            due: BTreeSet::new(),
            latest: None,
            answered: None,
            only_asked: None,
            hosts: vec![Prober::default(); nodes as usize],
        }
    }

    /// A process begins or ends.
    pub(super) fn reset(&mut self, host: u32) {
        let sent: Vec<_> = self.sent.range((host, 0)..(host + 1, 0)).map(|(key, _)| *key).collect();
        for key in sent {
            self.sent.remove(&key);
        }
        self.leaving(host);
        self.hosts[host as usize] = Prober::default();
    }

    /// A node that says good-bye looks for nobody any more.
    pub(super) fn leaving(&mut self, host: u32) {
        let asked: Vec<_> = self.asked.range((host, 0, 0)..(host + 1, 0, 0)).map(|(key, _)| *key).collect();
        asked.into_iter().for_each(|key| self.told(key));
        self.hosts[host as usize].is_leaving = true;
    }

    /// The node does not look at the message that came last.
    pub(super) fn refused(&mut self) {
        if let Some(key) = self.latest.take() {
            self.told(key);
        }
        if let Some(probe) = self.answered.take().and_then(|key| self.sent.get_mut(&key)) {
            probe.is_answered = false;
        }
    }

    fn told(&mut self, key: Asked) {
        if let Some((_, _, until)) = self.asked.remove(&key) {
            self.due.remove(&(until, key));
        }
    }

    fn worsens(&mut self, host: u32, by: u32, most: u32) {
        let it = &mut self.hosts[host as usize];
        it.ailing = (it.ailing + by).min(most);
    }

    fn mends(&mut self, host: u32) {
        let it = &mut self.hosts[host as usize];
        it.ailing = it.ailing.saturating_sub(1);
    }
}

impl MeshChecks {
    /// `host` says something that may have to do with probes.
    pub(super) fn probes_sent(&mut self, host: u32, to: u32, class: Class, said: &Said, found: &mut Findings) {
        if !self.probes.is_watched {
            return;
        }
        self.look_at_streams(found);
        match said {
            Said::Ping { probe, .. } if class.is_stream() => self.stream_tried(host, to, *probe, found),
            Said::Ping { probe, .. } => {
                let fresh =
                    Probe { target: to, relays: 0, streamed: None, nacks: 0, sent_at: found.now, is_answered: false };
                self.probes.sent.insert((host, *probe), fresh);
                self.probes.sent.remove(&(host, probe.wrapping_sub(PROBES_KEPT)));
                self.check_pace(host, to, found);
                self.looks_for_itself(host, to, found.now);
            }
            Said::PingRequest { probe, .. } => {
                if let Some(it) = self.probes.sent.get_mut(&(host, *probe)) {
                    it.relays += 1;
                    self.probes.only_asked = Some((found.now, host, *probe));
                }
            }
            Said::Vouch { probe } | Said::Nack { probe } => {
                self.exercised.prob_3 += 1;
                self.probes.told((host, to, *probe));
            }
            _ => {}
        }
    }

    /// PROB-2: as many relays as there are have been asked by now.
    fn stream_tried(&mut self, host: u32, to: u32, number: u32, found: &mut Findings) {
        let alive = |other: &u32| *other != to && self.views.get(host, *other).status == Some(Status::Alive);
        let others = (0..self.numbers.len() as u32).filter(alive).take(self.settings.relays as usize).count() as u32;
        let Some(it) = self.probes.sent.get_mut(&(host, number)) else { return };
        it.streamed = Some(found.now);
        self.exercised.prob_2 += 1;
        if it.relays < others {
            let detail = format!("n{host} has asked {} for n{to}, and could have asked {others}", it.relays);
            found.fail(PROB_2, &[host, to], detail);
        }
        self.probes.only_asked = None;
    }

    /// PROB-2: whoever asks others tries a stream at the same time.
    fn look_at_streams(&mut self, found: &mut Findings) {
        let Some((_, host, number)) = self.probes.only_asked.take_if(|(at, ..)| *at < found.now) else { return };
        if let Some(probe) = self.probes.sent.get(&(host, number)).filter(|probe| probe.streamed.is_none()) {
            let target = probe.target;
            let detail = format!("n{host} has asked others for n{target}, and tried no stream");
            found.fail(PROB_2, &[host, target], detail);
        }
    }

    /// Whether `host` is free to look for `target`: it is in the mesh, and has no probe of it under way.
    pub(super) fn may_serve(&self, host: u32, target: u32, now: TrueTime) -> bool {
        let longest = self.settings.probe_interval.saturating_mul(2 * (u64::from(self.settings.health_max) + 1));
        let since = self.before(now, longest);
        let is_under_way = |probe: &Probe| probe.target == target && !probe.is_answered && probe.sent_at >= since;
        self.probes.is_watched
            && !self.probes.hosts[host as usize].is_leaving
            && !self.probes.sent.range((host, 0)..(host + 1, 0)).any(|(_, probe)| is_under_way(probe))
    }

    /// Something of probes has reached `host`. Whether it looks at it, it says at once.
    pub(super) fn probes_heard(&mut self, host: u32, from: u32, said: &Said, found: &mut Findings) {
        self.look_at_requests(found);
        self.look_at_streams(found);
        (self.probes.latest, self.probes.answered) = (None, None);
        self.probes.hosts[host as usize].heard_at = found.now;
        match said {
            // The best that may come of it, so that health is never held to be worse than the node must think.
            Said::Ack { probe, .. } | Said::Vouch { probe } => {
                self.probes.mends(host);
                let is_vouch = matches!(said, Said::Vouch { .. });
                let of_host = self.probes.sent.get_mut(&(host, *probe));
                if let Some(it) = of_host.filter(|it| (is_vouch || it.target == from) && !it.is_answered) {
                    it.is_answered = true;
                    self.probes.answered = Some((host, *probe));
                }
            }
            Said::Nack { probe } => {
                if let Some(it) = self.probes.sent.get_mut(&(host, *probe)) {
                    it.nacks += 1;
                }
            }
            Said::PingRequest { probe, target, .. } => {
                let Some(target) = self.number(*target).filter(|target| *target != host) else { return };
                self.relay_asked((host, from, *probe), target, found.now);
            }
            _ => {}
        }
    }

    fn relay_asked(&mut self, key: Asked, target: u32, now: TrueTime) {
        let (relay, ..) = key;
        let knows = self.views.get(relay, target).status.is_some();
        let can = self.probes.is_watched && knows && !self.probes.hosts[relay as usize].is_leaving;
        if !can || self.probes.asked.contains_key(&key) {
            return;
        }
        let until = self.answer_is_due(relay, now);
        self.probes.asked.insert(key, (target, now, until));
        self.probes.due.insert((until, key));
        self.probes.latest = Some(key);
    }

    /// A relay has four fifths of the time in which the direct answer should have come. Its clock may slow down meanwhile.
    fn answer_is_due(&self, relay: u32, asked_at: TrueTime) -> TrueTime {
        let patience = Duration::from_nanos(self.settings.probe_timeout.as_nanos() / 5 * 4);
        asked_at + self.truth.at_most(relay, patience, self.clock_ppb) + SLACK
    }

    /// PROB-3: whoever was asked has said by now what it saw.
    pub(super) fn look_at_requests(&mut self, found: &mut Findings) {
        while let Some((_, key)) = self.probes.due.first().copied().filter(|(until, _)| *until < found.now) {
            let asked = self.probes.asked.get(&key).copied();
            self.probes.told(key);
            let (Some((target, at, _)), (relay, asker, _)) = (asked, key) else { continue };
            let until = self.answer_is_due(relay, at);
            if until >= found.now {
                self.probes.asked.insert(key, (target, at, until));
                self.probes.due.insert((until, key));
                continue;
            }
            let since = self.before(at, self.settings.probe_interval);
            if self.truth.keeps_time_since(relay, since) && self.views.get(relay, target).status.is_some() {
                self.exercised.prob_3 += 1;
                let ago = found.now.since(at);
                let detail = format!("n{asker} asked n{relay} for n{target} {ago} ago, and was told nothing");
                found.fail(PROB_3, &[relay, asker], detail);
            }
        }
    }

    /// PROB-2: a probe has failed, so relays and a stream were tried, and had their time.
    pub(super) fn probe_failed(&mut self, host: u32, target: u32, found: &mut Findings) {
        if !self.probes.is_watched {
            return;
        }
        self.exercised.prob_2 += 1;
        let rest = self.settings.probe_interval.saturating_sub(self.settings.probe_timeout);
        let least = self.truth.at_least(host, rest, self.clock_ppb);
        let of_host = self.probes.sent.range((host, 0)..(host + 1, 0));
        let tried = |probe: &Probe| probe.streamed.is_some_and(|at| found.now.since(at) + SLACK >= least);
        let fitting = of_host.filter(|(_, probe)| probe.target == target && tried(probe));
        let fitting: Vec<(u32, u32)> = fitting.map(|((_, number), it)| (*number, silent(it))).collect();
        if fitting.is_empty() {
            let detail = format!("n{host} accuses n{target} without having tried others and a stream for {least}");
            return found.fail(PROB_2, &[host, target], detail);
        }
        // Where several were under way, any may be the one that failed: all stay, and the best of them is assumed.
        if let [(number, _)] = fitting[..] {
            self.probes.sent.remove(&(host, number));
        }
        let own_fault = fitting.iter().map(|(_, silent)| *silent).min().unwrap_or(0);
        self.probes.worsens(host, own_fault, self.settings.health_max);
    }

    /// HLTH-1: a turn comes the later, the worse the node fared when the last one came. What a node sends while it looks at
    /// a message may be no turn of its own.
    fn check_pace(&mut self, host: u32, to: u32, found: &mut Findings) {
        let it = self.probes.hosts[host as usize];
        if it.heard_at == found.now || self.views.get(host, to).status == Some(Status::Dead) {
            return;
        }
        self.probes.hosts[host as usize].round = Some((found.now, it.ailing));
        let Some((before, ailing)) = it.round else { return };
        self.exercised.hlth_1 += u64::from(ailing > 0);
        let pause = self.settings.probe_interval.saturating_mul(u64::from(ailing) + 1);
        let least = self.truth.at_least(host, pause, self.clock_ppb);
        let passed = found.now.since(before);
        if passed + SLACK < least {
            let detail = format!(
                "n{host} asks n{to} {passed} after it asked the last one, where its failed probes call for {least}"
            );
            found.fail(HLTH_1, &[host], detail);
        }
    }
}

/// Relays that did not even say that they had no answer; without relays, the node itself is in doubt.
fn silent(probe: &Probe) -> u32 {
    if probe.relays == 0 { 1 } else { probe.relays.saturating_sub(probe.nacks) }
}
