//! Access tokens: the words of the token actors, the OAuth requests, and the decisions when to make them.

mod app;
mod deps;
mod grant_refresh;
pub mod identity;
mod mailbox;
mod oauth;
pub mod protocol;
pub mod scopes;

pub use app::{
    AppActor, AppOnlyUse, Check, CheckResult, Verified, circuit_breaker, credential_trial, outcome,
    tenant_id, verify, verify_account,
};
pub use deps::{AppDoor, TokenDeps};
pub use grant_refresh::{GrantRefresh, GrantSlot, RefreshRequest, refresh_grant};
pub use mailbox::{TokenActor, lifecycle, scope_of as service_account_scope};
pub(crate) use oauth::understand;
pub use oauth::{
    AuthorizeRequest, CertificateError, DeviceGrant, DevicePoll, Endpoints, FlowError, KeyFileError,
    OauthClient, TokenAnswer, read_certificate, read_service_account,
};
pub use protocol::{AccessToken, GetAccessToken, GrantChanged, RefreshNow, TokenError, TokenRejected};
