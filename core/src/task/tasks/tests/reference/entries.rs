//! The commands of the reference, one by one; how they follow from one another is above.

use super::*;

impl Reference {
    pub(super) fn claim(&mut self, number: u64, claim: &Claim) -> String {
        let known = self.workers.iter().position(|(worker, ..)| *worker == claim.worker);
        match known.map(|at| self.workers[at].1) {
            Some(taken) if taken > claim.number => return "stale claim".into(),
            Some(taken) if taken == claim.number => return self.jobs(claim),
            _ => {}
        }
        let fence = FenceToken::new(ClusterEpoch(1), number);
        let mut given = vec![];
        while given.len() < usize::from(claim.count) {
            let Some((class, at)) = self.next(claim) else { break };
            self.turn += 1;
            (self.classes[class].turn, self.classes[class].served) = (self.turn, self.classes[class].served + 1);
            self.set(at, State::Running { fence, worker: claim.worker, number: claim.number });
            self.tasks[at.0].rows[at.1].attempts += 1;
            given.push(self.key(at));
        }
        self.workers.retain(|(worker, ..)| *worker != claim.worker);
        self.workers.push((claim.worker, claim.number, given));
        self.jobs(claim)
    }

    /// What the worker was given under that number, and still has.
    fn jobs(&self, claim: &Claim) -> String {
        let given = self.workers.iter().find(|(worker, ..)| *worker == claim.worker).map(|(.., given)| given);
        let jobs = given.into_iter().flatten().filter_map(|key| {
            let (task, row) = self.at(*key)?;
            let row = &self.tasks[task].rows[row];
            match row.state {
                State::Running { fence, worker, number } if (worker, number) == (claim.worker, claim.number) => {
                    Some(format!("{key} {fence} {}", row.attempts))
                }
                _ => None,
            }
        });
        format!("claimed {:?}", jobs.collect::<Vec<_>>())
    }

    /// Who is next: of the class that was served longest ago.
    fn next(&self, claim: &Claim) -> Option<(usize, (usize, usize))> {
        let is_served = |class: &Class| {
            claim.agents.contains(&class.agent) && class.needs.iter().all(|need| claim.labels.contains(need))
        };
        let is_open = |class: &Class| !self.is_paused && !self.paused.contains(&class.agent);
        let mut classes: Vec<usize> = (0..self.classes.len()).collect();
        classes.sort_by_key(|class| self.classes[*class].turn);
        classes.retain(|class| is_served(&self.classes[*class]) && is_open(&self.classes[*class]));
        classes.into_iter().find_map(|class| Some((class, self.first_of(class)?)))
    }

    /// Of sixteen claims one serves low first, five normal first.
    fn first_of(&self, class: usize) -> Option<(usize, usize)> {
        use Priority::{High, Low, Normal};
        let class = &self.classes[class];
        let order = match class.served % 16 {
            15 => [Low, Normal, High],
            2 | 5 | 8 | 11 | 14 => [Normal, High, Low],
            _ => [High, Normal, Low],
        };
        let mut ready = vec![];
        for (at, task) in self.tasks.iter().enumerate() {
            for (row_at, row) in task.rows.iter().enumerate() {
                if let State::Ready(place) = row.state
                    && task.class(row_at) == Some((class.agent.clone(), class.needs.clone()))
                {
                    ready.push((order.iter().position(|it| *it == task.priority(row_at)), place, (at, row_at)));
                }
            }
        }
        ready.into_iter().min().map(|(.., at)| at)
    }

    /// How many are in front of a step of the same class and priority.
    pub(in super::super) fn ahead(&self, task: usize, row: usize) -> u32 {
        let State::Ready(own) = self.tasks[task].rows[row].state else { return 0 };
        let like = (self.tasks[task].class(row), self.tasks[task].priority(row));
        let mut ahead = 0;
        for task in &self.tasks {
            for (at, row) in task.rows.iter().enumerate() {
                let is_before = matches!(row.state, State::Ready(place) if place < own);
                ahead += u32::from(is_before && (task.class(at), task.priority(at)) == like);
            }
        }
        ahead
    }

    pub(in super::super) fn is_paused(&self, task: usize, row: usize) -> bool {
        self.is_paused || self.tasks[task].class(row).is_some_and(|(agent, _)| self.paused.contains(&agent))
    }

    pub(super) fn report(
        &mut self,
        at: WallTime,
        key: StepKey,
        fence: FenceToken,
        outcome: &Outcome,
        next: &mut Vec<Next>,
    ) -> String {
        let Some((task, row_at)) = self.at(key) else { return "no such step".into() };
        let the = &mut self.tasks[task];
        if !matches!(the.rows[row_at].state, State::Running { fence: now, .. } if now == fence) {
            if the.rows[row_at].settled == Some(fence) {
                return "reported".into();
            }
            self.conflicts += 1;
            return "stale".into();
        }
        the.rows[row_at].settled = Some(fence);
        match outcome {
            Outcome::Succeeded { output, counts } => {
                for (step, count) in counts {
                    let What::Workflow(workflow) = &the.submit.what else { continue };
                    let source = workflow.step(*step).and_then(|step| step.each.as_ref());
                    if source.is_some_and(|source| source.step.position() == row_at) {
                        the.rows[step.position()].items = Some(*count);
                    }
                }
                the.rows[row_at].state = State::Succeeded(Some(output.clone()));
                next.push(Next::Succeeded(task, row_at));
            }
            Outcome::Failed { is_worth_retrying, .. } => self.failed(at, (task, row_at), *is_worth_retrying),
            Outcome::Stopped | Outcome::GivenBack => match the.cancel {
                Some(_) => the.rows[row_at].state = State::Cancelled,
                None => {
                    the.rows[row_at].attempts -= 1;
                    next.push(Next::Go(task, row_at));
                }
            },
        }
        "reported".into()
    }

