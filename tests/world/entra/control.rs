//! `/control/…`: the script and the state over HTTP, so that another process can direct the stand-in.

use std::time::Instant;

use serde_json::{Value, json};

use super::super::http::{Request, Response};
use super::authorize::decide_device;
use super::google::ServiceAccount;
use super::model::{App, EntraOptions, Redirect, Rotation};
use super::script::Scripted;
use super::state::{Decision, State};

pub fn answer(state: &mut State, request: &Request) -> Response {
    let body = request.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_string();
    match request.path.trim_start_matches("/control/") {
        "next" => match serde_json::from_value::<Scripted>(body) {
            Ok(scripted) => {
                state.script.push_back(scripted);
                done()
            }
            Err(error) => bad(&error.to_string()),
        },
        "rotation" => match serde_json::from_value::<Rotation>(body["mode"].clone()) {
            Ok(mode) => {
                state.options.rotation = mode;
                done()
            }
            Err(error) => bad(&error.to_string()),
        },
        "clear-script" => {
            state.script.clear();
            done()
        }
        "log" => Response::json(200, &json!(state.log)),
        "counts" => Response::json(200, &json!(state.counts)),
        "grants" => Response::json(200, &json!(state.grants.values().collect::<Vec<_>>())),
        "apps" => Response::json(200, &json!(state.options.apps)),
        "revoke" => Response::json(200, &json!({"revoked": revoke(state, &text("user"))})),
        "expire-access-tokens" => Response::json(200, &json!({"expired": expire_access_tokens(state)})),
        "device" => {
            let decision = match body["account"].as_str() {
                Some(account) => Decision::Approved(account.to_ascii_lowercase()),
                None => Decision::Declined,
            };
            Response::json(200, &json!({"known": decide_device(state, &text("user_code"), decision)}))
        }
        name => declare(state, name, body),
    }
}

/// What changes the declarations rather than the run.
fn declare(state: &mut State, name: &str, body: Value) -> Response {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_string();
    match name {
        "user" => {
            if body["personal"] == true {
                state.options.add_personal_user(&text("address"));
            } else {
                state.options.add_user(&text("address"));
            }
            done()
        }
        "delegate" => {
            delegate(&mut state.options, &text("user"), &text("mailbox"));
            done()
        }
        "redirect" => match serde_json::from_value::<Redirect>(body["redirect"].clone()) {
            Ok(redirect) => {
                Response::json(200, &json!({"known": add_redirect(state, &text("client_id"), redirect)}))
            }
            Err(error) => bad(&error.to_string()),
        },
        "app" => match serde_json::from_value::<App>(body) {
            Ok(app) => {
                put_app(state, app);
                done()
            }
            Err(error) => bad(&error.to_string()),
        },
        "service-account" => match serde_json::from_value::<ServiceAccount>(body) {
            Ok(account) => {
                put_service_account(&mut state.options, account);
                done()
            }
            Err(error) => bad(&error.to_string()),
        },
        "settings" => {
            settings(&mut state.options, &body);
            done()
        }
        _ => Response::json(404, &json!({"error": "unknown control"})),
    }
}

fn done() -> Response {
    Response::json(200, &json!({"ok": true}))
}

fn bad(text: &str) -> Response {
    Response::json(400, &json!({"error": text}))
}

/// Ends every grant of `user`; gives their number.
pub fn revoke(state: &mut State, user: &str) -> usize {
    let ids: Vec<u64> = state
        .grants
        .values()
        .filter(|grant| grant.user.eq_ignore_ascii_case(user))
        .map(|grant| grant.id)
        .collect();
    for id in &ids {
        state.revoke_grant(*id);
    }
    ids.len()
}

pub fn expire_access_tokens(state: &mut State) -> usize {
    let now = Instant::now();
    for access in state.access.values_mut() {
        access.expires = now;
    }
    state.publish();
    state.access.len()
}

pub fn delegate(options: &mut EntraOptions, user: &str, mailbox: &str) {
    options.delegates.entry(user.to_ascii_lowercase()).or_default().insert(mailbox.to_ascii_lowercase());
}

pub fn add_redirect(state: &mut State, client_id: &str, redirect: Redirect) -> bool {
    let app = state.options.apps.iter_mut().find(|app| app.client_id == client_id);
    app.map(|app| app.redirects.push(redirect)).is_some()
}

/// Replaces the application of the same client id or adds it.
pub fn put_app(state: &mut State, app: App) {
    state.options.apps.retain(|known| known.client_id != app.client_id);
    state.options.apps.push(app);
}

/// Replaces the service account of the same address or adds it.
pub fn put_service_account(options: &mut EntraOptions, account: ServiceAccount) {
    options.service_accounts.retain(|known| known.client_email != account.client_email);
    options.service_accounts.push(account);
}

fn settings(options: &mut EntraOptions, body: &Value) {
    let number = |name: &str| body[name].as_u64();
    if let Some(testing) = body["google_testing"].as_bool() {
        options.google_testing = testing;
    }
    if let Some(value) = number("access_token_length") {
        options.access_token_length = usize::try_from(value).unwrap();
    }
    if let Some(value) = number("access_token_seconds") {
        options.access_token_seconds = value;
    }
    if let Some(value) = number("code_seconds") {
        options.code_seconds = value;
    }
    if let Some(value) = number("device_code_seconds") {
        options.device_code_seconds = value;
    }
    if let Some(value) = number("device_interval") {
        options.device_interval = value;
    }
}
