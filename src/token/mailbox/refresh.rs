//! One refresh of one mailbox's grant: leave is asked for, the grant is marked, the request is sent, and the answer is
//! durable before it is used (G2). App-only mailboxes are handed the token that their app shares among them; a service
//! account's have each one of their own (`act_for_user`).

use super::lifecycle::{
    Circumstances, Step, after_failure, before_refresh, with_answer, with_failure, with_secret_inverted,
};
use crate::clock;
use crate::diagnosis::{Facts, catalogue as c, describe};
use crate::domain::app::{AppCredentials, Registration};
use crate::domain::{AppId, Auth, Diagnosis, Grant, GrantSecret, Secret, Timestamp};
use crate::store::{Commit, FULL_PAUSE, Owner, Row, StoreError, StoredMailbox, keep_token};
use crate::token::app::{Outcome, credential_trial, outcome};
use crate::token::deps::{AppDoor, TokenDeps};
use crate::token::oauth::{Endpoints, FlowError, OauthClient, TokenAnswer};
use crate::token::protocol::{GetAppToken, MayRequest, Permit, TokenError, Waiting};

/// What a refresh needs.
#[derive(Clone)]
pub(in crate::token) struct Refresher {
    pub(in crate::token) deps: TokenDeps,
    pub(in crate::token) stored: StoredMailbox,
    pub(in crate::token) owner: Owner,
    pub(in crate::token) app: Option<AppDoor>,
}

/// What is known before a refresh.
#[derive(Clone)]
pub(in crate::token) struct Asked {
    /// How many failed in a row.
    pub(in crate::token) failures: u32,
    /// A person said "now".
    pub(in crate::token) is_urgent: bool,
    /// The token that a server refused.
    pub(in crate::token) refused: Option<Secret>,
}

/// How a refresh ended.
pub(in crate::token) enum Refreshed {
    Token {
        token: Secret,
        issued_at: Timestamp,
        expires_at: Timestamp,
    },
    Refused {
        error: TokenError,
        until: Option<Timestamp>,
    },
    /// It was not sent.
    Waits(Waiting),
    /// The store refuses this actor, or cannot be trusted.
    Fatal(StoreError),
}

/// A request that has leave, and what its end says about others.
struct Sent {
    permit: Permit,
    ended: Outcome,
}

impl Refresher {
    pub(in crate::token) fn grant_generation(&self) -> Option<u64> {
        // an unreadable store is told by the refresh
        self.deps.store.grant(self.owner.mailbox).ok().flatten().map(|row| row.generation)
    }

    pub(in crate::token) async fn refresh(&self, asked: Asked) -> Refreshed {
        match self.stored.mailbox.auth {
            Auth::AppOnly { .. } => return self.shared(asked).await,
            Auth::ServiceAccount { .. } => return self.act_for_user(asked).await,
            Auth::Oauth { .. } | Auth::Password { .. } => {}
        }
        let Some(door) = &self.app else { return refused(TokenError::NoTokens) };
        match self.deps.store.grant(self.owner.mailbox) {
            // without a grant there is nothing to ask leave for
            Ok(None) => return refused(TokenError::NotSignedIn),
            Ok(Some(_)) => {}
            Err(error) => return Refreshed::Fatal(error),
        }
        let permit = match self.leave(door, &asked).await {
            Ok(permit) => permit,
            Err(waiting) => return Refreshed::Waits(waiting),
        };
        let mut sent = Sent { permit, ended: Outcome::Neutral };
        let refreshed = loop {
            match self.refresh_once(asked.failures, &mut sent).await {
                // another grant, or another credential of the app, was put in place: the answer belongs to the old one
                Err(StoreError::Conflict) => sent.ended = Outcome::Neutral,
                Err(error) if error.is_passing() => {
                    let error = TokenError::Store(error.to_string());
                    break Refreshed::Refused { error, until: Some(clock::now().plus(FULL_PAUSE)) };
                }
                Err(error) => break Refreshed::Fatal(error),
                Ok(refreshed) => break refreshed,
            }
        };
        sent.permit.ended(sent.ended).await;
        refreshed
    }

    /// Leave to send a request.
    pub(in crate::token) async fn leave(&self, door: &AppDoor, asked: &Asked) -> Result<Permit, Waiting> {
        let may = MayRequest { mailbox: self.owner.mailbox, urgent: asked.is_urgent };
        door.may.send(may).await.unwrap_or_else(|_| Err(Waiting::for_restart()))
    }

    /// The app's own token.
    async fn shared(&self, asked: Asked) -> Refreshed {
        let Some(door) = &self.app else { return refused(TokenError::NotSignedIn) };
        let message =
            GetAppToken { mailbox: self.owner.mailbox, refused: asked.refused, urgent: asked.is_urgent };
        match door.token.send(message).await.unwrap_or_else(|_| Err(Waiting::for_restart())) {
            Ok(token) => {
                let (issued_at, expires_at) = (token.issued_at, token.expires_at);
                Refreshed::Token { token: token.token, issued_at, expires_at }
            }
            Err(waiting) => Refreshed::Waits(waiting),
        }
    }

