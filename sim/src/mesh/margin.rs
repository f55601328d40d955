//! How far clocks may stray: what holds of leases when one clock is wrong by so much, far beyond what ε allows for.
//!
//! One node leads and another one holds every scope; then either clock is wrong, and the holder is cut off, so that nothing
//! but clocks tells it when to stop. Whether two acted at once (LEASE-1) is looked at in one run of each seed, and in
//! another, which goes on where that happens, whether tokens still rise and acceptors still refuse the older one
//! (LEASE-2, LEASE-3).

use super::Mesh;
use crate::scenario::{Scenario, parse};
use crate::world::{Options, World};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use relaymesh_core::lease::Settings;
use relaymesh_core::membership::settings::Profile;
use relaymesh_core::time::Duration;

/// How a clock is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stray {
    /// That of the leader runs too fast: over one time to live it gains so much on the holder's.
    FastLeader,
    /// That of the holder runs too slowly: over one time to live it loses so much.
    SlowHolder,
    /// The wall clocks of all jump by so much, again and again.
    Jump,
    /// The holder's machine sleeps for so long, and its clock does not count that; once in a time to live at most.
    Sleep,
}

impl Stray {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::FastLeader, Self::SlowHolder, Self::Jump, Self::Sleep];

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FastLeader => "fast-leader",
            Self::SlowHolder => "slow-holder",
            Self::Jump => "wall-jump",
            Self::Sleep => "uncounted-sleep",
        }
    }
}

/// Parts of a time to live by which clocks stray, in percent: from nothing to five times as long.
pub const PERCENTS: [u32; 13] = [0, 2, 4, 8, 12, 16, 20, 30, 50, 100, 200, 300, 500];

/// The fastest clock, in percent above the right rate.
const FASTEST: u32 = 90;

/// The time to live and ε of a profile.
pub fn lease(profile: Profile) -> (Duration, Duration) {
    let settings = Settings::from(profile);
    (settings.ttl, settings.epsilon)
}

/// A run in which clocks stray by that part of a time to live. With `goes_on` it does not end where two act at once.
///
/// # Panics
/// Never: every scenario it makes is sound.
pub fn scenario(stray: Stray, percent: u32, profile: Profile, goes_on: bool) -> Scenario {
    let (ttl, _) = lease(profile);
    let amount = Duration::from_nanos(ttl.as_nanos() / 100 * u64::from(percent));
    let rate = |node: u32, percent: f64| {
        format!("[[fault]]\nkind = \"clock_rate\"\nnodes = [{node}]\nat = \"9s\"\nrate = \"{percent:.3}%\"\n")
    };
    // By how many percent a clock must be slower, so that one that is `fast` gains so much on it while it counts a ttl.
    let slower = |fast: f64| 100.0 - (100.0 + fast) * 100.0 / (100.0 + f64::from(percent));
    let wrong = match (stray, percent) {
        (_, 0) => String::new(),
        (Stray::FastLeader, 1..FASTEST) => rate(0, f64::from(percent)),
        // No clock runs twice as fast as it should; the holder's loses what is left.
        (Stray::FastLeader, _) => rate(0, f64::from(FASTEST)) + &rate(1, -slower(f64::from(FASTEST))),
        (Stray::SlowHolder, _) => rate(1, -slower(0.0)),
        (Stray::Jump, _) => format!(
            "[[fault]]\nkind = \"clock_step\"\nnodes = \"all\"\nat = \"9s..39s\"\namount = \"{amount}\"\ntimes = 8\n"
        ),
        (Stray::Sleep, _) => sleeps(ttl, amount),
    };
    let name = Profile::ALL.iter().find(|(_, it)| *it == profile).map_or("lan", |(name, _)| name);
    let text = format!(
        "name = \"margin-{}\"\nabout = \"How far clocks may stray.\"\ntags = [\"measure\"]\nsubject = \"mesh\"\nversion = 1\n\
         nodes = 4\n[phases]\nsafety = \"45s\"\nliveness = \"40s\"\n[mesh]\nprofile = \"{name}\"\nstart = \"0s..500ms\"\n\
         [control]\nvoters = 3\nscopes = 1\nactors = 8\nlate = \"30%\"\npace = \"3ms..30ms\"\n\
         arrange_at = \"5s\"\nleader = 0\nholder = 1\nclocks_stray = {goes_on}\n{wrong}\
         [[fault]]\nkind = \"partition\"\nnodes = [1]\nat = \"10s..38s\"\nlasts = \"1s..5s\"\ntimes = 3\n",
        stray.name(),
    );
    match parse(&text) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// Sleeps of the holder, so far apart that a time to live sees one of them at most: several would add up.
fn sleeps(ttl: Duration, amount: Duration) -> String {
    let (from, until) = (Duration::from_secs(9), Duration::from_secs(39));
    let apart = ttl.saturating_mul(3);
    let starts =
        (0..until.saturating_sub(from).as_nanos() / apart.as_nanos()).map(|number| from + apart.saturating_mul(number));
    let sleep = |at: Duration| {
        format!(
            "[[fault]]\nkind = \"suspend\"\nnodes = [1]\nat = \"{at}..{}\"\nlasts = \"{amount}\"\ncounted = false\n",
            at + ttl
        )
    };
    starts.map(sleep).collect()
}

/// What was broken from one seed.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Of both runs.
    pub broken: Vec<&'static str>,
    /// Of the run that goes on: how often tokens and acceptors were looked at.
    pub looked_at: u64,
}

/// Looks from one seed.
pub fn probe(stray: Stray, percent: u32, profile: Profile, seed: u64) -> Probed {
    let [strict, on] = [false, true].map(|goes_on| {
        let mut world = World::<Mesh>::new(&scenario(stray, percent, profile, goes_on), seed, Options::default());
        world.run();
        world.report()
    });
    let looked_at = ["LEASE-2", "LEASE-3"].iter().filter_map(|name| on.exercised.get(name)).sum();
    let lease_1 = strict.violations.iter().filter(|it| it.invariant == "LEASE-1").take(1);
    // What else a stray clock breaks, such as bounds on times, is not asked here.
    let others = on.violations.iter().filter(|it| ["LEASE-2", "LEASE-3", "CTRL-1"].contains(&it.invariant));
    let mut broken: Vec<_> = lease_1.chain(others).map(|it| it.invariant).collect();
    broken.dedup();
    Probed { broken, looked_at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::FaultKind;

    #[test]
    fn every_scenario_is_sound() {
        for (_, profile) in Profile::ALL {
            for stray in Stray::ALL {
                for percent in PERCENTS {
                    scenario(stray, percent, profile, true);
                }
            }
        }
    }

    #[test]
    fn a_time_to_live_sees_one_sleep() {
        let sleeps = scenario(Stray::Sleep, 8, Profile::Lan, false);
        let (ttl, _) = lease(Profile::Lan);
        let suspends = sleeps.faults.iter().filter(|fault| fault.kind == FaultKind::Suspend);
        let spans: Vec<_> = suspends.map(|fault| (fault.at.from, fault.at.to)).collect();
        assert_eq!(spans.len(), 8);
        assert!(spans.windows(2).all(|pair| pair[0].1 + ttl <= pair[1].0), "{spans:?}");
    }
}
