//! POST `/v1/mailboxes/{mb}/invite`: a user is invited to sign in, by mail or by a link that the caller delivers.

use super::super::Shared;
use super::super::extract::json;
use super::super::problem::Answer;
use super::sign_ins;
use crate::admin::{Delivery, can_sign_in, check_return, invite_problem, link, set, typed};
use crate::store::Commit;
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

/// POST `/v1/mailboxes/{mb}/invite`.
pub(super) async fn invite(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let stored = shared.mailbox(&id)?;
    let form: InviteForm = if body.is_empty() { InviteForm::default() } else { typed(&json(&body)?)? };
    let return_to = form.return_to.as_deref().map(|to| check_return(&shared.admin, to)).transpose()?;
    can_sign_in(&shared.admin, &stored)?;
    match form.deliver {
        Delivery::Mail => {
            let base = &shared.signin.public_url();
            let invited = shared.admin.notifier.invite(&stored, base, return_to, form.language).await;
            let invited = invited.map_err(invite_problem)?;
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
