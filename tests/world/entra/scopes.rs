//! Scope strings: which resource they belong to and whether the application may have them.

use super::errors::{Refusal, refuse};
use super::model::App;

const OIDC: [&str; 4] = ["openid", "profile", "email", "offline_access"];

pub fn is_oidc(scope: &str) -> bool {
    OIDC.iter().any(|name| name.eq_ignore_ascii_case(scope))
}

/// The resource of a scope; Exchange Online answers to two names.
pub fn resource_of(scope: &str) -> String {
    match scope.rsplit_once('/') {
        Some((resource, _)) if resource.eq_ignore_ascii_case("https://outlook.office365.com") => {
            "https://outlook.office.com".into()
        }
        Some((resource, _)) => resource.to_ascii_lowercase(),
        None => "https://graph.microsoft.com".into(),
    }
}

fn permission_of(scope: &str) -> &str {
    scope.rsplit_once('/').map_or(scope, |(_, name)| name)
}

/// Checks a requested scope string against the application; several resources pass here.
pub fn check(text: Option<&String>, app: &App) -> Result<Vec<String>, Refusal> {
    let scopes: Vec<String> =
        text.map(String::as_str).unwrap_or_default().split_whitespace().map(str::to_string).collect();
    if scopes.is_empty() {
        return refuse(900_144, "'scope'.");
    }
    for scope in scopes.iter().filter(|scope| !is_oidc(scope)) {
        let resource = resource_of(scope);
        if resource == "https://graph.microsoft.com" {
            continue;
        }
        if resource != "https://outlook.office.com" {
            return refuse(500_011, format!("The resource principal named {resource} was not found."));
        }
        let known = app.scopes.iter().any(|name| {
            permission_of(name).eq_ignore_ascii_case(permission_of(scope))
                || permission_of(scope) == ".default"
        });
        if !known {
            return refuse(70_011, format!("The scope {scope} is not valid."));
        }
    }
    Ok(scopes)
}

/// The resource scopes of a token request: all of one resource, else AADSTS28000.
pub fn single_resource(scopes: &[String]) -> Result<Vec<String>, Refusal> {
    let own: Vec<String> = scopes.iter().filter(|scope| !is_oidc(scope)).cloned().collect();
    if own.iter().any(|scope| resource_of(scope) != resource_of(&own[0])) {
        return refuse(28_000, format!("Scope {} is not valid.", scopes.join(" ")));
    }
    Ok(own)
}

/// The scopes of the first one's resource: what a refresh over several resources yields.
pub fn first_resource(scopes: &[String]) -> Vec<String> {
    let own: Vec<String> = scopes.iter().filter(|scope| !is_oidc(scope)).cloned().collect();
    own.iter().filter(|scope| resource_of(scope) == resource_of(&own[0])).cloned().collect()
}

pub fn contains(scopes: &[String], wanted: &str) -> bool {
    scopes.iter().any(|scope| {
        scope.eq_ignore_ascii_case(wanted)
            || (resource_of(scope) == resource_of(wanted)
                && permission_of(scope).eq_ignore_ascii_case(permission_of(wanted)))
    })
}
