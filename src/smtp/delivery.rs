//! Delivery: takes what is due from the outbox to the server. Every step that could be doubled is durable before it is
//! taken: the attempt before MAIL, `data_sent` before the final dot, the outcome before it is published.

use super::announce;
use super::credentials::CredentialSource;
use super::delivery_state::{Action, DeliveryState, Event};
use super::deps::SmtpDeps;
use super::governor::{EXCHANGE, Governor, Permit};
use super::outbox::{self, Next, RetryPolicy, SubmissionEvent};
use super::progress::Progress;
use super::protocol::{Outcome, SmtpError};
use super::session::SmtpSession;
use super::timing::SmtpTiming;
use super::wakeup::Wakeup;
use crate::backoff::Backoff;
use crate::clock;
use crate::domain::message::BodyLocation;
use crate::domain::{Disposition, SendState, SmtpEndpoint, Submission, SubmissionId, Timestamp};
use crate::store::{Commit, Owner, Row, StoreError, StoredMailbox, wait_for_room};
use crate::token::protocol::{GetAccessToken, TokenRejected};
use actix::Recipient;
use std::sync::Arc;
use std::time::Duration;

/// Messages that take more memory than this wait for each other only.
const LARGE: usize = 1 << 20;

/// The delivery of one mailbox's outbox.
pub(super) struct Delivery {
    pub(super) deps: SmtpDeps,
    pub(super) stored: StoredMailbox,
    pub(super) endpoint: SmtpEndpoint,
    pub(super) owner: Owner,
    credentials: CredentialSource,
    rejected: Recipient<TokenRejected>,
    timing: SmtpTiming,
    wakeup: Arc<Wakeup>,
    governor: Governor,
    policy: RetryPolicy,
    session: Option<SmtpSession>,
    token_generation: Option<u64>,
    state: DeliveryState,
    holds: Backoff,
}

/// Whether to go on at once.
pub(super) enum Turn {
    Again,
    Wait(Option<Timestamp>),
}

impl Delivery {
    pub(super) fn new(
        deps: SmtpDeps,
        stored: StoredMailbox,
        endpoint: SmtpEndpoint,
        owner: Owner,
        (token, rejected): (Recipient<GetAccessToken>, Recipient<TokenRejected>),
        (timing, wakeup): (SmtpTiming, Arc<Wakeup>),
    ) -> Self {
        let policy = RetryPolicy {
            first: deps.timing.defer_first,
            longest: deps.timing.defer_cap,
            ..RetryPolicy::default()
        };
        let holds = Backoff::new(deps.timing.retry_first, deps.timing.hold_retry);
        let messages_per_minute = match stored.mailbox.provider.as_deref() {
            Some("office365" | "outlook") => EXCHANGE,
            _ => 0,
        };
        let credentials =
            CredentialSource::new(deps.store.clone(), stored.clone(), (&endpoint, owner), token);
        Self {
            deps,
            stored,
            endpoint,
            owner,
            credentials,
            rejected,
            timing,
            wakeup,
            governor: Governor::new(messages_per_minute),
            policy,
            session: None,
            token_generation: None,
            state: DeliveryState::default(),
            holds,
        }
    }

