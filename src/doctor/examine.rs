//! Examining a mailbox: one at a time, its steps in order, and what came of them.

use super::report::{Step, StepList, StepResult};
use super::verdict;
use super::visit::{DoctorDeps, STEP, Visit};
use crate::clock;
use crate::config::Timing;
use crate::diagnosis::{self, Language};
use crate::domain::{Diagnosis, Incarnation, MailboxId, Timestamp};
use crate::net::NetError;
use crate::store::{StoreError, StoredMailbox};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Examines mailboxes, each by one at a time. Clones share who is being examined.
#[derive(Clone)]
pub struct Doctor {
    deps: DoctorDeps,
    busy: Arc<Mutex<BTreeSet<Incarnation>>>,
}

/// What an examination found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whose.
    pub mailbox: MailboxId,
    /// When it began.
    pub at: Timestamp,
    /// `failed` if a step failed.
    pub result: StepResult,
    /// In order.
    pub steps: Vec<Step>,
    /// That of the first step that failed.
    pub diagnosis: Option<Diagnosis>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// Somebody else is at it.
    #[error("this mailbox is being examined already: ask again when that has ended")]
    Busy,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The trust in servers cannot be set up.
    #[error(transparent)]
    Net(#[from] NetError),
}

impl Report {
    /// The report as it is shown to a reader of this language.
    #[must_use]
    pub fn shown(mut self, language: Language) -> Self {
        let steps = self.steps.iter_mut().map(|step| &mut step.diagnosis);
        for found in steps.chain([&mut self.diagnosis]).flatten() {
            *found = diagnosis::shown(found, language);
        }
        self
    }
}

impl Doctor {
    /// A doctor.
    #[must_use]
    pub fn new(deps: DoctorDeps) -> Self {
        Self { deps, busy: Arc::default() }
    }

    /// Examines a mailbox. Takes at most `timing.doctor`; cut off, it leaves nothing behind.
    ///
    /// # Errors
    /// [`DoctorError`].
    pub async fn examine(&self, stored: &StoredMailbox) -> Result<Report, DoctorError> {
        let _turn = self.turn(stored.incarnation).ok_or(DoctorError::Busy)?;
        let app = stored.mailbox.app().map(|id| self.deps.store.app(id)).transpose()?.flatten();
        let (dialer, shown) = self.deps.dialer.inspecting()?;
        let visit = Visit {
            deps: &self.deps,
            dialer,
            shown,
            timing: brisk(&self.deps.timing),
            stored,
            app: app.map(|row| row.value),
        };
        let at = clock::now();
        let steps = visit.round(self.deps.timing.doctor).await;
        let (result, diagnosis) = verdict::overall(&steps);
        Ok(Report { mailbox: stored.mailbox.id.clone(), at, result, steps, diagnosis })
    }

    fn turn(&self, mailbox: Incarnation) -> Option<Turn> {
        let is_first = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(mailbox);
        is_first.then(|| Turn { busy: Arc::clone(&self.busy), mailbox })
    }
}

/// The right to examine a mailbox.
struct Turn {
    busy: Arc<Mutex<BTreeSet<Incarnation>>>,
    mailbox: Incarnation,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.mailbox);
    }
}

impl Visit<'_> {
    async fn round(&self, patience: Duration) -> Vec<Step> {
        let mut list = StepList::new(patience);
        let reached = self.reach_imap(&mut list).await;
        self.check_clock(&mut list).await;
        let reached = self.imap_offers(&mut list, reached).await;
        let pass = self.pass(&mut list).await;
        self.check_grant(&mut list).await;
        self.read(&mut list, reached, &pass).await;
        self.send(&mut list, &pass).await;
        list.into_steps()
    }
}

/// The deadlines of an examination.
fn brisk(timing: &Timing) -> Timing {
    Timing {
        greeting: timing.greeting.min(STEP),
        login: timing.login.min(STEP),
        command: timing.command.min(STEP),
        idle_start: timing.idle_start.min(STEP),
        ..timing.clone()
    }
}
