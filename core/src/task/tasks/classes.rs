//! Steps that need the same agent and the same labels: who joins them, and whom they can be given to.

use super::Claim;
use super::rows::{ClassId, ClassRow, Labels};
use super::tables::Tables;
use crate::task::workflow::{Name, Priority};

impl Tables {
    /// The class of steps that need this, with one step more.
    pub(super) fn join_class(&mut self, agent: &Name, needs: Labels) -> ClassId {
        if let Some(class) = self.by_agent.get(agent).and_then(|classes| classes.get(&needs)).copied() {
            self.classes.get_mut(&class).expect("an indexed class is there").steps += 1;
            return class;
        }
        self.head.class += 1;
        let class = ClassId(self.head.class);
        let row = ClassRow { agent: agent.clone(), needs, steps: 1, served: 0, turn: 0 };
        self.index_class(class, &row);
        self.classes.insert(class, row);
        class
    }

    pub(super) fn index_class(&mut self, class: ClassId, row: &ClassRow) {
        self.by_agent.entry(row.agent.clone()).or_default().insert(row.needs.clone(), class);
    }

    /// A class has a step more, which is an instance of one that is in it.
    pub(super) fn grow_class(&mut self, class: ClassId) {
        if let Some(row) = self.classes.get_mut(&class) {
            row.steps += 1;
        }
    }

    pub(super) fn leave_class(&mut self, class: ClassId) {
        let Some(row) = self.classes.get_mut(&class) else { return };
        row.steps -= 1;
        if row.steps > 0 {
            return;
        }
        let Some(row) = self.classes.remove(&class) else { return };
        if let Some(classes) = self.by_agent.get_mut(&row.agent) {
            classes.remove(&row.needs);
            if classes.is_empty() {
                self.by_agent.remove(&row.agent);
            }
        }
    }

    /// Classes that a claim may be served from, whether or not something of them is ready.
    pub(super) fn matching(&self, claim: &Claim) -> impl Iterator<Item = (ClassId, &ClassRow)> {
        let is_open = |agent: &&Name| !self.head.is_paused && !self.agents.get(agent).is_some_and(|row| row.is_paused);
        let classes = claim.agents.iter().filter(is_open).filter_map(|agent| self.by_agent.get(agent));
        let has = |needs: &Labels| needs.iter().all(|need| claim.labels.contains(need));
        let served = classes.flatten().filter(move |(needs, _)| has(needs));
        served.filter_map(|(_, class)| Some((*class, self.classes.get(class)?)))
    }

    pub(super) fn has_ready(&self, class: ClassId) -> bool {
        self.ready.range((class, Priority::High, 0)..=(class, Priority::Low, u64::MAX)).next().is_some()
    }
}
