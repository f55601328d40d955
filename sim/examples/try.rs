use relaymesh_sim::{
    example::Example,
    scenario,
    world::{self, Options},
};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let text = std::fs::read_to_string(&a[1]).unwrap();
    let s = scenario::parse(&text).unwrap_or_else(|e| panic!("{e}"));
    let n: u64 = a[2].parse().unwrap();
    let max: u64 = a.get(3).map_or(u64::MAX, |x| x.parse().unwrap());
    let t = std::time::Instant::now();
    let mut ev = 0;
    for seed in 0..n {
        let r = world::run::<Example>(&s, seed, Options { keep_lines: false, events_max: max });
        ev += r.events;
        if seed == 0 || !r.violations.is_empty() {
            println!("{r:#?}");
        }
        if !r.violations.is_empty() {
            break;
        }
    }
    let e = t.elapsed().as_secs_f64();
    println!("{ev} events in {e:.3}s = {:.0}/s", ev as f64 / e);
}
