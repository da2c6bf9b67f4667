//! The shell of one app: its gate, and the token that all its app-only mailboxes share.

use super::circuit_breaker::{Admission, Gate, Outcome};
use super::credential_trial;
use super::request_outcome::outcome;
use crate::backoff::probe_pause;
use crate::clock;
use crate::diagnosis::Facts;
use crate::domain::app::AppCredentials;
use crate::domain::{AppId, Incarnation, Timestamp};
use crate::token::deps::TokenDeps;
use crate::token::mailbox::{Circumstances, Step, after_failure, refresh_at};
use crate::token::oauth::{FlowError, TokenAnswer};
use crate::token::protocol::{
    AccessToken, AppMended, Ended, GetAppToken, MayRequest, Permit, TokenError, Waiting,
};
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseFuture, WrapFuture};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use tokio::sync::oneshot;

/// A token younger than this is not replaced because one server refused it: that says something about the mailbox.
const YOUNG: Duration = Duration::from_secs(300);

/// Speaks for one app registration to all its mailboxes.
pub struct AppActor {
    deps: TokenDeps,
    app: AppId,
    mended: Recipient<AppMended>,
    gate: Gate,
    queue: VecDeque<Queued>,
    /// The generation of the app that the gate knows.
    known: Option<u64>,
    shared: Option<SharedToken>,
    /// Why there is no such token.
    refused: Option<Refused>,
    /// Who waits for the app's own token; `None`: it is not being asked for.
    waiting: Option<Vec<oneshot::Sender<Result<AccessToken, Waiting>>>>,
}

struct Queued {
    who: Incarnation,
    reply: oneshot::Sender<Result<Permit, Waiting>>,
}

/// A refusal of the app's own token stands for all its mailboxes.
struct Refused {
    waiting: Waiting,
    failures: u32,
    /// The generation of the app that was refused.
    app: u64,
    /// Who heard of it.
    members: BTreeSet<Incarnation>,
}

struct SharedToken {
    token: AccessToken,
    issued_at: Timestamp,
    /// The generation of the app it was got with.
    app: u64,
}

impl AppActor {
    /// An actor that is to be started on an arbiter.
    #[must_use]
    pub fn new(deps: TokenDeps, app: AppId, mended: Recipient<AppMended>) -> Self {
        Self {
            deps,
            app,
            mended,
            gate: Gate::default(),
            queue: VecDeque::new(),
            known: None,
            shared: None,
            refused: None,
            waiting: None,
        }
    }

    /// Reads the app; a change of it gives whatever was wrong another chance.
    fn read(&mut self) -> Result<(u64, AppCredentials), Waiting> {
        let row = self.deps.store.app(&self.app).map_err(|error| broken_store(&error))?;
        let row = row.ok_or(Waiting { error: Some(TokenError::NotSignedIn), until: None })?;
        let rotation = self.deps.store.rotation(&self.app).map_err(|error| broken_store(&error))?;
        self.gate.set_trial(rotation.is_some_and(|row| row.value.on_trial().is_some()));
        if self.known.replace(row.generation).is_some_and(|known| known != row.generation) {
            self.gate.app_changed(clock::now());
        }
        Ok((row.generation, row.value))
    }

    fn admit(&mut self, who: Incarnation, urgent: bool) -> Result<(), Waiting> {
        match self.gate.admit(who, urgent, clock::now()) {
            Admission::Queue => Ok(()),
            Admission::Wait { until, app_broken } => {
                Err(Waiting { error: app_broken.map(TokenError::AppBroken), until: Some(until) })
            }
        }
    }

    /// Lets those in who may leave now, and sends away those before them who may not any more. Whoever is behind the
    /// first one without room is looked at when there is some: a fleet that starts is a long queue.
    fn let_in(&mut self, context: &mut Context<Self>) {
        if self.gate.is_trial() && self.read().is_err() {
            tracing::debug!(app = %self.app, "the app cannot be read, its requests leave one by one");
        }
        while let Some(Queued { who, reply }) = self.queue.pop_front() {
            if reply.is_closed() {
                self.free(who, Outcome::Neutral);
                continue;
            }
            match self.admit(who, false) {
                Err(waiting) => drop(reply.send(Err(waiting))),
                Ok(()) if self.gate.take_room(who) => {
                    let (permit, ended) = Permit::new();
                    let made_with = self.known;
                    // a permit that reaches nobody is dropped, and heard of as every other
                    drop(reply.send(Ok(permit)));
                    context.spawn(ended.into_actor(self).map(move |ended, actor: &mut Self, context| {
                        let ended: Option<Ended> = ended.ok();
                        let (outcome, heard) = ended
                            .map_or((Outcome::Neutral, None), |ended| (ended.outcome, Some(ended.heard)));
                        actor.answered(who, outcome, made_with);
                        drop(heard);
                        actor.let_in(context);
                    }));
                }
                Ok(()) => {
                    self.queue.push_front(Queued { who, reply });
                    break;
                }
            }
        }
    }

