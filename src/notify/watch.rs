//! The shell of the notifier: looks when states change and when time has passed, and does what is decided.

use super::decide::{Action, OVERDUE, ROLLED_BACK, Rules, SECRET, Seen, SeenApp, decide};
use super::error::InviteError;
use super::notifier::{Notifier, invitation};
use super::post::{self, Letter};
use super::template::Template;
use crate::clock;
use crate::diagnosis::{self, Facts, catalogue as c};
use crate::domain::app::AppCredentials;
use crate::domain::{
    App, AppId, Auth, Diagnosis, Incarnation, MailboxId, MailboxState, RetryClass, RotationState, SignInId,
    Who,
};
use crate::events::{Cursor, EventType};
use crate::store::{Cause, Commit, Notice, Row, SignIn, StoreError, StoredMailbox};
use std::collections::BTreeMap;
use std::time::Duration;

/// Looked at this often even if nothing changes.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// So many times as long as a look took there is none.
const REST: u32 = 4;
/// A link that ends sooner is not sent again.
const LINK_LEFT: Duration = Duration::from_secs(24 * 3600);
/// So many mailboxes are named in a mail.
const NAMED: usize = 10;

/// What one look found.
struct Look {
    mailboxes: Vec<StoredMailbox>,
    seen: Vec<Seen>,
    apps: Vec<SeenApp>,
    notices: Vec<Row<Notice>>,
}

/// Writes to people as long as the process lives; `base` is the address that users see. Without a sender it does
/// nothing.
pub async fn watch(notifier: Notifier, base: String) {
    if notifier.config.sender.is_none() {
        return;
    }
    notifier.warn_of_itself();
    let mut cursor = notifier.store.durable_cursor();
    loop {
        let began = clock::monotonic();
        if notifier.round(&base).await.is_err() {
            return;
        }
        // where mailboxes are many, and their states change one after the other, one look serves for many changes
        tokio::time::sleep(began.elapsed().saturating_mul(REST).min(LONGEST_PAUSE)).await;
        match notifier.until_changed(cursor).await {
            Ok(reached) => cursor = reached,
            Err(error) => {
                tracing::error!(%error, "the event log cannot be read, nobody is written to any more");
                return;
            }
        }
    }
}

impl Notifier {
    /// The sender cannot report an app that it signs in through itself.
    fn warn_of_itself(&self) {
        match self.sender() {
            Ok(Some(sender)) => {
                if let Some(app) = sender.mailbox.app() {
                    tracing::warn!(sender = %sender.mailbox.id, %app,
                        "notify.sender signs in through this app: when the app breaks, nobody is told by mail");
                }
            }
            Ok(None) => tracing::warn!(
                sender = self.config.sender,
                "notify.sender is no active mailbox with an smtp server: nobody is written to"
            ),
            Err(error) => tracing::error!(%error, "notify.sender cannot be read"),
        }
    }

    /// Comes when a state changed, or after a pause.
    async fn until_changed(&self, mut cursor: Cursor) -> Result<Cursor, StoreError> {
        let pause =
            LONGEST_PAUSE.min(self.config.remind_after).min(self.config.repeat_after).max(SHORTEST_PAUSE);
        let mut durable = self.store.watch_durable();
        let mut end = std::pin::pin!(tokio::time::sleep(pause));
        loop {
            durable.borrow_and_update();
            let store = self.store.clone();
            let read = tokio::task::spawn_blocking(move || {
                let tells =
                    |kind| matches!(kind, EventType::MailboxStateChanged | EventType::AppSecretRolledBack);
                store.events_after(cursor, 1000, |event| tells(event.kind))
            });
            let (changes, reached) = read.await.map_err(|_| StoreError::Closed)??;
            cursor = reached;
            if !changes.is_empty() {
                return Ok(cursor);
            }
            tokio::select! {
                changed = durable.changed() => changed.map_err(|_| StoreError::Closed)?,
                () = &mut end => return Ok(cursor),
            }
        }
    }

