//! What can be wrong with a definition, and why an input could not be made.

use super::{
    DEPTH_MAX, INPUT_BYTES_MAX, ITEMS_MAX, JSON_BYTES_MAX, Name, NameError, Origin, Pointer, PointerError, StepIndex,
    TextError,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// Why a definition was refused. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{owner}{problem}", fmt::from_fn(|f| place.map_or(Ok(()), |place| write!(f, "{place}: "))))]
pub struct WorkflowError {
    /// Where in the text, if it came as text and one place is to blame.
    pub place: Option<Place>,
    /// In which step, or in none.
    pub owner: Owner,
    /// What is wrong.
    pub problem: Problem,
}

/// A place in a text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The byte in the line.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What a [`Problem`] is in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The workflow as a whole.
    Workflow,
    /// One of its steps.
    Step {
        /// Which one.
        index: StepIndex,
        /// What it is called, if that much could be read.
        id: Option<Name>,
    },
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workflow => Ok(()),
            Self::Step { id: Some(id), .. } => write!(f, "step `{id}`: "),
            Self::Step { index, id: None } => write!(f, "step number {}: ", index.position() + 1),
        }
    }
}

/// What is wrong with a definition, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text is too long, or would be once everything implied is written down.
    #[error("{bytes} bytes of JSON, where {JSON_BYTES_MAX} are allowed")]
    TooLarge {
        /// How long it is.
        bytes: u64,
    },
    /// The text is not UTF-8.
    #[error("not UTF-8, as JSON has to be")]
    NotUtf8,
    /// The text is not JSON.
    #[error("not JSON: {reason}")]
    Malformed {
        /// In the words of the JSON library.
        reason: Box<str>,
    },
    /// A text has an escape that stands for no character, such as half of a surrogate pair.
    #[error("a text with an escape that stands for no character")]
    BrokenEscape,
    /// There are too many objects and lists around a value.
    #[error("nested deeper than {DEPTH_MAX} objects and lists")]
    TooDeep,
    /// An object has the same key twice.
    #[error("the field `{field}` is there twice")]
    DuplicateField {
        /// The key.
        field: Box<str>,
    },
    /// There is no such field.
    #[error("unknown field `{field}`; known are {}", Quoted(.known))]
    UnknownField {
        /// The key.
        field: Box<str>,
        /// The keys that are allowed there.
        known: &'static [&'static str],
    },
    /// A field is needed.
    #[error("the field `{field}` is missing")]
    MissingField {
        /// The key.
        field: &'static str,
    },
    /// A value is of another kind.
    #[error("`{field}` is {found}, where {expected} is expected")]
    WrongKind {
        /// Which value.
        field: &'static str,
        /// What it is.
        found: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A number is too small or too large.
    #[error("`{field}` is {found}, where {min} to {max} is allowed")]
    OutOfRange {
        /// Which number.
        field: &'static str,
        /// What it is.
        found: u64,
        /// The smallest one allowed.
        min: u64,
        /// The largest one allowed.
        max: u64,
    },
    /// A time is not one of whole milliseconds.
    #[error("`{field}` is not of whole milliseconds")]
    NotWhole {
        /// Which time.
        field: &'static str,
    },
    /// The first wait would be longer than the longest.
    #[error("`baseBackoffMs` is {base}, more than `maxBackoffMs`, which is {max}")]
    BackoffOrder {
        /// The longest wait after the first attempt, in milliseconds.
        base: u64,
        /// The longest wait after any, in milliseconds.
        max: u64,
    },
    /// A name is none.
    #[error("`{field}`: {error}")]
    Name {
        /// What it was meant to name.
        field: &'static str,
        /// What is wrong with it.
        error: NameError,
    },
    /// A text is too long.
    #[error("`{field}`: {error}")]
    Text {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        error: TextError,
    },
    /// A path is none.
    #[error("`path`: {0}")]
    Path(PointerError),
    /// There are too many of something.
    #[error("{count} {what}, where {max} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: u64,
        /// How many are allowed.
        max: u64,
    },
    /// There is nothing to do.
    #[error("no steps, where one is needed at least")]
    NoSteps,
    /// A step has nothing to do.
    #[error("neither `agent` nor `approval`: one of them says what the step does")]
    NothingToDo,
    /// A step has two things to do.
    #[error("both `agent` and `approval`: a step has one of them; make it two steps")]
    TwoThingsToDo,
    /// Approvals have no such field.
    #[error("`{field}` is for steps with an `agent`, not for an `approval`")]
    NotForApproval {
        /// The key.
        field: &'static str,
    },
    /// Two steps are called alike.
    #[error("step number {} is called so too; ids are unique", .other.position() + 1)]
    DuplicateId {
        /// The first one called so.
        other: StepIndex,
    },
    /// A step is called as something else is.
    #[error("`item` and `workflow.input` mean something else in `$from`; call the step otherwise")]
    ReservedId,
    /// There is no step called so.
    #[error("`{field}` names `{id}`, and there is no such step")]
    UnknownStep {
        /// Where it is named.
        field: &'static str,
        /// What it says.
        id: Box<str>,
    },
    /// There is no step with that number.
    #[error("`{field}` names step number {}, and there are {steps}", .index.position() + 1)]
    NoSuchStep {
        /// Where it is named.
        field: &'static str,
        /// The number.
        index: StepIndex,
        /// How many there are.
        steps: u64,
    },
    /// A step waits for itself.
    #[error("`{field}` names the step itself")]
    Itself {
        /// Where it is named.
        field: &'static str,
    },
    /// There is no current item.
    #[error("`item` is used, but the step has no `forEach`")]
    NoItem,
    /// A list does not come from a step.
    #[error("`forEach` takes its list from a step, not from `{from}`")]
    ListNotOfAStep {
        /// What it says instead.
        from: &'static str,
    },
    /// A reference has something else.
    #[error("`{field}` beside `$from`: a reference has `$from` and may have `path`, and nothing else")]
    BesideFrom {
        /// The key.
        field: Box<str>,
    },
    /// Steps wait for one another.
    #[error("steps that wait for one another: {}", Way(.steps))]
    Cycle {
        /// Each waits for the next, and the last one for the first.
        steps: Vec<Name>,
    },
    /// Dependencies are not as they are stored.
    #[error("`dependsOn` is not sorted, or names a step twice")]
    Unsorted,
    /// A dependency is not written down.
    #[error("`dependsOn` lacks step `{id}`, whose output is used")]
    NotDependedOn {
        /// Whose.
        id: Name,
    },
    /// The input is not what its text reads as.
    #[error("`input` is not in the form in which inputs are stored")]
    NotCanonical,
}

