//! Encryption at rest. A master key wraps one data key; the data key seals secrets and wraps a key per
//! mailbox, which seals that mailbox's packs. Destroying a mailbox's key erases its mail everywhere.

use super::key::{Key, key_bytes, random};
use super::master_key::{DATA_KEY_CONTEXT, MasterKey, MasterKeySource, RotatedKey, WRAPPED};
use crate::domain::{Incarnation, Secret};
use crate::store::error::StoreError;
use crate::store::files::durable_file;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// The data key, and the folder in which the mailboxes' keys lie.
pub struct Vault {
    data_key: Key,
    packs: PathBuf,
    /// One rotation at a time.
    master: Mutex<MasterKey>,
}

impl Vault {
    /// Opens the vault of a data directory, or makes one in an empty directory.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if the master key is missing or is not the one this directory was made with.
    pub fn open(data_dir: &Path, source: &MasterKeySource) -> Result<Self, StoreError> {
        let wrapped_path = data_dir.join(WRAPPED);
        let wrapped = durable_file::read_if_there(&wrapped_path)?;
        let master = MasterKey::new(data_dir, source.clone());
        let packs = data_dir.join("packs");
        let data_key = if let Some(wrapped) = wrapped {
            Key::new(&*master.unwrap(&wrapped)?)
        } else if data_dir.join("state").is_dir() {
            return Err(StoreError::vault(format!(
                "{} is gone, and everything here was sealed with it: put it back",
                wrapped_path.display()
            )));
        } else {
            let fresh = Zeroizing::new(random::<32>()?);
            durable_file::write_durably(&wrapped_path, &master.first()?.seal(DATA_KEY_CONTEXT, &fresh[..])?)?;
            Key::new(&fresh)
        };
        Ok(Self { data_key, packs, master: Mutex::new(master) })
    }

    /// Puts another master key in place of the present one: the one given, else a fresh one. What is sealed stays as
    /// it is, only the data key is wrapped anew. Killed at any point, the next start opens.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if the key is none, or the present one is not there any more; [`StoreError::Io`].
    pub fn rotate_master_key(&self, given: Option<&Secret>) -> Result<RotatedKey, StoreError> {
        self.master.lock().unwrap_or_else(PoisonError::into_inner).rotate(given)
    }

    /// The key that seals secrets.
    #[must_use]
    pub fn data_key(&self) -> &Key {
        &self.data_key
    }

    /// Creates the keys of many mailboxes; one sync of the file system makes them durable.
    ///
    /// # Errors
    /// [`StoreError::Io`] if one cannot be written.
    pub(in crate::store) fn create_mailbox_keys(
        &self,
        incarnations: &[Incarnation],
    ) -> Result<(), StoreError> {
        durable_file::create_folder_durably(&self.packs)?;
        for incarnation in incarnations {
            let folder = self.mailbox_folder(*incarnation);
            let fresh = Zeroizing::new(random::<32>()?);
            let sealed = self.data_key.seal(&mailbox_context(*incarnation), &fresh[..])?;
            durable_file::write_into_new_folder(&folder, "mailbox.key", &sealed)?;
        }
        durable_file::sync_file_system(&self.packs)
    }

    /// A mailbox's key.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if it is gone (the mailbox was erased) or does not open.
    pub fn mailbox_key(&self, incarnation: Incarnation) -> Result<Key, StoreError> {
        let path = self.mailbox_folder(incarnation).join("mailbox.key");
        let sealed = durable_file::read_if_there(&path)?.ok_or_else(|| {
            StoreError::vault(format!("{} is gone: the mailbox's mail cannot be read", path.display()))
        })?;
        let key = self.data_key.open(&mailbox_context(incarnation), &sealed)?;
        let bytes = key_bytes(&key)?;
        Ok(Key::new(&bytes))
    }

    /// The folder of a mailbox's packs and key.
    #[must_use]
    pub fn mailbox_folder(&self, incarnation: Incarnation) -> PathBuf {
        self.packs.join(format!("{:016}", incarnation.0))
    }
}

fn mailbox_context(incarnation: Incarnation) -> Vec<u8> {
    [b"stafette mailbox key ".as_slice(), &incarnation.0.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn a_vault_opens_again_with_its_own_master_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = Vault::open(dir.path(), &MasterKeySource::DataDir).unwrap();
        let sealed = first.data_key().seal(b"ctx", b"secret").unwrap();
        let again = Vault::open(dir.path(), &MasterKeySource::DataDir).unwrap();
        assert_eq!(&**again.data_key().open(b"ctx", &sealed).unwrap(), b"secret");
        assert!(again.data_key().open(b"other", &sealed).is_err());

        let foreign = MasterKeySource::Given(Secret::new(STANDARD.encode([7; 32])));
        assert!(matches!(Vault::open(dir.path(), &foreign), Err(StoreError::Vault { .. })));
    }

    #[test]
    fn a_lost_data_key_is_not_replaced_by_a_fresh_one() {
        let dir = tempfile::tempdir().unwrap();
        drop(crate::store::tests::open(dir.path()));
        std::fs::remove_file(dir.path().join("vault.key")).unwrap();
        let Err(error) = Vault::open(dir.path(), &MasterKeySource::DataDir) else { panic!("opened") };
        assert!(error.to_string().contains("put it back"), "{error}");
    }

    #[test]
    fn a_lost_master_key_is_not_replaced_by_a_fresh_one() {
        let dir = tempfile::tempdir().unwrap();
        drop(Vault::open(dir.path(), &MasterKeySource::DataDir).unwrap());
        std::fs::remove_file(dir.path().join("master.key")).unwrap();
        let Err(error) = Vault::open(dir.path(), &MasterKeySource::DataDir) else { panic!("opened") };
        assert!(error.to_string().contains("put it back"), "{error}");
    }
}
