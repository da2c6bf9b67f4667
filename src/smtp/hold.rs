//! What delivery waits for, and how the mailbox shows it: a cause before MAIL, a refusal that names one, and a server
//! that is silent.

use super::announce;
use super::delivery::{Delivery, Turn};
use super::outbox::{self, Next};
use super::progress::Progress;
use super::protocol::SmtpError;
use super::verdict::Hold;
use crate::clock;
use crate::diagnosis::{Facts, catalogue};
use crate::domain::{Diagnosis, Disposition, SendState, SubmissionId, Timestamp};
use crate::store::{Commit, Row, StoreError};
use std::time::Duration;

/// How long a refused password is left alone.
const REFUSED_PASSWORD: Duration = Duration::from_secs(3600);

impl Delivery {
    /// Anything before MAIL: the outbox waits and goes out by itself when the cause is gone.
    pub(super) async fn hold(&mut self, id: SubmissionId, error: &SmtpError) -> Result<Turn, StoreError> {
        let state = error.send_state();
        let doublings = self.holds.min(16);
        let backoff = self.deps.timing.retry_first.saturating_mul(1 << doublings);
        let wait = match error.disposition() {
            // a refused token: a fresh one at once, the first time
            Disposition::FreshToken if self.holds == 0 => Duration::ZERO,
            Disposition::RetryAfter(after) => after.min(self.deps.timing.hold_retry),
            // not tried again and again: servers lock accounts for that. A new password ends the waiting.
            Disposition::SignIn if is_about_a_password(error) => REFUSED_PASSWORD,
            Disposition::Retry
            | Disposition::FreshToken
            | Disposition::SignIn
            | Disposition::NeedsAdmin
            | Disposition::AppBroken
            | Disposition::GiveUp
            | Disposition::Fatal => backoff.min(self.deps.timing.hold_retry),
        };
        let until = clock::now().plus(wait);
        tracing::info!(%error, ?state, "outbox held");
        self.holds = self.holds.saturating_add(1);
        self.is_shown_waiting = true;
        self.held_until = Some(until);
        self.mark_held(id, error.diagnosis()).await?;
        self.show(state, error.diagnosis().cloned(), Some(until)).await?;
        Ok(Turn::Wait(Some(until)))
    }

    async fn mark_held(&self, id: SubmissionId, cause: Option<&Diagnosis>) -> Result<(), StoreError> {
        let Some(Row { generation, value: mut submission }) =
            self.deps.store.submission(self.owner.mailbox, id)?
        else {
            return Ok(());
        };
        let code = cause.map_or_else(|| String::from("not_signed_in"), |diagnosis| diagnosis.code.clone());
        if submission.hold.as_ref() == Some(&code) {
            return Ok(());
        }
        submission.hold = Some(code.clone());
        let mut commit = Commit::by(self.owner);
        commit.event(announce::held(&self.stored.mailbox.id, clock::now(), &submission, &code));
        commit.put_submission(&submission, generation)?;
        self.deps.store.commit(commit).await.map(drop)
    }

    /// A cause that a refusal names. It stops the others only if the server would answer them the same, or if one
    /// of them was refused just so.
    pub(super) async fn refused(
        &mut self,
        id: SubmissionId,
        hold: &Hold,
        until: Timestamp,
    ) -> Result<Turn, StoreError> {
        let facts =
            Facts { host: &self.endpoint.host, address: &self.stored.mailbox.address, ..Facts::default() };
        let diagnosis = hold.diagnosis(&facts);
        if !hold.concerns_mailbox {
            self.witness = None;
            self.is_shown_cause = true;
            self.show(SendState::Ready, Some(diagnosis), None).await?;
            return Ok(Turn::Again);
        }
        let is_confirmed = self.witness.replace(id).is_some_and(|other| other != id);
        if !is_confirmed && !hold.outlasts_next() {
            let submissions = self.deps.store.open_submissions(self.owner.mailbox)?;
            let next = outbox::peek_next(submissions.iter().map(|row| &row.value), clock::now());
            if let Next::Now(_) = next {
                tracing::info!(
                    code = diagnosis.code,
                    "the next submission will show whether it is the mailbox"
                );
                return Ok(Turn::Again);
            }
        }
        let error = SmtpError::Hold { diagnosis: Box::new(diagnosis), retry: hold.finding.disposition };
        let state =
            if error.send_state() == SendState::Throttled { SendState::Throttled } else { SendState::Held };
        self.is_shown_waiting = true;
        // an unconfirmed one rests alone: whoever comes meanwhile is tried
        self.held_until = (is_confirmed || hold.outlasts_next()).then_some(until);
        self.show(state, error.diagnosis().cloned(), Some(until)).await?;
        Ok(Turn::Wait(Some(until)))
    }

    /// Shows what is waited for whenever the server is silent for long; whether it did.
    pub(super) async fn show_silence<T>(
        &self,
        progress: &Progress,
        work: impl Future<Output = T>,
    ) -> (T, bool) {
        let mut steps = progress.watch();
        let (mut is_shown, mut was_shown) = (false, false);
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return (done, was_shown),
                Ok(()) = steps.changed() => is_shown = false,
                () = tokio::time::sleep(self.deps.timing.smtp_silence), if !is_shown => {
                    (is_shown, was_shown) = (true, true);
                    let Some(awaited) = progress.current() else { continue };
                    let (host, address) = (&self.endpoint.host, &self.stored.mailbox.address);
                    let diagnosis = awaited.diagnosis(host, address, None);
                    tracing::info!(waits_for = ?awaited, "the server is silent");
                    if let Err(error) = self.show(SendState::Held, Some(diagnosis), None).await {
                        tracing::debug!(%error, "the silence is not shown");
                    }
                }
            }
        }
    }

    pub(super) async fn show(
        &self,
        state: SendState,
        diagnosis: Option<Diagnosis>,
        until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let change = |status: &mut crate::store::MailboxStatus| {
            status.send_state = state;
            status.send_diagnosis.clone_from(&diagnosis);
            status.send_until = until;
        };
        let id = &self.stored.mailbox.id;
        self.deps.store.change_status(self.owner, id, clock::now(), change).await.map(drop)
    }
}

fn is_about_a_password(error: &SmtpError) -> bool {
    error.diagnosis().is_some_and(|diagnosis| diagnosis.code == catalogue::PASSWORD_REFUSED.code)
}
