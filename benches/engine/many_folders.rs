//! A first sync of many folders with one message each, beside one folder with as many messages, and beside what the
//! server needs to SELECT each of the folders once.

use crate::child::{EngineRun, engine};
use crate::raw::{Session, floor};
use crate::world::World;
use crate::{USER, commit, median, number, seconds, seed_folder, seed_folders};
use std::time::Instant;

/// The user with one folder.
const ONE: &str = "ben@makler.test";

pub fn run(arguments: &[String]) {
    let folders: usize = number(arguments, "--folders", 1_500);
    let runs: usize = number(arguments, "--runs", 3);
    let world = World::builder().mailbox(USER).mailbox(ONE).without_postfix().start();
    seed_folders(&world, USER, (0..folders).map(name));
    seed_folder(&world.maildir(ONE), 0..folders);
    crate::world::stage::own_by_vmail(&world.dir().join("mail").join(ONE)).unwrap();
    // the server's indexes are made by whoever comes first
    let first = selects(&world, folders, true);
    floor(&world, ONE, folders);
    eprintln!("{folders} folders, {folders} messages; first look at the folders, discarded: {first:.2} s");
    let (mut select, mut fetch, mut one_floor) = (Vec::new(), Vec::new(), Vec::new());
    let (mut many, mut one): (Vec<EngineRun>, Vec<EngineRun>) = (Vec::new(), Vec::new());
    for number in 0..runs {
        select.push(selects(&world, folders, false));
        fetch.push(selects(&world, folders, true));
        one_floor.push(floor(&world, ONE, folders));
        one.push(engine(&world, ONE, folders));
        many.push(engine(&world, USER, folders));
        eprintln!(
            "run {}: {:.2} s, one folder {:.2} s",
            number + 1,
            many[number].seconds,
            one[number].seconds
        );
    }
    println!(
        "{folders} folders with one message each, and one with {folders}; {}, median of {runs}",
        commit()
    );
    println!();
    println!("{:<46} {:>8}", "", "seconds");
    let (select, fetch, one_floor) = (median(&select), median(&fetch), median(&one_floor));
    let (many_seconds, one_seconds) = (median(&seconds(&many)), median(&seconds(&one)));
    for (name, time) in [
        ("server: SELECT of each folder", select),
        ("server: SELECT and FETCH of each folder", fetch),
        ("server: FETCH of the one folder", one_floor),
        ("stafette, one folder (durable)", one_seconds),
        ("stafette, many folders (durable)", many_seconds),
    ] {
        println!("{name:<46} {time:>8.2}");
    }
    println!();
    println!("many folders / one folder                      {:>8.2}", many_seconds / one_seconds);
    println!("many folders / the server's SELECTs            {:>8.2}", many_seconds / select);
    println!("many folders / the server's SELECTs and FETCHes{:>8.2}", many_seconds / fetch);
    let cpu: Vec<f64> = many.iter().map(|run| run.cpu_seconds).collect();
    println!("CPU seconds of stafette, many folders          {:>8.2}", median(&cpu));
}

fn name(number: usize) -> String {
    format!("F{number:04}")
}

/// A bare client that SELECTs each folder once, and may read what is in it; how long that takes.
fn selects(world: &World, folders: usize, fetches: bool) -> f64 {
    let started = Instant::now();
    let mut session = Session::open(world, USER);
    for number in 0..folders {
        session.say(&format!("SELECT {}", name(number)));
        if fetches {
            let read = session.say("UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])");
            assert_eq!(read, 1, "one message in each folder");
        }
    }
    started.elapsed().as_secs_f64()
}
