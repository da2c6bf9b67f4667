//! What a failed token request asks for.

use crate::domain::Disposition;
use std::time::Duration;

/// What a failed token request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OauthClass {
    /// Again, by backoff.
    Retry,
    /// Again, not before 15 minutes: lockouts and loops get worse by haste.
    RetrySlow,
    /// The user signs in again.
    SignIn,
    /// The user, else an administrator, gives consent.
    Consent,
    /// The tenant's administrator changes something.
    TenantAdmin,
    /// The app's registration or secret is broken.
    AppBroken,
    /// Our request is wrong for this authority.
    OurBug,
    /// Nobody here knows: the grant is kept and tried now and then, and people read the provider's own words.
    Unknown,
}

impl OauthClass {
    /// The answer to "what now?".
    #[must_use]
    pub fn disposition(self) -> Disposition {
        match self {
            Self::Retry => Disposition::Retry,
            Self::RetrySlow => Disposition::RetryAfter(Duration::from_secs(15 * 60)),
            Self::SignIn | Self::Consent => Disposition::SignIn,
            Self::TenantAdmin | Self::OurBug | Self::Unknown => Disposition::NeedsAdmin,
            Self::AppBroken => Disposition::AppBroken,
        }
    }
}
