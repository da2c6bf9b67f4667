//! Child processes that end with the world: by name when it is dropped, by parent-death signal when the test
//! process is killed, and by sweeping up whatever still has its working directory inside the world's folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `program` under `setpriv --pdeathsig`, output to `<log>`. Must run on the backstage thread.
    pub fn start(program: &str, args: &[&str], env: &[(&str, &str)], log: &Path) -> std::io::Result<Self> {
        let out = File::create(log)?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--", program])
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            .spawn()?;
        Ok(Self { child })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// TERM, without waiting.
    pub fn ask_to_end(&self) {
        let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM);
    }

    /// TERM, and KILL when that is not heeded within five seconds.
    pub fn stop(&mut self) {
        if self.has_ended() {
            return;
        }
        self.ask_to_end();
        if wait_until(Duration::from_secs(5), || self.has_ended()) {
            return;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Polls `reached` every 10 ms: for what the outside announces by no event.
pub fn wait_until(limit: Duration, mut reached: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if reached() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The processes other than this one that work inside `dir`; chrooted ones are seen by their outer path.
pub fn inhabitants(dir: &Path) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = i32::try_from(std::process::id()).unwrap();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok())
        .filter(|pid| *pid != own && works_in(*pid, dir))
        .collect()
}

fn works_in(pid: i32, dir: &Path) -> bool {
    let at =
        |name: &str| std::fs::read_link(format!("/proc/{pid}/{name}")).unwrap_or_else(|_| PathBuf::new());
    at("cwd").starts_with(dir) || at("root").starts_with(dir)
}

/// Ends the inhabitants of `dir` one by one; false when some outlived it.
pub fn sweep(dir: &Path) -> bool {
    if wait_until(Duration::from_millis(500), || inhabitants(dir).is_empty()) {
        return true;
    }
    for pid in inhabitants(dir) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    wait_until(Duration::from_secs(5), || inhabitants(dir).is_empty())
}

/// Lifts this process' soft limit of open files to the hard one; children inherit it.
pub fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Runs a program to its end and gives its standard output; an error carries its standard error.
pub fn run(program: &str, args: &[&str]) -> std::io::Result<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(std::io::Error::other(format!("{program} {args:?}: {text}")))
}
