//! Changes of the keyring, one after the other: durable first, then in use, then told to the node.

use crate::folder::{self, FolderError};
use crate::tally::Tally;
use crate::transport::Common;
use relaymesh_core::envelope::{KeyChange, KeyId, KeyIds, Keyring, KeyringError};
use relaymesh_core::secret::SecretKey;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;

/// Changes that may wait.
pub(crate) const ORDERS_MAX: usize = 16;

/// A change that somebody wants.
pub(crate) enum KeyOrder {
    /// The node does.
    Change(KeyChange),
    /// An operator does.
    Install(SecretKey, oneshot::Sender<Result<KeyId, InstallError>>),
}

/// Why a key was not installed. The ring is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It does not fit the ring.
    #[error(transparent)]
    Ring(#[from] KeyringError),
    /// The ring could not be stored.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The node has stopped.
    #[error("the node has stopped; see its log for the reason")]
    Stopped,
}

/// Who changes the keyring.
pub(crate) struct Keys {
    pub(crate) folder: PathBuf,
    pub(crate) ring: watch::Sender<Keyring>,
    pub(crate) common: Arc<Common>,
    /// Where the node hears of changes.
    pub(crate) told: mpsc::Sender<KeyIds>,
}

impl Keys {
    /// Makes changes as they come, for as long as the node lives.
    pub(crate) async fn run(self, mut orders: mpsc::Receiver<KeyOrder>) {
        while let Some(order) = orders.recv().await {
            match order {
                KeyOrder::Change(change) => {
                    if let Err(problem) = self.change(|ring| ring.change(change)).await {
                        failed(&self.common.tally, &problem);
                    }
                }
                KeyOrder::Install(key, done) => {
                    let installed = self.change(|ring| ring.install(key)).await;
                    // Whoever asked may have gone.
                    let _ = done.send(installed);
                }
            }
        }
    }

    async fn change<T>(&self, change: impl FnOnce(&mut Keyring) -> Result<T, KeyringError>) -> Result<T, InstallError> {
        let mut ring = self.ring.borrow().clone();
        let changed = change(&mut ring)?;
        let (folder, cluster, stored) = (self.folder.clone(), self.common.me.cluster, ring.clone());
        let storing = spawn_blocking(move || folder::store_ring(&folder, cluster, &stored));
        storing.await.map_err(|_| InstallError::Stopped)??;
        let ids = ring.ids();
        self.ring.send_replace(ring);
        self.told.send(ids).await.map_err(|_| InstallError::Stopped)?;
        Ok(changed)
    }
}

fn failed(tally: &Tally, problem: &InstallError) {
    tally.key_changes_failed.one_more();
    tracing::error!(%problem, "the keyring was not changed");
}
