//! The shell of a mailbox's tokens: one refresh in flight, the newest refresh token durable before anything
//! else is done with the answer (G2), a valid token served meanwhile.

use super::lifecycle::{Circumstances, Step, after_failure, before_refresh, may_serve, refresh_at};
use super::lifecycle::{with_answer, with_failure};
use super::protocol::{AccessToken, GetAccessToken, GrantChanged, RefreshNow, TokenError, TokenRejected};
use super::{Endpoints, FlowError, OauthClient, TokenAnswer};
use crate::clock;
use crate::diagnosis::Facts;
use crate::domain::app::AppCredentials;
use crate::domain::{Grant, GrantInfo, GrantSecret, Timestamp};
use crate::protocol::{ExitGuard, Stop};
use crate::store::{Commit, Owner, Row, Store, StoreError, StoredMailbox};
use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, SpawnHandle,
    WrapFuture,
};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::Instrument;

/// What a token actor is given.
#[derive(Clone)]
pub struct TokenDeps {
    /// The store.
    pub store: Store,
    /// The way to ask token endpoints.
    pub http: reqwest::Client,
}

/// Keeps one mailbox's access token fresh.
pub struct TokenActor {
    refresher: Refresher,
    cached: Option<AccessToken>,
    rejected: Option<u64>,
    next_generation: u64,
    /// Who waits for the refresh in flight; `None`: none is in flight.
    waiting: Option<Vec<oneshot::Sender<Result<AccessToken, TokenError>>>>,
    failures: u32,
    /// Why there is no token.
    refused: Option<Refusal>,
    /// How often another grant was put in place.
    changes: u64,
    timer: Option<SpawnHandle>,
    /// To end when the refresh in flight has ended: nobody else would keep its answer.
    ending: bool,
    guard: ExitGuard,
    span: tracing::Span,
}

/// An answer that stands, without asking again, until a time comes or the grant is another one.
struct Refusal {
    error: TokenError,
    until: Option<Timestamp>,
    /// The generation of the grant that was refused.
    grant: Option<u64>,
}

/// The part of the actor that a refresh needs.
#[derive(Clone)]
struct Refresher {
    deps: TokenDeps,
    stored: StoredMailbox,
    owner: Owner,
}

/// How a refresh ended.
enum Refreshed {
    Token {
        token: crate::domain::Secret,
        issued_at: Timestamp,
        expires_at: Timestamp,
    },
    Refused {
        error: TokenError,
        until: Option<Timestamp>,
    },
    /// The store refuses this actor, or cannot be trusted.
    Fatal(StoreError),
}

impl TokenActor {
    /// An actor that is to be started on an arbiter.
    #[must_use]
    pub fn new(deps: TokenDeps, stored: StoredMailbox, owner: Owner, guard: ExitGuard) -> Self {
        let span = tracing::info_span!("token", mailbox = %stored.mailbox.id);
        Self {
            refresher: Refresher { deps, stored, owner },
            cached: None,
            rejected: None,
            next_generation: 1,
            waiting: None,
            failures: 0,
            refused: None,
            changes: 0,
            timer: None,
            ending: false,
            guard,
            span,
        }
    }

    fn ask(
        &mut self,
        min_validity: Option<Duration>,
        context: &mut Context<Self>,
    ) -> oneshot::Receiver<Result<AccessToken, TokenError>> {
        let (reply, answer) = oneshot::channel();
        let now = clock::now();
        let servable = |token: &&AccessToken| {
            min_validity.is_some_and(|wanted| may_serve(token, self.rejected, wanted, now))
        };
        if let Some(token) = self.cached.as_ref().filter(servable) {
            drop(reply.send(Ok(token.clone())));
            return answer;
        }
        if let Some(refusal) = &self.refused
            && refusal.until.is_none_or(|until| until > now)
            // a wake-up may be lost: a grant of another generation is tried whoever told of it
            && refusal.grant == self.refresher.grant_generation()
        {
            drop(reply.send(Err(refusal.error.clone())));
            return answer;
        }
        match &mut self.waiting {
            Some(waiting) => waiting.push(reply),
            None => {
                self.waiting = Some(vec![reply]);
                self.refresh(context);
            }
        }
        answer
    }

