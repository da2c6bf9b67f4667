//! One way to connect for IMAP, SMTP and HTTPS: resolving, happy eyeballs, TLS, deadlines, and the reader that
//! bounds what an IMAP server may send. It knows nothing of mail, but where a domain says that its mailboxes are.

mod budget;
mod certificate;
mod config;
mod dial;
mod discovery;
mod error;
mod http;
mod imap_framing;
mod inspect;
mod limit;
mod mx;
mod proxy;
mod reach;
mod read_ahead;
mod server_tls;
mod slots;
mod stream;
mod tls;
mod tls_config;
#[cfg(test)]
mod tls_tests;

pub use budget::{ByteBudget, Share};
pub use certificate::{PeerCertificate, Shown};
pub use config::{IpChoice, NetConfig};
pub use dial::Dialer;
pub use discovery::{Discovery, Servers};
pub use error::{CertificateFault, NetError};
pub use http::{HttpClient, HttpError};
pub use limit::{LimitExceeded, LimitingReader, Limits, Literals, RawResponse, ReadMeter};
pub use mx::MxResolver;
pub use proxy::Proxy;
pub use reach::{Reach, is_loopback};
pub use read_ahead::ReadAhead;
pub use server_tls::{BadCertificate, server_config};
pub use slots::Slot;
pub use stream::MaybeTls;
