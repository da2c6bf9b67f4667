//! Encryption at rest. A master key wraps one data key; the data key seals secrets and wraps a key per
//! mailbox, which seals that mailbox's packs. Destroying a mailbox's key erases its mail everywhere.

use super::master_key::{MasterKey, MasterKeySource, RotatedKey};
use super::{StoreError, files};
use crate::domain::{Incarnation, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20::cipher::consts::U10;
use chacha20::hchacha;
use rand::TryRngCore;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Bytes of a nonce of XChaCha20-Poly1305: long enough to be drawn at random.
pub(super) const NONCE: usize = 24;
/// Bytes of the authentication tag.
pub(super) const TAG: usize = 16;

/// One symmetric key.
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    pub(super) fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// XChaCha20-Poly1305 is ChaCha20-Poly1305 with a key and a nonce made of a longer one
    /// (draft-irtf-cfrg-xchacha-03 §2.3). What ring makes of that key is not wiped after use; it opens this one piece.
    fn under(&self, nonce: &[u8; NONCE]) -> Result<(LessSafeKey, Nonce), StoreError> {
        let [begin @ .., _, _, _, _, _, _, _, _] = nonce;
        let subkey = Zeroizing::new(<[u8; 32]>::from(hchacha::<U10>((&*self.0).into(), begin.into())));
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, &*subkey).map_err(|_| vault("a key of another length"))?;
        let mut short = [0; NONCE_LEN];
        short[4..].copy_from_slice(&nonce[16..]);
        Ok((LessSafeKey::new(key), Nonce::assume_unique_for_key(short)))
    }

    /// Seals `plain` under a fresh nonce; `context` must be given again to open it.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if the system gives no randomness.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce = random::<NONCE>()?;
        let mut sealed = [&nonce[..], plain].concat();
        let tag = self.seal_in_place(&nonce, context, sealed.get_mut(NONCE..).unwrap_or_default())?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what [`Key::seal`] sealed under the same context.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if key, context or bytes are not those it was sealed with.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let (nonce, body) =
            sealed.split_first_chunk::<NONCE>().ok_or_else(|| vault("a sealed value is cut short"))?;
        let mut plain = Zeroizing::new(body.to_vec());
        self.open_in_place(nonce, context, &mut plain)?;
        Ok(plain)
    }

    /// Seals a buffer in place and returns its tag.
    pub(super) fn seal_in_place(
        &self,
        nonce: &[u8; NONCE],
        context: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG], StoreError> {
        let (key, nonce) = self.under(nonce)?;
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(context), buffer);
        tag.ok().and_then(|tag| tag.as_ref().try_into().ok()).ok_or_else(|| vault("sealing failed"))
    }

    /// Opens a buffer that ends in its tag; what is left of it is the plain part.
    pub(super) fn open_in_place(
        &self,
        nonce: &[u8; NONCE],
        context: &[u8],
        sealed: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let (key, nonce) = self.under(nonce)?;
        let length = key
            .open_in_place(nonce, Aad::from(context), sealed)
            .map_err(|_| vault("what is sealed does not open: wrong key, or damaged"))?
            .len();
        sealed.truncate(length);
        Ok(())
    }
}

/// The data key, and the folder in which the mailboxes' keys lie.
pub struct Vault {
    data_key: Key,
    packs: PathBuf,
    /// One rotation at a time.
    master: Mutex<MasterKey>,
}

/// What the data key is sealed under.
pub(super) const DATA_KEY_CONTEXT: &[u8] = b"stafette data key";
/// The data key's file.
pub(super) const WRAPPED: &str = "vault.key";

