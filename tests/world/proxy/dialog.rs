//! What the rules make of one connection's lines. No I/O here: bytes in, bytes for either side out.

use super::follow::{Follow, Piece};
use super::rules::{Answering, Edit, Editing, Ending, Kind, Rules, When, glob};
use super::{Shared, exchange};

/// What to write where after one read.
#[derive(Default)]
pub struct Output {
    pub to_client: Vec<u8>,
    pub to_server: Vec<u8>,
    pub end: Option<Ending>,
}

pub struct Dialog {
    kind: Kind,
    pub server: Follow,
    client: Follow,
    logged_in: bool,
    /// Tag (IMAP) and command of a sign-in under way.
    signing_in: Option<(String, String)>,
    /// SMTP: between 354 and the final dot.
    data: bool,
    /// The command being received was answered here and is not to reach the server.
    swallow: bool,
    waiting: Vec<String>,
}

impl Dialog {
    pub fn new(kind: Kind) -> Self {
        let literals = kind == Kind::Imap;
        Self {
            kind,
            server: Follow::new(literals),
            client: Follow::new(literals),
            logged_in: false,
            signing_in: None,
            data: false,
            swallow: false,
            waiting: Vec::new(),
        }
    }

    /// Puts a line before the client as soon as no response is under way.
    pub fn inject(&mut self, line: String) -> Vec<u8> {
        self.waiting.push(line);
        self.injections()
    }

    fn injections(&mut self) -> Vec<u8> {
        if !self.server.at_boundary() {
            return Vec::new();
        }
        self.waiting.drain(..).flat_map(|line| format!("{line}\r\n").into_bytes()).collect()
    }

    // --- from the server ---

    pub fn server_sent(&mut self, mut input: &[u8], rules: &mut Rules) -> Output {
        let mut out = Output::default();
        while let Some(piece) = self.server.next(&mut input) {
            match piece {
                Piece::Literal(bytes) => {
                    if self.break_literal(bytes, rules, &mut out) {
                        break;
                    }
                }
                Piece::Line(line) => self.server_line(&line, rules, &mut out),
            }
            if out.end.is_some() {
                break;
            }
            if !self.waiting.is_empty() {
                let lines = self.injections();
                out.to_client.extend_from_slice(&lines);
            }
        }
        out
    }

    fn break_literal(&self, bytes: &[u8], rules: &mut Rules, out: &mut Output) -> bool {
        let Some(line) = rules.break_next_literal.take() else {
            out.to_client.extend_from_slice(bytes);
            return false;
        };
        out.to_client.extend_from_slice(&bytes[..bytes.len() / 2]);
        out.to_client.extend_from_slice(format!("\r\n{line}\r\n").as_bytes());
        out.end = Some(Ending::Fin);
        true
    }

    fn server_line(&mut self, bytes: &[u8], rules: &mut Rules, out: &mut Output) {
        let touched = self.signing_in.is_some()
            || rules.exchange
            || rules.capability.is_some()
            || rules.strip_capability_codes
            || rules.size_factor.is_some()
            || !rules.edits.is_empty()
            || self.kind == Kind::Smtp;
        let text = touched.then(|| std::str::from_utf8(bytes).ok()).flatten();
        let Some(text) = text.and_then(|text| text.strip_suffix("\r\n")) else {
            out.to_client.extend_from_slice(bytes);
            return;
        };
        let line = match self.kind {
            Kind::Imap => self.imap_line(text, rules, out),
            Kind::Smtp => self.smtp_line(text, rules, out),
        };
        if let Some(line) = line {
            edit(&line, &mut rules.edits, out);
        }
    }

    fn imap_line(&mut self, text: &str, rules: &Rules, out: &mut Output) -> Option<String> {
        let mut line = text.to_string();
        if let Some((tag, command)) = self.signing_in.clone() {
            if rules.exchange && line.starts_with("+ ey") {
                out.to_server.extend_from_slice(b"\r\n");
                return None;
            }
            if let Some(result) = line.strip_prefix(&format!("{tag} ")) {
                self.logged_in = result.starts_with("OK");
                self.signing_in = None;
                if rules.exchange {
                    line = exchange::login_result(&line, &command, &tag).unwrap_or(line);
                }
            }
        }
        if rules.strip_capability_codes {
            line = strip_code(&line);
        }
        if let Some((before, after)) = &rules.capability
            && line.starts_with("* CAPABILITY ")
        {
            line = format!("* CAPABILITY {}", if self.logged_in { after } else { before });
        }
        if let Some(factor) = rules.size_factor {
            line = exchange::scale_size(&line, factor);
        }
        Some(line)
    }

    fn smtp_line(&mut self, text: &str, rules: &Rules, out: &mut Output) -> Option<String> {
        if self.signing_in.is_some() {
            if rules.exchange && text.starts_with("334 ey") {
                out.to_server.extend_from_slice(b"\r\n");
                return None;
            }
            if !text.starts_with('3') {
                self.signing_in = None;
                self.logged_in = text.starts_with("235");
                if rules.exchange && text.starts_with("535") {
                    return Some(
                        "535 5.7.3 Authentication unsuccessful [WORLD.eurprd00.prod.outlook.com]".into(),
                    );
                }
            }
        }
        if text.starts_with("354") {
            self.data = true;
        }
        Some(text.to_string())
    }

