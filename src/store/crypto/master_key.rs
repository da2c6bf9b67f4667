//! The master key: where it comes from, and how another takes its place while the daemon runs.
//!
//! A rotation of a key in a file is three durable steps: `<file>.new` holds the new key, the data key is wrapped with
//! it, `<file>.new` becomes `<file>`. Whoever finds both files uses the one that opens, and finishes or forgets the
//! rotation.

use super::key::{Key, key_bytes, random};
use crate::domain::Secret;
use crate::store::error::StoreError;
use crate::store::files::durable_file;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What the data key is sealed under.
pub(in crate::store) const DATA_KEY_CONTEXT: &[u8] = b"stafette data key";
/// The data key's file.
pub(in crate::store) const WRAPPED: &str = "vault.key";

/// Where the master key comes from.
#[derive(Clone, Debug)]
pub enum MasterKeySource {
    /// A file that holds 32 bytes in base64.
    File(PathBuf),
    /// The key itself in base64, from the environment.
    Given(Secret),
    /// `<data_dir>/master.key`, made at the first start.
    DataDir,
}

/// The bytes of a key.
type Bytes = Zeroizing<[u8; 32]>;

/// A rotation that is done.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RotatedKey {
    /// The file that holds the new key; `None`: it comes from the environment.
    pub kept_in: Option<PathBuf>,
    /// What must be done by hand before the next start.
    pub todo: Option<String>,
}

/// A data directory's master key.
pub(in crate::store) struct MasterKey {
    data_dir: PathBuf,
    source: MasterKeySource,
}

impl MasterKey {
    pub(in crate::store) fn new(data_dir: &Path, source: MasterKeySource) -> Self {
        Self { data_dir: data_dir.to_path_buf(), source }
    }

    /// The data key. A rotation that was cut off is finished, or forgotten if nothing was wrapped by it yet.
    pub(in crate::store) fn unwrap(&self, wrapped: &[u8]) -> Result<Bytes, StoreError> {
        let file = self.file();
        let next = file.as_deref().map(next_to);
        let present = self.present();
        if let Some(data_key) = present.as_ref().ok().and_then(|key| open(key, wrapped)) {
            next.as_deref().map(durable_file::remove_if_there).transpose()?;
            return Ok(data_key);
        }
        if let (Some(file), Some(next)) = (file, next)
            && let Some(text) = durable_file::read_if_there(&next)?
            && let Some(data_key) = open(&decode(&String::from_utf8_lossy(&text), &next)?, wrapped)
        {
            replace(&next, &file)?;
            tracing::info!(path = %file.display(), "finished a rotation of the master key that was cut off");
            return Ok(data_key);
        }
        present?;
        Err(StoreError::vault(
            "the master key does not open this data directory: configure the one it was made with",
        ))
    }

    /// The key of a directory that has none yet; one kept in the directory is made.
    pub(in crate::store) fn first(&self) -> Result<Key, StoreError> {
        if let MasterKeySource::DataDir = self.source {
            let path = self.data_dir.join(FILE);
            if durable_file::read_if_there(&path)?.is_none() {
                let fresh = Zeroizing::new(random::<32>()?);
                durable_file::write_durably(&path, encode(&fresh).as_bytes())?;
                tracing::warn!(path = %path.display(), "made a master key; keep a copy apart from the data, or configure store.master_key_file");
            }
        }
        Ok(Key::new(&*self.present()?))
    }

