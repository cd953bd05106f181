//! A bounded number of simulated clusters (`STELE_SIM_SEEDS`, 40), and those that once showed something.
//! The full run is in docs/full-run.md.

use std::process::Command;

/// Seeds that found something: nodes that never took a block again that was certified while their disk was full.
const FOUND: [u64; 3] = [11, 14, 22];

fn simulate(arguments: &[&str]) {
    let done = Command::new(env!("CARGO_BIN_EXE_sim"))
        .args(arguments)
        .output()
        .expect("the simulator runs");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{arguments:?}:\n{said}");
}

#[test]
fn a1_b5_b7_simulated_clusters_hold_together() {
    let seeds = std::env::var("STELE_SIM_SEEDS").unwrap_or_else(|_| "40".to_owned());
    simulate(&["--seeds", &seeds]);
    let run: u64 = seeds.parse().expect("a number of seeds");
    for seed in FOUND.into_iter().filter(|seed| *seed >= run) {
        simulate(&["--seed", &seed.to_string()]);
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    simulate(&["--seeds", "3", "--from", "1000", "--twice"]);
}
