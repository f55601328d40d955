//! What every fuzz target does with its input.

pub mod bodies;
