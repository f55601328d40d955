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
        for (register, history) in &self.control.registers.histories {
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