    /// Puts another key in its place.
    pub(in crate::store) fn rotate(&mut self, given: Option<&Secret>) -> Result<RotatedKey, StoreError> {
        let path = self.data_dir.join(WRAPPED);
        let wrapped = durable_file::read_if_there(&path)?
            .ok_or_else(|| StoreError::vault(format!("{} is gone: put it back", path.display())))?;
        let data_key = self.unwrap(&wrapped)?;
        let fresh = match (given, &self.source) {
            (Some(given), _) => decode(given.expose(), Path::new("master_key"))?,
            (None, MasterKeySource::Given(_)) => {
                return Err(StoreError::vault(
                    "the master key comes from STAFETTE_MASTER_KEY: name the new one here, and give it there from the \
                     next start on",
                ));
            }
            (None, MasterKeySource::File(_) | MasterKeySource::DataDir) => Zeroizing::new(random::<32>()?),
        };
        let rewrapped = Key::new(&fresh).seal(DATA_KEY_CONTEXT, &data_key[..])?;
        let by_hand = |master: &mut Self, todo: String| {
            durable_file::write_durably(&path, &rewrapped)?;
            master.source = MasterKeySource::Given(Secret::new(encode(&fresh).as_str()));
            Ok(RotatedKey { kept_in: None, todo: Some(todo) })
        };
        let Some(file) = self.file() else {
            return by_hand(
                self,
                String::from("give the new key as STAFETTE_MASTER_KEY before the next start"),
            );
        };
        let next = next_to(&file);
        match durable_file::write_durably(&next, encode(&fresh).as_bytes()) {
            Ok(()) => {}
            // a mounted secret: whoever mounts it has the new one
            Err(StoreError::Io { .. }) if given.is_some() => {
                let todo = format!("put the new key into {} before the next start", file.display());
                return by_hand(self, todo);
            }
            Err(error) => return Err(error),
        }
        StoreError::fault_point("master_key.new")?;
        durable_file::write_durably(&path, &rewrapped)?;
        StoreError::fault_point("master_key.wrapped")?;
        replace(&next, &file)?;
        Ok(RotatedKey { kept_in: Some(file), todo: None })
    }

    /// The file that holds it.
    fn file(&self) -> Option<PathBuf> {
        match &self.source {
            MasterKeySource::File(path) => Some(path.clone()),
            MasterKeySource::Given(_) => None,
            MasterKeySource::DataDir => Some(self.data_dir.join(FILE)),
        }
    }

    fn present(&self) -> Result<Bytes, StoreError> {
        let from_file = |path: &Path, gone: &str| {
            durable_file::warn_if_readable(path);
            let text = durable_file::read_if_there(path)?
                .ok_or_else(|| StoreError::vault(format!("{} is {gone}", path.display())))
                .map(Zeroizing::new)?;
            decode(&String::from_utf8_lossy(&text), path)
        };
        match &self.source {
            MasterKeySource::Given(key) => decode(key.expose(), Path::new("STAFETTE_MASTER_KEY")),
            MasterKeySource::File(path) => from_file(path, "not there: the master key is to be in it"),
            MasterKeySource::DataDir => from_file(
                &self.data_dir.join(FILE),
                "gone, and this data directory was made with it: put it back",
            ),
        }
    }
}

/// The name of a key that is kept beside the data.
const FILE: &str = "master.key";

fn next_to(file: &Path) -> PathBuf {
    let mut name = OsString::from(file.as_os_str());
    name.push(".new");
    PathBuf::from(name)
}

fn replace(next: &Path, file: &Path) -> Result<(), StoreError> {
    std::fs::rename(next, file).map_err(StoreError::io("rename", next))?;
    durable_file::sync_parent(file)
}

fn open(master: &Bytes, wrapped: &[u8]) -> Option<Bytes> {
    let opened = Key::new(master).open(DATA_KEY_CONTEXT, wrapped).ok()?;
    key_bytes(&opened).ok()
}

fn encode(key: &[u8; 32]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(key))
}

