//! An SMTP connection that may send: connect, greeting, EHLO, STARTTLS, AUTH. Everything in here happens before
//! MAIL, so that every failure holds the outbox and ends no submission.

use super::capabilities::Capabilities;
use super::dot_gate::{Gate, Stream};
use super::progress::{Awaited, Progress};
use super::protocol::{Cause, Reply, SmtpError, SmtpPhase};
use super::timing::SmtpTiming;
use crate::diagnosis::{Entry, Facts, catalogue as c, describe};
use crate::domain::{Disposition, Secret, Security, SmtpEndpoint};
use crate::net::{Dialer, MaybeTls, NetError, Slot};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use zeroize::Zeroizing;

/// What to log in with.
#[derive(Clone, Debug)]
pub enum SmtpCredentials {
    /// An access token, by XOAUTH2.
    Xoauth2 {
        /// The mailbox to act as.
        user: String,
        /// The access token.
        token: Secret,
    },
    /// A password, by PLAIN, else LOGIN.
    Plain {
        /// Login name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// None: the server takes mail by the client's address.
    None,
}

/// A command, and the lines that answer its challenges.
type Way = (&'static str, Vec<Zeroizing<String>>);

impl SmtpCredentials {
    /// Who signs in, and the ways to do it, the better first.
    fn ways(&self) -> Option<(&str, Vec<Way>)> {
        match self {
            Self::None => None,
            Self::Xoauth2 { user, token } => {
                let line = format!("user={user}\u{1}auth=Bearer {}\u{1}\u{1}", token.expose());
                Some((user, vec![("AUTH XOAUTH2", vec![Zeroizing::new(line)])]))
            }
            Self::Plain { user, password } => {
                let plain = Zeroizing::new(format!("\0{user}\0{}", password.expose()));
                let login = [user, password.expose()].map(|text| Zeroizing::new(String::from(text)));
                Some((user, vec![("AUTH PLAIN", vec![plain]), ("AUTH LOGIN", Vec::from(login))]))
            }
        }
    }
}

/// A connection that is ready for MAIL.
pub struct SmtpSession {
    pub(super) connection: AsyncSmtpConnection,
    pub(super) gate: Gate,
    pub(super) offers: Capabilities,
    pub(super) timing: SmtpTiming,
    pub(super) broken: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) progress: Progress,
    /// Room for the connection.
    pub(super) _slot: Option<Slot>,
}

impl std::fmt::Debug for SmtpSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmtpSession")
            .field("host", &self.host)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

/// Why a command did not get a positive answer.
#[derive(Debug)]
pub(super) enum Negative {
    Reply(Reply),
    Lost(Cause),
}

impl SmtpSession {
    /// Connects and signs in, and notes in `progress` what it waits for.
    ///
    /// # Errors
    /// [`SmtpError::Hold`], always: nothing was offered yet.
    pub async fn open(
        dialer: &Dialer,
        endpoint: &SmtpEndpoint,
        hello_name: &str,
        credentials: &SmtpCredentials,
        timing: SmtpTiming,
        progress: &Progress,
    ) -> Result<Self, SmtpError> {
        let host = endpoint.host.as_str();
        dialer.check_security(host, endpoint.security)?;
        let tcp = dialer.connect(host, endpoint.port).await?;
        if endpoint.security == Security::Tls {
            progress.waits_for(Awaited::Tls);
        }
        let stream = Self::protect(dialer, endpoint, tcp).await?;
        let mut session = Self::greet(stream, (host, endpoint.port), hello_name, timing, progress).await?;
        if endpoint.security == Security::Starttls {
            session.starttls(dialer, hello_name).await?;
        }
        session.authenticate(credentials).await?;
        Ok(session)
    }

    /// TLS where it is configured from the first byte on.
    pub(super) async fn protect(
        dialer: &Dialer,
        endpoint: &SmtpEndpoint,
        tcp: TcpStream,
    ) -> Result<(Stream, SocketAddr), SmtpError> {
        let host = endpoint.host.as_str();
        let peer = tcp.peer_addr().map_err(|cause| NetError::Io { host: String::from(host), cause })?;
        let stream = match endpoint.security {
            Security::Tls => MaybeTls::Tls(Box::new(dialer.tls((host, endpoint.port), tcp).await?)),
            Security::Starttls | Security::None => MaybeTls::Plain(tcp),
        };
        Ok((stream, peer))
    }

