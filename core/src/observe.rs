//! Observations: declared once, with fields and unit, and used for metrics, audit records, events and log lines.
//!
//! A machine emits an observation as an action; the shell derives everything else from its [`Descriptor`]. Writing log
//! lines or keeping counters does not belong in `core`.

use crate::identity::NodeId;
use core::fmt;

/// What a declared observation is called and measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Name of the metric, in the exposition format's style.
    pub name: &'static str,
    /// How occurrences add up.
    pub metric: Metric,
    /// Whether it may leave before the disk has caught up.
    pub concern: Concern,
    /// Unit of the value.
    pub unit: Unit,
    /// One sentence for operators.
    pub help: &'static str,
    /// The fields, in order.
    pub fields: &'static [&'static str],
}

/// How occurrences of an observation add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Each occurrence counts one.
    Counter,
    /// The first field is the newest value.
    Gauge,
}

/// What an observation is about, which decides whether the gate holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Shows state that may rest on an unsynced write: held like a reply.
    State,
    /// Shows how the node fares: leaves at once, or a stalled disk would hide itself.
    Health,
}

/// Base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
}

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number in the observation's unit, or a count.
    Number(u64),
    /// A node.
    Node(NodeId),
    /// One of a fixed set of words.
    Word(&'static str),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<NodeId> for Value {
    fn from(node: NodeId) -> Self {
        Self::Node(node)
    }
}

impl From<&'static str> for Value {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Node(node) => write!(f, "{node}"),
            Self::Word(word) => f.write_str(word),
        }
    }
}

/// A set of observations declared with [`observations!`](crate::observations).
pub trait Observe: 'static {
    /// Every observation of the set.
    const ALL: &'static [Descriptor];
    /// What this one is called and measured in.
    fn descriptor(&self) -> &'static Descriptor;
    /// Hands each field to `visit`, in the declared order.
    fn fields(&self, visit: &mut dyn FnMut(&'static str, Value));
}

/// Declares an enum of observations together with their descriptors.
///
/// ```
/// relaymesh_core::observations! {
///     /// What a till may tell.
///     pub enum Till {
///         /// A sale was made.
///         Counter State Count "till_sales_total" => Sold { items: u64 },
///     }
/// }
/// use relaymesh_core::observe::Observe;
/// assert_eq!(Till::Sold { items: 3 }.descriptor().name, "till_sales_total");
/// ```
#[macro_export]
macro_rules! observations {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[doc = $help:literal])+ $metric:ident $concern:ident $unit:ident $id:literal
            => $variant:ident { $($field:ident : $type:ty),* $(,)? }),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name {
            $($(#[doc = $help])+ $variant { $(
                #[doc = concat!("Field `", stringify!($field), "`.")]
                $field: $type
            ),* }),+
        }

        impl $crate::observe::Observe for $name {
            const ALL: &'static [$crate::observe::Descriptor] = &[$($crate::observe::Descriptor {
                name: $id,
                metric: $crate::observe::Metric::$metric,
                concern: $crate::observe::Concern::$concern,
                unit: $crate::observe::Unit::$unit,
                help: concat!($($help),+),
                fields: &[$(stringify!($field)),*],
            }),+];

            fn descriptor(&self) -> &'static $crate::observe::Descriptor {
                #[allow(dead_code)]
                enum Position { $($variant),+ }
                match self {
                    $(Self::$variant { .. } => &Self::ALL[Position::$variant as usize]),+
                }
            }

            fn fields(&self, visit: &mut dyn FnMut(&'static str, $crate::observe::Value)) {
                match self {
                    $(Self::$variant { $($field),* } => { $(visit(stringify!($field), (*$field).into());)* }),+
                }
                let _ = visit;
            }
        }
    };
}
