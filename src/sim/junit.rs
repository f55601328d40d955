//! The matrix as JUnit XML: one suite for each scenario, one case for each seed, and one for what must not stay at zero.

use super::execute::Executed;
use super::files::Source;
use super::matrix::Judgement;
use crate::error::Error;
use std::fmt::Write;
use std::path::Path;

/// One seed.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    seed: u64,
    seconds: f64,
    /// The invariant and what was seen.
    failure: Option<(&'static str, String)>,
}

impl Case {
    /// What is kept of a run.
    pub(crate) fn of(done: &Executed) -> Self {
        let first = done.report.violations.first();
        Self {
            seed: done.report.seed,
            seconds: done.wall_seconds,
            failure: first.map(|violation| (violation.invariant, violation.detail.clone())),
        }
    }
}

/// Writes the file.
pub(crate) fn write(
    path: &Path,
    sources: &[Source],
    cases: &[Vec<Case>],
    judged: &Judgement,
    replay: impl Fn(&Source, u64) -> String,
) -> Result<(), Error> {
    let mut xml =
        String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"relaymesh sim chaos\">\n");
    for (source, cases) in sources.iter().zip(cases) {
        suite(&mut xml, &source.scenario.name, cases, judged, |seed| replay(source, seed));
    }
    let nowhere = zeros(judged, None);
    if !nowhere.is_empty() {
        let _ = writeln!(xml, "  <testsuite name=\"the whole matrix\" tests=\"1\" failures=\"1\">");
        case(&mut xml, "the whole matrix", "exercises what it should", None, Some(("unexercised", &nowhere)));
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    std::fs::write(path, xml).map_err(|problem| Error::Write { path: path.into(), problem })
}

fn suite(xml: &mut String, name: &str, cases: &[Case], judged: &Judgement, replay: impl Fn(u64) -> String) {
    let zeros = zeros(judged, Some(name));
    let excused: Vec<String> =
        judged.over_excused.iter().filter(|it| it.scenario == name).map(|it| format!("seed {}", it.seed)).collect();
    let failures = cases.iter().filter(|case| case.failure.is_some()).count()
        + usize::from(!zeros.is_empty())
        + usize::from(!excused.is_empty());
    let seconds: f64 = cases.iter().map(|case| case.seconds).sum();
    let (tests, safe) = (cases.len() + 2, escaped(name));
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{safe}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{seconds:.3}\">"
    );
    for it in cases {
        let detail =
            it.failure.as_ref().map(|(invariant, detail)| (*invariant, format!("{detail}\n{}", replay(it.seed))));
        let failure = detail.as_ref().map(|(invariant, text)| (*invariant, text.as_str()));
        case(xml, name, &format!("seed {}", it.seed), Some(it.seconds), failure);
    }
    let or_none = |text: &str| (!text.is_empty()).then(|| text.to_string());
    let unexercised = or_none(&zeros);
    case(xml, name, "exercises what it should", None, unexercised.as_deref().map(|text| ("unexercised", text)));
    let excused = or_none(&excused.join(", "));
    case(xml, name, "is excused within its bound", None, excused.as_deref().map(|text| ("excuses", text)));
    xml.push_str("  </testsuite>\n");
}

/// What fails the matrix by having stayed at zero.
fn zeros(judged: &Judgement, scenario: Option<&str>) -> String {
    let zeros = judged.zeros.iter().filter(|zero| zero.fails && zero.scenario.as_deref() == scenario);
    zeros.map(|zero| format!("{} {}", zero.what, zero.name)).collect::<Vec<_>>().join(", ")
}

fn case(xml: &mut String, suite: &str, name: &str, seconds: Option<f64>, failure: Option<(&str, &str)>) {
    let time = seconds.map(|seconds| format!(" time=\"{seconds:.3}\"")).unwrap_or_default();
    let _ = write!(xml, "    <testcase classname=\"{}\" name=\"{}\"{time}", escaped(suite), escaped(name));
    let _ = match failure {
        None => writeln!(xml, "/>"),
        Some((kind, text)) => {
            let message = escaped(text.lines().next().unwrap_or_default());
            let (kind, text) = (escaped(kind), escaped(text));
            writeln!(xml, ">\n      <failure type=\"{kind}\" message=\"{message}\">{text}</failure>\n    </testcase>")
        }
    };
}

/// Text as XML takes it, in elements and attributes. What XML 1.0 cannot hold (§2.2) becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(c),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_that_a_violation_says_breaks_the_file() {
        assert_eq!(escaped("a < b & \"c\" > \u{0}\u{1b}"), "a &lt; b &amp; &quot;c&quot; &gt; \u{fffd}\u{fffd}");
    }
}