struct Quoted<'a>(&'a [&'a str]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, name)| match at {
            0 => write!(f, "`{name}`"),
            _ => write!(f, ", `{name}`"),
        })
    }
}

/// Steps that are shown of a long cycle.
const SHOWN: usize = 16;

struct Way<'a>(&'a [Name]);

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(SHOWN).try_for_each(|name| write!(f, "{name} -> "))?;
        if let more @ 1.. = self.0.len().saturating_sub(SHOWN) {
            write!(f, "({more} more) -> ")?;
        }
        self.0.first().map_or(Ok(()), |name| write!(f, "{name}"))
    }
}

/// Why an input could not be made, or a list not be cut into items. Trying again gives the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// What is referred to was not given.
    #[error("{from} is not there")]
    Missing {
        /// What it was.
        from: Origin,
    },
    /// What is referred to is neither JSON nor text.
    #[error("not UTF-8: such an output can only be an input as a whole, by one reference without `path`")]
    NotText,
    /// A path leads nowhere.
    #[error("there is nothing at `{pointer}`: no `{token}` in {inside}")]
    NoValue {
        /// The path.
        pointer: Pointer,
        /// The first part of it that is not there.
        token: Box<str>,
        /// What it was looked for in.
        inside: &'static str,
    },
    /// What is there is no list.
    #[error("what `forEach` takes from `{pointer}` is {found}, where a list is expected")]
    NotAList {
        /// The path.
        pointer: Pointer,
        /// What is there.
        found: &'static str,
    },
    /// A list is too long.
    #[error("a list of more than {ITEMS_MAX} items; have one item stand for several")]
    TooManyItems,
    /// A list is shorter.
    #[error("item number {index} of a list that is shorter")]
    NoItem {
        /// Counted from 0.
        index: u32,
    },
    /// The text has an escape that stands for no character, so nothing can be put on an agent's input.
    #[error("a text with an escape that stands for no character")]
    BrokenEscape,
    /// Everything together is too long.
    #[error("more than {INPUT_BYTES_MAX} bytes once everything is filled in; refer to less of it with `path`")]
    TooLarge,
}
