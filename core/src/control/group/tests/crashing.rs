//! Disks and processes: what is said rests on what is durable.
