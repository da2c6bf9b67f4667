//! POST `/v1/mailboxes/{mb}/invite`: a user is asked to sign in, by mail or by a link that the caller delivers.

use super::super::Shared;
use super::super::extract::{json, set, typed};
use super::super::problem::Answer;
use super::sign_ins::{self, can_sign_in};
use crate::clock;
use crate::events::EventType;
use crate::notify::InviteError;
use crate::problem::Problem;
use crate::store::{Commit, SignIn, Store, StoreError, StoredMailbox};
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Path};
use serde::Deserialize;
use serde_json::json;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct InviteForm {
    deliver: Delivery,
    return_to: Option<String>,
    language: Option<String>,
}

/// How the link reaches the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Delivery {
    /// By mail of the configured sender.
    #[default]
    Mail,
    /// By the caller, who gets it.
    Link,
}

/// POST `/v1/mailboxes/{mb}/invite`.
pub(super) async fn invite(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let stored = shared.mailbox(&id)?;
    let form: InviteForm = if body.is_empty() { InviteForm::default() } else { typed(&json(&body)?)? };
    let return_to = form.return_to.as_deref().map(|to| sign_ins::check_return(&shared, to)).transpose()?;
    can_sign_in(&shared, &stored)?;
    match form.deliver {
        Delivery::Mail => {
            let base = &shared.signin.public_url();
            let invited = shared.notifier.invite(&stored, base, return_to, form.language).await;
            let invited = invited.map_err(problem_of)?;
            let mut shown = sign_ins::view(&invited.sign_in, crate::diagnosis::Language::default());
            set(&mut shown, "sent_to", json!(invited.sent_to));
            Ok(HttpResponse::Created().json(shown))
        }
        Delivery::Link => {
            let mut commit = Commit::of_mailbox(stored.incarnation);
            let sign_in = link(&shared.store, &mut commit, &stored, return_to, form.language)?;
            shared.store.commit(commit).await?;
            let mut shown = sign_ins::view(&sign_in, crate::diagnosis::Language::default());
            set(&mut shown, "url", json!(shared.signin.link(&sign_in)));
            Ok(HttpResponse::Created().json(shown))
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

/// Why nobody was asked.
pub(super) fn problem_of(error: InviteError) -> Problem {
    let text = error.to_string();
    match error {
        InviteError::NoSender => Problem::conflict("no_sender", text),
        InviteError::Store(error) => Problem::from(error),
        InviteError::Mail(_) => Problem::conflict("no_address", text),
    }
}
