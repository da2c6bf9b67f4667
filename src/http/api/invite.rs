//! POST `/v1/mailboxes/{mb}/invite`: a user is invited to sign in, by mail or by a link that the caller delivers.

use super::super::Shared;
use super::super::extract::json as read;
use super::super::problem::Answer;
use super::sign_ins;
use crate::admin::{self, Delivery, Invitation, set, typed};
use crate::diagnosis::Language;
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
    let form: InviteForm = if body.is_empty() { InviteForm::default() } else { typed(&read(&body)?)? };
    let return_to = form.return_to.as_deref();
    let invited = admin::invite(&shared.admin, &stored, form.deliver, return_to, form.language).await?;
    let shown = match invited {
        Invitation::Mailed { sign_in, sent_to } => {
            let mut shown = sign_ins::view(&sign_in, Language::default());
            set(&mut shown, "sent_to", json!(sent_to));
            shown
        }
        Invitation::Link(sign_in) => {
            let mut shown = sign_ins::view(&sign_in, Language::default());
            set(&mut shown, "url", json!(shared.signin.link(&sign_in)));
            shown
        }
    };
    Ok(HttpResponse::Created().json(shown))
}