    /// Waits for the greeting and says EHLO.
    pub(super) async fn greet(
        (stream, peer): (Stream, SocketAddr),
        (host, port): (&str, u16),
        hello_name: &str,
        timing: SmtpTiming,
        progress: &Progress,
    ) -> Result<Self, SmtpError> {
        let gate = Gate::new(stream, peer);
        let hello = ClientId::Domain(String::from(hello_name));
        progress.waits_for(Awaited::Greeting);
        // reads the greeting and says EHLO
        let connecting = AsyncSmtpConnection::connect_with_transport(Box::new(gate.clone()), &hello);
        let connecting = tokio::time::timeout(timing.greeting, connecting);
        tokio::pin!(connecting);
        let connected = tokio::select! {
            connected = &mut connecting => connected,
            () = gate.has_spoken() => {
                progress.waits_for(Awaited::Answer("EHLO"));
                tokio::select! {
                    connected = &mut connecting => connected,
                    // lettre says QUIT after a refused EHLO, and would wait for its answer as long as for the greeting
                    () = gate.has_spoken() => tokio::time::timeout(timing.quit, connecting).await.flatten(),
                }
            }
        };
        if let (Err(_), Some(refusal)) = (&connected, reply_in(&gate.answered()))
            && refusal.is_negative()
        {
            return Err(hold_negative(host, Negative::Reply(refusal), progress));
        }
        let connection = match connected {
            Err(_) => return Err(hold_cause(host, &Cause::Timeout, progress)),
            Ok(Err(error)) => return Err(hold_negative(host, negative(&error), progress)),
            Ok(Ok(connection)) => connection,
        };
        let offers = Capabilities::parse(&gate.reply());
        let (host, progress) = (String::from(host), progress.clone());
        Ok(Self { connection, gate, offers, timing, broken: false, host, port, progress, _slot: None })
    }

    /// RFC 3207. Fails closed; what the server offered before TLS is discarded.
    pub(super) async fn starttls(&mut self, dialer: &Dialer, hello_name: &str) -> Result<(), SmtpError> {
        if !self.offers.starttls {
            return Err(self.hold(&c::STARTTLS_MISSING, Disposition::NeedsAdmin, None));
        }
        self.progress.waits_for(Awaited::Answer("STARTTLS"));
        match self.command("STARTTLS\r\n", self.timing.command).await {
            Ok(_) => {}
            Err(Negative::Reply(reply)) if reply.code != 421 => {
                return Err(self.hold(&c::STARTTLS_REFUSED, Disposition::Retry, None));
            }
            Err(negative) => return Err(hold_negative(&self.host, negative, &self.progress)),
        }
        if self.gate.has_unread().await {
            drop(self.gate.take_stream());
            self.broken = true;
            return Err(self.hold(&c::STARTTLS_INJECTION, Disposition::Retry, None));
        }
        let plain: TcpStream = match self.gate.take_stream() {
            Some(Stream::Plain(plain)) => plain,
            Some(Stream::Tls(_)) | None => {
                return Err(hold_cause(&self.host, &Cause::Cut(String::from("closed")), &self.progress));
            }
        };
        self.progress.waits_for(Awaited::Tls);
        let secured = dialer.tls((&self.host, self.port), plain).await?;
        self.gate.put(MaybeTls::Tls(Box::new(secured)));
        self.progress.waits_for(Awaited::Answer("EHLO"));
        self.command(&format!("EHLO {hello_name}\r\n"), self.timing.command)
            .await
            .map_err(|negative| hold_negative(&self.host, negative, &self.progress))?;
        self.offers = Capabilities::parse(&self.gate.reply());
        Ok(())
    }

    /// Signs in by the first way that server and credentials have in common; by the next one if the server does not
    /// know it after all.
    pub(super) async fn authenticate(&mut self, credentials: &SmtpCredentials) -> Result<(), SmtpError> {
        let Some((user, ways)) = credentials.ways() else { return Ok(()) };
        let mut unknown = None;
        for (command, answers) in ways {
            if !self.offers.offers(command.trim_start_matches("AUTH ")) {
                continue;
            }
            match self.auth(command, &answers).await {
                Ok(()) => return Ok(()),
                // RFC 4954 §4: 504 is an unknown mechanism. Any other refusal counts against the account: it is not
                // tried another way.
                Err(Negative::Reply(reply)) if matches!(reply.code, 500 | 502 | 504) => unknown = Some(reply),
                Err(negative) => return Err(self.hold_login(credentials, user, negative)),
            }
        }
        match unknown {
            Some(reply) if reply.code != 504 => {
                Err(self.hold_login(credentials, user, Negative::Reply(reply)))
            }
            Some(_) | None => Err(self.hold(&c::SMTP_AUTH_NOT_OFFERED, Disposition::NeedsAdmin, Some(user))),
        }
    }

    /// `AUTH name`, then one line for each challenge. Never inline: RFC 4954 §4 keeps AUTH within 512 octets, and
    /// tokens are longer (Gmail answers `555 5.5.2`, Dovecot `500 5.5.2`). A server that challenges further has
    /// refused and wants an empty line before it says why (Gmail, Dovecot: JSON in the challenge).
    async fn auth(&mut self, command: &'static str, answers: &[Zeroizing<String>]) -> Result<(), Negative> {
        let deadline = self.timing.command;
        self.progress.waits_for(Awaited::Answer(command));
        let mut reply = self.command(&format!("{command}\r\n"), deadline).await?;
        for answer in answers {
            if reply.code != 334 {
                return Err(Negative::Lost(Cause::Garbled(format!("{reply} to AUTH"))));
            }
            let mut line = Zeroizing::new(STANDARD.encode(answer.as_bytes()));
            line.push_str("\r\n");
            reply = self.command(&line, deadline).await?;
        }
        let mut patience = 3;
        while reply.code == 334 && patience > 0 {
            reply = self.command("\r\n", deadline).await?;
            patience -= 1;
        }
        if reply.code == 235 {
            Ok(())
        } else {
            Err(Negative::Lost(Cause::Garbled(format!("{reply} to AUTH"))))
        }
    }

