//! The same story again and again, measured.

use crate::stage::Mesh;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use relaymesh_core::membership::Status::Dead;
use std::time::{Duration, Instant};

/// Rounds that one mesh lives.
const LIFE: u32 = 5;

/// `cargo test --test processes -- --ignored --nocapture`; `ROUNDS` and `SEED` override how many, and which.
#[tokio::test]
#[ignore = "takes minutes, and prints figures"]
async fn a_hundred_rounds_end_well() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (rounds, seed) = (number("ROUNDS", 100), number("SEED", 1));
    let mut chance = ChaCha8Rng::seed_from_u64(seed.into());
    let (mut joins, mut deaths, mut returns) = (Vec::new(), Vec::new(), Vec::new());
    let mut mesh = Mesh(Vec::new());
    for round in 0..rounds {
        if round % LIFE == 0 {
            drop(mesh);
            let begun = Instant::now();
            mesh = Mesh::of(3).await;
            joins.push(begun.elapsed());
        }
        let victim = (chance.next_u32() % 3) as usize;
        let others: Vec<usize> = (0..3).filter(|at| *at != victim).collect();
        let begun = Instant::now();
        mesh.0[victim].kill();
        mesh.agree(&others, &[(victim, Dead)]).await;
        deaths.push(begun.elapsed());
        let begun = Instant::now();
        mesh.restart(victim).await;
        mesh.all_alive().await;
        returns.push(begun.elapsed());
    }
    println!("{rounds} rounds of three processes, profile local, seed {seed}; milliseconds:");
    for (what, times) in [("join of three", joins), ("kill to dead at both", deaths), ("restart to agreement", returns)]
    {
        println!("{what}: {}", summary(times));
    }
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: usize| times.get((times.len() * part / 100).min(times.len() - 1)).map_or(0, Duration::as_millis);
    format!("median {}, p95 {}, max {} of {}", at(50), at(95), at(100), times.len())
}
