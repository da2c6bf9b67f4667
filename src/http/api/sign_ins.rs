//! `/v1/mailboxes/{mb}/sign-in` makes a personal link; `/v1/sign-ins/{id}` tells how it goes.

use super::super::Shared;
use super::super::extract::{json, query, set, typed};
use super::super::language::language;
use super::super::problem::{Answer, Problem};
use super::{apps, events};
use crate::clock;
use crate::diagnosis::{self, Language};
use crate::domain::{Auth, SignInId};
use crate::events::EventType;
use crate::store::{Commit, SignIn, SignInState, StoredMailbox};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SignInForm {
    ways: Option<Vec<String>>,
    return_to: Option<String>,
    language: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneQuery {
    wait: Option<u64>,
    language: Option<String>,
}

/// POST `/v1/mailboxes/{mb}/sign-in`.
pub(super) async fn create(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let stored = shared.mailbox(&id)?;
    let form: SignInForm = if body.is_empty() { SignInForm::default() } else { typed(&json(&body)?)? };
    check_ways(form.ways.as_deref())?;
    let return_to = form.return_to.as_deref().map(|to| check_return(&shared, to)).transpose()?;
    can_sign_in(&shared, &stored)?;
    let now = clock::now();
    let sign_in = SignIn::begin(&stored, return_to, form.language, now)?;
    let mut commit = Commit::of_mailbox(stored.incarnation);
    shared.store.add_sign_in(&mut commit, &sign_in, 0)?;
    commit.event(sign_in.told_as(EventType::SignInRequested, now));
    shared.store.commit(commit).await?;
    let mut shown = view(&sign_in, Language::default());
    set(&mut shown, "url", json!(shared.link(&sign_in)));
    Ok(HttpResponse::Created().json(shown))
}

/// Whether somebody can sign in for it; else what is missing.
pub(super) fn can_sign_in(shared: &Shared, stored: &StoredMailbox) -> Result<(), Problem> {
    let app = match &stored.mailbox.auth {
        Auth::Oauth { app: Some(app), .. } => shared.store.app(app)?,
        Auth::Oauth { app: None, .. } => None,
        Auth::AppOnly { .. } | Auth::Password { .. } => {
            return Err(Problem::conflict("no_sign_in", "this mailbox does not sign in by OAuth"));
        }
    };
    let no_app = || Problem::conflict("app_incomplete", "no app is named for this mailbox: set auth.app");
    let app = app.ok_or_else(no_app)?.value.app;
    let missing = apps::missing_fields(&app);
    if !missing.is_empty() {
        let detail = format!("the app {} is not complete, it lacks: {}", app.id, missing.join(", "));
        return Err(Problem::conflict("app_incomplete", detail));
    }
    Ok(())
}

fn check_ways(ways: Option<&[String]>) -> Result<(), Problem> {
    let Some(ways) = ways else { return Ok(()) };
    for way in ways {
        if !matches!(way.as_str(), "redirect" | "native" | "device") {
            return Err(Problem::field("ways", format!("there is no way {way:?}")));
        }
    }
    if ways.iter().any(|way| way == "redirect") {
        return Ok(());
    }
    Err(Problem::unprocessable("not_available_yet", "ways: only \"redirect\" is available yet"))
}

/// Only back to where our own pages are: anything else would lend our name to others.
pub(super) fn check_return(shared: &Shared, to: &str) -> Result<String, Problem> {
    let refuse = || Problem::field("return_to", format!("must be an address under {}", shared.public_url));
    let (to, own) = (url::Url::parse(to).map_err(|_| refuse())?, url::Url::parse(&shared.public_url));
    let is_own = own
        .is_ok_and(|own| own.origin() == to.origin() && to.username().is_empty() && to.password().is_none());
    if is_own { Ok(to.to_string()) } else { Err(refuse()) }
}

/// GET `/v1/sign-ins/{id}`: with `wait`, as soon as it changes.
pub(super) async fn one(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let id: SignInId = id.parse()?;
    let asked = query::<OneQuery>(request.query_string())?;
    let language = language(&request, asked.language.as_deref())?;
    let wait = events::wait(asked.wait)?;
    let mut changes = shared.sign_ins.subscribe();
    let mut end = std::pin::pin!(tokio::time::sleep(wait));
    let mut first = None;
    loop {
        changes.borrow_and_update();
        let unknown = || Problem::not_found("no_such_sign_in", format!("there is no sign-in {id}"));
        let row = shared.store.sign_in(id)?.ok_or_else(unknown)?;
        let has_changed = *first.get_or_insert(row.generation) != row.generation;
        let is_over = wait.is_zero() || has_changed || row.value.state.is_final();
        let is_woken = !is_over
            && tokio::select! {
                changed = changes.changed() => changed.is_ok(),
                () = &mut end => false,
            };
        if !is_woken {
            return Ok(HttpResponse::Ok().json(view(&row.value, language)));
        }
    }
}

pub(super) fn view(sign_in: &SignIn, language: Language) -> Value {
    let diagnosis = sign_in.diagnosis.as_ref().map(|found| diagnosis::shown(found, language));
    let is_late = sign_in.state != SignInState::Done && sign_in.expires_at <= clock::now();
    json!({
        "id": sign_in.id, "mailbox": sign_in.mailbox,
        "state": if is_late { SignInState::Expired } else { sign_in.state },
        "expires_at": sign_in.expires_at, "signed_in_as": sign_in.signed_in_as, "diagnosis": diagnosis,
    })
}
