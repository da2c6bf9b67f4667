//! The doctor's steps through an SMTP server, one at a time, on a connection of its own: as far as MAIL, which RSET
//! takes back. Nothing is sent.

use super::address::on_the_wire;
use super::dot_gate::Stream;
use super::progress::{Awaited, Progress};
use super::protocol::{SmtpError, SmtpPhase};
use super::session::{Negative, SmtpCredentials, SmtpSession, hold_negative};
use super::timing::SmtpTiming;
use crate::diagnosis::{Facts, catalogue, describe};
use crate::domain::{Diagnosis, Security, SmtpEndpoint};
use crate::net::Dialer;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// A connection that is being examined.
pub struct Checkup {
    endpoint: SmtpEndpoint,
    hello_name: String,
    timing: SmtpTiming,
    at: At,
}

enum At {
    Silent(Box<Stream>, SocketAddr),
    Greeted(Box<SmtpSession>),
}

impl Checkup {
    /// Protects a fresh connection as configured; with STARTTLS that takes a greeting and EHLO.
    ///
    /// # Errors
    /// What is wrong with TLS or STARTTLS.
    pub async fn secure(
        dialer: &Dialer,
        endpoint: &SmtpEndpoint,
        hello_name: &str,
        timing: SmtpTiming,
        tcp: TcpStream,
    ) -> Result<Self, Diagnosis> {
        let host = endpoint.host.as_str();
        let progress = Progress::default();
        let secured = async {
            let (stream, peer) = SmtpSession::protect(dialer, endpoint, tcp).await?;
            if endpoint.security != Security::Starttls {
                return Ok(At::Silent(Box::new(stream), peer));
            }
            let mut session =
                SmtpSession::greet((stream, peer), (host, endpoint.port), hello_name, timing, &progress)
                    .await?;
            session.starttls(dialer, hello_name).await?;
            Ok(At::Greeted(Box::new(session)))
        };
        let at = secured.await.map_err(|error| explain(error, host))?;
        Ok(Self { endpoint: endpoint.clone(), hello_name: hello_name.to_owned(), timing, at })
    }

    /// What the server offers in answer to EHLO: its ways of signing in.
    ///
    /// # Errors
    /// What is wrong with greeting or EHLO.
    pub async fn offers(self) -> Result<(Self, Vec<String>), Diagnosis> {
        let Self { endpoint, hello_name, timing, at } = self;
        let session = match at {
            At::Greeted(session) => session,
            At::Silent(stream, peer) => {
                let (host, progress) = (endpoint.host.as_str(), Progress::default());
                let greeting = SmtpSession::greet(
                    (*stream, peer),
                    (host, endpoint.port),
                    &hello_name,
                    timing,
                    &progress,
                );
                Box::new(greeting.await.map_err(|error| explain(error, host))?)
            }
        };
        let offers = session.offers.auth.clone();
        Ok((Self { endpoint, hello_name, timing, at: At::Greeted(session) }, offers))
    }

    /// Signs in.
    ///
    /// # Errors
    /// Why the server refuses.
    pub async fn sign_in(&mut self, credentials: &SmtpCredentials) -> Result<(), Diagnosis> {
        let host = self.endpoint.host.clone();
        let session = self.session().map_err(|found| *found)?;
        session.authenticate(credentials).await.map_err(|error| explain(error, &host))
    }

    /// Offers a message from this address and takes the offer back.
    ///
    /// # Errors
    /// Why the server refuses.
    pub async fn mail_from(&mut self, address: &str) -> Result<(), Diagnosis> {
        let (host, timing) = (self.endpoint.host.clone(), self.timing);
        let session = self.session().map_err(|found| *found)?;
        session.progress.waits_for(Awaited::Answer("MAIL"));
        let answer =
            session.command(&format!("MAIL FROM:<{}>\r\n", on_the_wire(address)), timing.command).await;
        if let Err(negative) = answer {
            let facts = Facts { address, host: &host, ..Facts::default() };
            return Err(match negative {
                Negative::Reply(reply) => reply.diagnosis(SmtpPhase::Mail, &facts),
                lost @ Negative::Lost(_) => explain(hold_negative(&host, lost, &session.progress), &host),
            });
        }
        // an answer changes nothing: QUIT, or the connection's end, takes MAIL back, too
        drop(session.command("RSET\r\n", timing.quit).await);
        Ok(())
    }

    /// Sends QUIT.
    pub async fn quit(self) {
        if let At::Greeted(session) = self.at {
            session.quit().await;
        }
    }

    fn session(&mut self) -> Result<&mut SmtpSession, Box<Diagnosis>> {
        match &mut self.at {
            At::Greeted(session) => Ok(session),
            At::Silent(..) => {
                let facts = Facts { host: &self.endpoint.host, ..Facts::default() };
                Err(Box::new(describe(&catalogue::SERVER_SILENT, &facts, None)))
            }
        }
    }
}

fn explain(error: SmtpError, host: &str) -> Diagnosis {
    match error {
        SmtpError::Hold { diagnosis, .. } => *diagnosis,
        other @ (SmtpError::Refused(_) | SmtpError::Deferred(_) | SmtpError::Unknown(_)) => {
            let facts = Facts { host, ..Facts::default() };
            describe(&catalogue::CONNECTION_LOST, &facts, Some(&other.to_string()))
        }
    }
}
