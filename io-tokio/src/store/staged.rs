//! Changes of one tree that wait to be written together.
//!
//! sled 0.34 writes two buffers for a batch, its manifest and what it holds, and for a single change one. Each is a write and a
//! wait for the disk of its own, and a journal that is not busy has one change at a time.

use sled::{Batch, IVec, Tree};

/// Changes, in order. The last one of a key counts.
#[derive(Default)]
pub(super) struct Staged(Vec<(IVec, Option<IVec>)>);

impl Staged {
    /// Puts something under a key.
    pub(super) fn insert(&mut self, key: impl Into<IVec>, value: impl Into<IVec>) {
        self.0.push((key.into(), Some(value.into())));
    }

    /// Takes away what stands under a key.
    pub(super) fn remove(&mut self, key: IVec) {
        self.0.push((key, None));
    }

    /// Writes all of them, and is empty then. They are seen together, from now on.
    pub(super) fn apply(&mut self, tree: &Tree) -> sled::Result<()> {
        match self.0.len() {
            0 => Ok(()),
            1 => self.0.drain(..).try_for_each(|(key, value)| match value {
                Some(value) => tree.insert(key, value).map(drop),
                None => tree.remove(key).map(drop),
            }),
            _ => {
                let mut batch = Batch::default();
                for (key, value) in self.0.drain(..) {
                    match value {
                        Some(value) => batch.insert(key, value),
                        None => batch.remove(key),
                    }
                }
                tree.apply_batch(batch)
            }
        }
    }
}
