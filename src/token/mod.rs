//! Access tokens: the words of the token actors, the OAuth requests, and the decisions when to make them.

mod actor;
mod answer;
mod app_actor;
mod app_checks;
mod assertion;
mod carry;
mod certificate;
mod endpoints;
pub mod flows;
pub mod gate;
pub mod identity;
pub mod lifecycle;
pub mod protocol;
mod refresher;
pub mod trial;
mod verify;

pub use actor::{TokenActor, TokenDeps};
pub use answer::{FlowError, TokenAnswer};
pub use app_actor::{AppActor, outcome};
pub use app_checks::{Check, CheckResult};
pub use certificate::{CertificateError, read as read_certificate};
pub use endpoints::Endpoints;
pub use flows::{AuthorizeRequest, DeviceGrant, DevicePoll, OauthClient};
pub use protocol::{AccessToken, GetAccessToken, GrantChanged, RefreshNow, TokenError, TokenRejected};
pub use refresher::AppDoor;
pub use verify::{Verified, tenant_id, verify};
