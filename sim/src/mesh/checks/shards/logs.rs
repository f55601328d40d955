//! Which entries are in the logs that messages show: PREF-1, TASK-1.
//!
//! What is acknowledged follows from two things: an owner says so (its mark), or a client was told that its command took
//! effect. From then on the entries up to it are in the log of every later owner, and of every member that one asks. An owner
//! that has been replaced and does not know may show others; it counts by its epoch.

use super::super::{MeshChecks, PREF_1, TASK_1};
use super::shown::{At, Contradiction, Entry, Shown};
use super::tasks::command as task_command;
use crate::check::Findings;
use crate::scenario::Scenario;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use relaymesh_core::codec::decode_value;
use relaymesh_core::epoch::Epoch;
use relaymesh_core::replication::registers::Command;
use relaymesh_core::replication::{Block, Entry as Content, LogSequence, Message, Position};
use relaymesh_core::shards::ShardId;
use relaymesh_core::task::command::Command as TaskCommand;

/// All logs that were shown.
#[derive(Debug)]
pub(in super::super) struct Logs {
    shards: BTreeMap<ShardId, Shown>,
    /// What a host's store has held may have gone without notice: it may end before what it said to hold.
    is_excused: Vec<bool>,
    /// An operator may give up what is acknowledged.
    is_watched: bool,
}

impl Logs {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let is_watched = scenario.control.recovery.is_none();
        Self { shards: BTreeMap::new(), is_excused: vec![false; scenario.nodes as usize], is_watched }
    }

    pub(super) fn store_lost(&mut self, host: u32) {
        self.is_excused[host as usize] = true;
    }

    /// Whether that entry is known to be acknowledged.
    pub(super) fn has_acknowledged(&self, shard: &ShardId, at: Position) -> bool {
        let fixed = self.shards.get(shard).and_then(|shown| shown.fixed_at(at.sequence.0));
        fixed.is_some_and(|fixed| fixed.entry == at.epoch)
    }
}

/// Stands for an entry's content (FNV-1a).
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// What a checker knows of, and how often it was put to the test.
struct Look<'a> {
    shown: &'a mut Shown,
    found: &'a mut Findings,
    host: u32,
    shard: ShardId,
    pref_1: u64,
    task_1: u64,
    /// What is said of tasks by entries that are shown for the first time.
    of_tasks: Vec<(Position, TaskCommand)>,
}

impl MeshChecks {
    fn look(&mut self, host: u32, shard: ShardId, found: &mut Findings, with: impl FnOnce(&mut Look<'_>)) {
        if !self.shards.logs.is_watched {
            return;
        }
        let shown = self.shards.logs.shards.entry(shard).or_default();
        let mut look = Look { shown, found: &mut *found, host, shard, pref_1: 0, task_1: 0, of_tasks: Vec::new() };
        with(&mut look);
        let Look { pref_1, task_1, of_tasks, .. } = look;
        self.exercised.pref_1 += pref_1;
        self.exercised.task_1 += task_1;
        self.entries_shown(host, shard, &of_tasks, found);
    }

    /// PREF-1 and TASK-1: a replica shows what is in its log.
    pub(super) fn log_shown(&mut self, host: u32, shard: ShardId, message: &Message, found: &mut Findings) {
        let is_excused = self.shards.logs.is_excused[host as usize];
        self.look(host, shard, found, |look| match message {
            Message::Append { epoch, before, mark, block } => {
                let tip = look.block(*before, block.as_deref());
                look.is_kept(*epoch, *before, block.as_deref(), true);
                look.acknowledged(tip, *mark, *epoch);
            }
            Message::Fetched { epoch, before, block, .. } => {
                look.block(*before, block.as_deref());
                look.is_kept(*epoch, *before, block.as_deref(), false);
            }
            Message::Snapshot { epoch, at, .. } => {
                look.is_kept(*epoch, *at, None, true);
                look.acknowledged(*at, at.sequence, *epoch);
            }
            Message::Promised { epoch, end, mark } => {
                look.acknowledged(*end, *mark, *epoch);
                if !is_excused {
                    look.contains(*epoch, *end, "is asked for what it holds");
                }
            }
            _ => {}
        });
    }

    /// TASK-1: a client was told that its command took effect. Only the owner under whose epoch the entry was written says so.
    /// An owner that is the only member shows its entries to nobody, so that a command that clients repeat, byte for byte,
    /// might be another one than the one shown: only what is written once counts.
    pub(super) fn told_done(&mut self, host: u32, shard: ShardId, command: &[u8], found: &mut Findings) {
        if !matches!(decode_value(command), Ok(Command::Write { .. } | Command::CompareAndSet { .. })) {
            return;
        }
        self.look(host, shard, found, |look| {
            if let Some(at) = look.shown.place_of(hash(command)) {
                look.acknowledged(at, at.sequence, at.epoch);
            }
        });
    }
}

impl Look<'_> {
    fn fail(&mut self, invariant: &'static str, what: &str) {
        self.found.fail(invariant, &[self.host], format!("n{} {what} ({})", self.host, self.shard));
    }

