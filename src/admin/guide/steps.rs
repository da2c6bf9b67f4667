//! The guide of one app: its texts, filled in.

use super::super::context::Context;
use super::super::lookup;
use super::facts::{account_facts, facts};
use super::texts::{self, Facts, Language, Script, Step, Texts, Way};
use crate::domain::AppId;
use crate::problem::Problem;

/// A guide, filled in.
pub(crate) struct Guide {
    /// By which way users will sign in.
    pub(crate) way: Way,
    /// What it was filled in with.
    pub(crate) facts: Facts,
    /// What stands in the way.
    pub(crate) notes: Vec<String>,
    /// What to do.
    pub(crate) steps: Vec<Step>,
    /// The same as scripts.
    pub(crate) scripts: Vec<Script>,
    texts: Texts,
}

impl Guide {
    /// The whole guide as a text.
    pub(crate) fn markdown(&self) -> String {
        texts::markdown(&self.texts, &self.facts, &self.notes, &self.steps, &self.scripts)
    }
}

/// The guide of an app; `way` is by default a service account's own, else the redirect.
///
/// # Errors
/// A [`Problem`] if there is no such app, or no such way for it.
pub(crate) fn guide(
    context: &Context,
    id: &AppId,
    way: Option<Way>,
    language: Language,
) -> Result<Guide, Problem> {
    let app = lookup::app(&context.store, id)?.value;
    let usual = if app.service_account.is_some() { Way::ServiceAccount } else { Way::default() };
    let (way, app) = (way.unwrap_or(usual), app.app);
    let facts = match way {
        Way::ServiceAccount => account_facts(&app)?,
        Way::Redirect | Way::Native | Way::Device | Way::AppOnly => facts(context, &app, way)?,
    };
    let mut mailboxes: Vec<String> = context
        .store
        .mailboxes()?
        .into_iter()
        .filter(|stored| stored.mailbox.app() == Some(id))
        .map(|stored| stored.mailbox.address)
        .collect();
    if mailboxes.is_empty() {
        mailboxes.push(String::from("<mailbox>"));
    }
    let broken = |error: toml::de::Error| Problem::internal(format!("the guide's texts: {error}"));
    let texts = Texts::of(way, language).map_err(broken)?;
    let steps = texts.steps(way, &facts, &mailboxes);
    let scripts = texts::scripts(way, &facts).map_err(broken)?;
    let is_reachable = way != Way::Redirect || is_accepted(&context.signin.public_url);
    let notes: Vec<String> = (!is_reachable).then(|| texts.unset_public_url.clone()).into_iter().collect();
    Ok(Guide { way, facts, notes, steps, scripts, texts })
}

/// Whether Entra ID accepts redirects to this address.
fn is_accepted(public_url: &str) -> bool {
    url::Url::parse(public_url)
        .is_ok_and(|url| url.scheme() == "https" || url.host_str().is_some_and(crate::net::is_loopback))
}
