//! One link for each person: the page of a sign-in shows what else its owner has to sign in for, with a button for
//! each.

use super::super::Shared;
use super::page::{Words, escape, gone, see_other};
use crate::domain::MailboxId;
use crate::problem::Problem;
use crate::signin::{others_of_owner, sign_in_for, usable};
use crate::store::{SignIn, StoredMailbox};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

const OTHERS: Words = Words {
    en: "You are asked to sign in for these mailboxes, too:",
    de: "Auch für diese Postfächer werden Sie gebeten, sich anzumelden:",
};
const SIGN_IN: Words = Words { en: "Sign in for", de: "Anmelden für" };

/// The other mailboxes of the owner that somebody has to sign in for, each with a button; empty if there are none.
pub(super) async fn others(
    shared: &Shared,
    sign_in: &SignIn,
    stored: &StoredMailbox,
    language: &str,
) -> Result<String, Problem> {
    let waiting = others_of_owner(&shared.signin, stored).await?;
    if waiting.is_empty() {
        return Ok(String::new());
    }
    let link = escape(&shared.signin.link(sign_in));
    let button = |other: &StoredMailbox| {
        format!(
            "<form method=\"post\" action=\"{link}/for/{}\"><button>{} {}</button></form>",
            other.mailbox.id,
            SIGN_IN.in_language(language),
            escape(&other.mailbox.address)
        )
    };
    let buttons: String = waiting.iter().map(button).collect();
    Ok(format!("<h2>{}</h2>{buttons}", OTHERS.in_language(language)))
}

/// POST `/sign-in/{token}/for/{mailbox}`: a sign-in of its own for another mailbox of the same owner; one that waits
/// already, however often the button is pressed.
pub(super) async fn start(
    request: HttpRequest,
    shared: Data<Shared>,
    path: Path<(String, MailboxId)>,
) -> Result<HttpResponse, Problem> {
    let (token, wanted) = path.into_inner();
    let Some((row, stored)) = usable(&shared.signin, &token)? else { return Ok(gone(&request)) };
    let other =
        others_of_owner(&shared.signin, &stored).await?.into_iter().find(|other| other.mailbox.id == wanted);
    let Some(other) = other else { return Ok(gone(&request)) };
    let sign_in = sign_in_for(&shared.signin, row.value, &other).await?;
    Ok(see_other(&shared.signin.link(&sign_in)))
}
