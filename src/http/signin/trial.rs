//! The trial of one refresh token of another system, each step durable before the next (G2): the mark that it is on its
//! way, the request, the answer; then whose it is, whether it opens the mailbox, and whether it may send. Only then does
//! it take the place of the grant that was there, which works on until then.
//!
//! A token that the provider refuses for good is dropped, and its user asked to sign in. Whatever else fails is tried
//! again: by itself, when the app or the mailbox is changed, or when a person says "now". A refused SMTP AUTH drops
//! nothing where mail is received: it is told in the sign-in that succeeded.

mod by_app;

use super::super::Shared;
use super::super::problem::Problem;
use super::account::{Unknown, told_of_refresh};
use super::board::{Next, Turn, Why};
use super::candidate::{end, is_overtaken, keep, put, put_answer, settle};
use super::redeem::Provider;
use crate::clock;
use crate::diagnosis::{Facts, catalogue as c, describe};
use crate::domain::{
    AppId, Auth, Diagnosis, Grant, GrantSecret, Incarnation, RetryClass, Secret, SignedInAs,
};
use crate::events::{EventDraft, EventType};
use crate::notify::InviteError;
use crate::store::{Commit, Row, SignIn, SignInState, StoreError, StoredMailbox};
use crate::supervisor::protocol::RequestPermit;
use crate::token::circuit_breaker::{Outcome, probe_pause};
use crate::token::credential_trial as credential;
use crate::token::identity::{Claims, Identity, IdentityError};
use crate::token::lifecycle::{
    Circumstances, Step, Verdict, after_failure, before_refresh, pause, with_answer, with_failure,
};
use crate::token::protocol::{Permit, Waiting};
use crate::token::{FlowError, TokenAnswer, outcome, refresh_as_granted};
use std::time::Duration;

/// How long a full disk, or somebody else's write, is left alone.
const SOON: Duration = Duration::from_secs(2);

/// Tries what a mailbox has to be tried.
pub(super) async fn trial(shared: &Shared, turn: Turn) -> Next {
    match attempt(shared, turn).await {
        Ok(next) => next,
        Err(problem) => {
            if !problem.is_conflict() {
                tracing::warn!(mailbox = %turn.mailbox, error = %problem, "a token is not taken over yet");
            }
            let until = clock::now().plus(SOON.max(pause(turn.failures.saturating_add(1), 0.0)));
            Next::Again { until, app: None, why: Why::Other }
        }
    }
}

/// The sign-in of a mailbox that goes on without a user.
pub(super) fn pending(shared: &Shared, mailbox: Incarnation) -> Result<Option<Row<SignIn>>, StoreError> {
    let handed_in = shared.store.take_over(mailbox)?.filter(|row| row.value.is_to_be_tried());
    match handed_in {
        Some(row) => Ok(Some(row)),
        None => Ok(shared.store.moved_by_app(mailbox)?.filter(|row| row.value.is_to_be_tried())),
    }
}

async fn attempt(shared: &Shared, turn: Turn) -> Result<Next, Problem> {
    let Some(mut row) = pending(shared, turn.mailbox)? else { return Ok(Next::Settled) };
    let stored = shared.store.mailbox(&row.value.mailbox)?;
    let stored = stored.filter(|stored| {
        let is_it = stored.incarnation == row.value.incarnation;
        let fits = match &stored.mailbox.auth {
            Auth::Oauth { .. } => !row.value.by_app,
            Auth::AppOnly { .. } => row.value.by_app,
            Auth::ServiceAccount { .. } | Auth::Password { .. } => false,
        };
        is_it && fits && row.value.expires_at > clock::now()
    });
    let Some(stored) = stored else {
        end(shared, &mut row, SignInState::Expired, None).await?;
        return Ok(Next::Settled);
    };
    let mut case = Case { shared, row, stored, turn };
    if case.row.value.by_app {
        return case.prove_app().await;
    }
    if is_overtaken(shared, &case.row.value)? {
        return case.drop_it().await;
    }
    if let Some(found) = case.foreign_app() {
        return case.not_yet(found).await;
    }
    let provider = match Provider::of(shared, &case.row.value, &case.stored).await? {
        Ok(provider) => provider,
        Err(error) => {
            let verdict = case.verdict(&error, false, case.facts());
            return case.again(verdict.step, verdict.diagnosis, Why::App).await;
        }
    };
    let (grant, answer) = match case.tokens(&provider).await? {
        Ok(tokens) => tokens,
        Err(next) => return Ok(next),
    };
    let who = match case.account(&provider, &answer).await? {
        Ok(claims) => claims,
        Err(next) => return Ok(next),
    };
    if let Some(identity) = case.misfit(&provider, who.as_ref())? {
        return case.wrong_account(&provider, grant, identity).await;
    }
    case.prove(grant, answer.access_token).await
}

