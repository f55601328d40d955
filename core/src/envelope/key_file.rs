//! Cluster keys as text: what operators hand from machine to machine, and what a node keeps in its keyring file.
//!
//! One key is one line, `rmk1-CLUSTER-KEY-CHECKSUM`: 16, 32 and 8 bytes in lower or upper case hex. The checksum finds
//! slips of the hand, not forgers. A keyring file has one key a line, and the first one seals.
//!
//! Nothing here prints a secret: errors name what is wrong, never the characters found. A text that cannot be read is
//! an error, never an empty ring, so that nothing falls back to no authentication.

use super::keyring::{KEYS_MAX, Keyring, KeyringError};
use crate::identity::ClusterId;
use crate::secret::SecretKey;
use alloc::vec::Vec;
use core::fmt;

const PREFIX: &str = "rmk1";
const CHECKSUM_BYTES: usize = 8;
/// Characters of a key's text.
pub const KEY_TEXT_CHARACTERS: usize = PREFIX.len() + 3 + 2 * (16 + 32 + CHECKSUM_BYTES);

/// A key and the cluster it belongs to.
#[derive(Clone, Debug)]
pub struct ClusterKey {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its key.
    pub key: SecretKey,
}

/// Which part of a key's text an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// The cluster's id.
    Cluster,
    /// The key itself.
    Key,
    /// The checksum.
    Checksum,
}

impl fmt::Display for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "cluster id",
            Self::Key => "key",
            Self::Checksum => "checksum",
        })
    }
}

/// Why a text is not a key. Nothing was taken over from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// Not four parts, the first of which names the format.
    #[error("not a cluster key: one looks like {PREFIX}-CLUSTER-KEY-CHECKSUM; copy the whole line")]
    Format,
    /// A part has too few or too many characters.
    #[error("the {part} has {found} characters instead of {expected}; copy the whole line")]
    Length {
        /// The part.
        part: KeyPart,
        /// Characters it must have.
        expected: usize,
        /// Characters it has.
        found: usize,
    },
    /// A character that is no hexadecimal digit.
    #[error("the {0} holds something else than hexadecimal digits; copy the line again")]
    Digit(KeyPart),
    /// The checksum belongs to another text.
    #[error("the checksum does not match: a character was changed; copy the line again")]
    Checksum,
    /// All bytes are equal: a placeholder, which anyone would guess.
    #[error("the key is a placeholder that anyone would guess; generate a real one")]
    Weak,
    /// A key of another cluster.
    #[error("the key belongs to cluster {found}, and this is cluster {expected}")]
    ForeignCluster {
        /// Its cluster.
        found: ClusterId,
        /// The cluster wanted.
        expected: ClusterId,
    },
}

/// Why a text is not a keyring. Nothing was taken over from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingTextError {
    /// No key at all.
    #[error("there is no key in it; a node needs at least one")]
    Empty,
    /// A line is not a key.
    #[error("line {line}: {problem}")]
    Key {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: KeyTextError,
    },
    /// The keys do not make a ring.
    #[error("line {line}: {problem}")]
    Ring {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: KeyringError,
    },
}

/// Text that holds a secret: it prints as nothing and is wiped on drop.
pub struct SecretText(Vec<u8>);

impl SecretText {
    /// The text, to be written where only its owner can read it.
    pub fn expose(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(hidden)")
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.fill(0);
        core::hint::black_box(&self.0);
    }
}

impl ClusterKey {
    /// A new key for `cluster` from `entropy`, which must come from the operating system's source of randomness.
    ///
    /// # Errors
    /// [`KeyTextError::Weak`] when all bytes of `entropy` are equal: the source is broken.
    pub fn generate(cluster: ClusterId, entropy: [u8; 32]) -> Result<Self, KeyTextError> {
        refuse_weak(&entropy)?;
        Ok(Self { cluster, key: SecretKey::from_bytes(entropy) })
    }

