//! The thin shell around the machines of `relaymesh-core`: it does what they decide.
//!
//! What belongs here: transports, stores, timers, child processes and the HTTP surface. A branch on the content of a
//! message does not: that would be a decision, and decisions are simulated.

pub mod clock;
