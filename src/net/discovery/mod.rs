//! Where a domain's mailboxes are, as the domain itself says: by autoconfig files, as mail programs read them, and by SRV
//! records (RFC 6186, RFC 8314). Only IMAP, and only what is protected by TLS.

mod autoconfig;
mod search;
mod servers;
mod srv;

pub use search::Discovery;
pub use servers::Servers;
pub(super) use srv::{Record, Service};
