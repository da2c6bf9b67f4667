//! Making messages: from a draft (the API's JSON), or from one that is handed over finished.

mod draft;
mod lines;
mod message;
mod raw;

pub use super::address::ascii_domain;
pub use draft::{Draft, DraftAttachment, Person, build};
pub use message::{Built, Fixed, MOST_RECIPIENTS, MimeError};
pub use raw::accept_raw;