    /// One look, and what follows from it.
    async fn round(&self, base: &str) -> Result<(), StoreError> {
        let notifier = self.clone();
        let looked = tokio::task::spawn_blocking(move || notifier.look()).await;
        let (look, sender) = match looked.map_err(|_| StoreError::Closed)? {
            Ok(looked) => looked,
            Err(error) => {
                tracing::error!(%error, "mailboxes cannot be read, people are written to later");
                return Ok(());
            }
        };
        let rules = Rules {
            can_send: sender.is_some(),
            has_admins: !self.config.admins.is_empty(),
            remind_after: self.config.remind_after,
            repeat_after: self.config.repeat_after,
        };
        let notices: Vec<Notice> = look.notices.iter().map(|row| row.value.clone()).collect();
        for action in decide(&look.seen, &look.apps, &notices, &rules, clock::now()) {
            let done = self.perform(&look, sender.as_ref(), &action, base).await;
            match done {
                // another write came first: the next look sees it
                Ok(()) | Err(InviteError::Store(StoreError::Conflict | StoreError::Stale)) => {}
                Err(error) => tracing::warn!(%error, ?action, "somebody was not written to, tried again"),
            }
        }
        Ok(())
    }

    fn look(&self) -> Result<(Look, Option<StoredMailbox>), StoreError> {
        let sender = self.sender()?;
        let apps: BTreeMap<String, AppCredentials> =
            self.store.apps()?.into_iter().map(|row| (row.value.app.id.to_string(), row.value)).collect();
        let mailboxes = self.store.mailboxes()?;
        let mut seen = Vec::new();
        for stored in &mailboxes {
            let status = self.store.status(stored.incarnation)?.value;
            let app = stored.mailbox.app().map(ToString::to_string);
            let serves_users =
                |app: &&AppCredentials| !app.app.client_id.is_empty() && app.service_account.is_none();
            let is_complete = app.as_ref().and_then(|app| apps.get(app)).filter(serves_users).is_some();
            let is_sender = sender.as_ref().is_some_and(|sender| sender.incarnation == stored.incarnation);
            let by_oauth = matches!(stored.mailbox.auth, Auth::Oauth { .. });
            let (state, code) = match self.kept_token(stored)? {
                Some(code) => (MailboxState::NeedsAdmin, Some(code)),
                None => (status.state, status.diagnosis.map(|found| found.code)),
            };
            seen.push(Seen {
                id: stored.mailbox.id.clone(),
                incarnation: stored.incarnation,
                state,
                code,
                send_state: status.send_state,
                send_code: status.send_diagnosis.map(|found| found.code),
                app,
                can_sign_in: by_oauth && is_complete && stored.mailbox.active && !is_sender,
                has_grant: self.store.grant(stored.incarnation)?.is_some(),
                is_moving: by_oauth && self.store.move_of(stored)?.is_some(),
            });
        }
        let apps: Result<Vec<SeenApp>, StoreError> =
            apps.into_values().map(|app| self.seen_app(&app.app)).collect();
        Ok((Look { mailboxes, seen, apps: apps?, notices: self.store.notices()? }, sender))
    }

    fn seen_app(&self, app: &App) -> Result<SeenApp, StoreError> {
        let rotation = self.store.rotation(&app.id)?.map(|row| row.value);
        let refused = rotation.filter(|rotation| rotation.state == RotationState::RolledBack);
        Ok(SeenApp {
            id: app.id.to_string(),
            ends: app.secret_expires_at,
            rolled_back: refused.map(|rotation| rotation.since),
        })
    }

    /// Why a refresh token that was handed in is not taken over yet, if that is for somebody else than its user.
    fn kept_token(&self, stored: &StoredMailbox) -> Result<Option<String>, StoreError> {
        let row = self.store.take_over(stored.incarnation)?.filter(|row| row.value.is_to_be_tried());
        let found = row.and_then(|row| row.value.diagnosis);
        let is_due = |found: &Diagnosis| found.retry == RetryClass::AfterFix && found.who != Who::User;
        Ok(found.filter(is_due).map(|found| found.code))
    }