    // --- from the client ---

    pub fn client_sent(&mut self, mut input: &[u8], shared: &Shared, rules: &mut Rules) -> Output {
        let mut out = Output::default();
        loop {
            let continues = self.client.unfinished;
            let Some(piece) = self.client.next(&mut input) else { return out };
            match piece {
                Piece::Literal(_) if self.swallow => {}
                Piece::Literal(bytes) => out.to_server.extend_from_slice(bytes),
                Piece::Line(line) => self.client_line(&line, continues, shared, rules, &mut out),
            }
            if out.end.is_some() {
                return out;
            }
        }
    }

    fn client_line(
        &mut self,
        line: &[u8],
        continues: bool,
        shared: &Shared,
        rules: &mut Rules,
        out: &mut Output,
    ) {
        if continues {
            if !self.swallow {
                out.to_server.extend_from_slice(line);
            }
            self.swallow &= self.client.unfinished;
            return;
        }
        let text = String::from_utf8_lossy(line).trim_end().to_string();
        if self.data {
            self.data = text != ".";
            out.to_server.extend_from_slice(line);
            return;
        }
        let command = match self.kind {
            Kind::Imap => text.split_once(' '),
            Kind::Smtp => Some(("", text.as_str())),
        };
        let Some((tag, command)) = command.filter(|_| self.signing_in.is_none()) else {
            out.to_server.extend_from_slice(line);
            return;
        };
        shared.commands.lock().unwrap().push(without_credentials(command));
        if let Some(rule) = take_answer(&mut rules.answers, command, self.logged_in) {
            out.to_client.extend_from_slice(format!("{}\r\n", rule.answer.replace("$TAG", tag)).as_bytes());
            out.end = rule.ending;
            // A client that waits for our go-ahead will not send its literal after a refusal.
            self.swallow = self.client.unfinished && text.ends_with("+}");
            if !self.swallow {
                self.client.forget_literal();
            }
            return;
        }
        let upper = command.to_ascii_uppercase();
        if upper.starts_with("AUTHENTICATE ") || upper.starts_with("AUTH ") || upper.starts_with("LOGIN ") {
            self.signing_in = Some((tag.to_string(), command.to_string()));
        }
        out.to_server.extend_from_slice(line);
    }
}

fn take_answer(answers: &mut Vec<Answering>, command: &str, logged_in: bool) -> Option<Answering> {
    let fits = |rule: &Answering| {
        let time = match rule.when {
            When::Always => true,
            When::BeforeLogin => !logged_in,
            When::AfterLogin => logged_in,
        };
        time && glob(&rule.command, command)
    };
    for at in 0..answers.len() {
        let rule = &mut answers[at];
        if !fits(rule) {
            continue;
        }
        if rule.skip > 0 {
            rule.skip -= 1;
            continue;
        }
        let taken = rule.clone();
        if spend(&mut rule.times) {
            answers.remove(at);
        }
        return Some(taken);
    }
    None
}

fn edit(line: &str, edits: &mut Vec<Editing>, out: &mut Output) {
    let Some(at) = edits.iter().position(|rule| glob(&rule.line, line)) else {
        out.to_client.extend_from_slice(format!("{line}\r\n").as_bytes());
        return;
    };
    let rule = edits[at].clone();
    if spend(&mut edits[at].times) {
        edits.remove(at);
    }
    let text = match rule.edit {
        Edit::Before(text) => format!("{text}\r\n{line}\r\n"),
        Edit::After(text) => format!("{line}\r\n{text}\r\n"),
        Edit::Replace(text) => format!("{text}\r\n"),
        Edit::Substitute(from, to) => format!("{}\r\n", line.replacen(&from, &to, 1)),
        Edit::Remove => String::new(),
    };
    out.to_client.extend_from_slice(text.as_bytes());
    out.end = rule.ending;
}

/// Counts a use; true when none is left.
fn spend(times: &mut Option<u32>) -> bool {
    let Some(left) = times else { return false };
    *left = left.saturating_sub(1);
    *left == 0
}

fn strip_code(line: &str) -> String {
    let Some((head, tail)) = line.split_once("[CAPABILITY ") else { return line.to_string() };
    tail.split_once(']').map_or_else(|| line.to_string(), |(_, rest)| format!("{head}{}", rest.trim_start()))
}

fn without_credentials(command: &str) -> String {
    let upper = command.to_ascii_uppercase();
    let keep = match upper.split(' ').next() {
        Some("AUTHENTICATE" | "AUTH") => 2,
        Some("LOGIN") => 1,
        _ => return command.to_string(),
    };
    command.split(' ').take(keep).collect::<Vec<_>>().join(" ")
}
