//! What the nodes use: time of a core by thread, and bytes written. As Linux counts them; nothing elsewhere.

use super::processes::Mesh;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{read_dir, read_to_string};

/// What the processes of the mesh have used since they started, or between two looks.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Cost {
    /// Milliseconds of one core, of all nodes together, by the names of their threads.
    pub(crate) core_ms: BTreeMap<String, f64>,
    /// KiB handed to disks, of all nodes together.
    pub(crate) written_kib: f64,
    /// Milliseconds of one core that this process, which has the clients, has used.
    pub(crate) clients_core_ms: f64,
}

impl Cost {
    /// So far.
    pub(crate) fn so_far(mesh: &Mesh) -> Self {
        let mut cost = Self { clients_core_ms: threads(std::process::id()).values().sum(), ..Self::default() };
        for node in &mesh.0 {
            for (thread, ms) in threads(node.process()) {
                *cost.core_ms.entry(thread).or_default() += ms;
            }
            cost.written_kib += written(node.process()) / 1024.0;
        }
        cost
    }

    /// For each of so many, since then.
    pub(crate) fn each(mut self, before: &Self, count: u64) -> Self {
        let each = |now: f64, before: f64| (now - before).max(0.0) / count.max(1) as f64;
        for (thread, ms) in &mut self.core_ms {
            *ms = each(*ms, before.core_ms.get(thread).copied().unwrap_or_default());
        }
        self.core_ms.retain(|_, ms| *ms > 0.0);
        self.written_kib = each(self.written_kib, before.written_kib);
        self.clients_core_ms = each(self.clients_core_ms, before.clients_core_ms);
        self
    }

    /// Of all threads of all nodes.
    pub(crate) fn nodes_core_ms(&self) -> f64 {
        self.core_ms.values().sum()
    }
}

/// Milliseconds of a core by thread. Of threads that have ended nothing is known.
fn threads(process: u32) -> BTreeMap<String, f64> {
    let mut threads = BTreeMap::new();
    for thread in read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
        let read = |name| read_to_string(thread.path().join(name)).unwrap_or_default();
        let nanos = read("schedstat").split(' ').next().and_then(|text| text.parse::<f64>().ok());
        // Threads of a pool are numbered.
        let name = read("comm");
        let name = name.trim().trim_end_matches(|last: char| last == '-' || last.is_ascii_digit());
        *threads.entry(name.to_owned()).or_default() += nanos.unwrap_or_default() / 1e6;
    }
    threads
}

fn written(process: u32) -> f64 {
    let text = read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or_default()
}
