//! Back from the provider, by redirect or by a pasted address: the answer is looked at, and used once.

use super::super::Shared;
use super::super::auth::same;
use super::super::problem::Problem;
use super::candidate::{end, put};
use super::redeem::{Ending, Told, address_only, redeem_code};
use super::{app_visit, browser, outcome};
use crate::clock;
use crate::diagnosis::OauthClass;
use crate::domain::Secret;
use crate::store::{Attempt, Row, SignIn, SignInState, StoredMailbox};
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

/// What the provider sends along.
#[derive(Default, Deserialize)]
pub(super) struct Returned {
    pub(super) code: Option<String>,
    pub(super) state: Option<String>,
    pub(super) error: Option<String>,
    pub(super) error_description: Option<String>,
    pub(super) iss: Option<String>,
    /// Of an administrator's consent.
    pub(super) admin_consent: Option<String>,
    /// For which tenant.
    pub(super) tenant: Option<String>,
}

/// GET `/sign-in/callback`.
pub(super) async fn come_back(
    request: HttpRequest,
    shared: Data<Shared>,
    returned: Query<Returned>,
) -> Result<HttpResponse, Problem> {
    // apart from this connection: a browser that hangs up must not end it half-way
    let work = actix_web::rt::spawn(finish(request, shared, returned.into_inner()));
    work.await.map_err(|_| Problem::internal("the sign-in was cut off: open the personal link again"))?
}

async fn finish(
    request: HttpRequest,
    shared: Data<Shared>,
    returned: Returned,
) -> Result<HttpResponse, Problem> {
    if let Some(page) = app_visit::come_back(&request, &shared, &returned).await? {
        return Ok(page);
    }
    let found = find(&shared, returned.state.as_deref().unwrap_or_default())?;
    let Some(mut found) = found else { return Ok(outcome::foreign(&request)) };
    if !browser::is_same(&shared, &request, found.row.value.id, &found.attempt) {
        return Ok(outcome::other_browser(&request, &found.row.value));
    }
    Ok(match conclude(&shared, &mut found, &returned).await? {
        Some(ending) => outcome::shown(&request, &shared, &found.row.value, &found.stored, &ending),
        None => outcome::foreign(&request),
    })
}

/// Uses an answer of the provider; `None`: the link was opened again meanwhile, and that visit counts.
pub(super) async fn conclude(
    shared: &Shared,
    found: &mut Found,
    returned: &Returned,
) -> Result<Option<Ending>, Problem> {
    let Found { row, attempt, stored } = found;
    // used from here on: the same answer of the provider is not redeemed twice
    row.value.attempt = None;
    row.value.state = SignInState::SignedIn;
    let concluded = async {
        put(shared, row).await?;
        let ending = match &returned.code {
            Some(code) => {
                let code = Secret::new(code.as_str());
                redeem_code(shared, row, attempt, stored, code, returned.iss.as_deref()).await?
            }
            None => declined(returned, stored),
        };
        close(shared, row, &ending).await?;
        Ok::<_, Problem>(ending)
    };
    match concluded.await {
        Err(problem) if problem.is_conflict() => Ok(None),
        other => other.map(Some),
    }
}

/// Writes down how a sign-in ended, where that was not done with its grant.
pub(super) async fn close(shared: &Shared, row: &mut Row<SignIn>, ending: &Ending) -> Result<(), Problem> {
    if ending.state == SignInState::Done {
        return Ok(());
    }
    Ok(end(shared, row, ending.state, ending.diagnosis.clone()).await?)
}

/// A sign-in that waits for this answer.
pub(in crate::http) struct Found {
    pub(in crate::http) row: Row<SignIn>,
    pub(super) attempt: Attempt,
    pub(super) stored: StoredMailbox,
}

pub(super) fn find(shared: &Shared, state: &str) -> Result<Option<Found>, Problem> {
    let Some(row) = shared.sign_in_of(state)? else { return Ok(None) };
    let Some(attempt) = row.value.attempt.clone() else { return Ok(None) };
    if !same(attempt.state.expose(), state) || row.value.expires_at <= clock::now() {
        return Ok(None);
    }
    let stored = shared.store.mailbox(&row.value.mailbox)?;
    let stored = stored.filter(|stored| {
        let is_it = stored.incarnation == row.value.incarnation;
        is_it && row.value.counts_for(&stored.mailbox, attempt.app.as_ref())
    });
    match stored {
        Some(stored) if !shared.is_withdrawn(&row.value, &stored)? => {
            Ok(Some(Found { row, attempt, stored }))
        }
        Some(_) | None => Ok(None),
    }
}

/// The provider sent the user back without a code.
fn declined(returned: &Returned, stored: &StoredMailbox) -> Ending {
    let said = returned.error_description.as_deref().or(returned.error.as_deref());
    let answer = serde_json::json!({"error": returned.error, "error_description": said});
    let failure = crate::diagnosis::classify_oauth(400, answer.to_string().as_bytes(), None);
    if returned.error.is_some() && failure.class != OauthClass::Retry {
        return Ending::diagnosed(failure.diagnosis(&address_only(stored)));
    }
    let text = said.unwrap_or("no code came back").chars().take(300).collect();
    Ending { state: SignInState::Declined, told: Told::Words(text), diagnosis: None }
}
