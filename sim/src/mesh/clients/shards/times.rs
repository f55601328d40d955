//! Drawn instants at which a part does something, one after the other.

use crate::streams::Stream;
use crate::time::TrueTime;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use relaymesh_core::time::Duration;

/// Those that are to come.
#[derive(Debug)]
pub(super) struct Times(VecDeque<TrueTime>);

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It is time.
    Now,
    /// It is not yet.
    At(TrueTime),
    /// Nothing more.
    Never,
}

impl Times {
    /// So many, between two instants.
    pub(super) fn new(count: u32, (from, to): (Duration, Duration), stream: &mut Stream) -> Self {
        let drawn = |_| TrueTime(0) + stream.span(from.min(to), to);
        let mut times: Vec<TrueTime> = (0..count).map(drawn).collect();
        times.sort_unstable();
        Self(times.into())
    }

    /// Takes the next one, if its time has come. Nothing is begun any more once nothing is offered.
    pub(super) fn next(&mut self, now: TrueTime, offering: bool) -> Due {
        match self.0.front() {
            Some(at) if offering && *at > now => Due::At(*at),
            Some(_) if offering => {
                self.0.pop_front();
                Due::Now
            }
            _ => Due::Never,
        }
    }
}
