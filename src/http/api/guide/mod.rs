//! `/v1/apps/{app}/guide`: how the app is registered, step by step, for this installation's addresses and the chosen
//! way of signing in.

pub(in crate::http::api) mod consent;
mod texts;

use super::super::Shared;
use super::super::extract::query;
use super::super::problem::Answer;
use super::apps;
use crate::config::Provider;
use crate::domain::{App, AppId};
use crate::problem::Problem;
use crate::token::{Endpoints, service_account_scope};
use actix_web::http::header;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;
use texts::{Facts, Language, Texts, Way};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Json,
    Markdown,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuideQuery {
    /// Absent: a service account's own, else by redirect.
    way: Option<Way>,
    #[serde(default)]
    language: Language,
    #[serde(default)]
    format: Option<Format>,
}

/// GET `/v1/apps/{app}/guide`.
pub(super) async fn guide(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let id = AppId::new(id.into_inner())?;
    let GuideQuery { way, language, format } = query(request.query_string())?;
    let app = shared.store.app(&id)?.ok_or_else(|| apps::no_such_app(&id))?.value;
    let usual = if app.service_account.is_some() { Way::ServiceAccount } else { Way::default() };
    let (way, app) = (way.unwrap_or(usual), app.app);
    let facts = match way {
        Way::ServiceAccount => account_facts(&app)?,
        Way::Redirect | Way::Native | Way::Device | Way::AppOnly => facts(&shared, &app, way)?,
    };
    let mut mailboxes: Vec<String> = shared
        .store
        .mailboxes()?
        .into_iter()
        .filter(|stored| stored.mailbox.app() == Some(&id))
        .map(|stored| stored.mailbox.address)
        .collect();
    if mailboxes.is_empty() {
        mailboxes.push(String::from("<mailbox>"));
    }
    let broken = |error: toml::de::Error| Problem::internal(format!("the guide's texts: {error}"));
    let texts = Texts::of(way, language).map_err(broken)?;
    let steps = texts.steps(way, &facts, &mailboxes);
    let scripts = texts::scripts(way, &facts).map_err(broken)?;
    let is_reachable = way != Way::Redirect || is_accepted(&shared.signin.public_url());
    let notes: Vec<String> = (!is_reachable).then(|| texts.unset_public_url.clone()).into_iter().collect();
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let wants_text = match format {
        Some(Format::Markdown) => true,
        Some(Format::Json) => false,
        None => accept.is_some_and(|accept| accept.contains("text/markdown")),
    };
    if wants_text {
        let text = texts::markdown(&texts, &facts, &notes, &steps, &scripts);
        return Ok(HttpResponse::Ok().content_type("text/markdown; charset=utf-8").body(text));
    }
    Ok(HttpResponse::Ok().json(json!({
        "app": id, "way": way, "language": language, "redirect_uri": facts.get("redirect_uri"),
        "consent_url": facts.get("consent_url"), "notes": notes, "steps": steps, "scripts": scripts,
    })))
}

fn facts(shared: &Shared, app: &App, way: Way) -> Result<Facts, Problem> {
    let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
    let required = preset.and_then(|preset| preset.tenant.as_ref()).is_some_and(|tenant| tenant.required);
    let Some(authority) = preset.and_then(|preset| preset.authority.as_deref()).filter(|_| required) else {
        let account = match Endpoints::for_service_account(app) {
            Some(_) => " Without users, by a service account: ask with way=service_account.",
            None => "",
        };
        let detail = format!(
            "there is a guide for Microsoft 365 only; register {} as redirect URI with this provider, and enter the \
             client id and secret that it gives you.{account}",
            shared.signin.callback_uri()
        );
        return Err(Problem::unprocessable("not_available_yet", detail));
    };
    let authority = app.authority.as_deref().unwrap_or(authority).trim_end_matches('/');
    let tenant = consent::tenant(shared, app)?;
    let client_id = match app.client_id.as_str() {
        "" => "<client id>",
        known => known,
    };
    let redirect_uri = match way {
        Way::Redirect => shared.signin.callback_uri(),
        Way::Native => format!("{authority}/common/oauth2/nativeclient"),
        // for the consent link alone
        Way::AppOnly if shared.signin.redirects_work() => shared.signin.callback_uri(),
        Way::Device | Way::AppOnly | Way::ServiceAccount => String::new(),
    };
    let comes_back = redirect_uri == shared.signin.callback_uri();
    let consent_url = consent::url(shared, app, comes_back)?.unwrap_or_default();
    let way = json!(way).as_str().map(String::from).unwrap_or_default();
    Ok(Facts::from([
        ("app", app.id.to_string()),
        ("way", way),
        ("consent_url", consent_url),
        ("tenant", tenant),
        ("client_id", String::from(client_id)),
        ("redirect_uri", redirect_uri),
    ]))
}

/// What the guide of a service account is filled in with.
fn account_facts(app: &App) -> Result<Facts, Problem> {
    if Endpoints::for_service_account(app).is_none() {
        let detail = format!("only Google has service accounts, {} has none", app.provider.name());
        return Err(Problem::unprocessable("no_such_way", detail));
    }
    let or = |text: String, unknown: &str| if text.is_empty() { String::from(unknown) } else { text };
    Ok(Facts::from([
        ("app", app.id.to_string()),
        ("way", String::from("service_account")),
        ("client_id", or(app.client_id.clone(), "<client id>")),
        ("scope", service_account_scope(app)),
        ("domains", or(app.domains.join(", "), "<domain>")),
    ]))
}

/// Whether Entra ID accepts redirects to this address.
fn is_accepted(public_url: &str) -> bool {
    url::Url::parse(public_url)
        .is_ok_and(|url| url.scheme() == "https" || url.host_str().is_some_and(crate::net::is_loopback))
}
