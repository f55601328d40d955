//! Rules of the replica.
