//! The node's side of the control socket.

use super::wire::{self, Answer, Failure, Wish};
use crate::driver::Runnable;
use crate::folder;
use crate::handle::{Handle, RequestError};
use crate::transport::frame;
use relaymesh_core::envelope::ClusterKey;
use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};
use std::fs::remove_file;
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Bytes of the path of a Unix socket, as the oldest systems have it.
const PATH_BYTES_MAX: usize = 103;
/// Clients that may wait to be let in.
const BACKLOG: i32 = 64;
/// Wait after the operating system refused to accept.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a node cannot be asked by the command line.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The path of the socket is longer than operating systems allow.
    #[error(
        "the control socket {} would have a path of {} bytes, and {PATH_BYTES_MAX} are allowed: \
         give the node a folder with a shorter path", .0.display(), .0.as_os_str().len()
    )]
    PathTooLong(PathBuf),
    /// The socket cannot be made.
    #[error("cannot make the control socket {}: {problem}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why it failed.
        problem: io::Error,
    },
}

/// Makes the control socket of the folder at `path`, replacing what a process that was killed left behind. The caller
/// holds the folder's lock.
pub(crate) fn listen(path: &Path) -> Result<UnixListener, ServeError> {
    let path = folder::control_socket(path);
    if path.as_os_str().len() > PATH_BYTES_MAX {
        return Err(ServeError::PathTooLong(path));
    }
    private_listener(&path).map_err(|problem| ServeError::Io { path, problem })
}

/// The socket gets its permissions before its name, so that there is no moment at which others could open it.
fn private_listener(path: &Path) -> io::Result<UnixListener> {
    match remove_file(path) {
        Err(problem) if problem.kind() != io::ErrorKind::NotFound => return Err(problem),
        _ => {}
    }
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    // Where the line above did nothing for sockets, this one does.
    rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR)?;
    rustix::net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(StdListener::from(socket))
}

/// Removes the socket of a node that has stopped.
pub(crate) fn remove(path: &Path) {
    // If it is gone already, so much the better.
    let _ = remove_file(folder::control_socket(path));
}

/// Answers clients for as long as the node lives.
pub(crate) async fn serve<A: Runnable>(listener: UnixListener, handle: Handle<A>) {
    let places = Arc::new(Semaphore::new(handle.bounds().control_connections));
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match (accepted, places.clone().try_acquire_owned()) {
                (Ok((stream, _)), Ok(place)) => {
                    let handle = handle.clone();
                    clients.spawn(async move {
                        attend(&handle, stream).await;
                        drop(place);
                    });
                }
                // One client too many finds its connection closed.
                (Ok(_), Err(_)) => {}
                (Err(problem), _) => {
                    tracing::warn!(%problem, "a client could not be accepted");
                    sleep(PAUSE).await;
                }
            },
            Some(_) = clients.join_next() => {}
        }
    }
}

/// Answers one client until it goes.
async fn attend<A: Runnable>(handle: &Handle<A>, mut stream: UnixStream) {
    let bounds = handle.bounds();
    let (max, idle) = (bounds.control_frame_bytes, bounds.control_idle);
    let mut buffer = Vec::new();
    while frame::read(&mut stream, max, idle, bounds.frame, &mut buffer).await.is_ok() {
        let answer = answer(handle, &buffer, idle).await;
        // It may have held a key.
        buffer.fill(0);
        std::hint::black_box(&buffer);
        let body = wire::answer(&answer, max).or_else(|problem| {
            let answer: Answer<A::Reply> = Answer::Failed(Failure::TooLarge, problem.to_string());
            wire::answer(&answer, max)
        });
        let Ok(body) = body else { return };
        let mut bytes = Vec::with_capacity(body.len() + 4);
        frame::append(&[&body], &mut bytes);
        if !matches!(timeout(bounds.frame, stream.write_all(&bytes)).await, Ok(Ok(()))) {
            return;
        }
    }
}

async fn answer<A: Runnable>(handle: &Handle<A>, frame: &[u8], within: Duration) -> Answer<A::Reply> {
    match wire::read_wish::<A::Request>(frame) {
        Ok(Wish::Request(request)) => match timeout(within, handle.request(request)).await {
            Ok(Ok(reply)) => Answer::Reply(reply),
            Ok(Err(error)) => Answer::Failed(failure(error), error.to_string()),
            Err(_) => Answer::Failed(Failure::Late, RequestError::Late.to_string()),
        },
        Ok(Wish::Install(text)) => match install(handle, text).await {
            Ok(answer) => answer,
            Err(words) => Answer::Failed(Failure::Key, words),
        },
        Err(problem) => Answer::Failed(Failure::Unreadable, problem.to_string()),
    }
}

/// Installs a key, or says in words why not.
async fn install<A: Runnable>(handle: &Handle<A>, text: &str) -> Result<Answer<A::Reply>, String> {
    let key = ClusterKey::parse_for(handle.cluster(), text).map_err(|problem| problem.to_string())?;
    let id = handle.install_key(key.key).await.map_err(|problem| problem.to_string())?;
    Ok(Answer::Installed(id))
}

const fn failure(error: RequestError) -> Failure {
    match error {
        RequestError::Refused(refusal) => Failure::Refused(refusal),
        RequestError::Busy => Failure::Busy,
        RequestError::Stopped => Failure::Stopped,
        RequestError::Late => Failure::Late,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn the_socket_is_its_owners_alone_and_replaces_what_a_killed_process_left() {
        let place = tempfile::tempdir().unwrap();
        drop(listen(place.path()).unwrap());
        let path = folder::control_socket(place.path());
        assert!(path.exists(), "a socket outlives its process");
        let _listener = listen(place.path()).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        remove(place.path());
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_named_with_what_to_do() {
        let place = tempfile::tempdir().unwrap();
        let refused = listen(&place.path().join("x".repeat(100))).unwrap_err();
        assert!(matches!(refused, ServeError::PathTooLong(_)));
        assert!(refused.to_string().contains("shorter path"), "{refused}");
    }
}
