//! Shard logs: what is acknowledged survives in every interleaving, within bounds, whatever is delayed, repeated, lost with
//! a crash, taken over or recovered.
//!
//! Three nodes, the real `Replica` over registers, the real `ShardRecord`. The control group is abstract: a list of
//! records that every node learns in order and at any time. A packet may be under way for any time, overtake others, and
//! (where a search says so) arrive any number of times; one that is lost is one that never arrives. A crash loses
//! any number of the newest writes that were not synced, and all that waited at the gate for them. There is no clock:
//! a deadline may pass at any time, and a session may end as soon as its owner has crashed or its view has lapsed.
//!
//! Every promise has been seen to be broken: each rule that can be left out has a plant that leaves it out, by telling a
//! replica what no sound peer, disk or control group would, and must be found.

#[path = "shard_model/plants.rs"]
mod plants;
#[path = "shard_model/search.rs"]
mod search;
#[path = "shard_model/world.rs"]
mod world;

use search::{LINEARIZABLE, NAMES, NO_OLDER, ONE_OWNER, PREFIX, TASK_1};
use world::{Plant, Shard};

// --- what is promised -----------------------------------------------------------------------------------------------

#[test]
fn appends_and_a_take_over_break_no_promise() {
    Shard { grants: 1, appends: 2, ..Shard::small() }.keeps(1);
}

#[test]
fn a_crash_that_loses_unsynced_writes_breaks_no_promise() {
    Shard { grants: 1, appends: 1, crashes: 1, ..Shard::small() }.keeps(1);
}

#[test]
#[ignore = "scratch"]
fn scratch() {
    let base = Shard::small();
    let rep = Shard { is_repeated: true, ..base };
    let prompt = Shard { is_prompt: true, ..rep };
    let all = [
        ("1g 1a slow 1c", Shard { grants: 1, appends: 1, is_slow: true, crashes: 1, ..base }),
        ("1g 1a slow 1c prompt", Shard { grants: 1, appends: 1, is_slow: true, crashes: 1, ..prompt }),
        ("2g 3a prompt", Shard { grants: 2, appends: 3, ..prompt }),
        ("2g 2a", Shard { grants: 2, appends: 2, ..base }),
        ("2g 3a", Shard { grants: 2, appends: 3, ..base }),
        ("2g 3a 1c slow", Shard { grants: 2, appends: 3, is_slow: true, crashes: 1, ..base }),
    ];
    for (name, shard) in all {
        let began = std::time::Instant::now();
        let states = shard.explore();
        eprintln!("{name}: {states} states in {:?}", began.elapsed());
    }
}
