//! What a node and a shim say to each other, over the socket that is the shim's standard input.
//!
//! The node begins with an [`Errand`] and the agent's three streams, may give an [`Order`] later, and closes its end
//! when it dies. The shim says one [`Report`], when nothing of the agent is left, and ends. Both are the same build: the
//! node starts its own image. So there is no version, and what cannot be read is an error.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of an encoded errand.
const ERRAND_BYTES_MAX: usize = 256 << 10;
/// Input, output, errors.
const STREAMS: usize = 3;

/// What a shim is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Errand {
    /// Time between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
    /// The folder of this run, to be removed should the node not be there any more.
    pub(super) folder: Option<PathBuf>,
    pub(super) program: OsString,
    pub(super) args: Vec<OsString>,
}

/// What a node wants of a shim that watches an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// SIGTERM now, SIGKILL after the grace.
    Terminate,
    /// SIGKILL now.
    Kill,
}

/// What became of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The operating system did not run the program, for this reason.
    NotStarted(i32),
    /// It has ended with this code.
    Exited(i32),
    /// This signal has ended it.
    Signalled(i32),
}

impl Errand {
    /// Each field with a zero byte behind it. Whoever makes an errand has seen to it that none has one inside.
    fn encode(&self) -> Vec<u8> {
        let grace = OsString::from(self.grace.as_millis().to_string());
        let folder = self.folder.as_deref().map_or(OsStr::new(""), Path::as_os_str);
        let fields = [grace.as_os_str(), folder, &self.program].into_iter();
        let fields = fields.chain(self.args.iter().map(OsString::as_os_str));
        fields.flat_map(|field| [field.as_bytes(), b"\0"].concat()).collect()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = bytes.strip_suffix(b"\0")?.split(|byte| *byte == 0);
        let grace = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        let folder = fields.next()?;
        Some(Self {
            grace: Duration::from_millis(grace),
            folder: (!folder.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(folder))),
            program: OsString::from_vec(fields.next()?.to_owned()),
            args: fields.map(|field| OsString::from_vec(field.to_owned())).collect(),
        })
    }
}

/// Sends an errand, together with the streams of the agent.
pub(super) fn send(mut socket: &UnixStream, errand: &Errand, streams: [BorrowedFd<'_>; STREAMS]) -> io::Result<()> {
    let body = errand.encode();
    if body.len() > ERRAND_BYTES_MAX {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the command and its arguments are too long"));
    }
    let length = (body.len() as u32).to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(STREAMS))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    assert!(rights.push(SendAncillaryMessage::ScmRights(&streams)), "the space was made for them");
    sendmsg(socket, &[IoSlice::new(&length)], &mut rights, SendFlags::NOSIGNAL)?;
    socket.write_all(&body)
}

/// Receives an errand and the streams of the agent.
pub(super) fn receive(mut socket: &UnixStream) -> io::Result<(Errand, [OwnedFd; STREAMS])> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(STREAMS))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
    let received = recvmsg(socket.as_fd(), &mut [IoSliceMut::new(&mut length)], &mut rights, flags)?;
    let streams: Vec<OwnedFd> = rights
        .drain()
        .filter_map(|message| if let RecvAncillaryMessage::ScmRights(streams) = message { Some(streams) } else { None })
        .flatten()
        .collect();
    let bytes = u32::from_le_bytes(length) as usize;
    let (Ok(streams), true) = (streams.try_into(), received.bytes == 4 && bytes <= ERRAND_BYTES_MAX) else {
        return Err(ErrorKind::InvalidData.into());
    };
    let mut body = vec![0; bytes];
    socket.read_exact(&mut body)?;
    let errand = Errand::decode(&body).ok_or(ErrorKind::InvalidData)?;
    Ok((errand, streams))
}

impl Order {
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Terminate => b't',
            Self::Kill => b'k',
        }
    }

    pub(super) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b't' => Some(Self::Terminate),
            b'k' => Some(Self::Kill),
            _ => None,
        }
    }
}

impl Report {
    /// Bytes of an encoded report.
    pub(super) const BYTES: usize = 5;

    pub(super) const fn encode(self) -> [u8; Self::BYTES] {
        let (kind, number) = match self {
            Self::NotStarted(number) => (b'n', number),
            Self::Exited(number) => (b'e', number),
            Self::Signalled(number) => (b's', number),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [kind, a, b, c, d]
    }

    pub(super) const fn decode([kind, a, b, c, d]: [u8; Self::BYTES]) -> Option<Self> {
        let number = i32::from_le_bytes([a, b, c, d]);
        match kind {
            b'n' => Some(Self::NotStarted(number)),
            b'e' => Some(Self::Exited(number)),
            b's' => Some(Self::Signalled(number)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errand(args: &[&str], folder: Option<&str>) -> Errand {
        Errand {
            grace: Duration::from_millis(1_500),
            folder: folder.map(Into::into),
            program: "sh".into(),
            args: args.iter().map(Into::into).collect(),
        }
    }

    #[test]
    fn errands_reports_and_orders_are_read_as_they_were_written() {
        for sent in [errand(&[], None), errand(&["", "-c", "", "echo 'ä'", ""], Some("/tmp/x y"))] {
            assert_eq!(Errand::decode(&sent.encode()), Some(sent));
        }
        for report in [Report::NotStarted(2), Report::Exited(255), Report::Signalled(9)] {
            assert_eq!(Report::decode(report.encode()), Some(report));
        }
        for order in [Order::Terminate, Order::Kill] {
            assert_eq!(Order::from_byte(order.byte()), Some(order));
        }
    }

    #[test]
    fn what_is_no_errand_is_not_read_as_one() {
        for bytes in [&b""[..], b"\0", b"10\0\0", b"soon\0\0sh\0", b"10\0\0sh"] {
            assert_eq!(Errand::decode(bytes), None, "{bytes:?}");
        }
        let (node, shim) = UnixStream::pair().unwrap();
        (&node).write_all(&[1, 0, 0, 0, 7]).unwrap();
        assert_eq!(receive(&shim).unwrap_err().kind(), ErrorKind::InvalidData, "no streams came with it");
    }

    #[test]
    fn an_errand_brings_the_streams_along() {
        let (node, shim) = UnixStream::pair().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let sent = errand(&["-c", "true"], Some("/tmp/run"));
        send(&node, &sent, [null.as_fd(), writer.as_fd(), writer.as_fd()]).unwrap();
        drop(writer);
        let (received, [_, output, _]) = receive(&shim).unwrap();
        assert_eq!(received, sent);
        std::fs::File::from(output).write_all(b"through another end").unwrap();
        let mut bytes = [0; 19];
        (&reader).read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"through another end");
    }
}
