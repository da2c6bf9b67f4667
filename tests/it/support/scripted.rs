//! An IMAP server in memory, without TLS, whose every answer a test can change: what real servers of other makes say, and
//! what no server should.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A folder.
#[derive(Clone, Default)]
pub struct Mailbox {
    /// What LIST says behind `* LIST `.
    pub listed: Vec<u8>,
    /// By what commands call it.
    pub name: Vec<u8>,
    pub uid_validity: u32,
    /// What SELECT says of UIDNEXT; `None`: the truth.
    pub uid_next: Option<u32>,
    pub mails: Vec<Mail>,
}

/// A message.
#[derive(Clone)]
pub struct Mail {
    pub uid: u32,
    /// As FETCH shows them, with their parentheses.
    pub flags: Vec<u8>,
    pub date: String,
    /// What RFC822.SIZE says; `None`: the truth, `Some("")`: nothing.
    pub size: Option<String>,
    pub body: Vec<u8>,
}

impl Mail {
    pub fn new(uid: u32, name: &str) -> Self {
        let body = format!(
            "From: b@kunde.test\r\nDate: Sun, 1 Feb 2026 10:00:{:02} +0000\r\nMessage-ID: <{name}@kunde.test>\r\n\
             Subject: {name}\r\n\r\nHello {name}\r\n",
            uid % 60
        );
        let date = format!("01-Feb-2026 10:{:02}:{:02} +0000", uid / 60 % 60, uid % 60);
        Self { uid, flags: b"()".to_vec(), date, size: None, body: body.into_bytes() }
    }
}

impl Mailbox {
    /// A folder of a plain name with these messages.
    pub fn new(name: &str, mails: impl IntoIterator<Item = Mail>) -> Self {
        Self {
            listed: format!("(\\HasNoChildren) \"/\" \"{name}\"").into_bytes(),
            name: name.into(),
            uid_validity: 7,
            uid_next: None,
            mails: mails.into_iter().collect(),
        }
    }

    /// A folder that LIST shows so.
    pub fn listed(listed: &[u8], name: &[u8], mails: impl IntoIterator<Item = Mail>) -> Self {
        Self { listed: listed.into(), name: name.into(), ..Self::new("", mails) }
    }

    fn next(&self) -> u32 {
        self.uid_next
            .unwrap_or_else(|| self.mails.iter().map(|mail| mail.uid).max().unwrap_or(0).saturating_add(1))
    }
}

/// What is done with a command that begins with these words.
#[derive(Clone)]
pub struct Rule {
    pub begins: &'static str,
    /// How often; `usize::MAX`: always.
    pub times: usize,
    pub act: Act,
}

#[derive(Clone)]
pub enum Act {
    /// Answered so, `{tag}` filled in, and nothing else.
    Answer(Vec<u8>),
    /// The connection is closed.
    Close,
    /// Nothing is ever said.
    Silence,
    /// These bytes come before what else is said.
    Before(Vec<u8>),
    /// A beginning, then the same bytes so many times, then the end; as much of it as the other side reads.
    Flood { head: Vec<u8>, block: Arc<[u8]>, times: usize },
    /// These bytes one at a time, then the end.
    #[allow(dead_code, reason = "the benches alone send it")]
    Drip(Vec<u8>),
}

/// What a response line becomes.
pub type Change = Box<dyn FnMut(Vec<u8>) -> Vec<u8> + Send>;

/// What a new connection changes.
pub type Arrival = Box<dyn FnMut(&mut State) + Send>;

#[derive(Default)]
pub struct State {
    pub capabilities: String,
    pub folders: Vec<Mailbox>,
    pub rules: Vec<Rule>,
    /// Every response line goes through this.
    pub change: Option<Change>,
    /// Every new connection goes through this before it is greeted.
    pub arrival: Option<Arrival>,
    /// Bytes written so far.
    pub sent: Arc<AtomicU64>,
    /// How often a rule was applied.
    pub applied: usize,
    /// Commands without their tags, with the number of their connection.
    pub commands: Vec<(usize, String)>,
    pub connections: usize,
    idle: Vec<(Vec<u8>, TcpStream)>,
    sessions: Vec<TcpStream>,
}

impl State {
    pub fn folder(&mut self, name: &str) -> &mut Mailbox {
        self.folders.iter_mut().find(|folder| folder.name == name.as_bytes()).unwrap()
    }

    /// How many commands began so.
    pub fn count(&self, begins: &str) -> usize {
        self.commands.iter().filter(|(_, command)| command.starts_with(begins)).count()
    }
}

