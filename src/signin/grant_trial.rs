//! The trial of one refresh token of another system, each step durable before the next (G2): the mark that it is in
//! flight, the request, the answer; then whose it is, whether it opens the mailbox, and whether it may send. Only
//! then does it take the place of the grant that was there, which works on until then.
//!
//! A token that the provider refuses for good is discarded, and its user is invited to sign in. Whatever else fails
//! is tried again: by itself, when the app or the mailbox is changed, or when a person says "now". A refused SMTP
//! AUTH discards nothing where mail is received: it is shown in the sign-in that succeeded.

use super::account::{Unknown, account_from_refresh};
use super::candidate::{CandidateSlot, conclude};
use super::provider::Provider;
use super::record::{is_superseded, store_candidate};
use super::schedule::{Next, Why};
use super::trial_case::{Case, terse};
use crate::clock;
use crate::diagnosis::{Facts, catalogue as c, describe};
use crate::domain::{Diagnosis, Grant, GrantSecret, Secret, SignedInAs};
use crate::problem::Problem;
use crate::store::{SignInState, StoreError};
use crate::supervisor::protocol::RequestPermit;
use crate::token::circuit_breaker::Outcome;
use crate::token::identity::{Claims, Identity, IdentityError};
use crate::token::lifecycle::{Circumstances, Verdict, after_failure};
use crate::token::protocol::{Permit, Waiting};
use crate::token::{FlowError, GrantRefresh, RefreshRequest, TokenAnswer, refresh_grant};

const POINTS: [&str; 3] = ["take_over.marked", "take_over.answered", "take_over.stored"];

