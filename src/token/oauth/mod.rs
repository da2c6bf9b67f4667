//! OAuth 2.0 on the wire: flows, endpoints, assertions, answers.

mod answer;
mod assertion;
mod certificate;
mod endpoints;
pub mod flows;
mod service_account;
mod transport;

pub(crate) use answer::understand;
pub use answer::{FlowError, TokenAnswer};
pub use certificate::{CertificateError, read_certificate};
pub use endpoints::Endpoints;
pub(super) use endpoints::checked;
pub use flows::{AuthorizeRequest, DeviceGrant, DevicePoll, OauthClient};
pub use service_account::{KeyFileError, read_service_account};
pub(super) use transport::fetch;
