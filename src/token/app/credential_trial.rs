//! The trial of an app's new credential: what the answer to a request made with it says, and writing that down. Until
//! it is proven the one before is kept; refused, the app goes back to that one and the request is made again.

use crate::clock;
use crate::diagnosis::Facts;
use crate::domain::app::AppCredentials;
use crate::domain::{AppId, Rotation};
use crate::net::HttpClient;
use crate::store::{Row, Store, StoreError};
use crate::token::oauth::{Endpoints, FlowError, OauthClient, TokenAnswer};

/// What a request came to, as far as the credential is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// It was taken.
    Taken,
    /// It was refused.
    Refused,
    /// Nothing: it was not sent, or the answer is about something else.
    Nothing,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The answer stands.
    Nothing,
    /// The previous credential is erased.
    Prove,
    /// The previous credential takes its place again, and the request is made anew.
    RollBack,
    /// The app has another credential than the one that was refused: the request is made anew.
    Again,
}

/// `is_current`: the credential that was sent is the one that the app has now.
fn decide(said: Said, is_current: bool, is_on_trial: bool) -> Step {
    match (said, is_current, is_on_trial) {
        (Said::Taken, true, true) => Step::Prove,
        (Said::Refused, true, true) => Step::RollBack,
        (Said::Refused, false, _) => Step::Again,
        (Said::Nothing, _, _) | (Said::Taken, _, _) | (Said::Refused, true, false) => Step::Nothing,
    }
}

fn said(sent: bool, answer: Result<(), &FlowError>) -> Said {
    match answer {
        Ok(()) if sent => Said::Taken,
        Err(error) if sent && error.refuses_credential() => Said::Refused,
        Ok(()) | Err(_) => Said::Nothing,
    }
}

/// Draws the consequence of an answer for the app's credential; `sent` says whether it went along. `true`: the app has
/// another credential now, and the refused request has to be made again. What cannot be written is logged and the
/// credential stays on trial: whoever has an answer in hand goes on with it.
pub async fn conclude(
    store: &Store,
    used: &AppCredentials,
    sent: bool,
    answer: Result<(), &FlowError>,
) -> bool {
    try_to_conclude(store, used, sent, answer).await.unwrap_or_else(|error| {
        tracing::error!(app = %used.app.id, %error, "the outcome of a credential's trial is not written");
        false
    })
}

async fn try_to_conclude(
    store: &Store,
    used: &AppCredentials,
    sent: bool,
    answer: Result<(), &FlowError>,
) -> Result<bool, StoreError> {
    let said = said(sent, answer);
    if said == Said::Nothing {
        return Ok(false);
    }
    loop {
        let id = &used.app.id;
        let Some(app) = store.app(id)? else { return Ok(false) };
        let rotation = store.rotation(id)?.filter(|row| row.value.on_trial().is_some());
        let is_current = app.value.credential().is_same(&used.credential());
        let written = match (decide(said, is_current, rotation.is_some()), rotation, answer) {
            (Step::Again, _, _) => return Ok(true),
            (Step::Prove, Some(rotation), _) => prove(store, &app, &rotation).await.map(|()| false),
            (Step::RollBack, Some(rotation), Err(error)) => {
                roll_back(store, &app, &rotation, error).await.map(|()| true)
            }
            (Step::Prove | Step::RollBack | Step::Nothing, _, _) => return Ok(false),
        };
        match written {
            // the app was changed meanwhile: it is looked at anew
            Err(StoreError::Conflict) => {}
            other => return other,
        }
    }
}

async fn prove(store: &Store, app: &Row<AppCredentials>, rotation: &Row<Rotation>) -> Result<(), StoreError> {
    StoreError::fault_point("rotation.taken")?;
    store.prove_rotation(app, rotation, clock::now()).await?;
    StoreError::fault_point("rotation.proven")?;
    tracing::info!(app = %app.value.app.id, "the app's new credential is proven");
    Ok(())
}

