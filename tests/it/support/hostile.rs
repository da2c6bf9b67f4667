//! What hostile servers and senders send: made here for the tests and for the bench.

use super::scripted::{Act, Mail, Mailbox};
use std::sync::Arc;

/// The command that asks for the headers of all messages of a folder.
pub const HEADERS: &str = "UID FETCH 1:* (UID INTERNALDATE BODY.PEEK[HEADER.FIELDS";

/// Folders that cannot be selected: they cost a row each and no visit.
pub fn many_folders(begin: &str, count: usize) -> impl Iterator<Item = Mailbox> {
    (0..count).map(move |number| {
        let name = format!("{begin}{number:05}");
        let listed = format!("(\\Noselect) \"/\" \"{name}\"");
        Mailbox::listed(listed.as_bytes(), name.as_bytes(), [])
    })
}

/// The answer to [`HEADERS`] with a field of 900,000 parameters.
pub fn endless_parameters() -> Act {
    let header = format!("Content-Type: a/b{}\r\n\r\n", continued(900_000));
    let answer = format!(
        "* 1 FETCH (UID 1 INTERNALDATE \"01-Feb-2026 10:00:01 +0000\" BODY[HEADER.FIELDS (DATE)] {{{}}}\r\n{header})\r\n\
         {{tag}} OK done\r\n",
        header.len()
    );
    Act::Answer(answer.into_bytes())
}

/// An answer to LIST of so many bytes that names one folder.
pub fn one_name(bytes: usize) -> Act {
    flood(b"", "* LIST () \"/\" INBOX\r\n", bytes / 21)
}

/// So many lines of a megabyte, before the answer.
pub fn long_lines(count: usize) -> Act {
    Act::Before(long_line().repeat(count).into_bytes())
}

/// A line of 500,000 flags.
pub fn long_line() -> String {
    format!("* 1 FETCH (FLAGS ({}))\r\n", "a ".repeat(500_000))
}

/// A line that is too long, for one byte at a time.
#[allow(dead_code, reason = "the benches alone send it")]
pub fn dripping() -> Vec<u8> {
    format!("* 1 FETCH (FLAGS ({}))\r\n", "a ".repeat(75_000)).into_bytes()
}

/// So many lines while IDLE waits.
pub fn idle_flood(lines: usize) -> Act {
    flood(b"+ idling\r\n", "* OK x\r\n", lines)
}

/// A line so many times, some thousand of them at once.
fn flood(head: &[u8], line: &str, lines: usize) -> Act {
    let together = lines.clamp(1, 4000);
    let block = Arc::from(line.repeat(together).into_bytes());
    Act::Flood { head: head.to_vec(), block, times: lines.div_ceil(together) }
}

/// Parameters of one name that are continued without end (RFC 2231): a parser's time may be quadratic in them.
fn continued(count: usize) -> String {
    (0..count).map(|number| format!(";a*{number}=b")).collect()
}

/// A message that is named so, with this behind its name.
fn crafted(uid: u32, name: &str, rest: &str) -> Mail {
    let body = format!("Subject: {name}\r\nMessage-ID: <{name}@evil.test>\r\n{rest}");
    Mail { body: body.into_bytes(), ..Mail::new(uid, "") }
}

const MULTIPART: &str = "Content-Type: multipart/mixed; boundary=x";

/// A message with a field that is continued without end.
pub fn slow(uid: u32, name: &str) -> Mail {
    crafted(uid, name, &format!("{MULTIPART}{}\r\n\r\n--x--\r\n", continued(100_000)))
}

/// A message of so many parts.
pub fn parts(uid: u32, name: &str, count: usize) -> Mail {
    crafted(uid, name, &format!("{MULTIPART}\r\n\r\n{}", "\r\n--x\r\n\r\n".repeat(count)))
}

/// A message to so many.
pub fn addresses(uid: u32, name: &str, count: usize) -> Mail {
    crafted(uid, name, &format!("To: {}\r\n\r\n", "a,".repeat(count)))
}

/// A message of so many header fields.
pub fn fields(uid: u32, name: &str, count: usize) -> Mail {
    crafted(uid, name, &format!("{}\r\n", "a:\r\n".repeat(count)))
}

/// Messages whose parsing took minutes or memory of many times their size.
pub fn crafted_mails() -> Vec<Mail> {
    let mut mails: Vec<Mail> = (1..5).map(|uid| slow(uid, &format!("slow{uid}"))).collect();
    mails.push(parts(5, "parts", 250_000));
    mails.push(addresses(6, "addresses", 1_200_000));
    mails.push(fields(7, "fields", 600_000));
    mails
}
