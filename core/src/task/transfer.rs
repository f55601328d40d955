//! Payloads on their way: a blob is brought object by object, and put likewise.

use crate::blob::{self, BlobAddress, BlobObject, Manifest};
use crate::bytes::Blob;
use crate::shards::ShardId;
use crate::shards::host::Request;
use crate::task::payload::{INLINE_BYTES_MAX, PAYLOAD_BYTES_MAX, Payload};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A blob that is being brought.
#[derive(Clone, Debug)]
pub struct Download {
    address: BlobAddress,
    manifest: Option<Manifest>,
    bytes: Vec<u8>,
    /// The object that is asked for next.
    next: u32,
}

impl Download {
    /// Of the blob at that address.
    pub fn of(address: BlobAddress) -> Self {
        Self { address, manifest: None, bytes: Vec::new(), next: 0 }
    }

    /// What is to be asked next.
    pub fn request(&self, shard: ShardId) -> Request {
        Request::Get { shard, object: BlobObject { address: self.address, number: self.next } }
    }

    /// Takes the object that was asked for; all of the blob when that was the last one.
    ///
    /// # Errors
    /// [`NotAPayload`] for what is not what its hash says, or more than a payload may be.
    pub fn take(&mut self, object: &[u8]) -> Result<Option<Vec<u8>>, NotAPayload> {
        match &self.manifest {
            None => {
                let manifest = Manifest::read(self.address, object).map_err(|_| NotAPayload)?;
                if manifest.length() > PAYLOAD_BYTES_MAX {
                    return Err(NotAPayload);
                }
                self.manifest = Some(manifest);
            }
            Some(manifest) => {
                manifest.check(self.next, object).map_err(|_| NotAPayload)?;
                self.bytes.extend_from_slice(object);
            }
        }
        self.next += 1;
        let objects = self.manifest.as_ref().map_or(0, Manifest::objects);
        Ok((self.next == objects).then(|| core::mem::take(&mut self.bytes)))
    }
}

/// What came is not what its hash says, or more than a payload may be. Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came is no payload, or damaged")]
pub struct NotAPayload;

/// A blob that is being put.
#[derive(Clone, Debug)]
pub struct Upload {
    manifest: Manifest,
    bytes: Box<[u8]>,
    /// The object that is put next.
    next: u32,
}

impl Upload {
    /// What is too large for the log; nothing where it is not.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.len() <= INLINE_BYTES_MAX {
            return None;
        }
        Some(Self { manifest: Manifest::of(bytes)?, bytes: bytes.into(), next: 0 })
    }

    /// What a command has in its place, once it is held.
    pub fn payload(&self) -> Payload {
        Payload::Blob { address: self.manifest.address(), bytes: self.bytes.len() as u64 }
    }

    /// The shard lacks that object.
    pub fn wants(&mut self, object: u32) {
        self.next = object;
    }

    /// From the first object on: the shard may have forgotten what it had of it.
    pub fn begin_again(&mut self) {
        self.next = 0;
    }

    /// What is to be asked next.
    pub fn request(&self, shard: ShardId) -> Request {
        let object = BlobObject { address: self.manifest.address(), number: self.next };
        let bytes = blob::object(&self.manifest, &self.bytes, self.next).unwrap_or_default();
        Request::Put { shard, object, bytes: Blob(bytes.into()) }
    }
}