    fn refresh(&mut self, context: &mut Context<Self>) {
        crate::faults::point("token.refresh", &self.refresher.stored.mailbox.id);
        let refresher = self.refresher.clone();
        let (failures, changes) = (self.failures, self.changes);
        let work = async move { refresher.refresh(failures).await }.instrument(self.span.clone());
        context.spawn(work.into_actor(self).map(move |refreshed, actor: &mut Self, context| {
            let is_fatal = matches!(refreshed, Refreshed::Fatal(_));
            if !is_fatal && changes != actor.changes && !actor.ending {
                // the answer is about a grant which was replaced meanwhile
                actor.refresh(context);
            } else {
                actor.conclude(refreshed, context);
            }
        }));
    }

    fn conclude(&mut self, refreshed: Refreshed, context: &mut Context<Self>) {
        let result = match refreshed {
            Refreshed::Token { token, issued_at, expires_at } => {
                let generation = self.next_generation;
                self.next_generation = generation.saturating_add(1);
                let token = AccessToken { token, expires_at, generation };
                self.cached = Some(token.clone());
                self.failures = 0;
                self.refused = None;
                // a server that gives no lifetime is not asked without pause
                let due =
                    refresh_at(issued_at, expires_at, rand::random::<f64>()).max(issued_at.plus(SHORTEST));
                self.refresh_later(due, context);
                Ok(token)
            }
            Refreshed::Refused { error, until } => {
                tracing::warn!(%error, "no access token");
                self.failures = self.failures.saturating_add(1);
                let grant = self.refresher.grant_generation();
                self.refused = Some(Refusal { error: error.clone(), until, grant });
                if let Some(until) = until {
                    self.refresh_later(until, context);
                }
                Err(error)
            }
            Refreshed::Fatal(error) => {
                self.guard.failed(&error.to_string());
                context.stop();
                Err(TokenError::Store(error.to_string()))
            }
        };
        for waiter in self.waiting.take().unwrap_or_default() {
            drop(waiter.send(result.clone()));
        }
        if self.ending {
            context.stop();
        }
    }

    /// Ahead of expiry, or again after a failure; a token that is still valid is served meanwhile.
    fn refresh_later(&mut self, due: Timestamp, context: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        self.timer = Some(context.run_later(due.since(clock::now()), |actor, context| {
            actor.timer = None;
            if actor.waiting.is_none() {
                actor.waiting = Some(Vec::new());
                actor.refresh(context);
            }
        }));
    }

    fn forget(&mut self) {
        self.changes = self.changes.saturating_add(1);
        self.cached = None;
        self.refused = None;
        self.failures = 0;
    }
}

impl Refresher {
    fn grant_generation(&self) -> Option<u64> {
        // an unreadable store is told by the refresh
        self.deps.store.grant(self.owner.mailbox).ok().flatten().map(|row| row.generation)
    }

    async fn refresh(&self, failures: u32) -> Refreshed {
        loop {
            match self.refresh_once(failures).await {
                // another grant was put in place meanwhile: the answer belongs to the old one
                Err(StoreError::Conflict) => {}
                Err(StoreError::Full { path }) => {
                    let error = TokenError::Store(StoreError::Full { path }.to_string());
                    return Refreshed::Refused { error, until: Some(clock::now().plus(FULL_PAUSE)) };
                }
                Err(error) => return Refreshed::Fatal(error),
                Ok(refreshed) => return refreshed,
            }
        }
    }

    async fn refresh_once(&self, failures: u32) -> Result<Refreshed, StoreError> {
        let store = &self.deps.store;
        let refused = |error| Ok(Refreshed::Refused { error, until: None });
        let Some(Row { generation, value: grant }) = store.grant(self.owner.mailbox)? else {
            return refused(TokenError::NotSignedIn);
        };
        let GrantSecret::Refresh { refresh_token } = &grant.secret else {
            return refused(TokenError::NoTokens);
        };
        let refresh_token = refresh_token.clone();
        let Some(app) = self.stored.mailbox.app().map(|id| store.app(id)).transpose()?.flatten() else {
            return refused(TokenError::NotSignedIn);
        };
        // durable before the request leaves: a start that finds the mark knows that the answer may be lost
        let (marked, in_doubt) = before_refresh(grant, clock::now());
        self.put(generation, &marked).await?;
        crate::faults::point("token.marked", &self.stored.mailbox.id);
        let issued_at = clock::now();
        match self.request(&app.value, &refresh_token, marked.send_client_secret).await {
            Ok(answer) => {
                crate::faults::point("token.answered", &self.stored.mailbox.id);
                let grant = with_answer(marked, &answer, issued_at);
                self.put_answer(generation.saturating_add(1), &grant).await?;
                crate::faults::point("token.stored", &self.stored.mailbox.id);
                let expires_at = issued_at.plus(answer.expires_in);
                Ok(Refreshed::Token { token: answer.access_token, issued_at, expires_at })
            }
            Err(error) => {
                let around = Circumstances {
                    in_doubt,
                    failures: failures.saturating_add(1),
                    now: clock::now(),
                    jitter: rand::random::<f64>(),
                    facts: Facts {
                        address: &self.stored.mailbox.address,
                        tenant: app.value.app.tenant.as_deref().unwrap_or_default(),
                        client_id: &app.value.app.client_id,
                        ..Facts::default()
                    },
                };
                let verdict = after_failure(&error, &around);
                let grant = with_failure(marked, &verdict, around.now);
                self.put(generation.saturating_add(1), &grant).await?;
                Ok(refusal(verdict.step, Box::new(verdict.diagnosis)))
            }
        }
    }

