//! One message over an open session: MAIL, RCPT, DATA, body, the durable commit, the dot, the answer.

use super::address::on_the_wire;
use super::dot_gate::Gate;
use super::protocol::{Cause, Outcome, Reply, SendResult, SmtpPhase};
use super::session::{Negative, SmtpSession, negative};
use super::timing::SmtpTiming;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::response::Response;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;
use tokio::time::error::Elapsed;

/// How long to look for an answer when the connection broke before the dot: a server that cuts us off usually says
/// why first.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl SmtpSession {
    /// Sends a message, whose lines end in CRLF, to some recipients. `commit_data_sent` is awaited when everything
    /// but the final dot has been written; only if it succeeds does the dot leave.
    pub async fn send<E: Display>(
        &mut self,
        mail_from: &str,
        recipients: &[String],
        body: &[u8],
        commit_data_sent: impl Future<Output = Result<(), E>>,
    ) -> Outcome {
        let mut outcome = Outcome {
            accepted: Vec::new(),
            refused: Vec::new(),
            ended_at: None,
            result: SendResult::NoRecipient,
        };
        match self.envelope(mail_from, recipients, body, &mut outcome).await {
            Err(result) => outcome.result = result,
            Ok(()) if outcome.accepted.is_empty() => {}
            Ok(()) => outcome.result = self.content(body, commit_data_sent).await,
        }
        let is_open = match &outcome.result {
            SendResult::Refused5xx { phase, reply } | SendResult::Deferred { phase, reply } => {
                self.broken |= is_about_the_dialogue(reply);
                *phase != SmtpPhase::Message
            }
            SendResult::NoRecipient => true,
            SendResult::Sent { .. } => false,
            SendResult::Unknown { .. } | SendResult::NotSent { .. } => {
                self.broken |=
                    !matches!(&outcome.result, SendResult::NotSent { cause: Cause::Unsendable { .. } });
                false
            }
        };
        self.broken |= self.gate.has_unread().await;
        if is_open && !self.broken {
            self.broken |= self.command("RSET\r\n", self.timing.quit).await.is_err();
        }
        if self.broken {
            drop(self.gate.take_stream());
        }
        outcome
    }

    async fn envelope(
        &mut self,
        mail_from: &str,
        recipients: &[String],
        body: &[u8],
        outcome: &mut Outcome,
    ) -> Result<(), SendResult> {
        let parameters = self.parameters(mail_from, recipients, body).map_err(not_sent)?;
        let mail = format!("MAIL FROM:<{}>{parameters}\r\n", on_the_wire(mail_from));
        if let Err(negative) = self.command(&mail, self.timing.command).await {
            return Err(answered(SmtpPhase::Mail, negative));
        }
        for recipient in recipients {
            let rcpt = format!("RCPT TO:<{}>\r\n", on_the_wire(recipient));
            match self.command(&rcpt, self.timing.command).await {
                Ok(_) => outcome.accepted.push(recipient.clone()),
                // the channel closes, for the others of this message, too
                Err(Negative::Reply(reply)) if reply.code == 421 => {
                    outcome.ended_at = Some(recipient.clone());
                    return Err(SendResult::Deferred { phase: SmtpPhase::Rcpt, reply });
                }
                Err(Negative::Reply(reply)) => {
                    self.broken |= is_about_the_dialogue(&reply);
                    outcome.refused.push((recipient.clone(), reply));
                }
                Err(lost @ Negative::Lost(_)) => {
                    outcome.ended_at = Some(recipient.clone());
                    return Err(answered(SmtpPhase::Rcpt, lost));
                }
            }
        }
        Ok(())
    }

    /// The parameters of MAIL (RFC 1870, 6152, 6531), or why this server cannot take the message.
    fn parameters(&self, mail_from: &str, recipients: &[String], body: &[u8]) -> Result<String, Cause> {
        let unsendable = |code, reason: String| Err(Cause::Unsendable { code, reason });
        let addresses = || std::iter::once(mail_from).chain(recipients.iter().map(String::as_str));
        if addresses().any(|address| address.contains(|c: char| c.is_control() || " <>".contains(c))) {
            return unsendable(
                "message_malformed",
                String::from("an address holds a character no address may hold"),
            );
        }
        if has_bare_line_end(body) {
            let reason =
                "the message has a CR or LF alone, which servers take for different things (RFC 5321 §2.3.8)";
            return unsendable("message_malformed", String::from(reason));
        }
        let size = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let mut parameters = String::new();
        if let Some(largest) = self.offers.size {
            if size > largest {
                let reason = format!("the message has {size} bytes, the server takes {largest}");
                return unsendable("message_too_large", reason);
            }
            parameters.push_str(&format!(" SIZE={size}"));
        }
        // RFC 6531 §3.7: a domain has an ASCII form that every server takes; a local part has none
        let needs_utf8 = !addresses().all(|address| on_the_wire(address).is_ascii());
        if needs_utf8 && !self.offers.smtputf8 {
            let reason =
                "an address has letters beyond ASCII before its @, and the server does not offer SMTPUTF8";
            return unsendable("smtputf8_missing", String::from(reason));
        }
        // a server that does not offer 8BITMIME gets eight bits all the same: all relays of this century pass them,
        // and re-encoding would break signatures
        if self.offers.eight_bit && !body.is_ascii() {
            parameters.push_str(" BODY=8BITMIME");
        }
        if needs_utf8 {
            parameters.push_str(" SMTPUTF8");
        }
        Ok(parameters)
    }

    async fn content<E: Display>(
        &mut self,
        body: &[u8],
        commit_data_sent: impl Future<Output = Result<(), E>>,
    ) -> SendResult {
        match self.command("DATA\r\n", self.timing.data_start).await {
            Ok(reply) if reply.code == 354 => {}
            Ok(reply) => return not_sent(Cause::Garbled(format!("{reply} to DATA"))),
            Err(negative) => return answered(SmtpPhase::Data, negative),
        }
        let Self { connection, gate, timing, .. } = self;
        match write_message(connection, gate, timing, body, commit_data_sent).await {
            Written::Stopped(cause) => not_sent(cause),
            Written::EndedEarly(error) => self.ended_before_dot(error).await,
            Written::Ended(ended) => self.after_dot(ended),
        }
    }

    /// The connection broke while the body was written; the server may have said why.
    async fn ended_before_dot(&mut self, error: Option<Error>) -> SendResult {
        self.broken = true;
        let last_words = tokio::time::timeout(LAST_WORDS, self.connection.read_response()).await;
        if let Ok(Err(said)) = last_words
            && let Negative::Reply(reply) = negative(&said)
        {
            return answered(SmtpPhase::Message, Negative::Reply(reply));
        }
        let cause = error
            .map_or_else(|| Cause::Cut(String::from("answered too early")), |error| lost(negative(&error)));
        not_sent(cause)
    }

    fn after_dot(&mut self, ended: Result<Answer, Elapsed>) -> SendResult {
        let cause = match ended {
            Ok(Ok(response)) => {
                let text = response.message().collect::<Vec<_>>().join(" ");
                let reply = Reply { code: u16::from(response.code()), text };
                if (200..300).contains(&reply.code) {
                    return SendResult::Sent { reply };
                }
                Cause::Garbled(reply.to_string())
            }
            Ok(Err(error)) => match negative(&error) {
                Negative::Reply(reply) => {
                    self.broken |= reply.code == 421;
                    return answered(SmtpPhase::Message, Negative::Reply(reply));
                }
                Negative::Lost(cause) => cause,
            },
            Err(_) => Cause::Timeout,
        };
        if self.gate.dot_left() { SendResult::Unknown { cause } } else { not_sent(cause) }
    }
}

