//! What delivery waits for, and how the mailbox shows it: a cause before MAIL, a refusal that names one, and a server
//! that is silent.

use super::announce;
use super::delivery::{Delivery, Turn};
use super::delivery_state::{Action, Event, Refusal};
use super::outbox::{self, Next};
use super::progress::Progress;
use super::protocol::SmtpError;
use super::verdict::Hold;
use crate::clock;
use crate::diagnosis::{Facts, catalogue};
use crate::domain::{Diagnosis, SendState, SubmissionId, Timestamp};
use crate::store::{Commit, Row, StoreError};

impl Delivery {
    /// Anything before MAIL: the outbox waits and goes out by itself when the cause is gone.
    pub(super) async fn hold(&mut self, id: SubmissionId, error: &SmtpError) -> Result<Turn, StoreError> {
        let state = error.send_state();
        tracing::info!(%error, ?state, "outbox held");
        let event = Event::NoSession {
            disposition: error.disposition(),
            is_password: is_about_a_password(error),
            now: clock::now(),
        };
        let Action::Hold(until) = self.step(event) else { return Ok(Turn::Again) };
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
        let refusal = Refusal {
            submission: id,
            concerns_mailbox: hold.concerns_mailbox,
            outlasts_next: hold.outlasts_next(),
            has_next: hold.concerns_mailbox && self.is_due()?,
            until,
        };
        match self.step(Event::Refused(refusal)) {
            Action::ShowCause => {
                self.show(SendState::Ready, Some(diagnosis), None).await?;
                return Ok(Turn::Again);
            }
            Action::TryNext => {
                tracing::info!(
                    code = diagnosis.code,
                    "the next submission will show whether it is the mailbox"
                );
                return Ok(Turn::Again);
            }
            Action::Continue | Action::ShowReady => return Ok(Turn::Again),
            Action::Hold(_) | Action::Wait(_) => {}
        }
        let error = SmtpError::Hold { diagnosis: Box::new(diagnosis), retry: hold.finding.disposition };
        let state =
            if error.send_state() == SendState::Throttled { SendState::Throttled } else { SendState::Held };
        self.show(state, error.diagnosis().cloned(), Some(until)).await?;
        Ok(Turn::Wait(Some(until)))
    }

    /// Whether a submission is due now.
    fn is_due(&self) -> Result<bool, StoreError> {
        let submissions = self.deps.store.open_submissions(self.owner.mailbox)?;
        let next = outbox::peek_next(submissions.iter().map(|row| &row.value), clock::now());
        Ok(matches!(next, Next::Now(_)))
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
