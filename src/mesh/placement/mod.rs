//! `relaymesh mesh shards` and `relaymesh mesh peers`: where shards are, where they ought to be, and how the one becomes the other.
//!
//! | file | has |
//! | --- | --- |
//! | `arguments` | what can be typed |
//! | `ask` | what a node is asked for it |
//! | `list` | shards as they are |
//! | `plan` | how placement stands, and what plans move |
//! | `simulate` | what would move |
//! | `rebalance` | plans made, approved and given up |
//! | `pause` | shards that take nothing for a while |
//! | `peers` | nodes as places for shards |
//! | `capacity` | how much each has to do |

pub(crate) mod arguments;
mod ask;
mod capacity;
mod list;
mod pause;
mod peers;
mod plan;
mod rebalance;
mod simulate;

use crate::error::{Error, Exit};
use crate::output::Output;
use arguments::{PeersCommand, ShardsCommand};

pub(super) fn shards(command: &ShardsCommand, output: &Output) -> Result<Exit, Error> {
    match command {
        ShardsCommand::List(arguments) => list::run(arguments, output),
        ShardsCommand::Plan(place) => plan::run(place, output),
        ShardsCommand::Diff(arguments) => plan::diff(arguments, output),
        ShardsCommand::Simulate(arguments) => simulate::run(arguments, output),
        ShardsCommand::Rebalance(arguments) => rebalance::run(arguments, output),
        ShardsCommand::Pause(arguments) => pause::run(arguments, true),
        ShardsCommand::Resume(arguments) => pause::run(arguments, false),
    }
}

pub(super) fn peers(command: &PeersCommand, output: &Output) -> Result<Exit, Error> {
    match command {
        PeersCommand::List(folder) => peers::list(folder, output),
        PeersCommand::Capacity(folder) => capacity::run(folder, output),
        PeersCommand::Cordon(peer) => peers::cordon(peer),
        PeersCommand::Uncordon(peer) => peers::uncordon(peer),
        PeersCommand::Drain(arguments) => peers::drain(arguments),
    }
}
