//! All entries written again, some in each step, so that the node's journal can be trimmed: what was appended is kept for
//! ever. Only once version 2 is activated, whose records say where an entry stands.

use super::super::NEWEST_VERSION;
use super::super::wire::Record;
use super::machine::Journal;
use super::{Action, Entry, LogName};
use alloc::collections::BTreeMap;
use relaymesh_core::machine::{Ctx, Sink};
use relaymesh_core::record::Sequence;

/// Entries written again, or read to be written again, in one step.
const MOVED_MAX: usize = 16;
/// Entries looked at in one step.
const LOOKED_AT_MAX: usize = 256;

/// How far a checkpoint has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Moving {
    cut: Sequence,
    /// The next entry to be looked at; `None` after the last one.
    next: Option<(LogName, u64)>,
    /// Records that are being read.
    awaited: BTreeMap<Sequence, (LogName, u64)>,
    /// One of them cannot be read any more: the old copy is all there is.
    is_stuck: bool,
}

impl Journal {
    /// Writes again some of what stands before `cut`.
    pub(super) fn checkpoint(&mut self, ctx: &mut Ctx<'_>, cut: Sequence, out: &mut impl Sink<Action>) {
        if self.writes < NEWEST_VERSION {
            return;
        }
        if self.moving.cut != cut {
            let next = self.logs.keys().next().map(|name| (*name, 0));
            self.moving = Moving { cut, next, ..Moving::default() };
            ctx.next_record = ctx.next_record.next();
            out.push(Action::Write(self.writes, Record::Activated));
        }
        if self.moving.is_stuck || !self.moving.awaited.is_empty() {
            return;
        }
        // Records that do not say where their entries stand are older than it seems, if activation fell behind the cut.
        let old = cut.max(self.placed_from);
        let mut moved = 0;
        for _ in 0..LOOKED_AT_MAX {
            let Some((name, position)) = self.moving.next else { break };
            let log = &self.logs[&name];
            self.moving.next = if position < log.records.len() as u64 {
                let (record, recent) = (log.records[position as usize], log.recent.get(&position).cloned());
                if record < old {
                    moved += 1;
                    match recent {
                        Some(entry) => self.write_again(ctx, name, position, entry, out),
                        None => {
                            self.moving.awaited.insert(record, (name, position));
                            out.push(Action::Load(record));
                        }
                    }
                }
                Some((name, position + 1))
            } else {
                let behind = (core::ops::Bound::Excluded(name), core::ops::Bound::Unbounded);
                self.logs.range(behind).next().map(|(name, _)| (*name, 0))
            };
            if moved == MOVED_MAX {
                break;
            }
        }
        if self.moving.next.is_none() && self.moving.awaited.is_empty() {
            out.push(Action::Checkpointed(cut));
        }
    }

    /// A record was read that no client waits for.
    pub(super) fn read_to_move(
        &mut self,
        ctx: &mut Ctx<'_>,
        sequence: Sequence,
        entry: Option<Entry>,
        out: &mut impl Sink<Action>,
    ) {
        let Some((name, position)) = self.moving.awaited.remove(&sequence) else { return };
        match entry {
            Some(entry) => self.write_again(ctx, name, position, entry, out),
            None => self.moving.is_stuck = true,
        }
    }

    fn write_again(
        &mut self,
        ctx: &mut Ctx<'_>,
        log: LogName,
        position: u64,
        entry: Entry,
        out: &mut impl Sink<Action>,
    ) {
        self.keep(ctx.next_record, log, position, entry.clone());
        ctx.next_record = ctx.next_record.next();
        out.push(Action::Write(self.writes, Record::Placed { log, position, entry }));
    }
}
