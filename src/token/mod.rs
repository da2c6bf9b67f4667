//! Access tokens: the words of the token actors, the OAuth requests, and the decisions when to make them.

mod app;
mod deps;
pub mod identity;
mod mailbox;
mod oauth;
pub mod protocol;

pub use app::{
    AppActor, Check, CheckResult, Verified, circuit_breaker, credential_trial, outcome, tenant_id, verify,
    verify_account,
};
pub use deps::{AppDoor, TokenDeps};
pub use mailbox::{TokenActor, lifecycle, refresh_as_granted, scope_of as service_account_scope};
pub use oauth::{
    AuthorizeRequest, CertificateError, DeviceGrant, DevicePoll, Endpoints, FlowError, KeyFileError,
    OauthClient, TokenAnswer, read_certificate, read_service_account,
};
pub use protocol::{AccessToken, GetAccessToken, GrantChanged, RefreshNow, TokenError, TokenRejected};