    /// What a request with the app as it was came to; of the app as it is now it says nothing.
    fn answered(&mut self, who: Incarnation, outcome: Outcome, made_with: Option<u64>) {
        // whatever cannot be read now counts as it was
        let is_other = self.deps.store.app_generation(&self.app).is_ok_and(|now| now != made_with);
        self.free(who, if is_other { Outcome::Neutral } else { outcome });
    }

    fn free(&mut self, who: Incarnation, outcome: Outcome) {
        let was_broken = self.gate.app_broken().is_some();
        let mailboxes = self.gate.ended(who, outcome, clock::now());
        match (was_broken, self.gate.app_broken()) {
            (false, Some(diagnosis)) => {
                tracing::error!(app = %self.app, code = diagnosis.code, "the app is broken: {}", diagnosis.summary);
            }
            (true, None) => tracing::info!(app = %self.app, "the app works again"),
            (true, Some(_)) | (false, None) => {}
        }
        self.wake(mailboxes);
    }

    /// The app's own token, if it can be handed out without asking.
    fn kept(&self, message: &GetAppToken, app: u64) -> Option<AccessToken> {
        let shared = self.shared.as_ref().filter(|shared| shared.app == app)?;
        let now = clock::now();
        // ahead of the mailboxes' own margins: the first of them to ask renews it for all
        let is_due = now >= refresh_at(shared.issued_at, shared.token.expires_at, 1.0);
        let is_refused = message.refused.as_ref() == Some(&shared.token.token);
        let is_young = now < shared.issued_at.plus(YOUNG);
        // one that is not due outlives whatever is done with it
        (!shared.token.token.is_empty() && !is_due && (!is_refused || is_young)).then(|| shared.token.clone())
    }

    fn ask(&mut self, who: Incarnation, generation: u64, app: AppCredentials, context: &mut Context<Self>) {
        let TokenDeps { http, store } = self.deps.clone();
        let issued_at = clock::now();
        let work = async move {
            let asked = credential_trial::request(&http, &app).await;
            let has_another =
                credential_trial::conclude(&store, &app, true, asked.as_ref().map(|_| ())).await;
            (app, asked, has_another)
        };
        context.spawn(work.into_actor(self).map(
            move |(app, asked, has_another), actor: &mut Self, context| {
                // the credential before is in use again: nobody else has to know
                if let (true, Ok((generation, app))) = (has_another, actor.read()) {
                    actor.ask(who, generation, app, context);
                    return;
                }
                let result = match asked {
                    Ok(answer) => {
                        actor.answered(who, Outcome::Good, Some(generation));
                        Ok(actor.keep(answer, issued_at, generation))
                    }
                    Err(error) => Err(actor.refuse(who, &error, &app, generation)),
                };
                for waiter in actor.waiting.take().unwrap_or_default() {
                    drop(waiter.send(result.clone()));
                }
                actor.let_in(context);
            },
        ));
    }

    fn keep(&mut self, answer: TokenAnswer, issued_at: Timestamp, app: u64) -> AccessToken {
        let number = self.shared.as_ref().map_or(0, |shared| shared.token.generation);
        let expires_at = issued_at.plus(answer.expires_in);
        let generation = number.saturating_add(1);
        let token = AccessToken { token: answer.access_token, issued_at, expires_at, generation };
        self.shared = Some(SharedToken { token: token.clone(), issued_at, app });
        if let Some(refused) = self.refused.take() {
            self.wake(refused.members.into_iter().collect());
        }
        token
    }

