//! One refresh of one mailbox's grant: leave is asked for, the grant is marked, the request is sent, and the answer is
//! durable before it is used (G2). App-only mailboxes are handed the token that their app shares among them; a service
//! account's have each one of their own (`act_for_user`).

use super::lifecycle::Step;
use crate::clock;
use crate::diagnosis::{Facts, catalogue as c, describe};
use crate::domain::app::Registration;
use crate::domain::{AppId, Auth, Diagnosis, Grant, GrantSecret, MailboxId, Secret, Timestamp};
use crate::store::{Commit, FULL_PAUSE, Owner, Row, StoreError, StoredMailbox};
use crate::token::app::Outcome;
use crate::token::deps::{AppDoor, TokenDeps};
use crate::token::grant_refresh::{GrantRefresh, GrantSlot, RefreshRequest, refresh_grant};
use crate::token::oauth::{Endpoints, FlowError, OauthClient};
use crate::token::protocol::{GetAppToken, MayRequest, Permit, TokenError, Waiting};

/// What a refresh needs.
#[derive(Clone)]
pub(in crate::token) struct Refresher {
    pub(in crate::token) deps: TokenDeps,
    pub(in crate::token) stored: StoredMailbox,
    pub(in crate::token) owner: Owner,
    pub(in crate::token) app: Option<AppDoor>,
}

/// A refresh that is to be made.
#[derive(Clone, Debug)]
pub(in crate::token) struct Request {
    /// How many failed in a row.
    pub(in crate::token) failures: u32,
    /// A person said "now".
    pub(in crate::token) is_urgent: bool,
    /// The token that a server refused.
    pub(in crate::token) refused: Option<Secret>,
}

/// How a refresh ended.
#[derive(Debug)]
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

impl Refresher {
    pub(in crate::token) fn grant_generation(&self) -> Option<u64> {
        // an unreadable store is told by the refresh
        self.deps.store.grant(self.owner.mailbox).ok().flatten().map(|row| row.generation)
    }

    pub(in crate::token) async fn refresh(&self, request: Request) -> Refreshed {
        match self.stored.mailbox.auth {
            Auth::AppOnly { .. } => return self.shared(request).await,
            Auth::ServiceAccount { .. } => return self.act_for_user(request).await,
            Auth::Oauth { .. } | Auth::Password { .. } => {}
        }
        let Some(door) = &self.app else { return refused(TokenError::NoTokens) };
        match self.deps.store.grant(self.owner.mailbox) {
            // without a grant there is nothing to ask leave for
            Ok(None) => return refused(TokenError::NotSignedIn),
            Ok(Some(_)) => {}
            Err(error) => return Refreshed::Fatal(error),
        }
        let permit = match self.leave(door, &request).await {
            Ok(permit) => permit,
            Err(waiting) => return Refreshed::Waits(waiting),
        };
        let (refreshed, outcome) = loop {
            match self.refresh_once(request.failures).await {
                // another grant, or the app's credential of before, is in place: the same with that
                Err(StoreError::Conflict) | Ok(None) => {}
                Err(error) if error.is_passing() => {
                    let error = TokenError::Store(error.to_string());
                    let until = Some(clock::now().plus(FULL_PAUSE));
                    break (Refreshed::Refused { error, until }, Outcome::Neutral);
                }
                Err(error) => break (Refreshed::Fatal(error), Outcome::Neutral),
                Ok(Some(ended)) => break ended,
            }
        };
        permit.ended(outcome).await;
        refreshed
    }

    /// Leave to send a request.
    pub(in crate::token) async fn leave(&self, door: &AppDoor, request: &Request) -> Result<Permit, Waiting> {
        let may = MayRequest { mailbox: self.owner.mailbox, urgent: request.is_urgent };
        door.may.send(may).await.unwrap_or_else(|_| Err(Waiting::for_restart()))
    }

