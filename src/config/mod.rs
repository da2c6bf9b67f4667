//! Configuration: a file, then the environment, over defaults that start with neither.
//!
//! Unknown keys are errors. The commented file `config/stafette.toml` shows every key with its default.

mod brand;
mod env;
mod error;
mod net;
mod providers;
mod root;
mod sections;
mod signin;
mod timing;
mod tls;

pub use brand::BrandSection;
pub use error::ConfigError;
pub use net::{IpFamily, NetSection};
pub use providers::{Note, OauthPreset, PasswordKind, Provider, TenantPreset};
pub use root::Config;
pub use sections::{DataDir, EventsSection, HttpConfig, LogSection, NotifySection, StoreSection};
pub use signin::SignInSection;
pub use timing::Timing;
pub use tls::{TlsFiles, TlsSection};
