//! A hostile server beside good mailboxes: what it costs the process in memory, the arbiters in time, and the others in
//! latency.
//!
//! Two runs of the engine, each in a process of its own: alone with the good mailboxes, then with the hostile one, too. There
//! is a good mailbox for each arbiter on Dovecot, and one on a server in memory: Dovecot holds notifications back for
//! up to half a second, which hides what the engine adds; the server in memory does not. The hostile server begins
//! another attack with each connection and ends it when the engine has got over it; waits between connections are
//! shortened to a moment, so that the attack lasts.

pub mod child;
mod good;
mod phase;
mod rows;

use crate::{commit, number};
use good::Good;
use phase::{Phase, Seen};
use rows::{Evil, ROWS, Row};
use std::time::Duration;

/// The hidden first argument of the engine's process.
pub const CHILD: &str = "run-attacked";

/// The bounds: peak memory over the start, an arbiter's answer, the others' latency beside what it is alone.
const PEAK_MB: f64 = 256.0;
const LAG_MS: f64 = 50.0;
const RATIO: f64 = 2.0;

pub fn run(arguments: &[String]) {
    let length = Duration::from_secs(number(arguments, "--seconds", 60));
    let chosen = arguments.iter().position(|text| text == "--row").map(|place| {
        let name = arguments.get(place + 1).expect("--row has a name");
        ROWS.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("rows: {}", rows::names()))
    });
    let runs: Vec<Vec<Row>> = match chosen {
        Some(row) => vec![vec![*row]],
        None if arguments.iter().any(|text| text == "--each") => ROWS.iter().map(|row| vec![*row]).collect(),
        None => vec![ROWS.to_vec()],
    };
    let good = Good::start();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{}, {cores} cores, {} s each", commit(), length.as_secs());
    let alone = phase::measure(&good, None, length);
    for rows in runs {
        let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
        let evil = Evil::start(rows);
        let attacked = phase::measure(&good, Some(&evil), length);
        report(&names.join(", "), &alone, &attacked);
        evil.report();
    }
}

fn report(attack: &str, alone: &Phase, attacked: &Phase) {
    println!("\nattack: {attack}");
    println!("{:<42} {:>9} {:>9} {:>7}", "", "alone", "attacked", "ratio");
    let line = |name: &str, alone: f64, attacked: f64| {
        println!("{name:<42} {alone:>9.1} {attacked:>9.1} {:>7.2}", attacked / alone);
    };
    for (name, of) in
        [("dovecot", Phase::dovecot as fn(&Phase) -> &Seen), ("server in memory", Phase::in_memory)]
    {
        let (alone, attacked) = (of(alone), of(attacked));
        for share in [50, 99, 100] {
            let what = format!("event after delivery, ms, p{share}, {name}");
            line(&what, alone.percentile(share), attacked.percentile(share));
        }
    }
    let (before, after) = (&alone.engine, &attacked.engine);
    line("longest wait for an arbiter, ms", before.lag_ms, after.lag_ms);
    line("CPU seconds of the engine", before.cpu_seconds, after.cpu_seconds);
    line("CPU seconds of servers in this process", alone.own_cpu_seconds, attacked.own_cpu_seconds);
    line("resident with the good mailboxes, MB", before.live_mb(), after.live_mb());
    line("peak over that, MB", before.peak_over_live_mb(), after.peak_over_live_mb());
    line("resident 10 s after the end over that, MB", before.kept_mb(), after.kept_mb());
    let verdict = |name: &str, value: f64, bound: f64| {
        let word = if value <= bound { "holds" } else { "EXCEEDED" };
        println!("{name:<42} {value:>9.1}  (bound {bound:.0}: {word})");
    };
    verdict("peak over the start, MB", after.peak_over_live_mb(), PEAK_MB);
    verdict("longest wait for an arbiter, ms", after.lag_ms, LAG_MS);
    for (name, alone, attacked) in [
        ("p99 / p99 alone, dovecot", alone.dovecot(), attacked.dovecot()),
        ("p99 / p99 alone, server in memory", alone.in_memory(), attacked.in_memory()),
    ] {
        verdict(name, attacked.percentile(99) / alone.percentile(99), RATIO);
    }
}