impl Case<'_> {
    /// Tries the token that was handed in.
    pub(super) async fn try_grant(&mut self) -> Result<Next, Problem> {
        if is_superseded(self.context, &self.row.value)? {
            return self.discard().await;
        }
        if let Some(found) = self.foreign_app() {
            return self.not_yet(found).await;
        }
        let provider = match Provider::of(self.context, &self.row.value, &self.stored).await? {
            Ok(provider) => provider,
            Err(error) => {
                let verdict = self.verdict(&error, self.facts());
                return self.retry(verdict.step, verdict.diagnosis, Why::App).await;
            }
        };
        if let Some(found) = self.foreign_client(&provider) {
            return self.not_yet(found).await;
        }
        let (grant, answer) = match self.tokens(&provider).await? {
            Ok(tokens) => tokens,
            Err(next) => return Ok(next),
        };
        let who = match self.account(&provider, &answer).await? {
            Ok(claims) => claims,
            Err(next) => return Ok(next),
        };
        if let Some(identity) = self.wrong_account(&provider, who.as_ref())? {
            return self.refuse_account(&provider, grant, identity).await;
        }
        self.prove(grant, answer.access_token).await
    }

    /// A diagnosis if the mailbox has another app by now: no other client may send the token, which waits for its own.
    fn foreign_app(&self) -> Option<Diagnosis> {
        let own = self.row.value.imported.as_ref()?.app.as_ref()?;
        let now = self.app().filter(|now| now != own)?;
        let said = format!("the refresh token was handed in for the app {own}, and the mailbox has {now}");
        Some(describe(&c::REQUEST_REFUSED, &Facts { detail: &said, ..self.facts() }, Some(&said)))
    }

    /// A diagnosis if the app has another client id or authority than the one that refreshed the token before.
    fn foreign_client(&self, provider: &Provider) -> Option<Diagnosis> {
        let candidate = self.row.value.candidate.as_ref()?;
        let said = "the app has another client id or authority than the refresh token was issued to";
        let facts = Facts { detail: said, ..self.facts() };
        let is_foreign = !candidate.is_issued_to(&provider.app.app);
        is_foreign.then(|| describe(&c::REQUEST_REFUSED, &facts, Some(said)))
    }

    fn verdict(&self, error: &FlowError, facts: Facts<'_>) -> Verdict {
        let failures = self.turn.failures.saturating_add(1);
        let (now, jitter) = (clock::now(), rand::random::<f64>());
        let around = Circumstances {
            in_doubt: false,
            deserves_another_try: false,
            failures,
            signed_in_at: None,
            now,
            jitter,
            facts,
        };
        after_failure(error, &around)
    }

    /// Fresh tokens, the new refresh token durable in the candidate.
    async fn tokens(&mut self, provider: &Provider) -> Result<Result<(Grant, TokenAnswer), Next>, Problem> {
        let Some(candidate) = self.row.value.candidate.clone() else { return Ok(Err(Next::Done)) };
        if !matches!(candidate.secret, GrantSecret::Refresh { .. }) {
            return Ok(Err(self.discard().await?));
        }
        let permit = match self.permit().await {
            Ok(permit) => permit,
            Err(waiting) => return Ok(Err(self.not_admitted(waiting).await?)),
        };
        let _answer_is_waited_for = self.context.in_flight.read().await;
        let request = RefreshRequest {
            store: &self.context.store,
            app: &provider.app,
            client: Ok(&provider.client),
            failures: self.turn.failures,
            signed_in_at: None,
            address: &self.stored.mailbox.address,
        };
        let mut slot = CandidateSlot { context: self.context, row: &mut self.row, points: POINTS };
        let ended = refresh_grant(&mut slot, candidate, request).await?;
        permit.ended(ended.as_ref().map_or(Outcome::Neutral, GrantRefresh::outcome)).await;
        match ended {
            Some(GrantRefresh::Fresh { grant, answer, .. }) => {
                self.app().iter().for_each(|app| self.context.trials.app_accepted(app));
                Ok(Ok((grant, answer)))
            }
            None => Ok(Err(Next::Retry { until: clock::now(), app: self.app(), why: Why::App })),
            Some(GrantRefresh::Failed { verdict, .. }) => {
                Ok(Err(self.retry(verdict.step, verdict.diagnosis, Why::App).await?))
            }
        }
    }

    /// A permit of the app's circuit breaker, which the mailboxes' own requests need, too.
    async fn permit(&self) -> Result<Permit, Waiting> {
        let app = self.app().ok_or(Waiting { error: None, until: None })?;
        let request = RequestPermit { app, mailbox: self.turn.mailbox, urgent: self.turn.urgent };
        self.context.supervisor.permit(request).await
    }

    /// Whose it is; `None`: the provider does not say, and only opening the mailbox proves it.
    async fn account(
        &mut self,
        provider: &Provider,
        answer: &TokenAnswer,
    ) -> Result<Result<Option<Claims>, Next>, Problem> {
        let found = match account_from_refresh(provider, answer).await {
            Ok(claims) => {
                self.row.value.signed_in_as = claims.as_ref().map(Claims::signed_in_as);
                return Ok(Ok(claims));
            }
            Err(Unknown::Userinfo(error)) => {
                let verdict = self.verdict(&error, provider.facts(&self.stored));
                return Ok(Err(self.retry(verdict.step, verdict.diagnosis, Why::Other).await?));
            }
            Err(Unknown::Token(error)) => error,
        };
        let entry = if found == IdentityError::Expired { &c::CLOCK_WRONG } else { &c::REQUEST_REFUSED };
        let said = found.to_string();
        let facts = Facts { detail: &said, ..provider.facts(&self.stored) };
        let found = describe(entry, &facts, Some(&said));
        Ok(Err(self.not_yet(found).await?))
    }

    /// Whose account it is, if it is not the mailbox's.
    fn wrong_account(
        &self,
        provider: &Provider,
        who: Option<&Claims>,
    ) -> Result<Option<Identity>, StoreError> {
        let accepted = self.row.value.imported.as_ref().is_some_and(|imported| imported.accepted);
        let Some(claims) = who.filter(|_| !accepted) else { return Ok(None) };
        let old = self.context.store.grant(self.stored.incarnation)?;
        let pinned: Option<&SignedInAs> = old.as_ref().and_then(|row| row.value.signed_in_as.as_ref());
        let tenant = provider.app.app.tenant.as_deref();
        let identity = claims.identify(&self.stored.mailbox, pinned, tenant);
        Ok((identity != Identity::Match).then_some(identity))
    }

    async fn refuse_account(
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
            store_candidate(&mut self.row, grant, clock::now());
        }
        self.refused(SignInState::WrongAccount, found).await
    }

    /// Opens the mailbox with it and signs in for sending; then it counts.
    async fn prove(&mut self, mut grant: Grant, token: Secret) -> Result<Next, Problem> {
        if let Err(found) = (self.context.probe)(self.stored.clone(), token.clone()).await {
            return self.not_yet(found).await;
        }
        let sends = (self.context.send_probe)(self.stored.clone(), token).await;
        if let (Err(found), None) = (&sends, &self.stored.mailbox.imap) {
            return self.not_yet(found.clone()).await;
        }
        crate::faults::point("take_over.tried", &self.stored.mailbox.id);
        if is_superseded(self.context, &self.row.value)? {
            return self.discard().await;
        }
        grant.signed_in_as.clone_from(&self.row.value.signed_in_as);
        grant.signed_in_at = clock::now();
        let unknown = || {
            let found = describe(&c::ACCOUNT_UNKNOWN, &self.facts(), None);
            self.row.value.signed_in_as.is_none().then_some(found)
        };
        let remark = sends.err().or_else(unknown).map(terse);
        conclude(self.context, &mut self.row, &self.stored, Some(&grant), remark).await?;
        tracing::info!(mailbox = %self.stored.mailbox.id, "a refresh token was taken over");
        Ok(Next::Done)
    }
}
