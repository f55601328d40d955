//! The subjects that a scenario can name: the one list of them, and the way from a name to its type.
//!
//! Adding one is a line in the list below and its module in the crate's root.

use crate::subject::Subject;
use relaymesh_core::codec::{Body, BodyVersion};
use relaymesh_core::node::Application;
use serde::{Deserialize, Serialize};

/// Something to be done with a subject that only its scenario names.
pub trait Visit {
    /// What comes of it.
    type Out;
    /// Does it.
    fn visit<S: Subject>(self) -> Self::Out;
}

macro_rules! subjects {
    ($($(#[doc = $help:literal])+ $variant:ident = $name:literal is $subject:ty),+ $(,)?) => {
        /// What a scenario simulates.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum SubjectName {
            #[default]
            $($(#[doc = $help])+ #[serde(rename = $name)] $variant),+
        }

        impl SubjectName {
            /// Every subject.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in scenario files.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        /// Lets `visit` do its work with the subject called `name`.
        pub fn with_subject<V: Visit>(name: SubjectName, visit: V) -> V::Out {
            match name { $(SubjectName::$variant => visit.visit::<$subject>()),+ }
        }
    };
}

// The first one is what a scenario simulates that names none.
subjects! {
    /// The worked example: an echo mesh and journals.
    Example = "example" is crate::example::Example,
    /// The production node.
    Mesh = "mesh" is crate::mesh::Mesh,
}

/// What of a subject scenario files are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The oldest body version that its build understands.
    pub oldest: BodyVersion,
    /// The newest one.
    pub newest: BodyVersion,
    /// The sections of a scenario that are its own.
    pub sections: &'static [&'static str],
}

impl SubjectName {
    /// What scenarios of this subject are held against.
    pub fn terms(self) -> Terms {
        struct TermsOf;
        impl Visit for TermsOf {
            type Out = Terms;
            fn visit<S: Subject>(self) -> Terms {
                type Message<S> = <<S as Subject>::Application as Application>::Message;
                Terms { oldest: Message::<S>::OLDEST, newest: Message::<S>::NEWEST, sections: S::SECTIONS }
            }
        }
        with_subject(self, TermsOf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_is_found_by_its_name_and_has_sections_of_its_own() {
        for name in SubjectName::ALL {
            assert_eq!(toml::Value::try_from(name).unwrap().as_str(), Some(name.name()));
            let others = SubjectName::ALL.iter().filter(|other| *other != name);
            let mut foreign = others.flat_map(|other| other.terms().sections);
            assert!(foreign.all(|section| !name.terms().sections.contains(section)), "{name:?}");
        }
    }
}
