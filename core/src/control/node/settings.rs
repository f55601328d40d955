//! The settings of all machines of the control group.

use crate::control::group;
use crate::lease;
use crate::membership::settings::Profile;
use crate::time::Duration;

/// The settings of all machines of the control group on one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Of the group. The same on all members, but for what each speaks.
    pub group: group::Settings,
    /// Of this node's session, and of all sessions while it leads.
    pub lease: lease::Settings,
}

impl Settings {
    /// How long a command is awaited before it is asked for again.
    pub const fn command_retry(&self) -> Duration {
        self.lease.retry_interval().saturating_mul(2)
    }

    /// The shortest pause between two questions of a node that follows.
    pub const fn follow_pause(&self) -> Duration {
        Duration::from_nanos(self.lease.retry_interval().as_nanos() / 4)
    }

    /// How long a leader that has nothing new lets a question wait.
    pub const fn follow_wait(&self) -> Duration {
        self.lease.renew_interval().saturating_mul(2)
    }

    /// How long an answer is awaited before somebody else is asked.
    pub const fn follow_timeout(&self) -> Duration {
        self.lease.renew_interval().saturating_mul(3)
    }

    /// For how long a member hears of no leader before it follows, as if it were none.
    pub const fn follow_patience(&self) -> Duration {
        self.group.election_max.saturating_mul(4)
    }

    /// How often a leader looks whether something is to be tidied up.
    pub const fn tend_interval(&self) -> Duration {
        self.lease.renew_interval()
    }
}

impl From<Profile> for Settings {
    fn from(profile: Profile) -> Self {
        let group = match profile {
            Profile::Local => group::Settings::local(),
            Profile::Lan => group::Settings::lan(),
            Profile::Wan => group::Settings::wan(),
        };
        Self { group, lease: profile.into() }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Profile::default().into()
    }
}