/// One token under trial.
struct Case<'a> {
    shared: &'a Shared,
    row: Row<SignIn>,
    stored: StoredMailbox,
    turn: Turn,
}

impl Case<'_> {
    fn app(&self) -> Option<AppId> {
        self.row.value.app_for(&self.stored.mailbox).cloned()
    }

    fn facts(&self) -> Facts<'_> {
        Facts { address: &self.stored.mailbox.address, ..Facts::default() }
    }

    /// That the mailbox has another app by now: no other client may send the token. It waits for its own.
    fn foreign_app(&self) -> Option<Diagnosis> {
        let own = self.row.value.imported.as_ref()?.app.as_ref()?;
        let now = self.app().filter(|now| now != own)?;
        let said = format!("the refresh token was handed in for the app {own}, and the mailbox has {now}");
        Some(describe(&c::REQUEST_REFUSED, &Facts { detail: &said, ..self.facts() }, Some(&said)))
    }

    async fn drop_it(&mut self) -> Result<Next, Problem> {
        end(self.shared, &mut self.row, SignInState::Expired, None).await?;
        Ok(Next::Settled)
    }

    fn verdict(&self, error: &FlowError, in_doubt: bool, facts: Facts<'_>) -> Verdict {
        let failures = self.turn.failures.saturating_add(1);
        let (now, jitter) = (clock::now(), rand::random::<f64>());
        let around = Circumstances { in_doubt, failures, signed_in_at: None, now, jitter, facts };
        after_failure(error, &around)
    }

    /// Fresh tokens, the new refresh token durable in the candidate.
    async fn tokens(&mut self, provider: &Provider) -> Result<Result<(Grant, TokenAnswer), Next>, Problem> {
        let Some(candidate) = self.row.value.candidate.clone() else { return Ok(Err(Next::Settled)) };
        let GrantSecret::Refresh { refresh_token } = candidate.secret.clone() else {
            return Ok(Err(self.drop_it().await?));
        };
        let permit = match self.leave().await {
            Ok(permit) => permit,
            Err(waiting) => return Ok(Err(self.sent_away(waiting).await?)),
        };
        let _answer_is_waited_for = self.shared.on_their_way.read().await;
        let (mut marked, in_doubt) = before_refresh(candidate, clock::now());
        self.row.value.candidate = Some(marked.clone());
        self.row.value.state = SignInState::Probing;
        put(self.shared, &mut self.row).await?;
        crate::faults::point("take_over.marked", &self.stored.mailbox.id);
        let issued_at = clock::now();
        match refresh_as_granted(&provider.client, &provider.app, &refresh_token, &mut marked).await {
            Ok(answer) => {
                crate::faults::point("take_over.answered", &self.stored.mailbox.id);
                permit.ended(Outcome::Good).await;
                self.app().iter().for_each(|app| self.shared.trials.app_mended(app));
                let grant = with_answer(marked, &answer, issued_at);
                self.row.value.candidate = Some(grant.clone());
                self.row.value.diagnosis = None;
                put_answer(self.shared, &mut self.row).await?;
                crate::faults::point("take_over.stored", &self.stored.mailbox.id);
                let sent = grant.send_client_secret;
                credential::settle(&self.shared.store, &provider.app, sent, Ok(())).await?;
                Ok(Ok((grant, answer)))
            }
            Err(error) => {
                let verdict = self.verdict(&error, in_doubt, provider.facts(&self.stored));
                self.row.value.candidate = Some(with_failure(marked, &verdict, clock::now()));
                if credential::settle(&self.shared.store, &provider.app, true, Err(&error)).await? {
                    // the one before is in use again
                    let at_once = Step::RetryAt(clock::now());
                    return Ok(Err(self.again(at_once, verdict.diagnosis, Why::App).await?));
                }
                permit.ended(outcome(&error, verdict.step, &verdict.diagnosis)).await;
                Ok(Err(self.again(verdict.step, verdict.diagnosis, Why::App).await?))
            }
        }
    }

    /// Leave of the app's gate, which the mailboxes' own requests go through.
    async fn leave(&self) -> Result<Permit, Waiting> {
        let app = self.app().ok_or(Waiting { error: None, until: None })?;
        let asked = RequestPermit { app, mailbox: self.turn.mailbox, urgent: self.turn.urgent };
        self.shared.supervisor.leave.send(asked).await.unwrap_or_else(|_| Err(Waiting::for_restart()))
    }

    /// The request did not leave.
    async fn sent_away(&mut self, waiting: Waiting) -> Result<Next, Problem> {
        let why = waiting.error.as_ref().and_then(|error| error.diagnosis()).cloned();
        let known = self.row.value.diagnosis.as_ref().map(|found| found.code.as_str());
        if let Some(found) = why.filter(|found| Some(found.code.as_str()) != known) {
            self.show(found);
            put(self.shared, &mut self.row).await?;
        }
        let until = waiting.until.unwrap_or_else(|| clock::now().plus(SOON));
        Ok(Next::Again { until, app: self.app(), why: Why::SentAway })
    }

    /// It stays, and is tried again; or it is refused for good.
    async fn again(&mut self, step: Step, found: Diagnosis, why: Why) -> Result<Next, Problem> {
        let until = match step {
            Step::RetryAt(until) | Step::NeedsAdmin(until) | Step::AppBroken(until) => until,
            Step::SignIn => {
                self.invite().await;
                return self.refused(SignInState::Declined, found).await;
            }
        };
        self.show(found);
        put(self.shared, &mut self.row).await?;
        Ok(Next::Again { until, app: self.app(), why })
    }

    /// What it waits for.
    fn show(&mut self, found: Diagnosis) {
        let passes = found.retry == RetryClass::Auto;
        self.row.value.state = if passes { SignInState::Probing } else { SignInState::NeedsAdmin };
        self.row.value.diagnosis = Some(terse(found));
    }

    /// Whose it is; `None`: the provider does not say, and the mailbox has to tell by opening.
    async fn account(
        &mut self,
        provider: &Provider,
        answer: &TokenAnswer,
    ) -> Result<Result<Option<Claims>, Next>, Problem> {
        let found = match told_of_refresh(provider, answer).await {
            Ok(claims) => {
                self.row.value.signed_in_as = claims.as_ref().map(Claims::signed_in_as);
                return Ok(Ok(claims));
            }
            Err(Unknown::Userinfo(error)) => {
                let verdict = self.verdict(&error, false, provider.facts(&self.stored));
                return Ok(Err(self.again(verdict.step, verdict.diagnosis, Why::Other).await?));
            }
            Err(Unknown::Token(error)) => error,
        };
        let entry = if found == IdentityError::Expired { &c::CLOCK_WRONG } else { &c::REQUEST_REFUSED };
        let said = found.to_string();
        let facts = Facts { detail: &said, ..provider.facts(&self.stored) };
        let found = describe(entry, &facts, Some(&said));
        Ok(Err(self.not_yet(found).await?))
    }

    /// That it is somebody else's, and whose.
    fn misfit(&self, provider: &Provider, who: Option<&Claims>) -> Result<Option<Identity>, StoreError> {
        let accepted = self.row.value.imported.as_ref().is_some_and(|imported| imported.accepted);
        let Some(claims) = who.filter(|_| !accepted) else { return Ok(None) };
        let old = self.shared.store.grant(self.stored.incarnation)?;
        let pinned: Option<&SignedInAs> = old.as_ref().and_then(|row| row.value.signed_in_as.as_ref());
        let tenant = provider.app.app.tenant.as_deref();
        let identity = claims.identify(&self.stored.mailbox, pinned, tenant);
        Ok((identity != Identity::Match).then_some(identity))
    }

    async fn wrong_account(
        &mut self,
        provider: &Provider,
        mut grant: Grant,
        identity: Identity,
    ) -> Result<Next, Problem> {
        let who = self.row.value.signed_in_as.clone();
        let name = who.as_ref().map(|who| who.name.clone()).unwrap_or_default();
        let facts = Facts { detail: &name, ..provider.facts(&self.stored) };
        let found = describe(&c::WRONG_ACCOUNT, &facts, None);
        if identity == Identity::SameTenantOther {
            grant.signed_in_as = who;
            keep(&mut self.row, grant, clock::now());
        }
        self.refused(SignInState::WrongAccount, found).await
    }

    /// Opens the mailbox with it and signs in for sending; then it counts.
    async fn prove(&mut self, mut grant: Grant, token: Secret) -> Result<Next, Problem> {
        if let Err(found) = (self.shared.probe)(self.stored.clone(), token.clone()).await {
            return self.not_yet(found).await;
        }
        let sends = (self.shared.send_probe)(self.stored.clone(), token).await;
        if let (Err(found), None) = (&sends, &self.stored.mailbox.imap) {
            return self.not_yet(found.clone()).await;
        }
        crate::faults::point("take_over.tried", &self.stored.mailbox.id);
        if is_overtaken(self.shared, &self.row.value)? {
            return self.drop_it().await;
        }
        grant.signed_in_as.clone_from(&self.row.value.signed_in_as);
        grant.signed_in_at = clock::now();
        let untold = || {
            let found = describe(&c::ACCOUNT_UNKNOWN, &self.facts(), None);
            self.row.value.signed_in_as.is_none().then_some(found)
        };
        let remark = sends.err().or_else(untold).map(terse);
        settle(self.shared, &mut self.row, &self.stored, Some(&grant), remark).await?;
        tracing::info!(mailbox = %self.stored.mailbox.id, "a refresh token was taken over");
        Ok(Next::Settled)
    }

    /// A server does not let it in: that is no reason to drop it.
    async fn not_yet(&mut self, found: Diagnosis) -> Result<Next, Problem> {
        let failures = self.turn.failures.saturating_add(1);
        let wait = match found.retry {
            RetryClass::Auto => pause(failures, rand::random::<f64>()),
            RetryClass::AfterFix | RetryClass::Never => probe_pause(failures),
        };
        let until = clock::now().plus(wait);
        self.again(Step::RetryAt(until), found, Why::Other).await
    }

    /// Asks the user to sign in, where there is somebody to write to him. Before the end is written down: a daemon that
    /// is killed in between meets the refusal again, and the user is not asked twice.
    async fn invite(&self) {
        let store = &self.shared.store;
        let is_served = store.grant(self.stored.incarnation).map_or(true, |grant| grant.is_some());
        let is_asked = store.invitation(self.stored.incarnation).map_or(true, |asked| asked.is_some());
        if is_served || is_asked {
            return;
        }
        match self.shared.notifier.invite(&self.stored, &self.shared.public_url, None, None).await {
            Ok(_) | Err(InviteError::NoSender) => {}
            Err(error) => {
                tracing::warn!(mailbox = %self.stored.mailbox.id, %error, "the user was not asked to sign in");
            }
        }
    }

    /// Ends it without a grant, and tells so.
    async fn refused(&mut self, state: SignInState, found: Diagnosis) -> Result<Next, Problem> {
        let sign_in = &mut self.row.value;
        sign_in.state = state;
        sign_in.diagnosis = Some(terse(found.clone()));
        if sign_in.accept_until.is_none() {
            sign_in.candidate = None;
        }
        let mailbox = &self.stored.mailbox.id;
        let data =
            serde_json::json!({"sign_in": sign_in.id, "state": state, "diagnosis": found.without_facts()});
        let mut commit = Commit::of_mailbox(self.stored.incarnation);
        self.shared.store.add_sign_in(&mut commit, sign_in, self.row.generation)?;
        commit.event(EventDraft::new(EventType::SignInRefused, mailbox, clock::now(), &data));
        self.shared.store.commit(commit).await?;
        self.shared.sign_in_changed();
        tracing::info!(%mailbox, ?state, code = found.code, "a refresh token was not taken over");
        Ok(Next::Settled)
    }
}

/// What is to be clicked and typed is made anew from code and facts when it is shown: a token needs the room.
fn terse(mut found: Diagnosis) -> Diagnosis {
    found.remedy.clicks.clear();
    found.remedy.commands.clear();
    found
}
