//! Reads what `strace -f -y` wrote of a daemon and checks the order of its writes, syncs and answers:
//! pack written, pack synced, journal written, journal synced, sled written, sled's file synced, then the answer.

use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    PackCreated,
    PackWritten,
    JournalWritten,
    DbWritten,
    /// Of one file or folder.
    Synced,
    /// Of the whole file system.
    AllSynced,
    Asked,
    Answered,
}

/// A call, with the lines on which it began and ended.
#[derive(Debug)]
struct Call {
    kind: Kind,
    file: String,
    begun: usize,
    ended: usize,
}

/// What a trace shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub pack_writes: usize,
    pub journal_writes: usize,
    pub db_writes: usize,
    pub syncs: usize,
    /// Submissions accepted.
    pub answers: usize,
    pub violations: Vec<String>,
}

/// Checks every write and every 202 of a trace that begins with an empty store.
pub fn check(trace: &str) -> Findings {
    let calls = calls(trace);
    let of = |kind: Kind| calls.iter().filter(move |call| call.kind == kind);
    let mut violations = Vec::new();
    for db in of(Kind::DbWritten) {
        demand(&calls, Kind::PackWritten, db, &mut violations);
        demand(&calls, Kind::JournalWritten, db, &mut violations);
        for pack in of(Kind::PackCreated).filter(|pack| pack.ended < db.begun) {
            let named = of(Kind::Synced).any(|sync| {
                is_parent(&sync.file, &pack.file) && sync.begun > pack.ended && sync.ended < db.begun
            });
            let used = of(Kind::PackWritten).any(|write| write.file == pack.file && write.begun < db.begun);
            if used && !named {
                violations.push(format!(
                    "line {}: sled is written before {}'s name is durable",
                    db.begun, pack.file
                ));
            }
        }
    }
    for pack in of(Kind::PackWritten) {
        demand(&calls, Kind::DbWritten, pack, &mut violations);
    }
    for answer in of(Kind::Answered) {
        demand(&calls, Kind::PackWritten, answer, &mut violations);
        demand(&calls, Kind::DbWritten, answer, &mut violations);
        let asked = of(Kind::Asked).rfind(|asked| asked.ended < answer.begun);
        let since = asked.map_or(usize::MAX, |asked| asked.ended);
        let first = |kind: Kind| of(kind).find(|write| write.begun > since && write.ended < answer.begun);
        match [Kind::PackWritten, Kind::JournalWritten, Kind::DbWritten].map(first) {
            [Some(pack), Some(journal), Some(db)] if db.begun < pack.begun.max(journal.begun) => {
                violations.push(format!("line {}: sled is written before pack or journal", db.begun));
            }
            [Some(_), Some(_), Some(_)] => {}
            written => {
                let line = answer.begun;
                violations.push(format!("line {line}: answered, having written {written:?}"));
            }
        }
    }
    Findings {
        pack_writes: of(Kind::PackWritten).count(),
        journal_writes: of(Kind::JournalWritten).count(),
        db_writes: of(Kind::DbWritten).count(),
        syncs: of(Kind::Synced).count() + of(Kind::AllSynced).count(),
        answers: of(Kind::Answered).count(),
        violations,
    }
}

/// Demands that every write of a kind that began before `then` was durable when `then` began.
fn demand(calls: &[Call], kind: Kind, then: &Call, violations: &mut Vec<String>) {
    for write in calls.iter().filter(|call| call.kind == kind && call.begun < then.begun) {
        let durable = calls.iter().any(|sync| {
            let covers =
                sync.kind == Kind::AllSynced || (sync.kind == Kind::Synced && sync.file == write.file);
            covers && sync.begun > write.ended && sync.ended < then.begun
        });
        if !durable {
            let (written, line) = (write.begun, then.begun);
            violations.push(format!(
                "line {line}: {:?} while {} is not durable since line {written}",
                then.kind, write.file
            ));
        }
    }
}

fn is_parent(folder: &str, file: &str) -> bool {
    file.rsplit_once('/').is_some_and(|(parent, _)| parent == folder)
}

/// A system call as `strace` wrote it, with the lines on which it began and ended.
pub struct Line {
    pub begun: usize,
    pub ended: usize,
    /// Microseconds since 1970 at which it began, if the trace has them.
    pub at: Option<u64>,
    pub text: String,
}

