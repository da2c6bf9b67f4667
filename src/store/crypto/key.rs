//! Symmetric keys, what they seal, and randomness for them.

use crate::domain::Secret;
use crate::store::error::StoreError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20::cipher::consts::U10;
use chacha20::hchacha;
use rand::TryRngCore;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes of a nonce of XChaCha20-Poly1305: long enough to be drawn at random.
pub(in crate::store) const NONCE: usize = 24;

/// Bytes of the authentication tag.
pub(in crate::store) const TAG: usize = 16;

/// One symmetric key.
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    pub(in crate::store) fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// XChaCha20-Poly1305 is ChaCha20-Poly1305 with a key and a nonce made of a longer one
    /// (draft-irtf-cfrg-xchacha-03 §2.3). What ring makes of that key is not wiped after use; it opens this one piece.
    fn under(&self, nonce: &[u8; NONCE]) -> Result<(LessSafeKey, Nonce), StoreError> {
        let [begin @ .., _, _, _, _, _, _, _, _] = nonce;
        let subkey = Zeroizing::new(<[u8; 32]>::from(hchacha::<U10>((&*self.0).into(), begin.into())));
        let key = UnboundKey::new(&CHACHA20_POLY1305, &*subkey)
            .map_err(|_| StoreError::vault("a key of another length"))?;
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
        let (nonce, body) = sealed
            .split_first_chunk::<NONCE>()
            .ok_or_else(|| StoreError::vault("a sealed value is cut short"))?;
        let mut plain = Zeroizing::new(body.to_vec());
        self.open_in_place(nonce, context, &mut plain)?;
        Ok(plain)
    }

    /// Seals a buffer in place and returns its tag.
    pub(in crate::store) fn seal_in_place(
        &self,
        nonce: &[u8; NONCE],
        context: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG], StoreError> {
        let (key, nonce) = self.under(nonce)?;
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(context), buffer);
        tag.ok()
            .and_then(|tag| tag.as_ref().try_into().ok())
            .ok_or_else(|| StoreError::vault("sealing failed"))
    }

    /// Opens a buffer that ends in its tag; what is left of it is the plain part.
    pub(in crate::store) fn open_in_place(
        &self,
        nonce: &[u8; NONCE],
        context: &[u8],
        sealed: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let (key, nonce) = self.under(nonce)?;
        let length = key
            .open_in_place(nonce, Aad::from(context), sealed)
            .map_err(|_| StoreError::vault("what is sealed does not open: wrong key, or damaged"))?
            .len();
        sealed.truncate(length);
        Ok(())
    }
}

/// Bytes as a key's.
pub(in crate::store) fn key_bytes(bytes: &[u8]) -> Result<Zeroizing<[u8; 32]>, StoreError> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| StoreError::vault("a key must be 32 bytes"))?;
    Ok(Zeroizing::new(bytes))
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    rand::rngs::OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| StoreError::vault(format!("the system gives no randomness: {error}")))?;
    Ok(bytes)
}

/// 256 random bits as text.
pub(crate) fn random_text() -> Result<Secret, StoreError> {
    let bytes = Zeroizing::new(random::<32>()?);
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