    async fn refresh_once(&self, failures: u32, sent: &mut Sent) -> Result<Refreshed, StoreError> {
        let store = &self.deps.store;
        let Some(Row { generation, value: grant }) = store.grant(self.owner.mailbox)? else {
            return Ok(refused(TokenError::NotSignedIn));
        };
        let GrantSecret::Refresh { refresh_token } = &grant.secret else {
            return Ok(refused(TokenError::NoTokens));
        };
        let refresh_token = refresh_token.clone();
        // read after the grant: one that came with another app is not sent by the old one
        let current = store.mailbox(&self.stored.mailbox.id)?;
        if current.is_none_or(|current| current.mailbox.app() != self.stored.mailbox.app()) {
            return Ok(Refreshed::Waits(Waiting::for_restart()));
        }
        let Some(app) = self.stored.mailbox.app().map(|id| store.app(id)).transpose()?.flatten() else {
            return Ok(refused(TokenError::NotSignedIn));
        };
        if !grant.is_issued_to(&app.value.app) {
            return Ok(refused(TokenError::SignInNeeded(Box::new(self.other_client(&grant)))));
        }
        // durable before the request leaves: a start that finds the mark knows that the answer may be lost
        let (mut marked, in_doubt) = before_refresh(grant, clock::now());
        self.put(generation, &marked).await?;
        crate::faults::point("token.marked", &self.stored.mailbox.id);
        let issued_at = clock::now();
        match self.request(&app.value, &refresh_token, &mut marked).await {
            Ok(answer) => {
                crate::faults::point("token.answered", &self.stored.mailbox.id);
                sent.ended = Outcome::Good;
                let mut grant = with_answer(marked, &answer, issued_at);
                grant.app = Some(app.value.app.id.clone());
                grant.registration = Some(Registration::of(&app.value.app));
                keep_token(async || self.put(generation.saturating_add(1), &grant).await).await?;
                crate::faults::point("token.stored", &self.stored.mailbox.id);
                credential_trial::settled(store, &app.value, grant.send_client_secret, Ok(())).await;
                let expires_at = issued_at.plus(answer.expires_in);
                Ok(Refreshed::Token { token: answer.access_token, issued_at, expires_at })
            }
            Err(error) => {
                let around = Circumstances {
                    in_doubt,
                    failures: failures.saturating_add(1),
                    signed_in_at: Some(marked.signed_in_at),
                    now: clock::now(),
                    jitter: rand::random::<f64>(),
                    facts: Facts { address: &self.stored.mailbox.address, ..Facts::of_app(&app.value.app) },
                };
                let verdict = after_failure(&error, &around);
                sent.ended = outcome(&error, verdict.step, &verdict.diagnosis);
                let grant = with_failure(marked, &verdict, around.now);
                self.put(generation.saturating_add(1), &grant).await?;
                if credential_trial::settled(store, &app.value, true, Err(&error)).await {
                    return Err(StoreError::Conflict);
                }
                Ok(refusal(verdict.step, Box::new(verdict.diagnosis)))
            }
        }
    }

    /// The mailbox was given another app than the one that the user signed in through.
    fn other_client(&self, grant: &Grant) -> Diagnosis {
        let app = grant.app.as_ref().map(AppId::as_str).unwrap_or_default();
        let client = grant.registration.as_ref().map(Registration::to_string).unwrap_or_default();
        let said = format!(
            "the user signed in through the app {app} ({client}), and the mailbox has another one now"
        );
        let facts = Facts { address: &self.stored.mailbox.address, ..Facts::default() };
        describe(&c::SIGN_IN_AGAIN, &facts, Some(&said))
    }

    async fn request(
        &self,
        app: &AppCredentials,
        refresh_token: &Secret,
        marked: &mut Grant,
    ) -> Result<TokenAnswer, FlowError> {
        let endpoints = Endpoints::of(&app.app, &self.deps.http).await?;
        let client = OauthClient::new(self.deps.http.clone(), endpoints, app.clone());
        refresh_as_granted(&client, app, refresh_token, marked).await
    }

    async fn put(&self, generation: u64, grant: &Grant) -> Result<(), StoreError> {
        let mut commit = Commit::by(self.owner);
        self.deps.store.put_grant(&mut commit, self.owner.mailbox, generation, grant)?;
        self.deps.store.commit(commit).await.map(drop)
    }
}

/// Whether the secret goes along is what the grant says; what the provider demands instead is tried once, and kept if
/// it works. Before this is called, the grant must say durably that a refresh is in flight.
///
/// # Errors
/// [`FlowError`].
pub async fn refresh_as_granted(
    client: &OauthClient,
    app: &AppCredentials,
    refresh_token: &Secret,
    marked: &mut Grant,
) -> Result<TokenAnswer, FlowError> {
    let scopes = &client.endpoints().scopes;
    let first = client.refresh(refresh_token, scopes, marked.send_client_secret).await;
    let other_way = first.as_ref().is_err_and(FlowError::wants_secret_the_other_way) && app.is_confidential();
    if !other_way {
        return first;
    }
    let second = client.refresh(refresh_token, scopes, !marked.send_client_secret).await?;
    *marked = with_secret_inverted(marked.clone());
    Ok(second)
}

pub(in crate::token) fn refused(error: TokenError) -> Refreshed {
    Refreshed::Refused { error, until: None }
}

pub(in crate::token) fn refusal(step: Step, diagnosis: Box<Diagnosis>) -> Refreshed {
    let (error, until) = match step {
        Step::RetryAt(until) => (TokenError::Unreachable(diagnosis), Some(until)),
        Step::SignIn => (TokenError::SignInNeeded(diagnosis), None),
        Step::NeedsAdmin(until) => (TokenError::NeedsAdmin(diagnosis), Some(until)),
        Step::AppBroken(until) => (TokenError::AppBroken(diagnosis), Some(until)),
    };
    Refreshed::Refused { error, until }
}