async fn roll_back(
    store: &Store,
    app: &Row<AppCredentials>,
    rotation: &Row<Rotation>,
    error: &FlowError,
) -> Result<(), StoreError> {
    let diagnosis = error.diagnosis(&Facts::of_app(&app.value.app));
    StoreError::fault_point("rotation.refused")?;
    tracing::error!(
        app = %app.value.app.id, code = diagnosis.code,
        "the app's new credential is refused, the one before is in use again: {}", diagnosis.summary
    );
    store.roll_back(app, rotation, diagnosis, clock::now()).await?;
    StoreError::fault_point("rotation.rolled_back")
}

/// Asks for a token of the app's own, where the provider has such.
pub(in crate::token) async fn request(
    http: &HttpClient,
    app: &AppCredentials,
) -> Result<TokenAnswer, FlowError> {
    let endpoints = Endpoints::of(&app.app, http).await?;
    if app.service_account.is_some() {
        return OauthClient::new(http.clone(), endpoints, app.clone()).jwt_bearer(None).await;
    }
    let scope = endpoints.app_scope.clone();
    let scope =
        scope.ok_or_else(|| FlowError::Endpoint(String::from("this provider has no app-only tokens")))?;
    OauthClient::new(http.clone(), endpoints, app.clone()).client_credentials(&scope).await
}

/// Tries a new credential without any mailbox, by a token of the app's own, which nobody uses.
///
/// # Errors
/// [`StoreError`] if the outcome cannot be written.
pub async fn probe(http: &HttpClient, store: &Store, id: &AppId) -> Result<(), StoreError> {
    let Some(app) = store.app(id)?.map(|row| row.value) else { return Ok(()) };
    let asked = request(http, &app).await;
    try_to_conclude(store, &app, true, asked.as_ref().map(|_| ())).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::classify_oauth;

    #[test]
    fn only_what_is_on_trial_and_in_use_is_settled() {
        for (said, is_current, is_on_trial, step) in [
            (Said::Taken, true, true, Step::Prove),
            (Said::Taken, true, false, Step::Nothing),
            // an answer to the credential before: it says nothing about the new one
            (Said::Taken, false, true, Step::Nothing),
            (Said::Refused, true, true, Step::RollBack),
            // nothing to go back to: the breaker's business
            (Said::Refused, true, false, Step::Nothing),
            (Said::Refused, false, true, Step::Again),
            (Said::Refused, false, false, Step::Again),
            (Said::Nothing, true, true, Step::Nothing),
            (Said::Nothing, false, false, Step::Nothing),
        ] {
            assert_eq!(decide(said, is_current, is_on_trial), step, "{said:?} {is_current} {is_on_trial}");
        }
    }

    fn refused(status: u16, body: &str) -> FlowError {
        FlowError::Refused { failure: Box::new(classify_oauth(status, body.as_bytes(), None)) }
    }

    #[test]
    fn a_refusal_counts_only_if_it_is_about_the_credential() {
        for code in [7_000_215, 7_000_222, 700_027, 700_030, 50_012, 70_002] {
            let error = refused(401, &format!(r#"{{"error":"invalid_client","error_codes":[{code}]}}"#));
            assert_eq!(said(true, Err(&error)), Said::Refused, "{code}");
        }
        assert_eq!(said(true, Err(&refused(401, r#"{"error":"invalid_client"}"#))), Said::Refused);
        for (status, error) in [
            // of the user, of the registration, of the moment
            (400, r#"{"error":"invalid_grant","error_codes":[70008]}"#),
            (400, r#"{"error":"invalid_grant"}"#),
            (400, r#"{"error":"unauthorized_client","error_codes":[700016]}"#),
            (400, r#"{"error":"unauthorized_client","error_codes":[7000112]}"#),
            (401, r#"{"error":"invalid_client","error_codes":[7000218]}"#),
            (401, r#"{"error":"invalid_client","error_codes":[700025]}"#),
            (503, r#"{"error":"invalid_client","error_codes":[7000215]}"#),
            (429, "Too Many Requests"),
        ] {
            assert_eq!(said(true, Err(&refused(status, error))), Said::Nothing, "{error}");
        }
        let away = FlowError::Transport { maybe_consumed: true, cause: String::from("reset") };
        assert_eq!(said(true, Err(&away)), Said::Nothing);
    }

    #[test]
    fn a_request_without_the_credential_proves_nothing() {
        assert_eq!((said(false, Ok(())), said(true, Ok(()))), (Said::Nothing, Said::Taken));
    }
}
