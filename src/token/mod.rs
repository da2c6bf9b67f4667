//! Access tokens: the words of the token actors, the OAuth requests, and the decisions when to make them.

mod act_for_user;
mod actor;
mod answer;
mod app_actor;
mod app_checks;
mod assertion;
mod carry;
mod certificate;
mod deps;
mod endpoints;
pub mod flows;
pub mod gate;
pub mod identity;
pub mod lifecycle;
pub mod protocol;
mod refresher;
mod request_outcome;
mod service_account;
pub mod trial;
mod verify;
mod verify_account;

pub use act_for_user::scope_of as service_account_scope;
pub use actor::TokenActor;
pub use answer::{FlowError, TokenAnswer};
pub use app_actor::AppActor;
pub use app_checks::{Check, CheckResult};
pub use certificate::{CertificateError, read_certificate};
pub use deps::{AppDoor, TokenDeps};
pub use endpoints::Endpoints;
pub use flows::{AuthorizeRequest, DeviceGrant, DevicePoll, OauthClient};
pub use protocol::{AccessToken, GetAccessToken, GrantChanged, RefreshNow, TokenError, TokenRejected};
pub use refresher::refresh_as_granted;
pub use request_outcome::outcome;
pub use service_account::{KeyFileError, read_service_account};
pub use verify::{Verified, tenant_id, verify};
pub use verify_account::verify_account;
