//! The shell of a mailbox's tokens: one refresh in flight, the newest refresh token durable before anything
//! else is done with the answer (G2), a valid token served meanwhile.

use super::refresh::{Refreshed, Refresher, Request};
use super::token_state::{Effect, Input, Moment, TokenState};
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
use tokio::sync::oneshot;
use tracing::Instrument;

/// Keeps one mailbox's access token fresh.
pub struct TokenActor {
    refresher: Refresher,
    state: TokenState,
    /// Who waits for the refresh in flight.
    waiting: Vec<oneshot::Sender<Result<AccessToken, TokenError>>>,
    timer: Option<SpawnHandle>,
    guard: ExitGuard,
    span: tracing::Span,
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
            state: TokenState::default(),
            waiting: Vec::new(),
            timer: None,
            guard,
            span,
        }
    }

    /// Takes an input and does what follows from it. An answer goes to `asker`.
    fn take(
        &mut self,
        input: Input,
        mut asker: Option<oneshot::Sender<Result<AccessToken, TokenError>>>,
        context: &mut Context<Self>,
    ) {
        let grant = self.state.needs_grant(&input).then(|| self.refresher.grant_generation()).flatten();
        let moment = Moment { now: clock::now(), jitter: rand::random::<f64>(), grant };
        for effect in self.state.step(input, moment) {
            match effect {
                // whoever asked may be gone: the answer is his alone
                Effect::Answer(answer) => drop(asker.take().map(|asker| asker.send(answer))),
                Effect::Wait => self.waiting.extend(asker.take()),
                Effect::Refresh(request) => self.refresh(request, context),
                Effect::AnswerAll(answer) => {
                    for waiter in std::mem::take(&mut self.waiting) {
                        drop(waiter.send(answer.clone()));
                    }
                }
                Effect::WakeAt(due) => self.wake_at(due, context),
                Effect::Fail(why) => {
                    self.guard.failed(&why);
                    context.stop();
                }
                Effect::End => context.stop(),
            }
        }
    }

    /// The answer to an input of somebody who waits for one.
    fn ask(
        &mut self,
        input: Input,
        context: &mut Context<Self>,
    ) -> impl Future<Output = Result<AccessToken, TokenError>> + use<> {
        let (reply, answer) = oneshot::channel();
        self.take(input, Some(reply), context);
        async move { answer.await.unwrap_or_else(|_| Err(TokenError::restarting())) }
    }

    fn refresh(&mut self, request: Request, context: &mut Context<Self>) {
        crate::faults::point("token.refresh", &self.refresher.stored.mailbox.id);
        let refresher = self.refresher.clone();
        let work = async move { refresher.refresh(request).await }.instrument(self.span.clone());
        context.spawn(work.into_actor(self).map(|refreshed, actor: &mut Self, context| {
            if let Refreshed::Refused { error, .. } = &refreshed {
                tracing::warn!(%error, "no access token");
            }
            actor.take(Input::Ended(refreshed), None, context);
        }));
    }

    /// Ahead of expiry, or again after a failure.
    fn wake_at(&mut self, due: Timestamp, context: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        self.timer = Some(context.run_later(due.since(clock::now()), |actor, context| {
            actor.timer = None;
            actor.take(Input::Due, None, context);
        }));
    }
}

impl Actor for TokenActor {
    type Context = Context<Self>;
}

impl Handler<GetAccessToken> for TokenActor {
    type Result = ResponseFuture<Result<AccessToken, TokenError>>;
    fn handle(&mut self, message: GetAccessToken, context: &mut Self::Context) -> Self::Result {
        Box::pin(self.ask(Input::Wanted(message.min_validity), context))
    }
}

impl Handler<RefreshNow> for TokenActor {
    type Result = ResponseFuture<Result<GrantInfo, TokenError>>;
    fn handle(&mut self, _: RefreshNow, context: &mut Self::Context) -> Self::Result {
        let answer = self.ask(Input::RefreshNow, context);
        let Refresher { deps, owner, stored, .. } = self.refresher.clone();
        Box::pin(async move {
            let token = answer.await?;
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

impl Handler<TokenRejected> for TokenActor {
    type Result = ();
    fn handle(&mut self, message: TokenRejected, context: &mut Self::Context) {
        self.take(Input::Rejected(message.generation), None, context);
    }
}

impl Handler<GrantChanged> for TokenActor {
    type Result = ();
    fn handle(&mut self, _: GrantChanged, context: &mut Self::Context) {
        self.take(Input::GrantChanged, None, context);
    }
}

impl Handler<AskAgain> for TokenActor {
    type Result = ();
    fn handle(&mut self, _: AskAgain, context: &mut Self::Context) {
        self.take(Input::MayAskAgain, None, context);
    }
}

impl Handler<Stop> for TokenActor {
    type Result = ();
    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        self.take(Input::Stop, None, context);
    }
}