/// All calls of a trace in the order of their ends, those cut in two by other threads put together. Those in which the
/// process was killed come last, with the result `?`.
pub fn joined(trace: &str) -> Vec<Line> {
    let mut unfinished: BTreeMap<&str, (usize, Option<u64>, String)> = BTreeMap::new();
    let mut lines = Vec::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let (at, rest) = timed(rest.trim_start());
        if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, (number, at, begin.to_owned()));
        } else if rest.starts_with("<... ") {
            let (Some((begun, at, begin)), Some((_, end))) =
                (unfinished.remove(thread), rest.split_once(" resumed>"))
            else {
                continue;
            };
            lines.push(Line { begun, ended: number, at, text: format!("{begin}{end}") });
        } else {
            lines.push(Line { begun: number, ended: number, at, text: rest.to_owned() });
        }
    }
    let ended = trace.lines().count();
    lines.extend(unfinished.into_values().map(|(begun, at, begin)| Line {
        begun,
        ended,
        at,
        text: format!("{begin}) = ?"),
    }));
    lines
}

/// The instant before a call, and the call.
fn timed(text: &str) -> (Option<u64>, &str) {
    let Some((seconds, rest)) = text.split_once(' ') else { return (None, text) };
    let at = seconds
        .split_once('.')
        .and_then(|(whole, micros)| Some((whole.parse::<u64>().ok()?, micros.parse::<u64>().ok()?)));
    at.map_or((None, text), |(whole, micros)| (Some(whole * 1_000_000 + micros), rest))
}

/// The calls that matter; failed and unfinished ones are none.
fn calls(trace: &str) -> Vec<Call> {
    joined(trace).into_iter().filter_map(|line| call(&line.text, line.begun, line.ended)).collect()
}