    /// The key that `text` spells; white space around it is ignored.
    ///
    /// # Errors
    /// [`KeyTextError`], which never repeats what it found.
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        let mut parts = text.trim_ascii().split('-');
        let four = [parts.next(), parts.next(), parts.next(), parts.next()];
        let ([Some(PREFIX), Some(cluster), Some(key), Some(checksum)], None) = (four, parts.next()) else {
            return Err(KeyTextError::Format);
        };
        let cluster = bytes(KeyPart::Cluster, cluster)?;
        let mut key = bytes(KeyPart::Key, key)?;
        let found: [u8; CHECKSUM_BYTES] = bytes(KeyPart::Checksum, checksum)?;
        let parsed = if found != checksum_of(&cluster, &key) {
            Err(KeyTextError::Checksum)
        } else {
            refuse_weak(&key)
                .map(|()| Self { cluster: ClusterId::from_bytes(cluster), key: SecretKey::from_bytes(key) })
        };
        key.fill(0);
        core::hint::black_box(&key);
        parsed
    }

    /// The key that `text` spells, if it belongs to `cluster`.
    ///
    /// # Errors
    /// [`KeyTextError`], which never repeats what it found.
    pub fn parse_for(cluster: ClusterId, text: &str) -> Result<Self, KeyTextError> {
        let key = Self::parse(text)?;
        if key.cluster != cluster {
            return Err(KeyTextError::ForeignCluster { found: key.cluster, expected: cluster });
        }
        Ok(key)
    }

    /// The key's text, without a line end.
    pub fn reveal(&self) -> SecretText {
        let mut out = Vec::with_capacity(KEY_TEXT_CHARACTERS);
        write_key(self.cluster, &self.key, &mut out);
        SecretText(out)
    }
}

/// The ring that a keyring file spells, and the cluster of its keys. Empty lines are skipped.
///
/// # Errors
/// [`RingTextError`], which never repeats what it found.
pub fn read_ring(text: &str) -> Result<(ClusterId, Keyring), RingTextError> {
    let mut ring: Option<(ClusterId, Keyring)> = None;
    for (row, text) in text.lines().enumerate().filter(|(_, text)| !text.trim_ascii().is_empty()) {
        let line = row + 1;
        let problem = |problem| RingTextError::Key { line, problem };
        match &mut ring {
            None => {
                let ClusterKey { cluster, key } = ClusterKey::parse(text).map_err(problem)?;
                ring = Some((cluster, Keyring::new(key)));
            }
            Some((cluster, ring)) => {
                let ClusterKey { key, .. } = ClusterKey::parse_for(*cluster, text).map_err(problem)?;
                ring.install(key).map_err(|problem| RingTextError::Ring { line, problem })?;
            }
        }
    }
    ring.ok_or(RingTextError::Empty)
}

/// The text of a keyring file, which [`read_ring`] reads back to the same ring.
pub fn write_ring(cluster: ClusterId, ring: &Keyring) -> SecretText {
    // Room for all of it from the start: what a growing vector leaves behind would not be wiped.
    let mut out = Vec::with_capacity(KEYS_MAX * (KEY_TEXT_CHARACTERS + 1));
    for id in ring.ids().iter() {
        for key in ring.named(id) {
            write_key(cluster, key, &mut out);
            out.push(b'\n');
        }
    }
    SecretText(out)
}

fn write_key(cluster: ClusterId, key: &SecretKey, out: &mut Vec<u8>) {
    out.extend_from_slice(PREFIX.as_bytes());
    let checksum = checksum_of(cluster.as_bytes(), key.expose());
    for part in [&cluster.as_bytes()[..], &key.expose()[..], &checksum] {
        out.push(b'-');
        out.extend(part.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    }
}

const fn digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        _ => b'a' + value - 10,
    }
}

fn bytes<const N: usize>(part: KeyPart, text: &str) -> Result<[u8; N], KeyTextError> {
    let (expected, found) = (2 * N, text.chars().count());
    if found != expected {
        return Err(KeyTextError::Length { part, expected, found });
    }
    let mut value = [0; N];
    for (byte, pair) in value.iter_mut().zip(text.as_bytes().chunks(2)) {
        for character in pair {
            let digit = (*character as char).to_digit(16).ok_or(KeyTextError::Digit(part))?;
            *byte = *byte << 4 | digit as u8;
        }
    }
    Ok(value)
}

fn checksum_of(cluster: &[u8; 16], key: &[u8; 32]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new_derive_key("relaymesh 2026 checksum of a cluster key");
    hasher.update(cluster).update(key);
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM_BYTES]);
    checksum
}