    /// Sends a command line and waits for its positive answer.
    pub(super) async fn command(&mut self, line: &str, deadline: Duration) -> Result<Reply, Negative> {
        if self.gate.has_unread().await {
            // an unsolicited line would be taken for the answer to this command
            self.broken = true;
            let said = self.gate.unsolicited();
            // 421: the server closes the channel, and may say so at any time (RFC 5321 §3.8)
            return Err(match said.split_at_checked(3) {
                Some(("421", text)) => Negative::Reply(Reply { code: 421, text: text.trim().to_owned() }),
                _ => Negative::Lost(Cause::Garbled(format!("it came before the question: {said}"))),
            });
        }
        let answer = tokio::time::timeout(deadline, self.connection.command(line)).await;
        match answer {
            Err(_) => {
                self.broken = true;
                Err(Negative::Lost(Cause::Timeout))
            }
            Ok(Ok(response)) => {
                let text = response.message().collect::<Vec<_>>().join(" ");
                Ok(Reply { code: u16::from(response.code()), text })
            }
            Ok(Err(error)) => {
                let negative = negative(&error);
                // 421: the server closes the channel (RFC 5321 §4.2.2)
                self.broken |= match &negative {
                    Negative::Reply(reply) => reply.code == 421,
                    Negative::Lost(_) => true,
                };
                Err(negative)
            }
        }
    }

    /// Whether the next message needs a new connection.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Sends QUIT; the connection ends whatever the answer.
    pub async fn quit(mut self) {
        if !self.broken {
            // an answer changes nothing: the connection ends with `self`
            drop(self.command("QUIT\r\n", self.timing.quit).await);
        }
        drop(self.gate.take_stream());
    }

    fn hold(&self, entry: &'static Entry, retry: Disposition, user: Option<&str>) -> SmtpError {
        let facts = Facts { host: &self.host, address: user.unwrap_or_default(), ..Facts::default() };
        let evidence = self.gate.reply().join(" ");
        SmtpError::Hold { diagnosis: Box::new(describe(entry, &facts, Some(&evidence))), retry }
    }

    fn hold_login(&self, credentials: &SmtpCredentials, user: &str, refused: Negative) -> SmtpError {
        let reply = match refused {
            Negative::Reply(reply) => reply,
            Negative::Lost(cause) => return hold_cause(&self.host, &cause, &self.progress),
        };
        let finding = reply.finding(SmtpPhase::Session);
        let facts = Facts { host: &self.host, address: user, ..Facts::default() };
        let by_password = matches!(credentials, SmtpCredentials::Plain { .. });
        if by_password && finding.disposition == Disposition::FreshToken {
            let diagnosis = describe(&c::PASSWORD_REFUSED, &facts, Some(&reply.to_string()));
            return SmtpError::Hold { diagnosis: Box::new(diagnosis), retry: Disposition::SignIn };
        }
        hold_reply(&facts, &reply)
    }
}

/// A reply of several lines, each with the code (RFC 5321 §4.2.1).
fn reply_in(lines: &[String]) -> Option<Reply> {
    let code = lines.last()?.get(..3)?.parse().ok()?;
    let text: Vec<&str> = lines.iter().filter_map(|line| line.get(4..)).collect();
    Some(Reply { code, text: text.join(" ") })
}

pub(super) fn negative(error: &lettre::transport::smtp::Error) -> Negative {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let text = source.unwrap_or_else(|| error.to_string());
    match error.status() {
        Some(code) => Negative::Reply(Reply { code: u16::from(code), text }),
        None if error.is_response() && text != "incomplete response" => Negative::Lost(Cause::Garbled(text)),
        None => Negative::Lost(Cause::Cut(text)),
    }
}

pub(super) fn hold_negative(host: &str, negative: Negative, progress: &Progress) -> SmtpError {
    match negative {
        Negative::Reply(reply) => hold_reply(&Facts { host, ..Facts::default() }, &reply),
        Negative::Lost(cause) => hold_cause(host, &cause, progress),
    }
}

fn hold_reply(facts: &Facts<'_>, reply: &Reply) -> SmtpError {
    let retry = reply.finding(SmtpPhase::Session).disposition;
    SmtpError::Hold { diagnosis: Box::new(reply.diagnosis(SmtpPhase::Session, facts)), retry }
}

fn hold_cause(host: &str, cause: &Cause, progress: &Progress) -> SmtpError {
    let evidence = cause.to_string();
    let diagnosis = match progress.current() {
        Some(awaited) if *cause == Cause::Timeout => awaited.diagnosis(host, "", Some(&evidence)),
        Some(_) | None => describe(&c::CONNECTION_LOST, &Facts { host, ..Facts::default() }, Some(&evidence)),
    };
    SmtpError::Hold { diagnosis: Box::new(diagnosis), retry: Disposition::Retry }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
