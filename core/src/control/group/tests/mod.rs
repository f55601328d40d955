//! Groups in a small world of their own: a network that delays and loses, disks that forget what they did not sync.
//!
//! What must never happen is checked all the time (`watch`); the stories say what must happen.

mod changing;
mod checkpoints;
mod crashing;
mod electing;
mod hostile;
mod random;
mod snapshots;
mod watch;
mod world;
