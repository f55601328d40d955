//! The order to kill a run, and how it gets there.

use std::future::pending;
use tokio::sync::watch;

/// How much time a run has that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kill {
    /// SIGTERM, and SIGKILL after the grace of its agent.
    WithGrace,
    /// SIGKILL: another attempt may run already.
    AtOnce,
}

/// Hears of the order.
#[derive(Debug)]
pub(super) struct Killed(watch::Receiver<Option<Kill>>);

impl Killed {
    /// The way to order it, and to hear of that.
    pub(super) fn channel() -> (watch::Sender<Option<Kill>>, Self) {
        let (order, ordered) = watch::channel(None);
        (order, Self(ordered))
    }

    /// Orders it. What was ordered stays, unless there is to be less time.
    pub(super) fn order(to: &watch::Sender<Option<Kill>>, how: Kill) {
        to.send_if_modified(|ordered| {
            let is_less = *ordered < Some(how);
            if is_less {
                *ordered = Some(how);
            }
            is_less
        });
    }

    /// Until it is ordered; or until nobody is left who could order it, which is an order, too.
    pub(super) async fn ordered(&mut self) -> Kill {
        let how = self.0.wait_for(Option::is_some).await.ok().and_then(|how| *how);
        how.unwrap_or(Kill::WithGrace)
    }

    /// Until there is to be no grace, which may be never.
    pub(super) async fn at_once(&mut self) {
        if self.0.wait_for(|how| *how == Some(Kill::AtOnce)).await.is_err() {
            pending().await
        }
    }
}