    async fn perform(
        &self,
        look: &Look,
        sender: Option<&StoredMailbox>,
        action: &Action,
        base: &str,
    ) -> Result<(), InviteError> {
        match (action, sender) {
            (Action::Invite(mailbox), Some(_)) => {
                let Some(stored) = look.mailbox(*mailbox) else { return Ok(()) };
                let invited = self.invite(stored, base, None, None).await?;
                tracing::info!(mailbox = %stored.mailbox.id, sign_in = %invited.sign_in.id, "the user was asked to sign in");
                Ok(())
            }
            (Action::Remind(mailbox), Some(sender)) => self.remind(look, sender, *mailbox, base).await,
            (Action::Overdue(mailbox, sign_in), _) => self.overdue(look, *mailbox, *sign_in).await,
            (Action::Close(notice), _) => {
                let mut commit = Commit::default();
                look.notices
                    .iter()
                    .filter(|row| row.value == *notice)
                    .for_each(|row| commit.drop_notice(row));
                Ok(self.store.commit(commit).await.map(drop)?)
            }
            (Action::Alert(cause, concerned), Some(sender)) => {
                self.alert(look, sender, cause, concerned).await
            }
            (Action::Invite(_) | Action::Remind(_) | Action::Alert(..), None) => Err(InviteError::NoSender),
        }
    }

    async fn remind(
        &self,
        look: &Look,
        sender: &StoredMailbox,
        mailbox: Incarnation,
        base: &str,
    ) -> Result<(), InviteError> {
        let (Some(stored), Some((row, before, mails))) = (look.mailbox(mailbox), look.invitation(mailbox))
        else {
            return Ok(());
        };
        let now = clock::now();
        let mut commit = Commit::of_mailbox(sender.incarnation);
        let earlier = self.store.sign_in(before)?.map(|row| row.value);
        let to = self.store.move_of(stored)?.map(|moving| moving.to);
        let lasting = |sign_in: &SignIn| {
            !sign_in.state.is_final() && sign_in.expires_at > now.plus(LINK_LEFT) && sign_in.app == to
        };
        let sign_in = match earlier.clone().filter(lasting) {
            Some(sign_in) => sign_in,
            None => {
                let (return_to, language) = earlier.map_or((None, None), |old| (old.return_to, old.language));
                let fresh = self.store.begin_sign_in(stored, return_to, language, now)?;
                self.store.add_sign_in(&mut commit, &fresh, 0)?;
                commit.event(fresh.told_as(EventType::SignInRequested, now));
                fresh
            }
        };
        self.add_letter(&mut commit, sender, (stored, &sign_in), (Template::Remind, base)).await?;
        commit.put_notice(&invitation(&sign_in, mails.saturating_add(1), now), row.generation)?;
        Ok(self.send(commit, sender).await?)
    }

    async fn overdue(&self, look: &Look, mailbox: Incarnation, sign_in: SignInId) -> Result<(), InviteError> {
        let Some((row, ..)) = look.invitation(mailbox) else { return Ok(()) };
        let mut noted = row.value.clone();
        let Notice::Invitation { mailbox: id, overdue, .. } = &mut noted else { return Ok(()) };
        *overdue = true;
        let data = serde_json::json!({"sign_in": sign_in});
        let event = crate::events::EventDraft::new(EventType::SignInOverdue, id, clock::now(), &data);
        let mut commit = Commit::of_mailbox(mailbox);
        commit.event(event);
        commit.put_notice(&noted, row.generation)?;
        Ok(self.store.commit(commit).await.map(drop)?)
    }