/// The server; it ends with the process.
#[derive(Clone)]
pub struct Server {
    state: Arc<Mutex<State>>,
    port: u16,
}

impl Server {
    pub fn start(folders: impl IntoIterator<Item = Mailbox>) -> Self {
        let capabilities = String::from("IMAP4rev1 IDLE");
        let folders = folders.into_iter().collect();
        let state = Arc::new(Mutex::new(State { capabilities, folders, ..State::default() }));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { state, port };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (server, stream) = (serving.clone(), stream.unwrap());
                std::thread::spawn(move || {
                    let end = stream.try_clone().unwrap();
                    drop(Session::new(server, stream).run());
                    drop(end.shutdown(std::net::Shutdown::Both));
                });
            }
        });
        server
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn rule(&self, begins: &'static str, times: usize, act: Act) -> &Self {
        self.state().rules.push(Rule { begins, times, act });
        self
    }

    /// Answers a command so, always.
    pub fn answers(&self, begins: &'static str, answer: &str) -> &Self {
        self.rule(begins, usize::MAX, Act::Answer(answer.into()))
    }

    /// Changes what is on the server, and tells whoever waits in IDLE.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let State { idle, folders, .. } = &mut *state;
        idle.retain_mut(|(name, stream)| {
            let count =
                folders.iter().find(|folder| folder.name == *name).map_or(0, |folder| folder.mails.len());
            stream.write_all(format!("* {count} EXISTS\r\n").as_bytes()).is_ok()
        });
    }

    /// Ends every connection.
    pub fn hang_up(&self) {
        for stream in self.state().sessions.drain(..) {
            drop(stream.shutdown(std::net::Shutdown::Both));
        }
    }

    #[allow(dead_code, reason = "the benches alone ask for it")]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// As a mailbox has it.
    pub fn endpoint(&self) -> Value {
        json!({"host": "127.0.0.1", "port": self.port, "security": "none"})
    }
}

struct Session {
    server: Server,
    stream: TcpStream,
    lines: BufReader<TcpStream>,
    number: usize,
    selected: Option<Vec<u8>>,
    sent: Arc<AtomicU64>,
}