    /// Works until it is to stop, or the store refuses this actor or cannot be trusted.
    pub(super) async fn run(mut self) -> Result<(), StoreError> {
        self.recover().await?;
        loop {
            let turn = self.turn().await;
            if self.wakeup.is_stopping() {
                return Ok(());
            }
            match turn {
                Ok(Turn::Again) => {}
                Ok(Turn::Wait(until)) => self.wait(until).await,
                Err(StoreError::Full { .. } | StoreError::Exhausted { .. } | StoreError::Conflict) => {
                    // changed by the API meanwhile, or no space: look again
                    self.wait(Some(clock::now().plus(Duration::from_secs(1)))).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes a step; what is to be done.
    pub(super) fn step(&mut self, event: Event) -> Action {
        let (state, action) = self.state.step(event, &self.holds);
        self.state = state;
        action
    }

    async fn wait(&mut self, until: Option<Timestamp>) {
        if let Some(session) = self.session.take() {
            session.quit().await;
        }
        // a wake-up may be lost: what is in the outbox does not wait for the next one
        let longest = self.deps.timing.hold_retry;
        let time = until.map_or(longest, |until| until.since(clock::now()).min(longest));
        tokio::select! {
            () = self.wakeup.wake.notified() => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    /// Ends the attempts that an earlier actor left unfinished.
    async fn recover(&self) -> Result<(), StoreError> {
        for Row { generation, value } in self.deps.store.open_submissions(self.owner.mailbox)? {
            let (recovered, events) = outbox::recover(value.clone(), clock::now());
            if recovered != value {
                self.put(&recovered, generation, &events).await?;
            }
        }
        self.show(SendState::Ready, None, None).await
    }

    async fn turn(&mut self) -> Result<Turn, StoreError> {
        if self.wakeup.take_signed_in() {
            self.step(Event::SignedIn);
        }
        if let Action::Wait(until) = self.step(Event::Woken { now: clock::now() }) {
            return Ok(Turn::Wait(Some(until)));
        }
        let submissions = self.deps.store.open_submissions(self.owner.mailbox)?;
        let next = outbox::peek_next(submissions.iter().map(|row| &row.value), clock::now());
        match next {
            Next::None => Ok(Turn::Wait(None)),
            Next::At(due) => Ok(Turn::Wait(Some(due))),
            Next::Now(id) => {
                if let Permit::At(due) = self.governor.permit(clock::now()) {
                    return Ok(Turn::Wait(Some(due)));
                }
                match self.ready_session().await {
                    Ok(session) => {
                        self.wakeup.attempting(true);
                        let turn = self.attempt(id, session).await;
                        self.wakeup.attempting(false);
                        turn
                    }
                    Err(error) => self.hold(id, &error).await,
                }
            }
        }
    }

    async fn ready_session(&mut self) -> Result<SmtpSession, SmtpError> {
        if let Some(session) = self.session.take().filter(|session| !session.is_broken()) {
            return Ok(session);
        }
        // before a token is requested: it may be long in coming
        let slot = self.deps.dialer.sending_slot().await?;
        let (credentials, generation) = self.credentials.credentials().await?;
        self.token_generation = generation;
        crate::faults::point("smtp.connect", &self.stored.mailbox.id);
        let SmtpDeps { dialer, hello_name, .. } = &self.deps;
        let progress = Progress::default();
        let opening =
            SmtpSession::open(dialer, &self.endpoint, hello_name, &credentials, self.timing, &progress);
        let (opened, was_silent) = self.show_silence(&progress, opening).await;
        if was_silent {
            self.step(Event::Silent);
        }
        if let (Err(error), Some(generation)) = (&opened, self.token_generation.take())
            && error.disposition() == Disposition::FreshToken
        {
            let delivered = self.rejected.try_send(TokenRejected { generation }).is_ok();
            tracing::debug!(told = delivered, "the server refused the access token");
        }
        opened.map(|session| SmtpSession { _slot: Some(slot), ..session })
    }

    async fn attempt(&mut self, id: SubmissionId, mut session: SmtpSession) -> Result<Turn, StoreError> {
        if self.step(Event::Attempting) == Action::ShowReady {
            self.show(SendState::Ready, None, None).await?;
        }
        let store = self.deps.store.clone();
        let mailbox = self.owner.mailbox;
        let Some(row) = store.submission(mailbox, id)? else { return Ok(Turn::Again) };
        let Some(sending) = outbox::begin(row.value, clock::now()) else { return Ok(Turn::Again) };
        // one message is in memory as it was stored, and as it goes over the wire
        let in_memory = usize::try_from(sending.size).unwrap_or(usize::MAX).saturating_mul(2);
        let _share = if in_memory > LARGE {
            self.deps.budget.take_long(in_memory).await
        } else {
            self.deps.budget.take(in_memory).await
        };
        let body = {
            let (store, location) = (store.clone(), sending.body);
            let read = tokio::task::spawn_blocking(move || store.read_body(mailbox, location));
            match read.await.map_err(|_| StoreError::Closed)? {
                Ok(body) => body,
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => return self.put_by(id, sending.body, &error).await,
            }
        };
        self.put(&sending, row.generation, &[]).await?;
        crate::faults::point("smtp.sending", &self.stored.mailbox.id);
        let sent = outbox::data_sent(sending.clone()).unwrap_or_else(|| sending.clone());
        let generation = row.generation.saturating_add(1);
        let commit_data_sent = async {
            self.wakeup.answering();
            self.put(&sent, generation, &[]).await
        };
        let recipients = outbox::attempted_recipients(&sending);
        let outcome = session.send(&sending.mail_from, &recipients, &body, commit_data_sent).await;
        crate::faults::point("smtp.answered", &self.stored.mailbox.id);
        let events = self.conclude(id, &outcome).await?;
        if !session.is_broken() {
            self.session = Some(session);
        }
        if !outcome.accepted.is_empty() && self.step(Event::Accepted) == Action::ShowReady {
            self.show(SendState::Ready, None, None).await?;
        }
        let held = events.into_iter().find_map(|event| match event {
            SubmissionEvent::Held { hold, until } => Some((hold, until)),
            SubmissionEvent::Sent
            | SubmissionEvent::Failed
            | SubmissionEvent::Deferred(_)
            | SubmissionEvent::Unknown
            | SubmissionEvent::RecipientFailed { .. } => None,
        });
        match held {
            Some((hold, until)) => self.refused(id, &hold, until).await,
            None => {
                self.step(Event::Concluded);
                Ok(Turn::Again)
            }
        }
    }

    /// A body that cannot be read: compaction moved it meanwhile, or it is damaged. Then the others go on without it.
    async fn put_by(
        &self,
        id: SubmissionId,
        place: BodyLocation,
        error: &StoreError,
    ) -> Result<Turn, StoreError> {
        let row = self.deps.store.submission(self.owner.mailbox, id)?;
        let Some(Row { generation, value: mut submission }) = row.filter(|row| row.value.body == place)
        else {
            return Ok(Turn::Again);
        };
        tracing::error!(submission = %id, %error, "the message cannot be read: run `stafette fsck`");
        submission.hold = Some(String::from("body_unreadable"));
        submission.next_attempt_at = Some(clock::now().plus(self.deps.timing.defer_cap));
        self.put(&submission, generation, &[]).await?;
        Ok(Turn::Again)
    }

    /// The outcome is known here alone: a full disk is waited out with it in hand.
    async fn conclude(
        &self,
        id: SubmissionId,
        outcome: &Outcome,
    ) -> Result<Vec<SubmissionEvent>, StoreError> {
        loop {
            // whether `data_sent` was committed decides the generation, and what is concluded from
            let Some(row) = self.deps.store.submission(self.owner.mailbox, id)? else {
                return Ok(Vec::new());
            };
            let (now, jitter) = (clock::now(), rand::random::<f64>());
            let (concluded, events) = outbox::conclude(row.value, outcome, now, jitter, &self.policy);
            match self.put(&concluded, row.generation, &events).await {
                Ok(()) => return Ok(events),
                Err(StoreError::Full { path } | StoreError::Exhausted { path, .. }) => {
                    wait_for_room("what became of a message", &path).await;
                }
                // compaction moved its body meanwhile
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn put(
        &self,
        submission: &Submission,
        generation: u64,
        events: &[SubmissionEvent],
    ) -> Result<(), StoreError> {
        let mut commit = Commit::by(self.owner);
        for event in events {
            commit.event(announce::outcome(&self.stored.mailbox.id, clock::now(), event, submission));
        }
        commit.put_submission(submission, generation)?;
        self.deps.store.commit(commit).await.map(drop)
    }
}
