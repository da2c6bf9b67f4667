//! The steps at the mail servers.

use super::access::Pass;
use super::report::{Outcome, StepList, Way};
use super::visit::Visit;
use crate::domain::{Endpoint, Security, SmtpAuth, SmtpEndpoint};
use crate::imap;
use crate::net::NetError;
use crate::smtp::{self, SmtpCredentials, SmtpTiming};
use std::net::SocketAddr;
use tokio::net::TcpStream;

const NOT_RECEIVING: &str = "the mailbox does not receive: it names no IMAP server";
const NOT_SENDING: &str = "the mailbox does not send: it names no SMTP server";

impl Visit<'_> {
    /// The steps `dns`, `tcp`, `tls`.
    pub(super) async fn reach_imap(&self, list: &mut StepList) -> Way<imap::Checkup> {
        let endpoint = self.stored.mailbox.imap.as_ref().ok_or_else(|| String::from(NOT_RECEIVING));
        let host = |endpoint: &Endpoint| (endpoint.host.clone(), endpoint.port, endpoint.security);
        let tcp = self.reach(list, ["dns", "tcp"], endpoint.clone().map(host)).await;
        let both = endpoint.and_then(|endpoint| tcp.map(|tcp| (endpoint, tcp)));
        list.step("tls", both, |(endpoint, tcp)| async move {
            let address = &self.stored.mailbox.address;
            let secured = imap::Checkup::secure(&self.dialer, endpoint, &self.timing, address, tcp).await?;
            Ok((secured, self.protection(endpoint.security)))
        })
        .await
    }

    async fn reach(
        &self,
        list: &mut StepList,
        [dns, tcp]: [&'static str; 2],
        at: Way<(String, u16, Security)>,
    ) -> Way<TcpStream> {
        let found = list.step(dns, at.clone(), |(host, port, _)| self.addresses(host, port)).await;
        let both = at.and_then(|at| found.map(|found| (at, found)));
        list.step(tcp, both, |((host, port, security), addresses)| async move {
            let connected = async {
                self.dialer.check_security(&host, security)?;
                self.dialer.connect_to(&host, port, &addresses).await
            };
            let stream = connected.await.map_err(|error| error.diagnosis())?;
            let peer = match self.dialer.proxy_for(&host) {
                Some(proxy) => format!("through the proxy {}", proxy.shown()),
                None => stream.peer_addr().map_or_else(|_| host, |peer| peer.to_string()),
            };
            Ok((stream, peer))
        })
        .await
    }

    async fn addresses(&self, host: String, port: u16) -> Outcome<Vec<SocketAddr>> {
        let found = self.dialer.resolve(&host, port).await;
        let found = found.map_err(|error: NetError| error.diagnosis())?;
        let shown: Vec<String> = found.iter().map(|address| address.ip().to_string()).collect();
        let whose = self.dialer.proxy_for(&host).map_or("", |_| " (the proxy's: it looks the name up)");
        Ok((found, format!("{}{whose}", shown.join(", "))))
    }

    /// How the connection just made is protected.
    fn protection(&self, security: Security) -> String {
        match (security, self.shown.certificate()) {
            (Security::None, _) => String::from("without protection, as configured"),
            (Security::Tls | Security::Starttls, Some(seen)) => {
                format!("{} issued by {}, valid until {}", seen.subject, seen.issuer, seen.valid_until)
            }
            (Security::Tls | Security::Starttls, None) => String::from("protected"),
        }
    }

    /// The step `capability`.
    pub(super) async fn imap_offers(
        &self,
        list: &mut StepList,
        way: Way<imap::Checkup>,
    ) -> Way<imap::Checkup> {
        list.step("capability", way, |checkup| async move {
            let (checkup, offers) = checkup.offers().await?;
            Ok((checkup, offers.join(" ")))
        })
        .await
    }

    /// The steps `authenticate`, `list`, `select`, `idle`.
    pub(super) async fn read(&self, list: &mut StepList, way: Way<imap::Checkup>, pass: &Way<Pass>) {
        let both = way.and_then(|checkup| pass.clone().map(|pass| (checkup, pass)));
        let session = list.step("authenticate", both, |(checkup, pass)| async move {
            let user = self.stored.mailbox.login().to_owned();
            let credentials = match pass {
                Pass::Token(token) => imap::Credentials::Token { user, token },
                Pass::Password { user, password } => imap::Credentials::Password { user, password },
            };
            Ok((checkup.sign_in(&credentials).await?, format!("as {}", self.stored.mailbox.login())))
        });
        let session = session.await;
        let session = list.step("list", session, |mut session| async move {
            let folders = session.list().await?;
            Ok((session, format!("{folders} folders")))
        });
        let session = session.await;
        let session = list.step("select", session, |mut session| async move {
            let messages = session.examine_inbox().await?;
            Ok((session, format!("INBOX, {messages} messages")))
        });
        let session = session.await;
        let session = list.step("idle", session, |mut session| async move {
            let idles = session.idle().await?;
            let detail = if idles { "begun and ended" } else { "not offered: the server is asked instead" };
            Ok((session, String::from(detail)))
        });
        if let Ok(session) = session.await {
            session.logout().await;
        }
    }

    /// The steps at the SMTP server.
    pub(super) async fn send(&self, list: &mut StepList, pass: &Way<Pass>) {
        let endpoint = self.stored.mailbox.smtp.as_ref().ok_or_else(|| String::from(NOT_SENDING));
        let host = |endpoint: &SmtpEndpoint| (endpoint.host.clone(), endpoint.port, endpoint.security);
        let tcp = self.reach(list, ["smtp_dns", "smtp_tcp"], endpoint.clone().map(host)).await;
        let both = endpoint.clone().and_then(|endpoint| tcp.map(|tcp| (endpoint, tcp)));
        let checkup = list.step("smtp_tls", both, |(endpoint, tcp)| async move {
            let (dialer, name) = (&self.dialer, &self.deps.hello_name);
            let secured = smtp::Checkup::secure(dialer, endpoint, name, self.smtp_timing(), tcp).await?;
            Ok((secured, self.protection(endpoint.security)))
        });
        let checkup = checkup.await;
        let checkup = list.step("smtp_ehlo", checkup, |checkup| async move {
            let (checkup, auth) = checkup.offers().await?;
            let offered =
                if auth.is_empty() { String::from("no AUTH") } else { format!("AUTH {}", auth.join(" ")) };
            Ok((checkup, offered))
        });
        let checkup = checkup.await;
        let credentials = endpoint.and_then(|endpoint| self.smtp_credentials(endpoint, pass));
        let Ok(SmtpCredentials::None) = &credentials else {
            let both = checkup.and_then(|checkup| credentials.map(|credentials| (checkup, credentials)));
            let checkup = list.step("smtp_auth", both, |(mut checkup, credentials)| async move {
                checkup.sign_in(&credentials).await?;
                Ok((checkup, String::from("signed in")))
            });
            let checkup = checkup.await;
            return self.mail_from(list, checkup).await;
        };
        list.skip("smtp_auth", "no sign-in is configured for sending");
        self.mail_from(list, checkup).await;
    }

    /// The step `smtp_mail_from`.
    async fn mail_from(&self, list: &mut StepList, way: Way<smtp::Checkup>) {
        let address = &self.stored.mailbox.address;
        let checkup = list.step("smtp_mail_from", way, |mut checkup| async move {
            checkup.mail_from(address).await?;
            Ok((checkup, format!("{address}, taken back")))
        });
        if let Ok(checkup) = checkup.await {
            checkup.quit().await;
        }
    }

    fn smtp_credentials(&self, endpoint: &SmtpEndpoint, pass: &Way<Pass>) -> Way<SmtpCredentials> {
        match &endpoint.auth {
            SmtpAuth::None => Ok(SmtpCredentials::None),
            SmtpAuth::Own { user } => {
                let password = self.deps.store.smtp_password(self.stored.incarnation);
                let password = password.map_err(|error| error.to_string())?;
                let password = password.ok_or_else(|| String::from("there is no password for sending"))?;
                Ok(SmtpCredentials::Plain { user: user.clone(), password })
            }
            SmtpAuth::Inherit => Ok(match pass.clone()? {
                Pass::Token(token) => {
                    SmtpCredentials::Xoauth2 { user: self.stored.mailbox.login().to_owned(), token }
                }
                Pass::Password { user, password } => SmtpCredentials::Plain { user, password },
            }),
        }
    }

    fn smtp_timing(&self) -> SmtpTiming {
        let step = self.timing.command;
        SmtpTiming { greeting: step, command: step, ..SmtpTiming::default() }
    }
}
