//! Whose pages users see.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Whose pages users see: they are asked to sign in, and have to know for whom and what for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrandSection {
    /// The organisation's name.
    pub name: String,
    /// Its logo: an SVG, PNG or JPEG file of at most 64 KiB.
    pub logo: Option<PathBuf>,
    /// The application that the mailboxes are connected to.
    pub application: Option<String>,
    /// Whom users ask: a name, a phone number, an address.
    pub contact: Option<String>,
}

impl Default for BrandSection {
    fn default() -> Self {
        Self { name: String::from("Stafette"), logo: None, application: None, contact: None }
    }
}
