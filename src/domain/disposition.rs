//! What a caller does after an error. Every boundary's error enum answers with one of these.

use std::time::Duration;

/// The answer to "what now?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Transient: again, by the caller's own backoff.
    Retry,
    /// Transient, and the other side said how long to wait.
    RetryAfter(Duration),
    /// The access token was refused or has ended: fetch a fresh one and try again at once.
    FreshToken,
    /// The grant is gone: a person has to sign in again.
    SignIn,
    /// An administrator of the tenant or mail server has to change something.
    NeedsAdmin,
    /// The app's own registration or secret is broken: every mailbox of the app is affected.
    AppBroken,
    /// This one item can never succeed; go on with the others.
    GiveUp,
    /// Our own state cannot be trusted or written: stop, and let the supervisor decide.
    Fatal,
}
