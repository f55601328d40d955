//! The constants of the protocol, by profile, and its bounds.

use crate::time::Duration;

/// Every constant of membership. The defaults come from a [`Profile`]; each may be set by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Pause between two rounds of probing (SWIM §3.1: the protocol period).
    pub probe_interval: Duration,
    /// How long a direct answer is waited for before others are asked to probe.
    pub probe_timeout: Duration,
    /// Peers asked to probe on one's behalf (SWIM §3.1: k).
    pub relays: u32,
    /// Pause between two rounds of gossip, while there is something to say.
    pub gossip_interval: Duration,
    /// Peers told in one round.
    pub fan_out: u32,
    /// A rumor is sent `retransmit × ⌈log₁₀(n + 1)⌉` times (SWIM §4.1: λ log n).
    pub retransmit: u32,
    /// Pause between two exchanges of digests with a random peer.
    pub sync_interval: Duration,
    /// How long the answer to an exchange is waited for.
    pub sync_timeout: Duration,
    /// Pause between two probes of a random dead member.
    pub dead_probe_interval: Duration,
    /// Pause between two searches for seeds while the node is alone.
    pub seek_interval: Duration,
    /// Pause between two searches for seeds while it is not: heals a split that outlived the memory of the dead.
    pub reseek_interval: Duration,
    /// The shortest suspicion is this many thousandths of `log₁₀ n` probe intervals (Lifeguard §IV-B: α).
    pub suspicion_alpha: u32,
    /// But never shorter than this many thousandths of a probe interval.
    pub suspicion_floor: u32,
    /// The longest suspicion is this many times the shortest (Lifeguard §IV-B: β).
    pub suspicion_beta: u32,
    /// Independent confirmations after which a suspicion is as short as it gets (Lifeguard §IV-B: K).
    pub confirmations: u32,
    /// Members that probe a suspect at once, on average, so that it is confirmed or acquitted soon.
    pub jurors: u32,
    /// The local health multiplier goes up to this (Lifeguard §IV-A: S).
    pub health_max: u32,
    /// A member that was suspected by several must stay healthy this long before it counts as alive again.
    pub suspect_recover_min: Duration,
    /// A member that was dead must stay healthy this long before it counts as alive again.
    pub dead_recover_min: Duration,
    /// Rows of members that died are forgotten after this time.
    pub dead_retention: Duration,
    /// Rows of members that left are forgotten after this time.
    pub left_retention: Duration,
    /// Own bounds.
    pub bounds: Bounds,
}

/// What membership holds and sends at most.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Members in the view, the dead included.
    pub members: u32,
    /// Of these, dead or gone; the oldest are forgotten first.
    pub dead: u32,
    /// Bytes of a datagram with all headers: nothing larger leaves as one.
    pub datagram_bytes: u32,
    /// Rounds of gossip and exchanges that may leave in a second, in packets; probes and their answers are never held
    /// back.
    pub packets_per_second: u32,
    /// Probes that may be under way, those on behalf of others included.
    pub probes: u32,
    /// Exchanges that may be under way.
    pub exchanges: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            members: 4_096,
            dead: 1_024,
            datagram_bytes: 1_400,
            packets_per_second: 1_000,
            probes: 256,
            exchanges: 16,
        }
    }
}

/// A named set of constants for one kind of network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// One machine.
    Local,
    /// One site.
    #[default]
    Lan,
    /// Between sites.
    Wan,
}

impl Profile {
    /// All profiles with their names.
    pub const ALL: [(&'static str, Self); 3] = [("local", Self::Local), ("lan", Self::Lan), ("wan", Self::Wan)];

    /// The profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, profile)| *profile)
    }
}

impl From<Profile> for Settings {
    fn from(profile: Profile) -> Self {
        let ms = Duration::from_millis;
        let (probe, timeout, gossip, fan_out, sync) = match profile {
            Profile::Local => (ms(200), ms(100), ms(50), 3, Duration::from_secs(6)),
            Profile::Lan => (ms(1_000), ms(500), ms(200), 3, Duration::from_secs(30)),
            Profile::Wan => (ms(5_000), ms(3_000), ms(500), 4, Duration::from_secs(60)),
        };
        Self {
            probe_interval: probe,
            probe_timeout: timeout,
            relays: 3,
            gossip_interval: gossip,
            fan_out,
            retransmit: 4,
            sync_interval: sync,
            sync_timeout: probe.saturating_mul(4),
            dead_probe_interval: probe.saturating_mul(5),
            seek_interval: probe,
            reseek_interval: Duration::from_secs(300),
            suspicion_alpha: 800,
            suspicion_floor: 1_800,
            suspicion_beta: 6,
            confirmations: 3,
            jurors: 6,
            health_max: 8,
            suspect_recover_min: probe.saturating_mul(5),
            dead_recover_min: probe.saturating_mul(30),
            dead_retention: Duration::from_secs(7 * 24 * 3_600),
            left_retention: Duration::from_secs(3_600),
            bounds: Bounds::default(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Profile::default().into()
    }
}
