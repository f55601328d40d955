//! One run. The only place where this program runs a world; assertions that fail in it become the violation ASSERT.

use crate::wall::Stopwatch;
use relaymesh_core::machine::CauseId;
use relaymesh_sim::check::{ASSERT, Violation};
use relaymesh_sim::scenario::{Plan, Scenario};
use relaymesh_sim::subject::Subject;
use relaymesh_sim::subjects::{Visit, with_subject};
use relaymesh_sim::time::TrueTime;
use relaymesh_sim::trace::{EventKind, Line};
use relaymesh_sim::world::{Options, Report, Verdict, World};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

/// A run that is over.
#[derive(Debug)]
pub(crate) struct Executed {
    /// What it came to.
    pub(crate) report: Report,
    /// What its seed had drawn.
    pub(crate) plan: Plan,
    /// A line for each event, if they were to be kept.
    pub(crate) lines: Vec<Line>,
    /// How long it took.
    pub(crate) wall_seconds: f64,
}

impl Executed {
    /// Events that were work: a wake after which nothing followed is none.
    pub(crate) fn work_events(&self) -> u64 {
        self.report.events - idle_wakes(&self.report)
    }
}

/// Wakes after which nothing followed.
pub(crate) fn idle_wakes(report: &Report) -> u64 {
    report.events_by_kind.get(EventKind::IdleWake.name()).copied().unwrap_or(0)
}

/// Runs `scenario` from `seed`, whatever its subject.
pub(crate) fn execute(scenario: &Scenario, seed: u64, keep_lines: bool) -> Executed {
    let options = Options { keep_lines, ..Options::default() };
    with_subject(scenario.subject, Execution { scenario, seed, options })
}

/// A run to be done.
struct Execution<'a> {
    scenario: &'a Scenario,
    seed: u64,
    options: Options,
}

impl Visit for Execution<'_> {
    type Out = Executed;

    fn visit<S: Subject>(self) -> Executed {
        let Self { scenario, seed, options } = self;
        let watch = Stopwatch::start();
        let mut world = match quietly(|| World::<S>::new(scenario, seed, options)) {
            Ok(world) => world,
            Err(message) => return stillborn(scenario, seed, message, watch),
        };
        let report = match quietly(|| world.run()) {
            Ok(()) => world.report(),
            Err(message) => world.report_panic(&message),
        };
        Executed { report, plan: world.plan().clone(), lines: world.take_lines(), wall_seconds: watch.seconds() }
    }
}

/// A run whose world could not even be built.
fn stillborn(scenario: &Scenario, seed: u64, detail: String, watch: Stopwatch) -> Executed {
    let violation = Violation {
        invariant: ASSERT,
        at: TrueTime(0),
        nodes: Vec::new(),
        detail,
        event: CauseId(0),
        of_liveness: false,
    };
    let report = Report {
        scenario: scenario.name.clone(),
        seed,
        verdict: Verdict::Safety,
        trace_hash: String::new(),
        events: 0,
        events_by_kind: [].into(),
        simulated_seconds: 0.0,
        faults: [].into(),
        exercised: [].into(),
        excuses: 0,
        switched_off: Vec::new(),
        violations: vec![violation],
    };
    let plan = Plan { faults: Vec::new(), switched_off: Vec::new() };
    Executed { report, plan, lines: Vec::new(), wall_seconds: watch.seconds() }
}

thread_local! {
    /// Where the message of a panic on this thread goes, while one is to be caught.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Calls `work`; a panic prints nothing and comes back as its message.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !remember(panic) {
                before(panic)
            }
        }));
    });
    CAUGHT.set(Some(String::new()));
    // A world that has panicked is asked for its report only, which reads counters.
    let result = catch_unwind(AssertUnwindSafe(work));
    let message = CAUGHT.take().unwrap_or_default();
    result.map_err(|_| message)
}

fn remember(panic: &PanicHookInfo<'_>) -> bool {
    CAUGHT.with_borrow_mut(|caught| {
        let Some(message) = caught else { return false };
        let place = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
        *message = format!("{}{place}", panic.payload_as_str().unwrap_or("a panic without a message"));
        true
    })
}

#[cfg(test)]
mod tests {
    use super::quietly;

    #[test]
    fn a_panic_comes_back_as_its_message() {
        let message = quietly(|| assert_eq!(1 + 1, 3, "arithmetic")).unwrap_err();
        assert!(message.contains("arithmetic") && message.contains("execute.rs:"), "{message}");
        assert_eq!(quietly(|| 7), Ok(7));
    }
}
