//! What stands in the frames of the control socket.

use relaymesh_core::codec::{Body, BodyVersion, DecodeError, EncodeError};
use relaymesh_core::envelope::KeyId;
use relaymesh_core::node::Refusal;

/// Bytes of a frame besides a body.
const HEAD_BYTES: usize = 2;

const REQUEST: u8 = 1;
const INSTALL: u8 = 2;
const REPLY: u8 = 1;
const INSTALLED: u8 = 2;
const FAILED: u8 = 3;

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish<'a, R> {
    Request(R),
    Install(&'a str),
}

/// What a node answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer<R> {
    Reply(R),
    Installed(KeyId),
    Failed(Failure, String),
}

/// Why a node did not do what a client wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Refused(Refusal),
    Busy,
    Stopped,
    /// The answer was too late, or took too long.
    Late,
    /// The frame could not be read.
    Unreadable,
    /// The key was not installed.
    Key,
    /// The reply does not fit a frame.
    TooLarge,
}

impl Failure {
    const ALL: [(u8, Self); 9] = [
        (1, Self::Refused(Refusal::Starting)),
        (2, Self::Refused(Refusal::Overloaded)),
        (3, Self::Refused(Refusal::Stopped)),
        (4, Self::Busy),
        (5, Self::Stopped),
        (6, Self::Late),
        (7, Self::Unreadable),
        (8, Self::Key),
        (9, Self::TooLarge),
    ];

    fn code(self) -> u8 {
        Self::ALL.iter().find(|(_, failure)| *failure == self).map_or(0, |(code, _)| *code)
    }

    fn of_code(code: u8) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == code).map(|(_, failure)| *failure)
    }
}

/// Why a frame was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It is none of those that are known.
    #[error("a frame of an unknown kind; are client and node of the same release?")]
    Kind,
    /// Its body cannot be read.
    #[error(transparent)]
    Body(#[from] DecodeError),
}

/// The frame of a request, at most `limit` bytes.
pub(super) fn request<R: Body>(request: &R, limit: usize) -> Result<Vec<u8>, EncodeError> {
    body(REQUEST, request, limit)
}

/// The frame that hands a key over. The caller wipes it.
pub(super) fn install(text: &str) -> Vec<u8> {
    // Room for all of it from the start: what a growing buffer leaves behind would not be wiped.
    let mut frame = Vec::with_capacity(1 + text.len());
    frame.push(INSTALL);
    frame.extend_from_slice(text.as_bytes());
    frame
}

pub(super) fn read_wish<R: Body>(frame: &[u8]) -> Result<Wish<'_, R>, WireError> {
    match frame {
        [REQUEST, version, body @ ..] => Ok(Wish::Request(R::decode(BodyVersion(*version), body)?)),
        [INSTALL, text @ ..] => std::str::from_utf8(text).map(Wish::Install).map_err(|_| WireError::Kind),
        _ => Err(WireError::Kind),
    }
}

/// The frame of an answer, at most `limit` bytes.
pub(super) fn answer<R: Body>(answer: &Answer<R>, limit: usize) -> Result<Vec<u8>, EncodeError> {
    match answer {
        Answer::Reply(reply) => body(REPLY, reply, limit),
        Answer::Installed(id) => Ok([&[INSTALLED][..], &id.0.to_le_bytes()].concat()),
        Answer::Failed(failure, words) => Ok([&[FAILED, failure.code()], words.as_bytes()].concat()),
    }
}

pub(super) fn read_answer<R: Body>(frame: &[u8]) -> Result<Answer<R>, WireError> {
    match frame {
        [REPLY, version, body @ ..] => Ok(Answer::Reply(R::decode(BodyVersion(*version), body)?)),
        [INSTALLED, low, high] => Ok(Answer::Installed(KeyId(u16::from_le_bytes([*low, *high])))),
        [FAILED, code, words @ ..] => {
            let failure = Failure::of_code(*code).ok_or(WireError::Kind)?;
            Ok(Answer::Failed(failure, String::from_utf8_lossy(words).into_owned()))
        }
        _ => Err(WireError::Kind),
    }
}

fn body<B: Body>(kind: u8, body: &B, limit: usize) -> Result<Vec<u8>, EncodeError> {
    let mut frame = vec![kind, B::NEWEST.0];
    body.encode(B::NEWEST, limit.saturating_sub(HEAD_BYTES), &mut frame)?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use relaymesh_core::codec::{decode_value, encode_value};

    #[derive(Debug, PartialEq, Eq)]
    struct Number(u64);

    impl Body for Number {
        const OLDEST: BodyVersion = BodyVersion(1);
        const NEWEST: BodyVersion = BodyVersion(2);

        fn encode(&self, _: BodyVersion, limit: usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
            encode_value(&self.0, limit, out)
        }

        fn decode(_: BodyVersion, bytes: &[u8]) -> Result<Self, DecodeError> {
            decode_value(bytes).map(Self)
        }
    }

    #[test]
    fn wishes_and_answers_read_back() {
        assert_eq!(read_wish(&request(&Number(7), 64).unwrap()), Ok(Wish::Request(Number(7))));
        assert_eq!(read_wish::<Number>(&install("a key")), Ok(Wish::Install("a key")));
        let answers = Failure::ALL.into_iter().map(|(_, failure)| Answer::Failed(failure, "words".into()));
        for given in [Answer::Reply(Number(9)), Answer::Installed(KeyId(515))].into_iter().chain(answers) {
            assert_eq!(read_answer(&answer(&given, 64).unwrap()), Ok(given));
        }
    }

    #[test]
    fn what_is_no_frame_of_ours_is_refused() {
        for bytes in [&[][..], &[0], &[9, 9, 9], &[INSTALL, 0xFF]] {
            assert_eq!(read_wish::<Number>(bytes), Err(WireError::Kind), "{bytes:?}");
        }
        for bytes in [&[][..], &[INSTALLED, 1], &[FAILED], &[FAILED, 0], &[FAILED, 200]] {
            assert_eq!(read_answer::<Number>(bytes), Err(WireError::Kind), "{bytes:?}");
        }
        assert!(matches!(read_wish::<Number>(&[REQUEST, 1, 7, 7]), Err(WireError::Body(_))));
        assert!(request(&Number(u64::MAX), 4).is_err());
    }
}
