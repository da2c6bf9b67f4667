//! The user is back from the provider.

use super::super::Shared;
use super::super::auth::same;
use super::super::problem::Problem;
use super::pages::{self, Language, Page};
use super::{redeem, visit};
use crate::clock;
use crate::domain::Secret;
use crate::store::{Attempt, Row, SignIn, SignInState, StoredMailbox};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    state: String,
    code: Option<Secret>,
    error: Option<String>,
    #[serde(default)]
    error_description: String,
}

/// GET `/sign-in/callback`.
pub(super) async fn back(shared: Data<Shared>, request: HttpRequest) -> HttpResponse {
    let asked = Language::choose(None, request.headers());
    let Ok(Query(back)) = Query::<Back>::from_query(request.query_string()) else {
        return pages::invalid(asked);
    };
    let (row, attempt, stored) = match take(&shared, &back.state).await {
        Ok(Some(taken)) => taken,
        Ok(None) => return pages::invalid(asked),
        Err(problem) => return pages::failed(asked, problem.status_code()),
    };
    let language = Language::choose(row.value.language.as_deref(), request.headers());
    let ended = match (back.code, back.error) {
        (Some(code), None) => redeem::redeem(&shared, row, &attempt, &stored, &code).await,
        (_, error) => {
            let error = error.unwrap_or_else(|| String::from("invalid_request"));
            redeem::declined(&shared, row, &stored, &error, &back.error_description).await
        }
    };
    match ended {
        Ok(sign_in) => outcome(&shared, language, &stored, &sign_in),
        Err(problem) => {
            tracing::warn!(mailbox = %stored.mailbox.id, %problem, "a sign-in could not be completed");
            pages::failed(language, problem.status_code())
        }
    }
}

/// Finds the attempt that a `state` belongs to and uses it up, durably: it works once.
async fn take(
    shared: &Shared,
    state: &str,
) -> Result<Option<(Row<SignIn>, Attempt, StoredMailbox)>, Problem> {
    let Some(mut row) = visit::of_text(shared, state)? else { return Ok(None) };
    let is_ours = row.value.attempt.as_ref().is_some_and(|attempt| same(attempt.state.expose(), state));
    if !is_ours || row.value.expires_at <= clock::now() {
        return Ok(None);
    }
    let (Some(stored), Some(attempt)) = (visit::mailbox_of(shared, &row.value)?, row.value.attempt.take())
    else {
        return Ok(None);
    };
    row.value.state = SignInState::SignedIn;
    shared.store.put_sign_in(&row.value, row.generation).await?;
    row.generation += 1;
    shared.sign_in_changed();
    Ok(Some((row, attempt, stored)))
}

fn outcome(shared: &Shared, language: Language, stored: &StoredMailbox, sign_in: &SignIn) -> HttpResponse {
    let is_done = sign_in.state == SignInState::Done;
    let title = match sign_in.state {
        SignInState::Done => language.say("Das Postfach ist verbunden", "The mailbox is connected"),
        SignInState::WrongAccount => language.say("Das war ein anderes Konto", "That was another account"),
        SignInState::NeedsAdmin => {
            language.say("Ein Administrator muss helfen", "An administrator has to help")
        }
        SignInState::Waiting
        | SignInState::Opened
        | SignInState::SignedIn
        | SignInState::Probing
        | SignInState::Declined
        | SignInState::Expired => {
            language.say("Die Anmeldung hat nicht geklappt", "The sign-in did not work")
        }
    };
    let address = &stored.mailbox.address;
    let text = match (is_done, language) {
        (true, Language::De) => format!("{address} wird nun abgeglichen. Sie können diese Seite schließen."),
        (true, Language::En) => format!("{address} is being synchronized. You can close this page."),
        (false, Language::De) => {
            format!("An {address} wurde nichts geändert. Sie können es noch einmal versuchen.")
        }
        (false, Language::En) => format!("Nothing was changed for {address}. You can try again."),
    };
    let link = shared.link(sign_in);
    Page {
        language,
        status: StatusCode::OK,
        title,
        text: &text,
        button: (!is_done).then_some(link.as_str()),
        diagnosis: sign_in.diagnosis.as_ref(),
        return_to: sign_in.return_to.as_deref(),
    }
    .answer()
}
