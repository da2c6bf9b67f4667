//! Trying whether a mailbox may send before its new credentials count: as far as SMTP AUTH. Nothing is offered.

use super::checkup::Checkup;
use super::session::SmtpCredentials;
use super::timing::SmtpTiming;
use crate::config::Timing;
use crate::domain::{Diagnosis, Mailbox, Secret, SmtpAuth};
use crate::net::Dialer;

/// Signs in for sending with an access token. A mailbox that does not send, or has another login for it, passes.
///
/// # Errors
/// What is wrong, in words a person can act on.
pub async fn probe(
    dialer: &Dialer,
    timing: &Timing,
    hello_name: &str,
    mailbox: &Mailbox,
    token: Secret,
) -> Result<(), Diagnosis> {
    let Some(endpoint) = mailbox.smtp.as_ref().filter(|smtp| smtp.auth == SmtpAuth::Inherit) else {
        return Ok(());
    };
    let brief = SmtpTiming { greeting: timing.command, command: timing.command, ..SmtpTiming::default() };
    let connected = async {
        dialer.check_security(&endpoint.host, endpoint.security)?;
        dialer.connect(&endpoint.host, endpoint.port).await
    };
    let tcp = connected.await.map_err(|error| error.diagnosis())?;
    let checkup = Checkup::secure(dialer, endpoint, hello_name, brief, tcp).await?;
    let (mut checkup, _) = checkup.offers().await?;
    let credentials = SmtpCredentials::Xoauth2 { user: mailbox.login().to_owned(), token };
    let signed_in = checkup.sign_in(&credentials).await;
    checkup.quit().await;
    signed_in
}
