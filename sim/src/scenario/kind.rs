//! Every fault the world can suffer, with the parameters each takes. One list; validation, docs and reports use it.

use serde::{Deserialize, Serialize};

/// A parameter of a fault, as the scenario file names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// How long it lasts.
    Lasts,
    /// The share of packets, writes, syncs or reads affected.
    Share,
    /// A span: extra delay, the size of a clock step, the length of a phase.
    Amount,
    /// A clock's rate.
    Rate,
    /// A number without unit: slow-down, version, bytes per second, key.
    Value,
    /// The links cut.
    Links,
    /// Whether the monotonic clock counts suspended time.
    Counted,
    /// Whether packets from the nodes, to them, or both are affected.
    Direction,
    /// Whether a clock step goes back.
    Back,
}

macro_rules! kinds {
    ($($(#[doc = $help:literal])+ $variant:ident = $name:literal needs [$($need:ident),*] may [$($may:ident),*]),+ $(,)?) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub enum FaultKind {
            $($(#[doc = $help])+ #[serde(rename = $name)] $variant),+
        }

        impl FaultKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in scenario files and reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it does, in one sentence.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($help),+)),+ }
            }

            /// The parameters it cannot do without.
            pub const fn needs(self) -> &'static [Parameter] {
                match self { $(Self::$variant => &[$(Parameter::$need),*]),+ }
            }

            /// The parameters it takes besides.
            pub const fn may_have(self) -> &'static [Parameter] {
                match self { $(Self::$variant => &[$(Parameter::$may),*]),+ }
            }
        }
    };
}

kinds! {
    /// Packets to and from the nodes are lost with the given share.
    Loss = "loss" needs [Lasts, Share] may [Direction],
    /// Packets to and from the nodes arrive twice with the given share.
    Duplicate = "duplicate" needs [Lasts, Share] may [Direction],
    /// Packets are held back by up to `amount`, with the given share, and so overtaken by later ones.
    Reorder = "reorder" needs [Lasts, Share, Amount] may [Direction],
    /// Every packet to and from the nodes takes `amount` longer.
    Delay = "delay" needs [Lasts, Amount] may [Direction],
    /// One to three bits of a packet are flipped on the way, with the given share.
    Corrupt = "corrupt" needs [Lasts, Share] may [Direction],
    /// Each lane between the nodes and others carries `value` bytes per second; what does not fit its queue is dropped.
    Bandwidth = "bandwidth" needs [Lasts, Value] may [Direction],
    /// The nodes and the rest cannot reach one another.
    Partition = "partition" needs [Lasts] may [],
    /// The nodes hear the rest, but the rest does not hear them.
    OneWay = "one_way" needs [Lasts] may [],
    /// Single links are cut both ways: each link of the nodes with the given share, or those listed.
    Partial = "partial" needs [Lasts] may [Share, Links],
    /// Streams between the nodes and the rest carry nothing; datagrams get through.
    NoStreams = "no_streams" needs [Lasts] may [Direction],
    /// A cut that comes and goes each `amount`: nobody hears the nodes (`out`), they hear nobody (`in`), or neither.
    FlipFlop = "flip_flop" needs [Lasts, Amount] may [Direction],
    /// Datagrams to and from the nodes are delivered once more, up to `amount` later, with the given share.
    Replay = "replay" needs [Lasts, Share, Amount] may [Direction],
    /// Somebody without a key sends copies of datagrams, sealed anew or of another cluster, with the given share.
    Intrude = "intrude" needs [Lasts, Share] may [Direction],
    /// The wall clocks of the nodes step by `amount`, forwards or (drawn) back.
    ClockStep = "clock_step" needs [Amount] may [Back],
    /// The monotonic clocks of the nodes run at another rate.
    ClockRate = "clock_rate" needs [Rate] may [Lasts],
    /// The wall clocks of the nodes run at another rate.
    WallRate = "wall_rate" needs [Rate] may [Lasts],
    /// The machines of the nodes sleep; `counted = false` hides that from their monotonic clocks.
    Suspend = "suspend" needs [Lasts] may [Counted],
    /// The nodes lose power: unsynced writes survive in any subset, torn or whole; they start again after `lasts`.
    Crash = "crash" needs [Lasts] may [],
    /// The processes of the nodes are killed and start again after `lasts`; the page cache survives.
    Kill = "kill" needs [Lasts] may [],
    /// The processes of the nodes are killed and start again at new endpoints after `lasts`.
    Move = "move" needs [Lasts] may [],
    /// The nodes of `mesh.late` start.
    Join = "join" needs [] may [],
    /// The operator puts key `value` into the keyrings of the nodes; key 0 is the one all start with.
    KeyInstall = "key_install" needs [Value] may [],
    /// The processes of the nodes are stopped for `lasts` and go on where they were.
    Pause = "pause" needs [Lasts] may [],
    /// Handling one event takes the nodes `amount`.
    SlowNode = "slow_node" needs [Lasts, Amount] may [],
    /// The nodes lose power and their disks; they start again on empty ones after `lasts`.
    DiskLost = "disk_lost" needs [Lasts] may [],
    /// The nodes are restarted with the build that understands body version `value`, and back after `lasts` if given.
    Version = "version" needs [Value] may [Lasts],
    /// Reads and syncs take `value` times as long.
    SlowDisk = "slow_disk" needs [Lasts, Value] may [],
    /// No sync ends before this time is over.
    StallDisk = "stall_disk" needs [Lasts] may [],
    /// Writes fail with the given share.
    FailingWrites = "failing_writes" needs [Lasts, Share] may [],
    /// Syncs fail with the given share.
    FailingSyncs = "failing_syncs" needs [Lasts, Share] may [],
    /// The disks have no room.
    DiskFull = "disk_full" needs [Lasts] may [],
    /// Reads return a flipped bit with the given share.
    CorruptReads = "corrupt_reads" needs [Lasts, Share] may [],
    /// One durable record changes one bit for good. Excuses what stood in that store.
    BitRot = "bit_rot" needs [] may [],
    /// A share of the durable objects changes one bit for good, or is gone for good. Excuses those objects.
    RotObjects = "rot_objects" needs [Share] may [],
}
