//! What holds for the workspace as a whole: who may depend on whom, what a machine may name, what lies where, and that
//! the lists in `docs/` say what is there.
//!
//! A rule is a function from what was found to the problems in it, so that each is also shown to find something.

mod crates;
mod dependencies;
mod scenarios;
mod sources;
mod tree;

/// Fails with every problem at once.
#[track_caller]
fn none(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n  {}\n", problems.join("\n  "));
}

/// Fails unless exactly one problem was found, and it mentions `word`.
#[track_caller]
fn one(problems: Vec<String>, word: &str) {
    assert!(matches!(&problems[..], [problem] if problem.contains(word)), "expected one about {word}: {problems:?}");
}
