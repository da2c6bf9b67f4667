//! A mailbox's switches: pause, resume, sync, refresh-token.

use super::super::Shared;
use super::super::problem::Answer;
use super::sign_ins;
use crate::admin;
use crate::diagnosis::Language;
use crate::domain::Auth;
use crate::problem::Problem;
use crate::signin;
use crate::supervisor::protocol::WakeReason;
use crate::token::TokenError;
use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use std::time::Duration;

/// Longer than a token request may take.
const TOKEN_PATIENCE: Duration = Duration::from_secs(40);

/// POST `/v1/mailboxes/{mb}/pause`.
pub(super) async fn pause(shared: Data<Shared>, id: Path<String>) -> Answer {
    switch(&shared, &id, false).await
}

/// POST `/v1/mailboxes/{mb}/resume`.
pub(super) async fn resume(shared: Data<Shared>, id: Path<String>) -> Answer {
    switch(&shared, &id, true).await
}

async fn switch(shared: &Shared, id: &str, active: bool) -> Answer {
    let stored = admin::set_active(&shared.admin, id, active).await?;
    Ok(HttpResponse::Ok().json(shared.view(&stored)?.shown))
}

/// POST `/v1/mailboxes/{mb}/sync`.
pub(super) async fn sync(shared: Data<Shared>, id: Path<String>) -> Answer {
    let stored = shared.mailbox(&id)?;
    if !stored.mailbox.active {
        return Err(Problem::conflict("paused", "the mailbox is paused: resume it first"));
    }
    shared.supervisor.wake(stored.incarnation, WakeReason::Sync);
    Ok(HttpResponse::Accepted().json(shared.view(&stored)?.shown))
}

/// POST `/v1/mailboxes/{mb}/refresh-token`: a fresh token, or the trial of one that is to be taken over, now.
pub(super) async fn refresh_token(shared: Data<Shared>, id: Path<String>) -> Answer {
    let stored = shared.mailbox(&id)?;
    if matches!(stored.mailbox.auth, Auth::Password { .. }) {
        return Err(problem_of(&TokenError::NoTokens));
    }
    if let Some(sign_in) = signin::try_now(&shared.signin, &stored)?
        && sign_in.imported.is_some()
        && shared.store.grant(stored.incarnation)?.is_none()
    {
        return Ok(HttpResponse::Accepted().json(sign_ins::view(&sign_in, Language::default())));
    }
    let answer = shared.supervisor.refresh(stored.incarnation, TOKEN_PATIENCE).await;
    match answer {
        Err(_) => Err(Problem::unavailable("no_answer", "the token actor does not answer: try again")),
        Ok(None) if stored.mailbox.active => {
            Err(Problem::unavailable("starting", "the mailbox is being started: try again in a moment"))
        }
        Ok(None) => Err(Problem::conflict("not_running", "the mailbox does not run, so it has no token")),
        Ok(Some(Ok(info))) => Ok(HttpResponse::Ok().json(info)),
        Ok(Some(Err(error))) => Err(problem_of(&error)),
    }
}

fn problem_of(error: &TokenError) -> Problem {
    let text = error.to_string();
    let problem = match error {
        TokenError::NotSignedIn => Problem::conflict("not_signed_in", text),
        TokenError::SignInNeeded(_) => Problem::conflict("needs_sign_in", text),
        TokenError::NeedsAdmin(_) => Problem::conflict("needs_admin", text),
        TokenError::AppBroken(_) => Problem::conflict("app_broken", text),
        TokenError::NoTokens => Problem::conflict("no_tokens", text),
        TokenError::Throttled { .. } => Problem::unavailable("throttled", text),
        TokenError::Unreachable(_) => Problem::unavailable("unreachable", text),
        TokenError::Store(_) => Problem::unavailable("store_failed", text),
    };
    match error.diagnosis() {
        Some(found) => problem.with_diagnosis(found),
        None => problem,
    }
}
