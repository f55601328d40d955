//! Blobs: what is too large for a command, named by what it holds.
//!
//! A blob is cut into pieces of [`PIECE_BYTES`]. Its manifest has its length and the hash of each piece, and its address is
//! the hash of the manifest: whoever has the address can check the manifest, and with it every piece by itself. Object 0 of
//! a blob is its manifest, object n + 1 its piece n.
//!
//! Absent on purpose: where pieces are, and how they get there ([`replication`](crate::replication)).

use crate::object::OBJECT_BYTES_MAX;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Bytes of each piece but the last one, which has as many as are left.
pub const PIECE_BYTES: usize = OBJECT_BYTES_MAX;
/// Bytes of an address: a hash, of which a second one is found with 2¹⁹² tries, and two alike with 2⁹⁶.
pub const ADDRESS_BYTES: usize = 24;
/// Bytes of the longest blob of which the manifest is one object.
pub const BLOB_BYTES_MAX: u64 = (PIECES_MAX * PIECE_BYTES) as u64;

const HASH_BYTES: usize = 32;
const LENGTH_BYTES: usize = 8;
const PIECES_MAX: usize = (OBJECT_BYTES_MAX - LENGTH_BYTES) / HASH_BYTES;

/// Names a blob by what it holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlobAddress(pub [u8; ADDRESS_BYTES]);

impl fmt::Display for BlobAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One object of a blob: its manifest, or a piece.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlobObject {
    /// Of which blob.
    pub address: BlobAddress,
    /// 0 is the manifest, n + 1 is piece n.
    pub number: u32,
}

impl fmt::Debug for BlobObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{}", self.address, self.number)
    }
}

/// What a blob is made of.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Manifest {
    length: u64,
    hashes: Vec<[u8; HASH_BYTES]>,
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.length)
    }
}

/// Why an object was refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum BlobError {
    /// It is not what the address or the manifest says.
    #[error("not what its hash says")]
    Differs,
    /// No blob can be like that.
    #[error("no manifest of a blob")]
    Malformed,
    /// There is no such piece.
    #[error("the blob has no such piece")]
    NoPiece,
}

impl Manifest {
    /// That of these bytes; nothing where there are none, or more than a blob may have. Hashes all of them: for clients.
    pub fn of(content: &[u8]) -> Option<Self> {
        let length = content.len() as u64;
        let hashes = content.chunks(PIECE_BYTES).map(hash_of_piece).collect();
        (1..=BLOB_BYTES_MAX).contains(&length).then_some(Self { length, hashes })
    }

    /// What object 0 holds.
    ///
    /// # Errors
    /// [`BlobError`] where the bytes are not the manifest at that address.
    pub fn read(address: BlobAddress, bytes: &[u8]) -> Result<Self, BlobError> {
        if address_of(bytes) != address {
            return Err(BlobError::Differs);
        }
        let (length, hashes) = bytes.split_first_chunk::<LENGTH_BYTES>().ok_or(BlobError::Malformed)?;
        let (length, (hashes, rest)) = (u64::from_le_bytes(*length), hashes.as_chunks::<HASH_BYTES>());
        let is_whole = rest.is_empty() && length.div_ceil(PIECE_BYTES as u64) == hashes.len() as u64;
        match is_whole && (1..=BLOB_BYTES_MAX).contains(&length) {
            true => Ok(Self { length, hashes: hashes.to_vec() }),
            false => Err(BlobError::Malformed),
        }
    }

    /// What object 0 is to hold.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH_BYTES + self.hashes.len() * HASH_BYTES);
        bytes.extend_from_slice(&self.length.to_le_bytes());
        self.hashes.iter().for_each(|hash| bytes.extend_from_slice(hash));
        bytes
    }

    /// Where the blob is to be found.
    pub fn address(&self) -> BlobAddress {
        address_of(&self.to_bytes())
    }

    /// Bytes of the blob.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Objects of the blob, the manifest included.
    pub fn objects(&self) -> u32 {
        self.hashes.len() as u32 + 1
    }

    /// Whether these bytes are that object behind the manifest, from 1 on.
    ///
    /// # Errors
    /// [`BlobError`] where they are not.
    pub fn check(&self, object: u32, bytes: &[u8]) -> Result<(), BlobError> {
        let index = (object as usize).checked_sub(1).ok_or(BlobError::NoPiece)?;
        let hash = self.hashes.get(index).ok_or(BlobError::NoPiece)?;
        let left = self.length - index as u64 * PIECE_BYTES as u64;
        let is_as_long = bytes.len() as u64 == left.min(PIECE_BYTES as u64);
        (is_as_long && hash_of_piece(bytes) == *hash).then_some(()).ok_or(BlobError::Differs)
    }
}

/// The bytes of that object of a blob, for clients that have all of it.
pub fn object(manifest: &Manifest, content: &[u8], object: u32) -> Option<Vec<u8>> {
    match object.checked_sub(1) {
        None => Some(manifest.to_bytes()),
        Some(piece) => content.chunks(PIECE_BYTES).nth(piece as usize).map(Vec::from),
    }
}

fn address_of(manifest: &[u8]) -> BlobAddress {
    let hash = blake3::derive_key("relaymesh 2026 manifest of a blob", manifest);
    let mut address = [0; ADDRESS_BYTES];
    address.copy_from_slice(&hash[..ADDRESS_BYTES]);
    BlobAddress(address)
}

fn hash_of_piece(bytes: &[u8]) -> [u8; HASH_BYTES] {
    blake3::derive_key("relaymesh 2026 piece of a blob", bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn every_object_is_checked_by_itself() {
        let content: Vec<u8> = (0..PIECE_BYTES * 2 + 1).map(|at| (at / 7) as u8).collect();
        let manifest = Manifest::of(&content).unwrap();
        assert_eq!((manifest.length(), manifest.objects()), (content.len() as u64, 4));
        let address = manifest.address();
        let read = Manifest::read(address, &object(&manifest, &content, 0).unwrap()).unwrap();
        assert_eq!(read, manifest);
        for number in 1..4 {
            let mut bytes = object(&manifest, &content, number).unwrap();
            assert_eq!(read.check(number, &bytes), Ok(()));
            bytes[0] ^= 1;
            assert_eq!(read.check(number, &bytes), Err(BlobError::Differs));
        }
        assert_eq!(read.check(4, &[]), Err(BlobError::NoPiece));
        assert_eq!(read.check(0, &[]), Err(BlobError::NoPiece));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let manifest = Manifest::of(&[7; 100]).unwrap().to_bytes();
        let at = |bytes: &[u8]| Manifest::read(address_of(bytes), bytes);
        assert!(at(&manifest).is_ok());
        let mut other = manifest.clone();
        other[0] ^= 1;
        assert_eq!(Manifest::read(address_of(&manifest), &other), Err(BlobError::Differs));
        for malformed in [vec![], vec![0; 7], vec![0; 8], vec![0; 40], [&manifest[..], &[0]].concat(), vec![255; 40]] {
            assert_eq!(at(&malformed), Err(BlobError::Malformed), "{malformed:?}");
        }
        assert_eq!(Manifest::of(&[]), None);
    }
}
