//! One way to connect for IMAP, SMTP and HTTPS: resolving, happy eyeballs, TLS, deadlines, and the reader that
//! bounds what an IMAP server may send. It knows nothing of mail.

mod budget;
mod dial;
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
#[cfg(test)]
mod tls_tests;

pub use budget::{ByteBudget, Share};
pub use dial::{Dialer, IpChoice, NetConfig};
pub use error::{CertificateFault, NetError};
pub use http::{HttpClient, HttpError};
pub use inspect::{PeerCertificate, Shown};
pub use limit::{LimitExceeded, LimitingReader, Limits, Literals, RawResponse, ReadMeter};
pub use mx::MxResolver;
pub use proxy::Proxy;
pub use reach::Reach;
pub use read_ahead::ReadAhead;
pub use server_tls::{BadCertificate, server_config};
pub use slots::Slot;
pub use stream::MaybeTls;

/// Whether a host can only be this machine: its traffic needs no protection.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
