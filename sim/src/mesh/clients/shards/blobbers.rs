//! Blobs: each client puts one after the other, object by object, has a register refer to it, reads register and blob back,
//! and writes over it now and then. What a blob holds follows from the value that its register has. There are few different
//! ones, so that clients put and refer to the same, also to what is just about to be dropped.
//!
//! In the end each waits until what nothing refers to any more must be gone from every disk.

use super::{Part, Shared, answer, ask};
use crate::streams::{MILLION, Stream};
use crate::subject::{Outcome, Turn};
use crate::time::TrueTime;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::blob::{BlobObject, Manifest, PIECE_BYTES, object};
use relaymesh_core::codec::decode_value;
use relaymesh_core::control::group::wire::Blob;
use relaymesh_core::machine::Chooser;
use relaymesh_core::mesh::{Reply, Request};
use relaymesh_core::replication::registers::{Answer as Told, Command};
use relaymesh_core::shards::host::{Reply as Answer, Request as Question};
use relaymesh_core::time::Duration;

/// The first register that refers to blobs.
const REGISTERS: u64 = 1 << 20;
/// Lengths of blobs, one after the other.
const LENGTHS: [usize; 5] = [1, 900, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 20_000];
/// Share of new things done that write over a blob instead.
const OVERWRITES: u64 = MILLION / 5;
/// Different blobs.
const BLOBS: u64 = 24;
/// Share of references to what may be there still, without its being put.
const GUESSES: u64 = MILLION / 4;
/// A blob that could not be put so often in a row is given up.
const TRIES_MAX: u32 = 12;
/// How long, after the last operation, until what nothing refers to must be gone: the times of grace, of getting and of
/// sweeping, and some.
const SETTLING: Duration = Duration::from_secs(16);

/// The different blobs, each made when it is first needed.
#[derive(Debug, Default)]
pub(in crate::mesh) struct Contents {
    made: BTreeMap<u64, (Manifest, Vec<u8>)>,
}

