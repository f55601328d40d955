//! Frames on a stream: four bytes of length, least significant first, and as many bytes.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// Memory that a quiet stream keeps for its next frame.
const KEPT_BYTES: usize = 64 << 10;

/// Why a stream gives no further frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The other end closed the stream between two frames.
    #[error("the stream was closed")]
    Closed,
    /// Nothing came.
    #[error("nothing came for too long")]
    Idle,
    /// A frame was begun and not finished in time.
    #[error("a frame took too long")]
    Slow,
    /// A frame claims to be longer than any may be. None of it was read.
    #[error("a frame of {bytes} bytes, where {max} are allowed")]
    TooLong { bytes: u32, max: usize },
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Io(#[from] io::Error),
}

/// Waits at most `idle` for a frame to begin and `within` for it to end; its bytes replace those in `buffer`. Memory
/// grows with what arrives, never with what is claimed.
pub(crate) async fn read(
    reader: &mut (impl AsyncRead + Unpin),
    max: usize,
    idle: Duration,
    within: Duration,
    buffer: &mut Vec<u8>,
) -> Result<(), FrameError> {
    buffer.clear();
    buffer.shrink_to(KEPT_BYTES);
    let mut length = [0; 4];
    match timeout(idle, reader.read(&mut length[..1])).await {
        Err(_) => return Err(FrameError::Idle),
        Ok(Ok(0)) => return Err(FrameError::Closed),
        Ok(done) => done?,
    };
    let rest = async {
        reader.read_exact(&mut length[1..]).await?;
        let bytes = u32::from_le_bytes(length);
        if usize::try_from(bytes).map_or(true, |bytes| bytes > max) {
            return Err(FrameError::TooLong { bytes, max });
        }
        let read = reader.take(u64::from(bytes)).read_to_end(buffer).await?;
        if read < bytes as usize { Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into())) } else { Ok(()) }
    };
    timeout(within, rest).await.unwrap_or(Err(FrameError::Slow))
}

/// Appends a frame of `parts` to `out`.
///
/// # Panics
/// When they need more than four bytes of length can say, which no packet does.
pub(crate) fn append(parts: &[&[u8]], out: &mut Vec<u8>) {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(bytes).expect("a frame is shorter than 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    const LONG: Duration = Duration::from_secs(3_600);

    async fn read_from(bytes: &[u8], max: usize) -> Result<Vec<u8>, FrameError> {
        let mut buffer = Vec::new();
        read(&mut &bytes[..], max, LONG, LONG, &mut buffer).await.map(|()| buffer)
    }

    #[tokio::test]
    async fn a_frame_reads_back() {
        let mut bytes = Vec::new();
        append(&[b"two ", b"parts"], &mut bytes);
        assert_eq!(read_from(&bytes, 9).await.unwrap(), b"two parts");
        assert_eq!(read_from(&[0; 4], 9).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn a_claim_past_the_limit_is_refused_before_memory_is_taken() {
        let mut bytes = u32::MAX.to_le_bytes().to_vec();
        bytes.push(1);
        let refused = read_from(&bytes, 1 << 20).await.unwrap_err();
        assert!(matches!(refused, FrameError::TooLong { bytes: u32::MAX, .. }));
        assert!(matches!(read_from(&[10, 0, 0, 0], 9).await, Err(FrameError::TooLong { .. })));
    }

    #[tokio::test]
    async fn an_end_between_frames_and_one_inside_are_told_apart() {
        assert!(matches!(read_from(b"", 9).await, Err(FrameError::Closed)));
        assert!(matches!(read_from(&[1], 9).await, Err(FrameError::Io(_))));
        assert!(matches!(read_from(&[2, 0, 0, 0, 7], 9).await, Err(FrameError::Io(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_a_trickle_both_come_to_an_end() {
        let (mut near, mut far) = tokio::io::duplex(64);
        let (idle, within) = (Duration::from_secs(90), Duration::from_secs(10));
        let mut buffer = Vec::new();
        assert!(matches!(read(&mut near, 9, idle, within, &mut buffer).await, Err(FrameError::Idle)));
        far.write_all(&[3, 0, 0]).await.unwrap();
        assert!(matches!(read(&mut near, 9, idle, within, &mut buffer).await, Err(FrameError::Slow)));
    }
}
