//! Mailboxes that name no servers get those of their domain: of the provider that takes its mail, else as the domain itself
//! says. A domain that is known is not looked up.

use super::context::Context;
use super::fields::{set, trimmed};
use super::presets::{self, Serves};
use crate::config::Provider;
use crate::domain::Endpoint;
use crate::net::Servers;
use crate::store::StoreError;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many domains are looked up at once, and how long all of them may take: a person waits.
const ASKED_AT_ONCE: usize = 16;
const ASKED_FOR: Duration = Duration::from_secs(10);

/// What was tried in vain for each mailbox, for whoever has to name its servers.
#[derive(Default)]
pub(super) struct Tried(BTreeMap<String, String>);

impl Tried {
    /// For an address.
    pub(super) fn of(&self, address: &str) -> Option<&str> {
        self.0.get(&presets::domain(address)).map(String::as_str)
    }
}

/// What is asked of a domain.
struct Asked {
    /// One of its addresses: a file may be asked for by it.
    address: String,
    /// The mailboxes that ask.
    places: Vec<usize>,
    /// Whether one of them cannot do without servers.
    wants_servers: bool,
}

/// What a domain's mailboxes get.
enum Answer {
    Provider(&'static Provider),
    Servers(Box<Servers>),
    Nothing(Option<String>),
}

/// Fills in the provider, or the servers, of mailboxes that neither they, nor their domains, nor an app name. Each domain
/// is looked up once; what cannot be found out is left as it is.
pub(super) async fn fill_in(context: &Context, values: &mut [&mut Value]) -> Result<Tried, StoreError> {
    let mut domains: BTreeMap<String, Asked> = BTreeMap::new();
    for (place, value) in values.iter().enumerate() {
        if let Some((address, wants_servers)) = asks_for(context, value)? {
            let new = || Asked { address: address.clone(), places: Vec::new(), wants_servers: false };
            let asked = domains.entry(presets::domain(&address)).or_insert_with(new);
            asked.places.push(place);
            asked.wants_servers |= wants_servers;
        }
    }
    let ask = |(domain, asked): (String, Asked)| async move {
        let answer = look_up(context, &domain, &asked).await;
        (domain, asked.places, answer)
    };
    let mut tried = Tried::default();
    let answers = stream::iter(domains).map(ask).buffer_unordered(ASKED_AT_ONCE);
    let mut answers = std::pin::pin!(answers.take_until(tokio::time::sleep(ASKED_FOR)));
    while let Some((domain, places, answer)) = answers.next().await {
        for place in places {
            let Some(value) = values.get_mut(place) else { continue };
            match &answer {
                Answer::Provider(found) => set(value, "provider", Value::from(found.id.as_str())),
                // a mailbox that waits for an app gets the servers of the app's provider
                Answer::Servers(found) if wants_servers(context, value)? => enter(value, found),
                Answer::Servers(_) | Answer::Nothing(_) => {}
            }
        }
        if let Answer::Nothing(Some(what)) = answer {
            tried.0.insert(domain, what);
        }
    }
    Ok(tried)
}

async fn look_up(context: &Context, domain: &str, asked: &Asked) -> Answer {
    let exchangers = context.mx.lookup(domain).await;
    if let Some(found) = Provider::of_mx(exchangers.iter().map(String::as_str)) {
        return Answer::Provider(found);
    }
    let Some(discovery) = context.discovery.as_ref().filter(|_| asked.wants_servers) else {
        return Answer::Nothing(None);
    };
    match discovery.servers(&asked.address, &exchangers).await {
        Ok(found) => Answer::Servers(Box::new(found)),
        Err(tried) => {
            let by = exchangers.first().map(|host| host.trim_end_matches('.'));
            let by = by
                .map_or_else(|| String::from("none found"), |host| format!("{host}, of no provider we know"));
            Answer::Nothing(Some(format!("mail exchanger: {by}; {tried}")))
        }
    }
}

/// The address of a mailbox whose domain has to be looked up because nothing nearer says which servers it has, and whether
/// it cannot do without them.
fn asks_for(context: &Context, value: &Value) -> Result<Option<(String, bool)>, StoreError> {
    let is_said = |pointer: &str| value.pointer(pointer).is_some_and(|said| !said.is_null());
    // null says something, too: there is none
    let has_servers = value.get("imap").is_some() || value.get("smtp").is_some();
    let address = value.get("address").and_then(Value::as_str).and_then(trimmed).unwrap_or_default();
    let domain = presets::domain(&address);
    let may_be_asked = address.contains('@') && domain.contains('.');
    if !may_be_asked || is_said("/provider") || has_servers || presets::provider_of_domain(&domain).is_some()
    {
        return Ok(None);
    }
    let wants_servers = wants_servers(context, value)?;
    // an app that is named, and one of the address, has servers or wants them
    let has_app =
        is_said("/auth/app") || presets::app_of_address(context, &address, serves(value))?.is_some();
    Ok((wants_servers || !has_app).then_some((address, wants_servers)))
}

fn serves(value: &Value) -> Serves {
    let is_account = value.pointer("/auth/kind").is_some_and(|kind| kind == "service_account");
    if is_account { Serves::ServiceAccount } else { Serves::Registration }
}

/// Whether a mailbox has to have servers, and nobody gives it any: with a password, or through an app whose provider has
/// none of its own.
fn wants_servers(context: &Context, value: &Value) -> Result<bool, StoreError> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).and_then(trimmed);
    if text("/auth/kind").as_deref() == Some("password") {
        return Ok(true);
    }
    let named = text("/auth/app").and_then(|id| id.parse().ok());
    let app = match named {
        Some(id) => context.store.app(&id)?.map(|row| row.value),
        None => presets::app_of_address(context, &text("/address").unwrap_or_default(), serves(value))?,
    };
    Ok(app.is_some_and(|app| presets::provider_of(&app.app).is_none()))
}

/// Enters servers as if they had been named.
fn enter(value: &mut Value, found: &Servers) {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(String::from);
    let address = text("/address").as_deref().and_then(trimmed).unwrap_or_default();
    let (receives, sends) = found.logins(&address);
    let is_password = text("/auth/kind").as_deref() == Some("password");
    let (user, password) = (text("/auth/user"), text("/auth/password"));
    let endpoint = |at: &Endpoint| json!({"host": at.host, "port": at.port, "security": at.security});
    set(value, "imap", endpoint(&found.imap));
    if let Some(at) = &found.smtp {
        let mut smtp = endpoint(at);
        let own = password.filter(|_| is_password && user.is_none() && sends != receives);
        if let Some(password) = own {
            set(&mut smtp, "auth", json!({"user": sends, "password": password}));
        }
        set(value, "smtp", smtp);
    }
    if is_password
        && user.is_none()
        && receives != address
        && let Some(auth) = value.get_mut("auth")
    {
        set(auth, "user", Value::from(receives));
    }
}
