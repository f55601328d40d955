//! What is read, what is refused and with which words, and that the two ways in have the same rules.

mod drawn;
mod laws;
mod peers;
mod reading;
mod refusing;
mod resolving;
