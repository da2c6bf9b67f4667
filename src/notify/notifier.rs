//! Invites users, and puts letters into the outbox of the mailbox that sends.

use super::error::InviteError;
use super::post::{self, Letter};
use super::template::{Template, Templates};
use crate::clock;
use crate::config::NotifySection;
use crate::diagnosis::Language;
use crate::domain::{MailboxId, SignInId, Timestamp};
use crate::events::EventType;
use crate::store::{Commit, Notice, SignIn, Store, StoreError, StoredMailbox};
use crate::supervisor::protocol::{Wake, WakeReason};
use actix::Recipient;
use std::sync::Arc;

/// Writes to people.
#[derive(Clone)]
pub struct Notifier {
    pub(super) store: Store,
    pub(super) config: NotifySection,
    pub(super) templates: Arc<Templates>,
    wake: Recipient<Wake>,
}

/// A user who was invited.
#[derive(Debug)]
pub struct Invited {
    /// By this sign-in.
    pub sign_in: SignIn,
    /// At this address.
    pub sent_to: String,
}

impl Notifier {
    /// A notifier.
    #[must_use]
    pub fn new(store: Store, config: NotifySection, wake: Recipient<Wake>) -> Self {
        let templates = Arc::new(Templates::read(config.templates.as_deref()));
        Self { store, config, templates, wake }
    }

    /// The mailbox that sends, if there is one that can.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn sender(&self) -> Result<Option<StoredMailbox>, StoreError> {
        let id = self.config.sender.as_deref().and_then(|id| MailboxId::new(id).ok());
        let stored = id.map(|id| self.store.mailbox(&id)).transpose()?.flatten();
        Ok(stored.filter(|stored| stored.mailbox.smtp.is_some() && stored.mailbox.active))
    }

    /// Invites a mailbox's user to sign in. `base` is the address that users see.
    ///
    /// # Errors
    /// [`InviteError`].
    pub async fn invite(
        &self,
        stored: &StoredMailbox,
        base: &str,
        return_to: Option<String>,
        language: Option<String>,
    ) -> Result<Invited, InviteError> {
        let sender = self.sender()?.ok_or(InviteError::NoSender)?;
        let language = language.or_else(|| stored.mailbox.owner.as_ref()?.language.clone());
        let now = clock::now();
        let sign_in = self.store.begin_sign_in(stored, return_to, language, now)?;
        let mut commit = Commit::of_mailbox(sender.incarnation);
        self.store.add_sign_in(&mut commit, &sign_in, 0)?;
        commit.event(sign_in.told_as(EventType::SignInRequested, now));
        let sent_to =
            self.add_letter(&mut commit, &sender, (stored, &sign_in), (Template::Invite, base)).await?;
        let earlier = self.store.invitation(stored.incarnation)?.map_or(0, |row| row.generation);
        commit.put_notice(&invitation(&sign_in, 1, now), earlier)?;
        self.send(commit, &sender).await?;
        Ok(Invited { sign_in, sent_to })
    }

    /// Adds an invitation or a reminder to a commit of the sender; to which address it goes.
    pub(super) async fn add_letter(
        &self,
        commit: &mut Commit,
        sender: &StoredMailbox,
        (stored, sign_in): (&StoredMailbox, &SignIn),
        (template, base): (Template, &str),
    ) -> Result<String, InviteError> {
        let mailbox = &stored.mailbox;
        let owner = mailbox.owner.as_ref();
        let to = owner.and_then(|owner| owner.notify.clone()).unwrap_or_else(|| mailbox.address.clone());
        let name =
            owner.and_then(|owner| owner.name.as_ref()).map_or_else(String::new, |name| format!(" {name}"));
        let link = format!("{base}/sign-in/{}", sign_in.link_token.expose());
        let until: String = sign_in.expires_at.to_rfc3339().chars().take(10).collect();
        let facts =
            [("address", mailbox.address.as_str()), ("name", &name), ("link", &link), ("until", &until)];
        let (subject, text) =
            self.templates.fill(template, self.language(sign_in.language.as_deref()), &facts);
        let letter = Letter { to: vec![to.clone()], subject, text };
        post::add(commit, &self.store, sender, letter).await?;
        Ok(to)
    }

    /// A user's language, else that of the installation.
    pub(super) fn language(&self, wanted: Option<&str>) -> Language {
        let own = || Language::of_tag(&self.config.language).unwrap_or_default();
        wanted.and_then(Language::of_tag).unwrap_or_else(own)
    }

    /// Commits, and wakes the sender.
    pub(super) async fn send(&self, commit: Commit, sender: &StoredMailbox) -> Result<(), StoreError> {
        self.store.commit(commit).await?;
        let wake = Wake { mailbox: sender.incarnation, reason: WakeReason::Outbox };
        if self.wake.try_send(wake).is_err() {
            tracing::debug!("a wake-up was lost");
        }
        Ok(())
    }
}

/// Adds to a commit that a mailbox's user is to be invited to sign in, as soon as the notifier gets to it.
///
/// # Errors
/// [`StoreError`] if it cannot be read or written.
pub fn ask_for_invitation(
    store: &Store,
    commit: &mut Commit,
    stored: &StoredMailbox,
) -> Result<(), StoreError> {
    let ordered = Notice::Invitation {
        mailbox: stored.mailbox.id.clone(),
        incarnation: stored.incarnation,
        // a placeholder: the mail brings a sign-in of its own
        sign_in: SignInId::generate(),
        mails: 0,
        last: clock::now(),
        overdue: false,
    };
    let earlier = store.invitation(stored.incarnation)?.map_or(0, |row| row.generation);
    commit.put_notice(&ordered, earlier)
}

/// The note that a user was invited.
pub(super) fn invitation(sign_in: &SignIn, mails: u32, last: Timestamp) -> Notice {
    Notice::Invitation {
        mailbox: sign_in.mailbox.clone(),
        incarnation: sign_in.incarnation,
        sign_in: sign_in.id,
        mails,
        last,
        overdue: false,
    }
}
