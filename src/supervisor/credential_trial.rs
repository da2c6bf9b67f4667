//! Trials of new credentials: one mailbox refreshes its token at once, so that an administrator sees within seconds
//! whether the identity provider takes the new credential. What its answer means is decided in
//! `token::credential_trial`.

use super::Supervisor;
use super::protocol::TryCredential;
use crate::clock;
use crate::domain::{AppId, Auth, Grant, Incarnation, Rotation, Timestamp};
use crate::store::{Row, Store, StoreError};
use crate::token::credential_trial;
use crate::token::{RefreshNow, TokenActor, TokenDeps, TokenError};
use actix::{ActorFutureExt, Addr, AsyncContext, Context, Handler, WrapFuture};
use std::collections::BTreeMap;
use std::time::Duration;

/// A trial that found nothing out is repeated after this.
const AGAIN: Duration = Duration::from_secs(60);
/// A credential that nobody could prove for so long stays without proof.
const UNPROVEN_FOR: Duration = Duration::from_secs(24 * 3600);
/// Mailboxes whose refreshes may fail for reasons of their own before the app is tried without one.
const MAILBOXES: usize = 5;
/// Refreshes of one mailbox: one that was in flight when the credential was replaced says nothing of the new one.
const TRIES: usize = 2;

/// Who may try.
type Candidate = (Incarnation, Addr<TokenActor>);

impl Supervisor {
    /// Begins the trials that are due, also those of before a start, or whose message was lost.
    pub(super) fn continue_trials(&mut self, context: &mut Context<Self>) {
        let on_trial = self.token_deps().store.apps_on_trial().unwrap_or_else(|error| {
            tracing::error!(%error, "it cannot be read which credentials are on trial");
            Vec::new()
        });
        self.trials.not_before.retain(|app, _| on_trial.iter().any(|(id, _)| id == app));
        for (app, since) in on_trial {
            let is_due = self.trials.not_before.get(&app).is_none_or(|due| *due <= clock::monotonic());
            if is_due {
                self.begin_credential_trial(app, since, context);
            }
        }
    }

    fn begin_credential_trial(&mut self, app: AppId, since: Timestamp, context: &mut Context<Self>) {
        if !self.trials.running.insert(app.clone()) {
            return;
        }
        let (deps, actors) = (self.token_deps().clone(), self.token_actors(&app));
        let work = async move {
            let ended = attempt(&deps, &app, since, actors).await;
            (app, ended)
        };
        context.spawn(work.into_actor(self).map(|(app, ended), supervisor: &mut Self, _| {
            if let Err(error) = ended {
                tracing::error!(%app, %error, "a credential's trial was cut off, and is repeated");
            }
            supervisor.trials.running.remove(&app);
            supervisor.trials.not_before.insert(app, clock::monotonic() + AGAIN);
        }));
    }
}

impl Handler<TryCredential> for Supervisor {
    type Result = ();
    fn handle(&mut self, message: TryCredential, context: &mut Self::Context) {
        self.begin_credential_trial(message.app, clock::now(), context);
    }
}

/// Refreshes one mailbox after another until one of them found it out.
async fn attempt(
    deps: &TokenDeps,
    app: &AppId,
    since: Timestamp,
    actors: Vec<Candidate>,
) -> Result<(), StoreError> {
    let store = &deps.store;
    for (_, actor) in best(store, actors).await?.into_iter().take(MAILBOXES) {
        for _ in 0..TRIES {
            let refreshed = actor.send(RefreshNow).await;
            if !is_on_trial(store, app)? {
                return Ok(());
            }
            match refreshed {
                Ok(Ok(_)) => {}
                // nobody else fares better now, and this one tries again by itself
                Ok(Err(TokenError::Unreachable(_) | TokenError::Throttled { .. })) => return Ok(()),
                // what it failed for is its own business
                Ok(Err(_)) | Err(_) => break,
            }
        }
    }
    credential_trial::probe(&deps.http, store, app).await?;
    let read = store.rotation(app)?.filter(|row| row.value.on_trial().is_some());
    // one that was entered since then has a day of its own
    let is_due = |read: &Row<Rotation>| read.value.since <= since && clock::now() >= since.plus(UNPROVEN_FOR);
    match read.filter(is_due) {
        Some(read) => {
            tracing::warn!(%app, "nobody could prove the app's new credential; the one before is erased");
            store.end_rotation(app, &read).await
        }
        None => Ok(()),
    }
}

fn is_on_trial(store: &Store, app: &AppId) -> Result<bool, StoreError> {
    Ok(store.rotation(app)?.is_some_and(|row| row.value.on_trial().is_some()))
}

