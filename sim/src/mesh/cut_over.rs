//! Figures of a cut-over: how far apart shards change owners that are to do so at one set time.
//!
//! Three nodes own all shards, three others join, and a plan gives half of the shards to those at an instant. The switch of a shard
//! is the instant at which its owner stops for good: nothing is acknowledged under its epoch any more, and its successor is all
//! that can go on. When those serve is a matter of the hand-over, and a figure of its own.

use super::checks::Record;
use super::measure::{Experiment, Setting, millis};
use crate::scenario::{Scenario, parse};
use crate::time::TrueTime;
use alloc::format;
use alloc::vec::Vec;
use relaymesh_core::time::Duration;

/// When, in seconds.
const AT: u64 = 40;
/// What switches that much before or after belongs to it.
const EARLY: Duration = Duration::from_secs(6);

/// The scenario of an experiment.
///
/// # Panics
/// When `setting` is not one a scenario can have.
pub(super) fn scenario(experiment: Experiment, setting: Setting) -> Scenario {
    let clocks = match experiment {
        Experiment::CutOver => "offset = \"1ms\"\nrate = \"50ppm\"",
        _ => "offset = \"5s\"\nrate = \"200ppm\"",
    };
    let text = format!(
        "name = \"measure-{}\"\nabout = \"Figures of a cut-over.\"\ntags = [\"measure\"]\nsubject = \"mesh\"\nnodes = 6\n\
         [phases]\nsafety = \"50s\"\nliveness = \"20s\"\n[clocks]\n{clocks}\n\
         [mesh]\nprofile = \"{}\"\nstart = \"0s..500ms\"\nlate = [3, 4, 5]\n\
         [control]\nvoters = 3\nscopes = 0\nactors = 1\nwriters = 0\n\
         [shards]\nshards = 24\ncopies = 3\nclients = 8\nthink = \"5ms..20ms\"\ntimeout = \"2s\"\n\
         [placement]\ncut_over_at = \"{AT}s\"\n\
         [[fault]]\nkind = \"join\"\nnodes = [3, 4, 5]\nat = \"8s\"\n",
        experiment.name(),
        setting.profile,
    );
    match parse(&text) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// What a run has shown: how far apart the first and the last switch were, how long before the set time the first one was, if it
/// was, and how far apart successors served.
pub(super) fn figures(experiment: Experiment, record: &Record) -> Vec<(&'static str, Option<f64>)> {
    let at = TrueTime(0) + Duration::from_secs(AT);
    let ends = |of: &[TrueTime]| {
        let of_it: Vec<TrueTime> = of.iter().filter(|when| **when + EARLY >= at).copied().collect();
        of_it.iter().copied().min().zip(of_it.iter().copied().max()).filter(|_| of_it.len() > 1)
    };
    let (stops, serves) = (ends(&record.stops), ends(&record.serves));
    let apart = |ends: Option<(TrueTime, TrueTime)>| ends.map(|(first, last)| millis(last.since(first)));
    let early = stops.map(|(first, _)| millis(at.since(first)));
    let pause = stops.zip(serves).map(|((first, _), (_, last))| millis(last.since(first)));
    let names = match experiment {
        Experiment::CutOver => {
            ["cut_over_first_to_last", "cut_over_early", "cut_over_served_first_to_last", "cut_over_all"]
        }
        _ => [
            "cut_over_bad_clocks_first_to_last",
            "cut_over_bad_clocks_early",
            "cut_over_bad_clocks_served_first_to_last",
            "cut_over_bad_clocks_all",
        ],
    };
    names.into_iter().zip([apart(stops), early, apart(serves), pause]).collect()
}
