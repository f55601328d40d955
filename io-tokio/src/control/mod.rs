//! How the command line asks a running node: a Unix socket in the node's folder, its owner's alone.
//!
//! Frames as between nodes: four bytes of length, then one byte that says what follows.
//!
//! | kind | to the node | kind | from the node |
//! | --- | --- | --- | --- |
//! | 1 | a request: version, body | 1 | the reply: version, body |
//! | 2 | a key to install: its text | 2 | the key was installed: its id |
//! | | | 3 | it was not: a code, and words for people |
//!
//! A key has a frame of its own, so that no secret ever stands in a request. Whoever can open the socket may ask
//! everything: the folder's owner.

mod client;
mod server;
mod wire;

pub use client::{AskError, ask, install_key};
pub use server::ServeError;

pub(crate) use server::{listen, remove, serve};
