//! Arranging and reading back mailboxes: what the test does behind the engine's back. It works from a world's
//! folder and ports alone, so that another process can do the same to a running world.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Result, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use super::config::Ports;
use super::entra::state::sha256_hex;
use super::imap::{Imap, encode_utf7, quoted};
use super::process;

/// One message as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Seen {
    pub uid: u32,
    /// Of the raw message, CRLF line ends, in hexadecimal.
    pub sha256: String,
    /// Sorted, without `\Recent`.
    pub flags: Vec<String>,
}

/// Folder → its messages by UID. Folders are named in Unicode.
pub type Snapshot = BTreeMap<String, Vec<Seen>>;

#[derive(Debug, Clone)]
pub struct Mailboxes {
    dir: PathBuf,
    ports: Ports,
}

impl Mailboxes {
    pub fn new(dir: &Path, ports: &Ports) -> Self {
        Self { dir: dir.to_path_buf(), ports: ports.clone() }
    }

    pub fn maildir(&self, user: &str) -> PathBuf {
        self.dir.join("mail").join(user.to_ascii_lowercase()).join("Maildir")
    }

    /// A session with the static password, for whatever has no helper here.
    pub fn imap(&self, user: &str) -> Imap {
        Imap::login(self.ports.imap, user).unwrap()
    }

    /// Delivers into INBOX by LMTP.
    pub fn deliver(&self, user: &str, raw: &[u8]) {
        self.deliver_all(user, &[raw]);
    }

    /// Delivers many over one LMTP session.
    pub fn deliver_all<B: AsRef<[u8]>>(&self, user: &str, messages: &[B]) {
        let mut lmtp = Lmtp::connect(self.ports.lmtp).unwrap();
        for raw in messages {
            lmtp.deliver(user, raw.as_ref()).unwrap();
        }
    }

    /// APPENDs to any folder.
    pub fn append(&self, user: &str, folder: &str, flags: &str, raw: &[u8]) {
        let mut imap = self.imap(user);
        let raw = with_crlf(raw);
        let head = format!("APPEND {} ({flags}) {{{}+}}\r\n", mailbox_name(folder), raw.len());
        imap.command_bytes(&[head.as_bytes(), &raw].concat()).unwrap();
    }

    /// `change` is `+FLAGS`, `-FLAGS` or `FLAGS`.
    pub fn set_flags(&self, user: &str, folder: &str, uid: u32, change: &str, flags: &str) {
        let mut imap = self.selected(user, folder);
        imap.command(&format!("UID STORE {uid} {change} ({flags})")).unwrap();
    }

    pub fn move_message(&self, user: &str, folder: &str, uid: u32, to: &str) {
        let mut imap = self.selected(user, folder);
        imap.command(&format!("UID MOVE {uid} {}", mailbox_name(to))).unwrap();
    }

    pub fn copy_message(&self, user: &str, folder: &str, uid: u32, to: &str) {
        let mut imap = self.selected(user, folder);
        imap.command(&format!("UID COPY {uid} {}", mailbox_name(to))).unwrap();
    }

    /// Sets `\Deleted` and expunges this message alone.
    pub fn delete_message(&self, user: &str, folder: &str, uid: u32) {
        let mut imap = self.selected(user, folder);
        imap.command(&format!("UID STORE {uid} +FLAGS (\\Deleted)")).unwrap();
        imap.command(&format!("UID EXPUNGE {uid}")).unwrap();
    }

    pub fn create_folder(&self, user: &str, folder: &str) {
        let mut imap = self.imap(user);
        imap.command(&format!("CREATE {}", mailbox_name(folder))).unwrap();
        imap.command(&format!("SUBSCRIBE {}", mailbox_name(folder))).unwrap();
    }

    pub fn rename_folder(&self, user: &str, from: &str, to: &str) {
        self.imap(user).command(&format!("RENAME {} {}", mailbox_name(from), mailbox_name(to))).unwrap();
    }

    pub fn delete_folder(&self, user: &str, folder: &str) {
        self.imap(user).command(&format!("DELETE {}", mailbox_name(folder))).unwrap();
    }

    pub fn folders(&self, user: &str) -> Vec<String> {
        self.imap(user).folders().unwrap().iter().map(|name| decode_utf7(name)).collect()
    }

    /// UIDVALIDITY of a folder.
    pub fn uid_validity(&self, user: &str, folder: &str) -> u32 {
        let mut imap = self.imap(user);
        let replies = imap.command(&format!("STATUS {} (UIDVALIDITY)", mailbox_name(folder))).unwrap();
        let text = replies.iter().find_map(|reply| reply.text.split_once("(UIDVALIDITY ")).unwrap().1;
        text.trim_end_matches(')').parse().unwrap()
    }

    /// Gives a folder a higher UIDVALIDITY and its messages new UIDs from 1. Sessions of the user end.
    pub fn bump_uid_validity(&self, user: &str, folder: &str) -> u32 {
        let before = self.uid_validity(user, folder);
        let place = self.folder_path(user, folder);
        let list = place.join("dovecot-uidlist");
        self.kick(user);
        let text = std::fs::read_to_string(&list).unwrap();
        let guid = text.lines().next().and_then(|line| line.split(' ').find(|word| word.starts_with('G')));
        std::fs::write(&list, format!("3 V{} N1 {}\n", before + 1, guid.unwrap_or_default())).unwrap();
        for entry in std::fs::read_dir(&place).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("dovecot.index") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        self.uid_validity(user, folder)
    }

