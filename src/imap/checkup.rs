//! The doctor's steps through an IMAP server, one at a time, on a connection of its own. Nothing is selected for
//! writing and nothing is changed.

use super::connection::{Client, Connection, Credentials, Secured, capabilities, connect, within};
use super::protocol::ImapError;
use crate::config::Timing;
use crate::diagnosis::{self, Facts, catalogue};
use crate::domain::{Diagnosis, Endpoint, WireName};
use crate::net::Dialer;
use std::sync::Arc;
use tokio::net::TcpStream;

/// A connection before its log-in.
pub struct Checkup {
    endpoint: Endpoint,
    timing: Timing,
    address: String,
    at: At,
}

enum At {
    Secured(Secured),
    Welcomed(Box<Client>),
}

/// A connection after its log-in.
pub struct CheckupSession {
    connection: Connection,
    endpoint: Endpoint,
    address: String,
}

impl Checkup {
    /// Protects a fresh connection as configured.
    ///
    /// # Errors
    /// What is wrong with TLS or STARTTLS.
    pub async fn secure(
        dialer: &Dialer,
        endpoint: &Endpoint,
        timing: &Timing,
        address: &str,
        tcp: TcpStream,
    ) -> Result<Self, Diagnosis> {
        let secured = connect::secure(dialer, endpoint, tcp, timing).await;
        let secured = secured.map_err(|error| explain(&error, endpoint, address))?;
        let (endpoint, timing, address) = (endpoint.clone(), timing.clone(), address.to_owned());
        Ok(Self { endpoint, timing, address, at: At::Secured(secured) })
    }

    /// Waits for the greeting and reads what the server offers before log-in.
    ///
    /// # Errors
    /// What is wrong.
    pub async fn offers(self) -> Result<(Self, Vec<String>), Diagnosis> {
        let Self { endpoint, timing, address, at } = self;
        let work = async {
            let mut client = match at {
                At::Secured(secured) => connect::welcomed(secured, &timing).await?,
                At::Welcomed(client) => *client,
            };
            let offers = within("CAPABILITY", timing.command, capabilities(&mut client)).await??;
            Ok::<_, ImapError>((client, offers))
        };
        let (client, offers) = work.await.map_err(|error| explain(&error, &endpoint, &address))?;
        Ok((Self { endpoint, timing, address, at: At::Welcomed(Box::new(client)) }, offers))
    }

    /// Logs in.
    ///
    /// # Errors
    /// Why the server refuses.
    pub async fn sign_in(self, credentials: &Credentials) -> Result<CheckupSession, Diagnosis> {
        let Self { endpoint, timing, address, at } = self;
        let entered = async {
            let client = match at {
                At::Secured(secured) => connect::welcomed(secured, &timing).await?,
                At::Welcomed(client) => *client,
            };
            connect::enter(client, credentials, &endpoint, &timing, &Arc::default()).await
        };
        let connection = entered.await.map_err(|error| explain(&error, &endpoint, &address))?;
        Ok(CheckupSession { connection, endpoint, address })
    }
}

impl CheckupSession {
    /// How many folders there are.
    ///
    /// # Errors
    /// Why they are not listed.
    pub async fn list(&mut self) -> Result<usize, Diagnosis> {
        let listed = self.connection.list().await;
        listed.map(|list| list.folders.len()).map_err(|error| self.explain(&error))
    }

    /// How many messages are in the inbox.
    ///
    /// # Errors
    /// Why it does not open.
    pub async fn examine_inbox(&mut self) -> Result<u32, Diagnosis> {
        let examined = self.connection.examine(&WireName::from("INBOX")).await;
        examined.map_err(|error| self.explain(&error))
    }

    /// Begins and ends IDLE; `false`: the server does not offer it.
    ///
    /// # Errors
    /// Why it does not begin.
    pub async fn idle(&mut self) -> Result<bool, Diagnosis> {
        if !self.connection.offers("IDLE") {
            return Ok(false);
        }
        let idled = self.connection.try_idle().await;
        idled.map(|()| true).map_err(|error| self.explain(&error))
    }

    /// Logs out.
    pub async fn logout(self) {
        self.connection.logout().await;
    }

    fn explain(&self, error: &ImapError) -> Diagnosis {
        explain(error, &self.endpoint, &self.address)
    }
}

/// In words a person can act on.
pub(super) fn explain(error: &ImapError, endpoint: &Endpoint, address: &str) -> Diagnosis {
    let facts = Facts { address, host: &endpoint.host, ..Facts::default() };
    let text = error.to_string();
    let found = error.diagnosis(&facts);
    found.unwrap_or_else(|| diagnosis::describe(&catalogue::CONNECTION_LOST, &facts, Some(&text)))
}
