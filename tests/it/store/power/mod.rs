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
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
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
    /// Whether the state is lost with the power.
    loses_state: bool,
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
        let work = || {
            while let Some(number) =
                Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < images)
            {
                found.lock().unwrap().extend(self.image(number));
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(work);
            }
        });
        let found = found.into_inner().unwrap();
        println!("{}: {images} images of {} cuts, {} violated", self.name, self.cuts.len(), found.len());
        found
    }

    fn image(&self, number: usize) -> Option<Found> {
        let mut rng = randomness(number);
        let cut = self.cuts[rng.random_range(0..self.cuts.len())];
        let rest = [Rest::Strict, Rest::Ordered, Rest::Ordered, Rest::Killed][number % 4];
        let dir = image_folder();
        self.disk.image(cut, rest, &mut rng, dir.path());
        let known = before(self.known, cut.at);
        let violations = match self.loses_state {
            true => self.truth.violations_without_state(dir.path(), &known),
            false => self.truth.violations(dir.path(), &known),
        };
        (!violations.is_empty()).then(|| {
            let what = format!("{} {number}: {rest:?} at line {}: {}", self.name, cut.line, cut.call);
            Found { what, violations }
        })
    }
}

fn randomness(number: usize) -> StdRng {
    StdRng::seed_from_u64(seed() << 32 | number as u64)
}

fn assert_none(found: &[Found]) {
    for Found { what, violations } in found.iter().take(20) {
        println!("{what}\n  {}", violations.join("\n  "));
    }
    assert!(found.is_empty(), "{} images are violated", found.len());
}

/// What the record must have, and a call that shows it.
const WORK: [(&str, &str); 5] = [
    ("packs are begun", "create packs/"),
    ("packs are removed", "remove packs/"),
    ("the master key is replaced", "rename master.key.new master.key"),
    ("the journal is written anew", "rename journal.new journal"),
    ("sled writes a snapshot", "rename state/snap."),
];

/// A first life that ends in the middle of a commit, and a second one on what it left in the page cache.
struct Lives {
    scene: Scene,
    dir: PathBuf,
    disk: Disk,
    /// How many cuts the first has.
    first: usize,
    /// When the second listened.
    serving: u64,
    known: Acknowledged,
    truth: Truth,
}

impl Lives {
    fn new(faults: &str) -> Self {
        let mut scene = Scene::new();
        let dir = scene.site.data_dir().to_path_buf();
        let mut disk = Disk::of(&dir);
        scene.life((&dir, &mut disk), &format!("{faults},commit.before_sync=kill@120"), |scene, daemon| {
            scene.begin(daemon);
            scene.work(daemon, 200);
        });
        let first = disk.cuts.len();
        let serving = scene.life((&dir, &mut disk), faults, |scene, daemon| scene.work(daemon, 3));
        let known = scene.known.lock().unwrap().clone();
        let truth = Truth::of(&dir);
        truth.assert_has(60, 30, 8);
        println!("{} calls, {} things known", disk.cuts.len(), known.len());
        for (work, call) in WORK {
            let times = disk.cuts.iter().filter(|cut| cut.call.contains(call)).count();
            println!("  {work}: {times}");
            assert!(times > 0, "{work} is not in the record");
        }
        Self { scene, dir, disk, first, serving, known, truth }
    }

    fn campaign<'c>(&'c self, name: &'c str, is_of_it: impl Fn(usize, &Cut) -> bool) -> Campaign<'c> {
        let cuts = self.disk.cuts.iter().enumerate().filter(|(number, cut)| is_of_it(*number, cut));
        let cuts = cuts.map(|(_, cut)| cut).collect();
        let (disk, known, truth) = (&self.disk, &self.known, &self.truth);
        Campaign { name, disk, cuts, known, truth, loses_state: false }
    }

    /// When the mailbox was acknowledged.
    fn begun(&self) -> u64 {
        let made = self.known.iter().find(|(_, known)| matches!(known, Known::Mailbox));
        made.expect("it was made").0
    }
}

