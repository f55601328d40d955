//! A node's folder: who it is, which keys it holds, and its store.
//!
//! | name | what it is |
//! | --- | --- |
//! | `lock` | held while a process uses the folder, so that two cannot |
//! | `identity` | 32 bytes, the secret seed of the node's Ed25519 key; its owner's alone |
//! | `keyring` | one cluster key a line, the first one seals; its owner's alone |
//! | `store/` | the journal |
//! | `control.sock` | where the command line asks, while the node runs |
//!
//! Secrets that others can read are refused. A keyring that is missing or cannot be read is an error: nothing falls
//! back to no authentication.

pub(crate) mod file;
mod identity;

pub use identity::Identity;

use file::{make_folder, read_secret, write_secret};
use relaymesh_core::envelope::{ClusterKey, Keyring, RingTextError, SecretText, read_ring, write_ring};
use relaymesh_core::identity::ClusterId;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::entropy::EntropyError;

const LOCK: &str = "lock";
const IDENTITY: &str = "identity";
const KEYRING: &str = "keyring";
const STORE: &str = "store";
const CONTROL: &str = "control.sock";

/// Why a folder cannot be used. Nothing in it was changed, unless the variant says so.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder or a file in it cannot be made, read or written.
    #[error("cannot {what} {}: {problem}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        problem: io::Error,
    },
    /// Another process has the folder.
    #[error("{} is in use by another process; stop that one, or give this node a folder of its own", .0.display())]
    InUse(PathBuf),
    /// Others can read a secret.
    #[error(
        "{} can be read or written by others (mode {mode:03o}); if no one has seen it, run `chmod 600` on it, and make a new one otherwise",
        .path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The identity file holds something else.
    #[error(
        "{} holds {found} bytes instead of 32; restore it from a copy, or remove it together with the store to become a new node",
        .path.display()
    )]
    Identity {
        /// The file.
        path: PathBuf,
        /// Bytes found.
        found: usize,
    },
    /// There is no keyring.
    #[error("{} is missing: install the cluster's key, or make one for a new cluster", .0.display())]
    NoKeyring(PathBuf),
    /// There is a keyring already.
    #[error("{} is there already; a running node takes further keys", .0.display())]
    HasKeyring(PathBuf),
    /// The keyring cannot be understood.
    #[error("{}: {problem}; restore it from a copy, or from another node of the cluster", .path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: RingTextError,
    },
    /// No identity could be drawn.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// A node's folder, which this process alone uses as long as the value lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    identity: Identity,
    cluster: ClusterId,
    ring: Keyring,
    _lock: Lock,
}

/// The right to use a folder. Given back by name, not by closing the file alone: a child process that is just being
/// started holds a copy of it for a moment.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it, which follows, does the same a moment later.
        let _ = self.0.unlock();
    }
}

impl Folder {
    /// Takes the folder at `path` into use. A folder without an identity gets a new one, durably.
    ///
    /// # Errors
    /// [`FolderError`]; [`FolderError::NoKeyring`] for a folder that was never given a key.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let lock = lock(path)?;
        let file = path.join(KEYRING);
        let text = read_secret(&file)?.ok_or_else(|| FolderError::NoKeyring(file.clone()))?;
        let (cluster, ring) = parse_ring(&text).map_err(|problem| FolderError::Keyring { path: file, problem })?;
        let identity = Identity::load_or_draw(path, IDENTITY)?;
        Ok(Self { path: path.to_owned(), identity, cluster, ring, _lock: lock })
    }

    /// Gives the folder at `path`, which is made if it is not there, its first key.
    ///
    /// # Errors
    /// [`FolderError::HasKeyring`] when it has one already: further keys are installed into the running node.
    pub fn give_first_key(path: &Path, key: &ClusterKey) -> Result<(), FolderError> {
        let _lock = lock(path)?;
        let file = path.join(KEYRING);
        if read_secret(&file)?.is_some() {
            return Err(FolderError::HasKeyring(file));
        }
        store_ring(path, key.cluster, &Keyring::new(key.key.clone()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who the node is.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The cluster its keys belong to.
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The keys it holds.
    pub const fn ring(&self) -> &Keyring {
        &self.ring
    }

    /// Where its store is.
    pub fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }
}

/// Where the node with the folder at `path` answers the command line.
pub(crate) fn control_socket(path: &Path) -> PathBuf {
    path.join(CONTROL)
}

/// Replaces the keyring of the folder at `path`, atomically and durably.
pub(crate) fn store_ring(path: &Path, cluster: ClusterId, ring: &Keyring) -> Result<(), FolderError> {
    let text: SecretText = write_ring(cluster, ring);
    write_secret(path, KEYRING, text.expose().as_bytes())
}

fn parse_ring(bytes: &[u8]) -> Result<(ClusterId, Keyring), RingTextError> {
    // What is not text is not a key either, and says so.
    read_ring(std::str::from_utf8(bytes).unwrap_or("not text"))
}

fn lock(path: &Path) -> Result<Lock, FolderError> {
    make_folder(path)?;
    let file = path.join(LOCK);
    let failed = |what| {
        let path = file.clone();
        move |problem| FolderError::Io { what, path, problem }
    };
    let lock =
        OpenOptions::new().create(true).write(true).truncate(false).open(&file).map_err(failed("open the lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Lock(lock)),
        Err(TryLockError::WouldBlock) => Err(FolderError::InUse(path.to_owned())),
        Err(TryLockError::Error(problem)) => Err(failed("take the lock")(problem)),
    }
}

#[cfg(test)]
mod tests;