fn decode(text: &str, whence: &Path) -> Result<Bytes, StoreError> {
    let whence = whence.display();
    let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| {
        StoreError::vault(format!(
            "{whence} is not base64: write 32 random bytes, e.g. `openssl rand -base64 32`"
        ))
    })?);
    key_bytes(&bytes).map_err(|_| StoreError::vault(format!("{whence} must hold 32 bytes in base64")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::crypto::vault::Vault;

    const SEALED: &[u8] = b"secret";

    fn made(dir: &Path, source: &MasterKeySource) -> (Vault, Vec<u8>) {
        let vault = Vault::open(dir, source).unwrap();
        let sealed = vault.data_key().seal(b"ctx", SEALED).unwrap();
        (vault, sealed)
    }

    fn opens(dir: &Path, source: &MasterKeySource, sealed: &[u8]) -> bool {
        let vault = Vault::open(dir, source);
        vault.is_ok_and(|vault| **vault.data_key().open(b"ctx", sealed).unwrap() == *SEALED)
    }

    fn key(byte: u8) -> Secret {
        Secret::new(STANDARD.encode([byte; 32]))
    }

    #[test]
    fn after_a_rotation_the_new_key_opens_and_the_old_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, sealed) = made(dir.path(), &MasterKeySource::DataDir);
        let file = dir.path().join(FILE);
        let old = std::fs::read_to_string(&file).unwrap();
        for _ in 0..2 {
            let rotated = vault.rotate_master_key(None).unwrap();
            assert_eq!(rotated, RotatedKey { kept_in: Some(file.clone()), todo: None });
        }
        assert_ne!(std::fs::read_to_string(&file).unwrap(), old);
        assert!(!next_to(&file).try_exists().unwrap());
        assert!(opens(dir.path(), &MasterKeySource::DataDir, &sealed));
        assert!(!opens(dir.path(), &MasterKeySource::Given(Secret::new(old)), &sealed));
    }

    #[test]
    fn a_key_from_the_environment_is_named_and_used_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let (vault, sealed) = made(dir.path(), &MasterKeySource::Given(key(1)));
        assert!(vault.rotate_master_key(None).unwrap_err().to_string().contains("name the new one"));
        assert!(vault.rotate_master_key(Some(&Secret::new("short"))).is_err());
        assert!(vault.rotate_master_key(Some(&key(2))).unwrap().todo.is_some());
        vault.rotate_master_key(Some(&key(3))).unwrap();
        for (byte, right) in [(1, false), (2, false), (3, true)] {
            assert_eq!(opens(dir.path(), &MasterKeySource::Given(key(byte)), &sealed), right, "{byte}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_left_to_whoever_mounts_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, key(1).expose()).unwrap();
        let source = MasterKeySource::File(file.clone());
        let (vault, sealed) = made(dir.path(), &source);
        // its place is taken by something that no file replaces
        std::fs::create_dir_all(next_to(&file).with_extension("tmp")).unwrap();
        assert!(matches!(vault.rotate_master_key(None), Err(StoreError::Io { .. })));
        assert!(opens(dir.path(), &source, &sealed));
        let rotated = vault.rotate_master_key(Some(&key(2))).unwrap();
        assert!(rotated.todo.unwrap().contains(&file.display().to_string()));
        vault.rotate_master_key(Some(&key(4))).unwrap();
        assert!(!opens(dir.path(), &source, &sealed));
        std::fs::write(&file, key(4).expose()).unwrap();
        assert!(opens(dir.path(), &source, &sealed));
    }

    #[test]
    fn a_rotation_that_was_cut_off_is_finished_or_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, key(1).expose()).unwrap();
        let source = MasterKeySource::File(file.clone());
        let (vault, sealed) = made(dir.path(), &source);
        // the new key was written, and nothing wrapped with it
        std::fs::write(next_to(&file), key(2).expose()).unwrap();
        assert!(opens(dir.path(), &source, &sealed));
        assert!(!next_to(&file).try_exists().unwrap());
        // the data key was wrapped, and the file not replaced
        vault.rotate_master_key(Some(&key(3))).unwrap();
        std::fs::rename(&file, next_to(&file)).unwrap();
        std::fs::write(&file, key(1).expose()).unwrap();
        assert!(opens(dir.path(), &source, &sealed));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), key(3).expose());
        assert!(!next_to(&file).try_exists().unwrap());
    }
}
