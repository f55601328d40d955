//! What agents do, and what dies with a node.

use super::stories::POISON;
use crate::scenario::units::SpanRange;
use crate::streams::{MILLION, Stream};
use crate::time::TrueTime;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::bytes::Blob;
use relaymesh_core::machine::Chooser;
use relaymesh_core::task::worker::view::{Run, RunEnd, RunKey};
use relaymesh_core::time::Duration;

/// Share of runs that fail, and may be tried again.
const FAILS: u64 = MILLION / 10;
/// Of runs that fail for good.
const DIES: u64 = MILLION / 50;
/// Of runs that take longer than they may.
const HANGS: u64 = MILLION / 100;
/// How long it takes until a node is killed by what it runs.
const POISONED_AFTER: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(500));
/// How long it takes until nothing is left of a run that is killed.
const KILLED_AFTER: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(200));

/// In front of the fence, in what an attempt gives.
pub(in crate::mesh) const MARK: char = '~';

/// What an agent gives, with a mark that says which attempt gave it.
pub(in crate::mesh) fn output_of(agent: &str, input: &[u8], mark: &str) -> Vec<u8> {
    match agent {
        // A list, as long as its input says.
        "list" => {
            let count = input.iter().map(|byte| usize::from(*byte)).sum::<usize>() % 5;
            let items: Vec<String> = (0..count).map(|item| format!("\"item-{item}{mark}\"")).collect();
            format!("[{}]", items.join(",")).into_bytes()
        }
        // What it was given, and that it was here.
        _ => [agent.as_bytes(), b":", input, mark.as_bytes()].concat(),
    }
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) end: RunEnd,
    pub(super) ends_at: TrueTime,
}

/// What runs, by node.
#[derive(Debug)]
pub(in super::super) struct Agents {
    running: BTreeMap<(u32, RunKey), Running>,
    /// Nodes that are about to be killed by what they run.
    poisoned: BTreeMap<u32, TrueTime>,
    /// How long those take that do not hang.
    takes: SpanRange,
}

impl Agents {
    pub(in super::super) fn new(takes: SpanRange) -> Self {
        Self { running: BTreeMap::new(), poisoned: BTreeMap::new(), takes }
    }

    /// An agent begins.
    pub(super) fn begin(&mut self, host: u32, now: TrueTime, run: &Run, stream: &mut Stream) {
        let timeout = (Duration::ZERO, now + run.timeout);
        if run.agent.as_str() == POISON {
            let until = now + stream.span(POISONED_AFTER.0, POISONED_AFTER.1);
            self.poisoned.entry(host).or_insert(until);
        }
        let span = stream.span(self.takes.from, self.takes.to);
        let (end, ends_at) = match stream.below(MILLION) {
            draw if draw < HANGS => (failed(true, "took too long"), timeout.1),
            draw if draw < HANGS + DIES => (failed(false, "cannot be done"), now + span),
            draw if draw < HANGS + DIES + FAILS => (failed(true, "went wrong"), now + span),
            _ if run.agent.as_str() == POISON => (failed(true, "took too long"), timeout.1),
            _ => {
                let mark = format!("{MARK}{}", run.key.fence.log_index());
                let output = output_of(run.agent.as_str(), &run.input.0, &mark);
                (RunEnd::Succeeded { output: Blob(output.into()) }, now + span)
            }
        };
        self.running.insert((host, run.key), Running { end, ends_at: ends_at.min(timeout.1) });
    }

    /// An agent is killed, unless it has ended.
    pub(super) fn kill(&mut self, host: u32, now: TrueTime, key: RunKey, stream: &mut Stream) {
        if let Some(running) = self.running.get_mut(&(host, key)).filter(|running| running.ends_at > now) {
            running.end = RunEnd::Killed;
            running.ends_at = now + stream.span(KILLED_AFTER.0, KILLED_AFTER.1);
        }
    }

    /// Nothing runs there any more: the node has died, and its agents with it.
    pub(super) fn die(&mut self, host: u32) {
        self.running.retain(|(at, _), _| *at != host);
        self.poisoned.remove(&host);
    }

    /// When a node is killed by what it runs, if it is.
    pub(super) fn poisoned(&self, host: u32) -> Option<TrueTime> {
        self.poisoned.get(&host).copied()
    }

    /// The first run of a node that ends, and when.
    pub(super) fn first(&self, host: u32) -> Option<(RunKey, &Running)> {
        let of_host = self.running.iter().filter(|((at, _), _)| *at == host);
        of_host.min_by_key(|(_, running)| running.ends_at).map(|((_, key), running)| (*key, running))
    }

    pub(super) fn over(&mut self, host: u32, key: RunKey) {
        self.running.remove(&(host, key));
    }
}

fn failed(is_worth_retrying: bool, words: &str) -> RunEnd {
    RunEnd::Failed { is_worth_retrying, words: words.into() }
}
