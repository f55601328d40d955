//! Where a build for the browser gets random numbers from: nowhere.
//!
//! The crate `raft` draws each election timeout from random numbers of the thread, and this wrapper sets its own draw
//! after every step (`clock`). So it does not matter what the crate draws; but the library that it draws from has to be
//! linked, and on this target it has to be told where to look. Any host may run the module: it imports nothing.
#![allow(unsafe_code, reason = "the function is found by its name, which the macro of the library sees to")]

fn zeros(buffer: &mut [u8]) -> Result<(), getrandom::Error> {
    buffer.fill(0);
    Ok(())
}

getrandom::register_custom_getrandom!(zeros);
