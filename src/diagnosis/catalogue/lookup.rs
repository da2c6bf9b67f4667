//! All entries, and the one of a code.

use super::app::{IDP_LOOP, IDP_THROTTLED};
use super::entry::Entry;
use super::mail::{OVER_QUOTA_TRANSFER, SENDING_QUOTA, THROTTLED, TOO_MANY_CONNECTIONS};
use super::{app, google, mail, net, sign_in};

/// All entries, for documentation and tests.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    [sign_in::ENTRIES, app::ENTRIES, google::ENTRIES, mail::ENTRIES, net::ENTRIES]
        .into_iter()
        .flatten()
        .copied()
}

/// Whether a cause is a limit that a server keeps, and that passes by waiting.
#[must_use]
pub fn speaks_of_a_limit(code: &str) -> bool {
    let limits =
        [&THROTTLED, &TOO_MANY_CONNECTIONS, &SENDING_QUOTA, &OVER_QUOTA_TRANSFER, &IDP_THROTTLED, &IDP_LOOP];
    limits.iter().any(|entry| entry.code == code)
}

/// The entry of a code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.code == code)
}
