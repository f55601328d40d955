//! What the shell counts: what it dropped, refused or failed to do, so that nothing is lost without a number.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Counts one more. Returns the total when a line in the log is due, which it is at 1, 2, 4, 8 and so on: a flood of
    /// bad packets must not become a flood of lines.
    pub(crate) fn one_more(&self) -> Option<u64> {
        let total = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        total.is_power_of_two().then_some(total)
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}

macro_rules! counts {
    ($($(#[doc = $help:literal])+ $name:ident => $metric:literal),+ $(,)?) => {
        /// The counters that the tasks of one driver share.
        #[derive(Debug, Default)]
        pub(crate) struct Tally {
            $($(#[doc = $help])+ pub(crate) $name: Count),+
        }

        /// What a driver has counted since it started.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[doc = $help])+ pub $name: u64),+
        }

        impl Tally {
            pub(crate) fn counts(&self) -> Counts {
                Counts { $($name: self.$name.0.load(Ordering::Relaxed)),+ }
            }
        }

        impl Counts {
            /// Name, help and value of each counter, in the exposition format's style.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$(($metric, concat!($($help),+).trim_ascii(), self.$name)),+].into_iter()
            }
        }
    };
}

counts! {
    /// Packets that did not open: forged, foreign, or unreadable by this build.
    packets_refused => "relaymesh_shell_packets_refused_total",
    /// Packets whose source or class was not that of the stream they came on, or a datagram of a stream's class.
    packets_misplaced => "relaymesh_shell_packets_misplaced_total",
    /// Datagrams that arrived while the node was too busy to take them.
    datagrams_overflowed => "relaymesh_shell_datagrams_overflowed_total",
    /// Datagrams that the operating system did not send, or did not hand over.
    datagrams_failed => "relaymesh_shell_datagrams_failed_total",
    /// Messages to nodes that nobody has located.
    sends_unlocated => "relaymesh_shell_sends_unlocated_total",
    /// Messages to, and seeds at, endpoints outside this machine while the plaintext network is not allowed.
    endpoints_forbidden => "relaymesh_shell_endpoints_forbidden_total",
    /// Packets dropped because the queue to their peer was full.
    sends_overflowed => "relaymesh_shell_sends_overflowed_total",
    /// Packets dropped because the stream to their peer broke or could not be opened.
    sends_broken => "relaymesh_shell_sends_broken_total",
    /// Messages and replies that could not leave within their time limit.
    sends_late => "relaymesh_shell_sends_late_total",
    /// Messages that could not be sealed, which is a defect of the machine that made them.
    seals_failed => "relaymesh_shell_seals_failed_total",
    /// Streams that could not be opened.
    dials_failed => "relaymesh_shell_dials_failed_total",
    /// Streams opened to other nodes.
    dials_done => "relaymesh_shell_dials_done_total",
    /// Streams of other nodes that were accepted.
    streams_accepted => "relaymesh_shell_streams_accepted_total",
    /// Connections turned away because as many were open as may be.
    streams_turned_away => "relaymesh_shell_streams_turned_away_total",
    /// Connections whose other end did not prove in time that it holds the cluster's key.
    hellos_failed => "relaymesh_shell_hellos_failed_total",
    /// Streams closed because the other end broke the rules: frames too long, too slow, or of another node.
    streams_broken => "relaymesh_shell_streams_broken_total",
    /// Changes of the keyring that were asked for and not possible.
    key_changes_failed => "relaymesh_shell_key_changes_failed_total",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_ever_more_rarely() {
        let tally = Tally::default();
        let due: Vec<u64> = (0..1_000).filter_map(|_| tally.packets_refused.one_more()).collect();
        assert_eq!(due, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!(tally.counts().packets_refused, 1_000);
    }

    #[test]
    fn each_counter_has_a_name_of_its_own_and_a_help_text() {
        let counts = Counts::default();
        let mut names: Vec<&str> = counts.each().map(|(name, ..)| name).collect();
        assert!(counts.each().all(|(name, help, _)| name.ends_with("_total") && help.ends_with('.')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), counts.each().count());
    }
}
