//! The shell of a mailbox's tokens: one refresh in flight, the newest refresh token durable before anything
//! else is done with the answer (G2), a valid token served meanwhile.

use super::lifecycle::{may_serve, refresh_at};
use super::refresh::{Asked, Refreshed, Refresher};
use crate::clock;
use crate::domain::grant::LastRefresh;
use crate::domain::{Auth, GrantInfo, GrantWay, Timestamp};
use crate::protocol::{ExitGuard, Stop};
use crate::store::{Owner, StoredMailbox};
use crate::token::deps::{AppDoor, TokenDeps};
use crate::token::protocol::{
    AccessToken, AskAgain, GetAccessToken, GrantChanged, RefreshNow, TokenError, TokenRejected,
};
use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, SpawnHandle,
    WrapFuture,
};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::Instrument;

/// Between two refreshes that nobody asked for.
const SHORTEST: Duration = Duration::from_secs(1);

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
    /// How often it was told that it may ask again.
    mended: u64,
    timer: Option<SpawnHandle>,
    /// A person said "now".
    is_urgent: bool,
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

impl TokenActor {
    /// An actor that is to be started on an arbiter.
    #[must_use]
    pub fn new(
        deps: TokenDeps,
        stored: StoredMailbox,
        owner: Owner,
        app: Option<AppDoor>,
        guard: ExitGuard,
    ) -> Self {
        let span = tracing::info_span!("token", mailbox = %stored.mailbox.id);
        Self {
            refresher: Refresher { deps, stored, owner, app },
            cached: None,
            rejected: None,
            next_generation: 1,
            waiting: None,
            failures: 0,
            refused: None,
            changes: 0,
            mended: 0,
            timer: None,
            is_urgent: false,
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
        let (changes, mended) = (self.changes, self.mended);
        let refused = self.cached.as_ref().filter(|token| Some(token.generation) <= self.rejected);
        let asked = Asked {
            failures: self.failures,
            is_urgent: std::mem::take(&mut self.is_urgent),
            refused: refused.map(|token| token.token.clone()),
        };
        let work = async move { refresher.refresh(asked).await }.instrument(self.span.clone());
        context.spawn(work.into_actor(self).map(move |refreshed, actor: &mut Self, context| {
            let is_fatal = matches!(refreshed, Refreshed::Fatal(_));
            let is_replaced = changes != actor.changes;
            let is_mended = matches!(refreshed, Refreshed::Waits(_)) && mended != actor.mended;
            if !is_fatal && (is_replaced || is_mended) && !actor.ending {
                // the answer is about a grant which was replaced meanwhile, or was overtaken by leave to ask again
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
                let token = AccessToken { token, issued_at, expires_at, generation };
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
            Refreshed::Waits(waiting) => {
                let known = self.refused.take().map(|refusal| refusal.error);
                let error = waiting.error.or(known).unwrap_or_else(ended);
                let until = waiting.until.unwrap_or_else(|| clock::now().plus(SHORTEST));
                let grant = self.refresher.grant_generation();
                self.refused = Some(Refusal { error: error.clone(), until: Some(until), grant });
                self.refresh_later(until, context);
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
        self.is_urgent = true;
        let answer = self.ask(None, context);
        let Refresher { deps, owner, stored, .. } = self.refresher.clone();
        Box::pin(async move {
            let token = answer.await.unwrap_or_else(|_| Err(ended()))?;
            if let Some(info) = without_user(&stored.mailbox.auth, &token) {
                return Ok(info);
            }
            let grant =
                deps.store.grant(owner.mailbox).map_err(|error| TokenError::Store(error.to_string()))?;
            grant.map(|row| row.value.info()).ok_or(TokenError::NotSignedIn)
        })
    }
}

/// What is told where nobody signed in, and no grant is stored.
fn without_user(auth: &Auth, token: &AccessToken) -> Option<GrantInfo> {
    let way = match auth {
        Auth::AppOnly { .. } => GrantWay::AppOnly,
        Auth::ServiceAccount { .. } => GrantWay::ServiceAccount,
        Auth::Oauth { .. } | Auth::Password { .. } => return None,
    };
    Some(GrantInfo {
        way,
        signed_in_as: None,
        signed_in_at: token.issued_at,
        scopes: Vec::new(),
        access_token_expires_at: Some(token.expires_at),
        last_refresh: Some(LastRefresh { at: token.issued_at, result: String::from("ok") }),
    })
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

impl Handler<AskAgain> for TokenActor {
    type Result = ();
    fn handle(&mut self, _: AskAgain, _: &mut Self::Context) {
        self.mended = self.mended.saturating_add(1);
        self.refused = None;
        self.failures = 0;
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
