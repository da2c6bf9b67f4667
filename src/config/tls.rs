//! Certificates: whom we trust, and what we show.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Trust.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSection {
    /// PEM files of further certificate authorities, for private servers.
    pub extra_ca: Vec<PathBuf>,
}

/// What a listener shows. Both files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM file of the certificate, its chain after it.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}
