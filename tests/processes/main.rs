//! Real processes on real sockets: nodes that are killed, stopped, told to end and started again, as an operator sees
//! them.
//!
//! What a story waits for is looked for again and again; how long that takes does not matter to it, within
//! [`stage::PATIENCE`].

mod control;
mod keys;
mod kills;
mod membership;
mod rounds;
mod shards;
mod stage;
