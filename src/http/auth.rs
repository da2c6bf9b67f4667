//! Who may use the API: the admin key, kept as a hash, compared in constant time.

use super::Shared;
use crate::domain::Secret;
use crate::domain::digest::{same_digest, sha256};
use crate::problem::Problem;
use crate::store::{StoreError, random_text, warn_if_readable, write_durably};
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, web};
use std::path::Path;
use zeroize::Zeroizing;

/// A shorter key could be guessed.
const SHORTEST: usize = 32;

/// The file of the admin key in the data directory.
pub const ADMIN_KEY_FILE: &str = "admin.key";

/// The SHA-256 of the admin key: the given one, else that of `<data_dir>/admin.key`, which the first start writes
/// (mode 0600).
///
/// # Errors
/// [`StoreError::Io`] if the file cannot be read or written, [`StoreError::Vault`] if it or the given key is empty.
pub fn admin_key(data_dir: &Path, given: Option<Secret>) -> Result<[u8; 32], StoreError> {
    let bad = |what: String| Err(StoreError::Vault { what });
    if let Some(key) = given {
        return match key.expose().trim() {
            key if key.len() < SHORTEST => bad(format!(
                "the given admin key has {} characters: give one of {SHORTEST} or more, or none at all",
                key.len()
            )),
            key => Ok(sha256(key)),
        };
    }
    let path = data_dir.join(ADMIN_KEY_FILE);
    match std::fs::read_to_string(&path).map(Zeroizing::new) {
        Ok(text) if text.trim().len() < SHORTEST => bad(format!(
            "{} holds fewer than {SHORTEST} characters: remove it, and the next start writes a new key",
            path.display()
        )),
        Ok(text) => {
            warn_if_readable(&path);
            Ok(sha256(text.trim()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = random_text()?;
            write_durably(&path, format!("{}\n", key.expose()).as_bytes())?;
            tracing::info!(path = %path.display(), "admin key written");
            Ok(sha256(key.expose()))
        }
        Err(source) => Err(StoreError::Io { what: "read", path, source }),
    }
}

/// Lets a request with the right key through.
pub(super) async fn require_key(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = given.and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    let wanted = request.app_data::<web::Data<Shared>>().map(|shared| shared.admin_key_sha256);
    match (key, wanted) {
        (Some(key), Some(wanted)) if same_digest(&sha256(key), &wanted) => next.call(request).await,
        _ => {
            if let (Some(_), Some(shared)) = (key, request.app_data::<web::Data<Shared>>()) {
                shared.wrong_keys.note(request.peer_addr());
            }
            let detail = "send `Authorization: Bearer <key>`; the admin key is in the file admin.key of the data \
                          directory";
            Err(Problem::new(401, "unauthorized", detail).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_start_writes_a_key_that_later_ones_read() {
        let dir = tempfile::tempdir().unwrap();
        let first = admin_key(dir.path(), None).unwrap();
        assert_eq!(admin_key(dir.path(), None).unwrap(), first);
        let path = dir.path().join(ADMIN_KEY_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(sha256(text.trim()), first);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mine = "mine-is-long-enough-not-to-be-guessed";
        assert_eq!(admin_key(dir.path(), Some(Secret::new(mine))).unwrap(), sha256(mine));
        for short in [" ", "x", &"x".repeat(31)] {
            let refused = admin_key(dir.path(), Some(Secret::new(short))).unwrap_err();
            assert!(refused.to_string().contains("32"), "{refused}");
        }
        std::fs::write(&path, "short").unwrap();
        assert!(admin_key(dir.path(), None).is_err());
    }
}
