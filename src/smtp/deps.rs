//! What sending needs of the rest of the process.

use crate::config::Timing;
use crate::net::{ByteBudget, Dialer};
use crate::store::Store;

/// What an SMTP actor is given.
#[derive(Clone)]
pub struct SmtpDeps {
    /// The store.
    pub store: Store,
    /// The way to connect.
    pub dialer: Dialer,
    /// Intervals and deadlines.
    pub timing: Timing,
    /// The name said in EHLO.
    pub hello_name: String,
    /// Bytes of messages that are being sent, in the whole process.
    pub budget: ByteBudget,
}
