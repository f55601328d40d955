//! x
use relaymesh_sim::{
    example::Example,
    scenario,
    world::{self, Options},
};
use std::collections::BTreeMap;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let text = std::fs::read_to_string(&a[1]).unwrap();
    let s = scenario::parse(&text).unwrap_or_else(|e| panic!("{e}"));
    let n: u64 = a[2].parse().unwrap();
    let max: u64 = a.get(3).map_or(u64::MAX, |x| x.parse().unwrap());
    let t = std::time::Instant::now();
    let mut ev = 0;
    let mut f: BTreeMap<String, u64> = BTreeMap::new();
    let mut bad = 0;
    let mut exc = 0;
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..n {
        let r = world::run::<Example>(&s, seed, Options { keep_lines: false, events_max: max });
        ev += r.events;
        exc = exc.max(r.excuses);
        for (k, v) in &r.faults {
            *f.entry(k.clone()).or_default() += v;
        }
        for (k, v) in &r.exercised {
            *f.entry(format!("!{k}")).or_default() += v;
        }
        for (k, v) in &r.events_by_kind {
            *kinds.entry(k).or_default() += v;
        }
        if !r.violations.is_empty() {
            bad += 1;
            println!("seed {seed}: {:?}", r.violations[0]);
        }
    }
    let e = t.elapsed().as_secs_f64();
    println!(
        "{} bad={bad} excuses<={exc} {ev} events in {e:.3}s = {:.0}/s\n   {f:?}\n   {kinds:?}",
        s.name,
        ev as f64 / e
    );
}
