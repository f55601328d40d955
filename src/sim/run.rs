//! `sim run`: one run, and a card that says what it came to.

use super::execute::{Executed, execute, idle_wakes};
use super::files::{Library, Source};
use super::replay;
use crate::cli::Run;
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, counted, grouped, note, per_second, rate, rendered};
use relaymesh_core::machine::CauseId;
use relaymesh_sim::check::Violation;
use relaymesh_sim::scenario::{PlannedFault, Scenario};
use relaymesh_sim::trace::{Line, chain_of_causes};
use relaymesh_sim::world::{Report, Verdict};
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

/// Causes of a violation that a card shows; `--why` shows all of them.
const CAUSES_MAX: usize = 12;
/// Violations that a card shows; JSON has all of them.
const VIOLATIONS_MAX: usize = 3;
/// Numbers in a row that a card shows; a longer list is payload.
const NUMBERS_MAX: usize = 4;
/// Drawn faults that a card of a failure shows, the last before it.
const DRAWN_MAX: usize = 12;

/// Runs one scenario from one seed.
pub(crate) fn run(library: &Library, arguments: &Run, output: &Output) -> Result<Exit, Error> {
    let source = library.find(&arguments.scenario, &arguments.set)?;
    let keep_lines = arguments.trace.is_some() || arguments.why.is_some();
    let mut done = execute(&source.scenario, arguments.seed, keep_lines);
    if !done.report.violations.is_empty() && !keep_lines {
        // Again from the same seed, this time with the lines that explain it.
        done.lines = execute(&source.scenario, arguments.seed, true).lines;
    }
    if let Some(file) = &arguments.trace {
        write_trace(file, &done.lines)?;
    }
    let asked = arguments.why.map(|event| causes(&done, event)).transpose()?;
    let replay = replay::command(library, &source, &arguments.set, arguments.seed);
    let text = if output.is_json() {
        let json = Json::new(&done, asked.as_deref(), &replay);
        format!("{}\n", serde_json::to_string_pretty(&json).map_err(|error| Error::Print(error.into()))?)
    } else {
        Card { source: &source, done: &done, output }.text(asked.as_deref(), &replay)
    };
    match arguments.trace.as_deref() == Some(Path::new("-")) {
        true => note(text.trim_end()),
        false => output.print(&text)?,
    }
    Ok(done.report.verdict.into())
}

fn causes(done: &Executed, event: u64) -> Result<Vec<&Line>, Error> {
    match chain_of_causes(&done.lines, CauseId(event)) {
        none if none.is_empty() => Err(Error::NoSuchEvent { event, last: done.report.events }),
        chain => Ok(chain),
    }
}

fn write_trace(path: &Path, lines: &[Line]) -> Result<(), Error> {
    let is_stdout = path == Path::new("-");
    let write = |to: &mut dyn Write| {
        let mut to = BufWriter::new(to);
        lines.iter().try_for_each(|line| writeln!(to, "{line}")).and_then(|()| to.flush())
    };
    let written = match is_stdout {
        true => write(&mut std::io::stdout().lock()),
        false => File::create(path).and_then(|mut file| write(&mut file)),
    };
    match written {
        Err(gone) if is_stdout && gone.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(problem) if is_stdout => Err(Error::Print(problem)),
        Err(problem) => Err(Error::Write { path: path.into(), problem }),
        Ok(()) => Ok(()),
    }
}

/// The report as scripts get it.
#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    report: &'a Report,
    wall_seconds: f64,
    events_per_second: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<JsonLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Vec<JsonLine<'a>>>,
    replay: &'a str,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    event: u64,
    at_seconds: f64,
    node: Option<u32>,
    cause: u64,
    text: &'a str,
}

impl<'a> Json<'a> {
    fn new(done: &'a Executed, asked: Option<&[&'a Line]>, replay: &'a str) -> Self {
        let first_bad = done.report.violations.first().map(|violation| violation.event);
        let of_first_bad = first_bad.map(|event| chain_of_causes(&done.lines, event)).unwrap_or_default();
        Self {
            report: &done.report,
            wall_seconds: done.wall_seconds,
            events_per_second: per_second(done.work_events(), done.wall_seconds),
            causes: of_first_bad.into_iter().map(JsonLine::new).collect(),
            why: asked.map(|chain| chain.iter().map(|line| JsonLine::new(line)).collect()),
            replay,
        }
    }
}

