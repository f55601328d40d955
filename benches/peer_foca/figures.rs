//! What a run came to, and the table of several runs.

/// What one run came to. Times in seconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    /// From the start of the last node until every node listed every other one; `None` if one crashed before, or the run
    /// was over.
    pub(crate) formed: Option<f64>,
    /// Pairs of nodes of which one did not list the other when the time to form was over and loss began.
    pub(crate) apart_at_loss: u64,
    /// One for each crash.
    pub(crate) detections: Vec<Detection>,
    /// How often a node began to suspect a live one of its own accord.
    pub(crate) suspicions: u64,
    /// How often a live node was told that it is dead, and came back under a new identity. Others need not have held it
    /// dead, but to them it is as if it had been started again.
    pub(crate) rejoins: u64,
    /// How often a node came to hold a live one dead.
    pub(crate) false_deaths: u64,
    /// Live nodes that any node ever held dead.
    pub(crate) falsely_dead: u64,
    /// Pairs of live nodes of which one does not list the other at the end of the run.
    pub(crate) apart_at_end: u64,
    /// What a node sent while the mesh formed and nothing was lost.
    pub(crate) forming: Rates,
    /// What a node sent after that.
    pub(crate) steady: Rates,
}

/// How a crash became known to the nodes that live to the end. Seconds since the crash; `None` where the run was over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Detection {
    /// To one of them.
    pub(crate) first: Option<f64>,
    /// To half of them.
    pub(crate) half: Option<f64>,
    /// To all of them.
    pub(crate) all: Option<f64>,
    /// Nodes that list the dead one to the end of the run.
    pub(crate) missed: u64,
    /// Nodes that did not list it when it crashed and so had nothing to detect.
    pub(crate) unaware: u64,
}

/// What one node sends in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rates {
    /// With all headers from IPv4 up.
    pub(crate) bytes: f64,
    /// Datagrams, and messages on streams.
    pub(crate) messages: f64,
}

/// A contender's column: its name, and its runs.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) runs: Vec<Figures>,
}

/// How values are summed up.
#[derive(Clone, Copy)]
enum Sum {
    /// Median, 99th percentile, greatest; with this number of decimals.
    Quantiles(usize),
    /// Total, and greatest of a single run.
    Total,
}

struct Row {
    label: &'static str,
    sum: Sum,
    values: fn(&Figures) -> Vec<f64>,
}

const ROWS: &[Row] = &[
    Row { label: "until all list all, s", sum: Sum::Quantiles(2), values: |run| vec![or_never(run.formed)] },
    Row { label: "pairs apart after 30 s", sum: Sum::Total, values: |run| vec![run.apart_at_loss as f64] },
    Row {
        label: "crash to first, s",
        sum: Sum::Quantiles(2),
        values: |run| run.detections.iter().map(|detection| or_never(detection.first)).collect(),
    },
    Row {
        label: "crash to half, s",
        sum: Sum::Quantiles(2),
        values: |run| run.detections.iter().map(|detection| or_never(detection.half)).collect(),
    },
    Row {
        label: "crash to all, s",
        sum: Sum::Quantiles(2),
        values: |run| run.detections.iter().map(|detection| or_never(detection.all)).collect(),
    },
    Row {
        label: "crash not noticed (observer, subject)",
        sum: Sum::Total,
        values: |run| vec![run.detections.iter().map(|detection| detection.missed as f64).sum()],
    },
    Row {
        label: "not listed when it crashed (observer, subject)",
        sum: Sum::Total,
        values: |run| vec![run.detections.iter().map(|detection| detection.unaware as f64).sum()],
    },
    Row { label: "suspicions of live nodes", sum: Sum::Total, values: |run| vec![run.suspicions as f64] },
    Row { label: "live nodes made to rejoin", sum: Sum::Total, values: |run| vec![run.rejoins as f64] },
    Row { label: "false deaths (observer, subject)", sum: Sum::Total, values: |run| vec![run.false_deaths as f64] },
    Row { label: "live nodes held dead by any", sum: Sum::Total, values: |run| vec![run.falsely_dead as f64] },
    Row { label: "live pairs apart at the end", sum: Sum::Total, values: |run| vec![run.apart_at_end as f64] },
    Row { label: "bytes/s per node, forming", sum: Sum::Quantiles(0), values: |run| vec![run.forming.bytes] },
    Row { label: "bytes/s per node, after that", sum: Sum::Quantiles(0), values: |run| vec![run.steady.bytes] },
    Row { label: "messages/s per node, forming", sum: Sum::Quantiles(1), values: |run| vec![run.forming.messages] },
    Row { label: "messages/s per node, after that", sum: Sum::Quantiles(1), values: |run| vec![run.steady.messages] },
];

fn or_never(seconds: Option<f64>) -> f64 {
    seconds.unwrap_or(f64::INFINITY)
}

/// A cell: its text, and the value that ratios are made of.
struct Cell {
    text: String,
    value: f64,
}

impl Cell {
    fn of(row: &Row, runs: &[Figures]) -> Option<Self> {
        let mut values: Vec<f64> = runs.iter().flat_map(row.values).collect();
        values.sort_by(f64::total_cmp);
        let greatest = *values.last()?;
        Some(match row.sum {
            Sum::Quantiles(decimals) => {
                let (median, high) = (rank(&values, 50), rank(&values, 99));
                let text = [median, high, greatest].map(|value| spell(value, decimals)).join(" / ");
                Self { text, value: median }
            }
            Sum::Total => {
                let total: f64 = values.iter().sum();
                Self { text: format!("{total:.0}, at most {greatest:.0} in a run"), value: total }
            }
        })
    }
}

/// The nearest rank: a value that was measured, not one between two.
fn rank(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

fn spell(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { "never".into() }
}

/// The ratio of the first column to the second.
fn ratio(ours: &Cell, theirs: &Cell) -> String {
    let ratio = ours.value / theirs.value;
    if ratio.is_finite() { format!("{ratio:.2}") } else { "–".into() }
}

/// A table in Markdown. The last column says the first contender's share of the second's.
pub(crate) fn table(columns: &[Column]) -> String {
    let names = columns.iter().map(|column| column.name.to_string());
    let head: Vec<String> = ["figure".into()].into_iter().chain(names).chain(["ratio".into()]).collect();
    let mut lines = vec![line(&head), line(&vec!["---".into(); head.len()])];
    for row in ROWS {
        let cells: Vec<Cell> = columns.iter().filter_map(|column| Cell::of(row, &column.runs)).collect();
        let mut texts = vec![row.label.to_string()];
        texts.extend(cells.iter().map(|cell| cell.text.clone()));
        if let [ours, theirs, ..] = &cells[..] {
            texts.push(ratio(ours, theirs));
        }
        lines.push(line(&texts));
    }
    lines.join("\n")
}

fn line(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}
