//! The scenario parser on stable: over every scenario there is, and over many mutations of them that are the same every
//! time. `tests/fuzz` does the same with coverage for as long as one likes.
#![allow(clippy::disallowed_methods, reason = "a test reads the scenarios from their folder")]

use relaymesh_core::machine::{Chooser, Seeded};
use relaymesh_sim::scenario::{Plan, parse, to_toml};
use relaymesh_sim::streams::Streams;

const MUTATIONS: usize = 3_000;

#[test]
fn any_text_is_refused_with_an_explanation_or_can_be_written_down_again() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert!(texts.len() >= 15);
    texts.iter().for_each(|text| assert!(reads(text)));
    let mut chance = Seeded::new(1, 1);
    let accepted = (0..MUTATIONS).filter(|_| reads(&mutated(&texts, &mut chance))).count();
    assert!(accepted > 0 && accepted < MUTATIONS, "mutations should be neither all good nor all bad: {accepted}");
}

/// Whether the text is a scenario. What is accepted reads back as itself, and a plan can be drawn from it.
fn reads(text: &str) -> bool {
    match parse(text) {
        Ok(scenario) => {
            assert_eq!(parse(&to_toml(&scenario)).as_ref(), Ok(&scenario));
            Plan::draw(&scenario, &mut Streams::new(1));
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

/// A text with a word, a line or a number changed, or spliced with another.
fn mutated(texts: &[String], chance: &mut Seeded) -> String {
    let mut below = |bound: usize| chance.below(bound.max(1) as u64) as usize;
    let mut lines: Vec<String> = texts[below(texts.len())].lines().map(str::to_string).collect();
    for _ in 0..=below(3) {
        if lines.is_empty() {
            break;
        }
        let at = below(lines.len());
        match below(6) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[below(lines.len())].clone()),
            2 => lines.truncate(at + 1),
            3 => lines[at] = lines[at].replace(|c: char| c.is_ascii_digit(), "9999999999"),
            4 => lines[at] = lines[at].replacen('s', "\u{1F980}\"", 1),
            _ => {
                let other: Vec<&str> = texts[below(texts.len())].lines().collect();
                lines[at] = other[below(other.len())].to_string();
            }
        }
    }
    lines.join("\n")
}