#[test]
fn what_is_acknowledged_outlives_a_cut_at_any_call() {
    let lives = Lives::new("");
    let (first, begun, serving) = (lives.first, lives.begun(), lives.serving);
    let mut found = lives.campaign("first start", |_, cut| cut.at < begun).run(images(40));
    found.extend(lives.campaign("first life", |number, _| number < first).run(images(80)));
    let second = lives.campaign("second start", |number, cut| number >= first && cut.at < serving);
    found.extend(second.run(images(50)));
    let snapshot =
        lives.campaign("second start's snapshot", |number, cut| number >= first && cut.is_in_snapshot);
    found.extend(snapshot.run(images(30)));
    found.extend(lives.campaign("second life", |number, _| number >= first).run(images(30)));
    let lost = lives.campaign("state lost", |_, cut| cut.at > begun);
    found.extend(Campaign { loses_state: true, ..lost }.run(images(40)));
    assert_none(&found);
}

#[test]
fn a_start_after_a_cut_may_be_cut_and_so_may_a_rebuild() {
    let mut lives = Lives::new("");
    let (first, begun) = (lives.first, lives.begun());
    let mut found = Vec::new();
    for number in 0..4 {
        let mut rng = randomness(1000 + number);
        let cuts: Vec<&Cut> = lives.disk.cuts[..first].iter().filter(|cut| cut.at > begun).collect();
        let cut = cuts[rng.random_range(0..cuts.len())];
        let rest = [Rest::Ordered, Rest::Strict, Rest::Killed, Rest::Ordered][number];
        let dir = tempfile::tempdir().unwrap();
        lives.disk.image(cut, rest, &mut rng, dir.path());
        let mut disk = Disk::of(dir.path());
        // known from the beginning
        let known = before(&lives.known, cut.at).into_iter().map(|(_, known)| (0, known)).collect();
        *lives.scene.known.lock().unwrap() = known;
        let serving = lives.scene.life((dir.path(), &mut disk), "", |scene, daemon| scene.work(daemon, 1));
        let known = lives.scene.known.lock().unwrap().clone();
        assert_sent_once(&known);
        let truth = Truth::of(dir.path());
        let campaign = |name, cuts| Campaign {
            name,
            disk: &disk,
            cuts,
            known: &known,
            truth: &truth,
            loses_state: false,
        };
        let start = disk.cuts.iter().filter(|cut| cut.at < serving).collect();
        found.extend(campaign("start after a cut", start).run(images(20)));
        let snapshot: Vec<&Cut> = disk.cuts.iter().filter(|cut| cut.is_in_snapshot).collect();
        found.extend(campaign("its snapshot", snapshot).run(images(12)));
    }
    let mut disk = Disk::of(&lives.dir);
    lives.scene.rebuild(&lives.dir, &mut disk);
    let (known, truth) = (&lives.known, &lives.truth);
    let cuts = disk.cuts.iter().collect();
    let rebuild = Campaign { name: "rebuild", disk: &disk, cuts, known, truth, loses_state: false };
    found.extend(rebuild.run(images(30)));
    assert_none(&found);
}

/// Whether the final dot of each message arrived once at most.
fn assert_sent_once(known: &Acknowledged) {
    let mut sent = BTreeSet::new();
    for (_, known) in known {
        if let Known::Dot(id) = known {
            assert!(sent.insert(id), "{id} was sent twice");
        }
    }
}

#[test]
fn a_daemon_that_leaves_the_syncs_out_loses_what_it_acknowledged() {
    let lives = Lives::new("sync=skip");
    // when there is something to be lost
    let much = |cut: &Cut| before(&lives.known, cut.at).len() > 20;
    let found = lives.campaign("without syncs", |number, cut| number < lives.first && much(cut)).run(24);
    assert!(found.len() > 12, "only {} of 24 images are violated", found.len());
}
