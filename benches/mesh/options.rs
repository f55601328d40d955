//! What was asked for.

use std::path::PathBuf;
use std::time::Duration;

pub(crate) const USAGE: &str = "usage: cargo bench --bench mesh -- [moves] [--quick] [--json] [--clients N,N,...] \
                                [--seconds N] [--idle N] [--tight] [--capacity N] [--shards N] [--copies 2|3] \
                                [--rounds N] [--parallel N] [--rate N] [--dir FOLDER]";

/// How to measure.
#[derive(Debug)]
pub(crate) struct Options {
    /// Whether it is measured what goes on while shards move, and nothing else.
    pub(crate) is_moves: bool,
    pub(crate) json: bool,
    /// Clients at once, one load after the other.
    pub(crate) clients: Vec<usize>,
    /// For how long each load submits; for how long it is looked at what is steady, where shards move.
    pub(crate) load_time: Duration,
    /// For how long each loop of the disk runs.
    pub(crate) disk_time: Duration,
    /// Tasks that are submitted one at a time.
    pub(crate) idle_tasks: usize,
    /// Whether a task is looked at without pauses until it has succeeded.
    pub(crate) is_tight: bool,
    /// Agents that each node runs at once.
    pub(crate) capacity: u16,
    pub(crate) shards: u32,
    /// How often a node is drained and taken back.
    pub(crate) rounds: usize,
    /// Shards that a `rebalance` moves at once, unless it is what it does by itself.
    pub(crate) parallel: Option<u16>,
    /// Tasks that all clients together submit in a second while shards move; as many as they can unless given.
    pub(crate) rate: Option<u32>,
    /// Disks that have a task before it is acknowledged.
    pub(crate) copies: u8,
    /// Where the folder of the nodes is made; the system's folder for temporary files unless given.
    pub(crate) folder: Option<PathBuf>,
}

impl Options {
    /// Nothing where it cannot be understood.
    pub(crate) fn of<'a>(arguments: impl Iterator<Item = &'a str> + Clone) -> Option<Self> {
        let given = |wanted: &str| arguments.clone().any(|argument| argument == wanted);
        let mut options = match (given("moves"), given("--quick")) {
            (false, false) => Self::whole(),
            (false, true) => Self::quick(),
            (true, is_quick) => Self::moves(is_quick),
        };
        let mut arguments = arguments.filter(|argument| !["moves", "--quick"].contains(argument));
        while let Some(argument) = arguments.next() {
            match argument {
                "--json" => options.json = true,
                "--tight" => options.is_tight = true,
                "--clients" => options.clients = list(arguments.next()?)?,
                "--seconds" => options.load_time = Duration::from_secs(number(arguments.next()?, 1, 3_600)?),
                "--idle" => options.idle_tasks = number(arguments.next()?, 1, 100_000)? as usize,
                "--capacity" => options.capacity = number(arguments.next()?, 1, 256)? as u16,
                "--shards" => options.shards = number(arguments.next()?, 1, 256)? as u32,
                "--copies" => options.copies = number(arguments.next()?, 2, 3)? as u8,
                "--rounds" => options.rounds = number(arguments.next()?, 0, 100)? as usize,
                "--parallel" => options.parallel = Some(number(arguments.next()?, 1, 64)? as u16),
                "--rate" => options.rate = Some(number(arguments.next()?, 1, 100_000)? as u32),
                "--dir" => options.folder = Some(arguments.next()?.into()),
                _ => return None,
            }
        }
        Some(options)
    }

    /// What `relaymesh node` and `relaymesh dev` do by default: four agents at once on each node, four shards.
    fn whole() -> Self {
        Self {
            is_moves: false,
            json: false,
            clients: vec![1, 8, 32, 128],
            load_time: Duration::from_secs(10),
            disk_time: Duration::from_secs(3),
            idle_tasks: 300,
            is_tight: false,
            capacity: 4,
            shards: 4,
            rounds: 3,
            parallel: None,
            rate: None,
            copies: 3,
            folder: None,
        }
    }

    /// Agents enough that none waits for one: what is completed is then what is submitted, and nothing piles up.
    fn moves(is_quick: bool) -> Self {
        Self {
            is_moves: true,
            clients: vec![16],
            load_time: Duration::from_secs(if is_quick { 5 } else { 20 }),
            disk_time: Duration::from_millis(if is_quick { 500 } else { 3_000 }),
            capacity: 64,
            shards: 16,
            rounds: if is_quick { 1 } else { 3 },
            ..Self::whole()
        }
    }

    fn quick() -> Self {
        Self {
            clients: vec![1, 32],
            load_time: Duration::from_secs(2),
            disk_time: Duration::from_millis(500),
            idle_tasks: 30,
            ..Self::whole()
        }
    }
}

fn number(text: &str, min: u64, max: u64) -> Option<u64> {
    text.parse().ok().filter(|number| (min..=max).contains(number))
}

fn list(text: &str) -> Option<Vec<usize>> {
    text.split(',').map(|part| number(part, 1, 1_024).map(|number| number as usize)).collect()
}
