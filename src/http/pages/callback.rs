//! Back from the provider by redirect: the answer is used, and the outcome shown.

use super::super::Shared;
use super::{app_page, browser, result};
use crate::problem::Problem;
use crate::signin::{Returned, find, take_app_answer, use_answer};
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};

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
    if let Some((app, outcome)) = take_app_answer(&shared.signin, &returned).await? {
        return Ok(app_page::shown(&request, &app, &outcome));
    }
    let found = find(&shared.signin, returned.state.as_deref().unwrap_or_default())?;
    let Some(mut found) = found else { return Ok(result::foreign(&request)) };
    if !browser::is_same(&shared, &request, found.row.value.id, &found.attempt) {
        return Ok(result::other_browser(&request, &found.row.value));
    }
    Ok(match use_answer(&shared.signin, &mut found, &returned).await? {
        Some(outcome) => result::shown(&request, &shared, &found.row.value, &found.stored, &outcome),
        None => result::foreign(&request),
    })
}