    fn refuse(
        &mut self,
        who: Incarnation,
        error: &FlowError,
        app: &AppCredentials,
        generation: u64,
    ) -> Waiting {
        let Refused { failures, mut members, .. } =
            self.refused.take().unwrap_or_else(|| Refused::first(generation));
        members.insert(who);
        let failures = failures.saturating_add(1);
        let around = Circumstances {
            in_doubt: false,
            deserves_another_try: false,
            failures,
            signed_in_at: None,
            now: clock::now(),
            jitter: rand::random::<f64>(),
            facts: Facts::of_app(&app.app),
        };
        let verdict = after_failure(error, &around);
        let found = match outcome(error, verdict.step, &verdict.diagnosis) {
            broken @ Outcome::AppBroken(_) => broken,
            // whatever else it is, it is told to all who ask
            Outcome::Good | Outcome::NeedsFix(_) | Outcome::Neutral => Outcome::Neutral,
        };
        self.answered(who, found, Some(generation));
        let diagnosis = Box::new(verdict.diagnosis);
        let (error, until) = match verdict.step {
            Step::RetryAt(until) => (TokenError::Unreachable(diagnosis), until),
            // there is no user who could sign in
            Step::SignIn => (TokenError::NeedsAdmin(diagnosis), around.now.plus(probe_pause(failures))),
            Step::NeedsAdmin(until) => (TokenError::NeedsAdmin(diagnosis), until),
            Step::AppBroken(until) => (TokenError::AppBroken(diagnosis), until),
        };
        let waiting = Waiting { error: Some(error), until: Some(until) };
        self.refused = Some(Refused { waiting: waiting.clone(), failures, app: generation, members });
        waiting
    }

    /// The refusal that stands for whoever asks now.
    fn standing(&mut self, message: &GetAppToken, app: u64) -> Option<Waiting> {
        let refused = self.refused.as_mut().filter(|refused| refused.app == app && !message.urgent)?;
        refused.members.insert(message.mailbox);
        let stands = refused.waiting.until.is_some_and(|until| until > clock::now());
        stands.then(|| refused.waiting.clone())
    }

    fn wake(&self, mailboxes: Vec<Incarnation>) {
        if !mailboxes.is_empty() && self.mended.try_send(AppMended { mailboxes }).is_err() {
            tracing::debug!(app = %self.app, "a wake-up was lost");
        }
    }
}

impl Refused {
    fn first(app: u64) -> Self {
        let waiting = Waiting { error: None, until: None };
        Self { waiting, failures: 0, app, members: BTreeSet::new() }
    }
}

fn broken_store(error: &crate::store::StoreError) -> Waiting {
    Waiting { error: Some(TokenError::Store(error.to_string())), until: Some(clock::now().plus(YOUNG)) }
}

impl Actor for AppActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(CAPACITY);
    }
}

/// All mailboxes of an app may ask at once.
const CAPACITY: usize = 1 << 20;

impl Handler<MayRequest> for AppActor {
    type Result = ResponseFuture<Result<Permit, Waiting>>;
    fn handle(&mut self, message: MayRequest, context: &mut Self::Context) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        let admitted = self.read().and_then(|_| self.admit(message.mailbox, message.urgent));
        match admitted {
            Err(waiting) => drop(reply.send(Err(waiting))),
            Ok(()) => {
                self.queue.push_back(Queued { who: message.mailbox, reply });
                self.let_in(context);
            }
        }
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(Waiting::for_restart())) })
    }
}

impl Handler<GetAppToken> for AppActor {
    type Result = ResponseFuture<Result<AccessToken, Waiting>>;
    fn handle(&mut self, message: GetAppToken, context: &mut Self::Context) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        match self.read() {
            Err(waiting) => drop(reply.send(Err(waiting))),
            Ok((generation, app)) => {
                if let Some(token) = self.kept(&message, generation) {
                    drop(reply.send(Ok(token)));
                } else if let Some(waiting) = &mut self.waiting {
                    waiting.push(reply);
                } else if let Some(waiting) = self.standing(&message, generation) {
                    drop(reply.send(Err(waiting)));
                } else if let Err(waiting) = self.admit(message.mailbox, message.urgent) {
                    drop(reply.send(Err(waiting)));
                } else {
                    self.waiting = Some(vec![reply]);
                    // one at most: it needs no turn
                    self.gate.take_room(message.mailbox);
                    self.ask(message.mailbox, generation, app, context);
                }
            }
        }
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(Waiting::for_restart())) })
    }
}
