//! Who leads, as one client believes.

use super::Shared;
use crate::streams::Stream;
use relaymesh_core::control::group::Refusal::{Lost, NotLeader};
use relaymesh_core::control::node::{Refusal, Reply as Answer};

/// Who leads, as one client believes. It follows hints, and otherwise tries anybody.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guess(Option<u32>);

impl Guess {
    /// Whom to ask.
    pub(super) fn host(self, shared: &Shared) -> u32 {
        self.0.unwrap_or(shared.voters[0].0)
    }

    /// What an answer says about it.
    pub(super) fn hears(&mut self, shared: &Shared, answer: Option<&Answer>, stream: &mut Stream) {
        let hint = match answer {
            Some(Answer::Refused(Refusal::Group(NotLeader { hint } | Lost { hint }))) => hint,
            Some(Answer::Status(status)) => &status.leader,
            Some(Answer::Refused(_)) | None => &None,
            Some(_) => return,
        };
        let known = hint.and_then(|node| shared.number(node));
        self.0 = Some(known.unwrap_or_else(|| shared.some_voter(stream)));
    }
}