    fn failed(&mut self, at: WallTime, (task, row_at): (usize, usize), is_worth_retrying: bool) {
        let the = &self.tasks[task];
        let said = match (&the.submit.what, the.step(row_at)) {
            (_, Some(step)) => step.retry,
            (What::Agent { retry, .. }, None) => *retry,
            _ => None,
        };
        let agent = the.class(row_at).map(|(agent, _)| agent);
        let policy = self.policies.iter().find(|(of, _)| Some(of) == agent.as_ref());
        let Retry { attempts_max, base, max } =
            said.or_else(|| policy.and_then(|(_, policy)| policy.retry)).unwrap_or_default();
        let attempts = the.rows[row_at].attempts;
        let bound = (1..attempts).fold(base, |bound, _| bound.saturating_add(bound)).min(max);
        let state = match (the.cancel, is_worth_retrying && attempts < attempts_max) {
            (Some(_), _) => State::Cancelled,
            (None, true) => State::Delayed(at, at.saturating_add(bound), Some(at)),
            (None, false) => State::Dead,
        };
        self.set((task, row_at), state);
    }

    pub(super) fn end(&mut self, at: WallTime, of: Incarnation, upto: u64) -> String {
        let mut has_others = false;
        for task in 0..self.tasks.len() {
            for row in 0..self.tasks[task].rows.len() {
                match self.tasks[task].rows[row].state {
                    State::Running { worker, number, .. } if worker == of && number <= upto => {
                        self.failed(at, (task, row), true);
                    }
                    State::Running { worker, .. } if worker == of => has_others = true,
                    _ => {}
                }
            }
        }
        self.workers.retain(|(worker, number, _)| *worker != of || *number > upto || has_others);
        "done".into()
    }

    /// The clock is put back: spans that would begin later begin anew.
    pub(in super::super) fn put_back(&mut self, at: WallTime) {
        for row in self.tasks.iter_mut().flat_map(|task| &mut task.rows) {
            if let State::Delayed(from, until, Some(since)) = row.state
                && since > at
            {
                let span = |due: WallTime| Duration::from_nanos(due.as_unix_nanos() - since.as_unix_nanos());
                row.state = State::Delayed(at.saturating_add(span(from)), at.saturating_add(span(until)), Some(at));
            }
        }
    }

    pub(super) fn due(&mut self, at: WallTime, next: &mut Vec<Next>) -> String {
        self.put_back(at);
        let mut due = vec![];
        for (task, the) in self.tasks.iter_mut().enumerate() {
            for (row, it) in the.rows.iter_mut().enumerate() {
                match it.state {
                    State::Delayed(until, ..) if until <= at => due.push((until, task, row)),
                    State::Asking(Some(until)) if until <= at => it.state = State::Dead,
                    _ => {}
                }
            }
        }
        due.sort_unstable();
        next.extend(due.into_iter().map(|(_, task, row)| Next::Go(task, row)));
        "done".into()
    }

    pub(super) fn cancel(&mut self, later: WallTime, id: &SubmissionId, mode: CancelMode) -> String {
        let Some(task) = self.task(id) else { return "no such task".into() };
        let the = &mut self.tasks[task];
        if the.ended.is_none() {
            the.cancel = the.cancel.max(Some(mode));
            for row in &mut the.rows {
                if matches!(row.state, State::Delayed(..) | State::Asking(_) | State::Ready(_)) {
                    row.state = State::Cancelled;
                }
            }
            let status = the.status();
            self.finish(later);
            return format!("cancel {status:?}");
        }
        format!("cancel {:?}", the.status())
    }

    pub(super) fn replay(&mut self, id: &SubmissionId, generation: u32, next: &mut Vec<Next>) -> String {
        let Some(task) = self.task(id) else { return "no such task".into() };
        let the = &mut self.tasks[task];
        if the.status() != Status::Dead || the.generation != generation {
            return format!("is {:?}", the.status());
        }
        (the.generation, the.ended) = (generation + 1, None);
        for row_at in 0..the.rows.len() {
            if the.rows[row_at].state == State::Dead {
                the.rows[row_at].attempts = 0;
                let has_instances = the.rows.iter().any(|row| row.instance.is_some_and(|(step, _)| step == row_at));
                the.rows[row_at].state = if has_instances { State::Expanded } else { State::Waiting };
                next.extend((!has_instances).then_some(Next::Go(task, row_at)));
            }
        }
        "done".into()
    }

    pub(super) fn decide(
        &mut self,
        id: &SubmissionId,
        (step, item): (&Name, Option<u32>),
        is_approved: bool,
        words: &str,
        next: &mut Vec<Next>,
    ) -> String {
        let Some(task) = self.task(id) else { return "no such task".into() };
        let the = &mut self.tasks[task];
        if the.status() == Status::Cancelling {
            return "is Cancelling".into();
        }
        let What::Workflow(workflow) = &the.submit.what else { return "no such step".into() };
        let Some(row) = workflow.find(step.as_str()).filter(|_| item.is_none()) else { return "no such step".into() };
        let row = &mut the.rows[row.position()];
        if !matches!(row.state, State::Asking(_)) {
            return "is not asked".into();
        }
        match is_approved {
            true => {
                row.state = State::Succeeded(Some(Payload::inline(words.as_bytes())));
                next.push(Next::Succeeded(task, workflow.find(step.as_str()).unwrap().position()));
            }
            false => row.state = State::Dead,
        }
        "done".into()
    }
}
