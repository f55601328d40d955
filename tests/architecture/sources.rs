//! What the sources of machines and simulator may name. Clippy finds uses of most of it; this also finds what a macro,
//! a feature or another target would hide from it.

use crate::tree::{files, text};
use crate::{none, one};

/// Names that stand for something machines must not have, and what they have instead.
const FORBIDDEN: &[(&str, &str)] = &[
    ("std::time", "time comes with Ctx"),
    ("Instant::now", "time comes with Ctx"),
    ("SystemTime", "time comes with Ctx"),
    ("std::net", "machines address NodeIds, never sockets"),
    ("std::fs", "files belong to the driver"),
    ("std::thread", "a machine runs on its driver's thread"),
    ("thread_local!", "no state outside the machine"),
    ("std::sync", "state is plain data with one owner"),
    ("std::env", "settings arrive as values"),
    ("std::process", "processes belong to the driver"),
    ("std::io", "input and output belong to the driver"),
    ("tokio::", "the driver is asynchronous, machines are not"),
    ("async fn", "the driver is asynchronous, machines are not"),
    ("tracing::", "emit an observation"),
    ("println!", "emit an observation"),
    ("print!(", "emit an observation"),
    ("dbg!", "emit an observation"),
    ("HashMap", "its order can be seen; use BTreeMap"),
    ("HashSet", "its order can be seen; use BTreeSet"),
    ("OsRng", "draw from the chooser in Ctx"),
    ("SysRng", "draw from the chooser in Ctx"),
    ("ThreadRng", "draw from the chooser in Ctx"),
    ("thread_rng", "draw from the chooser in Ctx"),
    ("getrandom", "draw from the chooser in Ctx"),
    ("extern crate std", "alloc is enough"),
];

/// Tells a library that a dependency links where random numbers come from in a browser: nowhere.
const TELLS_WHERE_TO_LOOK: &str = "core/src/control/group/entropy.rs";

/// Whether a file holds tests only.
pub(crate) fn is_test(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.split('/').any(|part| part == "tests" || part == "benches")
}

/// The text up to an inline module of tests, which by our habit comes last.
pub(crate) fn without_tests(text: &str) -> &str {
    let inline = text.find("#[cfg(test)]\nmod tests {");
    inline.map_or(text, |start| &text[..start])
}

/// The names found outside comments and tests, one problem a line.
fn named(file: &str, text: &str) -> Vec<String> {
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    let lines = without_tests(text).lines().map(code).enumerate();
    lines
        .flat_map(|(row, line)| {
            let found = FORBIDDEN.iter().find(|(name, _)| line.contains(name));
            found.map(|(name, instead)| format!("{file}:{}: `{name}`: {instead}", row + 1))
        })
        .collect()
}

#[test]
fn machines_and_simulator_name_nothing_of_the_outside_world() {
    let pure =
        |file: &String| (file.starts_with("core/src/") || file.starts_with("sim/src/")) && file != TELLS_WHERE_TO_LOOK;
    let sources = files().into_iter().filter(|file| pure(file) && file.ends_with(".rs") && !is_test(file));
    none(sources.flat_map(|file| named(&file, &text(&file).expect("sources are text"))).collect());
}

#[test]
fn every_forbidden_name_is_found_in_code_but_not_in_comments_or_tests() {
    for (name, instead) in FORBIDDEN {
        one(named("a.rs", &format!("fn first() {{}}\n    let x = {name};\n")), "a.rs:2");
        one(named("a.rs", &format!("use {name}; // why not")), instead);
        none(named("a.rs", &format!("/// Not {name}.\nfn f() {{}} // no {name}\n")));
        none(named("a.rs", &format!("fn f() {{}}\n\n#[cfg(test)]\nmod tests {{\n    use {name};\n}}\n")));
    }
}

#[test]
fn machines_and_simulator_do_without_the_standard_library() {
    let attributes = |file: &str| text(file).unwrap();
    assert!(attributes("core/src/lib.rs").lines().any(|line| line == "#![no_std]"));
    // Its unit tests may have it.
    assert!(attributes("sim/src/lib.rs").lines().any(|line| line == "#![cfg_attr(not(test), no_std)]"));
}

#[test]
fn machines_and_simulator_are_linted_by_the_same_list() {
    assert!(text("core/clippy.toml") == text("sim/clippy.toml"), "core/clippy.toml and sim/clippy.toml differ");
}
