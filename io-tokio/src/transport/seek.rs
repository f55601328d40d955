//! Asking at the seeds' endpoints who listens there.

use super::Common;
use super::meet::dial;
use crate::settings::{SEEDS_MAX, Seeds};
use relaymesh_core::endpoint::Endpoint;
use relaymesh_core::envelope::Purpose;
use relaymesh_core::identity::NodeId;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tokio::net::lookup_host;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

/// Addresses of one name that are asked.
const ADDRESSES_MAX: usize = 8;
/// Bytes of a file of seeds that are read.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Searches whenever it is `wanted`, one search at a time: what is wanted meanwhile is one more search.
pub(crate) async fn seek(
    common: Arc<Common>,
    seeds: Seeds,
    wanted: Arc<Notify>,
    found: mpsc::Sender<(NodeId, Endpoint)>,
) {
    let seeds = Arc::new(seeds);
    loop {
        wanted.notified().await;
        let read = seeds.clone();
        let places = spawn_blocking(move || places(&read)).await.unwrap_or_default();
        let mut asked: JoinSet<()> =
            places.into_iter().map(|place| ask(common.clone(), place, found.clone())).collect();
        while asked.join_next().await.is_some() {}
    }
}

/// Asks at every address of one place.
async fn ask(common: Arc<Common>, place: String, found: mpsc::Sender<(NodeId, Endpoint)>) {
    let addresses = match timeout(common.bounds.dial, lookup_host(&place)).await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(problem)) => return tracing::debug!(%place, %problem, "a seed has no address"),
        Err(_) => return tracing::debug!(%place, "a seed's address was not found in time"),
    };
    for address in addresses.take(ADDRESSES_MAX) {
        match dial(&common, address, Purpose::Seek).await {
            // The node takes what is found as long as it lives.
            Ok((_, node)) => drop(found.send((node, Endpoint(address))).await),
            Err(problem) => tracing::debug!(%place, %address, %problem, "a seed did not answer"),
        }
    }
}

/// The places to ask now, those of the file last.
fn places(seeds: &Seeds) -> Vec<String> {
    let mut places = seeds.places.clone();
    if let Some(file) = &seeds.file {
        match listed(file) {
            Ok(listed) => places.extend(listed),
            Err(problem) => tracing::warn!(file = %file.display(), %problem, "the file of seeds cannot be read"),
        }
    }
    if places.len() > SEEDS_MAX {
        tracing::warn!(seeds = places.len(), asked = SEEDS_MAX, "there are more seeds than are asked");
        places.truncate(SEEDS_MAX);
    }
    places
}

fn listed(file: &Path) -> std::io::Result<Vec<String>> {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(fs::File::open(file)?, FILE_BYTES_MAX), &mut text)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_seeds_is_read_anew_each_time_and_bounded() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("seeds");
        let seeds = Seeds { places: vec!["a:1".into()], file: Some(file.clone()) };
        assert_eq!(places(&seeds), ["a:1"], "a file that is not there yet is no reason to stop");
        fs::write(&file, "# comment\n\n  b:2  \nc:3\n").unwrap();
        assert_eq!(places(&seeds), ["a:1", "b:2", "c:3"]);
        fs::write(&file, "d:4\n".repeat(100)).unwrap();
        assert_eq!(places(&seeds).len(), SEEDS_MAX);
    }
}