    async fn request(
        &self,
        app: &AppCredentials,
        refresh_token: &crate::domain::Secret,
        send_secret: bool,
    ) -> Result<TokenAnswer, FlowError> {
        let endpoints = Endpoints::of(&app.app, &self.deps.http).await?;
        let scopes = endpoints.scopes.clone();
        let client = OauthClient::new(self.deps.http.clone(), endpoints, app.clone());
        client.refresh(refresh_token, &scopes, send_secret).await
    }

    async fn put(&self, generation: u64, grant: &Grant) -> Result<(), StoreError> {
        let mut commit = Commit::by(self.owner);
        self.deps.store.put_grant(&mut commit, self.owner.mailbox, generation, grant)?;
        self.deps.store.commit(commit).await.map(drop)
    }

    /// The answer is all there is of the new refresh token: a full disk is waited out with it in hand.
    async fn put_answer(&self, generation: u64, grant: &Grant) -> Result<(), StoreError> {
        loop {
            match self.put(generation, grant).await {
                Err(StoreError::Full { path }) => {
                    tracing::error!(path = %path.display(), "no space left for a refresh token, waiting with it");
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                other => return other,
            }
        }
    }
}

/// Between two refreshes that nobody asked for.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long a full disk is left alone.
const FULL_PAUSE: Duration = Duration::from_secs(2);

fn refusal(step: Step, diagnosis: Box<crate::domain::Diagnosis>) -> Refreshed {
    let (error, until) = match step {
        Step::RetryAt(until) => (TokenError::Unreachable(diagnosis), Some(until)),
        Step::SignIn => (TokenError::SignInNeeded(diagnosis), None),
        Step::NeedsAdmin(until) => (TokenError::NeedsAdmin(diagnosis), Some(until)),
        Step::AppBroken(until) => (TokenError::AppBroken(diagnosis), Some(until)),
    };
    Refreshed::Refused { error, until }
}

impl Actor for TokenActor {
    type Context = Context<Self>;
}

impl Handler<GetAccessToken> for TokenActor {
    type Result = ResponseFuture<Result<AccessToken, TokenError>>;
    fn handle(&mut self, message: GetAccessToken, context: &mut Self::Context) -> Self::Result {
        let answer = self.ask(Some(message.min_validity), context);
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(ended())) })
    }
}

impl Handler<RefreshNow> for TokenActor {
    type Result = ResponseFuture<Result<GrantInfo, TokenError>>;
    fn handle(&mut self, _: RefreshNow, context: &mut Self::Context) -> Self::Result {
        self.refused = None;
        let answer = self.ask(None, context);
        let Refresher { deps, owner, .. } = self.refresher.clone();
        Box::pin(async move {
            answer.await.unwrap_or_else(|_| Err(ended()))?;
            let grant =
                deps.store.grant(owner.mailbox).map_err(|error| TokenError::Store(error.to_string()))?;
            grant.map(|row| row.value.info()).ok_or(TokenError::NotSignedIn)
        })
    }
}

fn ended() -> TokenError {
    TokenError::Store(String::from("the token actor is being restarted"))
}

impl Handler<TokenRejected> for TokenActor {
    type Result = ();
    fn handle(&mut self, message: TokenRejected, _: &mut Self::Context) {
        self.rejected = self.rejected.max(Some(message.generation));
    }
}

impl Handler<GrantChanged> for TokenActor {
    type Result = ();
    fn handle(&mut self, _: GrantChanged, _: &mut Self::Context) {
        self.forget();
    }
}

impl Handler<Stop> for TokenActor {
    type Result = ();
    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        self.ending = true;
        if self.waiting.is_none() {
            context.stop();
        }
    }
}
