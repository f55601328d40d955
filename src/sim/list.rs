//! `sim list`: which stories there are.

use super::files::{Library, Source};
use crate::error::{Error, Exit};
use crate::output::{Output, Tone, cell, rendered};
use serde::Serialize;
use std::path::Path;

/// Kinds of faults that are named one by one; more than these are counted.
const KINDS_NAMED_MAX: usize = 3;

#[derive(Serialize)]
struct Listed<'a> {
    scenario: &'a str,
    about: &'a str,
    tags: &'a [String],
    nodes: u32,
    swarm: bool,
    faults: Vec<&'static str>,
    file: &'a Path,
}

/// Shows every scenario of the folder.
pub(crate) fn list(library: &Library, output: &Output) -> Result<Exit, Error> {
    let sources = library.all()?;
    let listed: Vec<Listed<'_>> = sources.iter().map(Listed::new).collect();
    if output.is_json() {
        output.json(&listed)?;
        return Ok(Exit::Held);
    }
    let mut table = output.table(&["scenario", "tags", ">nodes", "faults", "about"]);
    for it in &listed {
        table.add_row([
            cell(Tone::Strong, it.scenario),
            cell(Tone::Dim, it.tags.join(", ")),
            cell(Tone::Plain, it.nodes),
            cell(Tone::Plain, it.kinds()),
            cell(Tone::Plain, it.about),
        ]);
    }
    output.print(&rendered(&table))?;
    Ok(Exit::Held)
}

impl<'a> Listed<'a> {
    fn new(source: &'a Source) -> Self {
        let scenario = &source.scenario;
        let mut faults: Vec<&str> = Vec::new();
        for kind in scenario.faults.iter().map(|fault| fault.kind.name()) {
            if !faults.contains(&kind) {
                faults.push(kind);
            }
        }
        Self {
            scenario: &scenario.name,
            about: &scenario.about,
            tags: &scenario.tags,
            nodes: scenario.nodes,
            swarm: scenario.swarm,
            faults,
            file: &source.path,
        }
    }

    fn kinds(&self) -> String {
        match self.faults.len() {
            0 => "none".into(),
            few if few <= KINDS_NAMED_MAX => self.faults.join(", "),
            many if self.swarm => format!("a swarm of {many}"),
            many => format!("{many} kinds"),
        }
    }
}
