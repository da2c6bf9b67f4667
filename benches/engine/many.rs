//! Many mailboxes on Dovecot over TLS: their first sync, a restart beside a bare client that logs in to each and waits in
//! IDLE, what an idle one holds, and how long arbiters let wait meanwhile.

mod bare;
pub mod child;

use crate::world::World;
use crate::{commit, median, number, seed_folder};
use child::{Orders, Run};
use std::process::{Command, Stdio};

/// The hidden first argument of the engine's process.
pub const CHILD: &str = "run-many";

/// Messages in each mailbox.
const MESSAGES: usize = 2;

pub fn user(number: usize) -> String {
    format!("m{number:04}@makler.test")
}

pub fn run(arguments: &[String]) {
    let mailboxes: usize = number(arguments, "--mailboxes", 1000);
    let runs: usize = number(arguments, "--runs", 1);
    let world = World::builder().without_postfix().start();
    for number in 0..mailboxes {
        seed_folder(&world.maildir(&user(number)), 0..MESSAGES);
    }
    crate::world::stage::own_by_vmail(&world.dir().join("mail")).unwrap();
    // the server's indexes are made by whoever comes first
    let first = bare::log_in(&world, mailboxes);
    eprintln!("{mailboxes} mailboxes; bare client, discarded: {first:.2} s");
    let none = engine(&world, 0, 0, &tempfile::tempdir().unwrap());
    let (mut bare, mut firsts, mut restarts) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=runs {
        let data = tempfile::tempdir().unwrap();
        firsts.push(engine(&world, mailboxes, 0, &data));
        bare.push(bare::log_in(&world, mailboxes));
        let cursor = firsts.last().map_or(0, |run: &Run| run.cursor);
        restarts.push(engine(&world, mailboxes, cursor, &data));
        bare.push(bare::log_in(&world, mailboxes));
        eprintln!(
            "run {number}: {bare:.2?} s, {:.2} s, {:.2} s",
            firsts[number - 1].seconds,
            restarts[number - 1].seconds
        );
    }
    report(mailboxes, median(&bare), &none, &firsts, &restarts);
}

fn report(mailboxes: usize, bare: f64, none: &Run, firsts: &[Run], restarts: &[Run]) {
    println!("{mailboxes} mailboxes with {MESSAGES} messages each; {}, median of {}", commit(), firsts.len());
    println!("\n{:<40} {:>10} {:>10}", "", "first", "restart");
    let line = |name: &str, of: fn(&Run) -> f64| {
        let of_all = |runs: &[Run]| median(&runs.iter().map(of).collect::<Vec<f64>>());
        println!("{name:<40} {:>10.2} {:>10.2}", of_all(firsts), of_all(restarts));
    };
    line("seconds until all are live", |run| run.seconds);
    line("CPU seconds", |run| run.cpu_seconds);
    line("longest wait for an arbiter, ms", |run| run.lag_ms);
    line("peak, MB", |run| run.peak_kb as f64 * 1024.0 / 1e6);
    line("resident with all idle, MB", |run| run.idle_kb as f64 * 1024.0 / 1e6);
    println!("\nengine without mailboxes, resident, MB   {:>10.2}", none.idle_kb as f64 * 1024.0 / 1e6);
    let per = |runs: &[Run]| {
        let idle: Vec<f64> = runs.iter().map(|run| run.idle_kb as f64 - none.idle_kb as f64).collect();
        median(&idle) / mailboxes as f64
    };
    println!("kB per idle mailbox, after first sync    {:>10.1}", per(firsts));
    println!("kB per idle mailbox, after restart       {:>10.1}", per(restarts));
    let restart = median(&restarts.iter().map(|run| run.seconds).collect::<Vec<f64>>());
    println!("bare client: log in, SELECT, IDLE, s     {bare:>10.2}");
    println!("restart / bare client                    {:>10.2}", restart / bare);
}

/// Runs the engine in a process of its own.
fn engine(world: &World, mailboxes: usize, cursor: u64, data: &tempfile::TempDir) -> Run {
    let orders = Orders {
        data_dir: data.path().to_path_buf(),
        ca: world.ca_pem(),
        imaps_port: world.imaps_port(),
        mailboxes,
        cursor,
    };
    let output = Command::new(std::env::current_exe().unwrap())
        .arg(CHILD)
        .arg(serde_json::to_string(&orders).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "the engine's process failed");
    serde_json::from_slice(&output.stdout).unwrap()
}