fn call(text: &str, begun: usize, ended: usize) -> Option<Call> {
    let (name, arguments) = text.split_once('(')?;
    let (_, result) = text.rsplit_once(" = ")?;
    if result.starts_with(['-', '?']) {
        return None;
    }
    let opened = if name == "openat" { result } else { arguments };
    let file = opened.split_once('<').and_then(|(_, rest)| rest.split_once('>'))?.0;
    let is_pack = file.ends_with(".pack");
    let is_journal = file.ends_with("/journal");
    let is_db = file.ends_with("/state/db");
    let kind = match name {
        "openat" if is_pack && arguments.contains("O_CREAT") => Kind::PackCreated,
        "write" | "writev" | "pwrite64" | "pwritev" if is_pack => Kind::PackWritten,
        "write" | "writev" | "pwrite64" | "pwritev" if is_journal => Kind::JournalWritten,
        "write" | "writev" | "pwrite64" | "pwritev" if is_db => Kind::DbWritten,
        "fdatasync" | "fsync" => Kind::Synced,
        "syncfs" => Kind::AllSynced,
        "recvfrom" | "read"
            if arguments.contains("\"POST /v1/mailboxes/") && arguments.contains("/outbox") =>
        {
            Kind::Asked
        }
        "sendto" | "write" | "writev" if arguments.contains("\"HTTP/1.1 202 ") => Kind::Answered,
        _ => return None,
    };
    Some(Call { kind, file: file.to_owned(), begun, ended })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str =
        r#"9 recvfrom(20<socket:[1]>, "POST /v1/mailboxes/anna/outbox HTTP/"..., 4096, 0, NULL, NULL) = 312"#;
    const CREATED: &str = r#"7 openat(AT_FDCWD</>, "/d/packs/1/1.pack", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 8</d/packs/1/1.pack>"#;
    const NAMED: &str = "7 fsync(9</d/packs/1>) = 0";
    const PACK: &str = r#"7 pwrite64(8</d/packs/1/1.pack>, "STFT"..., 900, 0) = 900"#;
    const PACK_SYNC: &str = "7 fdatasync(8</d/packs/1/1.pack>) = 0";
    const JOURNAL: &str = r#"7 pwrite64(4</d/journal>, "STJ1"..., 300, 20) = 300"#;
    const JOURNAL_SYNC: &str = "7 fdatasync(4</d/journal>) = 0";
    const DB: &str = r#"8 pwrite64(5</d/state/db>, "\1"..., 512, 4096) = 512"#;
    const RANGE: &str = "7 sync_file_range(5</d/state/db>, 0, 8192, 7) = 0";
    const DB_SYNC: &str = "7 fdatasync(6</d/state/db>) = 0";
    const ANSWER: &str =
        r#"9 sendto(20<socket:[1]>, "HTTP/1.1 202 Accepted\r\n"..., 600, MSG_NOSIGNAL, NULL, 0) = 600"#;
    const RIGHT: [&str; 11] =
        [ASKED, CREATED, NAMED, PACK, PACK_SYNC, JOURNAL, JOURNAL_SYNC, DB, RANGE, DB_SYNC, ANSWER];

    fn violations(lines: &[&str]) -> usize {
        check(&lines.join("\n")).violations.len()
    }

    #[test]
    fn the_right_order_has_no_violation() {
        let found = check(&RIGHT.join("\n"));
        let writes = (found.pack_writes, found.journal_writes, found.db_writes);
        assert_eq!((writes, found.syncs, found.answers), ((1, 1, 1), 4, 1));
        assert_eq!(found.violations, Vec::<String>::new());
    }

    #[test]
    fn every_missing_or_late_step_is_one() {
        for missing in [ASKED, NAMED, PACK, PACK_SYNC, JOURNAL, JOURNAL_SYNC, DB, DB_SYNC] {
            let lines: Vec<&str> = RIGHT.into_iter().filter(|line| *line != missing).collect();
            assert!(violations(&lines) > 0, "without {missing}");
        }
        for (early, late) in [
            (DB, PACK_SYNC),
            (DB, JOURNAL_SYNC),
            (ANSWER, DB_SYNC),
            (DB_SYNC, DB),
            (PACK_SYNC, PACK),
            (DB, NAMED),
        ] {
            let mut lines: Vec<&str> = RIGHT.into_iter().filter(|line| *line != early).collect();
            let place = lines.iter().position(|line| *line == late).unwrap();
            lines.insert(place, early);
            assert!(violations(&lines) > 0, "{early} before {late}");
        }
    }

    #[test]
    fn a_batch_is_written_once_and_after_its_pack() {
        let early = [ASKED, CREATED, NAMED, DB, DB_SYNC, PACK, PACK_SYNC, DB, DB_SYNC, ANSWER];
        assert!(violations(&early) > 0);
    }

    #[test]
    fn a_group_ends_with_the_sync_of_sled_before_the_next_begins() {
        let groups = [CREATED, NAMED, PACK, PACK_SYNC, DB, DB_SYNC, PACK, PACK_SYNC, DB, DB_SYNC];
        assert_eq!(violations(&groups), 0);
        let mut open = groups.to_vec();
        open.remove(5);
        assert!(violations(&open) > 0);
    }

    #[test]
    fn a_sync_that_began_before_the_write_ended_or_failed_does_not_count() {
        let begun = "7 fdatasync(6</d/state/db> <unfinished ...>";
        let ended = "7 <... fdatasync resumed>) = 0";
        let head = [ASKED, CREATED, NAMED, PACK, PACK_SYNC, JOURNAL, JOURNAL_SYNC];
        assert_eq!(violations(&[&head[..], &[DB, begun, ended, ANSWER]].concat()), 0);
        assert!(violations(&[&head[..], &[begun, DB, ended, ANSWER]].concat()) > 0);
        assert!(violations(&[&head[..], &[DB, begun, ANSWER, ended]].concat()) > 0);
        let failed = "7 fdatasync(6</d/state/db>) = -1 EIO (Input/output error)";
        assert!(violations(&[&head[..], &[DB, failed, ANSWER]].concat()) > 0);
    }

    #[test]
    fn one_sync_of_the_file_system_serves_for_all_packs() {
        let all = "7 syncfs(8</d/packs/1/1.pack>) = 0";
        assert_eq!(violations(&[CREATED, NAMED, PACK, all, DB, DB_SYNC]), 0);
        assert!(violations(&[CREATED, NAMED, PACK, DB, all, DB_SYNC]) > 0);
    }
}
