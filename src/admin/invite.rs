//! A user is invited to sign in, by mail or by a link that the caller delivers.

use super::context::Context;
use super::sign_in_rules::{can_sign_in, check_return};
use crate::clock;
use crate::events::EventType;
use crate::notify::{InviteError, Invited};
use crate::problem::Problem;
use crate::store::{Commit, SignIn, Store, StoreError, StoredMailbox};
use serde::Deserialize;

/// How the link reaches the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delivery {
    /// By mail of the configured sender.
    #[default]
    Mail,
    /// By the caller, who gets it.
    Link,
}

/// A user who was invited.
pub(crate) enum Invitation {
    /// By mail.
    Mailed {
        /// The sign-in.
        sign_in: SignIn,
        /// The address.
        sent_to: String,
    },
    /// By a link that the caller delivers.
    Link(SignIn),
}

/// Invites a mailbox's user to sign in.
pub(crate) async fn invite(
    context: &Context,
    stored: &StoredMailbox,
    deliver: Delivery,
    return_to: Option<&str>,
    language: Option<String>,
) -> Result<Invitation, Problem> {
    let return_to = return_to.map(|to| check_return(context, to)).transpose()?;
    can_sign_in(context, stored)?;
    match deliver {
        Delivery::Mail => {
            let base = &context.signin.public_url;
            let invited = context.notifier.invite(stored, base, return_to, language).await;
            let Invited { sign_in, sent_to } = invited.map_err(problem_of)?;
            Ok(Invitation::Mailed { sign_in, sent_to })
        }
        Delivery::Link => {
            let mut commit = Commit::of_mailbox(stored.incarnation);
            let sign_in = link(&context.store, &mut commit, stored, return_to, language)?;
            context.store.commit(commit).await?;
            Ok(Invitation::Link(sign_in))
        }
    }
}

/// A sign-in whose link somebody else delivers.
pub(super) fn link(
    store: &Store,
    commit: &mut Commit,
    stored: &StoredMailbox,
    return_to: Option<String>,
    language: Option<String>,
) -> Result<SignIn, StoreError> {
    let now = clock::now();
    let sign_in = store.begin_sign_in(stored, return_to, language, now)?;
    store.add_sign_in(commit, &sign_in, 0)?;
    commit.event(sign_in.told_as(EventType::SignInRequested, now));
    Ok(sign_in)
}

/// Why nobody was invited.
pub(super) fn problem_of(error: InviteError) -> Problem {
    let text = error.to_string();
    match error {
        InviteError::NoSender => Problem::conflict("no_sender", text),
        InviteError::Store(error) => Problem::from(error),
        InviteError::Mail(_) => Problem::conflict("no_address", text),
    }
}