/// Those whose requests carry the credential, whoever refreshed well the last time first.
async fn best(store: &Store, actors: Vec<Candidate>) -> Result<Vec<Candidate>, StoreError> {
    let store = store.clone();
    let ranked = tokio::task::spawn_blocking(move || {
        let auths: BTreeMap<Incarnation, Auth> =
            store.mailboxes()?.into_iter().map(|stored| (stored.incarnation, stored.mailbox.auth)).collect();
        let mut ranked = Vec::new();
        for candidate in actors {
            let grant = store.grant(candidate.0)?.map(|row| row.value);
            let rank = auths.get(&candidate.0).and_then(|auth| rank(auth, grant.as_ref()));
            ranked.extend(rank.map(|rank| (rank, candidate)));
        }
        ranked.sort_by_key(|(rank, (mailbox, _))| (*rank, *mailbox));
        Ok(ranked.into_iter().map(|(_, candidate)| candidate).collect())
    });
    ranked.await.map_err(|_| StoreError::Closed)?
}

/// How good a mailbox is for a trial, 0 is best; `None`: its requests do not carry the credential.
fn rank(auth: &Auth, grant: Option<&Grant>) -> Option<u8> {
    if auth.needs_no_user() {
        return Some(0);
    }
    let grant = grant.filter(|grant| grant.send_client_secret)?;
    Some(match &grant.last_refresh {
        Some(last) if last.result == "ok" => 0,
        None => 1,
        Some(_) => 2,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grant::LastRefresh;
    use crate::domain::{App, GrantSecret, GrantWay, ProviderKind, RotationState, Secret};
    use crate::net::{Dialer, NetConfig};
    use crate::store::{Replaced, StoreConfig};

    fn grant(send_client_secret: bool, last: Option<&str>) -> Grant {
        Grant {
            send_client_secret,
            last_refresh: last.map(|result| LastRefresh { at: Timestamp(0), result: String::from(result) }),
            ..Grant::new(
                GrantWay::Redirect,
                GrantSecret::Refresh { refresh_token: Secret::new("r") },
                Timestamp(0),
            )
        }
    }

    #[test]
    fn who_is_asked_sends_the_credential_and_rather_refreshed_well_before() {
        let id = || AppId::new("o365").unwrap();
        let oauth = Auth::Oauth { app: Some(id()), login: None, aliases: Vec::new(), delegates: Vec::new() };
        for (found, expected) in [
            (rank(&Auth::AppOnly { app: id() }, None), Some(0)),
            (rank(&Auth::ServiceAccount { app: id(), login: None }, None), Some(0)),
            (rank(&oauth, Some(&grant(true, Some("ok")))), Some(0)),
            (rank(&oauth, Some(&grant(true, None))), Some(1)),
            (rank(&oauth, Some(&grant(true, Some("sign_in_again")))), Some(2)),
            (rank(&oauth, Some(&grant(false, Some("ok")))), None),
            (rank(&oauth, None), None),
        ] {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_credential_that_nobody_can_prove_stays_after_a_day_and_the_one_before_goes() {
        let dir = tempfile::tempdir().unwrap();
        let id = AppId::new("google").unwrap();
        // Google gives no token without a user, and no user is there
        let app = |secret: &str| {
            let app = App { provider: ProviderKind::Google, ..App::plain("google") };
            app.with_secret(Some(secret))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Store::open(&StoreConfig::at(dir.path())).unwrap();
            let http = Dialer::new(NetConfig::default()).unwrap().http_client(AGAIN).unwrap();
            let deps = TokenDeps { store: store.clone(), http };
            store.put_app(&app("old"), 0).await.unwrap();
            let on_trial = Replaced::OnTrial(Box::new(app("old").credential()));
            store.replace_app(&app("new"), 1, on_trial, Timestamp(0)).await.unwrap();
            let now = clock::now();
            attempt(&deps, &id, now, Vec::new()).await.unwrap();
            let kept = store.rotation(&id).unwrap().unwrap().value;
            assert_eq!((kept.state, kept.previous.is_some()), (RotationState::Trying, true));
            let yesterday = Timestamp(now.0 - i64::try_from(UNPROVEN_FOR.as_millis()).unwrap());
            attempt(&deps, &id, yesterday, Vec::new()).await.unwrap();
            assert!(store.rotation(&id).unwrap().is_none());
            let used = store.app(&id).unwrap().unwrap().value.client_secret.unwrap();
            assert_eq!(used.expose(), "new");
        });
    }
}
