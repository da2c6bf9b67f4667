//! From nothing to an authenticated connection: TCP, TLS, greeting, log-in, capabilities.
// there are far more responses than any place uses
#![allow(clippy::wildcard_enum_match_arm)]

use super::decode::{library, short, unreadable};
use super::dialogue::{Dialogue, Heard};
use super::oddities::Oddities;
use super::response::{Response, Status, parse};
use super::wire::{Connection, Stream};
use crate::config::Timing;
use crate::domain::{Endpoint, Secret, Security};
use crate::imap::protocol::ImapError;
use crate::net::{Dialer, LimitingReader, Limits, MaybeTls, ReadAhead};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// What to log in with.
pub enum Credentials {
    /// An access token.
    Token {
        /// The user the server expects.
        user: String,
        /// The token.
        token: Secret,
    },
    /// A password.
    Password {
        /// The user the server expects.
        user: String,
        /// The password.
        password: Secret,
    },
}

pub(in crate::imap) type Client = async_imap::Client<Stream>;

/// Connects and logs in. The log-in counts only after a first good LIST or SELECT: that is the caller's.
pub(in crate::imap) async fn open(
    dialer: &Dialer,
    endpoint: &Endpoint,
    credentials: &Credentials,
    timing: &Timing,
    oddities: &Arc<Oddities>,
) -> Result<Connection, ImapError> {
    dialer.check_security(&endpoint.host, endpoint.security)?;
    let tcp = dialer.connect(&endpoint.host, endpoint.port).await?;
    let client = welcomed(secure(dialer, endpoint, tcp, timing).await?, timing).await?;
    enter(client, credentials, endpoint, timing, oddities).await
}

/// A connection that is protected as configured.
pub(in crate::imap) enum Secured {
    /// The server has not spoken yet.
    Silent(MaybeTls<ReadAhead<TcpStream>>),
    /// It has greeted: STARTTLS comes after that.
    Greeted(Box<Client>),
}

/// Makes a connection as safe as it is configured to be.
pub(in crate::imap) async fn secure(
    dialer: &Dialer,
    endpoint: &Endpoint,
    tcp: TcpStream,
    timing: &Timing,
) -> Result<Secured, ImapError> {
    let tcp = ReadAhead::new(tcp);
    Ok(match endpoint.security {
        Security::Tls => {
            let tls = dialer.tls((&endpoint.host, endpoint.port), tcp).await?;
            Secured::Silent(MaybeTls::Tls(Box::new(tls)))
        }
        Security::None => Secured::Silent(MaybeTls::Plain(tcp)),
        Security::Starttls => {
            let mut plain = greeted(MaybeTls::Plain(tcp), timing.greeting).await?;
            let started = plain.run_command_and_check_ok("STARTTLS", None);
            let started = within("STARTTLS", timing.command, started).await?;
            started.map_err(|error| answered("STARTTLS", &mut plain, error))?;
            let (MaybeTls::Plain(tcp), is_more) = plain.into_inner().into_inner() else {
                return Err(ImapError::Internal(String::from("STARTTLS inside TLS")));
            };
            if is_more {
                // not protected, so it must not be believed: somebody may have put it there (RFC 3501 §6.2.1)
                let detail = String::from("more than its answer, before TLS began");
                return Err(ImapError::Unreadable { what: "STARTTLS", detail });
            }
            let tls = dialer.tls((&endpoint.host, endpoint.port), tcp).await?;
            let tls = MaybeTls::Tls(Box::new(tls));
            Secured::Greeted(Box::new(client(tls)))
        }
    })
}

/// Waits for the greeting, unless it has come.
pub(in crate::imap) async fn welcomed(secured: Secured, timing: &Timing) -> Result<Client, ImapError> {
    match secured {
        Secured::Silent(stream) => greeted(stream, timing.greeting).await,
        Secured::Greeted(client) => Ok(*client),
    }
}

/// Logs in, and learns what the server offers from then on.
pub(in crate::imap) async fn enter(
    client: Client,
    credentials: &Credentials,
    endpoint: &Endpoint,
    timing: &Timing,
    oddities: &Arc<Oddities>,
) -> Result<Connection, ImapError> {
    let session = within("log-in", timing.login, log_in(client, credentials, endpoint)).await??;
    let mut connection = Connection::new(session, timing.clone(), Arc::clone(oddities));
    connection.read_capabilities().await?;
    if connection.offers("ID") {
        connection.identify().await?;
    }
    Ok(connection)
}

pub(in crate::imap) async fn within<T>(
    what: &'static str,
    after: Duration,
    work: impl Future<Output = T>,
) -> Result<T, ImapError> {
    tokio::time::timeout(after, work).await.map_err(|_| ImapError::Timeout { what, after })
}

fn client(stream: MaybeTls<ReadAhead<TcpStream>>) -> Client {
    async_imap::Client::new(Dialogue::new(LimitingReader::new(stream, Limits::default())))
}

