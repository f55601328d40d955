//! How time is measured, and how figures are summed up.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Time that this thread has had a core to itself: "on one core" means just that, and what else the machine does meanwhile
/// only costs caches.
pub(crate) fn core_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Smallest, middle and largest of some figures.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self { min: sorted[0], median: sorted[sorted.len() / 2], max: sorted[sorted.len() - 1] }
    }

    /// In thousands: `512 / 530 / 544 k`.
    pub(crate) fn thousands(self) -> String {
        format!("{:.0} / {:.0} / {:.0} k", self.min / 1e3, self.median / 1e3, self.max / 1e3)
    }
}

/// What the figures were taken on, as a line to be printed above them.
pub(crate) fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split(':').nth(1)).unwrap_or(" unknown").trim().to_string()
    };
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    format!(
        "{} (family {}, model {}), {cores} cores, load {}",
        field("model name"),
        field("cpu family"),
        field("model\t"),
        read("/proc/loadavg").trim()
    )
}