    /// The app's own token.
    async fn shared(&self, request: Request) -> Refreshed {
        let Some(door) = &self.app else { return refused(TokenError::NotSignedIn) };
        let message =
            GetAppToken { mailbox: self.owner.mailbox, refused: request.refused, urgent: request.is_urgent };
        match door.token.send(message).await.unwrap_or_else(|_| Err(Waiting::for_restart())) {
            Ok(token) => {
                let (issued_at, expires_at) = (token.issued_at, token.expires_at);
                Refreshed::Token { token: token.token, issued_at, expires_at }
            }
            Err(waiting) => Refreshed::Waits(waiting),
        }
    }

    /// How one request ended and what it says about others; `None`: it is to be made again.
    async fn refresh_once(&self, failures: u32) -> Result<Option<(Refreshed, Outcome)>, StoreError> {
        let not_sent = |error| Ok(Some((refused(error), Outcome::Neutral)));
        let (store, mailbox) = (&self.deps.store, &self.stored.mailbox);
        let Some(Row { generation, value: grant }) = store.grant(self.owner.mailbox)? else {
            return not_sent(TokenError::NotSignedIn);
        };
        if !matches!(grant.secret, GrantSecret::Refresh { .. }) {
            return not_sent(TokenError::NoTokens);
        }
        // read after the grant: one that came with another app is not sent by the old one
        let current = store.mailbox(&mailbox.id)?;
        if current.is_none_or(|current| current.mailbox.app() != mailbox.app()) {
            return Ok(Some((Refreshed::Waits(Waiting::for_restart()), Outcome::Neutral)));
        }
        let Some(app) = mailbox.app().map(|id| store.app(id)).transpose()?.flatten() else {
            return not_sent(TokenError::NotSignedIn);
        };
        let app = app.value;
        if !grant.is_issued_to(&app.app) {
            return not_sent(TokenError::SignInNeeded(Box::new(self.other_client(&grant))));
        }
        let endpoints = Endpoints::of(&app.app, &self.deps.http).await;
        let client = endpoints
            .map(|endpoints| endpoints.for_mailbox(mailbox))
            .map(|endpoints| OauthClient::new(self.deps.http.clone(), endpoints, app.clone()));
        let signed_in_at = Some(grant.signed_in_at);
        let (client, address) = (client.as_ref().map_err(FlowError::clone), &mailbox.address);
        let request = RefreshRequest { store, app: &app, client, failures, signed_in_at, address };
        let ended = refresh_grant(&mut OwnGrant { refresher: self, generation }, grant, request).await?;
        Ok(ended.map(|ended| {
            let outcome = ended.outcome();
            (concluded(ended), outcome)
        }))
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
}

/// The grant of a mailbox that is in use.
struct OwnGrant<'a> {
    refresher: &'a Refresher,
    /// Of the row that was read or written last.
    generation: u64,
}

impl GrantSlot for OwnGrant<'_> {
    fn points(&self) -> [&'static str; 3] {
        ["token.marked", "token.answered", "token.stored"]
    }

    fn mailbox(&self) -> &MailboxId {
        &self.refresher.stored.mailbox.id
    }

    async fn write(&mut self, grant: &Grant, _: bool) -> Result<(), StoreError> {
        let Refresher { deps, owner, .. } = self.refresher;
        let mut commit = Commit::by(*owner);
        deps.store.put_grant(&mut commit, owner.mailbox, self.generation, grant)?;
        deps.store.commit(commit).await?;
        self.generation = self.generation.saturating_add(1);
        Ok(())
    }
}

/// What a refresh came to whose result is in the store.
fn concluded(ended: GrantRefresh) -> Refreshed {
    match ended {
        GrantRefresh::Fresh { answer, issued_at, .. } => {
            let expires_at = issued_at.plus(answer.expires_in);
            Refreshed::Token { token: answer.access_token, issued_at, expires_at }
        }
        GrantRefresh::Failed { verdict, .. } => refusal(verdict.step, Box::new(verdict.diagnosis)),
    }
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
