//! How large the replicated state may become. The same on every voter: a bound that differed would make states differ, so
//! these are constants of the command version and no settings.

use crate::time::Duration;

/// Sessions, hence nodes that can hold anything.
pub const SESSIONS_MAX: usize = 4_096;
/// Scopes that were ever held and not retired.
pub const SCOPES_MAX: usize = 4_096;
/// Sessions that may wait for one scope.
pub const WAITING_MAX: usize = 64;
/// Registered clients.
pub const CLIENTS_MAX: usize = 8_192;
/// Commands that one client may have under way.
pub const WINDOW: u64 = 64;
/// Cordoned nodes.
pub const CORDONS_MAX: usize = 4_096;
/// Flags.
pub const FLAGS_MAX: usize = 1_024;
/// Features whose version is agreed on.
pub const FEATURES_MAX: usize = 256;
/// Shared settings.
pub const SETTINGS_MAX: usize = 1_024;
/// Registers.
pub const REGISTERS_MAX: usize = 1_024;
/// Shards of all namespaces.
pub const SHARDS_MAX: usize = 16_384;
/// Nodes that have said what they are as places for shards.
pub const SEATS_MAX: usize = 4_096;
/// Plans of a namespace that are remembered.
pub const PAST_MAX: usize = 16;
/// Moves of theirs that are.
pub const PAST_MOVES_MAX: usize = 4_096;
/// Voters; Raft needs an odd number of few.
pub const VOTERS_MAX: usize = 14;
/// Bytes of a name.
pub const NAME_BYTES: usize = 64;
/// Bytes of a reason or of an actor's name.
pub const TEXT_BYTES: usize = 128;
/// Bytes of a setting's value.
pub const VALUE_BYTES: usize = 1_024;
/// Bytes of an encoded log entry.
pub const ENTRY_BYTES: usize = 4_096;
/// Bytes of an encoded piece of a snapshot.
pub const PIECE_BYTES: usize = 64 << 10;
/// Entries in one delta.
pub const DELTA_ENTRIES: usize = 1_024;
/// The shortest time to live of a session.
pub const TTL_MIN: Duration = Duration::from_millis(10);