async fn greeted(stream: MaybeTls<ReadAhead<TcpStream>>, after: Duration) -> Result<Client, ImapError> {
    const WHAT: &str = "the greeting";
    let mut client = client(stream);
    let greeting = async {
        loop {
            let raw = client.get_mut().response().await.map_err(|error| unreadable(WHAT, &error))?;
            let raw = raw.ok_or(ImapError::Lost { what: WHAT })?;
            match parse(&raw) {
                Response::Condition { status: Status::Ok, .. } => return Ok(()),
                Response::Condition { status: Status::Bye, text } => {
                    return Err(ImapError::Bye { text: short(Some(&text)) });
                }
                Response::Condition { status: Status::PreAuth, .. } => {
                    let why = "the server skips the log-in (PREAUTH): whose mail is it?";
                    return Err(ImapError::Unsupported(String::from(why)));
                }
                _ if raw.bytes.starts_with(b"*") => {}
                _ => {
                    let detail = String::from("not a greeting");
                    return Err(ImapError::Unreadable { what: WHAT, detail });
                }
            }
        }
    };
    within(WHAT, after, greeting).await??;
    Ok(client)
}

/// Why a command of the library's failed, in the server's own words, which the library does not get to see.
fn answered(what: &'static str, client: &mut Client, error: async_imap::error::Error) -> ImapError {
    use async_imap::error::Error;
    let Heard { refusal, bye, .. } = &mut client.get_mut().heard;
    let text = || short(refusal.as_deref());
    match (error, bye) {
        (Error::No(_), _) => ImapError::No { what, text: text() },
        (Error::Bad(_), _) => ImapError::Bad { what, text: text() },
        (_, Some(bye)) => ImapError::Bye { text: short(Some(bye)) },
        (error, None) => library(what, error),
    }
}

async fn log_in(
    mut client: Client,
    credentials: &Credentials,
    endpoint: &Endpoint,
) -> Result<async_imap::Session<Stream>, ImapError> {
    let mechanisms = capabilities(&mut client).await?;
    let offers = |name: &str| mechanisms.iter().any(|offered| offered == name);
    let result = match credentials {
        Credentials::Token { user, token } if offers("AUTH=XOAUTH2") || !offers("AUTH=OAUTHBEARER") => {
            let first = format!("user={user}\x01auth=Bearer {}\x01\x01", token.expose());
            client.authenticate("XOAUTH2", Sasl::new(first, "")).await
        }
        Credentials::Token { user, token } => {
            let user = user.replace('=', "=3D").replace(',', "=2C");
            let Endpoint { host, port, .. } = endpoint;
            let bearer = token.expose();
            let first = format!("n,a={user},\x01host={host}\x01port={port}\x01auth=Bearer {bearer}\x01\x01");
            client.authenticate("OAUTHBEARER", Sasl::new(first, "\x01")).await
        }
        Credentials::Password { user, password } if offers("AUTH=PLAIN") => {
            let first = format!("\0{user}\0{}", password.expose());
            client.authenticate("PLAIN", Sasl::new(first, "")).await
        }
        Credentials::Password { .. } if offers("LOGINDISABLED") => {
            return Err(ImapError::Unsupported(String::from(
                "the server takes no password on this connection (LOGINDISABLED): use TLS, or OAuth",
            )));
        }
        Credentials::Password { user, password } => client.login(user, password.expose()).await,
    };
    let by_password = matches!(credentials, Credentials::Password { .. });
    result.map_err(|(error, mut client)| match answered("log-in", &mut client, error) {
        ImapError::No { text, .. } | ImapError::Bad { text, .. } => refused(text, by_password),
        other => other,
    })
}

/// A refused log-in, unless the server is only busy.
fn refused(text: String, by_password: bool) -> ImapError {
    use crate::domain::Disposition;
    match crate::diagnosis::imap(&text).map(|found| found.disposition) {
        Some(Disposition::Retry | Disposition::RetryAfter(_)) => ImapError::No { what: "log-in", text },
        _ if by_password => ImapError::PasswordRefused { text },
        _ => ImapError::LoginRefused { text },
    }
}

pub(in crate::imap) async fn capabilities(client: &mut Client) -> Result<Vec<String>, ImapError> {
    let answer = client.run_command_and_check_ok("CAPABILITY", None).await;
    answer.map_err(|error| answered("CAPABILITY", client, error))?;
    Ok(client.get_mut().heard.capabilities.clone().unwrap_or_default())
}

/// A SASL exchange of one message; a refusal's challenge is answered as the mechanism demands, so that the
/// server's words can be read.
struct Sasl {
    first: Option<zeroize::Zeroizing<String>>,
    then: &'static str,
}

impl Sasl {
    fn new(first: String, then: &'static str) -> Self {
        Self { first: Some(zeroize::Zeroizing::new(first)), then }
    }
}

impl async_imap::Authenticator for Sasl {
    type Response = zeroize::Zeroizing<String>;

    fn process(&mut self, _challenge: &[u8]) -> Self::Response {
        self.first.take().unwrap_or_else(|| zeroize::Zeroizing::new(self.then.to_owned()))
    }
}