impl Vault {
    /// Opens the vault of a data directory, or makes one in an empty directory.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if the master key is missing or is not the one this directory was made with.
    pub fn open(data_dir: &Path, source: &MasterKeySource) -> Result<Self, StoreError> {
        let wrapped_path = data_dir.join(WRAPPED);
        let wrapped = files::read_if_there(&wrapped_path)?;
        let master = MasterKey::new(data_dir, source.clone());
        let packs = data_dir.join("packs");
        let data_key = if let Some(wrapped) = wrapped {
            Key::new(&*master.unwrap(&wrapped)?)
        } else if data_dir.join("state").is_dir() {
            return Err(vault(format!(
                "{} is gone, and everything here was sealed with it: put it back",
                wrapped_path.display()
            )));
        } else {
            let fresh = Zeroizing::new(random::<32>()?);
            files::write_durably(&wrapped_path, &master.first()?.seal(DATA_KEY_CONTEXT, &fresh[..])?)?;
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

    /// Makes a mailbox's key, durably, before anything is sealed with it.
    ///
    /// # Errors
    /// [`StoreError::Io`] if it cannot be written.
    pub fn create_mailbox_key(&self, incarnation: Incarnation) -> Result<(), StoreError> {
        let folder = self.mailbox_folder(incarnation);
        files::create_folder_durably(&folder)?;
        let fresh = Zeroizing::new(random::<32>()?);
        let sealed = self.data_key.seal(&mailbox_context(incarnation), &fresh[..])?;
        files::write_durably(&folder.join("mailbox.key"), &sealed)
    }

    /// Creates the keys of many mailboxes; one sync of the file system makes them durable.
    ///
    /// # Errors
    /// [`StoreError::Io`] if one cannot be written.
    pub(super) fn create_mailbox_keys(&self, incarnations: &[Incarnation]) -> Result<(), StoreError> {
        files::create_folder_durably(&self.packs)?;
        for incarnation in incarnations {
            let folder = self.mailbox_folder(*incarnation);
            let fresh = Zeroizing::new(random::<32>()?);
            let sealed = self.data_key.seal(&mailbox_context(*incarnation), &fresh[..])?;
            files::write_into_new_folder(&folder, "mailbox.key", &sealed)?;
        }
        files::sync_file_system(&self.packs)
    }

    /// A mailbox's key.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if it is gone (the mailbox was erased) or does not open.
    pub fn mailbox_key(&self, incarnation: Incarnation) -> Result<Key, StoreError> {
        let path = self.mailbox_folder(incarnation).join("mailbox.key");
        let sealed = files::read_if_there(&path)?
            .ok_or_else(|| vault(format!("{} is gone: the mailbox's mail cannot be read", path.display())))?;
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

/// Bytes as a key's.
pub(super) fn key_bytes(bytes: &[u8]) -> Result<Zeroizing<[u8; 32]>, StoreError> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| vault("a key must be 32 bytes"))?;
    Ok(Zeroizing::new(bytes))
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    rand::rngs::OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| vault(format!("the system gives no randomness: {error}")))?;
    Ok(bytes)
}

/// 256 random bits as text.
pub(crate) fn random_text() -> Result<Secret, StoreError> {
    let bytes = Zeroizing::new(random::<32>()?);
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

pub(super) fn vault(what: impl Into<String>) -> StoreError {
    StoreError::Vault { what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn what_is_sealed_is_xchacha20_poly1305() {
        use chacha20poly1305::aead::{Aead, KeyInit, Payload};
        let (secret, context) = (random::<32>().unwrap(), random::<25>().unwrap());
        let (key, peer) = (Key::new(&secret), chacha20poly1305::XChaCha20Poly1305::new(&secret.into()));
        for length in (0..200).chain([4096, 100_001]) {
            let plain: Vec<u8> = (0..length).map(|n: u32| n.to_le_bytes()[n as usize % 3]).collect();
            let payload = Payload { msg: &plain, aad: &context };
            let sealed = key.seal(&context, &plain).unwrap();
            let nonce: [u8; NONCE] = sealed[..NONCE].try_into().unwrap();
            let by_peer = peer.encrypt(&nonce.into(), payload).unwrap();
            assert_eq!(sealed[NONCE..], by_peer);
            assert_eq!(*key.open(&context, &sealed).unwrap(), plain);
            let mut in_place = by_peer;
            key.open_in_place(&nonce, &context, &mut in_place).unwrap();
            assert_eq!(in_place, plain);
        }
    }

    #[test]
    fn a_flipped_bit_or_another_context_does_not_open() {
        let key = Key::new(&[7; 32]);
        let sealed = key.seal(b"here", b"a secret").unwrap();
        assert!(key.open(b"there", &sealed).is_err());
        for place in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[place] ^= 1;
            assert!(key.open(b"here", &broken).is_err(), "byte {place}");
        }
        assert!(key.open(b"here", &sealed[..NONCE + TAG - 1]).is_err());
        assert!(key.open(b"here", &sealed[..NONCE - 1]).is_err());
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
