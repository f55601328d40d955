//! What is watched, by name, and how often each was put to the test.

use alloc::vec;
use alloc::vec::Vec;

/// The crashed are dead everywhere within the bound.
pub const MEMB_1: &str = "MEMB-1";
/// The healthy are dead nowhere.
pub const MEMB_2: &str = "MEMB-2";
/// After healing all agree on who is there.
pub const MEMB_3: &str = "MEMB-3";
/// Whoever starts is known to everybody within the bound.
pub const JOIN_1: &str = "JOIN-1";
/// Whoever said good-bye says nothing more, and within the bound everybody holds it gone rather than dead.
pub const LEFT_1: &str = "LEFT-1";
/// Nobody is in a view who is no member of the cluster, and no view outgrows its bound.
pub const VIEW_1: &str = "VIEW-1";
/// What a process holds of a member only moves up: nobody comes back from the dead but by its own word.
pub const VERD_1: &str = "VERD-1";
/// A node never says one incarnation of itself twice in two lives, nor a lower one in a later life.
pub const INCN_1: &str = "INCN-1";
/// What is shown of a member is what it has said of itself, and nothing that it had long taken back.
pub const DESC_1: &str = "DESC-1";
/// A member that was dead, or suspected by several, counts as alive again only after it was healthy for long enough.
pub const HOLD_1: &str = "HOLD-1";
/// A member that was healthy for long enough counts as alive again.
pub const HOLD_2: &str = "HOLD-2";
/// Everybody is probed in turn, and reached directly where nothing is wrong.
pub const PROB_1: &str = "PROB-1";
/// A packet that arrives once more changes nothing.
pub const REPL_1: &str = "REPL-1";
/// No datagram is larger than the budget, all headers counted.
pub const PACK_1: &str = "PACK-1";
/// Gossip ends: nobody passes anything on once nothing is new to anybody.
pub const GOSS_1: &str = "GOSS-1";
/// In calm times a node says no more than probes and comparisons need.
pub const RATE_1: &str = "RATE-1";
/// A key is used only when all who are known can open what it seals, and dropped only when none of them seals with it.
pub const KEYS_1: &str = "KEYS-1";
/// No member's word is malformed to another, nor taken for that of another process with the reader's identity.
pub const FORM_1: &str = "FORM-1";
/// A suspicion ends once those who confirm it allow, unless it is refuted.
pub const SUSP_1: &str = "SUSP-1";
/// A suspicion ends no sooner.
pub const SUSP_2: &str = "SUSP-2";
/// Nobody is taken for dead for the time in which its observer was stopped.
pub const PAUS_1: &str = "PAUS-1";
/// Nobody is accused before others, and a stream, were tried.
pub const PROB_2: &str = "PROB-2";
/// Whoever is asked to look for another says what it saw.
pub const PROB_3: &str = "PROB-3";
/// A node whose probes fail asks the more rarely.
pub const HLTH_1: &str = "HLTH-1";
/// The dead are asked now and then whether they are back.
pub const PROB_4: &str = "PROB-4";
/// Whoever hears of a suspicion looks for itself, if it is drawn.
pub const JURY_1: &str = "JURY-1";
/// Whoever is accused hears so from whoever tells it anything.
pub const TOLD_1: &str = "TOLD-1";
/// Whoever has lost its standing accuses nobody.
pub const ACCU_1: &str = "ACCU-1";
/// One accuser takes nobody its standing, where there are others.
pub const HOLD_3: &str = "HOLD-3";
/// Each step of an exchange brings what the one before called for.
pub const SYNC_1: &str = "SYNC-1";

/// No two nodes act for one scope at a time: nobody acts after somebody did under a newer token, nor under another's.
pub const LEASE_1: &str = "LEASE-1";
/// The tokens of a scope rise with each grant, and each is one holder's.
pub const LEASE_2: &str = "LEASE-2";
/// Who has accepted a write under a newer epoch accepts none under an older one.
pub const LEASE_3: &str = "LEASE-3";
/// Once an epoch is said to be known, nobody acts under an older one.
pub const EPOC_1: &str = "EPOC-1";
/// Registers are linearizable.
pub const CTRL_1: &str = "CTRL-1";
/// No entry is in a log before its version is activated, nor is that done while a voter does not understand it.
pub const VERS_1: &str = "VERS-1";
/// A command of a newer version is refused by all before that is activated, and by nobody after.
pub const VERS_2: &str = "VERS-2";
/// Who runs an older build than what is in use acts for nothing.
pub const VERS_3: &str = "VERS-3";

