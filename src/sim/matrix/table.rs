//! A matrix as people read it.

use super::{Judgement, Tally};
use crate::output::{Output, Tone, cell, counted, grouped, per_second, rate, rendered};
use crate::sim::files::Source;

/// Failed runs that are listed; more are only counted.
const LISTED_MAX: usize = 20;

/// Everything a person should see of a matrix. `replay` says how to run one seed again; `wall_seconds` is the time that
/// the runs took on `threads` cores.
pub(crate) fn text(
    output: &Output,
    rows: &[(&Source, &Tally)],
    judged: &Judgement,
    (wall_seconds, threads): (f64, usize),
    replay: impl Fn(&Source, u64) -> String,
) -> String {
    let mut text = rendered(&by_scenario(output, rows, judged));
    text += &failures(output, rows, replay);
    text += &doubts(output, judged);
    let events: u64 = rows.iter().map(|(_, tally)| tally.events).sum();
    let verdict = match judged.verdict() {
        "held" => output.paint(Tone::Good, "HELD"),
        "unexercised" => output.paint(Tone::Bad, "PROVES TOO LITTLE"),
        "excused" => output.paint(Tone::Bad, "TOO MANY EXCUSES"),
        _ => {
            let broken: u64 = rows.iter().map(|(_, tally)| tally.broken()).sum();
            output.paint(Tone::Bad, format!("{} FAILED", counted(broken, "RUN")))
        }
    };
    text + &format!(
        "\n {verdict}  {} of {}, {} in {wall_seconds:.1} s ({} on {})\n",
        counted(judged.runs, "run"),
        counted(rows.len() as u64, "scenario"),
        counted(events, "event"),
        rate(per_second(events, wall_seconds)),
        counted(threads as u64, "core"),
    )
}

fn by_scenario(output: &Output, rows: &[(&Source, &Tally)], judged: &Judgement) -> comfy_table::Table {
    let has_remarks = !judged.zeros.is_empty() || rows.iter().any(|(_, tally)| tally.excuses_most > 0);
    let mut headings = vec!["scenario", ">seeds", ">held", ">failed", ">events", ">per core"];
    headings.extend(has_remarks.then_some("  remarks"));
    let mut table = output.table(&headings);
    for (source, tally) in rows {
        let broken = tally.broken();
        let mut row = vec![
            cell(if broken > 0 { Tone::Bad } else { Tone::Strong }, &source.scenario.name),
            cell(Tone::Plain, grouped(tally.seeds)),
            cell(if broken > 0 { Tone::Plain } else { Tone::Good }, grouped(tally.held)),
            cell(if broken > 0 { Tone::Bad } else { Tone::Dim }, grouped(broken)),
            cell(Tone::Plain, grouped(tally.events)),
            cell(Tone::Dim, rate(tally.events_per_second())),
        ];
        if has_remarks {
            let (tone, remarks) = remarks(source, tally, judged);
            row.push(cell(tone, format!("  {remarks}").trim_end()));
        }
        table.add_row(row);
    }
    table
}

fn remarks(source: &Source, tally: &Tally, judged: &Judgement) -> (Tone, String) {
    let zeros = judged.zeros.iter().filter(|zero| zero.scenario.as_ref() == Some(&source.scenario.name));
    let never: Vec<&str> = zeros.map(|zero| zero.name.as_str()).collect();
    let mut remarks = Vec::new();
    if !never.is_empty() {
        remarks.push(format!("never: {}", never.join(", ")));
    }
    if tally.excuses_most > 0 {
        remarks.push(format!("up to {} of {} excuses", tally.excuses_most, source.scenario.expect.excuses_max));
    }
    let is_bad = !never.is_empty() || !tally.over_excused.is_empty();
    (if is_bad { Tone::Warn } else { Tone::Dim }, remarks.join("; "))
}

fn failures(output: &Output, rows: &[(&Source, &Tally)], replay: impl Fn(&Source, u64) -> String) -> String {
    let all = rows.iter().flat_map(|(source, tally)| tally.failed.iter().map(move |failure| (*source, failure)));
    let count: u64 = rows.iter().map(|(_, tally)| tally.broken()).sum();
    let mut text = String::new();
    let mut listed = 0;
    for (source, failure) in all.take(LISTED_MAX) {
        listed += 1;
        text += &format!(
            "\n {} {} seed {}: {} at {:.6}s, event {}\n   {}\n   {}\n",
            output.paint(Tone::Bad, "✗"),
            output.paint(Tone::Strong, &source.scenario.name),
            failure.seed,
            output.paint(Tone::Bad, &failure.invariant),
            failure.at_seconds,
            failure.event,
            failure.detail.replace('\n', "\n   "),
            output.paint(Tone::Dim, replay(source, failure.seed)),
        );
    }
    if count > listed {
        text += &format!("\n   … and {} more; --json lists them\n", grouped(count - listed));
    }
    text
}

/// What stayed at zero, and what was excused too often.
fn doubts(output: &Output, judged: &Judgement) -> String {
    let mut text = String::new();
    for zero in &judged.zeros {
        let place = zero.scenario.as_ref().map_or("in the whole matrix".into(), |name| format!("in {name}"));
        let (tone, word) = if zero.fails { (Tone::Bad, "✗") } else { (Tone::Warn, "!") };
        let verb = if zero.what == "invariant" { "was never exercised" } else { "never came about" };
        text += &format!(" {} {} {} {verb} {place}\n", output.paint(tone, word), zero.what, zero.name);
    }
    for it in &judged.over_excused {
        text += &format!(
            " {} {} seed {} gave up more than the {} its scenario allows\n",
            output.paint(Tone::Bad, "✗"),
            it.scenario,
            it.seed,
            counted(it.excuses_max.into(), "store"),
        );
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}
