//! What clients write to registers and read there: CTRL-1, at the end of the run.

use super::{CTRL_1, MeshChecks};
use crate::check::Findings;
use crate::check::linearizable::{Deed, Operation, Verdict, check};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use relaymesh_core::control::node::{Reply, Request};
use relaymesh_core::control::state::{Answer, Name, Outcome};

/// States of one register's search. Far more than any run has needed.
const STATES_MAX: usize = 1 << 20;

/// The histories of all registers.
#[derive(Debug, Default)]
pub(super) struct Registers {
    histories: BTreeMap<Name, Vec<Operation>>,
    /// Those that ended with a recovery.
    ended: Vec<(Name, Vec<Operation>)>,
    /// The operation that each client waits for: the register, and its place in the history.
    under_way: BTreeMap<u32, (Name, usize)>,
    /// Counts what clients do and hear.
    instant: u64,
}

impl Registers {
    /// A client asks something. Its last operation, if it still waits, is one whose outcome nobody will know.
    pub(super) fn asked(&mut self, client: u32, request: &Request) {
        self.instant += 1;
        self.under_way.remove(&client);
        let (register, deed) = match request {
            Request::Read(register) => (*register, Deed::Read(None)),
            Request::Write { register, value } => (*register, Deed::Wrote(*value)),
            Request::CompareAndSet { register, expected, value } => {
                (*register, Deed::Swapped { expected: *expected, value: *value })
            }
            _ => return,
        };
        let history = self.histories.entry(register).or_default();
        self.under_way.insert(client, (register, history.len()));
        history.push(Operation { invoked: self.instant, returned: None, deed });
    }

    /// Another history of the cluster is about to begin: of what is left, which may lack what was acknowledged. So each
    /// register may hold any value that was ever written, and each may come at any time, once.
    pub(super) fn recovery(&mut self) {
        self.instant += 1;
        for (register, history) in &mut self.histories {
            let is_write = |operation: &&Operation| matches!(operation.deed, Deed::Wrote(_) | Deed::Swapped { .. });
            let mut next = Vec::new();
            let mut places = BTreeMap::new();
            for (at, operation) in history.iter().enumerate().filter(|(_, operation)| is_write(operation)) {
                let deed = match operation.deed {
                    Deed::Swapped { value, .. } if operation.returned.is_some() => Deed::Wrote(value),
                    deed => deed,
                };
                places.insert(at, next.len());
                next.push(Operation { invoked: self.instant, returned: None, deed });
            }
            self.under_way.retain(|_, (of, at)| of != register || places.get(at).map(|place| *at = *place).is_some());
            self.ended.push((*register, core::mem::replace(history, next)));
        }
    }

    /// A client learns what became of it. A refusal says nothing: what was not done nobody will see.
    pub(super) fn answered(&mut self, client: u32, reply: &Reply) {
        let Some((register, at)) = self.under_way.remove(&client) else { return };
        let Some(operation) = self.histories.get_mut(&register).and_then(|history| history.get_mut(at)) else { return };
        self.instant += 1;
        operation.deed = match (operation.deed, reply) {
            (Deed::Read(_), Reply::Value(read)) => Deed::Read(*read),
            (deed @ (Deed::Wrote(_) | Deed::Swapped { .. }), Reply::Executed(Outcome::Done(Answer::Set))) => deed,
            (Deed::Swapped { expected, .. }, Reply::Executed(Outcome::Done(Answer::Differs(found)))) => {
                Deed::Differed { expected, found: *found }
            }
            _ => return,
        };
        operation.returned = Some(self.instant);
    }
}

impl MeshChecks {
    /// CTRL-1: of each register there is a story in which each operation happened at once.
    pub(super) fn check_registers(&mut self, found: &mut Findings) {
        let registers = &self.control.registers;
        let ended = registers.ended.iter().map(|(register, history)| (register, history));
        for (register, history) in registers.histories.iter().chain(ended) {
            self.exercised.ctrl_1 += history.iter().filter(|operation| operation.returned.is_some()).count() as u64;
            match check(history, STATES_MAX) {
                Verdict::Linearizable => {}
                Verdict::Impossible { stuck } => {
                    let around = |it: &&Operation| {
                        let (begun, ended) = (history[stuck].invoked, history[stuck].returned.unwrap_or(u64::MAX));
                        it.invoked <= ended && it.returned.is_none_or(|returned| returned >= begun)
                    };
                    let near: Vec<&Operation> = history.iter().filter(around).take(12).collect();
                    let detail = format!("{register} has no place for {:?} among {near:?}", history[stuck]);
                    found.fail(CTRL_1, &[], detail);
                }
                Verdict::Undecided => {
                    let detail = format!("the story of {register} has too many turns: {STATES_MAX} states");
                    found.fail(CTRL_1, &[], detail);
                }
            }
        }
    }
}