type Answer = Result<Response, Error>;

/// How far the writing of a message came.
enum Written {
    /// Not to its dot, by our own decision.
    Stopped(Cause),
    /// Not to its dot: the connection broke.
    EndedEarly(Option<Error>),
    /// The dot was released.
    Ended(Result<Answer, Elapsed>),
}

async fn write_message<E: Display>(
    connection: &mut AsyncSmtpConnection,
    gate: &Gate,
    timing: &SmtpTiming,
    body: &[u8],
    commit_data_sent: impl Future<Output = Result<(), E>>,
) -> Written {
    gate.arm();
    // lettre's message() appends a CRLF of its own
    let message = connection.message(body.strip_suffix(b"\r\n").unwrap_or(body));
    tokio::pin!(message);
    let mut written = gate.written();
    loop {
        tokio::select! {
            () = gate.reached_dot() => break,
            ended = &mut message => return Written::EndedEarly(ended.err()),
            () = tokio::time::sleep(timing.data_block) => {
                let now_written = gate.written();
                if now_written == written {
                    return Written::Stopped(Cause::Timeout);
                }
                written = now_written;
            }
        }
    }
    if let Err(error) = commit_data_sent.await {
        return Written::Stopped(Cause::Commit(error.to_string()));
    }
    gate.release();
    Written::Ended(tokio::time::timeout(timing.after_dot, message).await)
}

fn answered(phase: SmtpPhase, negative: Negative) -> SendResult {
    match negative {
        Negative::Reply(reply) if reply.is_permanent() && reply.code != 503 => {
            SendResult::Refused5xx { phase, reply }
        }
        // 503, bad sequence of commands, is about our dialogue and not about the message
        Negative::Reply(reply) => SendResult::Deferred { phase, reply },
        Negative::Lost(cause) => not_sent(cause),
    }
}

/// 503: it has not seen the commands we sent. 530, 534, 535, 538: it does not know any more who signed in (RFC 4954 §6).
/// A new connection begins both anew.
fn is_about_the_dialogue(reply: &Reply) -> bool {
    matches!(reply.code, 503 | 530 | 534 | 535 | 538)
}

fn lost(negative: Negative) -> Cause {
    match negative {
        Negative::Reply(reply) => Cause::Garbled(reply.to_string()),
        Negative::Lost(cause) => cause,
    }
}

fn not_sent(cause: Cause) -> SendResult {
    SendResult::NotSent { cause }
}

fn has_bare_line_end(body: &[u8]) -> bool {
    let mut before = 0;
    for byte in body.iter().copied().chain([0]) {
        if (byte == b'\n') != (before == b'\r') {
            return true;
        }
        before = byte;
    }
    false
}
