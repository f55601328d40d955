//! What the shard says to others, and hears of them (rule T11).
//!
//! A word is written down with what it follows from, under a number that rises, and stays until it is known to have been
//! taken. Whoever takes remembers the last number of each shard: what comes again, from whichever owner, is taken once. The
//! owner hands the words for one shard over in the order of their numbers, and those for another one independently of it.

use super::At;
use super::tables::Tables;
use crate::replication::blobs::References;
use crate::shards::SHARDS_PER_NAMESPACE_MAX;
use crate::task::answer::{Answer, Refusal};
use crate::task::word::{WORDS_MAX, Word};
use alloc::vec::Vec;

impl Tables {
    /// Says something to another shard, or to this one.
    pub(super) fn post(&mut self, word: Word) {
        self.head.word += 1;
        self.outbox.insert(self.head.word, word);
    }

    /// Another shard says something.
    pub(super) fn take(
        &mut self,
        at: At,
        from: u32,
        words: Vec<(u64, Word)>,
        blobs: &mut References<'_>,
    ) -> Result<Answer, Refusal> {
        if words.len() > WORDS_MAX {
            return Err(Refusal::TooMuch { what: "the number of words".into(), limit: WORDS_MAX as u64 });
        }
        if from >= SHARDS_PER_NAMESPACE_MAX {
            return Err(Refusal::TooMuch {
                what: "the number of a shard".into(),
                limit: u64::from(SHARDS_PER_NAMESPACE_MAX - 1),
            });
        }
        if words.len() > 1 && words.iter().any(|(_, word)| word.stands_alone()) {
            return Err(Refusal::TooMuch { what: "the number of words with a submission".into(), limit: 1 });
        }
        for (number, word) in words {
            if self.taken.get(&from).is_none_or(|taken| *taken < number) {
                self.heard(at, from, word, blobs)?;
                self.taken.insert(from, number);
            }
        }
        Ok(Answer::Done { has_more: false })
    }

    fn heard(&mut self, at: At, from: u32, word: Word, blobs: &mut References<'_>) -> Result<(), Refusal> {
        match word {
            Word::Ask { limit, permit, priority, declared } => {
                self.asked_for(limit, (from, permit), priority, declared);
            }
            Word::Began { limit, permit } => self.has_begun(at, limit, (from, permit)),
            Word::Over { limit, permit, has_begun } => self.is_over(at, limit, (from, permit), has_begun),
            Word::Given { limit, permit, .. } => self.is_given(at, &limit, permit),
            // Where there is no room it waits with whoever says it. It is refused for nothing else: that was checked before.
            Word::Submit(submit) => {
                if let Err(full @ (Refusal::Full { .. } | Refusal::Classes { .. })) = self.submit(at, *submit, blobs) {
                    return Err(full);
                }
            }
        }
        Ok(())
    }

    /// Others have taken these.
    pub(super) fn taken(&mut self, numbers: &[u64]) -> Answer {
        for number in numbers {
            self.outbox.remove(number);
        }
        Answer::Done { has_more: false }
    }
}
