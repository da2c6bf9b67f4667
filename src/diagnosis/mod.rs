//! Server texts and AADSTS codes become diagnoses here: pure and table-driven. Each table row points at an
//! [`Entry`] of the catalogue, which holds every word a person reads.

mod aadsts;
pub mod catalogue;
mod describe;
mod evidence;
mod facts;
mod fill;
mod for_user;
mod imap;
mod language;
mod oauth;
mod oauth_class;
mod smtp;

pub use catalogue::{Entry, Text};
pub use describe::{describe, shown};
pub use evidence::scrub;
pub use facts::Facts;
pub use for_user::{ForUser, Help, for_user};
pub use imap::{ImapFinding, concerns_session, folder_refused, imap};
pub use language::Language;
pub use oauth::{OauthFailure, classify_oauth};
pub use oauth_class::OauthClass;
pub use smtp::{SmtpFinding, SmtpPhase, SmtpScope, smtp};