fn refuse_weak(key: &[u8; 32]) -> Result<(), KeyTextError> {
    if key.iter().all(|byte| *byte == key[0]) { Err(KeyTextError::Weak) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec;

    const CLUSTER: ClusterId = ClusterId::from_bytes(*b"cluster of tests");

    fn key(seed: u8) -> ClusterKey {
        ClusterKey::generate(CLUSTER, core::array::from_fn(|at| seed.wrapping_add(at as u8))).unwrap()
    }

    fn text(seed: u8) -> String {
        key(seed).reveal().expose().to_string()
    }

    #[test]
    fn a_key_reads_back_from_its_text() {
        let text = text(1);
        assert_eq!(text.len(), KEY_TEXT_CHARACTERS);
        let read = ClusterKey::parse(&format!("  {text}\n")).unwrap();
        assert_eq!(read.cluster, CLUSTER);
        assert!(read.key.same_as(&key(1).key));
        assert!(ClusterKey::parse(&text.to_uppercase().replace("RMK1", "rmk1")).unwrap().key.same_as(&read.key));
    }

    #[test]
    fn every_changed_character_is_found() {
        let text = text(1);
        for at in 0..text.len() {
            for other in ['0', 'f', 'x', '-', 'é'] {
                let changed: String =
                    text.char_indices().map(|(place, old)| if place == at { other } else { old }).collect();
                assert!(changed == text || ClusterKey::parse(&changed).is_err(), "{at} as {other}");
            }
            assert!(ClusterKey::parse(&text[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn each_mistake_has_its_name() {
        let good = text(1);
        let error = |text: &str| ClusterKey::parse(text).unwrap_err();
        assert_eq!(error(""), KeyTextError::Format);
        assert_eq!(error(&good.replace("rmk1", "rmk2")), KeyTextError::Format);
        assert_eq!(error(&format!("{good}-00")), KeyTextError::Format);
        let length = KeyTextError::Length { part: KeyPart::Checksum, expected: 16, found: 15 };
        assert_eq!(error(&good[..good.len() - 1]), length);
        assert_eq!(error(&format!("{}x", &good[..good.len() - 1])), KeyTextError::Digit(KeyPart::Checksum));
        let other_checksum = format!("{}{}", &good[..good.len() - 16], &text(2)[good.len() - 16..]);
        assert_eq!(error(&other_checksum), KeyTextError::Checksum);
        let elsewhere = ClusterId::from_bytes([9; 16]);
        assert_eq!(
            ClusterKey::parse_for(elsewhere, &good).unwrap_err(),
            KeyTextError::ForeignCluster { found: CLUSTER, expected: elsewhere }
        );
    }

    #[test]
    fn a_placeholder_is_refused_both_as_entropy_and_as_text() {
        for byte in [0, 0xAB, 0xFF] {
            assert_eq!(ClusterKey::generate(CLUSTER, [byte; 32]).unwrap_err(), KeyTextError::Weak);
            let mut written = vec![];
            write_key(CLUSTER, &SecretKey::from_bytes([byte; 32]), &mut written);
            assert_eq!(ClusterKey::parse(core::str::from_utf8(&written).unwrap()).unwrap_err(), KeyTextError::Weak);
        }
    }

    #[test]
    fn nothing_prints_a_secret() {
        let key = key(1);
        let secret = key.reveal();
        let hex = &secret.expose()[38..102];
        for shown in [format!("{key:?}"), format!("{secret:?}")] {
            assert!(!shown.contains(hex) && shown.contains("hidden"), "{shown}");
        }
        let broken = format!("{}0", secret.expose());
        let error = ClusterKey::parse(&broken).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&hex[..8]));
    }

    #[test]
    fn a_ring_reads_back_in_its_order() {
        let mut ring = Keyring::new(key(1).key);
        let second = ring.install(key(2).key).unwrap();
        ring.install(key(3).key).unwrap();
        ring.use_key(second).unwrap();
        let written = write_ring(CLUSTER, &ring);
        let (cluster, read) = read_ring(written.expose()).unwrap();
        assert_eq!((cluster, read.ids()), (CLUSTER, ring.ids()));
        assert_eq!(written.expose().lines().next(), Some(text(2).as_str()));
    }

    #[test]
    fn a_ring_with_one_bad_line_is_no_ring() {
        assert_eq!(read_ring("\n \n").unwrap_err(), RingTextError::Empty);
        let error = |text: &str| read_ring(text).unwrap_err();
        let (one, two) = (text(1), text(2));
        assert_eq!(error(&format!("{one}\n\nnonsense")), RingTextError::Key { line: 3, problem: KeyTextError::Format });
        let known = Keyring::new(key(1).key).ids().sealing().unwrap();
        let problem = KeyringError::Known(known);
        assert_eq!(error(&format!("{one}\n{one}")), RingTextError::Ring { line: 2, problem });
        let elsewhere = ClusterId::from_bytes([9; 16]);
        let foreign = ClusterKey { cluster: elsewhere, key: key(2).key }.reveal();
        let problem = KeyTextError::ForeignCluster { found: elsewhere, expected: CLUSTER };
        assert_eq!(error(&format!("{one}\n{}", foreign.expose())), RingTextError::Key { line: 2, problem });
        let five = [one, two, text(3), text(4), text(5)].join("\n");
        assert_eq!(error(&five), RingTextError::Ring { line: 5, problem: KeyringError::Full });
    }
}