    async fn alert(
        &self,
        look: &Look,
        sender: &StoredMailbox,
        cause: &Cause,
        concerned: &[MailboxId],
    ) -> Result<(), InviteError> {
        let language = self.language(None);
        let found = diagnosis::shown(&self.diagnosis_of(look, cause, concerned)?, language);
        let label = c::find(&found.code).map_or(cause.code.as_str(), |entry| entry.label.get(language));
        let steps: Vec<String> = found
            .remedy
            .clicks
            .iter()
            .chain(&found.remedy.commands)
            .map(|step| format!("  {step}\n"))
            .collect();
        let named: Vec<&str> = concerned.iter().take(NAMED).map(MailboxId::as_str).collect();
        let (count, steps, named) = (concerned.len().to_string(), steps.concat(), named.join(", "));
        let app = if cause.app.is_empty() { "-" } else { cause.app.as_str() };
        let facts = [
            ("label", label),
            ("summary", &found.summary),
            ("remedy", &found.remedy.text),
            ("steps", &steps),
            ("code", &found.code),
            ("app", app),
            ("count", &count),
            ("mailboxes", &named),
        ];
        let (subject, text) = self.templates.fill(Template::Alert, language, &facts);
        let mut commit = Commit::of_mailbox(sender.incarnation);
        let letter = Letter { to: self.config.admins.clone(), subject, text };
        post::add(&mut commit, &self.store, sender, letter).await?;
        let is_this = |row: &&Row<Notice>| matches!(&row.value, Notice::Alert { cause: reported, .. } if reported == cause);
        let earlier = look.notices.iter().find(is_this).map_or(0, |row| row.generation);
        commit.put_notice(&Notice::Alert { cause: cause.clone(), last: clock::now() }, earlier)?;
        self.send(commit, sender).await?;
        tracing::warn!(
            code = cause.code,
            app = cause.app,
            mailboxes = concerned.len(),
            "administrators were told"
        );
        if sender.mailbox.app().is_some_and(|own| own.as_str() == cause.app) {
            tracing::error!(
                app = cause.app,
                "notify.sender signs in through the app it has to report: look at its outbox"
            );
        }
        Ok(())
    }

    /// What is reported of a cause: the diagnosis of the first mailbox concerned, or a text of this daemon.
    fn diagnosis_of(
        &self,
        look: &Look,
        cause: &Cause,
        concerned: &[MailboxId],
    ) -> Result<Diagnosis, StoreError> {
        let app = cause.app.as_str();
        let first =
            concerned.first().and_then(|id| look.mailboxes.iter().find(|stored| stored.mailbox.id == *id));
        let address = first.map_or("", |stored| &stored.mailbox.address);
        if cause.code == OVERDUE {
            return Ok(diagnosis::describe(
                &c::SIGN_IN_OVERDUE,
                &Facts { address, ..Facts::default() },
                None,
            ));
        }
        if let Some(days) = cause.code.strip_prefix(SECRET) {
            let facts = Facts { client_id: app, detail: days, ..Facts::default() };
            return Ok(diagnosis::describe(&c::SECRET_EXPIRING, &facts, None));
        }
        if cause.code.starts_with(ROLLED_BACK) {
            return self.why_rolled_back(app);
        }
        let status = first.map(|stored| self.store.status(stored.incarnation)).transpose()?;
        let shown =
            status.map(|row| [row.value.diagnosis, row.value.send_diagnosis]).into_iter().flatten().flatten();
        let known = shown.into_iter().find(|found| found.code == cause.code);
        let entry = || c::find(&cause.code).unwrap_or(&c::APP_REFUSED);
        Ok(known
            .unwrap_or_else(|| diagnosis::describe(entry(), &Facts { address, ..Facts::default() }, None)))
    }
}

impl Notifier {
    /// That a new credential was refused, and why.
    fn why_rolled_back(&self, app: &str) -> Result<Diagnosis, StoreError> {
        let id = AppId::new(app).ok();
        let rotation = id.map(|id| self.store.rotation(&id)).transpose()?.flatten();
        let found = rotation.and_then(|row| row.value.diagnosis);
        let why = found.map(|found| diagnosis::shown(&found, self.language(None)).summary);
        let facts = Facts { client_id: app, detail: why.as_deref().unwrap_or_default(), ..Facts::default() };
        Ok(diagnosis::describe(&c::SECRET_ROLLED_BACK, &facts, None))
    }
}

impl Look {
    fn mailbox(&self, incarnation: Incarnation) -> Option<&StoredMailbox> {
        self.mailboxes.iter().find(|stored| stored.incarnation == incarnation)
    }

    /// The notice of a mailbox's invitation, its sign-in, and how many mails were sent.
    fn invitation(&self, of: Incarnation) -> Option<(&Row<Notice>, SignInId, u32)> {
        self.notices.iter().find_map(|row| match &row.value {
            Notice::Invitation { incarnation, sign_in, mails, .. } if *incarnation == of => {
                Some((row, *sign_in, *mails))
            }
            Notice::Invitation { .. } | Notice::Alert { .. } => None,
        })
    }
}