    /// Entries are shown, behind one. Says how far the log is known now.
    fn block(&mut self, before: Position, block: Option<&Block>) -> Position {
        let Some(block) = block else { return before };
        let (first, last) = (block.first(), block.last());
        let mut behind = before.epoch;
        for sequence in first.sequence.0..=last.sequence.0 {
            let at = Position { epoch: first.epoch, sequence: LogSequence(sequence) };
            self.entry(at, block.entry(at.sequence), behind);
            behind = first.epoch;
        }
        last
    }

    /// PREF-1: an entry is the same wherever it is shown, and has the same one before it.
    fn entry(&mut self, at: Position, content: Option<Content<'_>>, before: Epoch) {
        let hash = match content {
            Some(Content::Command(bytes)) => {
                let hash = hash(bytes);
                self.shown.command(hash, at);
                if !self.shown.has(at) {
                    self.of_tasks.extend(task_command(bytes).map(|command| (at, command)));
                }
                hash
            }
            Some(Content::Brings { address, length }) => hash(&[&address.0[..], b"+", &length.to_le_bytes()].concat()),
            Some(Content::Drops { address, idle_since }) => {
                hash(&[&address.0[..], b"-", &idle_since.0.to_le_bytes()].concat())
            }
            Some(Content::Start) => 0,
            None => return,
        };
        self.pref_1 += u64::from(self.shown.has(at));
        if let Err(known) = self.shown.entry(at, Entry { hash, before }) {
            let is = Entry { hash, before };
            self.fail(PREF_1, &format!("shows {is:?} as the entry {at}, which is {known:?}"));
        }
        if hash == 0 && self.shown.starts.insert(at.epoch, at.sequence.0).is_none() {
            let tip = Position { epoch: before, sequence: at.sequence.before() };
            self.contains(at.epoch, tip, "begins an epoch");
        }
    }

    /// TASK-1: what is shown of the log of an owner, or of a member that an owner of that epoch asks, is what is
    /// acknowledged, as far as that is so under its epoch or older ones.
    fn is_kept(&mut self, epoch: Epoch, before: Position, block: Option<&Block>, is_owner: bool) {
        let (first, last) = block.map_or((before, before), |block| (block.first(), block.last()));
        let shown = (first.sequence.0..=last.sequence.0).map(|sequence| (sequence, first.epoch));
        for (at, is) in core::iter::once((before.sequence.0, before.epoch)).chain(shown) {
            let Some(was) = self.shown.fixed_at(at).filter(|was| was.under < epoch || (is_owner && was.under == epoch))
            else {
                continue;
            };
            self.task_1 += u64::from(was.under < epoch);
            if was.entry != is {
                let detail = format!(
                    "has the entry {is}:{at} under {epoch}, where {}:{at} was acknowledged under {}",
                    was.entry, was.under
                );
                return self.fail(TASK_1, &detail);
            }
        }
    }

    /// TASK-1: the log that ends so has all that was acknowledged under older epochs.
    fn contains(&mut self, epoch: Epoch, tip: Position, what: &str) {
        let Some((at, fixed)) = self.shown.last_fixed(|under| under < epoch) else { return };
        let held = self.shown.at(tip, at);
        self.task_1 += u64::from(held != At::Unknown);
        if !matches!(held, At::Unknown) && held != At::Epoch(fixed.entry) {
            let detail = format!(
                "{what} under {epoch} with a log that ends at {tip}, and has {held:?} where {}:{at} was acknowledged \
                 under {}",
                fixed.entry, fixed.under
            );
            self.fail(TASK_1, &detail);
        }
    }

    /// TASK-1: somebody takes entries for acknowledged. Whoever began a later epoch has them.
    fn acknowledged(&mut self, tip: Position, upto: LogSequence, under: Epoch) {
        match self.shown.fix(tip, upto, under) {
            Ok(0) => {}
            Ok(_) => {
                let later: Vec<(Epoch, u64)> = self
                    .shown
                    .starts
                    .range(under..)
                    .filter(|(it, _)| **it > under)
                    .map(|(it, at)| (*it, *at))
                    .collect();
                for (epoch, start) in later {
                    let start = Position { epoch, sequence: LogSequence(start) };
                    let behind = if start.sequence.0 > upto.0 { start } else { Position::default() };
                    self.contains(epoch, behind, "is told of what is acknowledged, after an owner began");
                }
            }
            Err(Contradiction { at, was, is }) => {
                let detail = format!(
                    "takes {is}:{at} for acknowledged under {under}, where {}:{at} was acknowledged under {}",
                    was.entry, was.under
                );
                self.fail(TASK_1, &detail);
            }
        }
    }
}
