//! How fast the disk syncs by itself: append some bytes, sync, again, as a journal does that has one writer and no groups.
//!
//! Several loops at once, each with a file of its own, are what nodes are that share one disk here, and would have one each
//! elsewhere.

use super::figures::Spans;
use super::problem::Problem;
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;

/// Bytes of one append.
pub(crate) const APPEND_BYTES: usize = 256;
/// Loops at once.
const LOOPS: [usize; 3] = [1, 2, 3];

/// So many loops at once.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Disk {
    pub(crate) loops: usize,
    /// Of all loops together.
    pub(crate) syncs_per_second: f64,
    /// One append with its sync.
    pub(crate) one: Spans,
}

/// One loop, two and three, each for that long.
pub(crate) async fn measure(folder: &Path, time: Duration) -> Result<Vec<Disk>, Problem> {
    let mut all = Vec::new();
    for loops in LOOPS {
        let files = (0..loops).map(|number| folder.join(format!("raw-{number}")));
        let running: Vec<_> = files.map(|file| spawn_blocking(move || append_and_sync(file, time))).collect();
        let mut spans = Vec::new();
        for one in running {
            spans.extend(one.await.map_err(|problem| Problem::Runtime(problem.into()))??);
        }
        let syncs_per_second = spans.len() as f64 / time.as_secs_f64();
        all.push(Disk { loops, syncs_per_second, one: Spans::of(spans) });
    }
    Ok(all)
}

fn append_and_sync(path: PathBuf, time: Duration) -> Result<Vec<Duration>, Problem> {
    let failed = |problem| Problem::File { path: path.clone(), problem };
    let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
    let (begun, mut spans) = (Instant::now(), Vec::new());
    while begun.elapsed() < time {
        let one = Instant::now();
        file.write_all(&[7; APPEND_BYTES]).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        spans.push(one.elapsed());
    }
    std::fs::remove_file(&path).map_err(failed)?;
    Ok(spans)
}