impl<'a> JsonLine<'a> {
    fn new(line: &'a Line) -> Self {
        let Line { event, at, host, cause, text } = line;
        Self { event: event.0, at_seconds: at.as_secs_f64(), node: *host, cause: cause.0, text }
    }
}

/// The report as people get it.
struct Card<'a> {
    source: &'a Source,
    done: &'a Executed,
    output: &'a Output,
}

impl Card<'_> {
    fn text(&self, asked: Option<&[&Line]>, replay: &str) -> String {
        let report = &self.done.report;
        let mut text = self.head();
        match asked {
            Some(chain) => text += &format!("\n{}", self.chain(chain, usize::MAX)),
            None => text += &format!("\n{}", self.counts()),
        }
        if let Some(first) = report.violations.first() {
            if asked.is_none() {
                text += &self.drawn();
            }
            text += &report.violations.iter().take(VIOLATIONS_MAX).map(|it| self.violation(it)).collect::<String>();
            if let Some(more) = report.violations.len().checked_sub(VIOLATIONS_MAX + 1) {
                text += &format!("   … and {} more; --json shows all\n", more + 1);
            }
            text.push('\n');
            if asked.is_none() {
                text += &self.chain(&chain_of_causes(&self.done.lines, first.event), CAUSES_MAX);
            }
            text += &format!("\n {}  {replay}\n", self.output.paint(Tone::Strong, "replay"));
        }
        text
    }

    fn head(&self) -> String {
        let Executed { report, wall_seconds, .. } = self.done;
        let verdict = match report.verdict {
            Verdict::Held => self.output.paint(Tone::Good, "HELD"),
            Verdict::Safety => self.output.paint(Tone::Bad, "SAFETY VIOLATED"),
            Verdict::Liveness => self.output.paint(Tone::Bad, "LIVENESS VIOLATED"),
        };
        let idle = match idle_wakes(report) {
            0 => String::new(),
            wakes => format!(" and {}", counted(wakes, "idle wake")),
        };
        let label = |text| self.output.paint(Tone::Dim, text);
        let mut text = format!(
            " {} {} {}  {verdict}\n {}   {}\n {}  {}{idle} in {wall_seconds:.3} s ({}), {:.3} s simulated\n",
            self.output.paint(Tone::Strong, &report.scenario),
            label("seed"),
            report.seed,
            label("trace"),
            report.trace_hash,
            label("events"),
            grouped(self.done.work_events()),
            rate(per_second(self.done.work_events(), *wall_seconds)),
            report.simulated_seconds,
        );
        if report.excuses > 0 {
            text += &format!(" {} {}\n", label("excuses"), self.excuses(&self.source.scenario));
        }
        if !report.switched_off.is_empty() {
            text += &format!(" {}     without {}\n", label("off"), report.switched_off.join(", "));
        }
        text
    }

    fn excuses(&self, scenario: &Scenario) -> String {
        let (given, allowed) = (self.done.report.excuses, u64::from(scenario.expect.excuses_max));
        let text = format!("{given}, where the scenario allows {allowed}");
        self.output.paint(if given > allowed { Tone::Bad } else { Tone::Plain }, text)
    }

    /// Faults on the left, invariants on the right.
    fn counts(&self) -> String {
        let report = &self.done.report;
        let is_fault = |name: &str| self.source.scenario.faults.iter().any(|fault| fault.kind.name() == name);
        let (faults, consequences): (Vec<_>, Vec<_>) = report.faults.iter().partition(|(name, _)| is_fault(name));
        let faults: Vec<(&String, u64, Tone)> = faults
            .into_iter()
            .map(|(name, count)| (name, *count, if *count == 0 { Tone::Warn } else { Tone::Plain }))
            .chain(consequences.into_iter().map(|(name, count)| (name, *count, Tone::Dim)))
            .collect();
        let invariants: Vec<(&str, u64)> = report.exercised.iter().map(|(name, count)| (*name, *count)).collect();
        let mut table = self.output.table(&["invariant", ">exercised", "  fault or consequence", ">count"]);
        for row in 0..faults.len().max(invariants.len()) {
            let (invariant, exercised) = invariants.get(row).map_or((cell(Tone::Plain, ""), String::new()), |it| {
                let broken = report.violations.iter().any(|violation| violation.invariant == it.0);
                (cell(if broken { Tone::Bad } else { Tone::Plain }, it.0), grouped(it.1))
            });
            let none = (cell(Tone::Plain, ""), cell(Tone::Plain, ""));
            let (fault, count) = faults.get(row).map_or(none, |(name, count, tone)| {
                (cell(*tone, format_args!("  {name}")), cell(*tone, grouped(*count)))
            });
            table.add_row([invariant, cell(Tone::Plain, exercised), fault, count]);
        }
        rendered(&table)
    }

    /// What the seed had drawn until the first bad event.
    fn drawn(&self) -> String {
        let until = self.done.report.violations.first().map(|violation| violation.at);
        let begun: Vec<&PlannedFault> =
            self.done.plan.faults.iter().filter(|fault| until.is_none_or(|until| fault.at <= until)).collect();
        if begun.is_empty() {
            return String::new();
        }
        let left_out = begun.len().saturating_sub(DRAWN_MAX);
        let mut text = format!("\n {}\n", self.output.paint(Tone::Strong, "drawn by the seed"));
        if left_out > 0 {
            text += &format!("   … {} before these\n", counted(left_out as u64, "fault"));
        }
        for fault in &begun[left_out..] {
            let nodes: Vec<String> = fault.nodes.iter().take(8).map(|node| format!("n{node}")).collect();
            let more = if fault.nodes.len() > 8 { " …" } else { "" };
            let until = fault.ends().map(|end| format!(" until {end}")).unwrap_or_default();
            text += &format!("   {:>12} {} on {}{more}{until}\n", fault.at.to_string(), fault.name, nodes.join(" "));
        }
        text
    }

    fn violation(&self, violation: &Violation) -> String {
        let nodes: Vec<String> = violation.nodes.iter().map(|node| format!("n{node}")).collect();
        let on = if nodes.is_empty() { String::new() } else { format!(" on {}", nodes.join(" ")) };
        format!(
            "\n {} at {}, event {}{on}\n   {}\n",
            self.output.paint(Tone::Bad, violation.invariant),
            violation.at,
            violation.event,
            violation.detail.replace('\n', "\n   "),
        )
    }

    fn chain(&self, chain: &[&Line], lines_max: usize) -> String {
        let Some(last) = chain.last() else { return String::new() };
        let left_out = chain.len().saturating_sub(lines_max);
        let mut text = format!(" {} {}\n", self.output.paint(Tone::Strong, "how it came to event"), last.event);
        if left_out > 0 {
            text +=
                &format!("   … {} before these; --why {} shows all\n", counted(left_out as u64, "cause"), last.event);
        }
        for line in &chain[left_out..] {
            let host = line.host.map_or("world".into(), |host| format!("n{host}"));
            text += &format!(
                "   {:>8} {:>12} {host:<6}{}\n",
                line.event.to_string(),
                line.at.to_string(),
                shortened(&line.text)
            );
        }
        text
    }
}

/// The text with long lists of numbers cut: `[25, 198, 157, 5, … 120 in all]`.
pub(super) fn shortened(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find('[') {
        let (before, list) = rest.split_at(begin + 1);
        short.push_str(before);
        rest = list;
        let Some((numbers, behind)) = list.split_once(']') else { break };
        let count = numbers.split(", ").count();
        if count > NUMBERS_MAX && numbers.chars().all(|c| c.is_ascii_digit() || c == ',' || c == ' ') {
            let first: Vec<&str> = numbers.split(", ").take(NUMBERS_MAX).collect();
            short += &format!("{}, … {count} in all]", first.join(", "));
            rest = behind;
        }
    }
    short + rest
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn payload_is_cut_and_nothing_else_is() {
        assert_eq!(shortened("data: [1, 2, 3, 4, 5, 6] }, [1, 2]"), "data: [1, 2, 3, 4, … 6 in all] }, [1, 2]");
        assert_eq!(shortened("[n1, n2, n3, n4, n5] [ ok"), "[n1, n2, n3, n4, n5] [ ok");
    }
}
