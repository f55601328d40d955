//! What `/proc` says of processes, and ending those of one session.

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;

/// A process, as it was a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: Pid,
    parent: Option<Pid>,
    session: Option<Pid>,
    /// It runs no more, and only waits for its parent to notice.
    pub(super) is_dead: bool,
}

/// All children of `parent`. Costs one read for each process of the machine.
pub(super) fn children(parent: Pid) -> impl Iterator<Item = Process> {
    all().filter(move |process| process.parent == Some(parent))
}

/// Kills whatever lives in a session, and says how many processes that were. Those that may not be signalled, since
/// they run under another user, are not counted.
pub(super) fn kill_session(session: Pid) -> usize {
    let is_meant = |process: &Process| process.session == Some(session) && !process.is_dead;
    let kill = |pid| {
        let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Between the first look and the open, the number may have gone to another process.
        look(pid).filter(is_meant)?;
        Some(pidfd_send_signal(process, Signal::KILL))
    };
    let results = all().filter(is_meant).filter_map(|process| kill(process.pid));
    results.filter(|result| *result != Err(Errno::PERM)).count()
}

/// All processes of the machine that may be seen.
fn all() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| look(Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?))
}

fn look(pid: Pid) -> Option<Process> {
    // Its name may be any bytes.
    let bytes = fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    parse(pid, &String::from_utf8_lossy(&bytes))
}

/// Reads `pid (name) state parent group session …`. The name may hold spaces and parentheses.
fn parse(pid: Pid, stat: &str) -> Option<Process> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = Pid::from_raw(fields.next()?.parse().ok()?);
    let _group = fields.next()?;
    let session = Pid::from_raw(fields.next()?.parse().ok()?);
    Some(Process { pid, parent, session, is_dead: matches!(state, "Z" | "X" | "x") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{getpid, getppid};

    #[test]
    fn a_line_is_read_whatever_the_process_calls_itself() {
        let pid = |raw| Pid::from_raw(raw).unwrap();
        let expected = Process { pid: pid(7), parent: Some(pid(3)), session: Some(pid(5)), is_dead: false };
        assert_eq!(parse(pid(7), "7 (sh) S 3 4 5 0 -1"), Some(expected));
        assert_eq!(parse(pid(7), "7 (a) Z 1 (b) Z 3 4 5 0"), Some(Process { is_dead: true, ..expected }));
        assert_eq!(parse(pid(7), "7 (kthreadd) S 0 0 0 0"), Some(Process { parent: None, session: None, ..expected }));
        assert_eq!(parse(pid(7), "7 (sh) S 3"), None);
        assert_eq!(parse(pid(7), ""), None);
    }

    #[test]
    fn this_process_is_among_all() {
        // Its session may have begun in another namespace, where it has no number here.
        let own = all().find(|process| process.pid == getpid()).unwrap();
        assert_eq!((own.parent, own.is_dead), (getppid(), false));
    }
}
