//! The control group on several nodes at once, in one process: who holds what, by true time.

mod random;
mod recovering;
mod stories;
mod versions;
mod watch;
mod world;
