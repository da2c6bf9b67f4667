//! One link for each person: the page of a sign-in shows what else its owner has to sign in for, with a button for
//! each.

use super::super::Shared;
use super::page::{gone, see_other};
use super::words::Words;
use crate::domain::MailboxId;
use crate::problem::Problem;
use crate::signin::{Opened, opened, others_of_owner, sign_in_for};
use crate::store::{SignIn, StoredMailbox};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};

/// The other mailboxes of the owner that somebody has to sign in for, each with a button; empty if there are none.
pub(super) async fn others(
    shared: &Shared,
    sign_in: &SignIn,
    stored: &StoredMailbox,
    language: &str,
) -> Result<Markup, Problem> {
    const OTHERS: Words = Words { en: "Left to do for you", de: "Noch offen für Sie" };
    const OPEN: Words = Words { en: "open", de: "offen" };
    const SIGN_IN: Words = Words { en: "Sign in", de: "Anmelden" };
    let waiting = others_of_owner(&shared.signin, stored).await?;
    if waiting.is_empty() {
        return Ok(html! {});
    }
    let link = shared.signin.link(sign_in);
    Ok(html! {
        h2 { (OTHERS.in_language(language)) }
        @for other in &waiting {
            div.who {
                span { b { (other.mailbox.address) } }
                span.badge.wait { (OPEN.in_language(language)) }
                form method="post" action=(format!("{link}/for/{}", other.mailbox.id)) {
                    button.button aria-label=(format!("{}: {}", SIGN_IN.in_language(language), other.mailbox.address)) {
                        (SIGN_IN.in_language(language))
                    }
                }
            }
        }
    })
}

/// POST `/sign-in/{token}/for/{mailbox}`: a sign-in of its own for another mailbox of the same owner; one that waits
/// already, however often the button is pressed.
pub(super) async fn start(
    request: HttpRequest,
    shared: Data<Shared>,
    path: Path<(String, MailboxId)>,
) -> Result<HttpResponse, Problem> {
    let (token, wanted) = path.into_inner();
    let found = opened(&shared.signin, &token)?;
    let Some(Opened { row, stored, .. }) = found.filter(Opened::leads_on) else {
        return Ok(gone(&shared.brand, &request));
    };
    let other =
        others_of_owner(&shared.signin, &stored).await?.into_iter().find(|other| other.mailbox.id == wanted);
    let Some(other) = other else { return Ok(gone(&shared.brand, &request)) };
    let sign_in = sign_in_for(&shared.signin, row.value, &other).await?;
    Ok(see_other(&shared.signin.link(&sign_in)))
}
