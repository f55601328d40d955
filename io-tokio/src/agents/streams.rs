//! What goes into an agent and what comes out of it. Every buffer has a bound.

use super::job::{PROGRESS_TEXT_BYTES_MAX, Progress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{oneshot, watch};

/// Bytes read at once.
const CHUNK_BYTES: usize = 16 << 10;
/// Bytes of a line that may still tell of progress.
const LINE_BYTES_MAX: usize = 512;
const PROGRESS: &str = "progress: ";

/// The node's ends of an agent's streams.
pub(super) struct Streams {
    pub(super) input: Sender,
    pub(super) output: Receiver,
    pub(super) errors: Receiver,
}

/// What came out of an agent so far.
pub(super) struct Collected {
    /// Up to one byte more than it may write.
    pub(super) output: Vec<u8>,
    pub(super) errors: Tail,
}

impl Collected {
    pub(super) fn new(stderr_bytes_max: usize) -> Self {
        Self { output: Vec::new(), errors: Tail { bytes: Vec::new(), bytes_max: stderr_bytes_max } }
    }
}

/// Moves bytes until nobody holds the other ends any more.
pub(super) async fn carry(
    streams: Streams,
    input: &[u8],
    output_bytes_max: usize,
    into: &mut Collected,
    progress: &watch::Sender<Option<Progress>>,
    is_too_large: oneshot::Sender<()>,
) {
    let Streams { input: to, output, errors } = streams;
    tokio::join!(
        feed(to, input),
        read_output(output, output_bytes_max, &mut into.output, is_too_large),
        read_errors(errors, &mut into.errors, progress),
    );
}

/// Writes the input and closes the stream. An agent need not read it.
async fn feed(mut to: Sender, input: &[u8]) {
    let _ = to.write_all(input).await;
}

async fn read_output(from: Receiver, bytes_max: usize, into: &mut Vec<u8>, is_too_large: oneshot::Sender<()>) {
    // A pipe does not fail to be read.
    let _ = from.take(bytes_max as u64 + 1).read_to_end(into).await;
    if into.len() > bytes_max {
        let _ = is_too_large.send(());
    }
}

async fn read_errors(mut from: Receiver, into: &mut Tail, progress: &watch::Sender<Option<Progress>>) {
    let mut lines = Lines::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(bytes) = from.read(&mut chunk).await
        && bytes > 0
    {
        into.push(&chunk[..bytes]);
        if let Some(latest) = lines.push(&chunk[..bytes]) {
            progress.send_replace(Some(latest));
        }
    }
}

/// The end of a stream of bytes.
pub(super) struct Tail {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Not at every push, or each would move all that is kept.
        if self.bytes.len() > self.bytes_max + CHUNK_BYTES {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let surplus = self.bytes.len().saturating_sub(self.bytes_max);
        self.bytes.drain(..surplus);
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.cut();
        self.bytes
    }
}

/// Finds the lines that tell of progress: `progress: 40 some text`.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    is_too_long: bool,
}

impl Lines {
    /// The latest progress that these bytes complete.
    fn push(&mut self, bytes: &[u8]) -> Option<Progress> {
        let mut latest = None;
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            self.extend(piece);
            if pieces.peek().is_some() {
                latest = self.end().or(latest);
            }
        }
        latest
    }

    fn extend(&mut self, piece: &[u8]) {
        self.is_too_long |= self.line.len() + piece.len() > LINE_BYTES_MAX;
        if !self.is_too_long {
            self.line.extend_from_slice(piece);
        }
    }

    fn end(&mut self) -> Option<Progress> {
        let found = if self.is_too_long { None } else { parse(&String::from_utf8_lossy(&self.line)) };
        self.line.clear();
        self.is_too_long = false;
        found
    }
}

fn parse(line: &str) -> Option<Progress> {
    let rest = line.strip_prefix(PROGRESS)?;
    let (percent, text) = rest.split_once(' ').unwrap_or((rest.trim_end(), ""));
    if !percent.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let percent = percent.parse().ok().filter(|percent| *percent <= 100)?;
    let mut text: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    text.truncate(text.floor_char_boundary(PROGRESS_TEXT_BYTES_MAX));
    Some(Progress { percent, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(percent: u8, text: &str) -> Option<Progress> {
        Some(Progress { percent, text: text.into() })
    }

    #[test]
    fn a_line_of_progress_has_a_percentage_and_maybe_a_text() {
        assert_eq!(parse("progress: 40 some text"), progress(40, "some text"));
        assert_eq!(parse("progress: 100"), progress(100, ""));
        assert_eq!(parse("progress: 0 \u{1b}[1mbold\r"), progress(0, "[1mbold"));
        let long = "ä".repeat(200);
        assert_eq!(parse(&format!("progress: 1 {long}")), progress(1, &"ä".repeat(128)));
        for other in
            ["progress: 101 x", "progress: +4 x", "progress: x", "progress: ", "progress:40", " progress: 40", ""]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_latest_line_counts_however_the_bytes_arrive() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"progress: 1 a\nnoise\nprogress: 2 b\nprog"), progress(2, "b"));
        assert_eq!(lines.push(b"ress: 3"), None);
        assert_eq!(lines.push(b" c\n"), progress(3, "c"));
    }

    #[test]
    fn a_line_without_end_is_dropped_up_to_its_end() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            assert_eq!(lines.push(&[b'x'; 100]), None);
            assert!(lines.line.len() <= LINE_BYTES_MAX);
        }
        assert_eq!(lines.push(b"progress: 1 a\nprogress: 2 b\n"), progress(2, "b"));
    }

    #[test]
    fn the_tail_is_the_end_and_no_more_is_held_than_that_and_a_chunk() {
        for bytes_max in [0, 1, 100, CHUNK_BYTES] {
            let mut tail = Tail { bytes: Vec::new(), bytes_max };
            let all: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
            for piece in all.chunks(777) {
                tail.push(piece);
                assert!(tail.bytes.len() <= bytes_max + CHUNK_BYTES);
            }
            assert_eq!(tail.into_bytes(), all[all.len() - bytes_max..]);
        }
    }
}
