//! The files of the demo: made, and checked without a word from the agents.

use crate::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How many.
pub(super) const COUNT: u32 = 20;
/// Bytes of each, at least.
const BYTES: usize = 2 << 20;
/// What the agents call.
const TOOLS: [&str; 8] = ["cat", "cksum", "gzip", "mv", "sed", "sh", "tr", "wc"];
/// What a line of a log is made of.
const WORDS: [&str; 16] = [
    "accepted",
    "request",
    "from",
    "client",
    "answered",
    "within",
    "connection",
    "closed",
    "retrying",
    "because",
    "timeout",
    "cache",
    "missed",
    "stored",
    "replica",
    "healthy",
];

/// Which of the tools are missing.
pub(super) fn missing_tools() -> Vec<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |tool: &&str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    TOOLS.into_iter().filter(|tool| !is_there(tool)).collect()
}

/// Makes them in a folder, which has nothing else of the kind in it afterwards.
pub(super) fn make(folder: &Path) -> Result<u64, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |problem| Error::Write { path, problem }
    };
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let mut bytes = 0;
    for number in 0..COUNT {
        let (path, text) = (path(folder, number), text(number));
        fs::write(&path, &text).map_err(failed(&path))?;
        bytes += text.len() as u64;
    }
    Ok(bytes)
}

/// What is wrong with what the agents have made of them: each is there compressed, is what it was, and stands in the report
/// under its sum. Else the bytes that they have now.
pub(super) fn check(folder: &Path, report: &str) -> Result<u64, String> {
    let mut bytes = 0;
    for number in 0..COUNT {
        let packed = packed(folder, number);
        let name = packed.display();
        let content = fs::read(&packed).map_err(|problem| format!("{name} cannot be read: {problem}"))?;
        let line = format!("{} {} {name}", cksum(&content), content.len());
        if !report.lines().any(|it| it == line) {
            return Err(format!("the report lacks the line `{line}`"));
        }
        if unpacked(&packed).map_err(|problem| format!("gzip: {problem}"))? != text(number) {
            return Err(format!("{name} holds something else than the file that it was made from"));
        }
        bytes += content.len() as u64;
    }
    Ok(bytes)
}

fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:02}.log"))
}

fn packed(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:02}.log.gz"))
}

fn unpacked(packed: &Path) -> std::io::Result<Vec<u8>> {
    let output = Command::new("gzip").arg("-dc").arg(packed).stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    Ok(output.stdout)
}

/// Lines of a log, always the same for a number.
fn text(number: u32) -> Vec<u8> {
    let mut state = u64::from(number) + 1;
    let mut text = Vec::with_capacity(BYTES + 128);
    while text.len() < BYTES {
        // Numerical Recipes' generator: good enough to look like a log.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.extend_from_slice(format!("{:08x}", state >> 32).as_bytes());
        for place in 0..6 {
            let word = WORDS[(state >> (20 + 4 * place)) as usize % WORDS.len()];
            text.push(b' ');
            text.extend_from_slice(word.as_bytes());
        }
        text.push(b'\n');
    }
    text
}

/// The sum that POSIX's `cksum` gives: CRC-32, bits in order, the length behind the bytes.
fn cksum(bytes: &[u8]) -> u32 {
    let mut length = Vec::new();
    let mut rest = bytes.len();
    while rest > 0 {
        length.push(rest as u8);
        rest >>= 8;
    }
    !bytes.iter().chain(&length).fold(0, |sum, byte| {
        let mut sum: u32 = sum ^ u32::from(*byte) << 24;
        for _ in 0..8 {
            sum = if sum >> 31 == 1 { sum << 1 ^ 0x04C1_1DB7 } else { sum << 1 };
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_standard() {
        assert_eq!([cksum(b""), cksum(b"123456789")], [4_294_967_295, 930_766_865]);
    }

    #[test]
    fn texts_differ_and_stay_the_same() {
        assert!(text(1) == text(1) && text(1) != text(2));
    }
}
