//! One trial without a user, and what both kinds of it have in common: how it ends, waits, and what it shows
//! meanwhile.

use super::context::Context;
use super::provider::address_only;
use super::record::{end, put};
use super::schedule::{Next, Turn, Why};
use crate::backoff::probe_pause;
use crate::clock;
use crate::diagnosis::Facts;
use crate::domain::{AppId, Diagnosis, RetryClass};
use crate::events::{EventDraft, EventType};
use crate::notify::InviteError;
use crate::problem::Problem;
use crate::store::{Commit, Row, SignIn, SignInState, StoredMailbox};
use crate::token::lifecycle::{Step, pause};
use crate::token::protocol::Waiting;
use std::time::Duration;

/// How long a full disk, or somebody else's write, is left alone.
pub(super) const SOON: Duration = Duration::from_secs(2);

/// One trial: the mailbox, its sign-in, and what is known of earlier tries.
pub(super) struct Case<'a> {
    pub(super) context: &'a Context,
    pub(super) row: Row<SignIn>,
    pub(super) stored: StoredMailbox,
    pub(super) turn: Turn,
}

impl Case<'_> {
    pub(super) fn app(&self) -> Option<AppId> {
        self.row.value.app_for(&self.stored.mailbox).cloned()
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        address_only(&self.stored)
    }

    /// Ends it without a result: nothing is left to try.
    pub(super) async fn discard(&mut self) -> Result<Next, Problem> {
        end(self.context, &mut self.row, SignInState::Expired, None).await?;
        Ok(Next::Done)
    }

    /// The circuit breaker did not admit the request.
    pub(super) async fn not_admitted(&mut self, waiting: Waiting) -> Result<Next, Problem> {
        let why = waiting.error.as_ref().and_then(|error| error.diagnosis()).cloned();
        let known = self.row.value.diagnosis.as_ref().map(|found| found.code.as_str());
        if let Some(found) = why.filter(|found| Some(found.code.as_str()) != known) {
            self.show(found);
            put(self.context, &mut self.row).await?;
        }
        let until = waiting.until.unwrap_or_else(|| clock::now().plus(SOON));
        Ok(Next::Retry { until, app: self.app(), why: Why::NotAdmitted })
    }

    /// Tries it again later; or it is refused for good.
    pub(super) async fn retry(&mut self, step: Step, found: Diagnosis, why: Why) -> Result<Next, Problem> {
        let until = match step {
            Step::RetryAt(until) | Step::NeedsAdmin(until) | Step::AppBroken(until) => until,
            Step::SignIn => {
                self.invite().await;
                return self.refused(SignInState::Declined, found).await;
            }
        };
        self.show(found);
        put(self.context, &mut self.row).await?;
        Ok(Next::Retry { until, app: self.app(), why })
    }

    /// Shows what it waits for.
    fn show(&mut self, found: Diagnosis) {
        let passes = found.retry == RetryClass::Auto;
        self.row.value.state = if passes { SignInState::Probing } else { SignInState::NeedsAdmin };
        self.row.value.diagnosis = Some(terse(found));
    }

    /// A server does not let it in: that is no reason to discard it.
    pub(super) async fn not_yet(&mut self, found: Diagnosis) -> Result<Next, Problem> {
        let failures = self.turn.failures.saturating_add(1);
        let wait = match found.retry {
            RetryClass::Auto => pause(failures, rand::random::<f64>()),
            RetryClass::AfterFix | RetryClass::Never => probe_pause(failures),
        };
        let until = clock::now().plus(wait);
        self.retry(Step::RetryAt(until), found, Why::Other).await
    }

    /// Asks the user to sign in, where a sender is configured. Before the end is written down: a process that is
    /// killed in between meets the refusal again, and the user is not invited twice.
    async fn invite(&self) {
        let store = &self.context.store;
        let is_served = store.grant(self.stored.incarnation).map_or(true, |grant| grant.is_some());
        let is_invited = store.invitation(self.stored.incarnation).map_or(true, |known| known.is_some());
        if is_served || is_invited {
            return;
        }
        match self.context.notifier.invite(&self.stored, &self.context.public_url, None, None).await {
            Ok(_) | Err(InviteError::NoSender) => {}
            Err(error) => {
                tracing::warn!(mailbox = %self.stored.mailbox.id, %error, "the user was not asked to sign in");
            }
        }
    }

    /// Ends it without a grant, and reports that as an event.
    pub(super) async fn refused(&mut self, state: SignInState, found: Diagnosis) -> Result<Next, Problem> {
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
        self.context.store.add_sign_in(&mut commit, sign_in, self.row.generation)?;
        commit.event(EventDraft::new(EventType::SignInRefused, mailbox, clock::now(), &data));
        self.context.store.commit(commit).await?;
        self.context.sign_in_changed();
        tracing::info!(%mailbox, ?state, code = found.code, "a refresh token was not taken over");
        Ok(Next::Done)
    }
}

/// A diagnosis without clicks and commands, which are made anew from code and facts when it is shown: the row has
/// room for little more than its token.
pub(super) fn terse(mut found: Diagnosis) -> Diagnosis {
    found.remedy.clicks.clear();
    found.remedy.commands.clear();
    found
}
