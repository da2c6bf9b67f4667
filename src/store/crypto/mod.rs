//! Encryption at rest: the master key, the data key, a key for each mailbox.

mod key;
mod master_key;
mod vault;

pub use key::Key;
pub(crate) use key::random_text;
pub(super) use key::{NONCE, TAG, random};
pub use master_key::{MasterKeySource, RotatedKey};
pub(super) use vault::Vault;