impl Contents {
    /// The blob of a value.
    pub(in crate::mesh) fn of(&mut self, value: u64) -> &(Manifest, Vec<u8>) {
        self.made.entry(value % BLOBS).or_insert_with_key(|which| {
            let length = LENGTHS[(which % LENGTHS.len() as u64) as usize] as u64;
            let byte = |at: u64| (at / 97).wrapping_add(*which).to_le_bytes()[0] ^ at.to_le_bytes()[0];
            let content: Vec<u8> = (0..length).map(byte).collect();
            let Some(manifest) = Manifest::of(&content) else { unreachable!("there is no empty blob here") };
            (manifest, content)
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Puts(u32),
    Refers,
    Looks,
    Reads(u32),
    Overwrites,
}

#[derive(Debug)]
pub(super) struct Blobber {
    number: u32,
    stream: Stream,
    rest_until: TrueTime,
    value: u64,
    contents: Contents,
    shard: u32,
    step: Step,
    tries: u32,
    /// The blob that each shard's register refers to, by its value.
    holds: BTreeMap<u32, u64>,
    /// Blobs read back since nothing is offered any more.
    is_last_done: bool,
    ends_at: Option<TrueTime>,
}

impl Blobber {
    pub(super) fn new(number: u32, stream: Stream) -> Self {
        Self {
            number,
            stream,
            rest_until: TrueTime(0),
            value: (1 << 62) + (u64::from(number) << 32),
            contents: Contents::default(),
            shard: 0,
            step: Step::Nothing,
            tries: 0,
            holds: BTreeMap::new(),
            is_last_done: false,
            ends_at: None,
        }
    }

    fn begin(&mut self, shared: &Shared) {
        self.shard = shared.some_shard(&mut self.stream);
        let may_overwrite = self.holds.contains_key(&self.shard);
        let is_overwrite = self.stream.happens(OVERWRITES) && may_overwrite;
        // No two values are alike, and each says which blob.
        self.value += BLOBS - self.value % BLOBS + self.stream.below(BLOBS);
        let is_guess = self.stream.happens(GUESSES);
        (self.tries, self.step) = match (is_overwrite, is_guess) {
            (true, _) => (0, Step::Overwrites),
            (false, true) => (0, Step::Refers),
            (false, false) => (0, Step::Puts(0)),
        };
    }

    fn question(&mut self, shared: &Shared) -> Question {
        let (shard, value) = (shared.shard(self.shard), self.value);
        let register = REGISTERS + u64::from(self.number);
        let submit = |command: Command| Blob(command.to_bytes().into_boxed_slice());
        let (manifest, content) = self.contents.of(value);
        let address = manifest.address();
        match self.step {
            Step::Puts(number) => {
                let bytes = Blob(object(manifest, content, number).unwrap_or_default().into_boxed_slice());
                Question::Put { shard, object: BlobObject { address, number }, bytes }
            }
            Step::Refers => {
                Question::Submit { shard, command: submit(Command::Refer { register, value, blob: address }) }
            }
            Step::Reads(number) => Question::Get { shard, object: BlobObject { address, number } },
            Step::Overwrites => Question::Submit { shard, command: submit(Command::Write { register, value }) },
            Step::Looks | Step::Nothing => Question::Read { shard, query: submit(Command::Read { register }) },
        }
    }

    /// What follows from an answer.
    fn next(&mut self, answer: &Answer) -> Step {
        let told = match answer {
            Answer::Done(Blob(bytes)) => decode_value::<Told>(bytes).ok(),
            _ => None,
        };
        match (self.step, answer) {
            (Step::Puts(_), Answer::Wants { object }) => Step::Puts(*object),
            (Step::Puts(_), Answer::Held) => Step::Refers,
            // The time of grace may be over by now.
            (Step::Refers, Answer::Done(_)) if told == Some(Told::NoBlob) => Step::Puts(0),
            (Step::Refers, Answer::Done(_)) => Step::Looks,
            (Step::Looks, Answer::Done(_)) => Step::Reads(0),
            (Step::Reads(number), Answer::Done(_)) => {
                let objects = self.contents.of(self.value).0.objects();
                if number + 1 < objects { Step::Reads(number + 1) } else { Step::Nothing }
            }
            (Step::Overwrites, Answer::Done(_)) => Step::Nothing,
            // Whether it refers to it nobody knows.
            (Step::Refers | Step::Overwrites, _) => Step::Nothing,
            (step, _) => step,
        }
    }
}

impl Part for Blobber {
    fn turn(&mut self, shared: &Shared, now: TrueTime, offering: bool) -> Turn<Request> {
        if self.rest_until > now {
            return Turn::Rest(self.rest_until);
        }
        if self.step == Step::Nothing {
            if !offering && self.is_last_done {
                let ends_at = *self.ends_at.get_or_insert(now + SETTLING);
                return if now < ends_at { Turn::Rest(ends_at) } else { Turn::Done };
            }
            self.begin(shared);
        }
        // One more is put, referred to and read once nothing is offered any more.
        self.is_last_done = !offering;
        ask(shared.some_member(&mut self.stream), self.question(shared), shared.load.timeout.0)
    }

    fn outcome(&mut self, shared: &mut Shared, now: TrueTime, outcome: Outcome<Reply>) {
        self.rest_until = now + self.stream.span(shared.load.think.from, shared.load.think.to);
        let before = self.step;
        if matches!(before, Step::Refers | Step::Overwrites) {
            self.holds.remove(&self.shard);
        }
        self.step = match answer(outcome) {
            Some(answer) => self.next(&answer),
            None if matches!(before, Step::Refers | Step::Overwrites) => Step::Nothing,
            None => before,
        };
        if (before, self.step) == (Step::Refers, Step::Looks) {
            self.holds.insert(self.shard, self.value);
        }
        self.tries = if self.step == before { self.tries + 1 } else { 0 };
        if self.tries > TRIES_MAX {
            self.step = Step::Nothing;
        }
        let is_cut_short = self.step == Step::Nothing && !matches!(before, Step::Reads(_) | Step::Overwrites);
        self.is_last_done &= !is_cut_short;
    }

    fn unanswered(&self, _: &Shared) -> Option<String> {
        let is_over = self.step == Step::Nothing && self.is_last_done && self.ends_at.is_some();
        (!is_over).then(|| format!("a blob: {:?}, {} times in vain", self.step, self.tries))
    }
}
