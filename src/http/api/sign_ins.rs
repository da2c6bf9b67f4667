//! `/v1/mailboxes/{mb}/sign-in` makes a personal link; `/v1/sign-ins/{id}` shows its state.

use super::super::Shared;
use super::super::extract::{json, query};
use super::super::language::{language, language_of};
use super::super::pages::paste_problem;
use super::super::problem::Answer;
use super::super::wait::wait;
use crate::admin::{request_sign_in, set, typed};
use crate::clock;
use crate::diagnosis::{self, Language};
use crate::domain::SignInId;
use crate::problem::Problem;
use crate::signin;
use crate::store::{Row, SignIn, SignInState};
use crate::work::blocking;
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
    let (ways, return_to) = (form.ways.as_deref(), form.return_to.as_deref());
    let sign_in = request_sign_in(&shared.admin, &stored, ways, return_to, form.language).await?;
    let mut shown = view(&sign_in, Language::default());
    set(&mut shown, "url", json!(shared.signin.link(&sign_in)));
    Ok(HttpResponse::Created().json(shown))
}

/// GET `/v1/mailboxes/{mb}/sign-in`: the newest one, and its state.
pub(super) async fn newest(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let language = language_of(&request)?;
    let stored = shared.mailbox(&id)?;
    let store = shared.store.clone();
    let row = blocking(move || store.newest_sign_in(stored.incarnation)).await?;
    let none =
        || Problem::not_found("no_such_sign_in", "nobody was asked to sign in for this mailbox lately");
    Ok(HttpResponse::Ok().json(view(&row.ok_or_else(none)?.value, language)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasteForm {
    address: String,
}

/// POST `/v1/sign-ins/{id}/paste`: the address that the user was sent to, brought by the application.
pub(super) async fn paste(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let row = read(&shared, id.parse()?)?;
    let form: PasteForm = typed(&json(&body)?)?;
    // apart from this connection: a caller that hangs up must not end it half-way
    let work = actix_web::rt::spawn(async move {
        match signin::accept_pasted(&shared.signin, &row.value, &form.address).await? {
            Ok((found, Some(_))) => Ok(HttpResponse::Ok().json(view(&found.row.value, Language::default()))),
            Ok((_, None)) => Err(Problem::conflict("other_visit", "another sign-in was started meanwhile")),
            Err(wrong) => Err(paste_problem(wrong)),
        }
    });
    work.await.map_err(|_| Problem::internal("the sign-in was cut off: start it again"))?
}

/// POST `/v1/sign-ins/{id}/accept`: an administrator accepts who signed in, though it is another account.
pub(super) async fn accept(shared: Data<Shared>, id: Path<String>) -> Answer {
    let row = read(&shared, id.parse()?)?;
    let stored = shared.mailbox(row.value.mailbox.as_str())?;
    let work = actix_web::rt::spawn(async move {
        let sign_in = signin::accept(&shared.signin, row, &stored).await?;
        Ok(HttpResponse::Ok().json(view(&sign_in, Language::default())))
    });
    work.await.map_err(|_| Problem::internal("it was cut off: look at the sign-in, and accept again"))?
}

fn read(shared: &Shared, id: SignInId) -> Result<Row<SignIn>, Problem> {
    let unknown = || Problem::not_found("no_such_sign_in", format!("there is no sign-in {id}"));
    shared.store.sign_in(id)?.ok_or_else(unknown)
}

/// GET `/v1/sign-ins/{id}`: with `wait`, as soon as it changes.
pub(super) async fn one(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let id: SignInId = id.parse()?;
    let asked = query::<OneQuery>(request.query_string())?;
    let language = language(&request, asked.language.as_deref())?;
    let wait = wait(asked.wait)?;
    let mut changes = shared.signin.changes();
    let mut end = std::pin::pin!(tokio::time::sleep(wait));
    let mut first = None;
    loop {
        changes.borrow_and_update();
        let row = read(&shared, id)?;
        let has_changed = *first.get_or_insert(row.generation) != row.generation;
        let is_over = wait.is_zero() || has_changed || row.value.state.is_final();
        let is_woken = !is_over && shared.changes(&mut changes, end.as_mut()).await;
        if !is_woken {
            return Ok(HttpResponse::Ok().json(view(&row.value, language)));
        }
    }
}

pub(super) fn view(sign_in: &SignIn, language: Language) -> Value {
    let diagnosis = sign_in.diagnosis.as_ref().map(|found| diagnosis::shown(found, language));
    // a grant that was given is still tried when its link is over
    let outlives = matches!(sign_in.state, SignInState::Done | SignInState::SignedIn | SignInState::Probing);
    let is_late = !outlives && sign_in.expires_at <= clock::now();
    json!({
        "id": sign_in.id, "mailbox": sign_in.mailbox,
        "state": if is_late { SignInState::Expired } else { sign_in.state },
        "expires_at": sign_in.expires_at, "signed_in_as": sign_in.signed_in_as, "diagnosis": diagnosis,
        "ways": sign_in.ways, "app": sign_in.app, "imported": sign_in.imported.is_some(), "accept_until": sign_in.accept_until,
        "device": sign_in.device.as_ref().map(|code| json!({
            "user_code": code.user_code, "verification_uri": code.verification_uri, "expires_at": code.ends_at})),
    })
}
