//! Power loss and kills at any call: a daemon's calls are recorded, cut at chosen moments, and each disk that a cut may
//! leave is checked and started against what the daemon had acknowledged.
//!
//! `STAFETTE_POWER_IMAGES` makes more of each kind, `STAFETTE_POWER_SEED` others.

mod check;
mod disk;
mod record;
mod scene;

use check::Truth;
use disk::{Cut, Disk, Rest};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use scene::{Acknowledged, Known, Scene, before};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// All that changes files, as `strace` is told.
pub const CALLS: &str = "trace=openat,write,pwrite64,writev,pwritev,pwritev2,lseek,ftruncate,truncate,fallocate,\
                         copy_file_range,fcntl,fsync,fdatasync,sync_file_range,syncfs,rename,renameat,renameat2,\
                         unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink";

/// `STAFETTE_POWER_IMAGES` of each kind; else what keeps the whole suite short.
fn images(usual: usize) -> usize {
    std::env::var("STAFETTE_POWER_IMAGES").ok().map_or(usual, |text| text.parse().unwrap())
}

fn seed() -> u64 {
    std::env::var("STAFETTE_POWER_SEED").ok().map_or(7, |text| text.parse().unwrap())
}

/// In memory where there is such a file system: nothing here depends on a disk that is slow.
fn image_folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// A record, its cuts of one kind, and what is true of it.
struct Campaign<'c> {
    name: &'c str,
    disk: &'c Disk,
    cuts: Vec<&'c Cut>,
    known: &'c Acknowledged,
    truth: &'c Truth,
}

/// An image at which something is wrong.
struct Found {
    what: String,
    violations: Vec<String>,
}

impl Campaign<'_> {
    /// Cuts so many times, at random; what was found wrong.
    fn run(&self, images: usize) -> Vec<Found> {
        assert!(!self.cuts.is_empty(), "{}: nothing to cut", self.name);
        let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(number) =
                        Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < images)
                    {
                        found.lock().unwrap().extend(self.image(number));
                    }
                });
            }
        });
        let found = found.into_inner().unwrap();
        println!("{}: {images} images of {} cuts, {} violated", self.name, self.cuts.len(), found.len());
        found
    }

    fn image(&self, number: usize) -> Option<Found> {
        let mut rng = StdRng::seed_from_u64(seed() ^ (number as u64) << 20);
        let cut = self.cuts[rng.random_range(0..self.cuts.len())];
        let rest = [Rest::Strict, Rest::Ordered, Rest::Ordered, Rest::Killed][number % 4];
        let dir = image_folder();
        self.disk.image(cut, rest, &mut rng, dir.path());
        let violations = self.truth.violations(dir.path(), &before(self.known, cut.at));
        (!violations.is_empty()).then(|| {
            let what = format!("{} {number}: {rest:?} at line {}: {}", self.name, cut.line, cut.call);
            Found { what, violations }
        })
    }
}

fn assert_none(found: &[Found]) {
    for Found { what, violations } in found.iter().take(20) {
        println!("{what}\n  {}", violations.join("\n  "));
    }
    assert!(found.is_empty(), "{} images are violated", found.len());
}

/// A first life that ends in the middle of a commit, and a second one on what it left in the page cache.
fn two_lives(faults: &str) -> (Scene, Disk, usize) {
    let mut scene = Scene::new();
    let mut disk = scene.disk();
    scene.life(&mut disk, &format!("{faults},commit.before_sync=kill@120"), |scene, daemon| {
        scene.begin(daemon);
        scene.work(daemon, 200);
    });
    disk.assert_is(scene.site.data_dir());
    let first = disk.cuts.len();
    scene.life(&mut disk, faults, |scene, daemon| scene.work(daemon, 3));
    disk.assert_is(scene.site.data_dir());
    (scene, disk, first)
}

#[test]
fn what_is_acknowledged_outlives_a_cut_at_any_call() {
    let (scene, disk, first) = two_lives("");
    let known = scene.known.lock().unwrap().clone();
    let truth = Truth::of(scene.site.data_dir());
    truth.assert_has(60, 30, 8);
    let dots = known.iter().filter(|(_, known)| matches!(known, Known::Dot(_))).count();
    println!("{} calls, {} things known, of them {dots} messages sent", disk.cuts.len(), known.len());
    let campaign = |name, cuts: Vec<_>| Campaign { name, disk: &disk, cuts, known: &known, truth: &truth };
    let (before, after) = disk.cuts.split_at(first);
    let snapshot = after.iter().filter(|cut| cut.is_in_snapshot).collect();
    let mut found = campaign("first life", before.iter().collect()).run(images(100));
    found.extend(campaign("second life", after.iter().collect()).run(images(60)));
    found.extend(campaign("snapshot", snapshot).run(images(40)));
    assert_none(&found);
}

#[test]
fn a_daemon_that_leaves_the_syncs_out_loses_what_it_acknowledged() {
    let (scene, disk, first) = two_lives("sync=skip");
    let known = scene.known.lock().unwrap().clone();
    let truth = Truth::of(scene.site.data_dir());
    // when there is something to be lost
    let cuts = disk.cuts[..first].iter().filter(|cut| before(&known, cut.at).len() > 20).collect();
    let found = Campaign { name: "without syncs", disk: &disk, cuts, known: &known, truth: &truth }.run(24);
    assert!(found.len() > 12, "only {} of 24 images are violated", found.len());
}
