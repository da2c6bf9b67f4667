//! OAuth `state`s that speak of an app and not of a mailbox: sealed, so that whoever holds one can neither read nor make
//! one, and nothing has to be kept until it comes back.

use crate::domain::Secret;
use crate::store::error::StoreError;
use crate::store::format::codec;
use crate::store::handle::Store;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What they begin with; those of sign-ins begin with an id.
const PREFIX: &str = "app.";
const CONTEXT: &[u8] = b"an app's oauth state";

impl Store {
    /// A `state` that says this, once it is back.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if it cannot be sealed.
    pub fn seal_app_state(&self, value: &impl Serialize) -> Result<Secret, StoreError> {
        let plain = zeroize::Zeroizing::new(codec::to_json(value)?);
        let sealed = self.inner.vault.data_key().seal(CONTEXT, &plain)?;
        Ok(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed))))
    }

    /// What a `state` of ours says; `None`: it is not one of these.
    #[must_use]
    pub fn open_app_state<T: DeserializeOwned>(&self, state: &str) -> Option<T> {
        let sealed = URL_SAFE_NO_PAD.decode(state.strip_prefix(PREFIX)?).ok()?;
        let plain = self.inner.vault.data_key().open(CONTEXT, &sealed).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::open;

    #[test]
    fn only_what_was_sealed_here_comes_back() {
        let [dir, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let (store, stranger) = (open(dir.path()), open(other.path()));
        let state = store.seal_app_state(&"o365").unwrap();
        assert!(!state.expose().contains("o365") && state.expose().starts_with("app."));
        assert_eq!(store.open_app_state::<String>(state.expose()).as_deref(), Some("o365"));
        assert_eq!(stranger.open_app_state::<String>(state.expose()), None);
        let mut forged = state.expose().to_owned().into_bytes();
        let last = forged.len() - 5;
        forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
        for text in ["", "app.", "app.AAAA", "01JD.x", std::str::from_utf8(&forged).unwrap()] {
            assert_eq!(store.open_app_state::<String>(text), None, "{text}");
        }
    }
}
