//! The rules of a proxy: what to do to bytes, to lines, to connections. Plain data, settable at run time.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Imap,
    Smtp,
}

/// How the client reaches the proxy. Towards the server the proxy uses TLS too, except for `Plain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    ImplicitTls,
    /// SMTP only: the proxy answers the client's STARTTLS itself.
    StartTls,
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    ToClient,
    ToServer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ending {
    /// The stream ends in order.
    #[default]
    Fin,
    /// A reset: SO_LINGER 0.
    Reset,
    /// Nothing more is carried and nothing closed: a dead TCP connection.
    Stall,
}

/// Ends the connection once, then is spent.
#[derive(Debug, Clone)]
pub struct Cut {
    pub direction: Direction,
    pub at: CutAt,
    pub ending: Ending,
}

#[derive(Debug, Clone)]
pub enum CutAt {
    /// After so many bytes of the connection in this direction.
    Bytes(u64),
    /// Behind the n-th occurrence (from 1) of these bytes on the connection.
    Pattern(Vec<u8>, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    #[default]
    Always,
    BeforeLogin,
    AfterLogin,
}

/// Answers a client's command without asking the server. The pattern is a glob over the command without its
/// tag, letters of either case; `$TAG` in the answer is the command's tag.
#[derive(Debug, Clone)]
pub struct Answering {
    pub command: String,
    pub when: When,
    pub answer: String,
    /// None: for ever.
    pub times: Option<u32>,
    /// Commands to let pass first.
    pub skip: u32,
    pub ending: Option<Ending>,
}

impl Answering {
    pub fn new(command: &str, answer: &str) -> Self {
        let (command, answer) = (command.into(), answer.into());
        Self { command, answer, when: When::Always, times: None, skip: 0, ending: None }
    }

    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    pub fn skip(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    pub fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    pub fn ending(self, ending: Ending) -> Self {
        Self { ending: Some(ending), ..self }
    }
}

/// What happens to a server line that matches.
#[derive(Debug, Clone)]
pub enum Edit {
    Before(String),
    After(String),
    Replace(String),
    /// Of the first occurrence of the first text within the line.
    Substitute(String, String),
    Remove,
}

#[derive(Debug, Clone)]
pub struct Editing {
    /// A glob over the line without its line end.
    pub line: String,
    pub edit: Edit,
    pub times: Option<u32>,
    pub ending: Option<Ending>,
}

impl Editing {
    pub fn new(line: &str, edit: Edit) -> Self {
        Self { line: line.into(), edit, times: None, ending: None }
    }

    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    pub fn ending(self, ending: Ending) -> Self {
        Self { ending: Some(ending), ..self }
    }
}

/// Everything one proxy does to its connections.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub cuts: Vec<Cut>,
    /// Bytes per second and direction.
    pub rate: Option<u64>,
    pub delay_ms: Option<u64>,
    /// Only for what goes to the server.
    pub command_delay_ms: Option<u64>,
    /// Largest piece written at once; 1 for single bytes.
    pub chunk: Option<usize>,
    pub answers: Vec<Answering>,
    pub edits: Vec<Editing>,
    /// The CAPABILITY line's atoms before and after login.
    pub capability: Option<(String, String)>,
    pub strip_capability_codes: bool,
    pub refuse: bool,
    pub most_connections: Option<usize>,
    /// Ends the connection in the middle of the next literal, with this line where content should be.
    pub break_next_literal: Option<String>,
    pub exchange: bool,
    /// `RFC822.SIZE` times this.
    pub size_factor: Option<f64>,
}

/// `*` stands for any bytes, `\\*` for a star; letters match in either case.
pub fn glob(pattern: &str, text: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase().replace("\\*", "\u{1}");
    let text = text.to_ascii_lowercase().replace('*', "\u{1}");
    let mut parts: Vec<&str> = pattern.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    if parts.is_empty() {
        return text == last;
    }
    let first = parts.remove(0);
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