/// Registers and counters above replicated logs are linearizable.
pub const SHRD_1: &str = "SHRD-1";
/// What is acknowledged is in the log of every later owner.
pub const TASK_1: &str = "TASK-1";
/// An entry is the same in every log, and has the same before it.
pub const PREF_1: &str = "PREF-1";
/// One process acts as owner of a shard under an epoch.
pub const OWNR_1: &str = "OWNR-1";
/// A shard is granted to another owner when the one before has handed it over or ended; who acts for it was granted it.
pub const OWNR_2: &str = "OWNR-2";
/// A store that has promised an epoch accepts nothing of an older one.
pub const FENC_1: &str = "FENC-1";
/// In the end as many replicas of a shard as there ought to be are in sync, and hold the same.
pub const REPL_2: &str = "REPL-2";
/// What clients have been told that it is referred to can be read, and is on every disk that it has to be on.
pub const BLOB_1: &str = "BLOB-1";
/// Nothing stays on a disk that nothing refers to.
pub const BLOB_2: &str = "BLOB-2";

/// What was parked takes effect in the end, if the disk of one that keeps it survives; and as many keep it as was said.
pub const PARK_1: &str = "PARK-1";
/// What is submitted under one key takes effect once, or not at all; what is said to have has, and is acknowledged.
pub const PARK_2: &str = "PARK-2";

/// A step has at most one committed result, which is what follows from its input, and a task that has ended stays so.
pub const TASK_2: &str = "TASK-2";
/// A step starts only when all it depends on has succeeded, on what they gave, and never after its cancel was confirmed.
pub const TASK_3: &str = "TASK-3";
/// No more attempts run at once than the limits of their agent and their key allow.
pub const TASK_4: &str = "TASK-4";

/// Each due time of a schedule fires once, or is counted as missed; and what fired has its task.
pub const TASK_5: &str = "TASK-5";
/// A step is tried no more often than its policy says, and after no longer a pause.
pub const TASK_6: &str = "TASK-6";
/// A claim whose node lives is not ended before its time.
pub const TASK_7: &str = "TASK-7";

/// A table of placements is the same to everybody in one version.
pub const PLAC_1: &str = "PLAC-1";
/// A plan is carried out once, and as it was approved.
pub const PLAC_2: &str = "PLAC-2";
/// No more shards move at once than their plan allows.
pub const PLAC_3: &str = "PLAC-3";
/// In the end copies are where the table says.
pub const PLAC_4: &str = "PLAC-4";
/// Where plans alone give shards to others, in the end each is owned by whom the table says.
pub const PLAC_5: &str = "PLAC-5";

macro_rules! exercised {
    ($($field:ident = $name:ident),+ $(,)?) => {
        /// How often each invariant was put to the test.
        #[derive(Clone, Debug, Default)]
        pub(super) struct Exercised { $(pub(super) $field: u64),+ }

        impl Exercised {
            pub(super) fn counts(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field)),+]
            }
        }
    };
}

exercised! {
    memb_1 = MEMB_1, memb_2 = MEMB_2, memb_3 = MEMB_3, join_1 = JOIN_1, left_1 = LEFT_1, view_1 = VIEW_1,
    verd_1 = VERD_1, incn_1 = INCN_1, desc_1 = DESC_1, hold_1 = HOLD_1, hold_2 = HOLD_2, prob_1 = PROB_1,
    repl_1 = REPL_1, pack_1 = PACK_1, goss_1 = GOSS_1, rate_1 = RATE_1, keys_1 = KEYS_1, form_1 = FORM_1,
    susp_1 = SUSP_1, susp_2 = SUSP_2, paus_1 = PAUS_1, prob_2 = PROB_2, prob_3 = PROB_3, hlth_1 = HLTH_1,
    prob_4 = PROB_4, jury_1 = JURY_1, told_1 = TOLD_1, accu_1 = ACCU_1, hold_3 = HOLD_3, sync_1 = SYNC_1,
    lease_1 = LEASE_1, lease_2 = LEASE_2, lease_3 = LEASE_3, epoc_1 = EPOC_1, ctrl_1 = CTRL_1,
    vers_1 = VERS_1, vers_2 = VERS_2, vers_3 = VERS_3, shrd_1 = SHRD_1, task_1 = TASK_1, pref_1 = PREF_1,
    ownr_1 = OWNR_1, ownr_2 = OWNR_2, fenc_1 = FENC_1, repl_2 = REPL_2, park_1 = PARK_1, park_2 = PARK_2, blob_1 = BLOB_1, blob_2 = BLOB_2,
    task_2 = TASK_2, task_3 = TASK_3, task_4 = TASK_4, task_5 = TASK_5, task_6 = TASK_6, task_7 = TASK_7,
    plac_1 = PLAC_1, plac_2 = PLAC_2, plac_3 = PLAC_3, plac_4 = PLAC_4, plac_5 = PLAC_5,
}
