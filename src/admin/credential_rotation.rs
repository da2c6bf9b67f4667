//! What the change of an app means for its credential: whether the one before is kept until the new one is proven, and
//! how that is shown.

use crate::diagnosis::{Language, catalogue as c, shown};
use crate::domain::app::AppCredentials;
use crate::domain::{AppId, Credential, MailboxState, Rotation, Timestamp};
use crate::store::{Replaced, Store, StoreError, StoredMailbox};
use serde_json::{Value, json};

/// What speaks for or against keeping the credential before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stake {
    /// A mailbox gets tokens by it.
    is_used: bool,
    /// It is known to be refused.
    is_refused: bool,
}

/// What replacing `old` by `new` means; `on_trial` is what is kept for an earlier replacement.
fn decide(
    old: &AppCredentials,
    new: &AppCredentials,
    on_trial: Option<&Credential>,
    stake: Stake,
    now: Timestamp,
) -> Replaced {
    let (before, after) = (old.credential(), new.credential());
    if !old.is_same_registration(new) {
        return Replaced::ForGood;
    }
    if before.is_same(&after) {
        return Replaced::Nothing;
    }
    let proven = on_trial.unwrap_or(&before);
    let is_dead = stake.is_refused || proven.expires_at.is_some_and(|end| end <= now);
    let is_back = proven.is_same(&after);
    if is_dead || is_back || before.is_none() || after.is_none() || !stake.is_used {
        return Replaced::ForGood;
    }
    Replaced::OnTrial(Box::new(before))
}

/// What replacing an app means for its credential.
pub(super) fn replaced(
    store: &Store,
    old: &AppCredentials,
    new: &AppCredentials,
    now: Timestamp,
) -> Result<Replaced, StoreError> {
    let rotation = store.rotation(&old.app.id)?.map(|row| row.value);
    let stake = stake(store, &old.app.id)?;
    Ok(decide(old, new, rotation.as_ref().and_then(Rotation::on_trial), stake, now))
}

fn stake(store: &Store, app: &AppId) -> Result<Stake, StoreError> {
    let mut stake = Stake { is_used: false, is_refused: false };
    for stored in store.mailboxes()?.iter().filter(|stored| stored.mailbox.app() == Some(app)) {
        stake.is_used |= stored.mailbox.auth.needs_no_user() || store.grant(stored.incarnation)?.is_some();
        stake.is_refused |= stored.mailbox.active && is_refused(store, stored)?;
    }
    Ok(stake)
}

/// Whether the app is broken for this mailbox because its credential is.
fn is_refused(store: &Store, stored: &StoredMailbox) -> Result<bool, StoreError> {
    let status = store.status(stored.incarnation)?.value;
    let entries =
        [&c::SECRET_WRONG, &c::SECRET_EXPIRED, &c::APP_CERTIFICATE, &c::GOOGLE_KEY_REFUSED, &c::APP_REFUSED];
    let code = status.diagnosis.map(|diagnosis| diagnosis.code).unwrap_or_default();
    Ok(status.state == MailboxState::AppBroken && entries.iter().any(|entry| entry.code == code))
}

/// Whether somebody waits for the app to be mended.
pub(super) fn waits(store: &Store, stored: &StoredMailbox) -> Result<bool, StoreError> {
    let state = store.status(stored.incarnation)?.value.state;
    Ok(matches!(state, MailboxState::AppBroken | MailboxState::NeedsAdmin | MailboxState::NeedsSignIn))
}

/// How far the last replacement is, as it is shown.
pub(super) fn view(store: &Store, app: &AppId, language: Language) -> Result<Value, StoreError> {
    let Some(rotation) = store.rotation(app)?.map(|row| row.value) else { return Ok(Value::Null) };
    let diagnosis = rotation.diagnosis.as_ref().map(|found| shown(found, language));
    Ok(json!({"state": rotation.state, "since": rotation.since, "diagnosis": diagnosis}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::App;

    const NOW: Timestamp = Timestamp(1_795_460_342_000);
    const USED: Stake = Stake { is_used: true, is_refused: false };

    fn app(secret: Option<&str>, expires_at: Option<Timestamp>) -> AppCredentials {
        let tenant = Some(String::from("t"));
        App { tenant, secret_expires_at: expires_at, ..App::plain("o365") }.with_secret(secret)
    }

    #[test]
    fn the_one_before_is_kept_if_something_is_at_stake_and_it_is_any_good() {
        let (old, new) = (app(Some("a"), None), app(Some("b"), None));
        let kept = Replaced::OnTrial(Box::new(old.credential()));
        assert_eq!(decide(&old, &new, None, USED, NOW), kept);
        let unused = Stake { is_used: false, ..USED };
        assert_eq!(decide(&old, &new, None, unused, NOW), Replaced::ForGood, "nobody needs it");
        let refused = Stake { is_refused: true, ..USED };
        assert_eq!(decide(&old, &new, None, refused, NOW), Replaced::ForGood, "the app is broken by it");
        assert_eq!(decide(&app(Some("a"), Some(NOW)), &new, None, USED, NOW), Replaced::ForGood, "expired");
        let later = app(Some("a"), Some(Timestamp(NOW.0 + 1)));
        assert_eq!(decide(&later, &new, None, USED, NOW), Replaced::OnTrial(Box::new(later.credential())));
        assert_eq!(decide(&app(None, None), &new, None, USED, NOW), Replaced::ForGood, "the first one");
        assert_eq!(decide(&old, &app(None, None), None, USED, NOW), Replaced::ForGood, "taken away");
    }

    #[test]
    fn another_registration_has_nothing_to_go_back_to() {
        let (old, mut new) = (app(Some("a"), None), app(Some("b"), None));
        new.app.client_id = String::from("other");
        assert_eq!(decide(&old, &new, None, USED, NOW), Replaced::ForGood);
        new.app.client_id = String::from("c");
        new.app.domains = vec![String::from("makler.example")];
        assert_eq!(decide(&old, &new, None, USED, NOW), Replaced::OnTrial(Box::new(old.credential())));
    }

    #[test]
    fn what_is_on_trial_goes_on_is_replaced_or_taken_back() {
        let (first, second, third) = (app(Some("a"), None), app(Some("b"), None), app(Some("c"), None));
        let kept = first.credential();
        let mut renamed = second.clone();
        renamed.app.domains = vec![String::from("makler.example")];
        assert_eq!(decide(&second, &renamed, Some(&kept), USED, NOW), Replaced::Nothing);
        let again = decide(&second, &third, Some(&kept), USED, NOW);
        assert!(matches!(again, Replaced::OnTrial(_)), "the store keeps the first one");
        assert_eq!(decide(&second, &first, Some(&kept), USED, NOW), Replaced::ForGood, "back by hand");
    }
}
