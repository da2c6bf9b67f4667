//! A mailbox as it is returned: its configuration, and everything from `state` on.

use crate::diagnosis::{self, Language, catalogue as c};
use crate::domain::{
    Auth, Diagnosis, Grant, GrantSecret, Mailbox, MailboxState, RetryClass, SendState, SmtpAuth,
    SubmissionState,
};
use crate::store::{MailboxStatus, Row, Store, StoreError, StoredMailbox};
use serde_json::{Value, json};

/// What lists filter by, and what is shown.
pub(crate) struct MailboxView {
    /// Sign-in and receiving.
    pub(crate) state: MailboxState,
    /// Sending.
    pub(crate) send_state: SendState,
    /// Somebody must act.
    pub(crate) attention: bool,
    /// Everything.
    pub(crate) shown: Value,
}

/// Whether a folder is set apart, or a message.
fn folders_need_attention(store: &Store, stored: &StoredMailbox) -> Result<bool, StoreError> {
    for Row { value: folder, .. } in store.folders(stored.incarnation)? {
        let is_apart = folder.apart.is_some() && folder.selectable && folder.included;
        if is_apart || store.has_quarantined(stored.incarnation, &folder)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A mailbox as it is returned. Reads rows in proportion to its folders and open submissions.
pub(crate) fn mailbox_view(
    store: &Store,
    stored: &StoredMailbox,
    language: Language,
) -> Result<MailboxView, StoreError> {
    let mailbox = &stored.mailbox;
    let status = store.status(stored.incarnation)?;
    let is_reported = status.generation > 0;
    let grant = store.grant(stored.incarnation)?.map(|row| row.value).filter(|grant| fits(mailbox, grant));
    let (queued, unknown) = waiting(store, stored)?;
    let MailboxStatus { diagnosis, send_diagnosis, send_until, last_sync_at, backlog, .. } = &status.value;
    let state = state(mailbox, grant.as_ref(), &status.value);
    let send_state = send_state(mailbox, state, is_reported, &status.value);
    let send_needs =
        matches!(send_state, SendState::NeedsAdmin | SendState::NeedsSignIn | SendState::AppBroken);
    let refused = refused(store, stored, state)?;
    let diagnosis = diagnosis.as_ref().filter(|_| state == status.value.state);
    // it waits for room, or has only a part of the folders: the operator or the owner has to make room
    let is_limited = diagnosis
        .is_some_and(|found| [c::DESCRIPTORS.code, c::TOO_MANY_FOLDERS.code].contains(&&*found.code));
    // its sign-in has ended while nobody used it
    let ended = state == MailboxState::Paused && diagnosis.is_some();
    let attention = state.needs_attention()
        || send_needs
        || unknown > 0
        || ended
        || is_limited
        || folders_need_attention(store, stored)?
        || refused.as_ref().is_some_and(|found| found.retry != RetryClass::Auto);
    let worded = |found: &Diagnosis| diagnosis::shown(found, language);
    let diagnosis = refused.as_ref().or(diagnosis).map(worded);
    let send_diagnosis = send_diagnosis.as_ref().map(worded);
    let (mut folders, mut messages, mut bytes) = (0_u64, 0_u64, 0_u64);
    for folder in store.folders(stored.incarnation)? {
        let counts = store.folder_counts(stored.incarnation, folder.value.id)?;
        folders += 1;
        messages += counts.messages;
        bytes += counts.bytes;
    }
    let mut shown = serde_json::to_value(mailbox).unwrap_or_default();
    if let Some(fields) = shown.as_object_mut() {
        let more = json!({
            "state": state,
            "diagnosis": diagnosis,
            "attention": attention,
            "send": {"state": send_state, "diagnosis": send_diagnosis, "queued": queued, "unknown": unknown,
                "until": send_until},
            "grant": grant.as_ref().map(Grant::info),
            "sync": {"folders": folders, "messages": messages, "bytes": bytes, "backlog": backlog,
                "last_sync_at": last_sync_at},
        });
        if let Value::Object(more) = more {
            fields.extend(more);
        }
    }
    Ok(MailboxView { state, send_state, attention, shown })
}

/// Why a token that was handed in for a mailbox without a sign-in is not taken over.
fn refused(
    store: &Store,
    stored: &StoredMailbox,
    state: MailboxState,
) -> Result<Option<Diagnosis>, StoreError> {
    if state != MailboxState::AwaitingSignIn {
        return Ok(None);
    }
    Ok(store.take_over(stored.incarnation)?.and_then(|row| row.value.diagnosis))
}

/// Whether a grant is of the kind that the mailbox authenticates by.
fn fits(mailbox: &Mailbox, grant: &Grant) -> bool {
    match (&mailbox.auth, &grant.secret) {
        (Auth::Password { .. }, GrantSecret::Password { .. })
        | (Auth::Oauth { .. }, GrantSecret::Refresh { .. }) => true,
        (Auth::Password { .. }, GrantSecret::Refresh { .. })
        | (Auth::Oauth { .. }, GrantSecret::Password { .. })
        | (Auth::AppOnly { .. } | Auth::ServiceAccount { .. }, _) => false,
    }
}

fn waiting(store: &Store, stored: &StoredMailbox) -> Result<(u64, u64), StoreError> {
    let (mut queued, mut unknown) = (0, 0);
    for row in store.open_submissions(stored.incarnation)? {
        match row.value.state {
            SubmissionState::Queued | SubmissionState::Sending | SubmissionState::Deferred => queued += 1,
            SubmissionState::Unknown => unknown += 1,
            SubmissionState::Sent | SubmissionState::Failed | SubmissionState::Cancelled => {}
        }
    }
    Ok((queued, unknown))
}

/// What the configuration says outweighs what the actors reported last: they may not have looked at it yet.
pub(crate) fn state(mailbox: &Mailbox, grant: Option<&Grant>, status: &MailboxStatus) -> MailboxState {
    if !mailbox.active {
        return MailboxState::Paused;
    }
    match &mailbox.auth {
        Auth::Oauth { app: None, .. } => return MailboxState::AwaitingApp,
        Auth::Oauth { app: Some(_), .. } if grant.is_none() => return MailboxState::AwaitingSignIn,
        Auth::Oauth { app: Some(_), .. }
        | Auth::AppOnly { .. }
        | Auth::ServiceAccount { .. }
        | Auth::Password { .. } => {}
    }
    match status.state {
        MailboxState::Paused | MailboxState::AwaitingApp | MailboxState::AwaitingSignIn => {
            MailboxState::Connecting
        }
        reported @ (MailboxState::Connecting
        | MailboxState::Syncing
        | MailboxState::Live
        | MailboxState::Throttled
        | MailboxState::Retrying
        | MailboxState::NeedsSignIn
        | MailboxState::NeedsAdmin
        | MailboxState::AppBroken) => reported,
    }
}

fn send_state(
    mailbox: &Mailbox,
    state: MailboxState,
    is_reported: bool,
    status: &MailboxStatus,
) -> SendState {
    let by_itself = mailbox.smtp.as_ref().is_some_and(|smtp| smtp.auth != SmtpAuth::Inherit);
    let rests = matches!(state, MailboxState::Paused | MailboxState::AwaitingApp)
        || (state == MailboxState::AwaitingSignIn && !by_itself);
    match status.send_state {
        _ if mailbox.smtp.is_none() => SendState::Off,
        _ if rests => SendState::Held,
        _ if !is_reported => SendState::Ready,
        // as long as the sending actor has not reported
        SendState::Off => SendState::Ready,
        reported @ (SendState::Ready
        | SendState::Held
        | SendState::Throttled
        | SendState::NeedsAdmin
        | SendState::NeedsSignIn
        | SendState::AppBroken) => reported,
    }
}