impl Session {
    fn new(server: Server, stream: TcpStream) -> Self {
        let lines = BufReader::new(stream.try_clone().unwrap());
        // an answer of several writes does not wait for acknowledgements
        stream.set_nodelay(true).unwrap();
        let (number, sent) = {
            let mut state = server.state();
            state.connections += 1;
            state.sessions.extend(stream.try_clone());
            if let Some(mut arrival) = state.arrival.take() {
                arrival(&mut state);
                state.arrival = Some(arrival);
            }
            (state.connections, Arc::clone(&state.sent))
        };
        Self { server, stream, lines, number, selected: None, sent }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn say(&mut self, line: Vec<u8>) -> std::io::Result<()> {
        let line = match self.server.state().change.as_mut() {
            Some(change) => change(line),
            None => line,
        };
        self.write(&line)
    }

    /// A command with its literals.
    fn command(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut command = Vec::new();
        loop {
            let begin = command.len();
            if self.lines.read_until(b'\n', &mut command)? == 0 {
                return Ok(None);
            }
            let line = String::from_utf8_lossy(&command[begin..]).trim_end().to_owned();
            let size = line.strip_suffix('}').and_then(|line| line.rsplit_once('{')?.1.parse::<usize>().ok());
            let Some(size) = size else { break };
            self.stream.write_all(b"+ more\r\n")?;
            let end = command.len();
            command.resize(end + size, 0);
            self.lines.read_exact(&mut command[end..])?;
        }
        Ok(Some(command.trim_ascii_end().to_vec()))
    }

    fn run(mut self) -> std::io::Result<()> {
        self.say(b"* OK ready\r\n".to_vec())?;
        while let Some(command) = self.command()? {
            let space = command.iter().position(|byte| *byte == b' ').unwrap_or(command.len());
            let tag = String::from_utf8_lossy(&command[..space]).into_owned();
            let command = command.get(space + 1..).unwrap_or_default().to_vec();
            if !self.obey(&tag, &command)? {
                break;
            }
        }
        Ok(())
    }

    fn obey(&mut self, tag: &str, command: &[u8]) -> std::io::Result<bool> {
        let text = String::from_utf8_lossy(command).into_owned();
        let rule = {
            let mut state = self.server.state();
            let shown = if text.starts_with("LOGIN") { String::from("LOGIN") } else { text.clone() };
            state.commands.push((self.number, shown));
            let rule = state.rules.iter_mut().find(|rule| rule.times > 0 && text.starts_with(rule.begins));
            let act = rule.map(|rule| {
                rule.times -= usize::from(rule.times < usize::MAX);
                rule.act.clone()
            });
            state.applied += usize::from(act.is_some());
            act
        };
        match rule {
            Some(Act::Answer(answer)) => {
                let answer = String::from_utf8(answer).map(|text| text.replace("{tag}", tag).into_bytes());
                self.say(answer.unwrap_or_else(|raw| raw.into_bytes()))?;
                return Ok(true);
            }
            Some(Act::Close) => return Ok(false),
            Some(Act::Silence) => {
                // until the other side goes away
                while self.command()?.is_some() {}
                return Ok(false);
            }
            Some(Act::Before(bytes)) => self.write(&bytes)?,
            Some(Act::Flood { head, block, times }) => {
                self.write(&head)?;
                (0..times).try_for_each(|_| self.write(&block))?;
                self.write(format!("{tag} OK done\r\n").as_bytes())?;
                return Ok(true);
            }
            Some(Act::Drip(bytes)) => {
                bytes.chunks(1).try_for_each(|byte| self.write(byte))?;
                self.write(format!("{tag} OK done\r\n").as_bytes())?;
                return Ok(true);
            }
            None => {}
        }
        if text.starts_with("IDLE") {
            return self.idle(tag);
        }
        let end = self.answer(command, &text)?;
        self.say(format!("{tag} {end}\r\n").into_bytes())?;
        Ok(true)
    }

    fn idle(&mut self, tag: &str) -> std::io::Result<bool> {
        self.write(b"+ idling\r\n")?;
        let name = self.selected.clone().unwrap_or_default();
        self.server.state().idle.push((name, self.stream.try_clone()?));
        let done = self.command()?;
        let peer = self.stream.peer_addr()?;
        self.server.state().idle.retain(|(_, stream)| stream.peer_addr().is_ok_and(|other| other != peer));
        self.say(format!("{tag} OK done\r\n").into_bytes())?;
        Ok(done.is_some())
    }

    fn answer(&mut self, command: &[u8], text: &str) -> std::io::Result<&'static str> {
        match text.split(' ').next().unwrap_or_default() {
            "CAPABILITY" => {
                let line = format!("* CAPABILITY {}\r\n", self.server.state().capabilities);
                self.say(line.into_bytes())?;
            }
            "LIST" => {
                let listed: Vec<Vec<u8>> =
                    self.server.state().folders.iter().map(|it| it.listed.clone()).collect();
                for listed in listed {
                    self.say([b"* LIST ", &*listed, b"\r\n"].concat())?;
                }
            }
            verb @ ("SELECT" | "EXAMINE" | "STATUS") => {
                let (name, spelled) = named(&command[verb.len() + 1..]);
                let folder = self.server.state().folders.iter().find(|folder| folder.name == name).cloned();
                let Some(folder) = folder else { return Ok("NO [NONEXISTENT] no such folder") };
                let (count, next, validity) = (folder.mails.len(), folder.next(), folder.uid_validity);
                if verb == "STATUS" {
                    let unseen =
                        folder.mails.iter().filter(|mail| !mail.flags.windows(5).any(|it| it == b"\\Seen"));
                    let counts = format!(
                        " (MESSAGES {count} UIDNEXT {next} UIDVALIDITY {validity} UNSEEN {})\r\n",
                        unseen.count()
                    );
                    self.say([b"* STATUS ", &*spelled, counts.as_bytes()].concat())?;
                    return Ok("OK done");
                }
                self.selected = Some(name);
                for line in [
                    format!("* {count} EXISTS\r\n"),
                    format!("* OK [UIDVALIDITY {validity}] valid\r\n"),
                    format!("* OK [UIDNEXT {next}] next\r\n"),
                ] {
                    self.say(line.into_bytes())?;
                }
            }
            "FETCH" => self.fetch(text.trim_start_matches("FETCH "), false)?,
            "UID" if text.starts_with("UID FETCH ") => self.fetch(&text[10..], true)?,
            "UID" => self.search(&text[11..])?,
            _ => {}
        }
        Ok("OK done")
    }

    fn mails(&self) -> Vec<Mail> {
        let state = self.server.state();
        let folder = state.folders.iter().find(|folder| Some(&folder.name) == self.selected.as_ref());
        folder.map(|folder| folder.mails.clone()).unwrap_or_default()
    }