    /// Gives a folder a higher UIDVALIDITY and lets its messages keep their UIDs, under Dovecot's own locks.
    pub fn change_uid_validity(&self, user: &str, folder: &str) {
        let validity = (self.uid_validity(user, folder) + 1).to_string();
        let conf = self.dir.join("dovecot.conf");
        let args = [
            "-c",
            &conf.to_string_lossy(),
            "mailbox",
            "update",
            "-u",
            user,
            "--uid-validity",
            &validity,
            folder,
        ];
        process::run("doveadm", &args).unwrap();
    }

    /// Where the Maildir keeps a folder.
    pub fn folder_path(&self, user: &str, folder: &str) -> PathBuf {
        let maildir = self.maildir(user);
        if folder.eq_ignore_ascii_case("inbox") {
            return maildir;
        }
        maildir.join(format!(".{}", encode_utf7(folder).replace('/', ".")))
    }

    /// Ends a user's sessions; waits until Dovecot no longer lists any.
    pub fn kick(&self, user: &str) {
        let conf = self.dir.join("dovecot.conf");
        let conf = conf.to_string_lossy();
        let _ = process::run("doveadm", &["-c", &conf, "kick", user]);
        process::wait_until(std::time::Duration::from_secs(2), || {
            let who = process::run("doveadm", &["-c", &conf, "-f", "tab", "who", "-1", user]);
            who.is_ok_and(|text| text.lines().filter(|line| line.starts_with(user)).count() == 0)
        });
    }

    /// Every folder's messages.
    pub fn snapshot(&self, user: &str) -> Snapshot {
        let mut imap = self.imap(user);
        let names = imap.folders().unwrap();
        names.iter().map(|name| (decode_utf7(name), list(&mut imap, &quoted(name)))).collect()
    }

    /// One folder's messages.
    pub fn list(&self, user: &str, folder: &str) -> Vec<Seen> {
        list(&mut self.imap(user), &mailbox_name(folder))
    }

    /// The raw message, as sent over IMAP.
    pub fn raw(&self, user: &str, folder: &str, uid: u32) -> Vec<u8> {
        let mut imap = self.imap(user);
        imap.command(&format!("EXAMINE {}", mailbox_name(folder))).unwrap();
        let replies = imap.command(&format!("UID FETCH {uid} (BODY.PEEK[])")).unwrap();
        replies.into_iter().flat_map(|reply| reply.literals).next().expect("such a message")
    }

    fn selected(&self, user: &str, folder: &str) -> Imap {
        let mut imap = self.imap(user);
        imap.command(&format!("SELECT {}", mailbox_name(folder))).unwrap();
        imap
    }
}

fn mailbox_name(folder: &str) -> String {
    quoted(&encode_utf7(folder))
}

fn list(imap: &mut Imap, name: &str) -> Vec<Seen> {
    imap.command(&format!("EXAMINE {name}")).unwrap();
    let replies = imap.command("UID FETCH 1:* (UID FLAGS BODY.PEEK[])").unwrap();
    let mut seen: Vec<Seen> = replies.iter().filter_map(seen).collect();
    seen.sort();
    seen
}

fn seen(reply: &super::imap::Reply) -> Option<Seen> {
    let raw = reply.literals.first()?;
    let uid = reply.text.split_once("UID ")?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    let flags = reply.text.split_once("FLAGS (")?.1.split_once(')')?.0;
    let mut flags: Vec<String> =
        flags.split_whitespace().filter(|flag| *flag != "\\Recent").map(str::to_string).collect();
    flags.sort();
    Some(Seen { uid, sha256: sha256_hex(raw), flags })
}

/// Line ends made CRLF.
pub fn with_crlf(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 40);
    let mut previous = 0;
    for byte in raw {
        if *byte == b'\n' && previous != b'\r' {
            out.push(b'\r');
        }
        out.push(*byte);
        previous = *byte;
    }
    out
}

/// Modified UTF-7 back to Unicode; what is not valid stays as it is.
pub fn decode_utf7(name: &str) -> String {
    use base64::Engine;
    let mut out = String::new();
    let mut rest = name;
    while let Some((plain, tail)) = rest.split_once('&') {
        out.push_str(plain);
        let Some((code, after)) = tail.split_once('-') else { return name.to_string() };
        if code.is_empty() {
            out.push('&');
        } else {
            let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(code.replace(',', "/"));
            let Ok(bytes) = bytes else { return name.to_string() };
            let units: Vec<u16> =
                bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            out.push_str(&String::from_utf16_lossy(&units));
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

struct Lmtp {
    reader: BufReader<TcpStream>,
}

impl Lmtp {
    fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut lmtp = Self { reader: BufReader::new(stream) };
        lmtp.expect("220")?;
        lmtp.say(b"LHLO world.test\r\n", "250")?;
        Ok(lmtp)
    }

    fn deliver(&mut self, user: &str, raw: &[u8]) -> Result<()> {
        self.say(b"MAIL FROM:<sender@kunde.test>\r\n", "250")?;
        self.say(format!("RCPT TO:<{user}>\r\n").as_bytes(), "250")?;
        self.say(b"DATA\r\n", "354")?;
        let mut data = super::smtp::dot_stuffed(&with_crlf(raw));
        data.extend_from_slice(b".\r\n");
        self.say(&data, "250")
    }

    fn say(&mut self, bytes: &[u8], expected: &str) -> Result<()> {
        self.reader.get_mut().write_all(bytes)?;
        self.expect(expected)
    }

    fn expect(&mut self, expected: &str) -> Result<()> {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            if !line.starts_with(expected) {
                return Err(std::io::Error::other(format!("LMTP said {line:?}")));
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}