    fn search(&mut self, what: &str) -> std::io::Result<()> {
        let mails = self.mails();
        let found: Vec<String> = if let Some(id) = what.strip_prefix("HEADER MESSAGE-ID ") {
            let id = id.trim_matches('"');
            mails
                .iter()
                .filter(|mail| String::from_utf8_lossy(&mail.body).contains(id))
                .map(|m| m.uid.to_string())
                .collect()
        } else {
            let wanted = set(what, mails.len() as u32);
            let sequence = |(at, _): &(usize, &Mail)| wanted.contains(&(*at as u32 + 1));
            mails.iter().enumerate().filter(sequence).map(|(_, mail)| mail.uid.to_string()).collect()
        };
        self.say(format!("* SEARCH {}\r\n", found.join(" ")).into_bytes())
    }

    fn fetch(&mut self, what: &str, by_uid: bool) -> std::io::Result<()> {
        let (numbers, items) = what.split_once(' ').unwrap_or((what, "(UID)"));
        let mails = self.mails();
        let last =
            if by_uid { mails.iter().map(|mail| mail.uid).max().unwrap_or(0) } else { mails.len() as u32 };
        let wanted = set(numbers, last);
        for (at, mail) in mails.iter().enumerate() {
            let sequence = at as u32 + 1;
            if wanted.contains(if by_uid { &mail.uid } else { &sequence }) {
                let line = shown(mail, sequence, items);
                self.say(line)?;
            }
        }
        Ok(())
    }
}

/// What FETCH says of a message.
fn shown(mail: &Mail, sequence: u32, items: &str) -> Vec<u8> {
    let mut line = format!("* {sequence} FETCH (UID {}", mail.uid).into_bytes();
    if items.contains("FLAGS") {
        line.extend([b" FLAGS ", &*mail.flags].concat());
    }
    if items.contains("RFC822.SIZE") && mail.size.as_deref() != Some("") {
        let size = mail.size.clone().unwrap_or_else(|| mail.body.len().to_string());
        line.extend(format!(" RFC822.SIZE {size}").into_bytes());
    }
    if items.contains("INTERNALDATE") {
        line.extend(format!(" INTERNALDATE \"{}\"", mail.date).into_bytes());
    }
    if let Some((_, section)) = items.split_once("BODY.PEEK[") {
        let header =
            mail.body.windows(4).position(|it| it == b"\r\n\r\n").map_or(mail.body.len(), |at| at + 4);
        let (name, bytes) = if let Some(piece) = section.strip_prefix("]<") {
            let piece = piece.split('>').next().unwrap();
            let (offset, length) = piece.split_once('.').unwrap();
            let offset: usize = offset.parse().unwrap();
            let end = offset.saturating_add(length.parse().unwrap()).min(mail.body.len());
            (format!("]<{offset}>"), mail.body.get(offset..end).unwrap_or_default())
        } else if section.starts_with(']') {
            (String::from("]"), &*mail.body)
        } else {
            (format!("{}]", section.split(']').next().unwrap()), &mail.body[..header])
        };
        line.extend([format!(" BODY[{name} {{{}}}\r\n", bytes.len()).as_bytes(), bytes].concat());
    }
    line.extend(b")\r\n");
    line
}

/// A folder's name at the beginning of a command's arguments, and how it was spelled.
fn named(text: &[u8]) -> (Vec<u8>, Vec<u8>) {
    if let Some(inner) = text.strip_prefix(b"\"") {
        let (mut name, mut at) = (Vec::new(), 0);
        while let Some(byte) = inner.get(at).filter(|byte| **byte != b'"') {
            at += usize::from(*byte == b'\\');
            name.extend(inner.get(at));
            at += 1;
        }
        return (name, text[..at + 2].to_vec());
    }
    if text.starts_with(b"{") {
        let line = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let size: usize =
            std::str::from_utf8(&text[1..line]).unwrap().trim_end().trim_end_matches('}').parse().unwrap();
        return (text[line..line + size].to_vec(), text[..line + size].to_vec());
    }
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    (text[..end].to_vec(), text[..end].to_vec())
}

/// A set of numbers, as ranges; `*` is the last one.
struct Numbers(Vec<(u32, u32)>);

impl Numbers {
    fn contains(&self, number: &u32) -> bool {
        self.0.iter().any(|(first, last)| (first..=last).contains(&number))
    }
}

fn set(text: &str, last: u32) -> Numbers {
    let number = |text: &str| if text == "*" { last } else { text.parse().unwrap_or(0) };
    let range = |range: &str| {
        let (one, other) = range.split_once(':').unwrap_or((range, range));
        (number(one).min(number(other)), number(one).max(number(other)))
    };
    Numbers(text.split(' ').next().unwrap_or_default().split(',').map(range).collect())
}
